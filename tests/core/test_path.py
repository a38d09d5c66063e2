"""Validation in the order of Part 4: every step refuses what it is there for, with its code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, x25519

from registrar.core import path as module
from registrar.core.certificate import MAX_CHAIN_LENGTH, Certificate
from registrar.core.issuers import MAX_CANDIDATES
from registrar.core.path import ValidPath, validate_path
from registrar.core.signatures import is_issued_by
from registrar.core.step_codes import REASONS
from registrar.core.trust import TrustList
from registrar.core.validation import (
    DEVICE_IDENTITY,
    TICKET_SIGNER,
    Anchor,
    Check,
    Purpose,
    ValidationOptions,
)
from registrar.errors import CertificateRejected, Reason
from registrar.status import StatusCode
from tests.core.building import (
    NOW,
    YEAR,
    Issued,
    PrivateKey,
    ec_key,
    make,
    root,
    rsa_key,
    trusting,
    usage,
    with_sha1,
)

PLAIN = ValidationOptions(
    suppress=frozenset({Check.REVOCATION_UNKNOWN, Check.ISSUER_REVOCATION_UNKNOWN})
)
"""Everything but revocation, which has tests of its own."""


def validate(
    leaf: Issued,
    trust: TrustList,
    options: ValidationOptions = PLAIN,
    *,
    sent: Sequence[Certificate] = (),
) -> ValidPath:
    return validate_path(
        leaf.certificate, intermediates=sent, trust=trust, now=NOW, options=options
    )


def refusal(
    leaf: Issued,
    trust: TrustList,
    options: ValidationOptions = PLAIN,
    *,
    sent: Sequence[Certificate] = (),
) -> StatusCode:
    with pytest.raises(CertificateRejected) as caught:
        validate(leaf, trust, options, sent=sent)
    assert caught.value.reason is REASONS[caught.value.status]
    assert caught.value.subject == leaf.certificate.subject
    return caught.value.status


# Building


def test_a_chain_is_built_to_the_root() -> None:
    ca = root()
    issuing = ca.issue("issuing", is_ca=True)
    leaf = issuing.issue("leaf")

    found = validate(leaf, trusting(ca), sent=[issuing.certificate])

    assert found.certificates == leaf.chain
    assert found.leaf == leaf.certificate
    assert found.root == ca.certificate


def test_issuers_come_from_the_list_too() -> None:
    ca = root()
    issuing = ca.issue("issuing", is_ca=True)

    assert validate(issuing.issue("leaf"), trusting(ca, issuers=[issuing])).root == ca.certificate


def test_a_listed_self_signed_certificate_is_its_own_chain() -> None:
    alone = make("alone")

    assert validate(alone, trusting(alone)).certificates == (alone.certificate,)


@pytest.mark.parametrize(
    "key", [rsa_key(), ec_key(), ec_key(ec.SECP384R1()), ec_key(ec.SECP521R1())]
)
def test_cas_may_be_rsa_or_ec(key: PrivateKey) -> None:
    ca = root(key=key)

    validate(ca.issue("leaf"), trusting(ca))
    validate(ca.issue("leaf", key=rsa_key(number=1), key_usage=_RSA_USAGE), trusting(ca))


def test_pss_and_edwards_signatures_are_understood() -> None:
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    with_pss = root(key=rsa_key(), rsa_padding=pss)
    edwards = root(key=ed25519.Ed25519PrivateKey.generate())

    validate(with_pss.issue("leaf", rsa_padding=pss), trusting(with_pss))
    validate(edwards.issue("leaf"), trusting(edwards))


@pytest.mark.bad_input("B32", "a path whose issuer is missing", "device_certificate_untrusted")
def test_without_the_issuer_the_chain_is_incomplete() -> None:
    ca = root()
    leaf = ca.issue("issuing", is_ca=True).issue("leaf")

    assert refusal(leaf, trusting(ca)) is StatusCode.BadCertificateChainIncomplete


def test_a_root_that_only_came_along_ends_a_chain_where_that_is_allowed() -> None:
    leaf = root().issue("leaf")
    strict, lenient = PLAIN, replace(PLAIN, transmitted_roots=True)
    trust = trusting(leaf)

    assert refusal(leaf, trust, strict, sent=leaf.above) is StatusCode.BadCertificateChainIncomplete
    assert validate(leaf, trust, lenient, sent=leaf.above).certificates == leaf.chain


@pytest.mark.bad_input("B35", "a certificate signed by somebody else", "device_certificate_invalid")
def test_a_certificate_signed_by_somebody_else_is_invalid() -> None:
    ca = root()
    leaf = ca.issue("leaf", signing_key=ec_key())

    assert refusal(leaf, trusting(ca)) is StatusCode.BadCertificateInvalid


@pytest.mark.bad_input(
    "B32", "an issuer of the same name with another key", "device_certificate_untrusted"
)
def test_a_ca_of_the_same_name_with_another_key_is_not_the_issuer() -> None:
    genuine, double = root("ca"), root("ca")

    assert refusal(double.issue("leaf"), trusting(genuine)) is (
        StatusCode.BadCertificateChainIncomplete
    )


def test_a_ca_of_the_same_name_does_not_lead_astray() -> None:
    genuine, double = root("ca", ski=False), root("ca", ski=False)
    leaf = genuine.issue("leaf", aki=False)

    assert validate(leaf, trusting(double, genuine)).root == genuine.certificate


def test_key_identifiers_count_only_where_both_sides_have_one() -> None:
    named, nameless = root("named"), root("nameless", ski=False)

    validate(named.issue("leaf", aki=False), trusting(named))
    validate(nameless.issue("leaf"), trusting(nameless))


def test_the_greatest_length_of_keys_is_for_leaves() -> None:
    ca = root(key=rsa_key(3072))

    validate(ca.issue("leaf"), trusting(ca), replace(PLAIN, max_rsa_bits=2048))


def test_a_chain_that_passes_is_found_behind_one_that_does_not() -> None:
    key = ec_key()
    expired = root("ca", key=key, not_after=NOW - timedelta(days=1))
    current = root("ca", key=key)
    leaf = current.issue("leaf")

    assert validate(leaf, trusting(expired, current)).root == current.certificate


def test_of_several_bad_chains_the_one_that_came_furthest_is_reported() -> None:
    key = ec_key()
    untrusted = root("ca", key=key)
    expired = root("ca", key=key, not_after=NOW - timedelta(days=1))
    trust = trusting(expired, issuers=[untrusted])

    assert refusal(untrusted.issue("leaf"), trust) is StatusCode.BadCertificateIssuerTimeInvalid


@pytest.mark.bad_input("B33", "two CAs that certify each other", "device_certificate_untrusted")
def test_two_cas_that_certify_each_other_are_no_root() -> None:
    key_a, key_b = ec_key(), ec_key()
    a = make("a", is_ca=True, key=key_a)
    b = a.issue("b", is_ca=True, key=key_b)
    a_again = b.issue("a", is_ca=True, key=key_a)
    leaf = b.issue("leaf")
    trust = TrustList(trusted_certificates=(a_again.certificate, b.certificate))

    assert refusal(leaf, trust) is StatusCode.BadCertificateChainIncomplete


@pytest.mark.bad_input("B34", "a chain that is too deep", "device_certificate_untrusted")
@pytest.mark.parametrize("length", [MAX_CHAIN_LENGTH - 1, MAX_CHAIN_LENGTH, MAX_CHAIN_LENGTH + 1])
def test_the_length_of_a_chain_is_limited(length: int) -> None:
    last = ca = root()
    for level in range(length - 2):
        last = last.issue(f"level {level}", is_ca=True)
    leaf = last.issue("leaf")

    if length > MAX_CHAIN_LENGTH:
        assert refusal(leaf, trusting(ca), sent=leaf.above) is (
            StatusCode.BadCertificateChainIncomplete
        )
    else:
        assert len(validate(leaf, trusting(ca), sent=leaf.above).certificates) == length


@pytest.mark.bad_input("B34", "a thousand candidate issuers of one name", "none")
def test_an_issuer_that_the_key_identifier_names_is_found_behind_a_thousand() -> None:
    double = root("ca", ski=False)
    names = [x509.DNSName(f"{number}") for number in range(1_000)]
    doubles = [make("ca", key=double.key, is_ca=True, ski=False, names=[one]) for one in names]
    genuine = root("ca")
    leaf = genuine.issue("leaf")

    assert validate(leaf, trusting(*doubles, genuine)).root == genuine.certificate


def test_a_member_of_the_list_is_found_behind_certificates_that_were_sent() -> None:
    doubles = [root("ca", ski=False).certificate for _ in range(module.MAX_INTERMEDIATES)]
    genuine = root("ca", ski=False)
    leaf = genuine.issue("leaf", aki=False)

    assert validate(leaf, trusting(genuine), sent=doubles).root == genuine.certificate


@pytest.mark.bad_input(
    "B34", "more issuers of one name than are tried", "device_certificate_invalid"
)
def test_candidates_of_one_name_are_limited() -> None:
    doubles = [root("ca", ski=False) for _ in range(MAX_CANDIDATES)]
    genuine = root("ca", ski=False)
    leaf = genuine.issue("leaf", aki=False)

    validate(leaf, trusting(*doubles[1:], genuine))
    assert refusal(leaf, trusting(*doubles, genuine)) is StatusCode.BadCertificateInvalid


@pytest.mark.bad_input("B33", "a mesh of cross-signed CAs", "device_certificate_untrusted")
def test_signature_checks_of_one_leaf_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every CA of a mesh certified every other, so that there are more ways than anyone walks."""
    cas = [root(f"ca {number}") for number in range(8)]
    mesh = [
        make(f"ca {at}", key=one.key, is_ca=True, issuer=other).certificate
        for at, one in enumerate(cas)
        for other in cas
        if other is not one
    ]
    checked: list[Certificate] = []
    genuine = is_issued_by

    def counting(certificate: Certificate, issuer: Certificate) -> bool:
        checked.append(certificate)
        return genuine(certificate, issuer)

    monkeypatch.setattr(module, "is_issued_by", counting)

    assert refusal(cas[0].issue("leaf"), trusting(root("stranger")), sent=mesh) is (
        StatusCode.BadCertificateChainIncomplete
    )
    assert len(checked) == module.MAX_SIGNATURE_CHECKS


