"""The codec with either coder, and how to compare them; one and the same if nothing is compiled."""

from __future__ import annotations

from collections.abc import Callable
from inspect import unwrap
from typing import Any

from registrar.errors import DecodingError, Misuse
from registrar.ua import fields
from registrar.ua.codec import Codec, MessageCoder, make_coder

COMPILED = Codec(make_coder(fields))
PYTHON = Codec(unwrap(make_coder)(fields), unwrap(MessageCoder))


def result(call: Callable[..., Any], *args: Any) -> Any:
    """Return what ``call`` returns, as ``seen``, or the class of what it refuses with."""
    try:
        return seen(call(*args))
    except (DecodingError, Misuse) as error:
        return type(error)


def seen(value: Any) -> Any:
    """Return all of ``value`` with the types of all it holds, so that ``==`` leaves nothing out."""
    if isinstance(value, list | tuple):
        return type(value), [seen(element) for element in value]
    names = getattr(type(value), "__dataclass_fields__", None)
    if names is None:
        return type(value), repr(value)
    return type(value), {name: seen(getattr(value, name)) for name in names}
