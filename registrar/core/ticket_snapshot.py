"""Tickets by the thousand, under one state of trust at one time.

    documents ─▶ batch ─▶ yes
                   └────▶ unknown ─▶ reference ─▶ yes or no, with the reason
                   ▲                    │
                   └──── learns ◀───────┘

The reference decides on the first few of all that look alike; what it believed, the batch knows
from then on. All Tickets of one signer carry the same protected header, and all of one maker the
same Authorities. Nothing is learned from what was refused.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from registrar.core.certificate import Certificate
from registrar.core.crl import is_crl_of
from registrar.core.identity import IdentityPolicy, ValidIdentity, validate_identity
from registrar.core.jws import Jws, JwsSignature, ProtectedHeader, TicketType, decode_jws
from registrar.core.match import Candidate
from registrar.core.path import ValidPath
from registrar.core.scope import Scope
from registrar.core.ticket_batch import ROW, Batch, Known, Row, Status
from registrar.core.trust import DeviceIdentityAuthorities, TrustList
from registrar.core.valid_ticket import Route, SignatureOutcome, ValidTicket
from registrar.core.verify import SignerVerdict, TicketVerifier
from registrar.errors import CertificateRejected, TicketInvalid

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GROWTH: Final = 4
"""Of Tickets with the same unknown bytes the reference sees one, then so many times as many."""

TABLES: Final = 64
"""Keys whose signatures take half the time, for 150 KB and 20 ms each."""

SERIAL_BYTES: Final = 20

_NOBODY = DeviceIdentityAuthorities(TrustList())
_DEFAULT = IdentityPolicy()
_UNLIMITED = Scope()

Refusal = TicketInvalid | CertificateRejected


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodHeader:
    """A protected header under which the reference found a good signature."""

    signer: Certificate
    signature: JwsSignature
    """With the header alone."""

    outcome: SignatureOutcome
    is_limited: bool
    """Tells whether the authority it rests on has a scope: each payload has to lie in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """What became of each document and its certificate, in their order."""

    status: NDArray[np.uint8]
    """Of ``Status`` the bits ``BELIEVED``, ``GENUINE`` and ``COMPOSITE``."""

    signer: NDArray[np.int32]
    """Index in ``TicketSnapshot.headers``; -1 where the reference alone decided."""

    issuer: NDArray[np.int32]
    """Index in ``TicketSnapshot.issuers``; -1 where the reference alone decided, or without."""

    uri: NDArray[np.int64]
    """Shape (n, 2): where ProductInstanceUri or CompositeInstanceUri begins and ends in ``text``;
    both 0 where the Ticket is refused."""

    text: bytes
    """The payloads."""

    refused: dict[int, Refusal]
    """Why the Ticket, or else the certificate, of an index is not good."""