@pytest.mark.bad_input(
    "B33", "a lattice of doubles of one name and key", "device_certificate_untrusted"
)
def test_signature_checks_of_one_leaf_are_limited() -> None:
    """A lattice: each level has doubles of one name and key, so that paths multiply."""
    keys = [ec_key() for _ in range(6)]
    levels: list[list[Issued]] = [[root("level 0", key=keys[0])]]
    for depth, key in enumerate(keys[1:], 1):
        issuer = levels[-1][0]
        level = [issuer.issue(f"level {depth}", is_ca=True, key=key) for _ in range(4)]
        levels.append(level)
    leaf = levels[-1][0].issue("leaf")
    sent = [one.certificate for level in levels[1:] for one in level]

    assert refusal(leaf, trusting(root("stranger")), sent=sent) is (
        StatusCode.BadCertificateChainIncomplete
    )


@pytest.mark.bad_input(
    "B34", "more complete chains than are looked at", "device_certificate_expired"
)
def test_complete_chains_of_one_leaf_are_limited() -> None:
    """The one good chain stands behind as many bad ones as are looked at."""
    key = ec_key()
    doubles = [
        root("root", key=key, not_after=NOW - timedelta(days=number))
        for number in range(1, module.MAX_PATHS + 1)
    ]
    current = root("root", key=key)
    leaf = current.issue("leaf")

    validate(leaf, trusting(*doubles[1:], current))
    assert refusal(leaf, trusting(*doubles, current)) is StatusCode.BadCertificateIssuerTimeInvalid


