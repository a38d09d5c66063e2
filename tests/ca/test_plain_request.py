"""What the compiled twin reads of a usual signing request is what the library reads."""

from __future__ import annotations

from ipaddress import ip_address
from random import Random

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from registrar.ca import KeyType, check_signing_request, key_digest
from registrar.ca.keys import public_key_der
from registrar.ca.signing_request import PlainRequest, read_plain_request
from registrar.errors import Rejected
from registrar.native import missing_extensions
from tests.ca.building import DEVICE_URI, key, request
from tests.fuzz.der_mutator import mutate

pytestmark = pytest.mark.skipif(
    "signing_request" in missing_extensions(), reason="only the compiled twin recognises any"
)
MUTANTS = 3_000
RSA = key(KeyType.RSA_2048)
NAMES = (
    x509.UniformResourceIdentifier(DEVICE_URI),
    x509.DNSName("pump-1.example"),
    x509.DNSName("no host name"),
    x509.IPAddress(ip_address("10.0.0.7")),
    x509.IPAddress(ip_address("fe80::1")),
    x509.UniformResourceIdentifier("urn:other"),
)
GOOD = request(RSA, names=NAMES)


def with_more(digest: hashes.SHA256 | hashes.SHA384 | hashes.SHA512) -> bytes:
    """Return a request with more extensions than the names."""
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pump")]))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(NAMES), critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.OID_SERVER_AUTH]), critical=False)
    )
    return builder.sign(RSA, digest).public_bytes(Encoding.DER)


def read(der: bytes) -> PlainRequest | None:
    plain = read_plain_request(der)
    return None if plain is None else PlainRequest._make(plain)


def assert_as_the_library(plain: PlainRequest, der: bytes) -> None:
    parsed = x509.load_der_x509_csr(der)
    names = x509.SubjectAlternativeName([])
    for extension in parsed.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            names = extension.value
    public_key = parsed.public_key()
    digest = parsed.signature_hash_algorithm
    assert isinstance(public_key, rsa.RSAPublicKey)
    assert digest is not None

    assert plain.info == parsed.tbs_certrequest_bytes
    assert plain.key == public_key_der(public_key)
    assert plain.key_bits == public_key.key_size
    assert public_key.public_numbers().e == 65_537
    assert plain.uris == tuple(names.get_values_for_type(x509.UniformResourceIdentifier))
    assert plain.dns_names == tuple(names.get_values_for_type(x509.DNSName))
    assert list(map(ip_address, plain.addresses)) == names.get_values_for_type(x509.IPAddress)
    assert len(plain.uris) + len(plain.dns_names) + len(plain.addresses) == len(list(names))
    assert plain.algorithm == f"RS{digest.name.removeprefix('sha')}"
    assert plain.signature == parsed.signature


@pytest.mark.parametrize("digest", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
def test_a_usual_request_is_recognised(
    digest: hashes.SHA256 | hashes.SHA384 | hashes.SHA512,
) -> None:
    for der in (GOOD, with_more(digest)):
        plain = read(der)

        assert plain is not None
        assert_as_the_library(plain, der)


def test_what_is_checked_of_it_is_what_the_library_would_have_said() -> None:
    checked = check_signing_request(GOOD, application_uri=DEVICE_URI)

    assert checked.key_digest == key_digest(RSA.public_key())
    assert public_key_der(checked.public_key) == public_key_der(RSA.public_key())
    assert checked.dns_names == ("pump-1.example",)
    assert checked.ip_addresses == (ip_address("10.0.0.7"), ip_address("fe80::1"))


@pytest.mark.parametrize(
    "der",
    [
        b"",
        GOOD[:-1],
        GOOD + b"\0",
        request(key()),
        request(RSA, names=()),
        request(RSA, names=(*NAMES, x509.RegisteredID(x509.ObjectIdentifier("1.2.3")))),
        GOOD.replace(b"\x02\x01\x00", b"\x02\x01\x01", 1),
    ],
    ids=["nothing", "cut", "a byte more", "a curve", "no names", "another name", "version 2"],
)
def test_others_are_left_to_the_library(der: bytes) -> None:
    assert read(der) is None


def test_what_is_recognised_of_mutants_is_what_the_library_reads() -> None:
    random = Random(7)
    good = [GOOD, with_more(hashes.SHA256())]
    recognised = 0

    for number in range(MUTANTS):
        der = mutate(good[number % 2], random, good)
        plain = read(der)
        if plain is None:
            continue
        recognised += 1
        assert_as_the_library(plain, der)
        try:
            checked = check_signing_request(der, application_uri=DEVICE_URI)
        except Rejected:
            continue
        assert checked.key_digest == key_digest(RSA.public_key())
    assert recognised > MUTANTS // 20
