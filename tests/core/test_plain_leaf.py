"""The short way of usual Device certificates says what reading and searching all of it say."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from random import Random
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding

from registrar.core import der as asn1
from registrar.core.certificate import Certificate, outline, read_plain_leaf
from registrar.core.path import SignatureBudget, validate_path
from registrar.core.trust import TrustList
from registrar.core.validation import DEVICE_IDENTITY, Anchor, Check, Purpose, ValidationOptions
from registrar.errors import CertificateRejected
from registrar.native import missing_extensions
from tests.core.building import DEVICE_URI, NOW, YEAR, Issued, name, root, rsa_key, trusting, usage
from tests.fuzz.der_mutator import mutate

pytestmark = pytest.mark.skipif(
    "certificate" in missing_extensions(), reason="only the compiled twin recognises any"
)
MUTANTS = 3_000
CA = root("the root", key=rsa_key(number=1))
CURVE = root("the root")
"""Signs with ECDSA, for keys that are RSA all the same."""
NAMES = [x509.DNSName("device.local")]


def leaf(ca: Issued = CA, **options: Any) -> Certificate:
    given: dict[str, Any] = {"key": rsa_key(number=2), "uris": [DEVICE_URI], "names": NAMES}
    return ca.issue("leaf", **given | options).certificate


def naming(issuer: x509.Name | None = None) -> dict[str, Any]:
    """Return options for an authorityKeyIdentifier that names issuer and serial number too."""
    parsed, ski = CURVE.certificate.parsed, CURVE.certificate.ski
    names = [x509.DirectoryName(issuer or parsed.issuer)]
    identifier = x509.AuthorityKeyIdentifier(ski, names, parsed.serial_number)
    return {"aki": False, "extensions": [(identifier, False)]}


def read_in_full(certificate: Certificate) -> Certificate:
    return Certificate(certificate.der, outline(certificate.der))


def outcome(
    certificate: Certificate, trust: TrustList, now: datetime, options: ValidationOptions
) -> Sequence[object]:
    """Return all that can be told of the validation."""
    budget = SignatureBudget()
    try:
        path = validate_path(certificate, trust=trust, now=now, options=options, budget=budget)
    except CertificateRejected as error:
        return error.status, str(error)
    return path.certificates, path.suppressed, path.anchors, path.ends, budget.left


@pytest.mark.parametrize(("ca", "algorithm"), [(CA, "RS256"), (CURVE, "ES256")])
def test_a_usual_leaf_is_recognised(ca: Issued, algorithm: str) -> None:
    certificate = leaf(ca, extended=[x509.OID_SERVER_AUTH], pointer=True)

    assert certificate.plain is not None
    assert certificate.plain.key_bits == 2048
    assert certificate.plain.algorithm == algorithm
    assert certificate.plain.signature == certificate.parsed.signature


@pytest.mark.parametrize(
    "certificate",
    [
        CA.certificate,
        leaf(is_ca=True),
        leaf(key=None),
        leaf(key=rsa_key(2040)),
        leaf(key_usage=usage("key_agreement")),
        leaf(extended=[x509.OID_CODE_SIGNING]),
        leaf(**naming(name("de", x509.NameOID.COUNTRY_NAME))),
        root("alone", key=rsa_key(number=1)).issue("alone", key=rsa_key(number=2)).certificate,
    ],
)
def test_others_are_left_to_the_library(certificate: Certificate) -> None:
    assert certificate.plain is None


@pytest.mark.parametrize(
    "name",
    [
        *("the root", "The ROOT", "the  root", " the root", "the root ", "  tHe   rOOt  "),
        *("theroot", "the roo", "the root t", "the rooT2", "t he root", "the root's", "th@ root"),
    ],
)
def test_a_leaf_is_recognised_where_its_issuer_has_another_name(name: str) -> None:
    certificate = CA.issue(name, key=rsa_key(number=2), uris=[DEVICE_URI]).certificate
    reference = read_in_full(certificate)

    assert (certificate.plain is None) is reference.is_self_issued
    assert certificate.is_self_issued is reference.is_self_issued
    assert reference.is_self_issued is (reference.subject_name == reference.issuer_name)


def test_a_leaf_whose_key_cannot_be_read_is_left_to_the_library() -> None:
    """Its CA signed it; the length inside the key leaves the key."""
    good = leaf()
    broken = good.public_key_der.replace(b"\x30\x82\x01\x0a", b"\x30\x82\x21\x0a")
    tbs = good.tbs_bytes.replace(good.public_key_der, broken)
    key = rsa_key(number=1)
    signature = key.sign(tbs, padding.PKCS1v15(), hashes.SHA256())
    algorithm = bytes.fromhex("300d06092a864886f70d01010b0500")
    bits = asn1.encode(asn1.BIT_STRING, b"\0" + signature)
    der = asn1.encode(asn1.SEQUENCE, tbs + algorithm + bits)

    certificate = Certificate.from_der(der)

    assert certificate.plain is None
    with pytest.raises(CertificateRejected, match="public key"):
        validate_path(certificate, trust=trusting(CA), now=NOW, options=DEVICE_IDENTITY)


@pytest.mark.parametrize("ca", [CA, CURVE])
@pytest.mark.parametrize("pointer", [False, True])
@pytest.mark.parametrize("aki", [{"aki": False}, {"aki": True}, naming()])
def test_each_field_is_the_same_as_read_in_full(
    ca: Issued, pointer: bool, aki: dict[str, Any]
) -> None:
    certificate = leaf(ca, pointer=pointer, **aki)
    reference = read_in_full(certificate)

    assert certificate.plain is not None
    assert certificate.serial_number == reference.serial_number
    for field in vars(reference):
        if field != "plain":
            assert getattr(certificate, field) == getattr(reference, field), field
    with pytest.raises(AttributeError):
        certificate.unheard_of  # type: ignore[attr-defined]  # noqa: B018


def test_what_is_recognised_of_mutants_is_what_the_library_reads() -> None:
    random = Random(7)
    good = [
        leaf().der,
        leaf(CURVE).der,
        leaf(CURVE, **naming()).der,
        leaf(pointer=True, extended=[x509.OID_SERVER_AUTH]).der,
    ]
    recognised = 0

    for number in range(MUTANTS):
        der = mutate(good[number % len(good)], random, good)
        if read_plain_leaf(der) is None:
            continue
        recognised += 1
        certificate = Certificate.from_der(der)
        reference = read_in_full(certificate)
        assert certificate.plain is not None
        assert reference.key_usage is None or reference.key_usage.digital_signature
        assert not reference.is_ca
        for field in ("not_before", "not_after", "san_uris", "aki", "has_revocation_pointer"):
            assert getattr(certificate, field) == getattr(reference, field), field
        assert certificate.serial_number == reference.serial_number
        trust = trusting(CA, CURVE)
        assert outcome(certificate, trust, NOW, DEVICE_IDENTITY) == outcome(
            reference, trust, NOW, DEVICE_IDENTITY
        )
    assert recognised > MUTANTS // 20


STRANGER = root("the root", key=rsa_key(number=3))
ABOVE = root("above")
BELOW = ABOVE.issue("the root", key=rsa_key(number=1), is_ca=True)
UNREADABLE = Certificate.from_der(
    root("the root", ski=False).certificate.der.replace(
        bytes.fromhex("06082A8648CE3D030107"), bytes.fromhex("06082A8648CE3D030109")
    )
)
"""Its curve is unknown."""
LISTS = {
    "the root": trusting(CA),
    "a namesake beside it": trusting(CA, STRANGER),
    "a namesake on a curve": trusting(CURVE),
    "both": trusting(CURVE, CA),
    "a namesake alone": trusting(STRANGER),
    "a namesake without a readable key": trusting(UNREADABLE),
    "the root's key below another root": trusting(ABOVE, BELOW),
    "an issuer without its root": trusting(BELOW),
    "nobody": TrustList(),
    "an issuer without trust": trusting(issuers=[CA]),
    "stopped": replace(trusting(CA), stopped=frozenset({CA.certificate.key_digest})),
    "another stopped": replace(trusting(CA), stopped=frozenset({ABOVE.certificate.key_digest})),
    "a namesake on an Edwards curve": trusting(
        root("the root", key=ed25519.Ed25519PrivateKey.generate(), ski=False)
    ),
    "a CRL": trusting(CA, crls=[CA.crl()]),
    "an old CRL": trusting(CA, crls=[CA.crl(next_update=NOW)]),
}
LATER = (NOW, NOW + 2 * YEAR, NOW - 2 * YEAR)
OPTIONS = {
    "default": DEVICE_IDENTITY,
    "the URI": replace(DEVICE_IDENTITY, application_uri=DEVICE_URI),
    "another URI": replace(DEVICE_IDENTITY, application_uri="urn:other"),
    "a host": replace(DEVICE_IDENTITY, host="device.local", suppress=frozenset()),
    "short keys": replace(DEVICE_IDENTITY, max_rsa_bits=1024),
    "long keys": replace(DEVICE_IDENTITY, min_rsa_bits=4096),
    "the leaf alone": replace(DEVICE_IDENTITY, anchor=Anchor.LEAF),
    "whoever comes": replace(DEVICE_IDENTITY, check_trust=False),
    "no skipping": replace(DEVICE_IDENTITY, skip_revocation_without_pointer=False),
    "old issuers": replace(
        DEVICE_IDENTITY, suppress=DEVICE_IDENTITY.suppress | {Check.ISSUER_EXPIRED}
    ),
    "an application": replace(DEVICE_IDENTITY, purpose=Purpose.APPLICATION),
}


@pytest.mark.parametrize("trust", LISTS.values(), ids=LISTS.keys())
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
@pytest.mark.parametrize("pointer", [False, True])
def test_the_short_way_tells_what_the_search_tells(
    trust: TrustList, options: ValidationOptions, pointer: bool
) -> None:
    for certificate in (
        leaf(pointer=pointer),
        leaf(CURVE, pointer=pointer),
        leaf(pointer=pointer, not_after=NOW + 3 * YEAR),
    ):
        for now in LATER:
            assert outcome(certificate, trust, now, options) == outcome(
                read_in_full(certificate), trust, now, options
            )


@pytest.mark.parametrize("ca", [CA, CURVE])
def test_a_revoked_leaf_is_refused(ca: Issued) -> None:
    certificate = leaf(ca)
    trust = trusting(ca, crls=[ca.crl(certificate)])

    with pytest.raises(CertificateRejected, match="is on a CRL"):
        validate_path(certificate, trust=trust, now=NOW, options=DEVICE_IDENTITY)


@pytest.mark.parametrize("left", [0, 1, 2])
def test_the_short_way_takes_no_more_signatures_than_there_are_left(left: int) -> None:
    budget = SignatureBudget(left)

    with suppress(CertificateRejected):
        validate_path(leaf(), trust=trusting(CA), now=NOW, options=DEVICE_IDENTITY, budget=budget)

    assert budget.left == 0