def test_complete_chains_are_counted_over_all_intermediates() -> None:
    """Every root leads through the expired CA before the current one is tried."""
    top, key = ec_key(), ec_key()
    roots = [root("root", key=top, not_after=NOW + YEAR * at) for at in range(1, 9)]
    expired = roots[0].issue("ca", is_ca=True, key=key, not_after=NOW - timedelta(days=1))
    current = roots[0].issue("ca", is_ca=True, key=key)
    leaf, sent = current.issue("leaf"), [expired.certificate, current.certificate]
    assert len(roots) == module.MAX_PATHS

    validate(leaf, trusting(*roots[1:]), sent=sent)
    assert refusal(leaf, trusting(*roots), sent=sent) is StatusCode.BadCertificateIssuerTimeInvalid


@pytest.mark.bad_input(
    "B34", "more intermediates than are looked at", "device_certificate_untrusted"
)
def test_intermediates_beyond_the_limit_are_not_looked_at() -> None:
    ca = root()
    issuing = ca.issue("issuing", is_ca=True)
    leaf = issuing.issue("leaf")
    filler = [ca.certificate] * (module.MAX_INTERMEDIATES - 1)

    validate(leaf, trusting(ca), sent=[*filler, issuing.certificate])
    assert refusal(leaf, trusting(ca), sent=[*filler, ca.certificate, issuing.certificate]) is (
        StatusCode.BadCertificateChainIncomplete
    )


