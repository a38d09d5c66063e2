"""The Methods of pretended Devices: who may call what, over which channel.

One table serves every Device of the process; a handler finds its Device in the Session. Source:
OPC 10000-12 §7.8.2, §7.10; OPC 10000-18 §4.4; OPC 10000-21 §9.3.4, §9.3.5.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, cast

from asyncua import ua

from registrar.errors import ServiceFailed
from registrar.simulate import model as nodes
from registrar.simulate.configuration import Configuration
from registrar.simulate.model import ConfigurationObject, Model, node_id
from registrar.simulate.trust_list_file import TrustListFile
from registrar.status import StatusCode
from registrar.wire.builtin import array, scalar
from registrar.wire.methods import Argument, Method, MethodTable, Mode
from registrar.wire.peers import Role, Session

if TYPE_CHECKING:
    from registrar.simulate.device import Device

Kind = ua.VariantType
Results = Sequence[ua.Variant]
Answer = Callable[..., Results]

ADMINS = frozenset({Role.SECURITY_ADMIN})
STRINGS = Argument(Kind.String, is_array=True)
BYTE_STRINGS = Argument(Kind.ByteString, is_array=True)
STRUCTURES = Argument(Kind.ExtensionObject, is_array=True)


def make_methods(model: Model) -> MethodTable:
    """Return the table for all Devices of ``model``."""
    table = MethodTable()
    for at, configured in enumerate(model.objects):
        _add_configuration(table, model, at, configured)
        _add_trust_list(table, model, at, configured)
    _add_device(table)
    _add_security_admin(table)
    return table


def _add_configuration(
    table: MethodTable, model: Model, at: int, configured: ConfigurationObject
) -> None:
    group, kind = Kind.NodeId, Kind.NodeId
    rows: list[tuple[str, int, int, Answer, tuple[Argument | Kind, ...], Mode]] = [
        (
            "UpdateCertificate",
            12616,
            13737,
            _update_certificate,
            (group, kind, Kind.ByteString, BYTE_STRINGS, Kind.String, Kind.ByteString),
            Mode.ENCRYPT,
        ),
        (
            "CreateSigningRequest",
            12731,
            12737,
            _create_signing_request,
            (group, kind, Kind.String, Kind.Boolean, Kind.ByteString),
            Mode.ENCRYPT,
        ),
        ("ApplyChanges", 12734, 12740, _apply_changes, (), Mode.SIGN),
        ("CancelChanges", 25698, 25708, _cancel_changes, (), Mode.SIGN),
        ("GetRejectedList", 12775, 12777, _get_rejected_list, (), Mode.SIGN),
        ("GetCertificates", 32296, 0, _get_certificates, (group,), Mode.SIGN),
    ]
    if not at:
        rows.append(("ResetToServerDefaults", 25699, 25709, _reset, (), Mode.SIGN))
    for name, declared, standard, answer, inputs, mode in rows:
        instance = node_id(standard) if standard else nodes.GET_CERTIFICATES
        if at:
            instance = model.member(at, name)
        method = _method(partial(_configured, answer, at), inputs, ADMINS, mode)
        table.add(configured.node, (instance, node_id(declared)), method)


def _add_trust_list(
    table: MethodTable, model: Model, at: int, configured: ConfigurationObject
) -> None:
    handle, size = Kind.UInt32, Kind.UInt64
    rows: list[tuple[str, int, int, Answer, tuple[Argument | Kind, ...]]] = [
        ("Open", 11580, 12647, _open, (Kind.Byte,)),
        ("OpenWithMasks", 12543, 12663, _open_with_masks, (Kind.UInt32,)),
        ("Read", 11585, 12652, _read, (handle, Kind.Int32)),
        ("Write", 11588, 12655, _write, (handle, Kind.ByteString)),
        ("Close", 11583, 12650, _close, (handle,)),
        ("GetPosition", 11590, 12657, _get_position, (handle,)),
        ("SetPosition", 11593, 12660, _set_position, (handle, size)),
        ("CloseAndUpdate", 12546, 12666, _close_and_update, (handle,)),
        ("AddCertificate", 12548, 12668, _add_certificate, (Kind.ByteString, Kind.Boolean)),
        ("RemoveCertificate", 12550, 12670, _remove_certificate, (Kind.String, Kind.Boolean)),
    ]
    for name, declared, standard, answer, inputs in rows:
        instance = node_id(standard)
        if at:
            instance = model.member(at, f"{nodes.GROUP}/TrustList/{name}")
        method = _method(partial(_filed, answer, at), inputs, ADMINS, Mode.SIGN)
        table.add(configured.trust_list, (instance, node_id(declared)), method)


def _add_device(table: MethodTable) -> None:
    tickets = _method(_request_tickets, (), None, Mode.SIGN)
    ids = (node_id(29880), node_id(26873))
    table.add(nodes.PROVISIONABLE_DEVICE, ids, tickets)
    endpoints = _method(_set_registrar_endpoints, (STRUCTURES,), ADMINS, Mode.SIGN)
    ids = (nodes.SET_REGISTRAR_ENDPOINTS, node_id(26875))
    table.add(nodes.PROVISIONABLE_DEVICE, ids, endpoints)


def _add_security_admin(table: MethodTable) -> None:
    rows: list[tuple[int, int, Answer, Kind]] = [
        (15708, 15624, _add_identity, Kind.ExtensionObject),
        (15710, 15626, _remove_identity, Kind.ExtensionObject),
        (16261, 16176, _add_application, Kind.String),
        (16263, 16178, _remove_application, Kind.String),
    ]
    for instance, declared, answer, argument in rows:
        method = _method(answer, (argument,), ADMINS, Mode.ENCRYPT)
        table.add(nodes.SECURITY_ADMIN, (node_id(instance), node_id(declared)), method)


def _method(
    answer: Answer,
    inputs: Iterable[Argument | Kind],
    roles: frozenset[Role] | None,
    mode: Mode,
) -> Method:
    return Method(handler=partial(_answer, answer), inputs=tuple(inputs), roles=roles, mode=mode)


def _answer(answer: Answer, session: Session, *values: object) -> Results | Awaitable[Results]:
    """Let the Device answer, unless it is one that never does."""
    device = _device(session)
    if device.misbehaviour.silent:
        return asyncio.get_running_loop().create_future()
    return answer(device, session, *values)


def _device(session: Session) -> Device:
    return cast("Device", session.application)


# Configuration objects


def _configured(
    answer: Answer, at: int, device: Device, session: Session, *values: object
) -> Results:
    configuration = device.configuration
    if at >= len(configuration.groups):
        raise ServiceFailed("no such application", status=StatusCode.BadNodeIdUnknown)
    return answer(configuration, at, session, *values)


def _check_group(configuration: Configuration, at: int, group: ua.NodeId) -> None:
    # A null CertificateGroupId means the DefaultApplicationGroup (part12 §7.10).
    if not group.is_null() and group != configuration.groups[at].node:
        raise ServiceFailed("no such group", status=StatusCode.BadInvalidArgument)


def _type(certificate_type: ua.NodeId) -> int:
    if certificate_type.NamespaceIndex or not isinstance(certificate_type.Identifier, int):
        return -1
    return certificate_type.Identifier


def _update_certificate(
    configuration: Configuration,
    at: int,
    session: Session,
    group: ua.NodeId,
    certificate_type: ua.NodeId,
    certificate: bytes | None,
    issuers: Sequence[bytes],
    private_key_format: str | None,
    private_key: bytes | None,
) -> Results:
    configuration.transactions.check(session)
    _check_group(configuration, at, group)
    configuration.update_certificate(
        session,
        at,
        _type(certificate_type),
        certificate or b"",
        private_key_format or "",
        private_key or b"",
    )
    return _boolean(True)


def _create_signing_request(
    configuration: Configuration,
    at: int,
    session: Session,
    group: ua.NodeId,
    certificate_type: ua.NodeId,
    subject: str | None,
    regenerate: bool,
    nonce: bytes | None,
) -> Results:
    configuration.transactions.check(session)
    _check_group(configuration, at, group)
    request = configuration.create_signing_request(
        session, at, _type(certificate_type), subject or "", regenerate, nonce or b""
    )
    return [scalar(request, Kind.ByteString)]


def _apply_changes(configuration: Configuration, at: int, session: Session) -> Results:
    _device(session).apply_changes(session)
    return []


def _cancel_changes(configuration: Configuration, at: int, session: Session) -> Results:
    configuration.cancel_changes(session)
    return []


def _get_rejected_list(configuration: Configuration, at: int, session: Session) -> Results:
    return [array(configuration.rejected, Kind.ByteString)]


def _get_certificates(
    configuration: Configuration, at: int, session: Session, group: ua.NodeId
) -> Results:
    _check_group(configuration, at, group)
    certificates = configuration.get_certificates(at)
    types = [node_id(kind) for kind in certificates]
    return [
        array(types, Kind.NodeId),
        array(list(certificates.values()), Kind.ByteString),
    ]


def _reset(configuration: Configuration, at: int, session: Session) -> Results:
    configuration.transactions.check(session)
    _device(session).reset()
    return []


# TrustLists


def _filed(answer: Answer, at: int, device: Device, session: Session, *values: object) -> Results:
    configuration = device.configuration
    if at >= len(configuration.files):
        raise ServiceFailed("no such application", status=StatusCode.BadNodeIdUnknown)
    return answer(configuration.files[at], session, *values)


def _open(file: TrustListFile, session: Session, mode: int) -> Results:
    return [scalar(file.open(session, mode), Kind.UInt32)]


def _open_with_masks(file: TrustListFile, session: Session, masks: int) -> Results:
    return [scalar(file.open_with_masks(session, masks), Kind.UInt32)]


def _read(file: TrustListFile, session: Session, handle: int, length: int) -> Results:
    return [scalar(file.read(session, handle, length), Kind.ByteString)]


def _write(file: TrustListFile, session: Session, handle: int, data: bytes | None) -> Results:
    limit = _device(session).max_byte_string_length
    if len(data or b"") > limit:
        raise ServiceFailed(
            f"{len(data or b'')} bytes in one Write; limit {limit}",
            status=StatusCode.BadRequestTooLarge,
        )
    file.write(session, handle, data or b"")
    return []


def _close(file: TrustListFile, session: Session, handle: int) -> Results:
    file.close(session, handle)
    return []


def _get_position(file: TrustListFile, session: Session, handle: int) -> Results:
    return [scalar(file.position(session, handle), Kind.UInt64)]


def _set_position(file: TrustListFile, session: Session, handle: int, position: int) -> Results:
    file.set_position(session, handle, position)
    return []


def _close_and_update(file: TrustListFile, session: Session, handle: int) -> Results:
    file.close_and_update(session, handle)
    return _boolean(True)


def _add_certificate(
    file: TrustListFile, session: Session, certificate: bytes | None, trusted: bool
) -> Results:
    content = file.add_certificate(session, certificate or b"", trusted)
    _device(session).replace_trust_list(file.group, content)
    return []


def _remove_certificate(
    file: TrustListFile, session: Session, thumbprint: str | None, trusted: bool
) -> Results:
    content = file.remove_certificate(session, thumbprint or "", trusted)
    _device(session).replace_trust_list(file.group, content)
    return []


# The Device and the SecurityAdmin Role


def _request_tickets(device: Device, session: Session) -> Results:
    return [array(device.product.tickets, Kind.String)]


def _set_registrar_endpoints(
    device: Device, session: Session, registrars: Sequence[object]
) -> Results:
    if not all(isinstance(item, ua.ApplicationDescription) for item in registrars):
        raise ServiceFailed("no ApplicationDescription", status=StatusCode.BadInvalidArgument)
    device.registrars = tuple(
        item.ApplicationUri or ""
        for item in registrars
        if isinstance(item, ua.ApplicationDescription)
    )
    return []


def _add_identity(device: Device, session: Session, rule: object) -> Results:
    _check_role(device, session)
    device.security_admin.add_identity(rule, session.peer.certificate or b"")
    return []


def _remove_identity(device: Device, session: Session, rule: object) -> Results:
    _check_role(device, session)
    device.security_admin.remove_identity(rule)
    return []


def _add_application(device: Device, session: Session, application_uri: str | None) -> Results:
    _check_list(device, session)
    device.security_admin.add_application(application_uri or "", session.peer.certificate or b"")
    return []


def _remove_application(device: Device, session: Session, application_uri: str | None) -> Results:
    _check_list(device, session)
    device.security_admin.remove_application(application_uri or "")
    return []


def _check_role(device: Device, session: Session) -> None:
    if not device.security_admin.is_offered:
        raise ServiceFailed("the Role is not offered", status=StatusCode.BadNodeIdUnknown)
    # Whoever configures the Device configures its Role: the others wait.
    device.configuration.transactions.check(session)


def _check_list(device: Device, session: Session) -> None:
    _check_role(device, session)
    if not device.security_admin.lists_applications:
        raise ServiceFailed("no list of applications", status=StatusCode.BadMethodInvalid)


def _boolean(value: bool) -> Results:
    return [scalar(value, Kind.Boolean)]
