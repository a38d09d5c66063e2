"""What a campaign bears from devices that lie on good channels; threats T3, T21, T24, T26, T27.

liar     genuine, its answers changed ─▶ ended, for a reason of its own
others   onboarded, as if it were not there
"""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua

from registrar.core.enrolment import State
from registrar.core.issuance import IssuanceState
from registrar.enrolment import Outcome
from registrar.enrolment.campaign import MAX_DETAIL
from registrar.errors import Reason, Rejected
from registrar.onboarding import PushSettings
from registrar.simulate.plant import TicketRoute, Validation
from registrar.store.invariants import check
from registrar.wire.context import Context
from registrar.wire.dca_applications import MAX_URI
from registrar.wire.limits import ClientLimits
from registrar.wire.server_connection import ServerConnection
from registrar.wire.services import serve
from tests.onboarding.lying import Lie, lying
from tests.onboarding.stage import LIMITS, Backdrop, Stage, device, push_settings

Type = ua.VariantType
NODE: Callable[..., ua.ExpandedNodeId] = ua.ExpandedNodeId
T24 = pytest.mark.clause("T24")
SETTINGS = push_settings(client=ClientLimits(request_s=1.0, close_s=0.2))
URI = "urn:alpha.example.com:alpha-drive:s-0000:application-1"
CONFLICT = (State.CONFLICT, Reason.PRODUCT_INSTANCE_URI_CONFLICT)
DIAGNOSED = 2
"""Values that are read to see whether a Session outlived the changes."""


async def end_with(
    backdrop: Backdrop, directory: Path, lie: Lie, *, settings: PushSettings = SETTINGS
) -> Outcome:
    """Return how a device ends that lies so, beside an honest one that is onboarded."""
    plans = device(), device(1)
    async with backdrop.stage(directory, *plans, settings=settings) as stage:
        with lying({stage.devices[0]: lie}):
            outcomes = await stage.onboard()
        assert outcomes[stage.urls[1]].state is State.ONBOARDED
        assert check(stage.store.path) == []
        return outcomes[stage.urls[0]]


# Names of others


def calling_itself(uri: str) -> Lie:
    """Return the lie of a device whose application has another ApplicationUri."""

    def lie(response: Any) -> Any:
        for result in getattr(response, "Results", None) or []:
            if isinstance(result, ua.DataValue) and result.Value and result.Value.Value == URI:
                result.Value = ua.Variant(uri, Type.String)
        return response

    return lie


async def claiming(
    backdrop: Backdrop,
    directory: Path,
    uri_of: Callable[[Stage], str],
    settings: PushSettings = SETTINGS,
) -> Outcome:
    """Return how a device ends that claims a name of somebody else for its application."""
    plans = device(), device(1)
    async with backdrop.stage(directory, *plans, settings=settings) as stage:
        uri = uri_of(stage)
        with lying({stage.devices[0]: calling_itself(uri)}):
            (outcome,) = (await stage.onboard(stage.urls[:1])).values()
        assert uri not in {issuance.application_uri for issuance in stage.issued()}
        return outcome


