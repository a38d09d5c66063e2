"""Devices whose answers are changed on their way out, behind channels that are all right."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from registrar.simulate.device import Device
from registrar.wire.context import Context
from registrar.wire.server_connection import ServerConnection
from registrar.wire.services import serve

Lie = Callable[[Any], Any]
"""Returns what is answered in place of a response, which it may change, or what becomes that."""


@contextmanager
def lying(lies: Mapping[Device, Lie]) -> Iterator[None]:
    """Let each of these devices pass its responses through its lie."""
    by_application = {id(device): lie for device, lie in lies.items()}

    def answer(context: Context, request: Any) -> Any:
        response = serve(context, request)
        lie = by_application.get(id(context.application))
        if lie is None:
            return response
        if inspect.isawaitable(response):
            return _later(response, lie)
        return lie(copy.deepcopy(response))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("registrar.wire.server_connection.serve", answer)
        yield


@contextmanager
def cutting(number: int) -> Iterator[list[str]]:
    """Let devices cut the connection in place of their answer ``number``, counted from 0.

    The value names the requests they were sent so far.
    """
    requests: list[str] = []

    def answer(context: Context, request: Any) -> Any:
        requests.append(type(request).__name__)
        if len(requests) == number + 1:
            assert isinstance(context.channel, ServerConnection)
            context.channel.drop(after_response=False)
        return serve(context, request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("registrar.wire.server_connection.serve", answer)
        yield requests


async def _later(response: Awaitable[Any], lie: Lie) -> Any:
    answer = lie(copy.deepcopy(await response))
    return await answer if inspect.isawaitable(answer) else answer
