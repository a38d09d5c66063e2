"""What the validation of a path says of what it found: the words an administrator reads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.x509.oid import NameOID

from registrar.core.certificate import Certificate
from registrar.core.der import BIT_STRING, SEQUENCE, encode
from registrar.core.path import MAX_SIGNATURE_CHECKS, NEVER, SignatureBudget, validate_path
from registrar.core.trust import TrustList
from registrar.core.validation import Check, Purpose, ValidationOptions
from registrar.errors import CertificateRejected, Reason
from registrar.status import StatusCode
from tests.core.building import (
    NOW,
    YEAR,
    Issued,
    ec_key,
    make,
    root,
    rsa_key,
    trusting,
    usage,
)

STRICT = ValidationOptions()
PLAIN = ValidationOptions(
    suppress=frozenset({Check.REVOCATION_UNKNOWN, Check.ISSUER_REVOCATION_UNKNOWN})
)
LONG = x509.Name(
    [
        x509.NameAttribute(NameOID.COMMON_NAME, "x" * 60),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "y" * 60),
    ]
)
CUT = repr(LONG.rfc4514_string()[:80])
"""Of what a peer sent, 80 characters are shown."""

EXCHANGE: Any = x25519.X25519PrivateKey.generate()
AGREEMENT = usage("key_agreement")
CODE = [x509.OID_CODE_SIGNING]


def refused(leaf: Issued, trust: TrustList, options: ValidationOptions = PLAIN) -> str:
    with pytest.raises(CertificateRejected) as caught:
        validate_path(
            leaf.certificate,
            intermediates=leaf.above,
            trust=trust,
            now=NOW,
            options=options,
        )
    assert caught.value.subject == leaf.certificate.subject
    return str(caught.value)


@pytest.mark.parametrize(
    ("more", "options", "why"),
    [
        ({"key": rsa_key(1024)}, {}, "an RSA key of 1024 bits, not 2048 to 4096"),
        ({"key": ec_key(ec.SECP224R1())}, {}, "a curve of 224 bits"),
        ({"key": EXCHANGE, "ski": False}, {}, "a key of a kind that cannot sign"),
        ({"not_after": NOW - YEAR / 2}, {}, f"valid until {(NOW - YEAR / 2).isoformat()}"),
        ({"not_before": NOW + YEAR / 2}, {}, f"valid from {(NOW + YEAR / 2).isoformat()}"),
        ({}, {"host": "h" * 99}, f"it does not name the host {'h' * 80!r}"),
        ({"key_usage": AGREEMENT, "usage_critical": False}, {}, "its keyUsage lacks digitalSign"),
        ({"extended": CODE}, {}, "its extendedKeyUsage lacks serverAuth and clientAuth"),
        ({}, {"suppress": frozenset()}, "no current CRL of 'CN=root'"),
    ],
)
def test_what_was_found_is_said_and_recorded(
    more: dict[str, Any], options: dict[str, Any], why: str
) -> None:
    ca = root()
    leaf = make(LONG, issuer=ca, **more)
    chosen = replace(PLAIN, **options)

    said = refused(leaf, trusting(ca), chosen)
    found = validate_path(
        leaf.certificate,
        trust=trusting(ca),
        now=NOW,
        options=replace(chosen, suppress=frozenset(Check)),
    )

    assert said.startswith(f"{CUT}: {why}")
    assert f"{CUT}: {found.suppressed[0].detail}" == said
    assert found.suppressed[0].certificate == leaf.certificate


@pytest.mark.parametrize(
    ("more", "purpose", "why"),
    [
        ({"is_ca": True}, Purpose.APPLICATION, "a CA cannot be the end of a chain"),
        ({"key_usage": AGREEMENT}, Purpose.USER, "its keyUsage lacks digitalSignature"),
        (
            {"extended": CODE, "extended_critical": True},
            Purpose.DEVICE_IDENTITY,
            "its extendedKeyUsage lacks serverAuth and clientAuth",
        ),
        (
            {"key_usage": AGREEMENT},
            Purpose.TICKET_SIGNER,
            "'CN=leaf': its keyUsage does not allow signing documents",
        ),
        (
            {"extended": [x509.OID_SERVER_AUTH]},
            Purpose.TICKET_SIGNER,
            "'CN=leaf': its extendedKeyUsage is for channels only",
        ),
        (
            {"key": rsa_key()},
            Purpose.APPLICATION,
            "'CN=leaf': its keyUsage lacks keyEncipherment and dataEncipherment",
        ),
    ],
)
def test_a_wrong_usage_is_said(more: dict[str, Any], purpose: Purpose, why: str) -> None:
    ca = root()

    assert refused(ca.issue("leaf", **more), trusting(ca), replace(PLAIN, purpose=purpose)) == why


def test_a_chain_that_cannot_be_built_or_trusted_is_said() -> None:
    ca = make(LONG, is_ca=True)
    leaf = ca.issue("leaf")
    stranger = root("other")

    assert refused(replace(leaf, above=()), trusting(stranger)) == (
        f"no chain from issuer {CUT} to a known root"
    )
    assert refused(ca.issue("leaf", signing_key=ec_key()), trusting(ca)) == (
        "its signature does not verify"
    )
    assert refused(leaf, trusting(issuers=[ca])) == (
        "none of 2 certificates of its chain that may be is in the list"
    )
    assert refused(leaf, trusting(ca), replace(PLAIN, application_uri="u" * 99)) == (
        f"no URI of it is the ApplicationUri {'u' * 80!r}"
    )


def test_a_stopped_authority_is_said() -> None:
    ca = make(LONG, is_ca=True)
    leaf = ca.issue("leaf")
    trust = replace(trusting(ca), stopped=frozenset({ca.certificate.key_digest}))

    with pytest.raises(CertificateRejected) as caught:
        validate_path(leaf.certificate, trust=trust, now=NOW, options=PLAIN)

    assert str(caught.value) == f"the authority {CUT} was stopped"
    assert caught.value.status is StatusCode.BadCertificateUntrusted
    assert caught.value.reason is Reason.AUTHORITY_STOPPED
    assert caught.value.subject == "CN=leaf"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"key_usage": usage("key_cert_sign")}, "is not a CA"),
        ({"is_ca": True, "key_usage": usage("crl_sign")}, "must not sign certificates"),
        (
            {
                "is_ca": True,
                "extensions": [(x509.NameConstraints(None, [x509.DNSName("a")]), True)],
            },
            "must not certify DNSName 'a'",
        ),
    ],
)
def test_what_an_issuer_lacks_is_said(more: dict[str, Any], why: str) -> None:
    ca = root()
    issuing = make(LONG, issuer=ca, **more)
    leaf = issuing.issue("leaf", names=[x509.DNSName("a")])

    assert refused(leaf, trusting(ca)) == f"issuer {CUT} {why}"


def test_how_many_cas_are_too_many_is_said() -> None:
    top = make(LONG, is_ca=True, path_length=0)
    leaf = top.issue("issuing", is_ca=True).issue("leaf")

    assert refused(leaf, trusting(top)) == f"issuer {CUT} allows 0 CAs below it, not 1"


def test_who_is_revoked_is_said() -> None:
    ca = root()
    leaf = make(LONG, issuer=ca)
    trust = trusting(ca, crls=[ca.crl(leaf.certificate)])

    assert refused(leaf, trust, STRICT) == f"{CUT} is on a CRL"


def test_a_skipped_check_and_a_missing_crl_are_recorded() -> None:
    ca = make(LONG, is_ca=True)
    leaf = ca.issue("leaf")
    options = replace(STRICT, skip_revocation_without_pointer=True)

    (skipped,) = validate_path(
        leaf.certificate, trust=trusting(ca), now=NOW, options=options
    ).suppressed

    assert skipped.detail == "neither CRL nor CDP nor AIA"
    assert refused(leaf, trusting(ca), STRICT) == f"'CN=leaf': no current CRL of {CUT}"


def test_the_furthest_of_several_bad_chains_is_reported_in_whatever_order() -> None:
    key = ec_key()
    untrusted = root("ca", key=key)
    expired = root("ca", key=key, not_after=NOW - YEAR / 2)
    leaf = untrusted.issue("leaf")
    first = trusting(expired, issuers=[untrusted])
    last = TrustList(
        issuer_certificates=(untrusted.certificate, expired.certificate),
        trusted_certificates=(),
    )

    for lists in ((first,), (last, trusting(expired))):
        with pytest.raises(CertificateRejected) as caught:
            validate_path(
                leaf.certificate, trust=lists[0], further=lists[1:], now=NOW, options=PLAIN
            )
        assert caught.value.status is StatusCode.BadCertificateIssuerTimeInvalid


def test_a_key_that_cannot_be_read_is_reported_whatever_the_number_of_chains() -> None:
    key = ec_key()
    doubles = [root("ca", key=key, not_after=NOW + YEAR * year) for year in (1, 2)]
    plain = doubles[0].issue("leaf").certificate.tbs_bytes
    p256, unknown = (bytes.fromhex(f"06082a8648ce3d0301{end}") for end in ("07", "77"))
    tbs = plain.replace(p256, unknown)
    signature = key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")
    content = tbs + algorithm + encode(BIT_STRING, b"\0" + signature)
    leaf = Certificate.from_der(encode(SEQUENCE, content))

    with pytest.raises(CertificateRejected, match=r"^public key: "):
        validate_path(leaf, trust=trusting(*doubles), now=NOW, options=PLAIN)


def test_the_callers_budget_is_used() -> None:
    ca = root()
    leaf = ca.issue("issuing", is_ca=True).issue("leaf")
    budget = SignatureBudget()

    validate_path(
        leaf.certificate,
        intermediates=leaf.above,
        trust=trusting(ca),
        now=NOW,
        options=PLAIN,
        budget=budget,
    )

    assert budget.left == MAX_SIGNATURE_CHECKS - 3


def test_belief_ends_with_what_ends_first_of_what_has_not_ended() -> None:
    def ends(leaf: Issued, *above: Issued) -> object:
        options = replace(PLAIN, suppress=frozenset(Check))
        return validate_path(
            leaf.certificate, trust=trusting(*above), now=NOW, options=options
        ).ends

    ca = root(not_after=NOW + YEAR)

    assert ends(ca.issue("leaf", not_after=NOW), ca) == NOW
    assert ends(ca.issue("leaf", not_after=NOW - YEAR / 2), ca) == NOW + YEAR
    alone = make("alone", not_after=NOW - YEAR / 2)
    assert ends(alone, alone) == NEVER
