"""Which identities an endpoint list offers, and by which way each is reached."""

from __future__ import annotations

from pathlib import Path

import pytest
from asyncua import ua

from registrar.errors import CertificateRejected, Reason, Rejected
from registrar.onboarding import endpoints
from registrar.onboarding.endpoints import looks_operational, read_offer
from registrar.onboarding.settings import POLICIES
from registrar.simulate.plant import Kind
from registrar.ua.security_policy import AES256_SHA256_RSAPSS, BASIC256SHA256
from tests.onboarding.stage import Backdrop, device, push_settings

ENCRYPT = ua.MessageSecurityMode.SignAndEncrypt


def endpoint(
    certificate: bytes,
    *,
    policy: str = BASIC256SHA256.uri,
    mode: ua.MessageSecurityMode = ENCRYPT,
    uri: str = "urn:x",
) -> ua.EndpointDescription:
    return ua.EndpointDescription(
        Server=ua.ApplicationDescription(ApplicationUri=uri),
        ServerCertificate=certificate,
        SecurityPolicyUri=policy,
        SecurityMode=mode,
    )


@pytest.fixture
async def certificate(backdrop: Backdrop, tmp_path: Path) -> bytes:
    async with backdrop.stage(tmp_path, device(), start=False) as stage:
        return stage.devices[0].product.identities[0].certificate


@pytest.mark.clause("R122")
def test_the_strongest_allowed_policy_wins(certificate: bytes) -> None:
    offer = read_offer(
        [endpoint(certificate), endpoint(certificate, policy=AES256_SHA256_RSAPSS.uri)], POLICIES
    )

    (way,) = offer.ways.values()
    assert way.policy is AES256_SHA256_RSAPSS


def test_a_policy_that_is_not_allowed_is_no_way(certificate: bytes) -> None:
    offer = read_offer([endpoint(certificate)], [AES256_SHA256_RSAPSS])

    assert offer.way_to(offer.certificates[0]) is None


def test_signing_alone_is_no_way(certificate: bytes) -> None:
    offer = read_offer([endpoint(certificate, mode=ua.MessageSecurityMode.Sign)], POLICIES)

    assert offer.certificates
    assert offer.ways == {}


@pytest.mark.clause("R54")
async def test_chains_are_taken_apart(backdrop: Backdrop, tmp_path: Path) -> None:
    async with backdrop.stage(tmp_path, device(), start=False) as stage:
        identity = stage.devices[0].product.identities[0]
        issuer = stage.site.authorities.applications.certificate.der

    offer = read_offer([endpoint(identity.certificate + issuer)], POLICIES)

    assert [one.der for one in offer.certificates] == [identity.certificate]
    assert [one.der for one in offer.issuers] == [issuer]


@pytest.mark.clause("R40")
def test_the_application_uri_belongs_to_its_certificate(certificate: bytes) -> None:
    offer = read_offer([endpoint(certificate, uri="urn:y")], POLICIES)

    assert list(offer.application_uris.values()) == ["urn:y"]


def test_a_device_without_secured_endpoint_has_no_policy_for_us(certificate: bytes) -> None:
    unsecured = endpoint(certificate, mode=ua.MessageSecurityMode.None_)

    for offered in ([], [unsecured], [endpoint(b"")]):
        with pytest.raises(Rejected) as caught:
            read_offer(offered, POLICIES)
        assert caught.value.reason is Reason.SECURITY_POLICY_UNSUPPORTED


def test_a_device_whose_certificates_cannot_be_read_is_refused() -> None:
    with pytest.raises(CertificateRejected):
        read_offer([endpoint(b"\x30\x03abc"), endpoint(b"x")], POLICIES)


def test_one_bad_certificate_beside_a_good_one_is_passed_over(certificate: bytes) -> None:
    offer = read_offer([endpoint(b"x"), endpoint(certificate)], POLICIES)

    assert [one.der for one in offer.certificates] == [certificate]


@pytest.mark.parametrize("beyond", [0, 1])
def test_endpoints_are_bounded(certificate: bytes, beyond: int) -> None:
    offered = [endpoint(certificate)] * (endpoints.MAX_ENDPOINTS + beyond)

    if beyond:
        with pytest.raises(Rejected):
            read_offer(offered, POLICIES)
    else:
        assert read_offer(offered, POLICIES).ways


async def test_operational_certificates_look_other_than_identities(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    plans = device(0), device(1, kind=Kind.ALREADY_OWNED)

    async with backdrop.stage(tmp_path, *plans) as stage:
        factory_new, owned = (read_offer(one.endpoints(""), POLICIES) for one in stage.devices)

        assert not any(map(looks_operational, factory_new.certificates))
        assert all(map(looks_operational, owned.certificates))


async def test_a_device_with_policies_we_lack_ends_as_unsupported(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    async with backdrop.stage(
        tmp_path, device(), settings=push_settings(policies=(BASIC256SHA256,))
    ) as stage:
        elliptic = [
            endpoint(
                bytes(one.ServerCertificate),
                policy="http://opcfoundation.org/UA/SecurityPolicy#ECC_nistP256",
                uri=one.Server.ApplicationUri,
            )
            for one in stage.devices[0].endpoints("")
        ]
        stage.devices[0]._endpoints = elliptic

        outcome = await stage.end_of()

        assert outcome.reason is Reason.SECURITY_POLICY_UNSUPPORTED
        assert "policy" in outcome.next_action
