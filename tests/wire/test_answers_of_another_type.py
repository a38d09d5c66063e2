"""A response of another type ends the connection, whatever it says; a ServiceFault does not."""

from __future__ import annotations

from typing import Any

import pytest
from asyncua import ua

from registrar.errors import ProtocolViolation, Reason, ServiceFailed
from registrar.status import StatusCode
from registrar.wire import Client
from registrar.wire.builtin import status_code
from tests.wire.lying import Liar, handle_of, lying
from tests.wire.plant import COUNTER, ECHO
from tests.wire.raw import refusal_of


def with_status(response: Any, status: StatusCode) -> Any:
    """Return ``response`` with this ServiceResult."""
    response.ResponseHeader.ServiceResult = status_code(status)
    return response


async def ask(client: Client, *, is_call: bool) -> None:
    """Call a Method as if there were a Session, or ask for endpoints."""
    if not is_call:
        await client.get_endpoints()
        return
    client._connection.token = COUNTER
    try:
        await client.call(COUNTER, ECHO)
    finally:
        client._connection.token = None


ANOTHER: dict[str, Any] = {
    "good": lambda: ua.FindServersResponse(),
    "bad": lambda: with_status(ua.FindServersResponse(), StatusCode.BadNotSupported),
    "busy": lambda: with_status(ua.FindServersResponse(), StatusCode.BadServerHalted),
    "good-fault": lambda: ua.ServiceFault(),
}


@pytest.mark.clause("F9")
@pytest.mark.parametrize("is_call", [False, True], ids=["service", "method"])
@pytest.mark.parametrize("what", ANOTHER)
async def test_F9_an_answer_of_another_type_ends_the_connection_whatever_its_status(
    what: str, is_call: bool
) -> None:
    liars: list[Liar] = []

    def another(liar: Liar, number: int, request: Any) -> bytes:
        liars.append(liar)
        return liar.say(number, ANOTHER[what](), handle_of(request))

    async with lying(another) as url, await Client.connect(url) as client:
        first = await refusal_of(ask(client, is_call=is_call))
        await liars[0].lost
        second = await refusal_of(client.get_endpoints())

    for error in (first, second):
        assert type(error) is ProtocolViolation
        assert error.status is StatusCode.BadTcpMessageTypeInvalid
        assert error.reason is Reason.PROTOCOL_VIOLATION
    assert len(liars) == 1


@pytest.mark.parametrize("is_call", [False, True], ids=["service", "method"])
async def test_a_fault_tells_of_one_request(is_call: bool) -> None:
    answered: list[int] = []

    def fault(liar: Liar, number: int, request: Any) -> bytes:
        answered.append(number)
        response = with_status(ua.ServiceFault(), StatusCode.BadNotSupported)
        return liar.say(number, response, handle_of(request))

    async with lying(fault) as url, await Client.connect(url) as client:
        first = await refusal_of(ask(client, is_call=is_call))
        second = await refusal_of(client.get_endpoints())

    for error in (first, second):
        assert type(error) is ServiceFailed
        assert error.status is StatusCode.BadNotSupported
    assert len(answered) == 2
