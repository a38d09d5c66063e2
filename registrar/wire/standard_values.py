"""Values that every Server has and nobody gives it; OPC 10000-5 §6.3, §8.3."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from asyncua import ua

from registrar.wire.nodes import FIRST_COMPANION_NAMESPACE, OWN_NAMESPACE, NodeKey

if TYPE_CHECKING:
    from registrar.wire.space import AddressSpace


def _server_status(space: AddressSpace) -> ua.Variant:
    status = ua.ServerStatusDataType(
        StartTime=space.started, CurrentTime=datetime.now(UTC), State=ua.ServerState.Running
    )
    return ua.Variant(status, ua.VariantType.ExtensionObject)


def _strings(values: Sequence[str]) -> ua.Variant:
    return ua.Variant(list(values), ua.VariantType.String, is_array=True)


STANDARD_VALUES: Mapping[NodeKey, Callable[[AddressSpace], ua.Variant]] = MappingProxyType(
    {
        2254: lambda space: _strings(space.namespaces[OWN_NAMESPACE:FIRST_COMPANION_NAMESPACE]),
        2255: lambda space: _strings(space.namespaces),
        2256: _server_status,
        2257: lambda space: ua.Variant(space.started, ua.VariantType.DateTime),
        2258: lambda _: ua.Variant(datetime.now(UTC), ua.VariantType.DateTime),
        2259: lambda _: ua.Variant(int(ua.ServerState.Running), ua.VariantType.Int32),
        2267: lambda _: ua.Variant(255, ua.VariantType.Byte),
        2269: lambda _: _strings(()),
        2271: lambda _: _strings(("en",)),
        2994: lambda _: ua.Variant(False, ua.VariantType.Boolean),
        3709: lambda _: ua.Variant(0, ua.VariantType.Int32),
    }
)
"""Values every Server has: ServerArray, NamespaceArray, ServerStatus with StartTime, CurrentTime
and State, ServiceLevel, ServerProfileArray, LocaleIdArray, Auditing, RedundancySupport."""
