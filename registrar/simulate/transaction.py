"""The one transaction of a Device: who holds it, what it will change, how the last one ended.

    none ──modifying call──▶ open ──ApplyChanges──▶ none (applied, or discarded with its errors)
                              └───CancelChanges, Session closed──▶ none (discarded)

Source: OPC 10000-12 §7.10.2, §7.10.9, §7.10.11, §7.10.17; rules T1 to T12 of the digest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from registrar.errors import Misuse, RegistrarError, ServiceFailed
from registrar.simulate.certificate_group import CertificateGroup, Slot
from registrar.simulate.peer_trust import TrustListContent
from registrar.status import StatusCode


@dataclass(frozen=True, slots=True)
class NewTrustList:
    """A TrustList that waits to be in force."""

    group: CertificateGroup
    content: TrustListContent


@dataclass(frozen=True, slots=True)
class NewCertificate:
    """A certificate, with its key, that waits to be in force."""

    group: CertificateGroup
    certificate_type: int
    slot: Slot


Change = NewTrustList | NewCertificate


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a change could not be applied (TransactionErrorType)."""

    group: CertificateGroup
    of_trust_list: bool
    status: StatusCode
    message: str


@dataclass(slots=True, kw_only=True)
class Diagnostics:
    """What TransactionDiagnostics shows (§7.10.17)."""

    start: datetime
    end: datetime | None = None
    result: StatusCode | None = None
    """None while the transaction runs."""
    trust_lists: list[CertificateGroup] = field(default_factory=list)
    groups: list[CertificateGroup] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


class Transactions:
    """Holds at most one open transaction, bound to the Session that began it (T2)."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        """Begin without a transaction; ``now`` is asked when one starts and ends."""
        self._now = now
        self._owner: object | None = None
        self.changes: list[Change] = []
        self.diagnostics: Diagnostics | None = None
        """Of the open or the last transaction; None before the first."""

    @property
    def is_open(self) -> bool:
        """Whether a transaction runs."""
        return self._owner is not None

    def check(self, session: object) -> None:
        """Refuse a Session while another one's transaction runs.

        Raises:
            ServiceFailed: Bad_TransactionPending.
        """
        if self._owner is not None and self._owner is not session:
            raise ServiceFailed(
                "another Session has a transaction", status=StatusCode.BadTransactionPending
            )

    def join(self, session: object) -> None:
        """Let ``session`` begin a transaction or go on with its own (T1).

        Raises:
            ServiceFailed: Bad_TransactionPending.
        """
        self.check(session)
        if self._owner is None:
            self._owner = session
            self.changes = []
            self.diagnostics = Diagnostics(start=self._now())

    def touch(self, group: CertificateGroup, *, trust_list: bool) -> None:
        """Note that the open transaction concerns ``group``, or its TrustList."""
        running = self._running()
        affected = running.trust_lists if trust_list else running.groups
        if group not in affected:
            affected.append(group)

    def add(self, session: object, change: Change) -> None:
        """Queue ``change`` (T4)."""
        self.join(session)
        self.changes.append(change)
        self.touch(change.group, trust_list=isinstance(change, NewTrustList))

    def staged_trust_list(self, group: CertificateGroup) -> TrustListContent:
        """Return the TrustList ``group`` would have if the transaction were applied now."""
        staged = [
            change.content
            for change in self.changes
            if isinstance(change, NewTrustList) and change.group is group
        ]
        return staged[-1] if staged else group.trust_list

    def apply(self, session: object, verify: Callable[[Change], None]) -> tuple[Change, ...]:
        """Close the transaction and return its changes, all verified, for putting in force.

        Args:
            verify: raises for a change that cannot be applied; then none is (T4).

        Raises:
            ServiceFailed: Bad_NothingToDo (T8), Bad_SessionIdInvalid (T9), or the status of the
                first change that failed.
        """
        self.require(session)
        failures = self._running().failures
        for change in self.changes:
            try:
                verify(change)
            except RegistrarError as error:
                of_trust_list = isinstance(change, NewTrustList)
                failure = Failure(change.group, of_trust_list, error.status, str(error))
                failures.append(failure)
        if failures:
            self._end(failures[0].status)
            raise ServiceFailed(failures[0].message, status=failures[0].status)
        changes = tuple(self.changes)
        self._end(StatusCode.Good)
        return changes

    def cancel(self, session: object) -> None:
        """Discard everything (T5).

        Raises:
            ServiceFailed: Bad_NothingToDo or Bad_SessionIdInvalid.
        """
        self.require(session)
        self._end(StatusCode.BadRequestCancelledByClient)

    def session_closed(self, session: object) -> None:
        """Discard the transaction of a Session that ended (T5)."""
        if self._owner is session:
            self._end(StatusCode.BadRequestCancelledByClient)

    def forget(self) -> None:
        """Drop the open transaction and all history: the Device was reset."""
        self._owner = None
        self.changes = []
        self.diagnostics = None

    def require(self, session: object) -> None:
        """Require that ``session`` has a transaction open.

        Raises:
            ServiceFailed: Bad_NothingToDo (T8) or Bad_SessionIdInvalid (T9).
        """
        if self._owner is None:
            raise ServiceFailed("no transaction is open", status=StatusCode.BadNothingToDo)
        if self._owner is not session:
            raise ServiceFailed(
                "the transaction is another Session's", status=StatusCode.BadSessionIdInvalid
            )

    def _end(self, result: StatusCode) -> None:
        ended = self._running()
        ended.end = self._now()
        ended.result = result
        self._owner = None
        self.changes = []

    def _running(self) -> Diagnostics:
        if self._owner is None or self.diagnostics is None:
            raise Misuse("no transaction is open")
        return self.diagnostics
