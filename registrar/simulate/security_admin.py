"""The SecurityAdmin Role of a pretended Device: whom it is granted to.

Identities and, where the Device has the list, Applications must both match. As long as nobody
is in it the Device stays in application setup and every trusted Client has the Role. Source:
OPC 10000-18 §4.4, OPC 10000-12 Annex G.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from asyncua import ua

from registrar.errors import ServiceFailed
from registrar.status import StatusCode

MAX_RULES = 16
CRITERIA_WITHOUT_TEXT = frozenset(
    {
        ua.IdentityCriteriaType.Anonymous,
        ua.IdentityCriteriaType.AuthenticatedUser,
        ua.IdentityCriteriaType.TrustedApplication,
    }
)
SUPPORTED = CRITERIA_WITHOUT_TEXT | {ua.IdentityCriteriaType.Application}


@dataclass(frozen=True, slots=True)
class Rule:
    """One identity mapping rule, and who added it."""

    criteria_type: ua.IdentityCriteriaType
    criteria: str
    author: bytes
    """The application certificate that added it, DER."""

    def matches(self, application_uri: str) -> bool:
        """Tell whether a Client with a trusted certificate and this ApplicationUri is meant."""
        if self.criteria_type is ua.IdentityCriteriaType.Application:
            return self.criteria == application_uri
        return self.criteria_type is not ua.IdentityCriteriaType.AuthenticatedUser


@dataclass(slots=True)
class SecurityAdmin:
    """Rules of the Role."""

    is_offered: bool
    """Whether the Device lets Clients configure the Role at all."""
    lists_applications: bool
    """ApplicationsExclude is FALSE: only listed applications have the Role."""
    rules: list[Rule] = field(default_factory=list)
    applications: dict[str, bytes] = field(default_factory=dict)
    """Listed ApplicationUris, each with the certificate that added it."""

    @property
    def is_configured(self) -> bool:
        """Whether somebody holds the Role by rule, which ends application setup."""
        return bool(self.rules) and (bool(self.applications) or not self.lists_applications)

    def is_granted_to(self, application_uri: str) -> bool:
        """Tell whether a trusted Client with this ApplicationUri has the Role."""
        if not self.is_offered or not self.is_configured:
            return True
        if self.lists_applications and application_uri not in self.applications:
            return False
        return any(rule.matches(application_uri) for rule in self.rules)

    def add_identity(self, rule: object, author: bytes) -> None:
        """Add a rule (OPC 10000-18 §4.4.5).

        Raises:
            ServiceFailed: Bad_InvalidArgument, Bad_NotSupported, Bad_AlreadyExists,
                Bad_ResourceUnavailable.
        """
        added = _checked(rule, author)
        if self._find(added) is not None:
            raise _failed(StatusCode.BadAlreadyExists, "this rule is there already")
        if len(self.rules) >= MAX_RULES:
            raise _failed(StatusCode.BadResourceUnavailable, f"{MAX_RULES} rules already")
        self.rules.append(added)

    def remove_identity(self, rule: object) -> None:
        """Remove a rule (OPC 10000-18 §4.4.6).

        Raises:
            ServiceFailed: Bad_NotFound.
        """
        found = self._find(_checked(rule, b""))
        if found is None:
            raise _failed(StatusCode.BadNotFound, "no such rule")
        self.rules.remove(found)

    def add_application(self, application_uri: str, author: bytes) -> None:
        """List an application (OPC 10000-18 §4.4.7).

        Raises:
            ServiceFailed: Bad_InvalidArgument, Bad_AlreadyExists, Bad_ResourceUnavailable.
        """
        if not application_uri:
            raise _failed(StatusCode.BadInvalidArgument, "no ApplicationUri")
        if application_uri in self.applications:
            raise _failed(StatusCode.BadAlreadyExists, "listed already")
        if len(self.applications) >= MAX_RULES:
            raise _failed(StatusCode.BadResourceUnavailable, f"{MAX_RULES} applications already")
        self.applications[application_uri] = author

    def remove_application(self, application_uri: str) -> None:
        """Take an application off the list (OPC 10000-18 §4.4.8).

        Raises:
            ServiceFailed: Bad_NotFound.
        """
        if application_uri not in self.applications:
            raise _failed(StatusCode.BadNotFound, "not listed")
        del self.applications[application_uri]

    def keep(self, is_trusted: Callable[[bytes], bool]) -> None:
        """Drop what authors added before ownership who are not trusted now.

        Before a Device has an owner anybody can add rules; only those of the one who took it
        count, or the loser of a race could shut the winner out.
        """
        self.rules = [rule for rule in self.rules if is_trusted(rule.author)]
        self.applications = {
            uri: author for uri, author in self.applications.items() if is_trusted(author)
        }

    def reset(self) -> None:
        """Forget every rule."""
        self.rules.clear()
        self.applications.clear()

    def _find(self, wanted: Rule) -> Rule | None:
        return next(
            (
                rule
                for rule in self.rules
                if (rule.criteria_type, rule.criteria) == (wanted.criteria_type, wanted.criteria)
            ),
            None,
        )


def _checked(rule: object, author: bytes) -> Rule:
    if not isinstance(rule, ua.IdentityMappingRuleType):
        raise _failed(StatusCode.BadInvalidArgument, "no IdentityMappingRuleType")
    try:
        kind = ua.IdentityCriteriaType(rule.CriteriaType)
    except ValueError as error:
        raise _failed(StatusCode.BadInvalidArgument, str(error)) from error
    if kind not in SUPPORTED:
        raise _failed(StatusCode.BadNotSupported, f"criteria {kind.name}")
    text = rule.Criteria or ""
    if bool(text) is (kind in CRITERIA_WITHOUT_TEXT):
        raise _failed(StatusCode.BadInvalidArgument, f"criteria {kind.name} with {text[:80]!r}")
    return Rule(kind, text, author)


def _failed(status: StatusCode, message: str) -> ServiceFailed:
    return ServiceFailed(message, status=status)
