"""What is pushed: whoever has to get in later is in the list, and nobody else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from registrar.core.trust_list_plan import (
    SiteChains,
    TrustListContent,
    plan_for_application,
    plan_for_dca,
    plan_for_singleton,
)
from registrar.errors import IssuerUnavailable
from tests.core.building import Issued, root

ROOT = root("Site root")
APPLICATIONS = ROOT.issue("Site applications", is_ca=True)
DCA = ROOT.issue("Site DCA Certificates", is_ca=True)
VENDOR_ROOT = root("Vendor root")
VENDOR = VENDOR_ROOT.issue("Vendor update managers", is_ca=True)

Plan = Callable[[SiteChains], TrustListContent]
PLANS: tuple[Plan, ...] = (plan_for_dca, plan_for_application, plan_for_singleton)


def site(*without: Issued) -> SiteChains:
    """Return the chains of a site, with a CRL of every CA but those ``without``."""
    authorities = [ROOT, APPLICATIONS, DCA, VENDOR_ROOT, VENDOR]
    return SiteChains(
        applications=APPLICATIONS.chain,
        dca=DCA.chain,
        software_update_managers=(VENDOR.chain,),
        crls=tuple(one.crl() for one in authorities if one not in without),
    )


@pytest.mark.clause("R135")
@pytest.mark.parametrize("plan", [plan_for_dca, plan_for_singleton])
def test_registrar_certificate_manager_and_update_manager_are_not_locked_out(plan: Plan) -> None:
    content = plan(site())

    assert set(content.trusted_certificates) == {APPLICATIONS.der, VENDOR.der}
    assert {ROOT.der, VENDOR_ROOT.der} <= set(content.issuer_certificates)


@pytest.mark.clause("R127")
@pytest.mark.parametrize("plan", [plan_for_application, plan_for_singleton])
def test_in_operation_the_ca_of_dca_certificates_is_not_even_known(plan: Plan) -> None:
    content = plan(site())

    assert DCA.der not in content.trusted_certificates + content.issuer_certificates


@pytest.mark.clause("R132")
def test_a_dca_knows_the_ca_of_its_certificate_and_does_not_trust_it() -> None:
    content = plan_for_dca(site())

    assert DCA.der in content.issuer_certificates
    assert DCA.der not in content.trusted_certificates


@pytest.mark.parametrize("plan", PLANS)
def test_every_ca_of_the_site_comes_with_its_revocation_list(plan: Plan) -> None:
    content = plan(site())

    certificates = content.trusted_certificates + content.issuer_certificates
    assert len(content.trusted_crls) == len(content.trusted_certificates)
    assert len(content.issuer_crls) == len(content.issuer_certificates)
    assert len(set(certificates)) == len(certificates)


@pytest.mark.parametrize("missing", [ROOT, APPLICATIONS])
@pytest.mark.parametrize("plan", PLANS)
def test_nothing_is_pushed_while_a_ca_of_the_site_has_no_list(plan: Plan, missing: Issued) -> None:
    with pytest.raises(IssuerUnavailable):
        plan(site(missing))


def test_a_list_of_somebody_elses_ca_may_be_missing() -> None:
    content = plan_for_dca(site(VENDOR))

    assert VENDOR.der in content.trusted_certificates
    assert len(content.trusted_crls) == 1


def test_order_and_repetition_make_no_difference() -> None:
    meant = TrustListContent(trusted_certificates=(b"a", b"b"))

    assert meant.difference(TrustListContent(trusted_certificates=(b"b", b"a", b"b"))) == ""
    assert "trusted_certificates" in meant.difference(TrustListContent())
