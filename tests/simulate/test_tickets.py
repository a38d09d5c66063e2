"""Tickets as their makers write them: general JWS, checked here with ``cryptography``."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from registrar.simulate import tickets
from registrar.simulate.manufacturer import PrivateKey, Revocation, root_authority
from registrar.simulate.tickets import Algorithm, Claims, Signature, TicketType
from tests.simulate.site import NOW, pool

URI = "urn:example.com:snr-1"
CLAIMS = Claims(
    manufacturer_name="Example AG",
    model_name="m",
    serial_number="1",
    manufacture_date=NOW,
    authorities=((b"ca", b"root"),),
)


def _key(algorithm: Algorithm) -> PrivateKey:
    if algorithm is Algorithm.ES384:
        return ec.generate_private_key(ec.SECP384R1())
    if algorithm is Algorithm.ES256:
        return ec.generate_private_key(ec.SECP256R1())
    return pool().take()


def _signature(algorithm: Algorithm, opc_uri: str = "") -> Signature:
    root = root_authority(
        "Root",
        ec.generate_private_key(ec.SECP256R1()),
        serial=1,
        revocation=Revocation.CRL,
        now=NOW,
    )
    signer = root.signer("Signer", _key(algorithm))
    return Signature(signer=signer, algorithm=algorithm, opc_uri=opc_uri)


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _verify(entry: dict[str, str], payload: str) -> dict[str, Any]:
    """Check one signature of a Ticket and return its protected header."""
    header: dict[str, Any] = json.loads(_decode(entry["protected"]))
    signer = x509.load_der_x509_certificate(base64.b64decode(header["x5c"][0]))
    key, signature = signer.public_key(), _decode(entry["signature"])
    message = f"{entry['protected']}.{payload}".encode()
    if isinstance(key, rsa.RSAPublicKey):
        scheme: padding.AsymmetricPadding = padding.PKCS1v15()
        if header["alg"] == "PS256":
            scheme = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
        key.verify(signature, message, scheme, hashes.SHA256())
    else:
        assert isinstance(key, ec.EllipticCurvePublicKey)
        half = len(signature) // 2
        der = encode_dss_signature(
            int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
        )
        digest = hashes.SHA384() if header["alg"] == "ES384" else hashes.SHA256()
        key.verify(der, message, ec.ECDSA(digest))
    return header


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_a_ticket_carries_a_signature_that_verifies(algorithm: Algorithm) -> None:
    ticket = tickets.sign(tickets.device_payload(CLAIMS, URI), [_signature(algorithm)])

    document = json.loads(ticket)
    header = _verify(document["signatures"][0], document["payload"])
    assert header["alg"] == algorithm
    assert header["cty"] == "opc-ticket+json;type=DeviceIdentityTicketType"
    assert len(header["x5c"]) == 2
    payload = json.loads(_decode(document["payload"]))
    assert payload["ProductInstanceUri"] == URI
    assert "SoftwareRevision" not in payload


def test_a_countersignature_names_the_composite_and_leaves_the_first_alone() -> None:
    first = tickets.sign(tickets.device_payload(CLAIMS, URI), [_signature(Algorithm.RS256)])

    second = tickets.countersign(first, _signature(Algorithm.ES384, opc_uri="urn:composite"))

    before, after = json.loads(first), json.loads(second)
    assert after["payload"] == before["payload"]
    assert after["signatures"][0] == before["signatures"][0]
    header = _verify(after["signatures"][1], after["payload"])
    assert header["opc-uri"] == "urn:composite"


def test_a_forged_ticket_no_longer_verifies() -> None:
    ticket = tickets.sign(tickets.device_payload(CLAIMS, URI), [_signature(Algorithm.ES256)])

    forged = json.loads(tickets.forge(ticket, SerialNumber="2"))

    assert json.loads(_decode(forged["payload"]))["SerialNumber"] == "2"
    with pytest.raises(InvalidSignature):
        _verify(forged["signatures"][0], forged["payload"])


def test_a_composite_ticket_lists_its_members() -> None:
    payload = json.loads(
        tickets.composite_payload(CLAIMS, "urn:c", devices=[URI], composites=["urn:inner"])
    )

    assert payload["CompositeInstanceUri"] == "urn:c"
    assert payload["Devices"] == [URI]
    assert payload["Composites"] == ["urn:inner"]


def test_a_composite_ticket_says_so_in_its_type() -> None:
    signature = _signature(Algorithm.ES256)
    composite = Signature(
        signer=signature.signer, algorithm=Algorithm.ES256, ticket_type=TicketType.COMPOSITE
    )

    header = json.loads(_decode(composite.protected()))

    assert header["cty"].endswith("type=CompositeIdentityTicketType")


def test_a_ticket_list_holds_the_texts() -> None:
    listed = json.loads(tickets.ticket_list(["{}"], []))

    assert listed == {"Devices": ["{}"], "Composites": []}
