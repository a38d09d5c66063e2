"""The URLs of the devices a campaign is for, from the command line and from files."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from registrar.app.files import read
from registrar.errors import FileInvalid
from registrar.store.enrolments import MAX_URL

MAX_URL_FILE_SIZE_BYTES: Final = 64 << 20
MAX_URLS: Final = 1_000_000

_WANTED: Final = "Give a URL such as opc.tcp://10.0.0.7:4840, or a file with one URL a line."


def read_urls(arguments: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the URLs that ``arguments`` name, and what is wrong with the others.

    Args:
        arguments: each a URL, a file with one URL a line (``#`` begins a comment), or ``-``.

    Raises:
        FileInvalid: a file cannot be read, or all of them together name nothing.
    """
    arguments = list(arguments)
    urls: dict[str, None] = {}
    problems: list[str] = []
    for argument in arguments:
        for source, text in _lines(argument):
            problem = url_problem(text)
            if not problem and len(urls) >= MAX_URLS:
                problem = f"is one more than {MAX_URLS} URLs"
            if problem:
                problems.append(f"{source}: {text[:80]!r} {problem}; next: correct it")
            else:
                urls[text] = None
    if arguments and not urls and not problems:
        raise FileInvalid("names no device", subject=", ".join(arguments), next_action=_WANTED)
    return list(urls), problems


def url_problem(url: str) -> str:
    """Return why ``url`` cannot be the endpoint of a device, or the empty string (T26)."""
    if len(url) > MAX_URL:
        return f"is longer than {MAX_URL} characters"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"is no URL: {error}"
    if parts.scheme != "opc.tcp":
        return "does not begin with opc.tcp://"
    if not parts.hostname or port == 0 or not url.isprintable() or " " in url:
        return "names no host and port"
    return ""


def _lines(argument: str) -> Iterable[tuple[str, str]]:
    if "://" in argument:
        return [("argument", argument)]
    name = "standard input" if argument == "-" else argument
    if argument == "-":
        data = sys.stdin.buffer.read(MAX_URL_FILE_SIZE_BYTES + 1)
        if len(data) > MAX_URL_FILE_SIZE_BYTES:
            raise FileInvalid(f"holds more than {MAX_URL_FILE_SIZE_BYTES} bytes", subject=name)
    else:
        try:
            data = read(Path(argument), MAX_URL_FILE_SIZE_BYTES)
        except FileInvalid as error:
            raise FileInvalid(str(error), subject=argument, next_action=_WANTED) from error
    texts = (line.strip() for line in data.decode(errors="backslashreplace").splitlines())
    return [
        (f"{name}:{number}", text)
        for number, text in enumerate(texts, 1)
        if text and not text.startswith("#")
    ]
