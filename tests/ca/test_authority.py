"""First say what will be signed, then sign exactly that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from registrar.ca import Authority, KeyType
from registrar.ca.authority import MAX_SERIAL
from registrar.core.certificate import Certificate
from registrar.core.crl import Crl, is_crl_of
from registrar.errors import FileInvalid, IssuerUnavailable, Misuse, RegistrarError
from tests.ca.building import DAY, NOW, application, issue, key, make_root, public_key

CA_KEYS = [KeyType.EC_P256, KeyType.EC_P384, KeyType.RSA_2048]


@dataclass(frozen=True)
class Entry:
    serial: int
    revoked_at: datetime = NOW - DAY
    reason: str = "unspecified"


@pytest.mark.parametrize("ca_key", CA_KEYS)
@pytest.mark.parametrize("subject", [KeyType.EC_P256, KeyType.RSA_2048])
def test_the_certificate_carries_exactly_what_was_prepared(
    ca_key: KeyType, subject: KeyType
) -> None:
    root = make_root(ca_key)
    prepared = root.prepare(public_key(subject, 1), application(), serial=2**127 + 5, now=NOW)

    certificate = Certificate.from_der(root.sign(prepared))

    assert certificate.tbs_bytes == prepared.tbs
    assert certificate.serial_number == prepared.serial == 2**127 + 5
    assert certificate.not_after == prepared.not_after
    certificate.parsed.verify_directly_issued_by(root.certificate.parsed)


def test_preparing_twice_gives_the_same_bytes() -> None:
    root = make_root()

    first, second = (
        root.prepare(public_key(number=1), application(), serial=5, now=NOW) for _ in range(2)
    )

    assert first == second


def test_a_killed_registrar_signs_the_same_bytes_again() -> None:
    root = make_root()
    prepared = root.prepare(public_key(number=1), application(), serial=5, now=NOW)

    first, second = (Certificate.from_der(root.sign(prepared)) for _ in range(2))

    assert first.tbs_bytes == second.tbs_bytes


@pytest.mark.parametrize("serial", [1, MAX_SERIAL])
def test_serials_have_at_most_20_octets(serial: int) -> None:
    prepared = make_root().prepare(public_key(), application(), serial=serial, now=NOW)

    assert Certificate.from_der(make_root().sign(prepared)).serial_number == serial


@pytest.mark.parametrize("serial", [-1, 0, MAX_SERIAL + 1])
def test_what_is_no_serial_is_refused(serial: int) -> None:
    with pytest.raises(Misuse):
        make_root().prepare(public_key(), application(), serial=serial, now=NOW)


def test_bytes_of_another_ca_are_not_signed() -> None:
    other = make_root(number=1, common_name="Other Root")
    prepared = other.prepare(public_key(), application(), serial=5, now=NOW)

    with pytest.raises(Misuse):
        make_root().sign(prepared)


@pytest.mark.parametrize("cut", [0, 1, 40])
def test_damaged_bytes_are_not_signed_into_a_certificate(cut: int) -> None:
    root = make_root()
    prepared = root.prepare(public_key(), application(), serial=5, now=NOW)

    with pytest.raises(RegistrarError):
        root.sign(replace(prepared, tbs=prepared.tbs[:cut]))


def test_a_ca_needs_its_own_key() -> None:
    with pytest.raises(FileInvalid):
        Authority(name="x", certificate=make_root().certificate, key=key(number=9))


def test_a_ca_needs_the_certificate_of_a_ca() -> None:
    leaf = Certificate.from_der(issue(make_root(), application(), public_key(number=1)))

    with pytest.raises(FileInvalid):
        Authority(name="x", certificate=leaf, key=key(number=1))


def test_a_ca_on_a_curve_we_cannot_sign_for_is_refused() -> None:
    odd = ec.generate_private_key(ec.SECP521R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "odd")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(5)
    builder = builder.not_valid_before(NOW).not_valid_after(NOW + DAY).public_key(odd.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    der = builder.sign(odd, hashes.SHA512()).public_bytes(Encoding.DER)

    with pytest.raises(FileInvalid, match="secp521r1"):
        Authority(name="x", certificate=Certificate.from_der(der), key=odd)


@pytest.mark.clause("OPC 10000-6 §6.2.3; RFC 5280 §5.2.3")
@pytest.mark.parametrize("ca_key", CA_KEYS)
def test_a_crl_names_number_times_and_entries(ca_key: KeyType) -> None:
    root = make_root(ca_key)
    revoked = [Entry(5), Entry(2**127 + 1, reason="superseded")]

    der = root.make_crl(revoked, number=17, now=NOW, lifetime=30 * DAY, backdate=timedelta(hours=3))

    crl = Crl.from_der(der)
    assert crl.number == 17
    assert crl.serial_numbers == {5, 2**127 + 1}
    assert crl.this_update == (NOW - timedelta(hours=3)).replace(microsecond=0)
    assert crl.next_update == (NOW + 30 * DAY).replace(microsecond=0)
    assert is_crl_of(crl, root.certificate)
    entry = crl.parsed.get_revoked_certificate_by_serial_number(2**127 + 1)
    assert entry is not None
    reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    assert reason is x509.ReasonFlags.superseded


def test_a_crl_ends_with_its_ca() -> None:
    root = make_root(lifetime=10 * DAY)

    crl = Crl.from_der(root.make_crl([], number=1, now=NOW, lifetime=30 * DAY, backdate=30 * DAY))

    assert crl.next_update == root.certificate.not_after
    assert crl.this_update == root.certificate.not_before


def test_an_expired_ca_publishes_nothing() -> None:
    with pytest.raises(IssuerUnavailable):
        make_root(lifetime=DAY).make_crl([], number=1, now=NOW + DAY, lifetime=DAY)


@pytest.mark.parametrize(("number", "reason"), [(0, "superseded"), (1, "because")])
def test_a_crl_of_nonsense_is_our_own_mistake(number: int, reason: str) -> None:
    with pytest.raises(Misuse):
        make_root().make_crl([Entry(5, reason=reason)], number=number, now=NOW, lifetime=DAY)
