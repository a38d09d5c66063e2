"""One Device's way through onboarding, as two tables.

    discovered ─▶ identified ─▶ proven ─▶ provisioning ─┬──────────▶ configuring ─▶ onboarded
        │  ▲                                            └▶ software_pending ─▶ │
        ▼  │
    awaiting_ticket, awaiting_approval      every state ─▶ refused, conflict, unreachable

What to do next follows from the state alone, so resume after a crash, retry, push and pull
need no code of their own. Each command looks before it writes. Source: OPC 10000-21 §7.1, §7.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from registrar.errors import Misuse


class State(StrEnum):
    """Where an enrolment stands."""

    DISCOVERED = "discovered"
    """A URL is known, nothing else."""
    AWAITING_TICKET = "awaiting_ticket"
    """No valid Ticket matches; a RegistrarAdmin can supply one."""
    AWAITING_APPROVAL = "awaiting_approval"
    """A RegistrarAdmin has to decide."""
    IDENTIFIED = "identified"
    """A validated Ticket matches and the certificate is valid; the key is not proven."""
    PROVEN = "proven"
    """A SecureChannel proved the private key; the ProductInstanceUri is bound to it."""
    PROVISIONING = "provisioning"
    """DCA Certificate and TrustList are being delivered."""
    SOFTWARE_PENDING = "software_pending"
    """The DCA is ours; its software is not yet reported as current."""
    CONFIGURING = "configuring"
    """The applications are receiving their certificates and TrustLists."""
    ONBOARDED = "onboarded"
    REFUSED = "refused"
    CONFLICT = "conflict"
    """Another Device holds the identity, or another Registrar holds the Device."""
    UNREACHABLE = "unreachable"
    RETIRED = "retired"


class Event(StrEnum):
    """What happened to an enrolment."""

    TICKET_MATCHED = "ticket_matched"
    TICKET_MISSING = "ticket_missing"
    TICKETS_RECEIVED = "tickets_received"
    OWN_CERTIFICATE_SERVED = "own_certificate_served"
    """The Device already serves a DCA Certificate that our ledger holds for it."""
    APPROVAL_NEEDED = "approval_needed"
    APPROVED = "approved"
    IDENTITY_PROVEN = "identity_proven"
    PROVISIONING_BEGUN = "provisioning_begun"
    SOFTWARE_OUTDATED = "software_outdated"
    DCA_CONFIRMED = "dca_confirmed"
    """DCA Certificate and TrustList were read back, and the software is current."""
    SOFTWARE_CURRENT = "software_current"
    APPLICATIONS_CONFIRMED = "applications_confirmed"
    REFUSED = "refused"
    CONFLICTED = "conflicted"
    LOST = "lost"
    """The Device stayed out of reach for its whole budget."""
    RETRIED = "retried"
    RETIRED = "retired"


class Command(StrEnum):
    """What the Registrar does next."""

    READ_IDENTITIES = "read_identities"
    PROVE_IDENTITY = "prove_identity"
    BEGIN_PROVISIONING = "begin_provisioning"
    PROVISION_DCA = "provision_dca"
    AWAIT_SOFTWARE = "await_software"
    CONFIGURE_APPLICATIONS = "configure_applications"


TRANSITIONS: Mapping[State, Mapping[Event, State]] = {
    State.DISCOVERED: {
        Event.TICKET_MATCHED: State.IDENTIFIED,
        Event.TICKET_MISSING: State.AWAITING_TICKET,
        Event.APPROVAL_NEEDED: State.AWAITING_APPROVAL,
        Event.OWN_CERTIFICATE_SERVED: State.PROVISIONING,
    },
    State.AWAITING_TICKET: {
        Event.TICKETS_RECEIVED: State.DISCOVERED,
        Event.RETRIED: State.DISCOVERED,
    },
    State.AWAITING_APPROVAL: {Event.APPROVED: State.DISCOVERED, Event.RETRIED: State.DISCOVERED},
    State.IDENTIFIED: {Event.IDENTITY_PROVEN: State.PROVEN, Event.RETRIED: State.DISCOVERED},
    State.PROVEN: {Event.PROVISIONING_BEGUN: State.PROVISIONING},
    State.PROVISIONING: {
        Event.SOFTWARE_OUTDATED: State.SOFTWARE_PENDING,
        Event.DCA_CONFIRMED: State.CONFIGURING,
    },
    State.SOFTWARE_PENDING: {Event.SOFTWARE_CURRENT: State.CONFIGURING},
    State.CONFIGURING: {Event.APPLICATIONS_CONFIRMED: State.ONBOARDED},
    State.ONBOARDED: {Event.RETIRED: State.RETIRED},
    State.REFUSED: {Event.RETRIED: State.DISCOVERED, Event.RETIRED: State.RETIRED},
    State.CONFLICT: {Event.RETRIED: State.DISCOVERED, Event.RETIRED: State.RETIRED},
    State.UNREACHABLE: {Event.RETRIED: State.DISCOVERED, Event.RETIRED: State.RETIRED},
    State.RETIRED: {Event.RETRIED: State.DISCOVERED},
}

COMMANDS: Mapping[State, Command] = {
    State.DISCOVERED: Command.READ_IDENTITIES,
    State.IDENTIFIED: Command.PROVE_IDENTITY,
    State.PROVEN: Command.BEGIN_PROVISIONING,
    State.PROVISIONING: Command.PROVISION_DCA,
    State.SOFTWARE_PENDING: Command.AWAIT_SOFTWARE,
    State.CONFIGURING: Command.CONFIGURE_APPLICATIONS,
}

ENDED = frozenset(
    {State.ONBOARDED, State.REFUSED, State.CONFLICT, State.UNREACHABLE, State.RETIRED}
)
"""Nothing more happens by itself."""

WAITING = frozenset({State.AWAITING_TICKET, State.AWAITING_APPROVAL, State.SOFTWARE_PENDING})
"""Somebody else has to act first."""

_INTERRUPTIONS: Mapping[Event, State] = {
    Event.REFUSED: State.REFUSED,
    Event.CONFLICTED: State.CONFLICT,
    Event.LOST: State.UNREACHABLE,
}


def advance(state: State, event: Event) -> State:
    """Return the state ``event`` leads to from ``state``.

    Raises:
        Misuse: ``event`` cannot happen in ``state``; the caller is wrong, not the Device.
    """
    if event in _INTERRUPTIONS and state not in ENDED:
        return _INTERRUPTIONS[event]
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise Misuse(f"{event} cannot happen in state {state}") from None
