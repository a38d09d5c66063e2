"""Makers of asyncua's builtin values from plain ones, for which its annotations are too narrow."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from asyncua import ua

node_id: Callable[..., ua.NodeId] = ua.NodeId
"""``node_id(identifier, namespace_index)``."""

expanded_node_id: Callable[..., ua.ExpandedNodeId] = ua.ExpandedNodeId
"""``expanded_node_id(identifier, namespace_index)``."""

status_code: Callable[..., ua.StatusCode] = ua.StatusCode
"""``status_code(number)``."""

GOOD = ua.StatusCode()
"""Good, for all that say so; never changed."""


def scalar(value: object, kind: ua.VariantType) -> ua.Variant:
    """Return a Variant that is no array; what asyncua asks about it takes 1 µs of 1.2."""
    variant = object.__new__(ua.Variant)
    variant.Value = value
    variant.VariantType = kind
    variant.Dimensions = None
    variant.is_array = False
    return variant


def array(values: Sequence[object], kind: ua.VariantType) -> ua.Variant:
    """Return a Variant that is a list of values."""
    variant = scalar(values, kind)
    variant.is_array = True
    return variant


def data_value(value: ua.Variant, status: ua.StatusCode = GOOD) -> ua.DataValue:
    """Return a DataValue without timestamps."""
    data = object.__new__(ua.DataValue)
    data.Encoding = ua.Byte(0)
    data.Value = value
    data.StatusCode = status
    data.SourceTimestamp = data.ServerTimestamp = None
    data.SourcePicoseconds = data.ServerPicoseconds = None
    return data
