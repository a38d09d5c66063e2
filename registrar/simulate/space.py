"""Build the address space of one Device: the shared model with this Device's values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from registrar.wire.space import AddressSpace, Value

if TYPE_CHECKING:
    from registrar.simulate.device import Device

Kind = ua.VariantType
DURATION = 290
ORGANIZES = 35


def build_space(device: Device, model: Model) -> AddressSpace:
    """Return what ``device`` shows of ``model``."""
    space = AddressSpace(
        model.table,
        application_uri=device.application_uri,
        companions=(),
        hidden=model.hides(
            roles=device.security_admin.is_offered,
            folder=device.uses_folder,
            lists=device.security_admin.lists_applications,
        ),
    )
    _add_applications(space, device, model)
    _set_values(space, _server(device), lambda number: node_id(int(number)))
    _set_values(space, _diagnostics(device), lambda number: node_id(int(number)))
    _add_optional(space, device)
    return space


def _set_values(
    space: AddressSpace, values: Mapping[str, Value], node: Callable[[str], ua.NodeId]
) -> None:
    for name, value in values.items():
        space.set_value(node(name), value)


def _server(device: Device) -> dict[str, Value]:
    """Return the values of the nodes every Device has, by their identifiers."""
    configuration = device.configuration
    return {
        "2259": lambda: _int32(device.server_state),
        "2264": lambda: _string(device.software_revision),
        "12639": _strings(),
        "12640": ua.Variant(configuration.files[0].max_size, Kind.UInt32),
        "12641": _boolean(False),
        "12710": _strings("DCA"),
        "23597": _boolean(False),
        "25706": _string(device.application_uri),
        "25707": _int32(ua.ApplicationType.Server),
        "25725": _string(PRODUCT_URI),
        "14161": _types(configuration.dca),
        "12643": _no_size,
        "14157": _boolean(True),
        "14158": _boolean(True),
        "12646": lambda: _open_count(configuration.files[0]),
        "12662": lambda: _updated(configuration.dca),
        "29879": _boolean(device.product.plan.singleton),
        "16258": lambda: _rules(device),
        "16259": lambda: _strings(*device.security_admin.applications),
        "15430": _boolean(False),
    }


def _diagnostics(device: Device) -> dict[str, Value]:
    """Return the values of TransactionDiagnostics (part12 §7.10.17)."""

    def after(read: Callable[[Diagnostics], ua.Variant]) -> Callable[[], ua.Variant]:
        def value() -> ua.Variant:
            diagnostics = device.configuration.transactions.diagnostics
            if diagnostics is None:
                raise ServiceFailed("no transaction yet", status=StatusCode.BadOutOfService)
            return read(diagnostics)

        return value

    return {
        "32337": after(lambda d: ua.Variant(d.start, Kind.DateTime)),
        "32338": after(lambda d: ua.Variant(d.end or NEVER, Kind.DateTime)),
        "32339": after(_result),
        "32340": after(lambda d: _node_ids([group.trust_list_node for group in d.trust_lists])),
        "32341": after(lambda d: _node_ids([group.node for group in d.groups])),
        "32342": after(_errors),
    }


def _result(diagnostics: Diagnostics) -> ua.Variant:
    if diagnostics.result is None:
        raise ServiceFailed("the transaction runs", status=StatusCode.BadInvalidState)
    return ua.Variant(ua.StatusCode(ua.UInt32(diagnostics.result)), Kind.StatusCode)


def _errors(diagnostics: Diagnostics) -> ua.Variant:
    errors = [
        ua.TransactionErrorType(
            TargetId=failure.group.trust_list_node if failure.of_trust_list else failure.group.node,
            Error=ua.StatusCode(ua.UInt32(failure.status)),
            Message=ua.LocalizedText(failure.message),
        )
        for failure in diagnostics.failures
    ]
    return ua.Variant(errors, Kind.ExtensionObject, is_array=True)


def _add_applications(space: AddressSpace, device: Device, model: Model) -> None:
    parent = nodes.MANAGED_APPLICATIONS if device.uses_folder else nodes.PROVISIONABLE_DEVICE
    for at in range(1, len(device.configuration.groups)):
        instance = space.add_instance(
            model.template, ua.QualifiedName(f"application-{at}", nodes.OWN), parent
        )
        if instance.node() != model.objects[at].node:
            raise Misuse(f"application {at} stands at {instance.node()}")
        _set_values(space, _application(device, at), instance.node)
        if device.keeps_groups_together:
            # Groups of applications are found from the Server's own folder too (§9.3.1).
            space.add_reference(
                nodes.CERTIFICATE_GROUPS, ORGANIZES, device.configuration.groups[at].node
            )


def _application(device: Device, at: int) -> dict[str, Value]:
    """Return the values of the members of application ``at``, by their paths."""
    configuration = device.configuration
    file = configuration.files[at]
    group = configuration.groups[at]
    return {
        "Enabled": _boolean(True),
        "ApplicationUri": _string(configuration.application_uris[at]),
        "ProductUri": _string(PRODUCT_URI),
        "ApplicationType": _int32(ua.ApplicationType.Server),
        "ServerCapabilities": _strings("NA"),
        "SupportedPrivateKeyFormats": _strings(),
        "MaxTrustListSize": ua.Variant(file.max_size, Kind.UInt32),
        "MulticastDnsEnabled": _boolean(False),
        "SupportsTransactions": _boolean(True),
        f"{GROUP}/CertificateTypes": _types(group),
        f"{GROUP}/TrustList/Size": _no_size,
        f"{GROUP}/TrustList/Writable": _boolean(True),
        f"{GROUP}/TrustList/UserWritable": _boolean(True),
        f"{GROUP}/TrustList/OpenCount": lambda: _open_count(file),
        f"{GROUP}/TrustList/LastUpdateTime": lambda: _updated(group),
    }


def _add_optional(space: AddressSpace, device: Device) -> None:
    """Add the members the standard's instance leaves to each Server (part12 §7.10.4)."""
    above = nodes.SERVER_CONFIGURATION
    space.add_method(nodes.GET_CERTIFICATES, "GetCertificates", above, declaration=node_id(32296))
    space.add_variable(
        nodes.SUPPORTS_TRANSACTIONS, "SupportsTransactions", above, _boolean(True), data_type=1
    )
    space.add_variable(
        nodes.IN_APPLICATION_SETUP,
        "InApplicationSetup",
        above,
        lambda: _boolean(device.in_application_setup),
        data_type=1,
    )
    space.add_method(
        nodes.SET_REGISTRAR_ENDPOINTS,
        "SetRegistrarEndpoints",
        nodes.PROVISIONABLE_DEVICE,
        declaration=node_id(26875),
    )
    space.add_variable(
        nodes.MAX_BYTE_STRING_LENGTH,
        "MaxByteStringLength",
        nodes.DEFAULT_TRUST_LIST,
        ua.Variant(device.max_byte_string_length, Kind.UInt32),
        data_type=7,
    )
    space.add_variable(
        nodes.ACTIVITY_TIMEOUT,
        "ActivityTimeout",
        nodes.DEFAULT_TRUST_LIST,
        ua.Variant(ACTIVITY_TIMEOUT_S * 1000, Kind.Double),
        data_type=DURATION,
    )


