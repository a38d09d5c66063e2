"""What is mutated: Tickets, certificates and CRLs that are good, and some that are not quite.

    root ─┬─▶ a signer per algorithm, one expired, one revoked          stranger ─▶ his signer
          └─▶ issuing ─▶ Device, and one that is revoked

Mutants of ``Corpus.makers`` may be signed again, so that a change passes the signature and meets
what comes behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric import ec

from registrar.core.trust import TicketAuthorities
from tests.core.building import (
    COMPOSITE_URI,
    DEVICE_URI,
    NOW,
    Issued,
    composite_payload,
    device_payload,
    document,
    ec_key,
    entry,
    root,
    rsa_key,
    trusting,
)


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Everything one run begins with."""

    root: Issued
    makers: Mapping[str, Issued]
    """Trusted signers by an algorithm that fits their keys."""

    tickets: tuple[bytes, ...]
    certificates: tuple[bytes, ...]
    crls: tuple[bytes, ...]
    trust: TicketAuthorities
    """Trusts the root, and has its CRL and that of the issuing CA."""

    issuing: Issued
    """The CA of the Devices."""

    device: Issued
    """The one that the first Ticket describes."""


def make_corpus() -> Corpus:
    """Make one; keys and signatures are new each time, shapes are the same."""
    top = root("root")
    issuing = top.issue("issuing", is_ca=True)
    keys = {
        "ES256": ec_key(),
        "ES384": ec_key(ec.SECP384R1()),
        "ES512": ec_key(ec.SECP521R1()),
        "RS256": rsa_key(),
        "PS256": rsa_key(),
    }
    makers = {alg: top.issue(f"signer {alg}", key=key) for alg, key in keys.items()}
    expired = top.issue("expired", not_after=NOW - timedelta(days=1))
    revoked = top.issue("revoked")
    stranger = root("stranger").issue("his signer")
    device = issuing.issue("device", uris=[DEVICE_URI])
    returned = issuing.issue("returned device", uris=[DEVICE_URI])
    crls = [top.crl(revoked.certificate), issuing.crl(returned.certificate, number=7)]
    everybody = (*makers.values(), expired, revoked, stranger, top, issuing, device, returned)
    return Corpus(
        root=top,
        makers=makers,
        tickets=_tickets(makers, (expired, revoked, stranger), issuing),
        certificates=tuple(one.der for one in everybody),
        crls=tuple(crl.der for crl in crls),
        trust=TicketAuthorities(trusting(top, crls=crls)),
        issuing=issuing,
        device=device,
    )


def _tickets(
    makers: Mapping[str, Issued], others: tuple[Issued, ...], issuing: Issued
) -> tuple[bytes, ...]:
    device = device_payload(DEVICE_URI, issuing)
    composite = composite_payload(COMPOSITE_URI, issuing, devices=[DEVICE_URI])
    first, *_ = makers.values()
    kind = "CompositeIdentityTicketType"
    texts = [document(device, entry(device, maker, alg=alg)) for alg, maker in makers.items()]
    texts += [document(device, entry(device, other)) for other in others]
    texts += [
        document(composite, entry(composite, first, kind=kind)),
        document(
            device,
            entry(device, others[-1]),
            {**entry(device, first, opc_uri=COMPOSITE_URI), "header": {"kid": "1"}},
            entry(device, makers["RS256"], alg="RS256"),
        ),
    ]
    return tuple(text.encode() for text in texts)
