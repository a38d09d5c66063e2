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
from asyncua.ua.attribute_ids import AttributeIds

from registrar.errors import ProtocolViolation, ServiceFailed
from registrar.status import StatusCode, is_bad, name_of
from registrar.wire import dca_nodes as nodes
from registrar.wire.client import Client
from registrar.wire.operations import Operation, browse_path, find, local, perform

MAX_TICKETS = 64
"""Tickets a device may bring along; a Composite with its members fits."""
MAX_TICKET_BYTES = 262_144
MAX_APPLICATIONS = 64
MAX_GROUPS = 8
MAX_CERTIFICATE_BYTES = 65_536
DEFAULT_BLOCK = 16_384
"""Bytes of a file in one call where the Server names no limit."""
MIN_BLOCK = 128
"""A Server that takes less at a time is not worth the calls."""

Value = AttributeIds.Value


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateGroup:
    """One CertificateGroup and what is needed to fill it (OPC 10000-12 §7.8.3)."""

    node: ua.NodeId
    trust_list: ua.NodeId
    certificate_types: tuple[ua.NodeId, ...]
    block_size: int
    """Bytes the TrustList takes in one Write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationObject:
    """ServerConfiguration, or one ApplicationConfigurationType object."""

    node: ua.NodeId
    name: str
    application_uri: str
    groups: tuple[CertificateGroup, ...]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """Where one certificate belongs: object, group and type."""

    object_id: ua.NodeId
    group: ua.NodeId
    certificate_type: ua.NodeId


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
        values = await self._read(wanted)
        singleton, types, max_size, server_length, identities, exclude = values[:6]
        if not isinstance(singleton, bool):
            raise ServiceFailed(
                "there is no ProvisionableDevice with IsSingleton",
                status=StatusCode.BadNodeIdUnknown,
            )
        group = CertificateGroup(
            node=nodes.DEFAULT_GROUP,
            trust_list=nodes.DEFAULT_GROUP_TRUST_LIST,
            certificate_types=_node_ids(types),
            block_size=_block_size(*values[6:], server_length),
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

    # --- applications

    async def applications(self) -> list[ConfigurationObject]:
        """Find every ApplicationConfigurationType object, wherever it lives (Q28).

        They are looked for below ProvisionableDevice and in ManagedApplications, and counted
        once by NodeId and by ApplicationUri.
        """
        found = await self._application_nodes()
        if not found:
            return []
        numbers = range(len(found))
        paths = [
            browse_path(node, name)
            for node, _ in found
            for name in ("ApplicationUri", "CertificateGroups")
        ]
        targets = await find(self._client, paths)
        uris, groups = await self._uris_and_groups(targets[0::2], targets[1::2])
        objects: dict[str, ConfigurationObject] = {}
        for number in numbers:
            node, name = found[number]
            uri = uris[number]
            if not isinstance(uri, str) or not uri:
                raise ProtocolViolation(f"application {name[:80]!r} has no ApplicationUri")
            objects.setdefault(
                uri,
                ConfigurationObject(
                    node=node, name=name, application_uri=uri, groups=tuple(groups[number])
                ),
            )
        return list(objects.values())

    async def _application_nodes(self) -> list[tuple[ua.NodeId, str]]:
        places = [nodes.PROVISIONABLE_DEVICE, nodes.MANAGED_APPLICATIONS]
        try:
            answers = await self._browse(places, ua.NodeClass.Object)
        except ServiceFailed as error:
            if error.status != StatusCode.BadNodeIdUnknown:
                raise
            # ManagedApplications came later than ProvisionableDevice (OPC 10000-12 1.05.06).
            answers = await self._browse(places[:1], ua.NodeClass.Object)
        found: dict[ua.NodeId, str] = {}
        for references in answers:
            for reference in references:
                if local(reference.TypeDefinition) == nodes.APPLICATION_CONFIGURATION_TYPE:
                    found.setdefault(local(reference.NodeId), reference.BrowseName.Name or "")
        if len(found) > MAX_APPLICATIONS:
            raise ProtocolViolation(
                f"{len(found)} applications exceed the limit of {MAX_APPLICATIONS}"
            )
        return list(found.items())

    async def _uris_and_groups(
        self, properties: Sequence[ua.NodeId | None], folders: Sequence[ua.NodeId | None]
    ) -> tuple[list[object], list[list[CertificateGroup]]]:
        """Read ApplicationUris, and the groups in each folder for application certificates."""
        known = [folder for folder in folders if folder is not None]
        answers = iter(await self._browse(known, ua.NodeClass.Object) if known else [])
        members = [
            [
                (local(reference.NodeId), reference.BrowseName.Name)
                for reference in (next(answers)[:MAX_GROUPS] if folder is not None else [])
            ]
            for folder in folders
        ]
        flat = [member for group in members for member in group]
        targets = await find(
            self._client, [path for node, _ in flat for path in _group_paths(node)]
        )
        values = await self._read_where(
            [*properties, *targets, nodes.SERVER_MAX_BYTE_STRING_LENGTH]
        )
        uris, server_length = values[: len(properties)], values[-1]
        described = iter(
            _group(node, name, targets[at : at + 4], values[len(uris) + at :], server_length)
            for at, (node, name) in zip(range(0, 4 * len(flat), 4), flat, strict=True)
        )
        groups = [
            [found for found in (next(described) for _ in group) if found is not None]
            for group in members
        ]
        return uris, groups

    # --- certificates

    async def update_certificates(
        self, deliveries: Sequence[tuple[Slot, bytes]], *, issuers: Sequence[bytes]
    ) -> bool:
        """Put certificates into their slots; tell whether ApplyChanges is required."""
        operations = [
            Operation(
                object_id=slot.object_id,
                method_id=nodes.UPDATE_CERTIFICATE,
                inputs=(
                    ua.Variant(slot.group, ua.VariantType.NodeId),
                    ua.Variant(slot.certificate_type, ua.VariantType.NodeId),
                    ua.Variant(certificate, ua.VariantType.ByteString),
                    ua.Variant(list(issuers), ua.VariantType.ByteString, is_array=True),
                    ua.Variant("", ua.VariantType.String),
                    ua.Variant(None, ua.VariantType.ByteString),
                ),
                outputs=1,
                read=_boolean,
            )
            for slot, certificate in deliveries
        ]
        required: list[bool] = await perform(self._client, operations)
        return any(required)

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
        result, errors = await self._read([nodes.DIAGNOSTICS_RESULT, nodes.DIAGNOSTICS_ERRORS])
        said = []
        if isinstance(result, ua.StatusCode):
            said.append(f"transaction {name_of(result.value)}")
        for error in errors[:MAX_GROUPS] if isinstance(errors, list) else []:
            if isinstance(error, ua.TransactionErrorType):
                text = (error.Message.Text or "")[:80] if error.Message else ""
                code = error.Error.value if error.Error else 0
                said.append(f"{error.TargetId.to_string()}: {name_of(code)} {text}".rstrip())
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
            )
        ]
        if list_it:
            operations.append(
                Operation(
                    object_id=nodes.SECURITY_ADMIN,
                    method_id=nodes.SECURITY_ADMIN_ADD_APPLICATION,
                    inputs=(ua.Variant(application_uri, ua.VariantType.String),),
                    read=_nothing,
                )
            )
        for operation in operations:
            try:
                await perform(self._client, [operation])
            except ServiceFailed as error:
                if error.status in NOT_OFFERED:
                    return False
                if error.status not in _ALREADY_THERE:
                    raise
        return True

    # --- reading

    async def _read(self, wanted: Sequence[ua.NodeId]) -> list[object]:
        """Return the values of ``wanted``; None for each that cannot be read."""
        values = await self._client.read([(node, Value) for node in wanted])
        return [_value(value) for value in values]

    async def _read_where(self, wanted: Sequence[ua.NodeId | None]) -> list[object]:
        there = [node for node in wanted if node is not None]
        values = iter(await self._read(there) if there else [])
        return [None if node is None else next(values) for node in wanted]

    async def _browse(
        self, starts: Sequence[ua.NodeId], node_class: ua.NodeClass
    ) -> list[list[ua.ReferenceDescription]]:
        wanted = (
            ua.BrowseResultMask.BrowseName
            | ua.BrowseResultMask.NodeClass
            | ua.BrowseResultMask.TypeDefinition
        )
        return await self._client.browse(
            [
                ua.BrowseDescription(
                    NodeId=start,
                    BrowseDirection=ua.BrowseDirection.Forward,
                    ReferenceTypeId=nodes.HIERARCHICAL_REFERENCES,
                    IncludeSubtypes=True,
                    NodeClassMask=int(node_class),
                    ResultMask=int(wanted),
                )
                for start in starts
            ]
        )


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


def signing_requests(
    slots: Sequence[Slot], *, subjects: Sequence[str], nonces: Sequence[bytes]
) -> list[Operation[bytes]]:
    """Return the calls that make the device create a new key for each slot.

    Their values are the PKCS#10 requests.

    Args:
        slots: where the certificates will go.
        subjects: the subject names, which an empty slot cannot take from a certificate.
        nonces: 32 random bytes or more for each slot.
    """
    return [
        Operation(
            object_id=slot.object_id,
            method_id=nodes.CREATE_SIGNING_REQUEST,
            inputs=(
                ua.Variant(slot.group, ua.VariantType.NodeId),
                ua.Variant(slot.certificate_type, ua.VariantType.NodeId),
                ua.Variant(subject, ua.VariantType.String),
                ua.Variant(True, ua.VariantType.Boolean),
                ua.Variant(nonce, ua.VariantType.ByteString),
            ),
            outputs=1,
            read=_bytes,
        )
        for slot, subject, nonce in zip(slots, subjects, nonces, strict=True)
    ]


def held_certificates(
    groups: Sequence[tuple[ua.NodeId, ua.NodeId]],
) -> list[Operation[dict[ua.NodeId, bytes]]]:
    """Return the calls that tell, for each object and group, what stands in its slots."""
    return [
        Operation(
            object_id=object_id,
            method_id=nodes.GET_CERTIFICATES,
            inputs=(ua.Variant(group, ua.VariantType.NodeId),),
            outputs=2,
            read=_certificates,
        )
        for object_id, group in groups
    ]


def _plain(
    object_id: ua.NodeId, method_id: ua.NodeId, tolerated: frozenset[StatusCode]
) -> Operation[None]:
    return Operation(object_id=object_id, method_id=method_id, read=_nothing, tolerated=tolerated)


def _group_paths(group: ua.NodeId) -> list[ua.BrowsePath]:
    return [
        browse_path(group, "TrustList"),
        browse_path(group, "CertificateTypes"),
        browse_path(group, "Purpose"),
        browse_path(group, "TrustList", "MaxByteStringLength"),
    ]


def _group(
    node: ua.NodeId,
    name: str,
    targets: Sequence[ua.NodeId | None],
    values: Sequence[object],
    server_length: object,
) -> CertificateGroup | None:
    """Make a group of what ``_group_paths`` led to; None where it is for something else."""
    trust_list, purpose = targets[0], values[2]
    if purpose is None and name == nodes.DEFAULT_APPLICATION_GROUP_NAME:
        purpose = nodes.APPLICATION_PURPOSE
    if trust_list is None or purpose != nodes.APPLICATION_PURPOSE:
        return None
    return CertificateGroup(
        node=node,
        trust_list=trust_list,
        certificate_types=_node_ids(values[1]),
        block_size=_block_size(values[3], server_length),
    )


def _nothing(_: list[object]) -> None:
    return None


def _bytes(outputs: list[object]) -> bytes:
    if not isinstance(outputs[0], bytes) or len(outputs[0]) > MAX_CERTIFICATE_BYTES:
        raise ProtocolViolation("a ByteString within limits was due")
    return outputs[0]


def _boolean(outputs: list[object]) -> bool:
    if not isinstance(outputs[0], bool):
        raise ProtocolViolation("a Boolean was due")
    return outputs[0]


def _certificates(outputs: list[object]) -> dict[ua.NodeId, bytes]:
    types, certificates = outputs[0] or [], outputs[1] or []
    if not isinstance(types, list) or not isinstance(certificates, list):
        raise ProtocolViolation("GetCertificates answered no arrays")
    if len(types) != len(certificates) or len(types) > MAX_GROUPS:
        raise ProtocolViolation(
            f"GetCertificates answered {len(types)} types and {len(certificates)} certificates"
        )
    return {local(kind): certificate for kind, certificate in zip(types, certificates, strict=True)}


def _value(value: ua.DataValue) -> object:
    if value.StatusCode is not None and is_bad(value.StatusCode.value):
        return None
    return value.Value.Value if value.Value is not None else None


def _node_ids(value: object) -> tuple[ua.NodeId, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(local(node) for node in value[:MAX_GROUPS] if isinstance(node, ua.NodeId))


def _block_size(*limits: object) -> int:
    for limit in limits:
        if isinstance(limit, int) and not isinstance(limit, bool) and limit > 0:
            if limit < MIN_BLOCK:
                raise ProtocolViolation(f"a file that takes {limit} bytes at a time")
            return min(limit, DEFAULT_BLOCK)
    return DEFAULT_BLOCK


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