# Policy

_RSA_USAGE = usage("digital_signature", "key_encipherment", "data_encipherment")


@pytest.mark.bad_input("B35", "a signature over SHA-1", "device_certificate_invalid")
def test_a_weak_hash_is_refused_but_for_a_root() -> None:
    strong = root(key=rsa_key())
    weak_root = with_sha1(strong, strong)
    weak_leaf = with_sha1(strong.issue("leaf"), strong)

    validate(strong.issue("leaf"), trusting(weak_root))
    assert refusal(weak_leaf, trusting(strong)) is StatusCode.BadCertificatePolicyCheckFailed


@pytest.mark.bad_input(
    "B36", "an RSA key that is too short or too long", "device_certificate_invalid"
)
@pytest.mark.parametrize(("bits", "is_good"), [(1024, False), (2048, True), (3072, False)])
def test_rsa_keys_have_a_least_and_a_greatest_length(bits: int, is_good: bool) -> None:
    ca = root()
    leaf = ca.issue("leaf", key=rsa_key(bits), key_usage=_RSA_USAGE)
    options = replace(PLAIN, min_rsa_bits=2048, max_rsa_bits=2048)

    if is_good:
        validate(leaf, trusting(ca), options)
    else:
        assert refusal(leaf, trusting(ca), options) is StatusCode.BadCertificatePolicyCheckFailed


@pytest.mark.bad_input("B36", "a curve of fewer than 256 bits", "device_certificate_invalid")
def test_a_short_curve_is_refused() -> None:
    ca = root()
    leaf = ca.issue("leaf", key=ec_key(ec.SECP224R1()))

    assert refusal(leaf, trusting(ca)) is StatusCode.BadCertificatePolicyCheckFailed


@pytest.mark.bad_input("B36", "a key that cannot sign", "device_certificate_invalid")
def test_a_key_that_cannot_sign_is_refused() -> None:
    ca = root()
    exchange: Any = x25519.X25519PrivateKey.generate()
    leaf = ca.issue("leaf", key=exchange, ski=False)

    assert refusal(leaf, trusting(ca)) is StatusCode.BadCertificatePolicyCheckFailed


def test_the_policy_step_may_be_suppressed_and_is_recorded() -> None:
    ca = root()
    leaf = ca.issue("leaf", key=rsa_key(1024), key_usage=_RSA_USAGE)
    options = replace(PLAIN, suppress=PLAIN.suppress | {Check.POLICY})

    found = validate(leaf, trusting(ca), options)

    assert found.suppressed[0].check is Check.POLICY
    assert found.suppressed[0].status is StatusCode.BadCertificatePolicyCheckFailed
    assert found.suppressed[0].certificate == leaf.certificate


# Trust


@pytest.mark.bad_input(
    "B44", "a path to a CA that only helps to build chains", "device_certificate_untrusted"
)
def test_a_chain_to_an_issuer_certificate_is_not_trusted() -> None:
    ca = root()

    assert refusal(ca.issue("leaf"), trusting(issuers=[ca])) is StatusCode.BadCertificateUntrusted


@pytest.mark.parametrize("which", [0, 1, 2])
def test_any_certificate_of_the_chain_may_be_the_trusted_one(which: int) -> None:
    leaf = root().issue("issuing", is_ca=True).issue("leaf")
    trust = TrustList(trusted_certificates=(leaf.chain[which],), issuer_certificates=leaf.chain[1:])

    validate(leaf, trust)


@pytest.mark.bad_input(
    "B44", "an anchor farther away than the route allows", "device_certificate_untrusted"
)
@pytest.mark.parametrize(
    ("anchor", "which", "is_good"),
    [
        (Anchor.LEAF, 0, True),
        (Anchor.LEAF, 1, False),
        (Anchor.LEAF, 2, False),
        (Anchor.LEAF_OR_ISSUING_CA, 0, True),
        (Anchor.LEAF_OR_ISSUING_CA, 1, True),
        (Anchor.LEAF_OR_ISSUING_CA, 2, False),
    ],
)
def test_the_anchor_may_have_to_be_near(anchor: Anchor, which: int, is_good: bool) -> None:
    leaf = root().issue("issuing", is_ca=True).issue("leaf")
    trust = TrustList(trusted_certificates=(leaf.chain[which],), issuer_certificates=leaf.chain[1:])
    options = replace(PLAIN, anchor=anchor)

    if is_good:
        validate(leaf, trust, options)
    else:
        assert refusal(leaf, trust, options) is StatusCode.BadCertificateUntrusted


