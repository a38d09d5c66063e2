"""The certificate configuration of a Device: the Methods of all its configuration objects.

    ServerConfiguration            group 0: the DCA itself
    ApplicationConfiguration k     group k: the k-th managed application

Each configuration object has a DefaultApplicationGroup with one slot; all share one transaction.
Checks come in the order of OPC 10000-12 §7.10: channel and Role (before this is asked, see
``methods``), the transaction's owner, arguments, content.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import rsa

from registrar.errors import CertificateRejected, ServiceFailed
from registrar.simulate.certificate_group import CertificateGroup, Slot
from registrar.simulate.keys import KeyPool
from registrar.simulate.peer_trust import (
    TrustListContent,
    application_uris,
    check_issuers,
    parse_certificate,
)
from registrar.simulate.plant import Validation
from registrar.simulate.signing_request import make_signing_request, parse_subject
from registrar.simulate.transaction import Change, NewCertificate, NewTrustList, Transactions
from registrar.simulate.trust_list_file import MAX_TRUST_LIST_SIZE, TrustListFile, check_content
from registrar.status import StatusCode

MIN_NONCE_SIZE = 32
"""Bytes of entropy a caller adds when a key is to be made (§7.10.10)."""
MAX_REJECTED = 16
"""Certificates GetRejectedList remembers; the oldest goes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Where a Device gets the time from."""

    now: Callable[[], datetime]
    monotonic: Callable[[], float]


class Configuration:
    """Groups, files and transaction of one Device.

    Args:
        groups: the DCA's first, then one for each managed application.
        application_uris: of the DCA and of each application.
        host: name or address that goes into signing requests.
        on_applied: told the groups that changed, after the changes are in force.
    """

    def __init__(
        self,
        *,
        groups: Sequence[CertificateGroup],
        application_uris: Sequence[str],
        host: str,
        validation: Validation,
        keys: KeyPool,
        clock: Clock,
        on_applied: Callable[[frozenset[CertificateGroup]], None],
        max_trust_list_size: int = MAX_TRUST_LIST_SIZE,
    ) -> None:
        self.groups = tuple(groups)
        self.application_uris = tuple(application_uris)
        self.transactions = Transactions(clock.now)
        self.files = tuple(
            TrustListFile(group, self.transactions, clock.monotonic, max_trust_list_size)
            for group in groups
        )
        self._rejected: deque[bytes] = deque(maxlen=MAX_REJECTED)
        self._host = host
        self._validation = validation
        self._keys = keys
        self._clock = clock
        self._on_applied = on_applied

    @property
    def dca(self) -> CertificateGroup:
        """The group of the DCA itself."""
        return self.groups[0]

    @property
    def rejected(self) -> list[bytes]:
        """The certificates that were refused lately (§7.10.12)."""
        return list(self._rejected)

    def reject(self, certificate: bytes) -> None:
        """Remember a certificate that was refused."""
        if certificate not in self._rejected:
            self._rejected.append(certificate)

    def create_signing_request(
        self,
        session: object,
        at: int,
        certificate_type: int,
        subject: str,
        regenerate: bool,
        nonce: bytes,
    ) -> bytes:
        """Return a signing request for the slot of group ``at`` (§7.10.10).

        Raises:
            ServiceFailed: Bad_TransactionPending or Bad_InvalidArgument.
        """
        self.transactions.check(session)
        group = self._group(at, certificate_type)
        slot = group.slots.get(certificate_type)
        if regenerate and len(nonce) < MIN_NONCE_SIZE:
            raise _invalid(f"nonce of {len(nonce)} bytes; {MIN_NONCE_SIZE} are needed")
        if not regenerate and slot is None:
            raise _invalid("the slot is empty; there is no key to go on with")
        if subject or slot is None:
            name = parse_subject(subject)
        else:
            name = parse_certificate(slot.certificate).subject
        if regenerate or slot is None:
            key = group.pending_keys[certificate_type] = self._keys.take()
        else:
            group.pending_keys.pop(certificate_type, None)
            key = slot.key
        uri = self.application_uris[at]
        return make_signing_request(key, name, application_uri=uri, host=self._host)

    def update_certificate(
        self,
        session: object,
        at: int,
        certificate_type: int,
        certificate: bytes,
        private_key_format: str,
        private_key: bytes,
    ) -> None:
        """Stage a certificate for the slot of group ``at`` (§7.10.5).

        The issuers a caller sends along are ignored, as the edition in force demands.

        Raises:
            ServiceFailed: Bad_TransactionPending, Bad_InvalidArgument, Bad_NotSupported, or
                Bad_SecurityChecksFailed where the key is neither the pending nor the present one.
            CertificateRejected: with the code of OPC 10000-4 §6.1.3.
        """
        self.transactions.check(session)
        group = self._group(at, certificate_type)
        if bool(private_key_format) != bool(private_key):
            raise _invalid("a private key and its format go together")
        leaf = leaf_of(certificate)
        parsed = parse_certificate(leaf)
        if private_key:
            raise ServiceFailed("no private keys from outside", status=StatusCode.BadNotSupported)
        public_key = parsed.public_key()
        if not isinstance(public_key, rsa.RSAPublicKey):
            raise CertificateRejected("the slot holds RSA certificates")
        key = self._key_of(group, certificate_type, public_key)
        if self.application_uris[at] not in application_uris(leaf):
            raise CertificateRejected(
                "another ApplicationUri", status=StatusCode.BadCertificateUriInvalid
            )
        self._validate(group, leaf)
        slot = Slot(certificate=leaf, key=key)
        self.transactions.add(session, NewCertificate(group, certificate_type, slot))

    def get_certificates(self, at: int) -> dict[int, bytes]:
        """Return the certificates in force in group ``at``, by CertificateType (§7.10.8)."""
        group = self._group(at, None)
        return {kind: slot.certificate for kind, slot in group.slots.items()}

    def apply_changes(self, session: object) -> None:
        """Put the transaction in force; refuse while a TrustList is being written (T4, T7).

        Raises:
            ServiceFailed: Bad_InvalidState, Bad_NothingToDo, Bad_SessionIdInvalid or the code
                of the first change that cannot be applied.
        """
        self.transactions.require(session)
        if any(file.is_being_written for file in self.files):
            raise ServiceFailed(
                "a TrustList is open for writing", status=StatusCode.BadInvalidState
            )
        changes = self.transactions.apply(session, self._verify)
        for change in changes:
            self._put_in_force(change)
        if changes:
            self._on_applied(frozenset(change.group for change in changes))

    def cancel_changes(self, session: object) -> None:
        """Discard the transaction (§7.10.11)."""
        self.transactions.cancel(session)
        for file in self.files:
            file.session_closed(session)

    def replace_trust_list(self, at: int, content: TrustListContent) -> None:
        """Put a TrustList in force outside a transaction: AddCertificate, RemoveCertificate."""
        group = self.groups[at]
        self._put_in_force(NewTrustList(group, content))
        self._on_applied(frozenset({group}))

    def session_closed(self, session: object) -> None:
        """Discard what a Session leaves behind (T5)."""
        self.transactions.session_closed(session)
        for file in self.files:
            file.session_closed(session)

    def reset(self) -> None:
        """Return every group to the state of a factory-new Device (§7.10.13)."""
        self.transactions.forget()
        for file in self.files:
            file.reset()
        for group in self.groups:
            group.reset()
        self._rejected.clear()

    def _group(self, at: int, certificate_type: int | None) -> CertificateGroup:
        if at >= len(self.groups):
            raise ServiceFailed("no such application", status=StatusCode.BadNodeIdUnknown)
        group = self.groups[at]
        if certificate_type is not None and certificate_type not in group.certificate_types:
            raise _invalid(f"no slot for CertificateType i={certificate_type}")
        return group

    def _key_of(
        self, group: CertificateGroup, certificate_type: int, public_key: rsa.RSAPublicKey
    ) -> rsa.RSAPrivateKey:
        slot = group.slots.get(certificate_type)
        candidates = [group.pending_keys.get(certificate_type), slot.key if slot else None]
        for key in candidates:
            if key is not None and key.public_key() == public_key:
                return key
        raise ServiceFailed(
            "the certificate is for a key this Device does not have",
            status=StatusCode.BadSecurityChecksFailed,
        )

    def _validate(self, group: CertificateGroup, leaf: bytes) -> None:
        if self._validation is Validation.STAGED:
            check_issuers(leaf, self.transactions.staged_trust_list(group))
        elif self._validation is Validation.ACTIVE:
            check_issuers(leaf, group.trust_list)

    def _verify(self, change: Change) -> None:
        if isinstance(change, NewTrustList):
            check_content(change.content)
        else:
            self._validate(change.group, change.slot.certificate)

    def _put_in_force(self, change: Change) -> None:
        group = change.group
        if isinstance(change, NewTrustList):
            group.trust_list = change.content
            group.updated = self._clock.now()
            return
        group.slots[change.certificate_type] = change.slot
        pending = group.pending_keys.get(change.certificate_type)
        if pending is change.slot.key:
            del group.pending_keys[change.certificate_type]


def leaf_of(blob: bytes) -> bytes:
    """Return the first of concatenated DER certificates (OPC 10000-6 §6.2.6).

    Raises:
        CertificateRejected: the bytes do not begin with a complete DER sequence.
    """
    if len(blob) < 4 or blob[0] != 0x30 or blob[1] != 0x82:
        raise CertificateRejected("no DER certificate")
    size = 4 + int.from_bytes(blob[2:4], "big")
    if len(blob) < size:
        raise CertificateRejected(f"{len(blob)} of {size} bytes of a certificate")
    return blob[:size]


def _invalid(message: str) -> ServiceFailed:
    return ServiceFailed(message, status=StatusCode.BadInvalidArgument)
