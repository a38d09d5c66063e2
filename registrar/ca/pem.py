"""PEM, which exists only in files: certificates and CRLs in, certificates and CRLs out."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from registrar.ca.keys import read_file, write_file
from registrar.core.certificate import Certificate
from registrar.core.crl import Crl
from registrar.errors import CertificateRejected, FileInvalid

MAX_PEM_BYTES: Final = 64 << 20
"""Of one file; a CRL of a million entries takes 40 MB."""

MAX_BLOCKS: Final = 64
"""Blocks of one file."""

CERTIFICATE: Final = "CERTIFICATE"
CRL: Final = "X509 CRL"

_BLOCK: Final = re.compile(
    rb"-----BEGIN (CERTIFICATE|X509 CRL)-----([A-Za-z0-9+/=\s]+)-----END \1-----"
)


def read_certificates(path: Path) -> list[Certificate]:
    """Return the certificates of a file in their order, possibly none.

    Raises:
        IssuerUnavailable: the file is missing or cannot be read.
        FileInvalid: a block is not what it says.
    """
    try:
        return [Certificate.from_der(der) for der in _blocks(path, CERTIFICATE)]
    except CertificateRejected as error:
        raise FileInvalid(str(error), subject=str(path)) from error


def read_crls(path: Path) -> list[Crl]:
    """Return the CRLs of a file in their order, possibly none.

    Raises:
        IssuerUnavailable: the file is missing or cannot be read.
        FileInvalid: a block is not what it says.
    """
    try:
        return [Crl.from_der(der) for der in _blocks(path, CRL)]
    except CertificateRejected as error:
        raise FileInvalid(str(error), subject=str(path)) from error


def write_pem(path: Path, label: str, ders: Iterable[bytes]) -> None:
    """Write one block for each of ``ders``, whole or not at all, readable by everybody."""
    write_file(path, b"".join(encode_pem(label, der) for der in ders))


def encode_pem(label: str, der: bytes) -> bytes:
    """Return ``der`` as one PEM block (RFC 7468)."""
    text = base64.b64encode(der)
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    name = label.encode()
    return b"-----BEGIN %b-----\n%b\n-----END %b-----\n" % (name, b"\n".join(lines), name)


def _blocks(path: Path, label: str) -> list[bytes]:
    found = _BLOCK.findall(read_file(path, limit_bytes=MAX_PEM_BYTES))
    if len(found) > MAX_BLOCKS:
        raise FileInvalid(f"has more than {MAX_BLOCKS} blocks", subject=str(path))
    try:
        return [
            base64.b64decode(b"".join(text.split()), validate=True)
            for name, text in found
            if name == label.encode()
        ]
    except binascii.Error as error:
        raise FileInvalid(f"holds no Base64: {error}", subject=str(path)) from error
