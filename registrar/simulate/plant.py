"""Plan a plant: which Devices stand in it, and how each is expected to end.

A plan is pure: number of Devices, seed and number of impostors decide it. Shares are exact to
one Device and independent of each other, so that traits meet in every combination. Source:
OPC 10000-21 §4.3, §5.3 (Composites), §6.4 (the two ways of a Ticket).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from registrar.core.enrolment import State
from registrar.errors import ConfigurationInvalid, Reason


class Kind(StrEnum):
    """What a Device really is."""

    GENUINE = "genuine"
    NO_TICKET = "no_ticket"
    TICKET_CHANGED = "ticket_changed"
    SIGNER_UNTRUSTED = "signer_untrusted"
    SIGNER_REVOKED = "signer_revoked"
    CERTIFICATE_REVOKED = "certificate_revoked"
    CERTIFICATE_FOREIGN = "certificate_foreign"
    """Its certificate was not issued by the authorities its Ticket names."""
    KEY_MISSING = "key_missing"
    """It shows a copied certificate and has another key."""
    COMPOSITE_PARTIAL = "composite_partial"
    DUPLICATE_URI = "duplicate_uri"
    """A second Device with the ProductInstanceUri of a genuine one."""
    ALREADY_OWNED = "already_owned"
    CHANGES_IGNORED = "changes_ignored"
    """It answers Good and changes nothing."""


IMPOSTORS: tuple[Kind, ...] = tuple(kind for kind in Kind if kind is not Kind.GENUINE)


class Validation(StrEnum):
    """What a Device checks a certificate against that UpdateCertificate brings (part12 §7.10.5)."""

    FORM = "form"
    """Form, key and slot only, as many Devices in the field do."""
    STAGED = "staged"
    """Also the chain, against the TrustList of the open transaction."""
    ACTIVE = "active"
    """Also the chain, against the TrustList in force."""


class TicketRoute(StrEnum):
    """How the site gets a Device's Ticket (§6.4)."""

    OUT_OF_BAND = "out_of_band"
    WITH_DEVICE = "with_device"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an enrolment may end."""

    state: State
    reason: Reason | None = None


ONBOARDED = Outcome(state=State.ONBOARDED)
CONFLICTED = Outcome(state=State.CONFLICT, reason=Reason.PRODUCT_INSTANCE_URI_CONFLICT)

EXPECTED: Mapping[Kind, tuple[Outcome, ...]] = {
    Kind.GENUINE: (ONBOARDED,),
    Kind.NO_TICKET: (Outcome(state=State.AWAITING_TICKET, reason=Reason.TICKET_MISSING),),
    Kind.DUPLICATE_URI: (ONBOARDED, CONFLICTED),
    Kind.ALREADY_OWNED: (Outcome(state=State.CONFLICT, reason=Reason.ALREADY_OWNED),),
    **{
        kind: (Outcome(state=State.REFUSED, reason=reason),)
        for kind, reason in {
            Kind.TICKET_CHANGED: Reason.TICKET_SIGNATURE_INVALID,
            Kind.SIGNER_UNTRUSTED: Reason.TICKET_SIGNER_UNTRUSTED,
            Kind.SIGNER_REVOKED: Reason.TICKET_SIGNER_REVOKED,
            Kind.CERTIFICATE_REVOKED: Reason.DEVICE_CERTIFICATE_REVOKED,
            Kind.CERTIFICATE_FOREIGN: Reason.DEVICE_CERTIFICATE_UNTRUSTED,
            Kind.KEY_MISSING: Reason.KEY_NOT_PROVEN,
            Kind.COMPOSITE_PARTIAL: Reason.COMPOSITE_PARTIAL_MATCH,
            Kind.CHANGES_IGNORED: Reason.CHANGES_NOT_EFFECTIVE,
        }.items()
    },
}
"""The outcomes a Registrar may reach; of a pair with one URI exactly one is onboarded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePlan:
    """One Device of the plant."""

    index: int
    kind: Kind
    maker: str
    model: str
    serial_number: str
    product_instance_uri: str
    route: TicketRoute
    singleton: bool
    applications: int
    """How many managed applications it has; none on a singleton (part21 §9.3.3)."""
    validation: Validation
    outdated: bool
    composite: str = ""
    """CompositeInstanceUri of the Composite it is built into, or nothing."""
    twin: int | None = None
    """Index of the other Device with this ProductInstanceUri."""

    @property
    def expected(self) -> tuple[Outcome, ...]:
        """How its enrolment may end."""
        if self.twin is not None:
            return EXPECTED[Kind.DUPLICATE_URI]
        return EXPECTED[self.kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositePlan:
    """One Composite; the outermost one's URI stands in the LDevIDs of all its Devices."""

    uri: str
    outer: str = ""
    """URI of the Composite it is built into, or nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole plant."""

    seed: int
    devices: tuple[DevicePlan, ...]
    composites: tuple[CompositePlan, ...]

    @property
    def genuine(self) -> int:
        """How many Devices are genuine."""
        return sum(device.kind is Kind.GENUINE for device in self.devices)

    @property
    def wanted_revisions(self) -> dict[str, str]:
        """The software revision the site wants, for each model."""
        return {model: WANTED_REVISION for models in MODELS.values() for model in models}

    def outermost(self, uri: str) -> str:
        """Return the URI of the Composite that holds ``uri`` and is in no other."""
        outer = {composite.uri: composite.outer for composite in self.composites}
        while outer.get(uri):
            uri = outer[uri]
        return uri


MODELS: Mapping[str, tuple[str, ...]] = {
    "alpha": ("alpha-drive", "alpha-valve"),
    "beta": ("beta-sensor", "beta-gateway"),
    "gamma": ("gamma-robot",),
}
"""The models of each maker."""
WANTED_REVISION = "2.1.0"
OUTDATED_REVISION = "1.9.3"

TICKET_ON_DEVICE_SHARE = 0.20
COMPOSITE_SHARE = 0.20
SINGLETON_SHARE = 0.20
STAGED_SHARE = 0.10
ACTIVE_SHARE = 0.10
OUTDATED_SHARE = 0.10
IMPOSTOR_SHARE = 0.05

EVERY_KIND_FROM = 24
"""From so many Devices on, each kind of impostor is there at least once."""
MEMBERS_PER_COMPOSITE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Traits:
    """The positions, among the genuine Devices, that have each trait."""

    on_device: frozenset[int]
    composite: tuple[int, ...]
    singleton: frozenset[int]
    staged: frozenset[int]
    active: frozenset[int]
    outdated: frozenset[int]


def plan(devices: int, seed: int = 1, impostors: int | None = None) -> Plan:
    """Plan ``devices`` Devices, ``impostors`` of them not genuine.

    Args:
        devices: how many stand in the plant, impostors included.
        seed: the same seed and numbers give the same plan.
        impostors: None for one in twenty, at least one of each kind from 24 Devices on.

    Raises:
        ConfigurationInvalid: there are more impostors than Devices, or a pair without its
            genuine half.
    """
    chosen = impostors if impostors is not None else _usual_impostors(devices)
    if not 0 <= chosen <= devices:
        raise ConfigurationInvalid(
            f"{chosen} impostors do not fit among {devices} devices", next_action=_FEWER
        )
    random = Random(seed)
    kinds: list[Kind] = [IMPOSTORS[number % len(IMPOSTORS)] for number in range(chosen)]
    kinds = [Kind.GENUINE] * (devices - chosen) + kinds
    random.shuffle(kinds)
    genuine = [index for index, kind in enumerate(kinds) if kind is Kind.GENUINE]
    traits = _draw(random, len(genuine))
    composites, membership = _compose(seed, [genuine[at] for at in traits.composite])
    twins = _pair(random, kinds, [index for index in genuine if index not in membership])
    position = {index: at for at, index in enumerate(genuine)}
    planned = [
        _genuine(index, seed, traits, position[index], membership.get(index, ""), twins.get(index))
        if kind is Kind.GENUINE
        else _impostor(index, seed, kind, twins.get(index))
        for index, kind in enumerate(kinds)
    ]
    lone = [CompositePlan(uri=d.composite) for d in planned if d.kind is Kind.COMPOSITE_PARTIAL]
    return Plan(seed=seed, devices=tuple(planned), composites=(*composites, *lone))


_FEWER = "Ask for fewer impostors or more devices."


def _usual_impostors(devices: int) -> int:
    if devices < EVERY_KIND_FROM:
        return devices // 10
    return max(len(IMPOSTORS), round(devices * IMPOSTOR_SHARE))


def _draw(random: Random, genuine: int) -> _Traits:
    def some(share: float) -> list[int]:
        return random.sample(range(genuine), round(genuine * share))

    checking = some(STAGED_SHARE + ACTIVE_SHARE)
    staged = round(genuine * STAGED_SHARE)
    return _Traits(
        on_device=frozenset(some(TICKET_ON_DEVICE_SHARE)),
        composite=tuple(some(COMPOSITE_SHARE)),
        singleton=frozenset(some(SINGLETON_SHARE)),
        staged=frozenset(checking[:staged]),
        active=frozenset(checking[staged:]),
        outdated=frozenset(some(OUTDATED_SHARE)),
    )


def _compose(seed: int, members: Sequence[int]) -> tuple[list[CompositePlan], dict[int, str]]:
    """Build the members into Composites; every other Composite is inside the one before."""
    composites: list[CompositePlan] = []
    membership: dict[int, str] = {}
    for number, start in enumerate(range(0, len(members), MEMBERS_PER_COMPOSITE)):
        uri = f"urn:delta.example.com:cell:{seed}-{number:04}"
        outer = composites[-1].uri if number % 2 else ""
        composites.append(CompositePlan(uri=uri, outer=outer))
        membership.update(dict.fromkeys(members[start : start + MEMBERS_PER_COMPOSITE], uri))
    return composites, membership


def _pair(random: Random, kinds: Sequence[Kind], candidates: Sequence[int]) -> dict[int, int]:
    doubles = [index for index, kind in enumerate(kinds) if kind is Kind.DUPLICATE_URI]
    if len(doubles) > len(candidates):
        raise ConfigurationInvalid(
            f"{len(doubles)} doubles need as many genuine devices outside Composites",
            next_action=_FEWER,
        )
    originals = random.sample(list(candidates), len(doubles))
    pairs = dict(zip(doubles, originals, strict=True))
    return pairs | {original: double for double, original in pairs.items()}


def _genuine(
    index: int, seed: int, traits: _Traits, at: int, composite: str, twin: int | None
) -> DevicePlan:
    singleton = at in traits.singleton
    validation = Validation.FORM
    if at in traits.staged:
        validation = Validation.STAGED
    elif at in traits.active:
        validation = Validation.ACTIVE
    return _device(
        index,
        seed,
        kind=Kind.GENUINE,
        route=TicketRoute.WITH_DEVICE if at in traits.on_device else TicketRoute.OUT_OF_BAND,
        singleton=singleton,
        applications=0 if singleton else 1 + index % 3,
        validation=validation,
        outdated=at in traits.outdated,
        composite=composite,
        twin=twin,
    )


def _impostor(index: int, seed: int, kind: Kind, twin: int | None) -> DevicePlan:
    route = TicketRoute.WITH_DEVICE if index % 2 else TicketRoute.OUT_OF_BAND
    if kind is Kind.NO_TICKET:
        route = TicketRoute.NONE
    partial = f"urn:delta.example.com:cell:{seed}-partial-{index:04}"
    return _device(
        index,
        seed,
        kind=kind,
        route=TicketRoute.OUT_OF_BAND if kind is Kind.DUPLICATE_URI else route,
        singleton=False,
        applications=1,
        validation=Validation.FORM,
        outdated=kind is Kind.ALREADY_OWNED and bool(index % 2),
        composite=partial if kind is Kind.COMPOSITE_PARTIAL else "",
        twin=twin,
        # What has to be on a CRL needs a maker whose certificates say where it is.
        maker="alpha" if kind is Kind.CERTIFICATE_REVOKED else "",
    )


def _device(
    index: int,
    seed: int,
    *,
    kind: Kind,
    route: TicketRoute,
    singleton: bool,
    applications: int,
    validation: Validation,
    outdated: bool,
    composite: str,
    twin: int | None,
    maker: str = "",
) -> DevicePlan:
    # The double of a pair is made, and named, as the Device whose name it bears.
    named = twin if twin is not None and kind is Kind.DUPLICATE_URI else index
    maker = maker or tuple(MODELS)[named % len(MODELS)]
    model = MODELS[maker][named // len(MODELS) % len(MODELS[maker])]
    serial_number = f"{seed:03}-{named:06}"
    return DevicePlan(
        index=index,
        kind=kind,
        maker=maker,
        model=model,
        serial_number=serial_number,
        product_instance_uri=f"urn:{maker}.example.com:{model}:snr-{serial_number}",
        route=route,
        singleton=singleton,
        applications=applications,
        validation=validation,
        outdated=outdated,
        composite=composite,
        twin=twin,
    )
