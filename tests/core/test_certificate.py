"""Certificates as values: structure, names, chains."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from registrar.core.certificate import (
    MAX_CERTIFICATE_BYTES,
    MAX_CHAIN_LENGTH,
    MAX_NAME_BYTES,
    MAX_NAMES,
    Certificate,
    decode_chain,
    outline,
    split_chain,
)
from registrar.core.der import SEQUENCE, encode
from registrar.errors import CertificateRejected
from registrar.status import StatusCode
from tests.core.building import DEVICE_URI, FOREVER, make, root, rsa_key, usage
from tests.fuzz.der_mutator import parse


def test_fields_are_those_of_the_certificate() -> None:
    ca = root("the root", path_length=1)
    names = [x509.DNSName("device.local"), x509.IPAddress(ip_address("127.0.0.2"))]
    leaf = ca.issue(
        "leaf",
        uris=["urn:other", DEVICE_URI],
        names=names,
        extended=[x509.OID_SERVER_AUTH],
        pointer=True,
        not_after=FOREVER,
    ).certificate

    assert leaf.subject == "CN=leaf"
    assert leaf.issuer == "CN=the root"
    assert leaf.issuer_bytes == ca.certificate.subject_bytes
    assert leaf.san_uris == ("urn:other", DEVICE_URI)
    assert leaf.dns_names == ("device.local",)
    assert leaf.ip_addresses == (ip_address("127.0.0.2"),)
    assert leaf.aki == ca.certificate.ski
    assert leaf.extended_key_usage == frozenset({"1.3.6.1.5.5.7.3.1"})
    assert leaf.has_revocation_pointer
    assert not ca.certificate.has_revocation_pointer
    assert not leaf.is_ca
    assert ca.certificate.is_ca
    assert ca.certificate.path_length == 1
    assert ca.certificate.is_self_issued
    assert not leaf.is_self_issued
    assert leaf.serial_number == leaf.parsed.serial_number
    assert leaf.tbs_bytes == leaf.parsed.tbs_certificate_bytes


def test_the_year_9999_is_a_date() -> None:
    assert make("idevid", not_after=FOREVER).certificate.not_after == FOREVER


def test_thumbprints_are_over_the_whole_certificate() -> None:
    issued = make("leaf").certificate

    assert issued.sha1 == issued.parsed.fingerprint(hashes.SHA1())  # noqa: S303
    assert issued.thumbprint == issued.parsed.fingerprint(hashes.SHA256()).hex()


@pytest.mark.parametrize("bits", [2048, None])
def test_the_key_is_given_as_signed(bits: int | None) -> None:
    issued = make("leaf", key=rsa_key(bits) if bits else None)
    encoded = issued.key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )

    assert issued.certificate.public_key_der == encoded
    assert issued.certificate.has_rsa_key is (bits is not None)
    expected = rsa.RSAPublicKey if bits else ec.EllipticCurvePublicKey
    assert isinstance(issued.certificate.public_key, expected)


def test_certificates_are_compared_by_their_bytes() -> None:
    issued = make("leaf")

    assert Certificate.from_der(issued.der) == issued.certificate
    assert issued.certificate != make("leaf").certificate
    assert issued.certificate != issued.der
    digest = issued.certificate.thumbprint
    assert repr(issued.certificate) == f"<Certificate 'CN=leaf' {digest[:16]}>"


@pytest.mark.bad_input("B43", "a certificate of a broken structure", "device_certificate_invalid")
@pytest.mark.parametrize("change", ["cut", "tail", "empty", "signature algorithm", "serial"])
def test_a_broken_structure_is_refused(change: str) -> None:
    der = make("leaf").der
    changed = {
        "cut": der[:-1],
        "tail": der + b"\0",
        "empty": b"",
        # sha256 becomes sha384 inside the signed part only
        "signature algorithm": der.replace(
            bytes.fromhex("06082a8648ce3d040302"), bytes.fromhex("06082a8648ce3d040303"), 1
        ),
        "serial": _with_serial(der, b"\0"),
    }[change]

    whys = {
        "tail": "^1 bytes after the certificate$",
        "signature algorithm": "^the signature algorithms inside and outside differ$",
        "serial": "^the serial number is not a positive number of at most 20 octets$",
    }
    with pytest.raises(CertificateRejected, match=whys.get(change, "leaves its parent")) as caught:
        Certificate.from_der(changed)

    assert caught.value.status is StatusCode.BadCertificateInvalid


@pytest.mark.bad_input(
    "B43", "a signature that does not end with a byte", "device_certificate_invalid"
)
@pytest.mark.parametrize("signature", [b"", b"\1" + bytes(256)], ids=["empty", "fewer bits"])
def test_a_signature_of_fewer_bits_than_its_bytes_hold_is_refused(signature: bytes) -> None:
    """Else one certificate could be had in other bytes, and so under other thumbprints."""
    whole = parse(root(key=rsa_key(number=1)).issue("leaf", key=rsa_key(number=2)).der)
    whole.parts[2].content = signature

    with pytest.raises(CertificateRejected, match="the signature does not end with a byte"):
        Certificate.from_der(whole.encode())


@pytest.mark.bad_input("B43", "a serial number that is not positive", "device_certificate_invalid")
@pytest.mark.parametrize("serial", [b"\0", b"\x80", b"\xff\xff"])
def test_a_serial_number_that_is_not_positive_is_refused(serial: bytes) -> None:
    with pytest.raises(CertificateRejected, match="serial number"):
        Certificate.from_der(_with_serial(make("leaf").der, serial))


def _with_serial(der: bytes, serial: bytes) -> bytes:
    """Put another serial number of one or two bytes into ``der``, whose own has two."""
    at = der.index(bytes.fromhex("a003020102")) + 5
    assert der[at : at + 2] == b"\x02\x02"
    padded = serial if len(serial) == 2 else b"\0" + serial if serial == b"\0" else serial * 2
    return der[: at + 2] + padded + der[at + 4 :]


@pytest.mark.bad_input("B40", "an unknown critical extension", "device_certificate_invalid")
def test_an_unknown_critical_extension_is_refused() -> None:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")

    make("leaf", extensions=[(unknown, False)])
    with pytest.raises(CertificateRejected, match=r"1\.2\.3\.4"):
        make("leaf", extensions=[(unknown, True)])


@pytest.mark.bad_input("B40", "more subtrees than are read", "device_certificate_invalid")
@pytest.mark.parametrize("excess", [0, 1])
def test_subtrees_of_name_constraints_are_counted(excess: int) -> None:
    subtrees = [x509.DNSName(f"{number}.example.com") for number in range(MAX_NAMES + excess)]
    constraints = x509.NameConstraints(subtrees, None)

    if excess:
        with pytest.raises(CertificateRejected, match="nameConstraints"):
            root("ca", extensions=[(constraints, True)])
    else:
        assert root("ca", extensions=[(constraints, True)]).certificate.name_constraints


@pytest.mark.bad_input("B40", "more names than are read", "device_certificate_invalid")
def test_names_are_counted() -> None:
    make("leaf", uris=[f"urn:{number}" for number in range(MAX_NAMES)])
    with pytest.raises(CertificateRejected, match="subjectAltName"):
        make("leaf", uris=[f"urn:{number}" for number in range(MAX_NAMES + 1)])


@pytest.mark.bad_input("B43", "a certificate that is too long", "device_certificate_invalid")
@pytest.mark.parametrize("excess", [-1, 0, 1])
def test_the_size_of_a_certificate_is_limited(excess: int) -> None:
    padding = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"")
    plain = len(make("leaf", extensions=[(padding, False)]).der)

    def sized(count: int) -> bytes:
        filler = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), bytes(count))
        return make("leaf", extensions=[(filler, False)]).der

    wanted = MAX_CERTIFICATE_BYTES + excess
    count = wanted - plain - 32
    for _ in range(64):  # ECDSA signatures vary by a few bytes
        try:
            der = sized(count)
        except CertificateRejected as error:
            der = bytes(int(str(error).split()[3]))
        if len(der) == wanted:
            break
        count += 1 if len(der) < wanted else -1
    assert len(der) == wanted
    if excess > 0:
        with pytest.raises(CertificateRejected, match="exceeds"):
            Certificate.from_der(der)
    else:
        assert Certificate.from_der(der).der == der


@pytest.mark.bad_input("B36", "a key of an unknown kind", "device_certificate_invalid")
def test_a_key_of_an_unknown_kind_is_refused_when_used() -> None:
    der = make("leaf").der
    unknown = Certificate.from_der(
        der.replace(bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a8648ce3d030177"))
    )

    with pytest.raises(CertificateRejected, match="public key"):
        _ = unknown.public_key


@pytest.mark.clause("R54")
def test_a_chain_is_accepted_where_a_certificate_is_expected() -> None:
    leaf = root().issue("issuing", is_ca=True).issue("leaf")
    blob = b"".join(certificate.der for certificate in leaf.chain)

    assert decode_chain(blob) == leaf.chain
    assert split_chain(leaf.der) == (leaf.der,)


@pytest.mark.bad_input("B43", "bytes that are no chain", "device_certificate_invalid")
@pytest.mark.parametrize(
    ("blob", "why"),
    [
        (b"", "^an empty certificate$"),
        (b"\x30", "^chain: .* at offset 0"),
        (b"\x02\x01\x00", "^chain: .* tag 0x02"),
        (b"\x30\x82\x01\x00\x00", "^chain: .* 256 bytes"),
        (b"\x30\x00\x30", "^chain: .* at offset 2"),
    ],
)
def test_what_is_no_chain_is_refused(blob: bytes, why: str) -> None:
    with pytest.raises(CertificateRejected, match=why):
        split_chain(blob)


@pytest.mark.bad_input(
    "B34", "a chain of more certificates than are read", "device_certificate_invalid"
)
def test_the_length_of_a_chain_is_limited() -> None:
    assert len(split_chain(b"\x30\x00" * MAX_CHAIN_LENGTH)) == MAX_CHAIN_LENGTH
    with pytest.raises(CertificateRejected, match=f"more than {MAX_CHAIN_LENGTH} certificates"):
        split_chain(b"\x30\x00" * (MAX_CHAIN_LENGTH + 1))


def test_the_size_of_a_chain_is_limited() -> None:
    longest = encode(SEQUENCE, bytes(MAX_CERTIFICATE_BYTES - 4))
    chain = longest * MAX_CHAIN_LENGTH

    assert split_chain(chain) == (longest,) * MAX_CHAIN_LENGTH
    with pytest.raises(CertificateRejected, match=f"a chain of {len(chain) + 1} bytes"):
        split_chain(chain + b"\0")


_VALID = make("leaf", uris=[DEVICE_URI], key_usage=usage("digital_signature"), pointer=True).der


@given(data=st.binary(max_size=200))
def test_arbitrary_bytes_raise_only_certificate_rejected(data: bytes) -> None:
    for read in (Certificate.from_der, split_chain, decode_chain):
        with suppress(CertificateRejected):
            read(data)


@pytest.mark.bad_input("B43", "a certificate with a changed byte", "device_certificate_invalid")
@given(at=st.integers(0, len(_VALID) - 1), value=st.integers(0, 255))
def test_a_changed_byte_raises_only_certificate_rejected(at: int, value: int) -> None:
    changed = _VALID[:at] + bytes([value]) + _VALID[at + 1 :]
    try:
        certificate = Certificate.from_der(changed)
        assert isinstance(certificate.subject + certificate.issuer, str)
        _ = certificate.public_key
    except CertificateRejected:
        return
    assert certificate.der == changed


def test_a_name_against_the_rules_is_read_without_a_warning() -> None:
    """The country of a subject has two letters; a library would complain on our stderr."""
    der = make("name").der.replace(bytes.fromhex("550403"), bytes.fromhex("550406"))

    assert Certificate.from_der(der).subject == "C=name"


def test_a_name_that_is_no_text_is_called_so() -> None:
    der = make("name").der.replace(b"\x0c\x04name", b"\x0c\x04\xff\xff\xff\xff")

    assert Certificate.from_der(der).subject == "(a name that cannot be read)"


@pytest.mark.bad_input("B43", "a certificate of the first version", "device_certificate_invalid")
def test_a_certificate_of_the_first_version_is_refused() -> None:
    whole = parse(make("leaf").der)
    whole.parts[0].parts = whole.parts[0].parts[1:-1]

    with pytest.raises(CertificateRejected, match="v3"):
        Certificate.from_der(whole.encode())


# What a stranger may make us keep


def test_little_is_kept_of_the_extensions_of_a_certificate() -> None:
    """Certificates are remembered, those of strangers as well."""
    points = [x509.DistributionPoint([x509.UniformResourceIdentifier("")] * 1700, None, None, None)]
    extension = x509.CRLDistributionPoints(points)
    ders = [root(f"{number}", extensions=[(extension, False)]).der for number in range(16)]
    tracemalloc.start()
    kept = [Certificate(der, outline(der)) for der in ders]
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert all(one.has_revocation_pointer for one in kept)
    assert size < 2 * sum(map(len, ders))


@pytest.mark.bad_input(
    "B40", "more than 64 usages in extendedKeyUsage", "device_certificate_invalid"
)
@pytest.mark.parametrize(("usages", "fits"), [(64, True), (65, False)])
def test_a_certificate_has_few_extended_usages(usages: int, fits: bool) -> None:
    kinds = [x509.ObjectIdentifier(f"1.3.6.1.4.1.{number}") for number in range(usages)]

    if fits:
        assert len(make("device", extended=kinds).certificate.extended_key_usage or ()) == usages
    else:
        with pytest.raises(CertificateRejected, match="more than 64 usages"):
            make("device", extended=kinds)


@pytest.mark.bad_input("B37", "a Name of more than 1,024 bytes", "device_certificate_invalid")
@pytest.mark.parametrize(("last", "fits"), [(34, True), (35, False)])
def test_a_name_is_short(last: int, fits: bool) -> None:
    units = [*[64] * 13, last]
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "n" * size) for size in units]
    )

    if fits:
        assert len(make(subject).certificate.subject_bytes) == MAX_NAME_BYTES
    else:
        with pytest.raises(CertificateRejected, match=f"a name of {MAX_NAME_BYTES + 1} bytes"):
            make(subject)
