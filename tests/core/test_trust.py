"""Trust lists: look-ups, and the version of a list."""

from __future__ import annotations

import pytest

from registrar.core.names import canonical
from registrar.core.scope import Scope
from registrar.core.trust import TrustList
from registrar.errors import CertificateRejected
from tests.core.building import make, root, trusting


def test_trusted_and_issuer_certificates_differ() -> None:
    trusted, helper, stranger = root("a"), root("b"), root("c")
    trust = trusting(trusted, issuers=[helper])

    assert trust.trusts(trusted.certificate)
    assert not trust.trusts(helper.certificate)
    assert trust.holds(helper.certificate)
    assert not trust.holds(stranger.certificate)


def test_certificates_and_crls_are_found_by_name() -> None:
    first, second, other = root("ca"), root("ca"), root("other")
    crl = first.crl()
    trust = TrustList(
        trusted_certificates=(first.certificate, other.certificate),
        issuer_certificates=(second.certificate, first.certificate),
        issuer_crls=(crl, other.crl()),
    )

    assert trust.named(first.certificate.subject_name) == (
        first.certificate,
        second.certificate,
    )
    assert trust.named(canonical(b"nobody")) == ()
    assert trust.crls_of(first.certificate.subject_name) == (crl,)


def test_the_digest_is_of_the_content_and_not_of_its_order() -> None:
    one, two = root("a").certificate, root("b").certificate
    plain = TrustList(trusted_certificates=(one, two))

    assert plain.digest == TrustList(trusted_certificates=(two, one, one)).digest
    assert plain.digest != TrustList(trusted_certificates=(one,)).digest
    assert plain.digest != TrustList(issuer_certificates=(one, two)).digest
    assert plain.digest != TrustList(trusted_certificates=(one,), issuer_certificates=(two,)).digest


def test_a_list_is_read_from_der() -> None:
    ca, helper = root(), root("helper")
    crl = ca.crl()

    trust = TrustList.from_der(
        trusted_certificates=[ca.der],
        trusted_crls=[crl.der],
        issuer_certificates=[helper.der],
        issuer_crls=[helper.crl().der],
        scopes=[("00", Scope(manufacturer="Example"))],
        stopped=["ff"],
    )

    assert trust == TrustList(
        trusted_certificates=(ca.certificate,),
        trusted_crls=(crl,),
        issuer_certificates=(helper.certificate,),
        issuer_crls=trust.issuer_crls,
        scopes=(("00", Scope(manufacturer="Example")),),
        stopped=frozenset({"ff"}),
    )
    assert trust.crls_of(helper.certificate.subject_name) == trust.issuer_crls
    assert len(trust.issuer_crls) == 1
    with pytest.raises(CertificateRejected):
        TrustList.from_der(issuer_certificates=[make("leaf").der[:-1]])