@pytest.mark.clause("R132")
@pytest.mark.clause("T3")
async def test_no_application_takes_the_name_of_a_device_that_is_still_to_come(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    outcome = await claiming(backdrop, tmp_path, lambda stage: stage.devices[1].application_uri)

    assert (outcome.state, outcome.reason) == CONFLICT


async def test_no_application_takes_the_name_of_the_registrar(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    outcome = await claiming(
        backdrop, tmp_path, lambda stage: stage.site.settings.registrar.application_uri
    )

    assert outcome.reason is Reason.PRODUCT_INSTANCE_URI_CONFLICT


async def test_no_application_takes_a_name_that_the_configuration_gives_a_role(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    name = "urn:site:update-manager"
    settings = push_settings(reserved_uris=frozenset({name}))

    outcome = await claiming(backdrop, tmp_path, lambda _: name, settings)

    assert outcome.reason is Reason.PRODUCT_INSTANCE_URI_CONFLICT


@pytest.mark.parametrize(
    "uri",
    ["", "urn:\u202edevice", "urn:\x1b[2J", "urn:" + "a" * MAX_URI],
    ids=["empty", "turned", "escape", "long"],
)
async def test_an_application_has_a_name_that_a_certificate_can_hold(
    backdrop: Backdrop, tmp_path: Path, uri: str
) -> None:
    outcome = await claiming(backdrop, tmp_path, lambda _: uri)

    assert (outcome.state, outcome.reason) == (State.REFUSED, Reason.PROTOCOL_VIOLATION)
    assert len(outcome.detail) <= MAX_DETAIL


@pytest.mark.clause("R132")
@pytest.mark.clause("R136")
async def test_applications_that_change_names_between_attempts_get_nothing(
    backdrop: Backdrop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first attempt is cut where certificates are signed; the second would be a success."""
    async with backdrop.stage(tmp_path, device(applications=2)) as stage:
        configuration = stage.devices[0].configuration
        dca, *names = configuration.application_uris

        def answer(context: Context, request: Any) -> Any:
            changed = (dca, *reversed(names))
            if configuration.application_uris != changed and len(stage.issued()) > 1:
                configuration.application_uris = changed
                assert isinstance(context.channel, ServerConnection)
                context.channel.drop(after_response=False)
            return serve(context, request)

        monkeypatch.setattr("registrar.wire.server_connection.serve", answer)
        outcome = await stage.end_of()

        assert (outcome.state, outcome.reason) == CONFLICT
        assert {name: state for name, state in states(stage) if name in names} == dict.fromkeys(
            names, IssuanceState.REVOKED
        )


@pytest.mark.clause("R136")
async def test_what_the_ledger_refuses_at_the_end_is_taken_back(
    backdrop: Backdrop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise Rejected("of another", reason=Reason.PRODUCT_INSTANCE_URI_CONFLICT)

    monkeypatch.setattr("registrar.store.applications.put_all", refuse)
    async with backdrop.stage(tmp_path, device(applications=2)) as stage:
        outcome = await stage.end_of()

        assert (outcome.state, outcome.reason) == CONFLICT
        given = [state for name, state in states(stage) if ":application-" in name]
        assert given == [IssuanceState.REVOKED] * 2


def states(stage: Stage) -> list[tuple[str, IssuanceState]]:
    """Return the ApplicationUri and the state of each certificate of the first device."""
    return [(issuance.application_uri, issuance.state) for issuance in stage.issued()]


# Results of other types


def outputs(wrong: Sequence[ua.Variant], *, of: Callable[[Sequence[Any]], bool]) -> Lie:
    """Return the lie that answers ``wrong`` to the calls whose outputs are ``of`` a kind."""

    def lie(response: Any) -> Any:
        if isinstance(response, ua.CallResponse):
            for result in response.Results:
                values = [variant.Value for variant in result.OutputArguments or ()]
                if values and of(values):
                    result.OutputArguments = list(wrong)
        return response

    return lie


@T24
@pytest.mark.parametrize("handle", [-1, 1 << 32, True], ids=str)
async def test_a_file_handle_is_one(backdrop: Backdrop, tmp_path: Path, handle: int) -> None:
    kind = Type.Boolean if handle is True else Type.Int64
    lie = outputs([ua.Variant(handle, kind)], of=lambda values: type(values[0]) is int)

    outcome = await end_with(backdrop, tmp_path, lie)

    assert (outcome.state, outcome.reason) == (State.REFUSED, Reason.PROTOCOL_VIOLATION)


@T24
@pytest.mark.parametrize(
    ("types", "certificates"),
    [
        (ua.Variant(["RSA"], Type.String), ua.Variant([b"x"], Type.ByteString)),
        (ua.Variant([NODE(12560)], Type.NodeId), ua.Variant(["x"], Type.String)),
        (ua.Variant([ua.Variant(1, Type.Int32)], Type.Variant), ua.Variant([b""], Type.ByteString)),
    ],
    ids=["types", "certificates", "variants"],
)
async def test_certificates_in_slots_are_certificates(
    backdrop: Backdrop, tmp_path: Path, types: ua.Variant, certificates: ua.Variant
) -> None:
    lie = outputs([types, certificates], of=lambda values: len(values) == 2)

    outcome = await end_with(backdrop, tmp_path, lie)

    assert (outcome.state, outcome.reason) == (State.REFUSED, Reason.CHANGES_NOT_EFFECTIVE)


@T24
async def test_a_group_that_is_named_twice_is_one(backdrop: Backdrop, tmp_path: Path) -> None:
    """A node is browsed once for each reference to it."""

    def twice(response: Any) -> Any:
        for result in getattr(response, "Results", None) or ():
            if isinstance(result, ua.BrowseResult):
                result.References = 2 * list(result.References or ())
        return response

    async with backdrop.stage(tmp_path, device(1, applications=1), settings=SETTINGS) as stage:
        with lying({stage.devices[0]: twice}):
            outcome = await stage.end_of()
        assert check(stage.store.path) == []

    assert (outcome.state, outcome.reason) == (State.ONBOARDED, None)


@T24
async def test_a_session_that_says_nothing_after_the_changes_is_opened_again(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    silent = asyncio.Event()

    def hang(response: Any) -> Any:
        is_diagnosis = isinstance(response, ua.ReadResponse) and len(response.Results) == DIAGNOSED
        return silent.wait() if is_diagnosis else response

    settings = push_settings(client=ClientLimits(request_s=60, close_s=0.1))
    plan = device(1, applications=1, validation=Validation.ACTIVE)
    async with backdrop.stage(tmp_path, plan, settings=settings) as stage, asyncio.timeout(6):
        with lying({stage.devices[0]: hang}):
            outcome = await stage.end_of()

    assert (outcome.state, outcome.reason) == (State.ONBOARDED, None)


# Budgets


@T24
@pytest.mark.parametrize(
    ("requests", "share", "state"),
    [(-2, 2.0, State.REFUSED), (-1, 2.0, State.ONBOARDED), (0, 0.9, State.REFUSED)],
    ids=["requests", "all but to close", "bytes"],
)
async def test_all_connections_of_a_device_have_one_budget(
    backdrop: Backdrop, tmp_path: Path, requests: int, share: float, state: State
) -> None:
    async with backdrop.stage(tmp_path / "free", device(singleton=True)) as stage:
        await stage.onboard()
        spent = stage.driver.counters
    limits = ClientLimits(
        total_requests=spent.exchanges + requests, total_size=int(spent.bytes_received * share)
    )

    async with backdrop.stage(
        tmp_path / "bound", device(singleton=True), settings=push_settings(client=limits)
    ) as stage:
        outcome = await stage.end_of()

    expected = Reason.PROTOCOL_VIOLATION if state is State.REFUSED else None
    assert (outcome.state, outcome.reason) == (state, expected)


@T24
@pytest.mark.parametrize("kind", [ua.GetEndpointsResponse, ua.ReadResponse])
async def test_all_devices_have_one_budget_for_what_they_leave_unfinished(
    backdrop: Backdrop, tmp_path: Path, kind: type
) -> None:
    """Each answer of this kind is far longer than a chunk, and than the budget."""

    def long(response: Any) -> Any:
        if isinstance(response, ua.GetEndpointsResponse) and kind is ua.GetEndpointsResponse:
            response.Endpoints[0].Server.ProductUri = "p" * 200_000
        elif isinstance(response, ua.ReadResponse) and kind is ua.ReadResponse:
            response.Results[0].Value = ua.Variant("y" * 200_000, Type.String)
        return response

    settings = push_settings(unfinished_size=60_000)

    outcome = await end_with(backdrop, tmp_path, long, settings=settings)

    assert (outcome.state, outcome.reason) == (State.UNREACHABLE, Reason.BUSY)


@pytest.mark.clause("F16")
async def test_F16_a_device_that_is_just_in_time_each_time_runs_out_of_time(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    """Each answer comes within ``request_s``; the time of a device is bounded as well."""

    async def late(response: Any) -> Any:
        await asyncio.sleep(0.3)
        return response

    limits = replace(LIMITS, step_s=1.0, device_s=1.5)
    async with backdrop.stage(tmp_path, device(), device(1), settings=SETTINGS) as stage:
        with lying({stage.devices[0]: late}):
            async with asyncio.timeout(5):
                outcomes = await stage.onboard(limits=limits)

    late_one, honest = (outcomes[url] for url in stage.urls)
    assert (late_one.state, late_one.reason) == (State.UNREACHABLE, Reason.TIMED_OUT)
    assert honest.state is State.ONBOARDED


# Anything at all


@T24
@pytest.mark.parametrize("seed", range(3))
async def test_no_answer_is_a_fault_of_ours(
    backdrop: Backdrop, tmp_path: Path, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    """Every third device is honest; the others change one answer in eight at random."""
    plans = [
        device(
            number,
            applications=1 + number % 3,
            singleton=number % 5 == 4,
            route=TicketRoute.WITH_DEVICE if number % 4 == 0 else TicketRoute.OUT_OF_BAND,
        )
        for number in range(24)
    ]
    caplog.set_level(logging.ERROR)
    async with backdrop.stage(tmp_path, *plans, settings=SETTINGS) as stage:
        liars = {
            one: Mutator(random.Random(100 * seed + number))
            for number, one in enumerate(stage.devices)
            if number % 3
        }
        with lying(liars):
            outcomes = await stage.onboard()

        honest = [one.url for one in stage.devices if one not in liars]
        assert {outcomes[url].state for url in honest} == {State.ONBOARDED}
        assert Reason.INTERNAL not in {outcome.reason for outcome in outcomes.values()}
        assert max(len(outcome.detail) for outcome in outcomes.values()) <= MAX_DETAIL
        assert check(stage.store.path) == []
        assert caplog.records == []


NODES = (
    NODE(0, 0),
    NODE("\x00\u202e" * 50, 3, ua.NodeIdType.String),
    NODE("n" * 100_000, 3, ua.NodeIdType.String),
    NODE(b"", 2, ua.NodeIdType.ByteString),
    NODE(uuid.UUID(int=1), 1, ua.NodeIdType.Guid),
    NODE(12637, 0),
    NODE(29878, 0),
)
NAMES = (None, "", "\x1b]0;x\x07", "=1+1", "a" * 70_000, "DefaultApplicationGroup")
STATUSES = (0, 0x80000000, 0x80FF0000, 0x40000000, 0x80340000, 0x803B0000, 0xFFFFFFFF, 0x00BA0000)
VALUES = (
    ua.Variant(None, Type.Null),
    ua.Variant("\x1b[2J\u202e=cmd|' /C calc'!A0", Type.String),
    ua.Variant("y" * 100_000, Type.String),
    ua.Variant(-1, Type.Int64),
    ua.Variant(2**64 - 1, Type.UInt64),
    ua.Variant(float("nan"), Type.Double),
    ua.Variant(True, Type.Boolean),
    ua.Variant(False, Type.Boolean),
    ua.Variant(b"", Type.ByteString),
    ua.Variant(b"\x30\x82\xff\xff", Type.ByteString),
    ua.Variant(b"a" * 200_000, Type.ByteString),
    ua.Variant([None, "x"], Type.String),
    ua.Variant(["t"] * 100_000, Type.String),
    ua.Variant([b"x", None], Type.ByteString),
    ua.Variant([NODE(b"\x00\xff", 1, ua.NodeIdType.ByteString)] * 8, Type.NodeId),
    ua.Variant([ua.Variant(1, Type.Int32), ua.Variant("a", Type.String)], Type.Variant),
    ua.Variant([ua.TransactionErrorType()], Type.ExtensionObject),
    ua.Variant(ua.LocalizedText("\x1b[31m"), Type.LocalizedText),
    ua.Variant(ua.DataValue(ua.Variant(1, Type.Int32)), Type.DataValue),
)


class Mutator:
    """Changes answers at random, each field by something its Client did not ask for."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def __call__(self, response: Any) -> Any:
        change = CHANGES.get(type(response))
        if change is not None:
            change(self, response)
        if self._chance.random() < 1 / 200:
            response = ua.ServiceFault()
            response.ResponseHeader.ServiceResult = self._status()
        return response

    def _hits(self, often: int = 8) -> bool:
        return self._chance.random() < 1 / often

    def _status(self) -> ua.StatusCode:
        return ua.StatusCode(ua.UInt32(self._chance.choice(STATUSES)))

    def read(self, response: Any) -> None:
        """Change values, or how many there are."""
        for value in response.Results:
            if self._hits():
                value.Value = self._chance.choice(VALUES)
        if self._hits(40):
            response.Results.pop()

    def call(self, response: Any) -> None:
        """Change outputs and statuses of methods."""
        for result in response.Results:
            if not self._hits():
                continue
            if self._hits(4):
                result.StatusCode = self._status()
            count = self._chance.randrange(4)
            result.OutputArguments = [self._chance.choice(VALUES) for _ in range(count)]

    def browse(self, response: Any) -> None:
        """Change references, or let them go on for ever."""
        for result in getattr(response, "Results", None) or response.Parameters.Results:
            if self._hits(16):
                result.ContinuationPoint = b"again"
            for reference in result.References or []:
                if self._hits():
                    reference.NodeId = self._chance.choice(NODES)
                    reference.BrowseName = ua.QualifiedName(self._chance.choice(NAMES), 7)

    def translate(self, response: Any) -> None:
        """Let paths end elsewhere."""
        for result in response.Results:
            if self._hits():
                target = ua.BrowsePathTarget(self._chance.choice(NODES), ua.UInt32(0xFFFFFFFF))
                result.Targets = [target] * self._chance.randrange(3)

    def endpoints(self, response: Any) -> None:
        """Change what is told before a channel is open."""
        for endpoint in response.Endpoints if self._hits() else ():
            endpoint.EndpointUrl = "opc.tcp://192.0.2.1:1"
            if self._hits(2):
                endpoint.ServerCertificate = self._chance.choice([b"", b"\x30\x80", b"0" * 9_000])
            if self._hits(2):
                endpoint.Server.ApplicationUri = self._chance.choice(NAMES)

    def session(self, response: Any) -> None:
        """Change what proves the Server."""
        result = response.Parameters
        if self._hits():
            result.RevisedSessionTimeout = float("nan")
        if self._hits():
            result.ServerNonce = self._chance.choice([None, b"", b"a" * 100_000])
        if self._hits():
            result.ServerCertificate = self._chance.choice([None, b"", b"\x30" * 10])


CHANGES: dict[type, Callable[[Mutator, Any], None]] = {
    ua.ReadResponse: Mutator.read,
    ua.CallResponse: Mutator.call,
    ua.BrowseResponse: Mutator.browse,
    ua.BrowseNextResponse: Mutator.browse,
    ua.TranslateBrowsePathsToNodeIdsResponse: Mutator.translate,
    ua.GetEndpointsResponse: Mutator.endpoints,
    ua.CreateSessionResponse: Mutator.session,
}
