"""Distinguished names, compared as people mean them.

Two CAs of one name may have written it in other letters, other string types or with more blanks.
Source: RFC 5280 §7.1; RFC 4518 §2.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TypeAlias

from registrar.core import der as asn1
from registrar.errors import DecodingError

_SET = 0x31
_OBJECT_IDENTIFIER = 0x06
_ENCODINGS = {0x0C: "utf-8", 0x13: "ascii", 0x16: "ascii", 0x1E: "utf-16-be"}
"""UTF8String, PrintableString, IA5String and BMPString; others are compared as bytes."""

_USUAL_STRINGS = frozenset({0x0C, 0x13})
"""UTF8String and PrintableString."""

_SHORT_NAMES = {
    bytes.fromhex("550403"): "CN",
    bytes.fromhex("550405"): "2.5.4.5",
    bytes.fromhex("55040a"): "O",
    bytes.fromhex("55040b"): "OU",
}
"""What usual attributes are called in RFC 4514 text; a serialNumber has no name there."""

_USUAL_TEXT = re.compile(rb"[A-Za-z0-9._:/-]+(?: [A-Za-z0-9._:/-]+)*")
"""What stands in RFC 4514 text as it is."""

_NAMES = 1024
"""Names kept. CAs meet theirs again with every Device."""

Name: TypeAlias = tuple[tuple[tuple[bytes, bytes], ...], ...]
"""Relative names, outermost first: of each its attributes, object identifier and value."""


@lru_cache(maxsize=_NAMES)
def canonical(name: bytes) -> Name:
    """Return what two names have in common that are the same.

    Args:
        name: an X.501 Name, DER. One that cannot be read is the same as itself alone.
    """
    try:
        return _relative_names(name)
    except (DecodingError, UnicodeDecodeError):
        return (((b"", name),),)


def _relative_names(name: bytes) -> Name:
    found: list[tuple[tuple[bytes, bytes], ...]] = []
    at, end = asn1.expect(name, 0, len(name), asn1.SEQUENCE)
    if end != len(name):
        raise DecodingError(f"{len(name) - end} bytes after the name")
    while at < end:
        inner, at = asn1.expect(name, at, end, _SET)
        attributes: list[tuple[bytes, bytes]] = []
        while inner < at:
            start, stop = asn1.expect(name, inner, at, asn1.SEQUENCE)
            kind, value_at = asn1.expect(name, start, stop, _OBJECT_IDENTIFIER)
            tag, content, inner = asn1.read_header(name, value_at, stop)
            if inner != stop:
                raise DecodingError("an attribute with more than a value")
            value = name[content:inner]
            encoding = _ENCODINGS.get(tag)
            text = name[value_at:inner] if encoding is None else _prepared(value.decode(encoding))
            attributes.append((name[kind:value_at], text))
        found.append(tuple(sorted(attributes)))
    return tuple(found)


def _prepared(text: str) -> bytes:
    """Fold case and blanks; a leading zero, which is no tag, tells text from bytes."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return b"\0" + " ".join(folded.split()).encode()


def usual_text(name: bytes) -> str | None:
    """Return a name of usual attributes and characters as RFC 4514 text; None for any other.

    Args:
        name: an X.501 Name, DER.
    """
    parts: list[str] = []
    try:
        at, end = asn1.expect(name, 0, len(name), asn1.SEQUENCE)
        while at < end:
            inner, at = asn1.expect(name, at, end, _SET)
            start, stop = asn1.expect(name, inner, at, asn1.SEQUENCE)
            kind, value_at = asn1.expect(name, start, stop, _OBJECT_IDENTIFIER)
            tag, content, ends = asn1.read_header(name, value_at, stop)
            called = _SHORT_NAMES.get(name[kind:value_at])
            value = name[content:ends]
            if called is None or tag not in _USUAL_STRINGS or not ends == stop == at:
                return None
            if end != len(name) or not _USUAL_TEXT.fullmatch(value):
                return None
            parts.append(f"{called}={value.decode('ascii')}")
    except DecodingError:
        return None
    return ",".join(reversed(parts))
