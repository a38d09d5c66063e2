"""Ways to spoil a Ticket, or somebody who signs one.

``TRUST`` trusts a root and has its CRL; ``SIGNER``, below it, signs with ES256 unless told
otherwise. What is called ``…ed`` is under a signature that holds.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from registrar.core.trust import TicketAuthorities
from tests.core.building import (
    NOW,
    Issued,
    base64url,
    device_payload,
    document,
    ec_key,
    entry,
    header,
    root,
    rsa_key,
    sign_bytes,
    trusting,
)

DAY = timedelta(days=1)
ROOT = root("root")
SIGNER = ROOT.issue("signer")
OTHER = ROOT.issue("other signer")
RSA = ROOT.issue("rsa signer", key=rsa_key())
REVOKED = ROOT.issue("revoked")
STOPPED = ROOT.issue("stopped")
EXPIRED_ROOT = root("expired root", not_after=NOW - DAY)
REVOKED_CA = ROOT.issue("revoked ca", is_ca=True)
SILENT_ROOT = root("a root without a CRL")
HELPING_ROOT = root("a root that only helps")
STRANGER = root("stranger root").issue("stranger")

TRUST = TicketAuthorities(
    replace(
        trusting(
            *(ROOT, EXPIRED_ROOT, SILENT_ROOT),
            crls=[
                ROOT.crl(REVOKED.certificate, REVOKED_CA.certificate),
                *(one.crl() for one in (EXPIRED_ROOT, REVOKED_CA, HELPING_ROOT)),
            ],
            issuers=[HELPING_ROOT],
        ),
        stopped=frozenset({STOPPED.certificate.key_digest}),
    )
)
PAYLOAD = device_payload()
BIG = 100 * 1000 * 1000
"""Bytes, 400 times as many as a Ticket may have."""


GOOD = document(PAYLOAD, entry(PAYLOAD, SIGNER))


COMPOSITE = "CompositeIdentityTicketType"
TWICE = ',"x":{"y":[{"a":1,"a":1}]}'
OTHER_URI = b',"ProductInstanceUri":"urn:x:y"}'
DEEP = ',"x":' + "[" * 20_000 + "]" * 20_000
AUTHORITY = {"AuthorityCertificate": "YQ=="}
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551.to_bytes(32)


def signed(signer: Issued = SIGNER, payload: bytes = PAYLOAD, **more: Any) -> str:
    return document(payload, entry(payload, signer, **more))


def headed(signer: Issued = SIGNER, /, **members: Any) -> str:
    """Change members of the protected header, under a signature that holds."""
    raw = json.dumps({**header(signer), **members}).encode()
    return document(PAYLOAD, entry(PAYLOAD, signer, raw_header=raw))


def lacking(name: str, **unprotected: Any) -> str:
    members = header(SIGNER)
    del members[name]
    return document(PAYLOAD, {**entry(PAYLOAD, SIGNER, members), **unprotected})


def unprotected(value: object) -> str:
    return document(PAYLOAD, {**entry(PAYLOAD, SIGNER), "header": value})


def raw_header(text: str) -> str:
    """Put ``text`` in the place of ``@`` into the JSON of a good protected header."""
    raw = json.dumps(header(SIGNER))[:-1] + text + "}"
    return document(PAYLOAD, entry(PAYLOAD, SIGNER, raw_header=raw.encode()))


def paid(**members: Any) -> str:
    """Change members of the payload, under a signature that holds."""
    return signed(payload=device_payload(**members))


def parts(**members: Any) -> str:
    """Change members of the document and of its one signature."""
    text = json.loads(GOOD)
    for name, value in members.items():
        place = text if name in ("payload", "signatures") else text["signatures"][0]
        place[name] = value
    return json.dumps(text)


def part(name: str) -> str:
    """Return a member of the good Ticket, to be bent."""
    text = json.loads(GOOD)
    return str(text[name] if name == "payload" else text["signatures"][0][name])


def with_signature(signature: bytes, signer: Issued = SIGNER, **more: Any) -> str:
    made = entry(PAYLOAD, signer, **more)
    return document(PAYLOAD, {**made, "signature": base64url(signature)})


def message(signer: Issued = SIGNER, **more: Any) -> bytes:
    return f"{entry(PAYLOAD, signer, **more)['protected']}.{base64url(PAYLOAD)}".encode()


def pss_with_short_salt() -> str:
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), 20)
    said = message(RSA, alg="PS256")
    return with_signature(rsa_key().sign(said, scheme, hashes.SHA256()), RSA, alg="PS256")


def by_public_key() -> str:
    """Use the signer's public key as the secret of an HMAC (RFC 8725 §2.1)."""
    mac = hmac.HMAC(SIGNER.certificate.public_key_der, hashes.SHA256())
    mac.update(message(alg="HS256"))
    return with_signature(mac.finalize(), alg="HS256")


