"""Certificate revocation lists: what is read, and what is refused because it answers too little."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from registrar.core.crl import MAX_CRL_BYTES, Crl, is_crl_of
from registrar.errors import CertificateRejected
from registrar.status import StatusCode
from tests.core.building import NOW, ec_key, root, rsa_key, usage
from tests.fuzz.der_mutator import parse


def test_a_crl_says_who_is_revoked() -> None:
    ca = root()
    one, two = ca.issue("one").certificate, ca.issue("two").certificate
    crl = ca.crl(one, number=7)

    assert crl.revoked(one.serial_number)
    assert not crl.revoked(two.serial_number)
    assert crl.number == 7
    assert crl.issuer_bytes == ca.certificate.subject_bytes
    assert crl.issuer == "CN=root"
    assert "number 7" in repr(crl)
    assert Crl.from_der(crl.der) == crl
    assert crl != ca.crl(two)
    assert hash(crl) == hash(Crl.from_der(crl.der)) != hash(ca.crl(two))


def test_freshness_ends_with_next_update() -> None:
    crl = root().crl(this_update=NOW, next_update=NOW + timedelta(days=1))

    assert crl.is_fresh(NOW)
    assert crl.is_fresh(NOW + timedelta(days=1))
    assert not crl.is_fresh(NOW - timedelta(seconds=1))
    assert not crl.is_fresh(NOW + timedelta(days=1, seconds=1))


@pytest.mark.parametrize("bits", [None, 2048])
def test_only_the_issuers_key_signs(bits: int | None) -> None:
    ca = root(key=rsa_key(bits) if bits else None)

    assert is_crl_of(ca.crl(), ca.certificate)
    assert not is_crl_of(ca.crl(key=ec_key()), ca.certificate)
    assert not is_crl_of(root("another").crl(key=ca.key), ca.certificate)


def test_a_ca_without_crl_sign_has_no_crls() -> None:
    ca = root(key_usage=usage("key_cert_sign"))

    assert not is_crl_of(ca.crl(), ca.certificate)


@pytest.mark.clause("RFC 5280 §5.2.3")
@pytest.mark.bad_input("B66", "a CRLNumber of more than 20 bytes", "file_invalid")
def test_the_size_of_a_crl_number_is_limited() -> None:
    assert root().crl(number=(1 << 160) - 1).number == (1 << 160) - 1
    with pytest.raises(CertificateRejected, match="CRLNumber"):
        root().crl(number=1 << 160)


@pytest.mark.parametrize("critical", [True, False])
@pytest.mark.bad_input("B68", "a CRL that deltas complete (freshestCRL)", "file_invalid")
@pytest.mark.bad_input("B68", "a delta CRL", "file_invalid")
@pytest.mark.bad_input("B69", "an indirect CRL", "file_invalid")
@pytest.mark.parametrize(
    "extension",
    [
        x509.DeltaCRLIndicator(1),
        x509.IssuingDistributionPoint(
            full_name=None,
            relative_name=None,
            only_contains_user_certs=False,
            only_contains_ca_certs=False,
            only_some_reasons=None,
            indirect_crl=True,
            only_contains_attribute_certs=False,
        ),
        x509.FreshestCRL(
            [x509.DistributionPoint([x509.DNSName("deltas")], None, None, None)],
        ),
    ],
    ids=["delta", "indirect", "completed by deltas"],
)
def test_a_list_that_is_not_complete_and_direct_is_refused(
    extension: x509.ExtensionType, critical: bool
) -> None:
    with pytest.raises(CertificateRejected, match="critical CRL extension"):
        root().crl(extensions=[(extension, critical)])


@pytest.mark.bad_input("B67", "a CRL with an unknown critical extension", "file_invalid")
def test_a_list_that_asks_for_more_than_is_understood_is_refused() -> None:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")

    root().crl(extensions=[(unknown, False)])
    with pytest.raises(CertificateRejected, match=r"1\.2\.3\.4"):
        root().crl(extensions=[(unknown, True)])


@pytest.mark.bad_input("B64", "a CRL of another key of its issuer", "none")
def test_the_key_identifier_tells_keys_of_one_name_apart() -> None:
    old, new = root("ca"), root("ca")
    named = x509.AuthorityKeyIdentifier(old.certificate.ski, None, None)

    assert is_crl_of(old.crl(extensions=[(named, False)]), old.certificate)
    assert not is_crl_of(new.crl(extensions=[(named, False)]), new.certificate)


@pytest.mark.bad_input("B63", "bytes that are no CRL", "file_invalid")
@pytest.mark.bad_input("B63", "signature algorithms that differ inside and outside", "file_invalid")
def test_a_broken_crl_is_refused() -> None:
    der = root().crl().der
    other = der.replace(
        bytes.fromhex("06082a8648ce3d040302"), bytes.fromhex("06082a8648ce3d040303"), 1
    )

    nothing = parse(der)
    nothing.parts[0].parts = nothing.parts[0].parts[:3]

    for broken, why in (
        (der[:-1], "leaves its parent"),
        (der + b"\0", "^1 bytes after the CRL"),
        (b"", "leaves its parent"),
        (b"\x30\x00", "leaves its parent"),
        (other, "^the signature algorithms inside and outside differ"),
        (nothing.encode(), "^not a CRL: error parsing .{66}$"),
    ):
        with pytest.raises(CertificateRejected, match=why) as caught:
            Crl.from_der(broken)
        assert caught.value.status is StatusCode.BadCertificateInvalid


def test_the_size_of_a_crl_is_limited() -> None:
    with pytest.raises(CertificateRejected, match="exceeds"):
        Crl.from_der(bytes(MAX_CRL_BYTES + 1))
    with pytest.raises(CertificateRejected, match="tag"):
        Crl.from_der(bytes(MAX_CRL_BYTES))


@pytest.mark.parametrize("signature", [b"", b"\1" + bytes(70)], ids=["empty", "fewer bits"])
def test_a_signature_of_fewer_bits_than_its_bytes_hold_is_refused(signature: bytes) -> None:
    whole = parse(_VALID)
    whole.parts[2].content = signature

    with pytest.raises(CertificateRejected, match="the signature does not end with a byte"):
        Crl.from_der(whole.encode())


_CA = root()
_VALID = _CA.crl(_CA.certificate).der


@pytest.mark.bad_input("B63", "a CRL with a changed byte", "file_invalid")
@given(at=st.integers(0, len(_VALID) - 1), value=st.integers(0, 255))
def test_a_changed_byte_raises_only_certificate_rejected(at: int, value: int) -> None:
    changed = _VALID[:at] + bytes([value]) + _VALID[at + 1 :]
    with suppress(CertificateRejected):
        crl = Crl.from_der(changed)
        assert is_crl_of(crl, _CA.certificate) is (changed == _VALID)


@given(data=st.binary(max_size=200))
def test_arbitrary_bytes_raise_only_certificate_rejected(data: bytes) -> None:
    with suppress(CertificateRejected):
        Crl.from_der(data)


def test_a_list_of_the_first_version_is_read() -> None:
    """It has no version, no extensions and, of a CA that revoked nobody, no entries."""
    whole = parse(root("top").crl().der)
    version, algorithm, issuer, this, following, _ = whole.parts[0].parts
    assert version.content == b"\x01"
    whole.parts[0].parts = [algorithm, issuer, this, following]

    crl = Crl.from_der(whole.encode())

    assert (crl.size, crl.number, crl.serial_numbers) == (0, None, frozenset())
    assert crl.is_fresh(NOW)


def test_date_and_reason_of_entries_are_the_librarys() -> None:
    top = root("top")
    leaf = top.issue("leaf").certificate

    (entry,) = top.crl(leaf).parsed

    assert entry.serial_number == leaf.serial_number
