"""What must hold for every mutant.

    compiled yes ⇒ Python yes · believed ⇒ signed like this · only Rejected is raised · bounded work

Work is counted as calls of Python functions and builtins, which no other process can change.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType

from registrar.core import der as asn1
from registrar.core.certificate import Certificate
from registrar.core.crl import Crl, is_crl_of
from registrar.core.identity import validate_identity
from registrar.core.jws import decode_jws
from registrar.core.match import Candidate
from registrar.core.path import validate_path
from registrar.core.signatures import verify_signatures
from registrar.core.ticket_batch import ROW, Status
from registrar.core.ticket_snapshot import TicketSnapshot
from registrar.core.trust import DeviceIdentityAuthorities
from registrar.core.validation import DEVICE_IDENTITY
from registrar.core.verify import Route, TicketVerifier
from registrar.errors import CertificateRejected, Reason, TicketInvalid
from tests.core.building import NOW
from tests.fuzz.corpus import Corpus
from tests.fuzz.mutants import Kind, Mutant

MOST_CALLS = 20_000
"""Calls that one mutant may cost; reading a good Ticket of three new signers costs some 2,000."""


OFTEN = 256
"""Signatures of a key on P-256 after which the batch keeps a table for it."""


class Violation(AssertionError):
    """A mutant for which something does not hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of one mutant."""

    reason: Reason | None
    """``None`` where it was believed."""

    compiled_yes: int
    """Signatures the compiled body said yes to."""

    is_settled: bool
    """Whether the compiled batch said yes, without the reference."""

    calls: int


class Judge:
    """Judges mutants of one corpus."""

    def __init__(self, corpus: Corpus, *, most_calls: int = MOST_CALLS) -> None:
        self._corpus = corpus
        self._most_calls = most_calls
        self._verifier = TicketVerifier(corpus.trust)
        self._payloads = {decode_jws(ticket).payload for ticket in corpus.tickets}
        self._identities = DeviceIdentityAuthorities(corpus.trust)
        self._snapshot = TicketSnapshot(
            self._verifier, route=Route.OUT_OF_BAND, now=NOW, authorities=self._identities
        )
        # From now on the batch knows every signer, and the CA of the Devices.
        good = corpus.tickets[0]
        self._ticket = self._verifier.verify(good, route=Route.OUT_OF_BAND, now=NOW)
        self._snapshot.judge([good], [corpus.device.der])
        self._snapshot.judge([good] * OFTEN, [corpus.device.der] * OFTEN)
        self._snapshot.judge(corpus.tickets)
        self._signed = set(map(_signed_part, (*corpus.certificates, *corpus.crls)))
        self._judges: dict[Kind, Callable[[bytes], bytes]] = {
            Kind.TICKET: self._payload_of_ticket,
            Kind.CERTIFICATE: self._signed_of_certificate,
            Kind.CRL: self._signed_of_crl,
        }

    def judge(self, mutant: Mutant) -> Verdict:
        """Return what became of ``mutant``.

        Raises:
            Violation: a property does not hold for it.
        """
        reason: Reason | None = None
        said = b""
        try:
            with _Calls() as calls:
                said = self._judges[mutant.kind](mutant.data)
        except (TicketInvalid, CertificateRejected) as error:
            reason = error.reason
        except Exception as error:
            raise Violation(f"{type(error).__name__} is not for strangers to cause") from error
        if calls.number > self._most_calls:
            raise Violation(f"{calls.number} calls, more than {self._most_calls}")
        known = self._payloads if mutant.kind is Kind.TICKET else self._signed
        if reason is None and not mutant.signed_again and said not in known:
            raise Violation("believed, though nobody trusted signed it")
        return Verdict(
            reason=reason,
            compiled_yes=compiled_yes(mutant.data) if mutant.kind is Kind.TICKET else 0,
            is_settled=self._is_settled(mutant, is_believed=reason is None),
            calls=calls.number,
        )

    def _is_settled(self, mutant: Mutant, *, is_believed: bool) -> bool:
        """Tell whether the compiled batch says yes, which the reference then has to say, too."""
        if mutant.kind is Kind.TICKET:
            settled = Status.BELIEVED in self._batch_status(mutant.data)
            if settled and not is_believed:
                raise Violation("the batch believes a Ticket and the reference does not")
            return settled
        if mutant.kind is Kind.CRL:
            return False
        status = self._batch_status(self._corpus.tickets[0], mutant.data)
        if Status.GENUINE not in status:
            return False
        try:
            validate_identity(
                Candidate(certificate=Certificate.from_der(mutant.data), ticket=self._ticket),
                authorities=self._identities,
                now=NOW,
                application_uri=self._ticket.uri,
            )
        except CertificateRejected as error:
            raise Violation("the batch says genuine and the reference does not") from error
        return True

    def _batch_status(self, document: bytes, *certificates: bytes) -> Status:
        row, *_ = ROW.unpack(self._snapshot.run([document], certificates).rows())
        return Status(row)

    def _payload_of_ticket(self, data: bytes) -> bytes:
        self._verifier.verify(data, route=Route.OUT_OF_BAND, now=NOW)
        return decode_jws(data).payload

    def _signed_of_certificate(self, data: bytes) -> bytes:
        leaf = Certificate.from_der(data)
        validate_path(
            leaf,
            intermediates=[self._corpus.issuing.certificate],
            trust=self._corpus.trust,
            now=NOW,
            options=DEVICE_IDENTITY,
        )
        return _signed_part(data)

    def _signed_of_crl(self, data: bytes) -> bytes:
        crl = Crl.from_der(data)
        for issuer in (self._corpus.root, self._corpus.issuing):
            if is_crl_of(crl, issuer.certificate):
                return _signed_part(data)
        raise CertificateRejected("nobody's CRL")


def _signed_part(der: bytes) -> bytes:
    """Return the first element inside of a certificate or CRL."""
    start, end = asn1.expect(der, 0, len(der), asn1.SEQUENCE)
    _, end = asn1.expect(der, start, end, asn1.SEQUENCE)
    return der[start:end]


def compiled_yes(document: bytes) -> int:
    """Count the signatures of ``document`` that the compiled body says yes to.

    Raises:
        Violation: its twin says no to one of them.
    """
    questions = list(_questions(document))
    if not questions:
        return 0
    columns = [list(column) for column in zip(*questions, strict=True)]
    compiled = verify_signatures(*columns)
    pure = inspect.unwrap(verify_signatures)(*columns)
    if any(yes and not twin for yes, twin in zip(compiled, pure, strict=True)):
        raise Violation("the compiled body says yes and its twin no")
    return sum(compiled)


def _questions(document: bytes) -> Iterator[tuple[bytes, str, bytes, bytes]]:
    try:
        signatures = decode_jws(document).signatures
    except TicketInvalid:
        return
    for one in signatures:
        if one.header is not None:
            key = one.header.signer.public_key_der
            yield key, one.header.algorithm.value, one.signed, one.signature


class _Calls:
    """Counts the calls made inside of a ``with``."""

    def __init__(self) -> None:
        self.number = 0

    def __enter__(self) -> _Calls:
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _note(self, _: FrameType, event: str, __: object) -> None:
        self.number += event in ("call", "c_call")