def test_a_ca_above_the_issuing_one_is_no_issuing_ca() -> None:
    middle = root().issue("middle", is_ca=True)
    leaf = middle.issue("issuing", is_ca=True).issue("leaf")
    trust = TrustList(
        trusted_certificates=(middle.certificate,), issuer_certificates=leaf.chain[1:]
    )
    options = replace(PLAIN, anchor=Anchor.LEAF_OR_ISSUING_CA)

    assert refusal(leaf, trust, options) is StatusCode.BadCertificateUntrusted


def test_a_root_is_no_issuing_ca_that_was_put_there_deliberately() -> None:
    ca = root()
    options = replace(PLAIN, anchor=Anchor.LEAF_OR_ISSUING_CA)

    assert refusal(ca.issue("leaf"), trusting(ca), options) is StatusCode.BadCertificateUntrusted


def test_trust_on_first_use_skips_the_trust_step_alone() -> None:
    leaf = root().issue("leaf", not_after=NOW - timedelta(days=1))
    fresh = root().issue("leaf")
    options = replace(PLAIN, check_trust=False)

    validate(fresh, TrustList(), options, sent=fresh.above)
    assert refusal(leaf, TrustList(), options, sent=leaf.above) is (
        StatusCode.BadCertificateTimeInvalid
    )


def test_further_lists_hold_anchors_as_well() -> None:
    ca = root()
    leaf = ca.issue("leaf")

    found = validate_path(
        leaf.certificate, trust=TrustList(), further=[trusting(ca)], now=NOW, options=PLAIN
    )

    assert found.root == ca.certificate


# Time

_DAY = timedelta(days=1)


@pytest.mark.bad_input(
    "B42", "a certificate or issuer that has expired", "device_certificate_expired"
)
@pytest.mark.bad_input(
    "B42", "a certificate or issuer that is not yet valid", "device_certificate_expired"
)
@pytest.mark.parametrize(
    ("where", "times", "status", "check"),
    [
        ("leaf", (-2, -1), StatusCode.BadCertificateTimeInvalid, Check.EXPIRED),
        ("leaf", (1, 2), StatusCode.BadCertificateTimeInvalid, Check.NOT_YET_VALID),
        ("root", (-2, -1), StatusCode.BadCertificateIssuerTimeInvalid, Check.ISSUER_EXPIRED),
        ("root", (1, 2), StatusCode.BadCertificateIssuerTimeInvalid, Check.ISSUER_NOT_YET_VALID),
    ],
)
def test_validity_periods_are_checked(
    where: str, times: tuple[int, int], status: StatusCode, check: Check
) -> None:
    period: dict[str, Any] = {
        "not_before": NOW + times[0] * _DAY,
        "not_after": NOW + times[1] * _DAY,
    }
    ca = root(**(period if where == "root" else {}))
    leaf = ca.issue("leaf", **(period if where == "leaf" else {}))
    others = frozenset(Check) - {check}

    assert refusal(leaf, trusting(ca), replace(PLAIN, suppress=others)) is status
    found = validate(leaf, trusting(ca), replace(PLAIN, suppress=PLAIN.suppress | {check}))
    assert found.suppressed[0].check is check


def test_the_ends_of_a_period_belong_to_it() -> None:
    for period in ({"not_before": NOW}, {"not_after": NOW}):
        ca = root()
        validate(ca.issue("leaf", **period), trusting(ca))


# Host and URI


