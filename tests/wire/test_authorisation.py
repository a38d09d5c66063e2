"""Every cell of mode × Role × Method, and what comes first; threat T17.

The expected table is written by hand here, and compared with what the Server does.
"""

from __future__ import annotations

from collections.abc import Collection

import pytest
from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds

from registrar.errors import Misuse
from registrar.status import StatusCode
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.security_policy import BASIC256SHA256
from registrar.wire import Argument, Method, MethodTable, Mode, Role
from registrar.wire.builtin import node_id
from registrar.wire.methods import fits
from tests.wire.plant import (
    ADMINISTER,
    COUNTER,
    ECHO,
    ENCRYPT,
    MODES,
    SECRET,
    SETTING,
    SIGN,
    Plant,
    open_session,
    string,
    value_of,
)
from tests.wire.raw import refusal_of

T17 = pytest.mark.clause("T17: OPC 10000-4 §5.12.2")

DENIED = StatusCode.BadUserAccessDenied
WEAK = StatusCode.BadSecurityModeInsufficient
GOOD = StatusCode.Good

EXPECTED: dict[ua.NodeId, dict[ua.MessageSecurityMode, tuple[Collection[Role], StatusCode]]] = {
    # Method: {mode: who is let in, and what the others hear}
    ECHO: {SIGN: (frozenset(Role), GOOD), ENCRYPT: (frozenset(Role), GOOD)},
    ADMINISTER: {SIGN: (frozenset(), WEAK), ENCRYPT: ({Role.SECURITY_ADMIN}, DENIED)},
}


@T17
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
@pytest.mark.parametrize("method_id", EXPECTED, ids=["Echo", "Administer"])
async def test_every_role_may_what_the_table_says(
    plant: Plant,
    client_identity: ApplicationIdentity,
    method_id: ua.NodeId,
    mode: ua.MessageSecurityMode,
) -> None:
    allowed, otherwise = EXPECTED[method_id][mode]
    for role in Role:
        plant.roles = frozenset({role})
        request = ua.CallMethodRequest(
            ObjectId=COUNTER, MethodId=method_id, InputArguments=[string("x")]
        )
        async with await open_session(plant, client_identity, BASIC256SHA256, mode) as client:
            (result,) = await client.call_all([request])

        assert result.StatusCode.value == (GOOD if role in allowed else otherwise), role


