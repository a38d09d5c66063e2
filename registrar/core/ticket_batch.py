"""Tickets by the batch, as far as exact bytes that were judged before decide about them.

``Known`` holds what the reference judged good under one state of trust; ``Batch`` says yes to the
documents that consist of that, and whose signatures hold. The bodies here know nothing and leave
everything to the reference: the compiled twins are there for speed alone.
``ticket_snapshot`` brings both together.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntFlag
from struct import Struct
from typing import Any, NamedTuple

from registrar.native import compiled


class Status(IntFlag):
    """What a batch found out; without ``BELIEVED`` or ``GENUINE`` the reference decides."""

    BELIEVED = 1
    """Every signature holds, each by a valid and trusted signer, and the payload is well-formed."""
    GENUINE = 2
    """The certificate is that of the Ticket's Device, issued by a known CA and not revoked."""
    COMPOSITE = 4
    """The Ticket describes a Composite."""
    NEW_HEADER = 8
    """A protected header is not known; ``Row.unknown`` is its place in the document."""
    NEW_AUTHORITIES = 16
    """The Authorities are not known; ``Row.unknown`` is their place in the payload."""
    NEW_ISSUER = 32
    """The issuer is not known; ``Row.unknown`` is the place of its name in the certificate."""


class Row(NamedTuple):
    """What is known of one document, as ``Batch.rows`` packs it."""

    status: int
    signer: int
    """Number of the header whose signer's certificate ends last; -1 where unknown."""
    issuer: int
    """Number of the issuer of the Device certificate; -1 where unknown."""
    authorities: int
    """Number of the array of Authorities; -1 without one."""
    payload: int
    """Offset in ``Batch.payloads``."""
    payload_size: int
    uri: int
    """Offset of the URI in the payload."""
    uri_size: int
    unknown: int
    unknown_size: int
    first_header: int
    """Its headers are a range of ``Batch.headers``."""
    headers: int

    def unknown_in(self, whole: str | bytes) -> bytes:
        """Return what is not known, from where ``status`` says that it stands."""
        part = whole[self.unknown : self.unknown + self.unknown_size]
        return part if isinstance(part, bytes) else part.encode("ascii")


ROW = Struct("=4iq7i")


@compiled
class Known:
    """What the reference judged good under one state of trust, by its exact bytes.

    Args:
        document_bytes, payload_bytes, signatures: the limits of ``JwsLimits``.
        now: UTC as YYYYMMDDhhmmss.
        tables: keys on P-256 of which, where they are used often, multiples are kept; 150 KB each.
    """

    def __init__(
        self, document_bytes: int, payload_bytes: int, signatures: int, now: int, tables: int
    ) -> None:
        self.headers: list[Any] = []
        """What was given as ``value`` for each header, by its number."""
        self.issuers: list[Any] = []
        """The same for each issuer."""

    def learn_header(
        self,
        value: object,
        text: bytes,
        *,
        key: bytes,
        algorithm: str,
        is_composite: bool,
        uris: bytes,
        not_after: int,
    ) -> int:
        """Take in a protected header whose signer is valid and trusted, and return its number.

        Args:
            value: what to keep in ``headers``.
            text: Base64url, as received.
            key: SubjectPublicKeyInfo of the signer, DER.
            algorithm: a value of ``Algorithm``.
            uris: every URI of the signer's certificate, one after the other.
            not_after: when the signer's certificate ends, in any unit.

        Returns:
            -1 where it is left to the reference: the table is full, or the key is unusual.
        """
        return -1

    def learn_authorities(self, text: bytes) -> int:
        """Take in the JSON array of Authorities of a good payload; return its number, or -1."""
        return -1

    def learn_issuer(
        self,
        value: object,
        authorities: int,
        name: bytes,
        aki: bytes,
        *,
        key: bytes,
        revoked: bytes,
    ) -> int:
        """Take in a CA whose Device certificates are genuine beside Tickets with ``authorities``.

        Args:
            value: what to keep in ``issuers``.
            authorities: the number of the Ticket's array; -1 without one.
            name: the CA's subject, DER.
            aki: the key identifier in the certificates it issues; empty without one.
            key: its SubjectPublicKeyInfo, DER.
            revoked: serial numbers on its CRLs, 20 bytes each, sorted.

        Returns:
            Its number; -1 where it is left to the reference.
        """
        return -1

    def __len__(self) -> int:
        """Return how many entries there are."""
        return 0


@compiled
class Batch:
    """Documents, and with each perhaps the certificate of its Device, on their way to a verdict.

    One thread at a time may use it; the compiled ``read`` and ``check`` hold no GIL.

    Args:
        documents: bytes or text.
        certificates: DER, or ``None`` where there is none; as many as documents, or none at all.
    """

    def __init__(
        self,
        known: Known,
        documents: Sequence[str | bytes],
        certificates: Sequence[bytes | None] = (),
    ) -> None:
        self._count = len(documents)

    def read(self) -> None:
        """Read every document and certificate, up to the signatures."""

    def check(self) -> None:
        """Check the signatures of what was read; afterwards ``rows`` says yes or nothing."""

    def rows(self) -> bytes:
        """Return a ``ROW`` for each document."""
        return ROW.pack(0, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0) * self._count

    def headers(self) -> bytes:
        """Return the numbers of all headers, as native ints of four bytes."""
        return b""

    def payloads(self) -> bytes:
        """Return all payloads that were read, each at its ``Row.payload``."""
        return b""

    def payload(self, at: int) -> bytes:
        """Return the payload of document ``at``, which was believed."""
        raise IndexError(at)