@pytest.mark.bad_input("B37", "a host that no name is", "device_certificate_uri_mismatch")
@pytest.mark.parametrize(
    ("host", "is_good"),
    [
        ("device.local", True),
        ("DEVICE.local.", True),
        ("127.0.0.2", True),
        ("[::1]", True),
        ("dotted.local", True),
        ("device.localX", False),
        ("ending", False),
        ("X[::1]X", False),
        ("other.local", False),
        ("127.0.0.3", False),
    ],
)
def test_the_host_is_one_of_the_names(host: str, is_good: bool) -> None:
    ca = root()
    addresses = [x509.IPAddress(ip_address(text)) for text in ("127.0.0.2", "::1")]
    names = [x509.DNSName(text) for text in ("device.local", "dotted.local.", "endingX")]
    leaf = ca.issue("leaf", names=[*names, *addresses])
    options = replace(PLAIN, host=host)

    if is_good:
        validate(leaf, trusting(ca), options)
    else:
        assert refusal(leaf, trusting(ca), options) is StatusCode.BadCertificateHostNameInvalid


@pytest.mark.bad_input(
    "B37", "an ApplicationUri that no URI is, in every byte", "device_certificate_uri_mismatch"
)
def test_the_application_uri_is_any_of_the_uris_and_exactly() -> None:
    ca = root()
    leaf = ca.issue("leaf", uris=["urn:first", "urn:second"])

    validate(leaf, trusting(ca), replace(PLAIN, application_uri="urn:second"))
    for other in ("urn:Second", "urn:second/", ""):
        options = replace(PLAIN, application_uri=other, suppress=frozenset(Check))
        assert refusal(leaf, trusting(ca), options) is StatusCode.BadCertificateUriInvalid


# Usage


@pytest.mark.bad_input("B41", "a certificate used in another role", "device_certificate_invalid")
@pytest.mark.bad_input("B41", "a CA at the end of a chain", "device_certificate_invalid")
@pytest.mark.parametrize(
    ("more", "purpose"),
    [
        ({"key_usage": usage("key_agreement")}, Purpose.APPLICATION),
        ({"key_usage": usage("key_agreement")}, Purpose.DEVICE_IDENTITY),
        ({"key_usage": usage("key_agreement")}, Purpose.USER),
        ({"key_usage": usage("key_agreement")}, Purpose.TICKET_SIGNER),
        ({"key": rsa_key(), "key_usage": usage("digital_signature")}, Purpose.APPLICATION),
        ({"extended": [x509.OID_CODE_SIGNING]}, Purpose.APPLICATION),
        ({"extended": [x509.OID_CODE_SIGNING]}, Purpose.DEVICE_IDENTITY),
        ({"extended": [x509.OID_SERVER_AUTH]}, Purpose.TICKET_SIGNER),
        ({"is_ca": True, "key_usage": usage("digital_signature")}, Purpose.APPLICATION),
        ({"is_ca": True, "key_usage": usage("digital_signature")}, Purpose.DEVICE_IDENTITY),
        ({"is_ca": True, "key_usage": usage("digital_signature")}, Purpose.USER),
    ],
)
def test_a_certificate_serves_only_its_purpose(more: dict[str, Any], purpose: Purpose) -> None:
    ca = root()
    leaf = ca.issue("leaf", **more)

    assert refusal(leaf, trusting(ca), replace(PLAIN, purpose=purpose)) is (
        StatusCode.BadCertificateUseNotAllowed
    )


@pytest.mark.parametrize(
    ("more", "purpose"),
    [
        ({"key": rsa_key(), "key_usage": _RSA_USAGE}, Purpose.APPLICATION),
        (
            {"key": rsa_key(), "key_usage": usage("digital_signature", "key_encipherment")},
            Purpose.APPLICATION,
        ),
        ({"extended": [x509.OID_CLIENT_AUTH]}, Purpose.APPLICATION),
        ({"extended": [x509.ObjectIdentifier("2.5.29.37.0")]}, Purpose.APPLICATION),
        ({"key": rsa_key(), "key_usage": usage("digital_signature")}, Purpose.DEVICE_IDENTITY),
        ({"extended": [x509.OID_CODE_SIGNING]}, Purpose.USER),
        ({"extended": [x509.OID_CODE_SIGNING]}, Purpose.TICKET_SIGNER),
        ({"key_usage": usage("content_commitment")}, Purpose.TICKET_SIGNER),
    ],
)
def test_usual_usages_pass(more: dict[str, Any], purpose: Purpose) -> None:
    ca = root()

    found = validate(ca.issue("leaf", **more), trusting(ca), replace(PLAIN, purpose=purpose))

    assert Check.USAGE not in {one.check for one in found.suppressed}