class TicketSnapshot:
    """Verifies Tickets against one state of trust at one time.

    Several threads may use it at once, each for a slice of some thousand Tickets: most of a slice
    holds no GIL.

    Args:
        verifier: the reference.
        route: how the Tickets were acquired; decides who is trusted.
        now: aware.
        authorities: who issues Device certificates, beside the CAs that the Tickets name.
        policy: for Device certificates.
        tables: at most so many keys get a table; see ``TABLES``.
    """

    def __init__(
        self,
        verifier: TicketVerifier,
        *,
        route: Route,
        now: datetime,
        authorities: DeviceIdentityAuthorities = _NOBODY,
        policy: IdentityPolicy = _DEFAULT,
        tables: int = TABLES,
    ) -> None:
        self._verifier = verifier
        self._route = route
        self._now = now
        self._authorities = authorities
        self._policy = policy
        limits = verifier.policy.limits
        self._known = Known(
            limits.document_bytes,
            limits.payload_bytes,
            limits.signatures,
            int(now.astimezone(UTC).strftime("%Y%m%d%H%M%S")),
            tables,
        )
        self._verdicts: dict[tuple[Certificate, ...], SignerVerdict] = {}

    @property
    def headers(self) -> Sequence[GoodHeader]:
        """Whose Tickets are verified fast; grows."""
        return self._known.headers

    @property
    def issuers(self) -> Sequence[Certificate]:
        """Whose Device certificates are verified fast; grows."""
        return self._known.issuers

    def verify_all(self, documents: Sequence[str | bytes]) -> list[ValidTicket | TicketInvalid]:
        """Do as ``TicketVerifier.verify_all``, faster where many Tickets have one signer."""
        run = _Slice(self, documents, ())
        results = run.tickets
        for done in run.passes:
            for place, at in zip(done.places, done.indexes, strict=True):
                results[at] = done.ticket(place)
        return [results[at] for at in range(len(documents))]

    def judge(
        self, documents: Sequence[str | bytes], certificates: Sequence[bytes | None] = ()
    ) -> Verdicts:
        """Verify Tickets, and with each perhaps the certificate of its Device, without making them.

        Args:
            certificates: DER, or ``None`` where there is none; as many as documents, or none at
                all. That beside a Composite's Ticket is not looked at.
        """
        # Only now: numpy takes 20 MB, and nobody else in the Registrar needs it.
        import numpy as np

        run = _Slice(self, documents, certificates)
        count = len(documents)
        status = np.zeros(count, np.uint8)
        signer = np.full(count, -1, np.int32)
        issuer = np.full(count, -1, np.int32)
        uri = np.zeros((count, 2), np.int64)
        text = b""
        for done in run.passes:
            run.refuse_what_lies_outside(done)
            rows = np.frombuffer(done.rows, np.dtype([*zip(Row._fields, _FORMATS, strict=True)]))
            rows, at = rows[done.places], np.array(done.indexes, np.int64)
            status[at] = rows["status"] & (Status.BELIEVED | Status.GENUINE | Status.COMPOSITE)
            signer[at], issuer[at] = rows["signer"], rows["issuer"]
            uri[at, 0] = len(text) + rows["payload"] + rows["uri"]
            uri[at, 1] = uri[at, 0] + rows["uri_size"]
            text += done.batch.payloads()
        for index, ticket in run.tickets.items():
            if isinstance(ticket, ValidTicket):
                status[index] = Status.BELIEVED | (Status.COMPOSITE if ticket.is_composite else 0)
                uri[index] = len(text), len(text) + len(ticket.uri)
                text += ticket.uri.encode()
        for index, identity in run.identities.items():
            if isinstance(identity, ValidIdentity):
                status[index] |= Status.GENUINE
        return Verdicts(
            status=status, signer=signer, issuer=issuer, uri=uri, text=text, refused=run.refused
        )

    # What the passes over a slice share

    def run(self, documents: Sequence[str | bytes], certificates: Sequence[bytes | None]) -> Batch:
        """Let a batch decide what it can."""
        batch = Batch(self._known, documents, certificates)
        batch.read()
        batch.check()
        return batch

    def ask(self, documents: Sequence[str | bytes]) -> list[ValidTicket | TicketInvalid]:
        """Let the reference decide."""
        return self._verifier.verify_all(
            documents, route=self._route, now=self._now, judged=self._verdicts
        )

    def believe(
        self, document: str | bytes, payload: bytes, headers: Iterable[int]
    ) -> ValidTicket | TicketInvalid:
        """Make the Ticket whose signatures, under these headers, are good."""
        good = [self.headers[number] for number in headers]
        jws = Jws(
            document=document if isinstance(document, str) else document.decode("ascii"),
            payload=payload,
            signatures=tuple(one.signature for one in good),
        )
        outcomes = [one.outcome for one in good]
        return self._verifier.conclude(jws, outcomes, self._verdicts, self._route, self._now)

    def identify(self, ticket: ValidTicket, der: bytes) -> ValidIdentity | CertificateRejected:
        """Let the reference decide about the certificate of a Ticket's Device."""
        try:
            return validate_identity(
                Candidate(certificate=Certificate.from_der(der), ticket=ticket),
                authorities=self._authorities,
                now=self._now,
                application_uri=ticket.uri,
                policy=self._policy,
            )
        except CertificateRejected as error:
            return error

    def learn(
        self,
        document: str | bytes,
        der: bytes | None,
        ticket: ValidTicket,
        identity: ValidIdentity | None,
    ) -> None:
        """Remember what a believed Ticket and, if it is genuine, its certificate rest on."""
        known = -1
        while known < len(self):
            known = len(self)
            batch = Batch(self._known, [document], [der])
            batch.read()
            row = Row._make(ROW.unpack(batch.rows()))
            if row.status & _NEW_HEADER:
                self._learn_headers(document, ticket)
            elif row.status & _NEW_AUTHORITIES:
                self._known.learn_authorities(row.unknown_in(batch.payload(0)))
            elif row.status & _NEW_ISSUER and identity is not None:
                self._learn_issuer(row.authorities, identity.path)

    def _learn_headers(self, document: str | bytes, ticket: ValidTicket) -> None:
        """Remember the headers of good signatures."""
        jws = decode_jws(document, self._verifier.policy.limits)
        for signature, outcome in zip(jws.signatures, ticket.outcomes, strict=True):
            if outcome.reason is None and signature.header is not None:
                self._learn_header(signature, signature.header, outcome)

    def _learn_header(
        self, signature: JwsSignature, header: ProtectedHeader, outcome: SignatureOutcome
    ) -> None:
        verdict = self._verdicts.get(header.certificates)
        if verdict is None:
            verdict = self._verifier.judge_signer(header.certificates, self._route, self._now)
            self._verdicts[header.certificates] = verdict
        nearest = self._verifier.authorities.scope_of(verdict.anchors[0])
        self._known.learn_header(
            GoodHeader(
                signer=header.signer,
                signature=JwsSignature(header=header, signed=b"", signature=b""),
                outcome=outcome,
                is_limited=nearest != _UNLIMITED,
            ),
            signature.signed.partition(b".")[0],
            key=header.signer.public_key_der,
            algorithm=header.algorithm.value,
            is_composite=header.ticket_type is TicketType.COMPOSITE_IDENTITY,
            uris="\n".join(header.signer.san_uris).encode(),
            not_after=int(header.signer.not_after.timestamp()),
        )

    def _learn_issuer(self, authorities: int, path: ValidPath) -> None:
        """Remember the CA of a genuine Device certificate, if all it issues is judged alike.

        Not if only the certificate itself is trusted, if names or keys below the CA are limited,
        if something of the chain above was suppressed, or if nothing is known of revocation.
        """
        leaf, *above = path.certificates
        signers = [one for one in above if one.subject_name == leaf.issuer_name]
        crls = [
            crl
            for crl in self._authorities.crls_of(leaf.issuer_name)
            if any(is_crl_of(crl, one) for one in signers)
        ]
        if (
            self._authorities.stopped
            or not any(anchor in above for anchor in path.anchors)
            or any(one.name_constraints is not None for one in above)
            or any(one.certificate != leaf for one in path.suppressed)
            or not any(crl.is_fresh(self._now) for crl in crls)
        ):
            return
        serials = {number for crl in crls for number in crl.serial_numbers}
        self._known.learn_issuer(
            above[0],
            authorities,
            leaf.issuer_bytes,
            leaf.aki or b"",
            key=above[0].public_key_der,
            revoked=b"".join(
                number.to_bytes(SERIAL_BYTES)
                for number in sorted(serials)
                if 0 < number < 1 << 8 * SERIAL_BYTES
            ),
        )

    def __len__(self) -> int:
        """Return how much is known."""
        return len(self._known)


