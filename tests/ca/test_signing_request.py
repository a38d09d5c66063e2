"""Only the public key of a signing request is believed, and only after it proved itself (T21)."""

from __future__ import annotations

import math
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import example, given
from hypothesis import strategies as st

from registrar.ca import KeyType, SigningRequest, check_signing_request, key_digest
from registrar.ca.signing_request import MAX_NAMES, MAX_REQUEST_BYTES
from registrar.errors import Reason, Rejected
from tests.ca.building import DEVICE_URI, key, request

URI = x509.UniformResourceIdentifier(DEVICE_URI)


def check(der: bytes) -> SigningRequest:
    return check_signing_request(der, application_uri=DEVICE_URI)


def refused(der: bytes) -> str:
    with pytest.raises(Rejected) as error:
        check(der)
    assert error.value.reason is Reason.SIGNING_REQUEST_INVALID
    return str(error.value)


def tlv(tag: int, value: bytes) -> bytes:
    length = len(value)
    if length < 0x80:
        return bytes((tag, length)) + value
    octets = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(octets))) + octets + value


def integer(value: int) -> bytes:
    return tlv(2, value.to_bytes(value.bit_length() // 8 + 1))


def with_rsa_numbers(modulus: int, exponent: int) -> bytes:
    """Return a request whose key has these numbers, which no library would make."""
    signing = key(KeyType.RSA_2048)
    honest = x509.load_der_x509_csr(request(signing))
    numbers = signing.public_key().public_numbers()
    assert isinstance(numbers, rsa.RSAPublicNumbers)
    old = tlv(3, b"\0" + tlv(0x30, integer(numbers.n) + integer(numbers.e)))
    new = tlv(3, b"\0" + tlv(0x30, integer(modulus) + integer(exponent)))
    tbs = honest.tbs_certrequest_bytes
    algorithm = bytes.fromhex("300d06092a864886f70d0101010500")
    assert tlv(0x30, algorithm + old) in tbs
    changed = tbs.replace(tlv(0x30, algorithm + old), tlv(0x30, algorithm + new))
    body = tlv(0x30, changed[4:])
    assert isinstance(signing, rsa.RSAPrivateKey)
    signature = signing.sign(body, padding.PKCS1v15(), hashes.SHA256())
    signed_with = bytes.fromhex("300d06092a864886f70d01010b0500")
    return tlv(0x30, body + signed_with + tlv(3, b"\0" + signature))


@pytest.mark.clause("OPC 10000-12 §7.10.10")
@pytest.mark.parametrize("key_type", [KeyType.EC_P256, KeyType.EC_P384, KeyType.RSA_2048])
def test_the_key_is_taken_and_the_names_are_proposals(key_type: KeyType) -> None:
    names = (
        URI,
        x509.DNSName("pump-1.example"),
        x509.DNSName("not a host name"),
        x509.DNSName("pump-1.example"),
        x509.IPAddress(ip_address("10.0.0.7")),
    )

    checked = check(request(key(key_type), names=names))

    assert checked.key_digest == key_digest(key(key_type).public_key())
    assert checked.dns_names == ("pump-1.example",)
    assert checked.ip_addresses == (ip_address("10.0.0.7"),)


@pytest.mark.parametrize("curve", [ec.BrainpoolP256R1(), ec.BrainpoolP384R1()])
def test_brainpool_keys_are_accepted(curve: ec.EllipticCurve) -> None:
    assert check(request(ec.generate_private_key(curve))).public_key


def test_the_uri_may_stand_anywhere_among_the_names() -> None:
    other = x509.UniformResourceIdentifier("urn:other")

    assert check(request(names=(x509.DNSName("pump"), other, URI))).dns_names == ("pump",)


@pytest.mark.parametrize(
    "names",
    [
        (),
        (x509.DNSName("pump"),),
        (x509.UniformResourceIdentifier("urn:another:application"),),
        (x509.UniformResourceIdentifier(DEVICE_URI.upper()),),
        (x509.UniformResourceIdentifier(DEVICE_URI + "\0"),),
    ],
)
def test_a_request_for_another_application_is_refused(names: tuple[x509.GeneralName, ...]) -> None:
    assert refused(request(names=names))


@pytest.mark.parametrize("position", [-1, -20])
def test_a_request_needs_the_signature_of_its_key(position: int) -> None:
    der = bytearray(request(key(KeyType.RSA_2048)))

    der[position] ^= 1

    assert "not signed" in refused(bytes(der))


def test_the_key_of_another_is_not_proven() -> None:
    mine, other = request(key(number=1)), request(key(number=2))
    theirs = x509.load_der_x509_csr(other)
    own = x509.load_der_x509_csr(mine)
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")

    stolen = tlv(0x30, theirs.tbs_certrequest_bytes + algorithm + tlv(3, b"\0" + own.signature))

    assert "not signed" in refused(stolen)


@pytest.mark.slow
@pytest.mark.parametrize(("bits", "fits"), [(2047, False), (2048, True), (4096, True)])
def test_rsa_keys_have_2048_to_4096_bits(bits: int, fits: bool) -> None:
    der = request(rsa.generate_private_key(65537, bits))

    if fits:
        assert check(der)
    else:
        assert "bits" in refused(der)


@pytest.mark.parametrize("bits", [2047, 4097, 8192])
def test_other_lengths_are_refused_before_any_arithmetic(bits: int) -> None:
    assert f"{bits} bits" in refused(with_rsa_numbers(2 ** (bits - 1) + 1, 65537))


@pytest.mark.parametrize("exponent", [3, 65535, 65538, 2**32 + 1, 2**64 + 1])
def test_exponents_are_refused_outside_their_limits(exponent: int) -> None:
    numbers = key(KeyType.RSA_2048).public_key().public_numbers()
    assert isinstance(numbers, rsa.RSAPublicNumbers)

    message = refused(with_rsa_numbers(numbers.n, exponent))

    assert "exponent" in message or "e must be" in message  # the library refuses some itself


@pytest.mark.parametrize("exponent", [65537, 65539, 2**32 - 1])
def test_exponents_within_their_limits_go_on_to_the_signature(exponent: int) -> None:
    numbers = key(KeyType.RSA_2048).public_key().public_numbers()
    assert isinstance(numbers, rsa.RSAPublicNumbers)
    der = with_rsa_numbers(numbers.n, exponent)

    if exponent == numbers.e:
        assert check(der)
    else:
        assert "not signed" in refused(der)


def test_a_modulus_that_anybody_can_factor_is_refused() -> None:
    smooth = math.prod([1999] * 187)  # 2,051 bits
    assert 2048 <= smooth.bit_length() <= 4096

    assert "small factor" in refused(with_rsa_numbers(smooth, 65537))


@pytest.mark.parametrize("factor", [3, 5, 53, 59, 1009, 1993, 1997, 1999])
def test_one_small_factor_is_enough(factor: int) -> None:
    modulus = factor * (2**2_203 - 1)  # a Mersenne prime

    assert "small factor" in refused(with_rsa_numbers(modulus, 65537))


def test_kinds_of_key_without_a_certificate_type_are_refused() -> None:
    subject = x509.Name([])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    builder = builder.add_extension(x509.SubjectAlternativeName([URI]), critical=False)
    edwards = builder.sign(ed25519.Ed25519PrivateKey.generate(), None)

    assert "neither RSA" in refused(edwards.public_bytes(Encoding.DER))
    assert "curve" in refused(request(ec.generate_private_key(ec.SECP256K1())))
    assert "curve" in refused(request(ec.generate_private_key(ec.SECP521R1())))


def test_the_subject_alternative_name_is_bounded() -> None:
    names = tuple(x509.DNSName(f"n{number}") for number in range(MAX_NAMES))

    assert len(check(request(names=(URI, *names[1:]))).dns_names) == MAX_NAMES - 1
    assert "entries" in refused(request(names=(URI, *names)))


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_a_request_has_a_largest_size(over: int) -> None:
    message = refused(b"\x30" * (MAX_REQUEST_BYTES + over))

    assert ("exceed" in message) is (over > 0)


def test_trailing_bytes_are_refused() -> None:
    assert refused(request() + b"\0")


HONEST = request()


@given(
    der=st.binary(max_size=64)
    | st.integers(0, len(HONEST)).map(lambda cut: HONEST[:cut])
    | st.tuples(st.integers(0, len(HONEST) - 1), st.integers(1, 255)).map(
        lambda change: (
            HONEST[: change[0]] + bytes([HONEST[change[0]] ^ change[1]]) + HONEST[change[0] + 1 :]
        )
    )
)
@example(der=b"")
@example(der=HONEST.replace(b"\x02\x01\x00", b"\x02\x01\x01", 1))  # version 2
@example(der=b"\x30\x84\xff\xff\xff\xff")
def test_any_bytes_are_accepted_or_refused_and_nothing_else(der: bytes) -> None:
    reason = None
    digest = key_digest(key().public_key())

    try:
        digest = check(der).key_digest
    except Rejected as error:
        reason = error.reason

    assert reason in (None, Reason.SIGNING_REQUEST_INVALID)
    assert digest == key_digest(key().public_key())
