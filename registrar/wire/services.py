"""The services of a Server and who may ask for them; OPC 10000-4 §5.

One table, ``SERVICES``: what is not in it is answered with BadServiceUnsupported, and what it
marks as secured is refused on a channel without security before anything else is looked at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from asyncua import ua

from registrar.errors import AccessDenied, RegistrarError, ServiceFailed
from registrar.status import StatusCode
from registrar.ua.codec import make
from registrar.wire import builtin
from registrar.wire.attributes import read, write
from registrar.wire.browsing import browse, browse_next, translate
from registrar.wire.context import Context
from registrar.wire.methods import (
    ArgumentsRejected,
    check_access,
    check_arguments,
    is_awaitable,
)
from registrar.wire.peers import Session
from registrar.wire.session_services import activate_session, close_session, create_session
from registrar.wire.sessions import SessionState

T = TypeVar("T")

MAX_REFERENCES_PER_REQUEST = 4_000
"""References in one Browse or BrowseNext response, about 20 ms of work."""

MAX_OVERLAPPING = 100
"""Calls of one request that are under way together."""

Answer = Any
"""A response of asyncua's types without its ResponseHeader, or an awaitable of it."""


@dataclass(frozen=True, slots=True)
class Service:
    """A row of the table."""

    answer: Callable[[Context, Any], Answer]
    is_secured: bool = True
    """Refused on a channel without security."""


def serve(context: Context, request: Any) -> Answer:
    """Answer ``request``, or return an awaitable of the answer.

    Raises:
        RegistrarError: becomes a ServiceFault with its status.
    """
    service = SERVICES.get(type(request))
    if service is None:
        raise ServiceFailed(
            f"no service {type(request).__name__}", status=StatusCode.BadServiceUnsupported
        )
    if service.is_secured and context.channel.peer.certificate is None:
        raise AccessDenied(
            f"{type(request).__name__} without security",
            status=StatusCode.BadSecurityModeInsufficient,
        )
    return service.answer(context, request)


# Discovery


def _get_endpoints(context: Context, request: ua.GetEndpointsRequest) -> ua.GetEndpointsResponse:
    parameters = request.Parameters
    profiles = parameters.ProfileUris or ()
    url = parameters.EndpointUrl or context.channel.endpoint_url
    endpoints = [
        endpoint
        for endpoint in context.application.endpoints(url)
        if not profiles or endpoint.TransportProfileUri in profiles
    ]
    return make(ua.GetEndpointsResponse, None, endpoints)


def _find_servers(context: Context, request: ua.FindServersRequest) -> ua.FindServersResponse:
    wanted = request.Parameters.ServerUris or ()
    server = context.application.describe()
    is_wanted = not wanted or server.ApplicationUri in wanted
    return make(ua.FindServersResponse, None, [server] if is_wanted else [])


# Attributes and View


def _session(context: Context, request: Any) -> SessionState:
    token = request.RequestHeader.AuthenticationToken
    return context.sessions.require(token, context.channel, context.now)


def _operations(context: Context, items: Sequence[T] | None) -> Sequence[T]:
    """Return the operations of a request.

    Raises:
        ServiceFailed: BadNothingToDo or BadTooManyOperations.
    """
    if not items:
        raise ServiceFailed("no operations", status=StatusCode.BadNothingToDo)
    if len(items) > context.limits.operations_per_request:
        raise ServiceFailed(
            f"{len(items)} operations, allowed are {context.limits.operations_per_request}",
            status=StatusCode.BadTooManyOperations,
        )
    return items


def _read(context: Context, request: ua.ReadRequest) -> ua.ReadResponse:
    session = _session(context, request).session
    parameters = request.Parameters
    if parameters.MaxAge < 0:
        raise ServiceFailed("MaxAge", status=StatusCode.BadMaxAgeInvalid)
    if parameters.TimestampsToReturn not in TIMESTAMPS:
        raise ServiceFailed("timestamps", status=StatusCode.BadTimestampsToReturnInvalid)
    space = context.application.space
    items = _operations(context, parameters.NodesToRead)
    return make(ua.ReadResponse, None, [read(space, session, item) for item in items], [])


TIMESTAMPS = frozenset(range(4))


def _write(context: Context, request: ua.WriteRequest) -> ua.WriteResponse:
    session = _session(context, request).session
    space = context.application.space
    items = _operations(context, request.Parameters.NodesToWrite)
    results = [builtin.status_code(write(space, session, item)) for item in items]
    return make(ua.WriteResponse, None, results, [])


def _browse(context: Context, request: ua.BrowseRequest) -> ua.BrowseResponse:
    state = _session(context, request)
    parameters = request.Parameters
    view = parameters.View
    if view is not None and view.ViewId is not None and not view.ViewId.is_null():
        raise ServiceFailed("no Views", status=StatusCode.BadViewIdUnknown)
    items = _operations(context, parameters.NodesToBrowse)
    asked = parameters.RequestedMaxReferencesPerNode or context.limits.references_per_node
    count = min(asked, context.limits.references_per_node)
    left, results = MAX_REFERENCES_PER_REQUEST, []
    for item in items:
        result = browse(context.application.space, item, state.points, max(1, min(count, left)))
        left -= len(result.References)
        results.append(result)
    return make(ua.BrowseResponse, None, results, [])


