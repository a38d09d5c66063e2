"""Names that a device may not claim for its applications, because they mean somebody else.

A certificate of this site makes its ApplicationUri true. A device chooses the ApplicationUris of
its applications itself, so that a hijacked one would choose those of another device, of who may
report software, or ours (R132). What the ledger holds is refused there; this is about names whose
owners have no certificate of this site, or none yet.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from registrar.core.trust import TrustListName
from registrar.store import issuances, tickets, trust
from registrar.store.transaction import Readable

_LISTS: Final = (TrustListName.APPLICATIONS, TrustListName.ADMINISTRATORS)


def taken(
    reader: Readable, uris: Collection[str], *, enrolment_id: int, reserved: Collection[str]
) -> Mapping[str, str]:
    """Return which of ``uris`` mean somebody else, with who that is.

    Args:
        reader: of the store.
        uris: claimed by a device for its applications.
        enrolment_id: of that device, whose own certificates may stand in the lists of trust.
        reserved: names the configuration gives to others.
    """
    wanted = frozenset(uris)
    owners = dict.fromkeys(reserved, "the configuration of this site")
    for name in _LISTS:
        for certificate in trust.trusted_certificates(reader, name):
            if wanted.isdisjoint(certificate.san_uris):
                continue
            issuance = issuances.find(reader, certificate.der)
            if issuance is None or issuance.enrolment_id != enrolment_id:
                owners.update(
                    dict.fromkeys(certificate.san_uris, "an application this site trusts")
                )
    for ticket in tickets.tickets_for(reader, uris):
        owners.update(dict.fromkeys(ticket.mentions, "the device of a Ticket"))
    return MappingProxyType({uri: owners[uri] for uri in uris if uri in owners})
