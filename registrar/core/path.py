"""Certificate validation in the order of Part 4, with the code of each step.

    1 structure ▶ 2 chain ▶ 3 signatures ▶ 4 policy ▶ 5 trust ▶ 6 time ▶ 7 host ▶ 8 URI ▶ 9 usage
    ▶ 10 revocation list ▶ 11 revocation

Building is a bounded search: signatures are checked while the chain grows, so that an
unrelated certificate of the same name cannot lead astray. Of several chains the first that
passes counts; if none does, the error of the one that came furthest is raised.
Source: OPC 10000-4 §6.1.3 Table 100.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.x509 import NameConstraints

from registrar.core.certificate import MAX_CHAIN_LENGTH, Certificate
from registrar.core.issuers import crls_for, issuers_of, known_above, unfit, weaknesses
from registrar.core.name_constraints import breach
from registrar.core.names import Name
from registrar.core.signatures import (
    MAX_RSA_BITS,
    is_issued_by,
    made_plain,
)
from registrar.core.step_codes import CODES, REASONS, STEPS
from registrar.core.trust import TrustList
from registrar.core.usage import usage_faults
from registrar.core.validation import (
    Anchor,
    Check,
    Purpose,
    Suppressed,
    ValidationOptions,
    names_host,
)
from registrar.errors import CertificateRejected, Reason
from registrar.status import StatusCode

MAX_PATHS = 8
"""Complete chains that are looked at for one leaf."""

MAX_SIGNATURE_CHECKS = 20
"""Signatures that are checked to build the chains of one leaf."""

NEVER = datetime.max.replace(tzinfo=UTC)

MAX_INTERMEDIATES = 64
"""Certificates a caller may pass beside the lists."""

_ANY, _DEVICE, _SKIPPED = Anchor.ANY, Purpose.DEVICE_IDENTITY, Check.REVOCATION_SKIPPED
"""Kept, because before Python 3.12 looking up a member is a call."""

_NO_POINTER = "neither CRL nor CDP nor AIA"


@dataclass(slots=True)
class SignatureBudget:
    """How many signatures may still be checked; building a chain takes from it."""

    left: int = MAX_SIGNATURE_CHECKS


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidPath:
    """A chain that passed every step."""

    certificates: tuple[Certificate, ...]
    """Leaf first, root last."""

    suppressed: tuple[Suppressed, ...]
    """Findings that did not refuse the chain; each has to be audited."""

    anchors: tuple[Certificate, ...] = ()
    """Those of the chain that the lists trust, nearest to the leaf first."""

    ends: datetime
    """When time alone takes away what it rests on: an end of validity, a nextUpdate."""

    @property
    def leaf(self) -> Certificate:
        return self.certificates[0]

    @property
    def root(self) -> Certificate:
        return self.certificates[-1]


def validate_path(
    leaf: Certificate,
    *,
    intermediates: Sequence[Certificate] = (),
    trust: TrustList,
    further: Sequence[TrustList] = (),
    now: datetime,
    options: ValidationOptions,
    budget: SignatureBudget | None = None,
) -> ValidPath:
    """Validate ``leaf`` and return its chain.

    Args:
        intermediates: what came with the leaf; helps to build, is never an anchor. At most
            ``MAX_INTERMEDIATES`` are looked at.
        trust: who is trusted, with the CRLs.
        further: more lists that hold anchors and CRLs for this leaf alone.
        now: aware.
        budget: for the caller who wants to know what was taken from it.

    Raises:
        CertificateRejected: a step failed; ``status`` is its code, ``reason`` what an
            administrator reads.
    """
    budget = budget or SignatureBudget()
    lists = (trust, *further)
    usual = _usual_path(leaf, lists, now, options, budget)
    return usual or _Validation(leaf, intermediates, lists, now, options, budget).run()


def _usual_path(
    leaf: Certificate,
    lists: Sequence[TrustList],
    now: datetime,
    options: ValidationOptions,
    budget: SignatureBudget,
) -> ValidPath | None:
    """Return the path of a plain leaf under known CAs, against which nothing speaks.

    The search would find the same one first, whatever came along with the leaf. None says nothing,
    and takes nothing from ``budget``.
    """
    plain = leaf.plain
    if plain is None or options.purpose is not _DEVICE:
        return None
    above = known_above(plain, lists, options.min_rsa_bits)
    if (
        above is None
        or budget.left <= len(above.certificates)
        or not above.begins <= now <= above.ends
        or not plain.not_before <= now <= plain.not_after
        or not options.min_rsa_bits <= plain.key_bits <= options.max_rsa_bits
        or options.anchor is not _ANY
        or (options.check_trust and not above.anchors)
        or options.application_uri not in (None, *plain.san_uris)
        or options.host is not None
    ):
        return None
    for trust in lists:
        if trust.trusts(leaf) or (trust.stopped and leaf.key_digest in trust.stopped):
            return None
    for crl in above.crls:
        if crl.revoked(plain.serial_number):
            return None
    suppressed: list[Suppressed] = []
    for one in above.unlisted if above.crls else (leaf, *above.unlisted):
        if one.has_revocation_pointer or not options.skip_revocation_without_pointer:
            return None
        suppressed.append(_suppressed(_SKIPPED, one, _NO_POINTER))
    if not made_plain(plain, above.certificates[0]):
        return None
    budget.left -= 1 + len(above.certificates)
    return ValidPath(
        certificates=(leaf, *above.certificates),
        suppressed=tuple(suppressed),
        anchors=above.anchors,
        ends=min(above.ends, plain.not_after),
    )


class _Validation:
    """One run; holds what the steps share."""

    def __init__(
        self,
        leaf: Certificate,
        intermediates: Sequence[Certificate],
        lists: Sequence[TrustList],
        now: datetime,
        options: ValidationOptions,
        budget: SignatureBudget,
    ) -> None:
        self._leaf = leaf
        self._lists = lists
        self._now = now
        self._options = options
        self._budget = budget
        self._bad_signature = False
        self._furthest: CertificateRejected | None = None
        self._looked_at = 0
        self._valid: ValidPath | None = None
        self._suppressed: list[Suppressed] = []
        self._anchors: tuple[Certificate, ...] = ()
        self._fresh_until: list[datetime] = []
        self._sent: dict[Name, list[Certificate]] = {}
        for certificate in intermediates[:MAX_INTERMEDIATES]:
            self._sent.setdefault(certificate.subject_name, []).append(certificate)

    def run(self) -> ValidPath:
        self._search((self._leaf,))
        if self._valid is not None:
            return self._valid
        if self._furthest is not None:
            raise self._furthest
        if self._bad_signature:
            raise self._rejected(StatusCode.BadCertificateInvalid, "its signature does not verify")
        raise self._rejected(
            StatusCode.BadCertificateChainIncomplete,
            f"no chain from issuer {self._leaf.issuer[:80]!r} to a known root",
        )

    # Steps 2 and 3: chains and their signatures

    def _search(self, chain: tuple[Certificate, ...]) -> bool:
        """Look at the complete chains that begin with ``chain``, roots in the lists first.

        Returns:
            Whether to stop: one passed, or enough were looked at.
        """
        last = chain[-1]
        if last.is_self_issued and self._may_end(last) and self._is_issued_by(last, last):
            return self._judge(chain)
        if len(chain) == MAX_CHAIN_LENGTH:
            return False
        for issuer in issuers_of(last.issuer_name, last.aki, self._lists, self._sent):
            if (
                issuer not in chain
                and self._is_issued_by(last, issuer)
                and self._search((*chain, issuer))
            ):
                return True
        return False

    def _judge(self, chain: tuple[Certificate, ...]) -> bool:
        """Keep what is to be told of a complete chain; return whether to stop."""
        self._suppressed = []
        try:
            self._check(chain)
        except CertificateRejected as error:
            if self._furthest is None or _step(error) > _step(self._furthest):
                self._furthest = error
            self._looked_at += 1
            return self._looked_at == MAX_PATHS
        self._valid = ValidPath(
            certificates=chain,
            suppressed=tuple(self._suppressed),
            anchors=self._anchors,
            ends=self._end(chain),
        )
        return True

    def _is_issued_by(self, certificate: Certificate, issuer: Certificate) -> bool:
        if self._budget.left == 0:
            return False
        self._budget.left -= 1
        plain = certificate.plain
        # The plain leaf says all that is asked of it here; the library need not read it.
        holds = is_issued_by(certificate, issuer) if plain is None else made_plain(plain, issuer)
        self._bad_signature = self._bad_signature or not holds
        return holds

    def _may_end(self, root: Certificate) -> bool:
        return (
            self._options.transmitted_roots
            or not self._options.check_trust
            or root is self._leaf
            or any(trust.holds(root) for trust in self._lists)
        )

    # Steps 4 to 11

    def _check(self, chain: tuple[Certificate, ...]) -> None:
        self._fresh_until = []
        self._check_stopped(chain)
        for certificate in chain:
            self._check_policy(certificate, is_anchor=certificate is chain[-1] is not self._leaf)
        self._anchors = self._trusted(chain)
        if self._options.check_trust and not self._anchors:
            raise self._untrusted(chain)
        for certificate in chain:
            if not certificate.not_before <= self._now <= certificate.not_after:
                self._found_late_or_early(certificate)
        self._check_host()
        self._check_uri()
        self._check_usage()
        self._check_issuers(chain)
        for at, certificate in enumerate(chain[:-1]):
            self._check_revocation(certificate, chain[at + 1 :])

    def _check_policy(self, certificate: Certificate, *, is_anchor: bool) -> None:
        plain = certificate.plain
        low = self._options.min_rsa_bits
        high = self._options.max_rsa_bits if certificate is self._leaf else MAX_RSA_BITS
        if plain is not None and low <= plain.key_bits <= high:
            return  # no plain one is weak but by the size of its key
        for detail in weaknesses(certificate, low, high, is_anchor=is_anchor):
            self._found(Check.POLICY, certificate, detail)

    def _untrusted(self, chain: tuple[Certificate, ...]) -> CertificateRejected:
        possible = len(_anchors(chain, self._options.anchor))
        return self._rejected(
            StatusCode.BadCertificateUntrusted,
            f"none of {possible} certificates of its chain that may be is in the list",
        )

    def _trusted(self, chain: tuple[Certificate, ...]) -> tuple[Certificate, ...]:
        found: list[Certificate] = []
        for certificate in _anchors(chain, self._options.anchor):
            for trust in self._lists:
                if trust.trusts(certificate):
                    found.append(certificate)
                    break
        return tuple(found)

    def _check_stopped(self, chain: tuple[Certificate, ...]) -> None:
        """Refuse every way through a key that was stopped; never suppressed (T7)."""
        for trust in self._lists:
            if not trust.stopped:
                continue
            for certificate in chain:
                if certificate.key_digest in trust.stopped:
                    raise CertificateRejected(
                        f"the authority {certificate.subject[:80]!r} was stopped",
                        status=StatusCode.BadCertificateUntrusted,
                        reason=Reason.AUTHORITY_STOPPED,
                        subject=self._leaf.subject,
                    )

    def _end(self, chain: tuple[Certificate, ...]) -> datetime:
        ends = [one.not_after for one in chain if one.not_after >= self._now]
        return min((*ends, *self._fresh_until), default=NEVER)

    def _found_late_or_early(self, certificate: Certificate) -> None:
        is_leaf = certificate is self._leaf
        if self._now > certificate.not_after:
            check = Check.EXPIRED if is_leaf else Check.ISSUER_EXPIRED
            self._found(check, certificate, f"valid until {certificate.not_after.isoformat()}")
        else:
            check = Check.NOT_YET_VALID if is_leaf else Check.ISSUER_NOT_YET_VALID
            self._found(check, certificate, f"valid from {certificate.not_before.isoformat()}")

    def _check_host(self) -> None:
        host = self._options.host
        if host is not None and not names_host(self._leaf, host):
            self._found(Check.HOST_NAME, self._leaf, f"it does not name the host {host[:80]!r}")

    def _check_uri(self) -> None:
        wanted = self._options.application_uri
        if wanted is not None and wanted not in self._leaf.san_uris:
            raise self._rejected(
                StatusCode.BadCertificateUriInvalid,
                f"no URI of it is the ApplicationUri {wanted[:80]!r}",
            )

    def _check_usage(self) -> None:
        if self._leaf.plain is not None and self._options.purpose is Purpose.DEVICE_IDENTITY:
            return  # the shape of a plain leaf has the usages of a Device
        for detail, is_final in usage_faults(self._leaf, self._options.purpose):
            if is_final:
                raise self._rejected(StatusCode.BadCertificateUseNotAllowed, detail)
            self._found(Check.USAGE, self._leaf, detail)

    def _check_issuers(self, chain: tuple[Certificate, ...]) -> None:
        """Check what makes a CA; never suppressed, or every leaf could issue certificates."""
        below = 0
        for at, issuer in enumerate(chain[1:], 1):
            fault = unfit(issuer, below)
            if not fault and issuer.name_constraints is not None:
                fault = _forbidden(issuer.name_constraints, chain[:at])
            if fault:
                raise self._rejected(
                    StatusCode.BadCertificateIssuerUseNotAllowed,
                    f"issuer {issuer.subject[:80]!r} {fault}",
                )
            below += not issuer.is_self_issued

    def _check_revocation(self, certificate: Certificate, above: tuple[Certificate, ...]) -> None:
        is_leaf = certificate is self._leaf
        fresh_until: list[datetime] = []
        for crl in crls_for(certificate.issuer_name, above, self._lists):
            if crl.revoked(certificate.serial_number):
                code = (
                    StatusCode.BadCertificateRevoked
                    if is_leaf
                    else StatusCode.BadCertificateIssuerRevoked
                )
                raise self._rejected(code, f"{certificate.subject[:80]!r} is on a CRL")
            if crl.is_fresh(self._now) and crl.next_update is not None:
                fresh_until.append(crl.next_update)
        if fresh_until:
            self._fresh_until.append(max(fresh_until))
            return
        if self._options.skip_revocation_without_pointer and not certificate.has_revocation_pointer:
            self._suppressed.append(_suppressed(_SKIPPED, certificate, _NO_POINTER))
            return
        check = Check.REVOCATION_UNKNOWN if is_leaf else Check.ISSUER_REVOCATION_UNKNOWN
        issued_by = f"no current CRL of {above[0].subject[:80]!r}"
        self._found(check, certificate, issued_by)

    def _found(self, check: Check, certificate: Certificate, detail: str) -> None:
        if check not in self._options.suppress:
            raise self._rejected(CODES[check], f"{certificate.subject[:80]!r}: {detail}")
        self._suppressed.append(_suppressed(check, certificate, detail))

    def _rejected(self, status: StatusCode, message: str) -> CertificateRejected:
        return CertificateRejected(
            message, status=status, reason=REASONS[status], subject=self._leaf.subject
        )


def _suppressed(check: Check, certificate: Certificate, detail: str) -> Suppressed:
    return Suppressed(check=check, status=CODES[check], certificate=certificate, detail=detail)


def _anchors(chain: tuple[Certificate, ...], anchor: Anchor) -> tuple[Certificate, ...]:
    if anchor is Anchor.ANY:
        return chain
    if anchor is Anchor.LEAF_OR_ISSUING_CA:
        return (chain[0], *(issuer for issuer in chain[1:2] if not issuer.is_self_issued))
    return chain[:1]


def _forbidden(constraints: NameConstraints, below: Sequence[Certificate]) -> str:
    """Name what a CA must not have below it; self-issued CAs are passed over (RFC 5280 §6.1.3)."""
    for certificate in below:
        if certificate is below[0] or not certificate.is_self_issued:
            name = breach(constraints, certificate)
            if name:
                return f"must not certify {name}"
    return ""


def _step(error: CertificateRejected) -> int:
    return STEPS.get(error.status, 3)