@pytest.mark.bad_input(
    "B41", "a usage marked critical that does not fit", "device_certificate_invalid"
)
def test_usage_marked_as_mandatory_is_never_suppressed() -> None:
    ca = root()
    options = replace(DEVICE_IDENTITY, suppress=frozenset(Check))
    for more in (
        {"key_usage": usage("key_agreement"), "usage_critical": True},
        {"extended": [x509.OID_CODE_SIGNING], "extended_critical": True},
    ):
        assert refusal(ca.issue("leaf", **more), trusting(ca), options) is (
            StatusCode.BadCertificateUseNotAllowed
        )
    lenient = ca.issue("leaf", key_usage=usage("key_agreement"), usage_critical=False)
    found = validate(lenient, trusting(ca), options)
    assert Check.USAGE in {one.check for one in found.suppressed}


@pytest.mark.bad_input("B38", "an issuer that is no CA", "device_certificate_invalid")
@pytest.mark.bad_input(
    "B38", "more CAs below one than its pathLenConstraint allows", "device_certificate_invalid"
)
@pytest.mark.bad_input("B39", "an issuer without keyCertSign", "device_certificate_invalid")
@pytest.mark.parametrize(
    "issuer",
    [
        lambda ca: ca.issue("no ca"),
        lambda ca: ca.issue("no ca", key_usage=usage("key_cert_sign")),
        lambda ca: ca.issue("ca", is_ca=True, key_usage=usage("crl_sign")),
        lambda ca: ca.issue("ca", is_ca=True, path_length=0).issue("too deep", is_ca=True),
    ],
    ids=["not a CA", "keyUsage alone", "no keyCertSign", "pathLenConstraint"],
)
def test_only_a_ca_issues_and_nothing_suppresses_that(issuer: Callable[[Issued], Issued]) -> None:
    ca = root()
    leaf = issuer(ca).issue("leaf")
    options = replace(PLAIN, suppress=frozenset(Check))

    assert refusal(leaf, trusting(ca), options, sent=leaf.above) is (
        StatusCode.BadCertificateIssuerUseNotAllowed
    )


def test_a_path_length_counts_only_cas_below() -> None:
    ca = root(path_length=1)
    leaf = ca.issue("issuing", is_ca=True, path_length=0).issue("leaf")

    validate(leaf, trusting(ca), sent=leaf.above)


# Revocation

STRICT = ValidationOptions()


@pytest.mark.bad_input("B45", "a revoked certificate", "device_certificate_revoked")
def test_a_certificate_on_the_crl_is_revoked() -> None:
    ca = root()
    leaf, other = ca.issue("leaf"), ca.issue("other")
    trust = trusting(ca, crls=[ca.crl(leaf.certificate)])

    validate(other, trust, STRICT)
    assert refusal(leaf, trust, replace(STRICT, suppress=frozenset(Check))) is (
        StatusCode.BadCertificateRevoked
    )


@pytest.mark.bad_input("B45", "a revoked issuer", "device_certificate_revoked")
def test_a_revoked_issuer_is_refused() -> None:
    ca = root()
    issuing = ca.issue("issuing", is_ca=True)
    trust = trusting(ca, crls=[ca.crl(issuing.certificate), issuing.crl()])

    assert refusal(issuing.issue("leaf"), trust, STRICT, sent=[issuing.certificate]) is (
        StatusCode.BadCertificateIssuerRevoked
    )


@pytest.mark.bad_input(
    "B72", "no CRL of an issuer in the path", "device_certificate_revocation_unknown"
)
def test_without_a_crl_the_status_is_unknown() -> None:
    ca = root()
    issuing = ca.issue("issuing", is_ca=True)
    leaf = issuing.issue("leaf")

    assert refusal(leaf, trusting(ca, crls=[ca.crl()]), STRICT, sent=leaf.above) is (
        StatusCode.BadCertificateRevocationUnknown
    )
    assert refusal(leaf, trusting(ca, crls=[issuing.crl()]), STRICT, sent=leaf.above) is (
        StatusCode.BadCertificateIssuerRevocationUnknown
    )
    validate(leaf, trusting(ca, crls=[ca.crl(), issuing.crl()]), STRICT, sent=leaf.above)


