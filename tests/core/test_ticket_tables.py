"""Signatures by the table of their key: they hold where they hold without one, and nowhere else."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from registrar.core.certificate import Certificate
from registrar.core.jws import decode_base64url
from registrar.core.ticket_batch import Status
from registrar.core.ticket_snapshot import TicketSnapshot
from registrar.core.trust import DeviceIdentityAuthorities, TicketAuthorities
from registrar.core.verify import Route, TicketVerifier
from registrar.native import is_compiled
from tests.core.building import NOW, Maker, base64url, device_payload, root, trusting

OFTEN = 256
"""Signatures of a key on P-256 after which the batch keeps a table for it."""

SHORT = 379
"""A scalar whose point on P-256 has an x of 247 bits: r begins with a zero byte."""

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the points of P-256."""
URI = "urn:example.com:snr-0"
MAKER = Maker.new("often")
CA = root("devices")
TEXT = MAKER.ticket(device_payload(URI, CA))
DER = CA.issue("device", uris=[URI]).der
GENUINE = Status.BELIEVED | Status.GENUINE


def snapshot(tables: int) -> TicketSnapshot:
    """Return a snapshot that has seen the maker and his CA often."""
    made = TicketSnapshot(
        TicketVerifier(TicketAuthorities(trusting(MAKER.root, crls=[MAKER.root.crl()]))),
        route=Route.OUT_OF_BAND,
        now=NOW,
        authorities=DeviceIdentityAuthorities(trusting(crls=[CA.crl()])),
        tables=tables,
    )
    made.judge([TEXT] * OFTEN, [DER] * OFTEN)
    made.judge([TEXT] * OFTEN, [DER] * OFTEN)
    return made


BY_TABLE, WITHOUT = snapshot(tables=2), snapshot(tables=0)


def decided(texts: list[str], der: bytes | None = None) -> list[Status]:
    """Return what is found by table; without tables it has to be the same."""
    ders = [der] * len(texts)
    verdicts, again = BY_TABLE.judge(texts, ders), WITHOUT.judge(texts, ders)
    assert verdicts.status.tolist() == again.status.tolist()
    if is_compiled() and der is None:
        # What holds needs no reference.
        assert (verdicts.signer[verdicts.status > 0] >= 0).all()
    return [Status(one) for one in verdicts.status.tolist()]


def scalars(text: str) -> tuple[dict[str, Any], int, int]:
    """Return a document of one signature on P-256, its r and its s."""
    members = json.loads(text)
    raw = decode_base64url(members["signatures"][0]["signature"])
    return members, int.from_bytes(raw[:32]), int.from_bytes(raw[32:])


def with_scalars(members: dict[str, Any], r: int, s: int) -> str:
    raw = r.to_bytes(32) + s.to_bytes(32)
    members["signatures"][0]["signature"] = base64url(raw)
    return json.dumps(members)


def signing(members: dict[str, Any]) -> tuple[int, int]:
    """Return the digest that the one signature is over, and the secret of the key."""
    key = MAKER.signer.key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    message = f"{members['signatures'][0]['protected']}.{members['payload']}".encode()
    digest = int.from_bytes(hashlib.sha256(message).digest())
    return digest, key.private_numbers().private_value


def with_a_short_r(text: str) -> str:
    """Return the document signed again, with a chosen scalar in place of a random one."""
    members, _, _ = scalars(text)
    digest, secret = signing(members)
    point = ec.derive_private_key(SHORT, ec.SECP256R1()).public_key()
    r = point.public_numbers().x
    return with_scalars(members, r, pow(SHORT, -1, ORDER) * (digest + r * secret) % ORDER)


def test_signatures_by_a_table_hold_as_those_without() -> None:
    texts = [MAKER.ticket(device_payload(f"urn:x:{number}")) for number in range(600)]
    texts[0] = with_a_short_r(texts[0])
    signed = [scalars(text) for text in texts]

    assert signed[0][1].bit_length() < 249  # a leading zero
    assert set(decided(texts)) == {Status.BELIEVED}
    mirrored = [with_scalars(members, r, ORDER - s) for members, r, s in signed]
    assert set(decided(mirrored)) == {Status.BELIEVED}
    swapped = [with_scalars(members, s, r) for members, r, s in signed[:70]]
    mixed = [text for pair in zip(texts, swapped, strict=False) for text in pair]
    assert decided(mixed) == [Status.BELIEVED, Status(0)] * 70


def test_signatures_by_a_table_have_pairof_the_curve() -> None:
    members, r, s = scalars(MAKER.ticket(device_payload(URI)))
    digest, secret = signing(members)
    infinite = -digest * pow(secret, -1, ORDER) % ORDER
    refused = [
        (0, s),
        (r, 0),
        (0, 0),
        (ORDER, s),
        (r, ORDER),
        (ORDER - r, s),
        (2**256 - 1, s),
        (r, 2**256 - 1),
        (1, 1),
        (infinite, 1),  # the sum of both products is no point
        (ORDER - infinite, 1),  # both products are the same point
    ]

    texts = [with_scalars(members, *pair) for pair in refused]

    assert decided(texts) == [Status(0)] * len(refused)


@pytest.mark.parametrize("change", ["long_r", "negative_r", "tail", "tail_inside", "zero", "same"])
def test_certificates_by_a_table_have_their_signature_in_der(change: str) -> None:
    certificate = Certificate.from_der(DER).parsed
    r, s = decode_dss_signature(certificate.signature)
    plain = encode_dss_signature(r, s)
    integers = plain[2:]
    r_part, s_part = integers[: 2 + integers[1]], integers[2 + integers[1] :]
    digits = r_part[2:].lstrip(b"\0")
    bodies = {
        "long_r": bytes([2, len(digits) + 2]) + b"\0\0" + digits + s_part,
        "negative_r": bytes([2, len(digits)]) + bytes([digits[0] | 0x80]) + digits[1:] + s_part,
        "tail": integers,
        "tail_inside": integers + b"\x05\0",
        "zero": b"\x02\x01\0" + s_part,
        "same": integers,
    }
    body = bodies[change]
    signature = bytes([0x30, len(body)]) + body + (b"\0" if change == "tail" else b"")
    der = with_signature(DER, plain, signature)

    (status,) = decided([TEXT], der)

    assert status == (GENUINE if change == "same" else Status.BELIEVED)


def with_signature(der: bytes, former: bytes, signature: bytes) -> bytes:
    """Return a certificate with other bytes for its signature, all lengths as they should be."""
    assert der.endswith(former)
    assert der[:2] == b"\x30\x82"
    bits = der[: -len(former)][4:-3] + bytes([3, len(signature) + 1, 0]) + signature
    return b"\x30\x82" + len(bits).to_bytes(2) + bits