def _browse_next(context: Context, request: ua.BrowseNextRequest) -> ua.BrowseNextResponse:
    state = _session(context, request)
    points = _operations(context, request.Parameters.ContinuationPoints)
    release = bool(request.Parameters.ReleaseContinuationPoints)
    results = [browse_next(state.points, point, release) for point in points]
    return make(ua.BrowseNextResponse, None, make(ua.BrowseNextResult, results, []))


def _translate(
    context: Context, request: ua.TranslateBrowsePathsToNodeIdsRequest
) -> ua.TranslateBrowsePathsToNodeIdsResponse:
    _session(context, request)
    paths = _operations(context, request.Parameters.BrowsePaths)
    space = context.application.space
    results = [translate(space, path) for path in paths]
    return make(ua.TranslateBrowsePathsToNodeIdsResponse, None, results, [])


# Methods


def _call(context: Context, request: ua.CallRequest) -> ua.CallResponse | Awaitable[Any]:
    """Call the Methods in the order of the request, each after the one before has ended.

    Where all of them say that they overlap, each begins after the one before has begun.
    """
    session = _session(context, request).session
    items = _operations(context, request.Parameters.MethodsToCall)
    if len(items) > 1 and all(_overlaps(context, item) for item in items):
        return _call_together(context, session, items)
    results: list[ua.CallMethodResult] = []
    for number, item in enumerate(items, start=1):
        result = _call_one(context, session, item)
        if not isinstance(result, ua.CallMethodResult):
            return _call_later(context, session, results, result, items[number:])
        results.append(result)
    return make(ua.CallResponse, None, results, [])


async def _call_later(
    context: Context,
    session: Session,
    results: list[ua.CallMethodResult],
    running: Awaitable[ua.CallMethodResult],
    rest: Sequence[ua.CallMethodRequest],
) -> ua.CallResponse:
    results.append(await running)
    for item in rest:
        result = _call_one(context, session, item)
        results.append(result if isinstance(result, ua.CallMethodResult) else await result)
    return make(ua.CallResponse, None, results, [])


def _overlaps(context: Context, item: ua.CallMethodRequest) -> bool:
    try:
        return context.application.methods.find(item.ObjectId, item.MethodId).overlaps
    except ServiceFailed:
        return False


async def _call_together(
    context: Context, session: Session, items: Sequence[ua.CallMethodRequest]
) -> ua.CallResponse:
    async def call(item: ua.CallMethodRequest) -> ua.CallMethodResult:
        result = _call_one(context, session, item)
        return result if isinstance(result, ua.CallMethodResult) else await result

    results: list[ua.CallMethodResult] = []
    for start in range(0, len(items), MAX_OVERLAPPING):
        part = items[start : start + MAX_OVERLAPPING]
        results += await asyncio.gather(*map(call, part))
    return make(ua.CallResponse, None, results, [])


def _call_one(
    context: Context, session: Session, item: ua.CallMethodRequest
) -> ua.CallMethodResult | Awaitable[ua.CallMethodResult]:
    try:
        method = context.application.methods.find(item.ObjectId, item.MethodId)
        check_access(session, method.roles, method.mode)
        values = check_arguments(method, item.InputArguments or ())
        outputs = method.handler(session, *values)
    except RegistrarError as error:
        return _failed(error)
    if is_awaitable(outputs):
        return _finished(outputs)
    return make(ua.CallMethodResult, builtin.GOOD, [], [], outputs)


async def _finished(outputs: Awaitable[Sequence[ua.Variant]]) -> ua.CallMethodResult:
    try:
        return make(ua.CallMethodResult, builtin.GOOD, [], [], await outputs)
    except RegistrarError as error:
        return _failed(error)


def _failed(error: RegistrarError) -> ua.CallMethodResult:
    results = error.results if isinstance(error, ArgumentsRejected) else ()
    return ua.CallMethodResult(
        StatusCode=builtin.status_code(error.status),
        InputArgumentResults=[builtin.status_code(status) for status in results],
    )


SERVICES: Mapping[type, Service] = MappingProxyType(
    {
        ua.GetEndpointsRequest: Service(_get_endpoints, is_secured=False),
        ua.FindServersRequest: Service(_find_servers, is_secured=False),
        ua.CreateSessionRequest: Service(create_session),
        ua.ActivateSessionRequest: Service(activate_session),
        ua.CloseSessionRequest: Service(close_session),
        ua.ReadRequest: Service(_read),
        ua.WriteRequest: Service(_write),
        ua.BrowseRequest: Service(_browse),
        ua.BrowseNextRequest: Service(_browse_next),
        ua.TranslateBrowsePathsToNodeIdsRequest: Service(_translate),
        ua.CallRequest: Service(_call),
    }
)
