"""``config.toml``: written with every setting explained, read so that every mistake is named.

    error ─▶ "site/config.toml:14: onboarding.concurrency is 0, but has to be 1 or more"

The file is small and edited by hand, so the loader is strict: a key it does not know is a
mistake, never a wish to be ignored. ``tomllib`` does not say on which line a key stands;
``key_lines`` finds it.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import re
import textwrap
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NoReturn

from registrar.app.settings import (
    CertificateSettings,
    ListenerSettings,
    NetworkSettings,
    OnboardingSettings,
    RegistrarSettings,
    RevocationSettings,
    Settings,
)
from registrar.errors import ConfigurationInvalid, FileInvalid

FILE_NAME: Final = "config.toml"
MAX_FILE_SIZE_BYTES: Final = 1 << 20
MAX_DOTS: Final = 32
"""In a dotted key; ``tomllib`` takes a time that grows with the square of their number."""
MAX_TABLE_KEYS: Final = 10_000
MAX_STRING_LENGTH: Final = 1_024

SECTIONS: Final[Mapping[str, type]] = MappingProxyType(
    {
        "registrar": RegistrarSettings,
        "listener": ListenerSettings,
        "networks": NetworkSettings,
        "onboarding": OnboardingSettings,
        "certificates": CertificateSettings,
        "revocation": RevocationSettings,
    }
)
TABLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "wanted_software": "The SoftwareRevision each model needs before its applications are set "
        'up, as "model name" = "revision". Models not named here need none.',
        "software_update_users": "Who may report software with a user name and a password, as "
        '"name" = "hash"; docs/how-to/software-gate.md says how to make a hash.',
    }
)
"""Tables whose keys the operator chooses, and what stands above them in the file."""

_PASSWORD_HASH = re.compile(r"scrypt\$\d{1,6}\$[A-Za-z0-9+/]+=*\$[A-Za-z0-9+/]+=*")

_PART = r"""\.[ \t]*(?:[\w-]+|"[^"]*"|'[^']*')[ \t]*"""
_DOTS = re.compile(f"(?:{_PART}){{{MAX_DOTS + 1}}}")
_HEADER = re.compile(r"\s*\[\[?\s*([^\]]+?)\s*\]")
_KEY = re.compile(r"\s*((?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*[A-Za-z0-9_-]+)*)\s*=")


def render(settings: Settings) -> str:
    """Return ``settings`` as a ``config.toml`` in which every setting is explained."""
    lines = ["# The configuration of one site. Changes take effect when a command starts.", ""]
    for section, kind in SECTIONS.items():
        lines += [*_comment(str(kind.__doc__).splitlines()[0].replace("``", "`")), f"[{section}]"]
        values = getattr(settings, section)
        for item in dataclasses.fields(kind):
            lines += _comment(item.metadata["says"] + _limits(item))
            lines.append(f"{item.name} = {_toml(getattr(values, item.name))}")
        lines.append("")
    for name, says in TABLES.items():
        lines += [*_comment(says), f"[{name}]"]
        lines += [f"{_toml(key)} = {_toml(to)}" for key, to in getattr(settings, name).items()]
        lines.append("")
    return "\n".join(lines)