def as_der() -> str:
    raw = sign_bytes(SIGNER.key, "ES256", message())
    r, s = int.from_bytes(raw[:32]), int.from_bytes(raw[32:])
    return with_signature(encode_dss_signature(r, s))


def jwk() -> dict[str, str]:
    key = SIGNER.key.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    numbers = key.public_numbers()
    x, y = (base64url(number.to_bytes(32)) for number in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y}


def x5c(*ders: bytes) -> list[str]:
    return [base64.b64encode(der).decode() for der in ders]


def wasteful(*more: Mapping[str, Any]) -> str:
    """Fifteen signers, each with nine issuers of one name on the slowest curve."""
    entries = []
    key = ec_key(ec.SECP521R1())
    for _ in range(15):
        top = root("ca", key=key)
        cas = [top.issue("ca", is_ca=True, key=key, ski=False, aki=False) for _ in range(8)]
        leaf = cas[0].issue("leaf", key=key, aki=False)
        above = (*(ca.certificate for ca in cas), top.certificate)
        entries.append(entry(PAYLOAD, replace(leaf, above=above), alg="ES512"))
    return document(PAYLOAD, *entries, *more)


def dense(text: str, size: int = 250_000) -> str:
    """A good Ticket with a member nobody asked for, made of ``text`` again and again."""
    inner = (text * (size // len(text)))[:-1]
    return GOOD[:-1] + f',"x":[{inner}]}}'


def nested(depth: int) -> str:
    return GOOD[:-1] + ',"x":' + "[" * depth + "]" * depth + "}"


def only() -> dict[str, Any]:
    """Return the one signature of the good Ticket."""
    made: dict[str, Any] = json.loads(GOOD)["signatures"][0]
    return made


def stray(name: str) -> str:
    """Set a bit that Base64url does not use."""
    text = part(name)
    return text[:-1] + chr(ord(text[-1]) + 1)


def bent(data: bytes) -> bytes:
    return data[:-3] + bytes([data[-3] ^ 1]) + data[-2:]


def recoded(members: Mapping[str, Any]) -> str:
    return base64url(json.dumps(members, indent=1).encode())


def good_signature() -> bytes:
    return sign_bytes(SIGNER.key, "ES256", message())


def exchanged(signature: bytes) -> bytes:
    return signature[32:] + signature[:32]


def rsa(alg: str) -> bytes:
    """Sign what says RS256 with another algorithm."""
    return sign_bytes(RSA.key, alg, message(RSA, alg="RS256"))


def foreign_entry() -> dict[str, Any]:
    return entry(device_payload("urn:x:y"), SIGNER)


def foreigner() -> dict[str, Any]:
    return entry(PAYLOAD, STRANGER)


def several(*more: Mapping[str, Any]) -> str:
    forged = {**entry(PAYLOAD, SIGNER), "signature": base64url(bytes(64))}
    return document(PAYLOAD, foreigner(), *more, {"protected": 7}, forged)


def by_role(**options: Any) -> str:
    return signed(ROOT.issue("signer of another role", **options))


def by_weak(key: Any, alg: str) -> str:
    signer = ROOT.issue("weak", key=key)
    protected = recoded(header(signer, alg=alg))
    made = entry(PAYLOAD, replace(signer, key=rsa_key()), alg="RS256")
    return document(PAYLOAD, {**made, "protected": protected})


def by_edwards() -> str:
    return by_weak(ed25519.Ed25519PrivateKey.generate(), "ES256")


def composite(payload: str) -> str:
    return signed(payload=payload.encode(), kind=COMPOSITE)