@pytest.mark.bad_input(
    "B64", "a CRL signed by another key", "device_certificate_revocation_unknown"
)
@pytest.mark.bad_input("B64", "a CRL of another issuer", "device_certificate_revocation_unknown")
@pytest.mark.bad_input(
    "B65",
    "a CRL after its nextUpdate or before its thisUpdate",
    "device_certificate_revocation_unknown",
)
@pytest.mark.bad_input(
    "B72", "a CRL by a CA without cRLSign", "device_certificate_revocation_unknown"
)
@pytest.mark.clause("R64")
@pytest.mark.parametrize("kind", ["stale", "early", "forged", "foreign", "no crlSign"])
def test_a_crl_that_cannot_be_relied_on_is_none(kind: str) -> None:
    ca = root(key_usage=usage("key_cert_sign")) if kind == "no crlSign" else root()
    crl = {
        "stale": lambda: ca.crl(this_update=NOW - 2 * _DAY, next_update=NOW - _DAY),
        "early": lambda: ca.crl(this_update=NOW + _DAY, next_update=NOW + 2 * _DAY),
        "forged": lambda: ca.crl(key=ec_key()),
        "foreign": lambda: root("other").crl(),
        "no crlSign": lambda: ca.crl(),
    }[kind]()

    assert refusal(ca.issue("leaf"), trusting(ca, crls=[crl]), STRICT) is (
        StatusCode.BadCertificateRevocationUnknown
    )


def test_a_stale_crl_still_revokes() -> None:
    ca = root()
    leaf = ca.issue("leaf")
    stale = ca.crl(leaf.certificate, this_update=NOW - 2 * _DAY, next_update=NOW - _DAY)

    assert refusal(leaf, trusting(ca, crls=[stale, ca.crl(number=2)]), STRICT) is (
        StatusCode.BadCertificateRevoked
    )


def test_a_forged_crl_revokes_nobody() -> None:
    ca = root()
    leaf = ca.issue("leaf")

    validate(leaf, trusting(ca, crls=[ca.crl(leaf.certificate, key=ec_key()), ca.crl()]), STRICT)


@pytest.mark.parametrize("pointer", [False, True])
def test_a_missing_crl_is_passed_over_only_where_nothing_points_to_one(pointer: bool) -> None:
    ca = root()
    leaf = ca.issue("leaf", pointer=pointer)
    options = replace(STRICT, skip_revocation_without_pointer=True)

    if pointer:
        assert refusal(leaf, trusting(ca), options) is StatusCode.BadCertificateRevocationUnknown
    else:
        (skipped,) = validate(leaf, trusting(ca), options).suppressed
        assert skipped.check is Check.REVOCATION_SKIPPED


def test_a_root_is_not_asked_for_a_crl() -> None:
    alone = make("alone")

    assert validate(alone, trusting(alone), STRICT).suppressed == ()


# Order


def test_the_earliest_step_names_the_error() -> None:
    """Everything is wrong; each cure reveals the next step of Part 4, in its order."""
    ca = root()
    wrong: dict[str, Any] = {
        "digest": hashes.SHA384(),
        "key": ec_key(ec.SECP224R1()),
        "not_after": NOW - _DAY,
        "key_usage": usage("key_agreement"),
    }
    options = replace(STRICT, host="h", application_uri="urn:a")
    seen: list[StatusCode] = []

    def step(trust: TrustList, changed: ValidationOptions, **cured: Any) -> None:
        wrong.update(cured)
        seen.append(refusal(ca.issue("leaf", **wrong), trust, changed))

    step(trusting(root("x")), options)
    step(trusting(issuers=[ca]), options)
    step(trusting(issuers=[ca]), options, key=ec_key())
    step(trusting(ca), options)
    step(trusting(ca), options, not_after=NOW + YEAR)
    step(trusting(ca), replace(options, host=None))
    step(trusting(ca), replace(options, host=None, application_uri=None))
    good = {"key_usage": usage("digital_signature")}
    step(trusting(ca), replace(options, host=None, application_uri=None), **good)

    assert seen == [
        StatusCode.BadCertificateChainIncomplete,
        StatusCode.BadCertificatePolicyCheckFailed,
        StatusCode.BadCertificateUntrusted,
        StatusCode.BadCertificateTimeInvalid,
        StatusCode.BadCertificateHostNameInvalid,
        StatusCode.BadCertificateUriInvalid,
        StatusCode.BadCertificateUseNotAllowed,
        StatusCode.BadCertificateRevocationUnknown,
    ]


def test_every_code_has_a_reason() -> None:
    assert {str(reason) for reason in REASONS.values()} <= set(Reason)
    assert StatusCode.BadCertificateInvalid in REASONS
    assert TICKET_SIGNER.transmitted_roots
