"""The address space of one Device: the nodes of its shape, shared, with this Device's values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from asyncua import ua

from registrar.errors import Misuse, ServiceFailed
from registrar.simulate import model as nodes
from registrar.simulate.certificate_group import NEVER, CertificateGroup
from registrar.simulate.endpoints import PRODUCT_URI
from registrar.simulate.model import GROUP, Model, node_id
from registrar.simulate.transaction import Diagnostics
from registrar.simulate.trust_list_file import ACTIVITY_TIMEOUT_S, TrustListFile
from registrar.status import StatusCode
from registrar.wire.builtin import array, scalar
from registrar.wire.instances import Instance
from registrar.wire.nodes import NodeKey, key_of
from registrar.wire.space import AddressSpace, Source

if TYPE_CHECKING:
    from registrar.simulate.device import Device

Kind = ua.VariantType
DURATION = 290
ORGANIZES = 35
MAX_SHAPES = 64
"""Kinds of Devices whose nodes are kept: all there are."""

Reader = Callable[["Device"], ua.Variant]
"""Returns a value of a Device."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides which nodes a Device has."""

    offers_role: bool
    lists_applications: bool
    uses_folder: bool
    keeps_groups_together: bool
    applications: int


@dataclass(frozen=True, slots=True)
class Outline:
    """The nodes of all Devices of one shape, and how the values of each are read."""

    space: AddressSpace
    readers: Mapping[NodeKey, Reader]

    def source_of(self, device: Device) -> Source:
        """Return what gives ``device`` its values."""

        def value(key: NodeKey) -> ua.Variant | None:
            read = self.readers.get(key)
            return None if read is None else read(device)

        return value


def build_space(device: Device, model: Model) -> AddressSpace:
    """Return what ``device`` shows of ``model``: the nodes of its shape with its own values."""
    shape = Shape(
        offers_role=device.security_admin.is_offered,
        lists_applications=device.security_admin.lists_applications,
        uses_folder=device.uses_folder,
        keeps_groups_together=device.keeps_groups_together,
        applications=len(device.configuration.groups) - 1,
    )
    outline = _outline(model, shape)
    return outline.space.sibling(device.application_uri, outline.source_of(device))


@lru_cache(maxsize=MAX_SHAPES)
def _outline(model: Model, shape: Shape) -> Outline:
    space = AddressSpace(
        model.table,
        application_uri="",
        companions=(),
        hidden=model.hides(
            roles=shape.offers_role, folder=shape.uses_folder, lists=shape.lists_applications
        ),
    )
    readers: dict[NodeKey, Reader] = {**SERVER, **DIAGNOSTICS}
    for at in range(1, 1 + shape.applications):
        instance = _add_application(space, model, shape, at)
        for path, read in _application(at).items():
            readers[key_of(instance.node(path))] = read
    readers |= _add_optional(space)
    return Outline(space, readers)


SERVER: Mapping[NodeKey, Reader] = MappingProxyType(
    {
        2259: lambda device: _int32(device.server_state),
        2264: lambda device: _string(device.software_revision),
        12639: lambda _: _strings(),
        12640: lambda device: scalar(device.configuration.files[0].max_size, Kind.UInt32),
        12641: lambda _: _boolean(False),
        12710: lambda _: _strings("DCA"),
        23597: lambda _: _boolean(False),
        25706: lambda device: _string(device.application_uri),
        25707: lambda _: _int32(ua.ApplicationType.Server),
        25725: lambda _: _string(PRODUCT_URI),
        14161: lambda device: _types(device.configuration.dca),
        12643: lambda _: _no_size(),
        14157: lambda _: _boolean(True),
        14158: lambda _: _boolean(True),
        12646: lambda device: _open_count(device.configuration.files[0]),
        12662: lambda device: _updated(device.configuration.dca),
        29879: lambda device: _boolean(device.product.plan.singleton),
        16258: lambda device: _rules(device),
        16259: lambda device: _strings(*device.security_admin.applications),
        15430: lambda _: _boolean(False),
    }
)
"""The values of the nodes every Device has, by their identifiers."""


def _after(read: Callable[[Diagnostics], ua.Variant]) -> Reader:
    def value(device: Device) -> ua.Variant:
        diagnostics = device.configuration.transactions.diagnostics
        if diagnostics is None:
            raise ServiceFailed("no transaction yet", status=StatusCode.BadOutOfService)
        return read(diagnostics)

    return value


def _result(diagnostics: Diagnostics) -> ua.Variant:
    if diagnostics.result is None:
        raise ServiceFailed("the transaction runs", status=StatusCode.BadInvalidState)
    return scalar(ua.StatusCode(ua.UInt32(diagnostics.result)), Kind.StatusCode)


def _errors(diagnostics: Diagnostics) -> ua.Variant:
    errors = [
        ua.TransactionErrorType(
            TargetId=failure.group.trust_list_node if failure.of_trust_list else failure.group.node,
            Error=ua.StatusCode(ua.UInt32(failure.status)),
            Message=ua.LocalizedText(failure.message),
        )
        for failure in diagnostics.failures
    ]
    return array(errors, Kind.ExtensionObject)


