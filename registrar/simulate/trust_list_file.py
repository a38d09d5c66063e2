"""A TrustList as the file that Clients open, read and write.

    closed ──Open(0x01), OpenWithMasks──▶ reading ──Close, ActivityTimeout──▶ closed
       └────Open(0x06)──▶ writing ──CloseAndUpdate──▶ staged in the transaction
                             └──────Close, ActivityTimeout──▶ discarded

Source: OPC 10000-12 §7.8.2 (TrustListType), OPC 10000-20 §4.2 (FileType).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha1

from asyncua import ua

from registrar.errors import CertificateRejected, DecodingError, ServiceFailed
from registrar.simulate.certificate_group import CertificateGroup
from registrar.simulate.peer_trust import (
    TrustListContent,
    check_issuers,
    is_crl_of,
    parse_certificate,
    parse_crl,
)
from registrar.simulate.transaction import NewTrustList, Transactions
from registrar.status import StatusCode
from registrar.ua.codec import decode_structure, encode_structure

READ = 0x01
WRITE = 0x06
"""Write and EraseExisting; a TrustList knows no other modes (§7.8.2.2)."""
TRUSTED_CERTIFICATES = 1
TRUSTED_CRLS = 2
ISSUER_CERTIFICATES = 4
ISSUER_CRLS = 8
ALL = 15

MAX_TRUST_LIST_SIZE = 65_536
"""Bytes; what MaxTrustListSize says."""
MAX_OPEN_FILES = 8
MAX_READ_LENGTH = 65_536
"""Bytes a Read returns at most."""
ACTIVITY_TIMEOUT_S = 60.0
"""A file nobody touches for so long is closed and its changes are lost (§7.8.2.1)."""


@dataclass(slots=True, kw_only=True)
class _File:
    session: object
    writing: bool
    content: bytearray
    touched: float
    position: int = 0


@dataclass(slots=True, eq=False)
class TrustListFile:
    """The Methods of the TrustList of one CertificateGroup."""

    group: CertificateGroup
    transactions: Transactions
    monotonic: Callable[[], float]
    max_size: int = MAX_TRUST_LIST_SIZE
    """Bytes; 0 for no limit."""
    _files: dict[int, _File] = field(default_factory=dict)
    _last_handle: int = 0

    @property
    def open_count(self) -> int:
        """How many Clients have it open."""
        self._expire()
        return len(self._files)

    @property
    def is_being_written(self) -> bool:
        """Whether it is open for writing, which holds up ApplyChanges (T7)."""
        self._expire()
        return any(file.writing for file in self._files.values())

    def open(self, session: object, mode: int) -> int:
        """Open for reading or writing; writing begins or joins the transaction.

        Raises:
            ServiceFailed: Bad_InvalidArgument, Bad_TransactionPending, Bad_NotWritable where it
                is being written already, Bad_ResourceUnavailable.
        """
        if mode == READ:
            return self.open_with_masks(session, ALL)
        if mode != WRITE:
            raise _failed(StatusCode.BadInvalidArgument, f"mode {mode} is neither 1 nor 6")
        self.transactions.check(session)
        if self.is_being_written:
            raise _failed(StatusCode.BadNotWritable, "open for writing already")
        handle = self._open(session, bytearray(), writing=True)
        self.transactions.join(session)
        self.transactions.touch(self.group, trust_list=True)
        return handle

    def open_with_masks(self, session: object, masks: int) -> int:
        """Open for reading the lists in ``masks``; the others appear empty (§7.8.2.3)."""
        return self._open(session, bytearray(encode(self.group.trust_list, masks)), writing=False)

    def read(self, session: object, handle: int, length: int) -> bytes:
        """Return up to ``length`` bytes from the position; fewer at the end."""
        file = self._file(session, handle)
        if file.writing:
            raise _failed(StatusCode.BadInvalidState, "open for writing")
        if length < 0:
            raise _failed(StatusCode.BadInvalidArgument, f"length {length} is negative")
        end = file.position + min(length, MAX_READ_LENGTH)
        data = bytes(file.content[file.position : end])
        file.position += len(data)
        return data

    def write(self, session: object, handle: int, data: bytes) -> None:
        """Append ``data`` at the position."""
        file = self._writing(session, handle)
        end = file.position + len(data)
        if self.max_size and end > self.max_size:
            raise _failed(StatusCode.BadRequestTooLarge, f"{end} bytes; limit {self.max_size}")
        file.content[file.position : end] = data
        file.position = end

    def position(self, session: object, handle: int) -> int:
        """Return the position in bytes."""
        return self._file(session, handle).position

    def set_position(self, session: object, handle: int, position: int) -> None:
        """Move to ``position``, at most to the end."""
        file = self._file(session, handle)
        file.position = min(position, len(file.content))

    def close(self, session: object, handle: int) -> None:
        """Close; what was written is discarded."""
        self._file(session, handle)
        del self._files[handle]

    def close_and_update(self, session: object, handle: int) -> None:
        """Close and stage what was written, merged with the lists it leaves out (§7.8.2.5).

        Raises:
            ServiceFailed: a wrong handle, a file open for reading, or bytes that are no
                TrustList.
            CertificateRejected: a certificate or CRL of it is invalid; the file is closed and
                the transaction unchanged (T3).
        """
        file = self._writing(session, handle)
        del self._files[handle]
        base = self.transactions.staged_trust_list(self.group)
        content = decode(bytes(file.content), base)
        check_content(content)
        self.transactions.add(session, NewTrustList(self.group, content))

    def add_certificate(self, session: object, der: bytes, trusted: bool) -> TrustListContent:
        """Return the list with one more trusted certificate, in force at once (§7.8.2.6)."""
        self._check_idle(session)
        if not trusted:
            raise CertificateRejected("only trusted certificates can be added one by one")
        parse_certificate(der)
        current = self.group.trust_list
        check_issuers(der, _with_trusted(current, (*current.trusted_certificates, der)))
        added = dict.fromkeys((*current.trusted_certificates, der))
        content = _with_trusted(current, tuple(added))
        if self.max_size and len(encode(content)) > self.max_size:
            raise _failed(StatusCode.BadRequestTooLarge, f"more than {self.max_size} bytes")
        return content

    def remove_certificate(
        self, session: object, thumbprint: str, trusted: bool
    ) -> TrustListContent:
        """Return the list without one certificate and its CRLs, in force at once (§7.8.2.7)."""
        self._check_idle(session)
        current = self.group.trust_list
        listed = current.trusted_certificates if trusted else current.issuer_certificates
        found = [der for der in listed if sha1_hex(der) == thumbprint.upper()]
        if not found:
            raise _failed(StatusCode.BadInvalidArgument, f"no certificate {thumbprint[:40]!r}")
        gone = found[0]
        content = TrustListContent(
            trusted_certificates=tuple(
                der for der in current.trusted_certificates if not trusted or der != gone
            ),
            issuer_certificates=tuple(
                der for der in current.issuer_certificates if trusted or der != gone
            ),
            trusted_crls=tuple(crl for crl in current.trusted_crls if not is_crl_of(crl, gone)),
            issuer_crls=tuple(crl for crl in current.issuer_crls if not is_crl_of(crl, gone)),
        )
        for der in content.trusted_certificates:
            check_issuers(der, content)
        return content

    def session_closed(self, session: object) -> None:
        """Close the files of a Session that ended."""
        self._files = {
            handle: file for handle, file in self._files.items() if file.session is not session
        }

    def reset(self) -> None:
        """Close every file."""
        self._files.clear()

    def _open(self, session: object, content: bytearray, *, writing: bool) -> int:
        self._expire()
        if len(self._files) >= MAX_OPEN_FILES:
            raise _failed(
                StatusCode.BadResourceUnavailable, f"{MAX_OPEN_FILES} files are open already"
            )
        self._last_handle += 1
        self._files[self._last_handle] = _File(
            session=session, writing=writing, content=content, touched=self.monotonic()
        )
        return self._last_handle

    def _file(self, session: object, handle: int) -> _File:
        self._expire()
        file = self._files.get(handle)
        if file is None or file.session is not session:
            raise _failed(StatusCode.BadInvalidArgument, f"no file {handle} of this Session")
        file.touched = self.monotonic()
        return file

    def _writing(self, session: object, handle: int) -> _File:
        file = self._file(session, handle)
        if not file.writing:
            raise _failed(StatusCode.BadInvalidState, "open for reading")
        return file

    def _check_idle(self, session: object) -> None:
        # The text makes no exception for the Session's own transaction (§7.8.2.6, §7.8.2.7).
        if self.transactions.is_open:
            raise _failed(StatusCode.BadTransactionPending, "a transaction is open")
        if self.is_being_written:
            raise _failed(StatusCode.BadInvalidState, "open for writing")

    def _expire(self) -> None:
        oldest = self.monotonic() - ACTIVITY_TIMEOUT_S
        for handle in [h for h, file in self._files.items() if file.touched < oldest]:
            del self._files[handle]


def encode(content: TrustListContent, masks: int = ALL) -> bytes:
    """Return the bare TrustListDataType with the lists in ``masks`` (§7.8.2.8)."""
    return encode_structure(
        ua.TrustListDataType(
            SpecifiedLists=masks,
            TrustedCertificates=_chosen(content.trusted_certificates, masks, TRUSTED_CERTIFICATES),
            TrustedCrls=_chosen(content.trusted_crls, masks, TRUSTED_CRLS),
            IssuerCertificates=_chosen(content.issuer_certificates, masks, ISSUER_CERTIFICATES),
            IssuerCrls=_chosen(content.issuer_crls, masks, ISSUER_CRLS),
        )
    )


def decode(data: bytes, base: TrustListContent) -> TrustListContent:
    """Return the list in ``data``; what its SpecifiedLists leave out comes from ``base``.

    Raises:
        ServiceFailed: these bytes are no TrustList (Bad_InvalidArgument).
    """
    try:
        given = decode_structure(ua.TrustListDataType, data)
    except DecodingError as error:
        raise _failed(StatusCode.BadInvalidArgument, f"no TrustList: {error}") from error
    masks = int(given.SpecifiedLists)

    def either(mask: int, new: list[bytes] | None, old: tuple[bytes, ...]) -> tuple[bytes, ...]:
        return tuple(new or ()) if masks & mask else old

    return TrustListContent(
        trusted_certificates=either(
            TRUSTED_CERTIFICATES, given.TrustedCertificates, base.trusted_certificates
        ),
        trusted_crls=either(TRUSTED_CRLS, given.TrustedCrls, base.trusted_crls),
        issuer_certificates=either(
            ISSUER_CERTIFICATES, given.IssuerCertificates, base.issuer_certificates
        ),
        issuer_crls=either(ISSUER_CRLS, given.IssuerCrls, base.issuer_crls),
    )


def check_content(content: TrustListContent) -> None:
    """Require that everything in a TrustList can be parsed (§7.8.2.5).

    Raises:
        CertificateRejected: Bad_CertificateInvalid.
    """
    for der in (*content.trusted_certificates, *content.issuer_certificates):
        parse_certificate(der)
    for crl in content.crls:
        parse_crl(crl)


def sha1_hex(der: bytes) -> str:
    """Return the thumbprint RemoveCertificate names a certificate by, upper-case."""
    return sha1(der, usedforsecurity=False).hexdigest().upper()


def _chosen(items: tuple[bytes, ...], masks: int, mask: int) -> list[bytes]:
    return list(items) if masks & mask else []


def _with_trusted(content: TrustListContent, trusted: tuple[bytes, ...]) -> TrustListContent:
    return TrustListContent(
        trusted_certificates=trusted,
        trusted_crls=content.trusted_crls,
        issuer_certificates=content.issuer_certificates,
        issuer_crls=content.issuer_crls,
    )


def _failed(status: StatusCode, message: str) -> ServiceFailed:
    return ServiceFailed(message, status=status)