def load(path: Path) -> Settings:
    """Read and check the configuration in the file ``path``.

    Raises:
        ConfigurationInvalid: the file cannot be read, or a key or value in it is wrong; the
            message names file, line and key.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_SIZE_BYTES + 1)
        if len(data) > MAX_FILE_SIZE_BYTES:
            raise ConfigurationInvalid(
                f"larger than {MAX_FILE_SIZE_BYTES} bytes", subject=str(path)
            )
        return parse(data.decode(), subject=str(path))
    except OSError as error:
        raise ConfigurationInvalid(
            f"cannot be read: {error.strerror}", subject=str(path)
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationInvalid(f"byte {error.start} is not UTF-8", subject=str(path)) from error


def save(directory: Path, settings: Settings) -> None:
    """Write ``settings`` as the configuration of the site in ``directory``, in one step.

    Raises:
        FileInvalid: the file cannot be written.
    """
    path = directory / FILE_NAME
    fresh = path.with_suffix(".new")
    try:
        fresh.write_text(render(settings), encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise FileInvalid(f"cannot be written: {error.strerror}", subject=str(path)) from error


def parse(text: str, *, subject: str = FILE_NAME) -> Settings:
    """Return the configuration in ``text``.

    Args:
        text: TOML.
        subject: the file's name, for messages.

    Raises:
        ConfigurationInvalid: with the line and the key.
    """
    for number, line in enumerate(text.splitlines(), 1):
        if _DOTS.search(line):
            message = f"a name has more than {MAX_DOTS} dots"
            raise ConfigurationInvalid(message, subject=f"{subject}:{number}")
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number may be too long for Python
        found = re.search(r"line (\d+)", str(error))
        end = len(text.splitlines()) if "end of document" in str(error) else None
        at = found[1] if found else end
        where = f"{subject}:{at}" if at else subject
        raise ConfigurationInvalid(f"not TOML: {error}", subject=where) from error
    return _Reader(subject=subject, lines=key_lines(text)).settings(document)


def key_lines(text: str) -> dict[tuple[str, ...], int]:
    """Return the line, counted from 1, on which each table and key of ``text`` begins.

    It is a scan, not a parser: inside a multi-line string it may see keys that are none. The
    document itself was read by ``tomllib``, so at worst a message names a wrong line.
    """
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _split(header[1])
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            path = table + _split(key[1])
            for length in range(1, len(path) + 1):
                lines.setdefault(path[:length], number)
    return lines


def _split(dotted: str) -> tuple[str, ...]:
    parts = re.findall(r"\"([^\"]*)\"|'([^']*)'|([A-Za-z0-9_-]+)", dotted)
    return tuple(double or single or bare for double, single, bare in parts)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """Checks a parsed document against the dataclasses, and knows where each key stands."""

    subject: str
    lines: Mapping[tuple[str, ...], int]

    def settings(self, document: Mapping[str, Any]) -> Settings:
        for name in document:
            if name not in SECTIONS and name not in TABLES:
                self.fail((name,), f"is not known; the tables are {_names([*SECTIONS, *TABLES])}")
        sections = {name: self.section(name, document.get(name, {})) for name in SECTIONS}
        tables = {name: self.table(name, document.get(name, {})) for name in TABLES}
        for user, value in tables["software_update_users"].items():
            if not _PASSWORD_HASH.fullmatch(value):
                self.fail(("software_update_users", user), "is no hash of the form scrypt$…")
        return Settings(
            **sections,
            wanted_software=tables["wanted_software"],
            software_update_users=tables["software_update_users"],
        )

    def section(self, name: str, table: object) -> Any:
        if not isinstance(table, dict):
            self.fail((name,), "has to be a table")
        kind = SECTIONS[name]
        known = {item.name: item for item in dataclasses.fields(kind)}
        for key in table:
            if key not in known:
                self.fail((name, key), f"is not known; [{name}] has {_names(known)}")
        return kind(**{key: self.value((name, key), known[key], table[key]) for key in table})

    def value(self, path: tuple[str, ...], item: dataclasses.Field[Any], value: object) -> object:
        wanted = type(item.default)
        if wanted is float and type(value) is int:
            value = float(value)
        if wanted is tuple:
            if not isinstance(value, list) or any(type(one) is not str for one in value):
                self.fail(path, f"is {_shown(value)}, but has to be a list of strings")
            if not value and not item.metadata["may_be_empty"]:
                self.fail(path, "is empty, but has to name at least one")
            for one in value:
                self.check(path, item, one)
            return tuple(value)
        if type(value) is not wanted:
            self.fail(path, f"is {_shown(value)}, but has to be {_TYPES[wanted]}")
        self.check(path, item, value)
        return value

    def check(self, path: tuple[str, ...], item: dataclasses.Field[Any], value: Any) -> None:
        rules = item.metadata
        if rules["low"] is not None and not rules["low"] <= value:
            self.fail(path, f"is {value}, but has to be {rules['low']} or more")
        if rules["high"] is not None and not value <= rules["high"]:
            self.fail(path, f"is {value}, but has to be {rules['high']} or less")
        if rules["choices"] is not None and value not in rules["choices"]:
            self.fail(path, f"is {_shown(value)}, but has to be one of {_names(rules['choices'])}")
        if isinstance(value, str) and (value or not rules["may_be_empty"]):
            self.text(path, value)
        problem = _KINDS[rules["kind"]](value)
        if problem:
            self.fail(path, f"is {_shown(value)}, {problem}")

    def table(self, name: str, table: object) -> Mapping[str, str]:
        if not isinstance(table, dict):
            self.fail((name,), "has to be a table")
        if len(table) > MAX_TABLE_KEYS:
            self.fail((name,), f"has {len(table)} keys, more than {MAX_TABLE_KEYS}")
        for key, value in table.items():
            if type(value) is not str:
                self.fail((name, key), f"is {_shown(value)}, but has to be a string")
            self.text((name, key), value)
        return MappingProxyType(dict(table))

    def text(self, path: tuple[str, ...], value: str) -> None:
        if not value.strip():
            self.fail(path, "is empty")
        if len(value) > MAX_STRING_LENGTH or not value.isprintable():
            self.fail(path, f"is longer than {MAX_STRING_LENGTH} characters or not printable")

    def fail(self, path: tuple[str, ...], message: str) -> NoReturn:
        line = next(
            (self.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.lines), None
        )
        where = self.subject if line is None else f"{self.subject}:{line}"
        raise ConfigurationInvalid(f"{'.'.join(path)} {message}", subject=where)


_TYPES: Final[Mapping[type, str]] = MappingProxyType(
    {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}
)


def _anything(_: str) -> str:
    return ""


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value)
    except ValueError as error:
        return f"which is no network: {error}"
    return ""


def _host(value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return "but has to be an IP address of this machine"
    return ""


def _uri(value: str) -> str:
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:\S+", value):
        return ""
    return "but has to be a URI such as urn:example.com:registrar"


_KINDS: Final[Mapping[str, Callable[[str], str]]] = MappingProxyType(
    {"": _anything, "network": _network, "host": _host, "uri": _uri}
)


def _limits(item: dataclasses.Field[Any]) -> str:
    rules = item.metadata
    if rules["low"] is not None:
        return f" {rules['low']:g} to {rules['high']:g}."
    if rules["choices"] is not None:
        return f" Of: {_names(rules['choices'])}."
    return ""


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, 96, initial_indent="# ", subsequent_indent="# ")


def _names(names: Iterable[str]) -> str:
    return ", ".join(names)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    if isinstance(value, float):
        return f"{value:g}" if value != int(value) else f"{value:.1f}"
    if isinstance(value, int):
        return str(value)
    # TOML's basic strings are JSON's, but for U+007F, which JSON leaves as it is.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
