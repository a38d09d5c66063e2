"""What a Client checks in the answers of a peer it does not trust."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from typing import TypeVar

from asyncua import ua

from registrar.errors import ProtocolViolation, Reason, SecurityChecksFailed
from registrar.status import StatusCode, is_bad
from registrar.ua.codec import are_same
from registrar.wire.exchanges import failure_of, known_status

Place = TypeVar("Place")

DEFAULT_PORT = 4840
MAX_PORT = 65_535
_URL = re.compile(
    r"opc\.tcp://(?:\[([0-9a-f:.]+(?:%[^]\s/?#@]+)?)\]|([^][\s/?#@:]+))(?::([0-9]{0,5}))?(?:[/?#].*)?",
    re.IGNORECASE,
)
"""A sixth of what ``urlsplit`` costs, which would be a hundredth of a conversation."""


def parse_url(url: str) -> tuple[str, int]:
    """Return host and port of an ``opc.tcp`` URL.

    Raises:
        ProtocolViolation: it is none; such URLs come from peers (T26).
    """
    parts = _URL.fullmatch(url)
    port = int(parts[3] or 0) if parts else 0
    if parts is None or port > MAX_PORT:
        raise ProtocolViolation(
            f"not an opc.tcp URL: {url[:80]!r}", status=StatusCode.BadTcpEndpointUrlInvalid
        )
    return (parts[1] or parts[2]).lower(), port or DEFAULT_PORT


def compare_endpoints(
    discovered: Sequence[ua.EndpointDescription], secured: Sequence[ua.EndpointDescription]
) -> None:
    """Refuse a Server whose endpoints inside the Session differ from the discovered ones (T10).

    Compared as an unordered multiset, and only in the fields a Server must fill
    (OPC 10000-4 §5.7.2).

    Raises:
        SecurityChecksFailed: with the reason ENDPOINTS_ALTERED.
    """
    if are_same(ua.EndpointDescription, list(discovered), list(secured)):
        return  # in all fields, and so in those that count
    before, now = Counter(map(_essence, discovered)), Counter(map(_essence, secured))
    if before != now:
        missing, added = (before - now).total(), (now - before).total()
        raise SecurityChecksFailed(
            f"{missing} discovered endpoints are not in the Session's list, {added} are new",
            reason=Reason.ENDPOINTS_ALTERED,
        )


def _essence(endpoint: ua.EndpointDescription) -> tuple[object, ...]:
    tokens = Counter(
        (
            token.PolicyId or "",
            int(token.TokenType),
            token.IssuedTokenType or "",
            token.IssuerEndpointUrl or "",
            token.SecurityPolicyUri or "",
        )
        for token in endpoint.UserIdentityTokens or ()
    )
    return (
        endpoint.Server.ApplicationUri or "",
        endpoint.EndpointUrl or "",
        int(endpoint.SecurityMode),
        endpoint.SecurityPolicyUri or "",
        frozenset(tokens.items()),
        endpoint.TransportProfileUri or "",
        endpoint.SecurityLevel,
    )


def token_policies(
    endpoints: Iterable[ua.EndpointDescription],
    *,
    policy_uri: str,
    mode: ua.MessageSecurityMode,
    url: str,
) -> list[ua.UserTokenPolicy]:
    """Return the user tokens the Server takes on the endpoint in use."""
    fitting: ua.EndpointDescription | None = None
    for endpoint in endpoints:
        if endpoint.SecurityPolicyUri != policy_uri or endpoint.SecurityMode != mode:
            continue
        if endpoint.EndpointUrl == url:
            fitting = endpoint
            break
        fitting = fitting or endpoint
    return list(fitting.UserIdentityTokens or ()) if fitting else []


def collect_references(
    results: Iterable[ua.BrowseResult],
    found: Sequence[list[ua.ReferenceDescription]],
    places: Iterable[int],
    *,
    may_lack: Container[int] = (),
) -> dict[int, bytes]:
    """Add what Browse returned to ``found`` and return the continuation points by place.

    Args:
        may_lack: places whose node need not be there.

    Raises:
        ServiceFailed: one of the nodes cannot be browsed.
    """
    waiting: dict[int, bytes] = {}
    for place, result in zip(places, results, strict=True):
        status = result.StatusCode.value
        if is_bad(status):
            if place in may_lack and known_status(status) is StatusCode.BadNodeIdUnknown:
                continue
            raise failure_of(status, "Browse")
        found[place].extend(result.References or ())
        if result.ContinuationPoint:
            waiting[place] = result.ContinuationPoint
    return waiting