def _rules(device: Device) -> ua.Variant:
    rules = [
        ua.IdentityMappingRuleType(CriteriaType=rule.criteria_type, Criteria=rule.criteria)
        for rule in device.security_admin.rules
    ]
    return ua.Variant(rules, Kind.ExtensionObject, is_array=True)


def _no_size() -> ua.Variant:
    raise ServiceFailed("Size means nothing here", status=StatusCode.BadNotSupported)


def _open_count(file: TrustListFile) -> ua.Variant:
    return ua.Variant(file.open_count, Kind.UInt16)


def _updated(group: CertificateGroup) -> ua.Variant:
    return ua.Variant(group.updated, Kind.DateTime)


def _types(group: CertificateGroup) -> ua.Variant:
    return _node_ids([node_id(kind) for kind in group.certificate_types])


def _node_ids(items: list[ua.NodeId]) -> ua.Variant:
    return ua.Variant(items, Kind.NodeId, is_array=True)


def _strings(*items: str) -> ua.Variant:
    return ua.Variant(list(items), Kind.String, is_array=True)


def _string(value: str) -> ua.Variant:
    return ua.Variant(value, Kind.String)


def _boolean(value: bool) -> ua.Variant:
    return ua.Variant(value, Kind.Boolean)


def _int32(value: int) -> ua.Variant:
    return ua.Variant(int(value), Kind.Int32)
