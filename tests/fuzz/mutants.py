"""Draws mutants from a seed: of Tickets, certificates and CRLs.

A change may be followed by a new signature of somebody trusted, so that it meets what comes
behind the signature; of the others none may be believed that says more than what was signed.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from registrar.core.jws import decode_base64url
from tests.core.building import base64url, sign_bytes
from tests.fuzz import der_mutator, json_mutator
from tests.fuzz.corpus import Corpus
from tests.fuzz.json_mutator import Members

_ALPHABET = "AQgw01-_+/= .\n\u00e9"


class Kind(StrEnum):
    """What a mutant was made from."""

    TICKET = "ticket"
    CERTIFICATE = "certificate"
    CRL = "crl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One input."""

    kind: Kind
    change: str
    data: bytes

    signed_again: bool
    """Whether somebody trusted signed the change: then what it says may be believed."""


class Mutator:
    """An endless source of mutants; the same corpus and seed give the same ones."""

    def __init__(self, corpus: Corpus, seed: int) -> None:
        self._corpus = corpus
        self._random = Random(seed)
        self._changes: Mapping[str, Callable[[Members], bool]] = {
            "members": self._change_members,
            "encoding": self._change_encoding,
            "exchange": self._exchange,
            "several signatures": self._add_signatures,
            "payload": self._change_payload,
            "protected header": self._change_protected,
            "certificate in x5c": self._change_x5c,
        }

    def draw(self, count: int) -> Iterator[Mutant]:
        """Yield ``count`` mutants: half of them Tickets, a third certificates, the rest CRLs."""
        for _ in range(count):
            (kind,) = self._random.choices(list(Kind), weights=(3, 2, 1))
            yield self._ticket() if kind is Kind.TICKET else self._der(kind)

    # Tickets

    def _ticket(self) -> Mutant:
        origin = self._random.choice(self._corpus.tickets)
        if self._random.random() < 0.15:
            data = self._change_bytes(origin, self._corpus.tickets)
            return Mutant(kind=Kind.TICKET, change="bytes", data=data, signed_again=False)
        document = json_mutator.load(origin)
        change = self._random.choice(list(self._changes))
        signed_again = self._changes[change](document)
        return Mutant(
            kind=Kind.TICKET,
            change=change,
            data=json_mutator.dump(document).encode(),
            signed_again=signed_again,
        )

    def _change_members(self, document: Members) -> bool:
        for _ in range(self._random.choice((1, 1, 3))):
            if document:
                json_mutator.mutate(document, self._random)
        return False

    def _change_encoding(self, document: Members) -> bool:
        """Touch Base64: padding, stray bits, another alphabet, white space, a character."""
        members = self._random.choice([document, self._entry(document)])
        at = self._random.choice(
            [at for at, (_, value) in enumerate(members) if isinstance(value, str)]
        )
        name, text = members[at]
        cut = self._random.randrange(len(text))
        stray = text[:-1] + self._random.choice(_ALPHABET)
        changed = text[:cut] + self._random.choice(_ALPHABET) + text[cut + 1 :]
        forms = (text + "=", text + "==", text[:-1], text + "A", stray, changed, text + "\n", "")
        members[at] = (name, self._random.choice(forms))
        return False

    def _exchange(self, document: Members) -> bool:
        """Put a payload, header or signature of another Ticket in the place of this one's."""
        other = json_mutator.load(self._random.choice(self._corpus.tickets))
        if self._random.random() < 0.3:
            _put(document, "payload", _get(other, "payload"))
        else:
            name = self._random.choice(("protected", "signature"))
            _put(self._entry(document), name, _get(self._entry(other), name))
        return False

    def _add_signatures(self, document: Members) -> bool:
        signatures = _get(document, "signatures")
        for _ in range(self._random.choice((1, 2, 14, 15, 16, 64))):
            other = json_mutator.load(self._random.choice(self._corpus.tickets))
            theirs = self._random.choice((self._entry(other), self._entry(document), Members()))
            signatures.insert(self._random.randrange(len(signatures) + 1), theirs)
        return False

    def _change_payload(self, document: Members) -> bool:
        payload = _opened(document, "payload")
        json_mutator.mutate(payload, self._random)
        _close(document, "payload", payload)
        entry = self._entry(document)
        return self._perhaps_sign(document, entry, _get(_opened(entry, "protected"), "alg"))

    def _change_protected(self, document: Members) -> bool:
        entry = self._entry(document)
        header = _opened(entry, "protected")
        alg = _get(header, "alg")
        json_mutator.mutate(header, self._random)
        _close(entry, "protected", header)
        return self._perhaps_sign(document, entry, alg)

    def _change_x5c(self, document: Members) -> bool:
        entry = self._entry(document)
        header = _opened(entry, "protected")
        x5c = _get(header, "x5c")
        at = self._random.randrange(len(x5c))
        der = self._change_der(base64.b64decode(x5c[at]), self._corpus.certificates)
        x5c[at] = base64.b64encode(der).decode()
        _close(entry, "protected", header)
        return self._perhaps_sign(document, entry, _get(header, "alg"))

    def _perhaps_sign(self, document: Members, entry: Members, alg: str) -> bool:
        """Let the trusted maker of ``alg`` sign what ``entry`` and the payload say by now."""
        if self._random.random() < 0.3:
            return False
        message = f"{_get(entry, 'protected')}.{_get(document, 'payload')}".encode()
        signature = sign_bytes(self._corpus.makers[alg].key, alg, message)
        _put(entry, "signature", base64url(signature))
        return True

    def _entry(self, document: Members) -> Members:
        signatures: list[Members] = _get(document, "signatures")
        return self._random.choice([one for one in signatures if one])

    # Certificates and CRLs

    def _der(self, kind: Kind) -> Mutant:
        family = self._corpus.certificates if kind is Kind.CERTIFICATE else self._corpus.crls
        origin = self._random.choice(family)
        if kind is Kind.CERTIFICATE and self._random.random() < 0.4:
            origin = self._corpus.device.der
        if self._random.random() < 0.25:
            data = self._change_bytes(origin, family)
            return Mutant(kind=kind, change="bytes", data=data, signed_again=False)
        if self._random.random() < 0.5:
            data = self._change_der(origin, family)
            return Mutant(kind=kind, change="elements", data=data, signed_again=False)
        data = self._sign_der(self._change_der(origin, family))
        return Mutant(kind=kind, change="elements, signed again", data=data, signed_again=True)

    def _change_der(self, data: bytes, family: tuple[bytes, ...]) -> bytes:
        return der_mutator.mutate(data, self._random, family)

    def _sign_der(self, data: bytes) -> bytes:
        """Let a CA sign what the first element has become, if there still is one."""
        try:
            outer = der_mutator.parse(data)
            signed, algorithm, _ = outer.parts
        except ValueError:
            return data
        key = self._random.choice((self._corpus.root, self._corpus.issuing)).key
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        signature = key.sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
        bits = der_mutator.Element(0x03, b"\0" + signature)
        return der_mutator.Element(0x30, parts=[signed, algorithm, bits]).encode()

    # Bytes of any kind

    def _change_bytes(self, data: bytes, family: tuple[bytes, ...]) -> bytes:
        random = self._random
        at, end = sorted(random.choices(range(len(data) + 1), k=2))
        other = random.choice(family)
        bit = bytearray(data)
        bit[at - 1] ^= 1 << random.randrange(8)
        return random.choice(
            (
                bytes(bit),
                data[:at],
                data[at:],
                data[:at] + data[end:],
                data[:at] + random.randbytes(end - at) + data[end:],
                data[:at] + other[at:],
                data[:end] + data[at:],
                data + random.randbytes(1),
                data[:at] + random.choice((b"\0", b"\xff", b"\xed\xa0\x80", b"{")) + data[at:],
            )
        )


def _get(members: Members, name: str) -> Any:
    return next(value for found, value in members if found == name)


def _put(members: Members, name: str, value: object) -> None:
    at = next(at for at, (found, _) in enumerate(members) if found == name)
    members[at] = (name, value)


def _opened(members: Members, name: str) -> Any:
    """Read the JSON that a member holds in Base64url."""
    return json_mutator.load(decode_base64url(_get(members, name)))


def _close(members: Members, name: str, content: Members) -> None:
    _put(members, name, base64url(json_mutator.dump(content).encode()))
