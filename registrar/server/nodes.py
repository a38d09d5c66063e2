"""The address space of the Registrar: what it offers now, and nothing else.

    Objects ─ DeviceRegistrar ── UpdateSoftwareStatus
    Server ─┬─ Namespaces ── http://opcfoundation.org/UA/Onboarding/
            └─ ServerCapabilities ─ RoleSet ── SoftwareUpdateAdmin (no NodeId is published: Q24)

Source: OPC 10000-21 §9.2.2, §9.2.9, §10.1.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from asyncua import ua

from registrar.wire.nodes import load_node_table
from registrar.wire.space import AddressSpace

ONBOARDING: Final = "http://opcfoundation.org/UA/Onboarding/"

DEVICE_REGISTRAR: Final = 1344
UPDATE_SOFTWARE_STATUS: Final = 1510
UPDATE_SOFTWARE_STATUS_OF_TYPE: Final = 1503
NOT_OFFERED: Final = (1345, 1348, 1350, 1512, 1514)
"""Members of DeviceRegistrar for pull and administration."""

_NAMESPACE_METADATA: Final = {
    2: ua.Variant(ONBOARDING, ua.VariantType.String),
    3: ua.Variant("1.05.04", ua.VariantType.String),
    4: ua.Variant(datetime(2024, 12, 1, tzinfo=UTC), ua.VariantType.DateTime),
    5: ua.Variant(False, ua.VariantType.Boolean),
    6: ua.Variant([0], ua.VariantType.Int32, is_array=True),
    7: ua.Variant(["1:65535"], ua.VariantType.String, is_array=True),
    8: ua.Variant("", ua.VariantType.String),
}
"""By the ids of the Properties of OPCUAOnboardingNamespaceMetadata (§10.1, Table 36)."""

_ROLE_SET: Final = 15606
_ROLE_TYPE: Final = 15620
_PROVISIONABLE_DEVICE: Final = 29878
_SERVER_CONFIGURATION: Final = 12637
_MANAGED_APPLICATIONS: Final = 16706


def onboarding_node(number: int, space: AddressSpace) -> ua.NodeId:
    """Return a node of the Onboarding model with the index it has on this Server."""
    return ua.NodeId(ua.Int32(number), ua.Int16(space.namespace_index(ONBOARDING)))


def make_space(application_uri: str) -> AddressSpace:
    """Return what the Registrar shows; it is no DCA and cannot be configured by push."""
    table = load_node_table()
    space = AddressSpace(table, application_uri=application_uri)
    foreign = (_PROVISIONABLE_DEVICE, _SERVER_CONFIGURATION, _MANAGED_APPLICATIONS)
    space.hide(
        [
            *(ua.NodeId(ua.Int32(number)) for number in foreign),
            *(onboarding_node(number, space) for number in NOT_OFFERED),
        ]
    )
    for number, value in _NAMESPACE_METADATA.items():
        space.set_value(onboarding_node(number, space), value)
    space.add_object(
        space.new_id(),
        ua.QualifiedName("SoftwareUpdateAdmin", ua.UInt16(1)),
        ua.NodeId(ua.Int32(_ROLE_SET)),
        type_definition=_ROLE_TYPE,
    )
    return space
