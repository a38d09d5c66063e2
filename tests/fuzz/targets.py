"""Targets for coverage-guided fuzzing: JSON, JWS and DER, and those of the wire.

Each takes arbitrary bytes and fails where our reader raises something it does not promise, or
reads something else than another reader does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import orjson
from cryptography import x509

from registrar.core.certificate import Certificate, split_chain
from registrar.core.crl import Crl
from registrar.core.jws import decode_jws, encode_base64url, payload_of
from registrar.core.strict_json import decode_object, decode_text
from registrar.errors import CertificateRejected, DecodingError, TicketInvalid
from tests.fuzz.corpus import Corpus
from tests.fuzz.wire_targets import WIRE_TARGETS, WireTarget

_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One reader."""

    read: Callable[[bytes], object]
    seeds: Callable[[Corpus], tuple[bytes, ...]]
    """What the search begins with."""


def read_json(data: bytes) -> None:
    """What we read, a lenient and a strict reader read in the same way."""
    try:
        ours = decode_object(decode_text(data, _LIMIT))
    except DecodingError:
        return
    assert ours == json.loads(data)
    with suppress(orjson.JSONDecodeError):  # It knows no numbers that are infinite as a float.
        assert json.loads(data, parse_int=_as_orjson) == orjson.loads(data)


def _as_orjson(text: str) -> float:
    """Integers of more than 64 bits are floats."""
    number = int(text)
    return number if -(2**63) <= number < 2**64 else float(number)


def read_jws(data: bytes) -> None:
    """What we read is written in one way only, and read again."""
    try:
        jws = decode_jws(data)
    except TicketInvalid:
        return
    assert payload_of(jws.document) == jws.payload
    encoded = encode_base64url(jws.payload)
    for signature in jws.signatures:
        if signature.header is not None:
            assert signature.signed.endswith(f".{encoded}".encode())


def read_der(data: bytes) -> None:
    """What we cut out of certificates and CRLs is what the library finds in them."""
    try:
        assert b"".join(split_chain(data)) == data
    except CertificateRejected:
        return
    try:
        certificate = Certificate.from_der(data)
    except CertificateRejected:
        pass
    else:
        assert certificate.tbs_bytes == certificate.parsed.tbs_certificate_bytes
        assert certificate.subject_bytes in certificate.tbs_bytes
        assert isinstance(certificate.subject, str)
    try:
        crl = Crl.from_der(data)
    except CertificateRejected:
        return
    assert crl.serial_numbers == _serial_numbers(crl)
    assert all(crl.revoked(number) for number in crl.serial_numbers if number > 0)


def _serial_numbers(crl: Crl) -> frozenset[int]:
    """Return what the library finds; ours where an entry has a date it cannot read."""
    try:
        return frozenset(entry.serial_number for entry in x509.load_der_x509_crl(crl.der))
    except ValueError:
        return crl.serial_numbers


def _on_the_wire(target: WireTarget) -> Target:
    return Target(read=target.read, seeds=lambda _: target.seeds)


TARGETS: Mapping[str, Target] = {
    "json": Target(
        read=read_json,
        seeds=lambda corpus: corpus.tickets,
    ),
    "jws": Target(
        read=read_jws,
        seeds=lambda corpus: corpus.tickets,
    ),
    "der": Target(
        read=read_der,
        seeds=lambda corpus: (*corpus.certificates, *corpus.crls),
    ),
    **{name: _on_the_wire(target) for name, target in WIRE_TARGETS.items()},
}
