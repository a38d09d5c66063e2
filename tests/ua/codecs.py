"""The codec with either coder; they are the same one where nothing is compiled."""

from __future__ import annotations

from inspect import unwrap

from registrar.ua import fields
from registrar.ua.codec import Codec, make_coder

COMPILED = Codec(make_coder(fields))
PYTHON = Codec(unwrap(make_coder)(fields))
