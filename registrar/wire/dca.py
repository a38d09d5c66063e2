"""A DCA as its Registrar sees it: ProvisionableDevice, ServerConfiguration and the applications.

    Objects ─ Server ─ Resources ─┬─ ProvisionableDevice ── IsSingleton, RequestTickets
                                  │        └─ <application> ┐
                                  └─ ManagedApplications    │ ApplicationConfigurationType
                                           └─ <application> ┘
              Server ─ ServerConfiguration ── CertificateGroups ── DefaultApplicationGroup

A typed face over ``wire.Client``: it knows NodeIds and argument order, decides nothing, and
believes nothing about lengths and counts. Source: OPC 10000-21 §9.3, OPC 10000-12 §7.8, §7.10.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asyncua import ua

from registrar.errors import ProtocolViolation, ServiceFailed
from registrar.status import StatusCode, name_of
from registrar.wire import dca_nodes as nodes
from registrar.wire.certificate_groups import (
    MAX_GROUPS,
    CertificateGroup,
    ConfigurationObject,
    block_size,
    node_ids,
)
from registrar.wire.client import Client
from registrar.wire.dca_applications import find_applications
from registrar.wire.dca_reading import read_values
from registrar.wire.operations import Operation, browse_path, find, perform

MAX_TICKETS = 64
"""Tickets a device may bring along; a Composite with its members fits."""
MAX_TICKET_BYTES = 262_144
NOT_OFFERED = frozenset(
    {
        StatusCode.BadMethodInvalid,
        StatusCode.BadNodeIdUnknown,
        StatusCode.BadNotImplemented,
        StatusCode.BadNotSupported,
        StatusCode.BadNotExecutable,
    }
)
"""Answers of a device that does not have an optional Method."""
_ALREADY_THERE = frozenset({StatusCode.BadAlreadyExists, StatusCode.BadEntryExists})


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDescription:
    """What one Read says about a device before it is configured."""

    is_singleton: bool
    configuration: ConfigurationObject
    max_trust_list_bytes: int
    """Zero: no limit."""
    offers_security_admin: bool
    lists_applications: bool
    """The SecurityAdmin Role is limited to the applications in its list."""


class Dca:
    """The Methods of one DCA over one Session."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def client(self) -> Client:
        """The connection below."""
        return self._client

    async def describe(self, *, application_uri: str) -> DeviceDescription:
        """Read what kind of device this is.

        Args:
            application_uri: of the peer, from its endpoint.

        Raises:
            ServiceFailed: BadNodeIdUnknown where there is no ProvisionableDevice.
        """
        length_path = browse_path(nodes.DEFAULT_GROUP_TRUST_LIST, "MaxByteStringLength")
        (length_node,) = await find(self._client, [length_path])
        wanted = [
            nodes.IS_SINGLETON,
            nodes.DEFAULT_GROUP_CERTIFICATE_TYPES,
            nodes.MAX_TRUST_LIST_SIZE,
            nodes.SERVER_MAX_BYTE_STRING_LENGTH,
            nodes.SECURITY_ADMIN_IDENTITIES,
            nodes.SECURITY_ADMIN_APPLICATIONS_EXCLUDE,
            *([length_node] if length_node else []),
        ]
        values = await read_values(self._client, wanted)
        singleton, types, max_size, server_length, identities, exclude = values[:6]
        if not isinstance(singleton, bool):
            raise ServiceFailed(
                "there is no ProvisionableDevice with IsSingleton",
                status=StatusCode.BadNodeIdUnknown,
            )
        group = CertificateGroup(
            node=nodes.DEFAULT_GROUP,
            trust_list=nodes.DEFAULT_GROUP_TRUST_LIST,
            certificate_types=node_ids(types),
            block_size=block_size(*values[6:], server_length),
        )
        return DeviceDescription(
            is_singleton=singleton,
            configuration=ConfigurationObject(
                node=nodes.SERVER_CONFIGURATION,
                name="ServerConfiguration",
                application_uri=application_uri,
                groups=(group,),
            ),
            max_trust_list_bytes=max_size if isinstance(max_size, int) else 0,
            offers_security_admin=isinstance(identities, list),
            lists_applications=exclude is False,
        )

    async def request_tickets(self) -> list[str]:
        """Return the Tickets the device brought along, as text (Q9: String or ByteString).

        Raises:
            ServiceFailed: BadMethodInvalid or BadNodeIdUnknown where it is not a DCA.
        """
        operation = Operation(
            object_id=nodes.PROVISIONABLE_DEVICE,
            method_id=nodes.REQUEST_TICKETS,
            outputs=1,
            read=lambda outputs: outputs[0],
        )
        (tickets,) = await perform(self._client, [operation])
        if tickets is None:
            return []
        if not isinstance(tickets, list):
            raise ProtocolViolation("RequestTickets answered no array")
        if len(tickets) > MAX_TICKETS:
            raise ProtocolViolation(f"{len(tickets)} Tickets exceed the limit of {MAX_TICKETS}")
        return [text for text in map(_ticket_text, tickets) if text]

    async def applications(self) -> list[ConfigurationObject]:
        """Return every application the device lets us configure."""
        return await find_applications(self._client)

    # --- transactions

    async def apply_changes(self, object_ids: Sequence[ua.NodeId]) -> None:
        """Apply the transaction on every object; most devices apply all of it with the first.

        Raises:
            MethodFailed: something was not applied.
            Unavailable: the answer was lost; the outcome is unknown.
        """
        nothing_more = frozenset({StatusCode.BadNothingToDo})
        operations = [
            _plain(object_id, nodes.APPLY_CHANGES, nothing_more if number else frozenset())
            for number, object_id in enumerate(object_ids)
        ]
        await perform(self._client, operations)

    async def cancel_changes(self, object_id: ua.NodeId = nodes.SERVER_CONFIGURATION) -> None:
        """Drop the transaction; that there is none is no failure."""
        nothing = NOT_OFFERED | {StatusCode.BadNothingToDo}
        await perform(self._client, [_plain(object_id, nodes.CANCEL_CHANGES, nothing)])

    async def diagnostics(self) -> str:
        """Return what the last transaction came to, for people; empty where nothing is said."""
        result, errors = await read_values(
            self._client, [nodes.DIAGNOSTICS_RESULT, nodes.DIAGNOSTICS_ERRORS]
        )
        said = []
        if isinstance(result, ua.StatusCode):
            said.append(f"transaction {name_of(result.value)}")
        for error in errors[:MAX_GROUPS] if isinstance(errors, list) else []:
            if isinstance(error, ua.TransactionErrorType):
                text = (error.Message.Text or "")[:80] if error.Message else ""
                code = error.Error.value if error.Error else 0
                target = error.TargetId.to_string()[:80]
                said.append(f"{target}: {name_of(code)} {text}".rstrip())
        return "; ".join(said)

    # --- the SecurityAdmin Role

    async def grant_security_admin(self, application_uri: str, *, list_it: bool) -> bool:
        """Map the SecurityAdmin Role to an application (R134); False where not offered.

        Args:
            application_uri: of the Registrar.
            list_it: name it in the Role's Applications too, where these are the only ones
                allowed; elsewhere that list excludes.
        """
        rule = ua.IdentityMappingRuleType(
            CriteriaType=ua.IdentityCriteriaType.Application, Criteria=application_uri
        )
        operations = [
            Operation(
                object_id=nodes.SECURITY_ADMIN,
                method_id=nodes.SECURITY_ADMIN_ADD_IDENTITY,
                inputs=(ua.Variant(rule, ua.VariantType.ExtensionObject),),
                read=_nothing,
                tolerated=_ALREADY_THERE,
            )
        ]
        if list_it:
            operations.append(
                Operation(
                    object_id=nodes.SECURITY_ADMIN,
                    method_id=nodes.SECURITY_ADMIN_ADD_APPLICATION,
                    inputs=(ua.Variant(application_uri, ua.VariantType.String),),
                    read=_nothing,
                    tolerated=_ALREADY_THERE,
                )
            )
        try:
            await perform(self._client, operations)
        except ServiceFailed as error:
            if error.status in NOT_OFFERED:
                return False
            raise
        return True


def _plain(
    object_id: ua.NodeId, method_id: ua.NodeId, tolerated: frozenset[StatusCode]
) -> Operation[None]:
    return Operation(object_id=object_id, method_id=method_id, read=_nothing, tolerated=tolerated)


def _nothing(_: list[object]) -> None:
    return None


def _ticket_text(ticket: object) -> str:
    """Return the text of a Ticket; empty for what can be none, so that others still count."""
    if isinstance(ticket, bytes):
        try:
            ticket = ticket.decode()
        except UnicodeDecodeError:
            return ""
    if not isinstance(ticket, str) or len(ticket) > MAX_TICKET_BYTES:
        return ""
    return ticket