# Numbers, because an IntFlag takes longer than all the rest.
_BELIEVED = Status.BELIEVED.value
_ENOUGH = (Status.GENUINE | Status.COMPOSITE).value
_NEW_HEADER = Status.NEW_HEADER.value
_NEW_AUTHORITIES = Status.NEW_AUTHORITIES.value
_NEW_ISSUER = Status.NEW_ISSUER.value

_FORMATS = (*("i4",) * 4, "i8", *("i4",) * 7)


class _Pass:
    """One batch over some documents of a slice."""

    def __init__(self, snapshot: TicketSnapshot, slice_: _Slice, indexes: Sequence[int]) -> None:
        self._snapshot = snapshot
        self._documents = [slice_.documents[at] for at in indexes]
        self._certificates = [slice_.certificates[at] for at in indexes if slice_.certificates]
        self.batch = snapshot.run(self._documents, self._certificates)
        self.rows = self.batch.rows()
        self._headers = array("i", self.batch.headers())
        self.places: list[int] = []
        """In this batch, of what it settled."""
        self.indexes: list[int] = []
        """In the slice, of the same."""
        self.open: list[tuple[int, int]] = []
        """Place and index of the rest."""
        statuses = memoryview(self.rows).cast("i")[:: ROW.size // 4].tolist()
        for place, status in enumerate(statuses):
            wanted = bool(self._certificates) and self._certificates[place] is not None
            if status & _BELIEVED and (not wanted or status & _ENOUGH):
                self.places.append(place)
                self.indexes.append(indexes[place])
            else:
                self.open.append((place, indexes[place]))

    def row(self, place: int) -> Row:
        return Row._make(ROW.unpack_from(self.rows, place * ROW.size))

    def headers(self, row: Row) -> array[int]:
        return self._headers[row.first_header : row.first_header + row.headers]

    def ticket(self, place: int) -> ValidTicket | TicketInvalid:
        """Make the Ticket of a document that the batch believed."""
        return self._snapshot.believe(
            self._documents[place], self.batch.payload(place), self.headers(self.row(place))
        )

    def unknown(self, place: int) -> Hashable:
        """Return what has to become known for this and others; ``None`` if nothing helps."""
        row = self.row(place)
        if row.status & _NEW_HEADER:
            return row.unknown_in(self._documents[place])
        if row.status & _NEW_AUTHORITIES:
            return row.unknown_in(self.batch.payload(place))
        if row.status & _NEW_ISSUER:
            return row.authorities, row.unknown_in(self._certificates[place] or b"")
        return None


class _Slice:
    """Settles documents by batch and reference, whoever can."""

    def __init__(
        self,
        snapshot: TicketSnapshot,
        documents: Sequence[str | bytes],
        certificates: Sequence[bytes | None],
    ) -> None:
        self.documents = documents
        self.certificates = certificates
        self._snapshot = snapshot
        self._asked: Counter[Hashable] = Counter()
        self.passes: list[_Pass] = []
        self.tickets: dict[int, ValidTicket | TicketInvalid] = {}
        """What the reference decided, by index."""
        self.identities: dict[int, ValidIdentity | CertificateRejected] = {}
        pending: Sequence[int] = range(len(documents))
        while pending:
            done = _Pass(snapshot, self, pending)
            self.passes.append(done)
            asked, pending = self._choose(done)
            known = len(snapshot)
            self._ask(done, asked)
            if len(snapshot) == known:
                later = frozenset(pending)
                self._ask(done, [one for one in done.open if one[1] in later])
                pending = ()

    def _choose(self, done: _Pass) -> tuple[list[tuple[int, int]], list[int]]:
        """Say what to ask the reference about now, and what may become known by that."""
        asked: list[tuple[int, int]] = []
        later: list[int] = []
        seen: Counter[Hashable] = Counter()
        for place, at in done.open:
            key = done.unknown(place)
            if key is None or seen[key] < max(1, GROWTH * self._asked[key]):
                seen[key] += 1
                asked.append((place, at))
            else:
                later.append(at)
        self._asked.update(seen)
        return asked, later

    def _ask(self, done: _Pass, asked: Sequence[tuple[int, int]]) -> None:
        """Let the reference decide, and learn from what it believes."""
        doubtful = [one for one in asked if not done.row(one[0]).status & _BELIEVED]
        answers = self._snapshot.ask([self.documents[at] for _, at in doubtful])
        self.tickets.update(zip([at for _, at in doubtful], answers, strict=True))
        for place, at in asked:
            if done.row(place).status & _BELIEVED:
                self.tickets[at] = done.ticket(place)
            ticket, der = self.tickets[at], self.certificates[at] if self.certificates else None
            if isinstance(ticket, TicketInvalid):
                continue
            identity = None
            if der is not None and not ticket.is_composite:
                identity = self._snapshot.identify(ticket, der)
                self.identities[at] = identity
            if done.unknown(place) is not None:
                genuine = identity if isinstance(identity, ValidIdentity) else None
                self._snapshot.learn(self.documents[at], der, ticket, genuine)

    def refuse_what_lies_outside(self, done: _Pass) -> None:
        """Take back what the batch settled where a scope of an authority forbids it."""
        limited = {at for at, one in enumerate(self._snapshot.headers) if one.is_limited}
        if not limited:
            return
        for place, at in zip(tuple(done.places), tuple(done.indexes), strict=True):
            if limited.isdisjoint(done.headers(done.row(place))):
                continue
            ticket = done.ticket(place)
            if isinstance(ticket, TicketInvalid):
                self.tickets[at] = ticket
                done.places.remove(place)
                done.indexes.remove(at)

    @property
    def refused(self) -> dict[int, Refusal]:
        """Why Tickets, or else certificates, are not good."""
        faults: dict[int, Refusal] = {}
        for results in (self.tickets, self.identities):
            for at, result in results.items():
                if isinstance(result, TicketInvalid | CertificateRejected):
                    faults[at] = result
        return faults
