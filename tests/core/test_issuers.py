"""What a list remembers of the CAs above a plain leaf says what a search says, at any time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from registrar.core import der as asn1
from registrar.core import issuers as module
from registrar.core.certificate import MAX_CHAIN_LENGTH, Certificate, PlainLeaf, outline
from registrar.core.crl import Crl
from registrar.core.issuers import known_above
from registrar.core.path import SignatureBudget, validate_path
from registrar.core.trust import TrustList
from registrar.core.validation import DEVICE_IDENTITY, Anchor, Check, Purpose, ValidationOptions
from registrar.errors import CertificateRejected
from registrar.native import missing_extensions
from registrar.status import StatusCode
from tests.core.building import (
    DEVICE_URI,
    NOW,
    Issued,
    ec_key,
    root,
    rsa_key,
    trusting,
    usage,
    with_sha1,
)

pytestmark = pytest.mark.skipif(
    "certificate" in missing_extensions(), reason="only the compiled twin recognises any"
)
DAY = timedelta(days=1)
TOP = root("top")
MIDDLE = TOP.issue("middle", is_ca=True, key=rsa_key(number=1))


def leaf(ca: Issued = MIDDLE, **options: Any) -> Certificate:
    return ca.issue(
        "leaf", **{"key": rsa_key(number=2), "uris": [DEVICE_URI]} | options
    ).certificate


LEAF = leaf()
LONG = leaf(key=rsa_key(3072))


def middle(**options: Any) -> Issued:
    """Return what may stand between ``TOP`` and ``LEAF``."""
    return TOP.issue("middle", **{"is_ca": True, "key": rsa_key(number=1)} | options)


def below(ca: Issued, count: int) -> Sequence[Issued]:
    """Return a chain of CAs under ``ca``, the last of which may have issued ``LEAF``."""
    chain = [ca]
    for number in range(count - 1):
        chain.append(chain[-1].issue(f"ca {number}", is_ca=True))
    return [*chain, chain[-1].issue("middle", is_ca=True, key=rsa_key(number=1))]


def limited(*domains: str, **options: Any) -> Issued:
    names = [x509.UniformResourceIdentifier(domain) for domain in domains]
    constraints = x509.NameConstraints(permitted_subtrees=names, excluded_subtrees=None)
    return middle(extensions=[(constraints, True)], **options)


def outcome(
    certificate: Certificate,
    lists: Sequence[TrustList],
    *,
    now: datetime = NOW,
    options: ValidationOptions = DEVICE_IDENTITY,
    sent: Sequence[Certificate] = (),
    left: int = 20,
) -> Sequence[object]:
    """Return all that can be told of a validation."""
    budget = SignatureBudget(left)
    trust, *further = lists
    try:
        path = validate_path(
            certificate,
            intermediates=sent,
            trust=trust,
            further=further,
            now=now,
            options=options,
            budget=budget,
        )
    except CertificateRejected as error:
        return error.status, error.reason, error.subject, str(error)
    return path.certificates, path.suppressed, path.anchors, path.ends, budget.left


def searched(
    certificate: Certificate, *lists: Sequence[TrustList], **more: Any
) -> Sequence[object]:
    """Return the outcome for a leaf that is read in full, so that nothing remembered is asked."""
    return outcome(Certificate(certificate.der, outline(certificate.der)), *lists, **more)


def unreadable() -> Certificate:
    """Return a CA that ``TOP`` signed, with a key on a curve that nobody knows."""
    good = TOP.issue("middle", is_ca=True, ski=False).certificate
    curve = bytes.fromhex("06082a8648ce3d0301")
    tbs = good.tbs_bytes.replace(curve + b"\x07", curve + b"\x09")
    assert isinstance(TOP.key, ec.EllipticCurvePrivateKey)
    signature = TOP.key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")
    bits = asn1.encode(asn1.BIT_STRING, b"\0" + signature)
    return Certificate.from_der(asn1.encode(asn1.SEQUENCE, tbs + algorithm + bits))


def endless(ca: Issued) -> Crl:
    """Return a CRL of ``ca``, whose key is on P-256, without nextUpdate."""
    crl = ca.crl()
    assert crl.next_update is not None
    assert isinstance(ca.key, ec.EllipticCurvePrivateKey)
    whole = x509.load_der_x509_crl(crl.der).tbs_certlist_bytes
    end = f"\x17\x0d{crl.next_update:%y%m%d%H%M%SZ}".encode()
    head = 2 + (whole[1] & 0x7F if whole[1] & 0x80 else 0)
    tbs = asn1.encode(asn1.SEQUENCE, whole[head:].replace(end, b""))
    signature = ca.key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")
    bits = asn1.encode(asn1.BIT_STRING, b"\0" + signature)
    made = Crl.from_der(asn1.encode(asn1.SEQUENCE, tbs + algorithm + bits))
    assert made.next_update is None
    return made


OTHER_KEY = x509.AuthorityKeyIdentifier(b"another key", None, None)
OLD = root("old", key=rsa_key(number=3))
EDWARDS = ed25519.Ed25519PrivateKey.generate()
AGAIN = TOP.issue("top", is_ca=True)
"""Self-issued: the next key of the root, signed by the one before."""
LOOP = root("loop")
ROUND = LOOP.issue("round", is_ca=True)
ALONG = ROUND.issue("loop", is_ca=True, key=LOOP.key)
LISTS = {
    "the root": trusting(TOP, issuers=[MIDDLE]),
    "the issuer": trusting(MIDDLE, issuers=[TOP]),
    "both": trusting(TOP, MIDDLE),
    "the root alone": trusting(TOP),
    "the issuer alone": trusting(MIDDLE),
    "neither trusted": trusting(issuers=[TOP, MIDDLE]),
    "the leaf as well": trusting(LEAF, TOP, MIDDLE),
    "nobody": TrustList(),
    "CRLs": trusting(TOP, MIDDLE, crls=[TOP.crl(), MIDDLE.crl()]),
    "a CRL of the root": trusting(TOP, MIDDLE, crls=[TOP.crl()]),
    "a CRL of the issuer": trusting(TOP, MIDDLE, crls=[MIDDLE.crl()]),
    "a short CRL of the root": trusting(
        TOP, MIDDLE, crls=[TOP.crl(next_update=NOW + DAY), MIDDLE.crl()]
    ),
    "a short CRL of the issuer": trusting(
        TOP, MIDDLE, crls=[TOP.crl(), MIDDLE.crl(next_update=NOW + DAY)]
    ),
    "a CRL of tomorrow": trusting(
        TOP, MIDDLE, crls=[TOP.crl(this_update=NOW + DAY), MIDDLE.crl(this_update=NOW + 2 * DAY)]
    ),
    "two CRLs of the root": trusting(
        TOP, MIDDLE, crls=[TOP.crl(), TOP.crl(number=2, next_update=NOW + 40 * DAY), MIDDLE.crl()]
    ),
    "two CRLs of the issuer": trusting(
        TOP, MIDDLE, crls=[TOP.crl(), MIDDLE.crl(), MIDDLE.crl(next_update=NOW + DAY, number=2)]
    ),
    "a CRL that does not end": trusting(TOP, MIDDLE, crls=[endless(TOP), MIDDLE.crl()]),
    "a forged CRL": trusting(TOP, MIDDLE, crls=[MIDDLE.crl(LEAF, key=TOP.key)]),
    "the issuer revoked": trusting(TOP, MIDDLE, crls=[TOP.crl(MIDDLE.certificate), MIDDLE.crl()]),
    "the leaf revoked": trusting(TOP, MIDDLE, crls=[TOP.crl(), MIDDLE.crl(LEAF)]),
    "one of the name": trusting(TOP, MIDDLE, TOP.issue("middle", is_ca=True)),
    "one of the name and key": trusting(TOP, MIDDLE, middle(not_after=NOW + DAY)),
    "another root of the name": trusting(TOP, MIDDLE, root("top", ski=False)),
    "a root that is self-issued": trusting(TOP, AGAIN, *below(AGAIN, 1)),
    "two roots of one key": trusting(TOP, MIDDLE, root("top", key=TOP.key)),
    "one of the name first": trusting(TOP, TOP.issue("middle", is_ca=True), MIDDLE),
    "an issuer without key identifier": trusting(TOP, middle(ski=False)),
    "a root without key identifier": trusting(MIDDLE, root("top", key=TOP.key, ski=False)),
    "a circle": trusting(ROUND, ALONG, *below(ALONG, 1)[1:]),
    "a short issuer": trusting(TOP, middle(not_after=NOW + DAY)),
    "a young issuer": trusting(TOP, middle(not_before=NOW + DAY)),
    "a root that ends": trusting(*below(root("old", not_after=NOW + DAY), 1)),
    "no CA": trusting(TOP, middle(is_ca=False)),
    "no keyCertSign": trusting(TOP, middle(key_usage=usage("crl_sign"))),
    "a pointer": trusting(TOP, middle(pointer=True)),
    "a pointer and CRLs": trusting(TOP, middle(pointer=True), crls=[TOP.crl(), MIDDLE.crl()]),
    "a short key": trusting(*below(root("weak", key=rsa_key(1024)), 1)),
    "a short curve": trusting(*below(root("weak", key=ec_key(ec.SECP224R1())), 1)),
    "a longer key": trusting(*below(root("strong", key=rsa_key(3072)), 1)),
    "an issuer signed over SHA-1": trusting(
        OLD, with_sha1(OLD.issue("middle", is_ca=True, key=rsa_key(number=1)), OLD)
    ),
    "a root signed over SHA-1": trusting(with_sha1(OLD, OLD), *below(OLD, 1)[1:]),
    "an Edwards root": trusting(*below(root("edwards", key=EDWARDS), 1)),
    "an Edwards issuer": trusting(TOP, TOP.issue("middle", is_ca=True, key=EDWARDS, ski=False)),
    "an issuer whose key cannot be read": trusting(TOP, unreadable()),
    "a forged issuer": trusting(TOP, middle(signing_key=rsa_key(number=3))),
    "names it may have": trusting(TOP, limited("example.com")),
    "names it must not have": trusting(TOP, limited("example.org")),
    "enough length": trusting(*below(root("long", path_length=1), 1)),
    "too little length": trusting(*below(root("short", path_length=1), 2)),
    "the longest chain": trusting(*below(TOP, MAX_CHAIN_LENGTH - 2)),
    "a chain too long": trusting(*below(TOP, MAX_CHAIN_LENGTH - 1)),
    "the root stopped": replace(
        trusting(TOP, MIDDLE), stopped=frozenset({TOP.certificate.key_digest})
    ),
    "the issuer stopped": replace(
        trusting(TOP, MIDDLE), stopped=frozenset({MIDDLE.certificate.key_digest})
    ),
    "the leaf stopped": replace(trusting(TOP, MIDDLE), stopped=frozenset({LEAF.key_digest})),
    "another stopped": replace(trusting(TOP, MIDDLE), stopped=frozenset({"00"})),
}
TIMES = [NOW + days * DAY for days in (0, 1, 1.5, -1.5, 2.5, 31, 35, 41, 365.24, 800, -800, 0, 0.5)]
"""As they come: no answer of one time is good for all that follow."""

OPTIONS = {
    "default": DEVICE_IDENTITY,
    "its URI": replace(DEVICE_IDENTITY, application_uri=DEVICE_URI),
    "another URI": replace(DEVICE_IDENTITY, application_uri="urn:other"),
    "a host": replace(DEVICE_IDENTITY, host="device.local"),
    "long keys": replace(DEVICE_IDENTITY, min_rsa_bits=3072),
    "short keys": replace(DEVICE_IDENTITY, max_rsa_bits=1024),
    "the leaf alone": replace(DEVICE_IDENTITY, anchor=Anchor.LEAF),
    "the issuing CA": replace(DEVICE_IDENTITY, anchor=Anchor.LEAF_OR_ISSUING_CA),
    "whoever comes": replace(DEVICE_IDENTITY, check_trust=False),
    "roots that came along": replace(DEVICE_IDENTITY, transmitted_roots=True),
    "no skipping": replace(DEVICE_IDENTITY, skip_revocation_without_pointer=False),
    "all suppressed": replace(DEVICE_IDENTITY, suppress=frozenset(Check)),
    "a user": replace(DEVICE_IDENTITY, purpose=Purpose.USER),
}


@pytest.mark.parametrize("trust", LISTS.values(), ids=LISTS.keys())
def test_whatever_the_time_and_the_options(trust: TrustList) -> None:
    certificates = (
        *(LEAF, leaf(pointer=True), leaf(not_after=NOW + DAY), leaf(aki=False), LONG),
        leaf(aki=False, extensions=[(OTHER_KEY, False)]),
    )

    for certificate in certificates:
        for now in TIMES:
            for options in OPTIONS.values() if now == NOW else [DEVICE_IDENTITY]:
                assert outcome(certificate, [trust], now=now, options=options) == searched(
                    certificate, [trust], now=now, options=options
                )


@pytest.mark.parametrize("trust", LISTS.values(), ids=LISTS.keys())
@pytest.mark.parametrize("left", range(5))
def test_whatever_is_left_of_the_budget(trust: TrustList, left: int) -> None:
    known = outcome(LEAF, [trust])

    assert outcome(LEAF, [trust], left=left) == searched(LEAF, [trust], left=left)
    assert outcome(LEAF, [trust]) == known


@pytest.mark.parametrize("first", ["the root", "CRLs", "the root alone", "nobody"])
def test_whatever_the_other_lists(first: str) -> None:
    trust = LISTS[first]

    for further in [*LISTS.values(), *LISTS.values()]:
        for lists in ([trust], [trust, further], [trust, trusting(MIDDLE), further]):
            assert outcome(LEAF, lists) == searched(LEAF, lists)


@pytest.mark.parametrize("trust", LISTS.values(), ids=LISTS.keys())
def test_whatever_was_sent(trust: TrustList) -> None:
    others = [middle(not_after=NOW + DAY), root("top"), TOP, MIDDLE, limited("example.org")]

    for sent in ([], *([one.certificate] for one in others), MIDDLE.chain):
        assert outcome(LEAF, [trust], sent=sent) == searched(LEAF, [trust], sent=sent)


def refusal(certificate: Certificate, trust: TrustList, now: datetime = NOW) -> object:
    return outcome(certificate, [trust], now=now)[0]


def test_a_ca_is_believed_no_longer_than_it_is_valid() -> None:
    trust = LISTS["a short issuer"]

    assert outcome(LEAF, [trust])[3] == NOW + DAY
    assert refusal(LEAF, trust, NOW + 2 * DAY) is StatusCode.BadCertificateIssuerTimeInvalid


def test_a_crl_is_believed_no_longer_than_until_its_next_update() -> None:
    trust = trusting(TOP, crls=[TOP.crl(next_update=NOW + DAY)])
    certificate = leaf(TOP, pointer=True)

    assert outcome(certificate, [trust])[3] == NOW + DAY
    unknown = StatusCode.BadCertificateRevocationUnknown
    assert refusal(certificate, trust, NOW + 2 * DAY) is unknown


def test_a_list_with_another_crl_or_a_stopped_key_remembers_nothing() -> None:
    trust = trusting(TOP, MIDDLE)
    assert len(outcome(LEAF, [trust])) == 5

    revoking = replace(trust, trusted_crls=(TOP.crl(MIDDLE.certificate),))
    stopping = replace(trust, stopped=frozenset({TOP.certificate.key_digest}))

    assert refusal(LEAF, revoking) is StatusCode.BadCertificateIssuerRevoked
    assert refusal(LEAF, stopping) is StatusCode.BadCertificateUntrusted


def test_the_signature_of_every_leaf_is_checked() -> None:
    trust = trusting(TOP, MIDDLE)
    forged = leaf(signing_key=rsa_key(number=3))
    assert len(outcome(LEAF, [trust])) == 5

    assert refusal(forged, trust) is StatusCode.BadCertificateInvalid


def plain(certificate: Certificate) -> PlainLeaf:
    assert certificate.plain is not None
    return certificate.plain


def test_a_chain_is_followed_once() -> None:
    lists = [trusting(TOP, MIDDLE), trusting(MIDDLE)]
    same = [lists[0], trusting(MIDDLE)]

    found = known_above(plain(LEAF), lists, 2048)

    assert found is not None
    assert found.certificates == MIDDLE.chain
    assert known_above(plain(leaf(not_after=NOW + DAY)), same, 2048) is found
    assert known_above(plain(LEAF), lists[:1], 2048) is not found


def test_each_issuer_has_a_chain_of_its_own() -> None:
    lists = [trusting(TOP, MIDDLE)]

    found = [known_above(plain(leaf(ca, aki=False)), lists, 2048) for ca in (MIDDLE, TOP)]

    assert [one and one.certificates for one in found] == [MIDDLE.chain, TOP.chain]


def test_what_is_remembered_is_limited() -> None:
    trust = trusting(TOP, MIDDLE)

    for number in range(2 * module.KEPT):
        known_above(plain(LEAF)._replace(aki=bytes([number])), [trust], 2048)
        assert len(trust.above) <= module.KEPT
