"""The requests of a channel itself are written without objects, and read as any other."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from asyncua import ua

from registrar.ua.codec import decode_message
from registrar.ua.opening import close_request, open_request

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize("renewal", [False, True])
@pytest.mark.parametrize("nonce", [b"", bytes(range(32))])
def test_a_written_open_request_is_read_as_it_was_meant(renewal: bool, nonce: bytes) -> None:
    mode = ua.MessageSecurityMode.SignAndEncrypt

    body = open_request(NOW, renewal=renewal, mode=mode, nonce=nonce, lifetime_s=3600)

    kind = ua.SecurityTokenRequestType
    assert decode_message(body) == ua.OpenSecureChannelRequest(
        RequestHeader=ua.RequestHeader(Timestamp=NOW),
        Parameters=ua.OpenSecureChannelParameters(
            RequestType=kind.Renew if renewal else kind.Issue,
            SecurityMode=mode,
            ClientNonce=nonce or None,
            RequestedLifetime=3_600_000,
        ),
    )


def test_a_written_close_request_is_read_as_it_was_meant() -> None:
    assert decode_message(close_request(NOW)) == ua.CloseSecureChannelRequest(
        RequestHeader=ua.RequestHeader(Timestamp=NOW)
    )