@T17
async def test_mode_comes_before_role_and_role_before_arguments(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    wrong = ua.Variant(1, ua.VariantType.Int32)
    async with await open_session(plant, client_identity, BASIC256SHA256, SIGN) as client:
        weak = await refusal_of(client.call(COUNTER, ADMINISTER, wrong))
    async with await open_session(plant, client_identity) as client:
        denied = await refusal_of(client.call(COUNTER, ADMINISTER, wrong))
    plant.roles = frozenset({Role.SECURITY_ADMIN})
    async with await open_session(plant, client_identity) as client:
        invalid = await refusal_of(client.call(COUNTER, ADMINISTER, wrong))

    assert [weak.status, denied.status, invalid.status] == [
        WEAK,
        DENIED,
        StatusCode.BadInvalidArgument,
    ]
    assert plant.calls == []


@T17
@pytest.mark.parametrize(
    ("object_id", "method_id", "status"),
    [
        (node_id(99, 1), ECHO, StatusCode.BadNodeIdUnknown),
        (COUNTER, node_id(99, 1), StatusCode.BadMethodInvalid),
        (node_id(12637), node_id(12740), StatusCode.BadNodeIdUnknown),
    ],
)
async def test_what_is_not_in_the_table_is_denied(
    plant: Plant,
    client_identity: ApplicationIdentity,
    object_id: ua.NodeId,
    method_id: ua.NodeId,
    status: StatusCode,
) -> None:
    async with await open_session(plant, client_identity) as client:
        error = await refusal_of(client.call(object_id, method_id))

    assert error.status is status


@pytest.mark.clause("OPC 10000-4 §5.12.2")
@pytest.mark.parametrize(
    ("count", "status"),
    [(0, StatusCode.BadArgumentsMissing), (1, GOOD), (2, StatusCode.BadTooManyArguments)],
)
async def test_arguments_are_counted(
    plant: Plant, client_identity: ApplicationIdentity, count: int, status: StatusCode
) -> None:
    request = ua.CallMethodRequest(
        ObjectId=COUNTER, MethodId=ECHO, InputArguments=[string("x")] * count
    )
    async with await open_session(plant, client_identity) as client:
        (result,) = await client.call_all([request])

    assert result.StatusCode.value == status


async def test_each_argument_of_a_wrong_type_is_named(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    request = ua.CallMethodRequest(
        ObjectId=COUNTER, MethodId=ECHO, InputArguments=[ua.Variant(1, ua.VariantType.Int32)]
    )
    async with await open_session(plant, client_identity) as client:
        (result,) = await client.call_all([request])

    assert [item.value for item in result.InputArgumentResults] == [StatusCode.BadTypeMismatch]


STRINGS = Argument(ua.VariantType.String, is_array=True)


@pytest.mark.parametrize(
    ("given", "wanted", "expected"),
    [
        (string("x"), ua.VariantType.String, True),
        (ua.Variant(), ua.VariantType.String, True),
        (ua.Variant(), ua.VariantType.Boolean, False),
        (ua.Variant(), STRINGS, True),
        (string("x"), STRINGS, False),
        (ua.Variant(["x"], ua.VariantType.String), STRINGS, True),
        (ua.Variant(["x"], ua.VariantType.String), ua.VariantType.String, False),
        (ua.Variant([["x"]], ua.VariantType.String), STRINGS, False),
        (ua.Variant(1, ua.VariantType.Byte), ua.VariantType.Int32, False),
        (ua.Variant(1, ua.VariantType.Byte), ua.VariantType.Variant, True),
    ],
)
def test_types_and_ranks_must_fit(
    given: ua.Variant, wanted: Argument | ua.VariantType, expected: bool
) -> None:
    assert fits(given, wanted) is expected


async def test_a_variable_is_written_by_its_role_alone(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    async with await open_session(plant, client_identity) as client:
        denied = await client.write([(SETTING, string("no"))])
    plant.roles = frozenset({Role.CONFIGURE_ADMIN})
    async with await open_session(plant, client_identity) as client:
        results = await client.write(
            [
                (SETTING, string("yes")),
                (SETTING, ua.Variant(1, ua.VariantType.Int32)),
                (SECRET, string("no writer")),
                (node_id(2255), string("no writer")),
                (node_id(99, 1), string("no node")),
            ]
        )

    assert denied == [DENIED]
    assert results == [
        GOOD,
        StatusCode.BadTypeMismatch,
        StatusCode.BadNotWritable,
        StatusCode.BadNotWritable,
        StatusCode.BadNodeIdUnknown,
    ]
    assert plant.written == ["yes"]


async def test_a_secret_is_read_by_its_role_alone(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    async with await open_session(plant, client_identity) as client:
        (denied,) = await client.read([(SECRET, AttributeIds.Value)])
    plant.roles = frozenset({Role.SECURITY_ADMIN})
    async with await open_session(plant, client_identity) as client:
        (shown,) = await client.read([(SECRET, AttributeIds.Value)])

    assert denied.StatusCode is not None
    assert StatusCode(denied.StatusCode.value) is DENIED
    assert value_of(shown) == "hidden"


def test_a_cell_of_the_table_is_filled_once() -> None:
    table = MethodTable()
    first = Method(handler=lambda session: [], roles=None, mode=Mode.SIGN)
    second = Method(handler=lambda session: [], roles=None, mode=Mode.SIGN)
    table.add(COUNTER, [ECHO, ADMINISTER], first)

    with pytest.raises(Misuse):
        table.add(COUNTER, [ECHO], second)

    assert len(list(table.rows())) == 2
    table.remove_object(COUNTER)
    assert not list(table.rows())
