"""Does ``core`` decide about a pretended plant as the plan says it should?

Neither side knows the other: the plant is made with ``cryptography`` alone.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from registrar.core.certificate import Certificate
from registrar.core.identity import validate_identity
from registrar.core.match import match
from registrar.core.trust import DeviceIdentityAuthorities, TicketAuthorities, TrustList
from registrar.core.valid_ticket import ValidTicket
from registrar.core.verify import Route, TicketVerifier
from registrar.errors import CertificateRejected, TicketInvalid
from registrar.simulate.keys import KeyPool
from registrar.simulate.plant import Kind, plan
from registrar.simulate.production import Factory, Product, Shipment

NOW = datetime.now(UTC)
DECIDED_ON_THE_NETWORK = {
    Kind.KEY_MISSING,
    Kind.DUPLICATE_URI,
    Kind.ALREADY_OWNED,
    Kind.CHANGES_IGNORED,
}
"""To ``core`` these look genuine."""


class Decision:
    """What a site that was given the shipment decides, without a network."""

    def __init__(self, shipment: Shipment) -> None:
        authorities = TicketAuthorities(
            TrustList.from_der(
                trusted_certificates=shipment.ticket_authorities,
                trusted_crls=shipment.ticket_crls,
            )
        )
        self._verifier = TicketVerifier(authorities)
        self._devices = DeviceIdentityAuthorities(
            TrustList.from_der(
                trusted_certificates=shipment.device_authorities,
                trusted_crls=shipment.device_crls,
            )
        )
        documents = [*shipment.device_tickets, *shipment.composite_tickets]
        self._known = self._verifier.verify_all(documents, route=Route.OUT_OF_BAND, now=NOW)

    def about(self, product: Product) -> str:
        """Return the reason of a refusal, or nothing."""
        uri = product.plan.product_instance_uri
        stored = self._verifier.verify_all(product.tickets, route=Route.WITH_DEVICE, now=NOW)
        results = [*self._known, *stored]
        valid = [result for result in results if isinstance(result, ValidTicket)]
        identities = [Certificate.from_der(i.certificate) for i in product.identities]
        found = match(identities, valid)
        if found.candidates:
            try:
                validate_identity(
                    found.candidates[0],
                    authorities=self._devices,
                    now=NOW,
                    application_uri=uri,
                    issuers=[
                        Certificate.from_der(der)
                        for identity in product.identities
                        for der in identity.issuers
                    ],
                )
            except CertificateRejected as error:
                return str(error.reason)
            return ""
        if found.partial:
            return "composite_partial_match"
        refused = [
            result
            for result in results
            if isinstance(result, TicketInvalid) and result.claimed_uri == uri
        ]
        return str(refused[0].reason) if refused else "ticket_missing"


@pytest.mark.slow
def test_every_device_is_decided_as_planned() -> None:
    planned = plan(66, seed=3)
    products, shipment = Factory(planned, KeyPool(300), NOW).make()

    decision = Decision(shipment)
    wrong = {
        (device.plan.index, device.plan.kind, found)
        for device in products
        for found in [decision.about(device)]
        if found != _expected(device)
    }

    assert not wrong


def _expected(device: Product) -> str:
    if device.plan.kind in DECIDED_ON_THE_NETWORK:
        return ""
    (outcome,) = device.plan.expected[:1]
    return str(outcome.reason or "")
