"""Makers keep what part21 §5 asks of them."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from registrar.simulate.manufacturer import FOREVER, Revocation, root_authority
from registrar.simulate.peer_trust import application_uris, is_crl_of, is_issued_by
from registrar.simulate.plant import CompositePlan, Plan, plan
from registrar.simulate.production import Factory, Product
from tests.simulate.site import NOW, device_plan, pool, product

OUTER = "urn:delta.example.com:cell:outer"
INNER = "urn:delta.example.com:cell:inner"


def _subject_alternative_uris(made: Product) -> list[tuple[str, ...]]:
    return [application_uris(identity.certificate) for identity in made.identities]


@pytest.mark.clause("R27")
@pytest.mark.parametrize("maker", ["alpha", "beta", "gamma"])
def test_a_device_owns_its_identities_and_their_keys(maker: str) -> None:
    made = product(device_plan(maker=maker))

    for identity in made.identities:
        certificate = x509.load_der_x509_certificate(identity.certificate)
        assert certificate.public_key() == identity.key.public_key()
        assert certificate.not_valid_after_utc == FOREVER
        assert certificate.subject.get_attributes_for_oid(x509.NameOID.SERIAL_NUMBER)


@pytest.mark.clause("R28")
@pytest.mark.clause("R35")
@pytest.mark.parametrize("maker", ["alpha", "gamma"])
def test_the_first_identity_names_the_product_instance_uri(maker: str) -> None:
    made = product(device_plan(maker=maker))

    assert _subject_alternative_uris(made) == [(made.plan.product_instance_uri,)]


@pytest.mark.clause("R29")
@pytest.mark.clause("R30")
def test_a_device_whose_idevid_has_no_uri_has_an_ldevid_of_its_maker() -> None:
    made = product(device_plan(maker="beta"))

    assert _subject_alternative_uris(made) == [(), (made.plan.product_instance_uri,)]
    idevid, ldevid = made.identities
    (issuer,) = set(idevid.issuers)
    assert is_issued_by(idevid.certificate, issuer)
    assert is_issued_by(ldevid.certificate, issuer)


@pytest.mark.clause("R33")
def test_product_instance_uris_are_unique_but_for_the_doubles() -> None:
    devices = plan(400).devices

    alone = [device.product_instance_uri for device in devices if device.twin is None]

    assert len(set(alone)) == len(alone)
    assert all(uri.startswith("urn:") and " " not in uri for uri in alone)


@pytest.mark.clause("R36")
@pytest.mark.clause("R37")
def test_all_members_of_a_nested_composite_name_the_outermost_one() -> None:
    members = tuple(
        device_plan(index=n, composite=uri) for n, uri in enumerate((OUTER, INNER, INNER))
    )
    composites = (CompositePlan(uri=OUTER), CompositePlan(uri=INNER, outer=OUTER))
    planned = Plan(seed=1, devices=members, composites=composites)

    made, _ = Factory(planned, pool(), NOW).make()

    for device in made:
        assert _subject_alternative_uris(device)[-1] == (device.plan.product_instance_uri, OUTER)


@pytest.mark.clause("R77")
def test_each_device_and_each_composite_has_one_ticket() -> None:
    members = tuple(device_plan(index=n, composite=INNER) for n in range(2))
    composites = (CompositePlan(uri=OUTER), CompositePlan(uri=INNER, outer=OUTER))
    planned = Plan(seed=1, devices=(*members, device_plan(index=2)), composites=composites)

    _, shipment = Factory(planned, pool(), NOW).make()

    devices = [_payload(ticket)["ProductInstanceUri"] for ticket in shipment.device_tickets]
    assert sorted(devices) == sorted(one.product_instance_uri for one in planned.devices)
    inner_and_outer = [_payload(one)["CompositeInstanceUri"] for one in shipment.composite_tickets]
    assert sorted(inner_and_outer) == [INNER, OUTER]


def _payload(ticket: str) -> dict[str, str]:
    text = json.loads(ticket)["payload"]
    payload: dict[str, str] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return payload


@pytest.mark.parametrize("revocation", list(Revocation))
def test_certificates_say_where_their_status_is(revocation: Revocation) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    root = root_authority("Root", key, serial=1, revocation=revocation, now=datetime.now(UTC))

    der = root.identity("device", pool().take().public_key())

    kinds = {type(e.value) for e in x509.load_der_x509_certificate(der).extensions}
    assert (x509.CRLDistributionPoints in kinds) is (revocation is Revocation.CRL)
    assert (x509.AuthorityInformationAccess in kinds) is (revocation is Revocation.OCSP)


@pytest.mark.clause("R63")
@pytest.mark.parametrize("revocation", [Revocation.CRL, Revocation.OCSP])
def test_a_signer_of_tickets_and_its_ca_say_where_their_status_is(revocation: Revocation) -> None:
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
    root = root_authority("Root", keys[0], serial=1, revocation=revocation, now=NOW)

    signer = root.subordinate("Issuing CA", keys[1]).signer("Signer", keys[2])

    for der in (signer.certificate, signer.issuers[0]):
        kinds = {type(one.value) for one in x509.load_der_x509_certificate(der).extensions}
        assert kinds & {x509.CRLDistributionPoints, x509.AuthorityInformationAccess}


def test_a_revoked_certificate_is_on_the_crl() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    root = root_authority("Root", key, serial=1, revocation=Revocation.CRL, now=NOW)
    der = root.identity("device", pool().take().public_key())

    root.revoke(der)

    crl = root.crl(7)
    parsed = x509.load_der_x509_crl(crl)
    serial = x509.load_der_x509_certificate(der).serial_number
    assert parsed.get_revoked_certificate_by_serial_number(serial) is not None
    assert is_crl_of(crl, root.der)


def test_below_a_subordinate_ca_the_chain_goes_up_to_the_root() -> None:
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = root_authority("Root", root_key, serial=1, revocation=Revocation.CRL, now=NOW)

    issuing = root.subordinate("Issuing", key)

    assert issuing.chain == (issuing.der, root.der)
    assert is_issued_by(issuing.der, root.der)
    assert is_issued_by(issuing.identity("d", pool().take().public_key()), issuing.der)