DIAGNOSTICS: Mapping[NodeKey, Reader] = MappingProxyType(
    {
        32337: _after(lambda d: scalar(d.start, Kind.DateTime)),
        32338: _after(lambda d: scalar(d.end or NEVER, Kind.DateTime)),
        32339: _after(_result),
        32340: _after(lambda d: _node_ids([group.trust_list_node for group in d.trust_lists])),
        32341: _after(lambda d: _node_ids([group.node for group in d.groups])),
        32342: _after(_errors),
    }
)
"""The values of TransactionDiagnostics (part12 §7.10.17)."""


def _add_application(space: AddressSpace, model: Model, shape: Shape, at: int) -> Instance:
    parent = nodes.MANAGED_APPLICATIONS if shape.uses_folder else nodes.PROVISIONABLE_DEVICE
    name = ua.QualifiedName(f"application-{at}", nodes.OWN)
    instance = space.add_instance(model.template, name, parent)
    if instance.node() != model.objects[at].node:
        raise Misuse(f"application {at} stands at {instance.node()}")
    if shape.keeps_groups_together:
        # Groups of applications are found from the Server's own folder too (§9.3.1).
        space.add_reference(nodes.CERTIFICATE_GROUPS, ORGANIZES, model.objects[at].group)
    return instance


def _application(at: int) -> dict[str, Reader]:
    """Return how the members of application ``at`` are read, by their paths."""
    return {
        "Enabled": lambda _: _boolean(True),
        "ApplicationUri": lambda device: _string(device.configuration.application_uris[at]),
        "ProductUri": lambda _: _string(PRODUCT_URI),
        "ApplicationType": lambda _: _int32(ua.ApplicationType.Server),
        "ServerCapabilities": lambda _: _strings("NA"),
        "SupportedPrivateKeyFormats": lambda _: _strings(),
        "MaxTrustListSize": lambda device: scalar(
            device.configuration.files[at].max_size, Kind.UInt32
        ),
        "MulticastDnsEnabled": lambda _: _boolean(False),
        "SupportsTransactions": lambda _: _boolean(True),
        f"{GROUP}/CertificateTypes": lambda device: _types(device.configuration.groups[at]),
        f"{GROUP}/TrustList/Size": lambda _: _no_size(),
        f"{GROUP}/TrustList/Writable": lambda _: _boolean(True),
        f"{GROUP}/TrustList/UserWritable": lambda _: _boolean(True),
        f"{GROUP}/TrustList/OpenCount": lambda device: _open_count(device.configuration.files[at]),
        f"{GROUP}/TrustList/LastUpdateTime": lambda device: _updated(
            device.configuration.groups[at]
        ),
    }


def _add_optional(space: AddressSpace) -> dict[NodeKey, Reader]:
    """Add the members the standard's instance leaves to each Server (part12 §7.10.4).

    Returns:
        How the values are read that differ from Device to Device.
    """
    above = nodes.SERVER_CONFIGURATION
    space.add_method(nodes.GET_CERTIFICATES, "GetCertificates", above, declaration=node_id(32296))
    space.add_method(
        nodes.SET_REGISTRAR_ENDPOINTS,
        "SetRegistrarEndpoints",
        nodes.PROVISIONABLE_DEVICE,
        declaration=node_id(26875),
    )
    timeout = scalar(ACTIVITY_TIMEOUT_S * 1000, Kind.Double)
    nothing, trust_list = ua.Variant(), nodes.DEFAULT_TRUST_LIST
    variables = (
        (nodes.SUPPORTS_TRANSACTIONS, "SupportsTransactions", above, _boolean(True), 1),
        (nodes.IN_APPLICATION_SETUP, "InApplicationSetup", above, nothing, 1),
        (nodes.MAX_BYTE_STRING_LENGTH, "MaxByteStringLength", trust_list, nothing, 7),
        (nodes.ACTIVITY_TIMEOUT, "ActivityTimeout", trust_list, timeout, DURATION),
    )
    for node, name, parent, value, data_type in variables:
        space.add_variable(node, name, parent, value, data_type=data_type)
    return {
        key_of(nodes.IN_APPLICATION_SETUP): lambda device: _boolean(device.in_application_setup),
        key_of(nodes.MAX_BYTE_STRING_LENGTH): lambda device: scalar(
            device.max_byte_string_length, Kind.UInt32
        ),
    }


def _rules(device: Device) -> ua.Variant:
    rules = [
        ua.IdentityMappingRuleType(CriteriaType=rule.criteria_type, Criteria=rule.criteria)
        for rule in device.security_admin.rules
    ]
    return array(rules, Kind.ExtensionObject)


def _no_size() -> ua.Variant:
    raise ServiceFailed("Size means nothing here", status=StatusCode.BadNotSupported)


def _open_count(file: TrustListFile) -> ua.Variant:
    return scalar(file.open_count, Kind.UInt16)


def _updated(group: CertificateGroup) -> ua.Variant:
    return scalar(group.updated, Kind.DateTime)


def _types(group: CertificateGroup) -> ua.Variant:
    return _node_ids([node_id(kind) for kind in group.certificate_types])


def _node_ids(items: list[ua.NodeId]) -> ua.Variant:
    return array(items, Kind.NodeId)


def _strings(*items: str) -> ua.Variant:
    return array(list(items), Kind.String)


def _string(value: str) -> ua.Variant:
    return scalar(value, Kind.String)


def _boolean(value: bool) -> ua.Variant:
    return scalar(value, Kind.Boolean)


def _int32(value: int) -> ua.Variant:
    return scalar(int(value), Kind.Int32)
