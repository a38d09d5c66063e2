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
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509 import NameConstraints

from registrar.core.certificate import MAX_CHAIN_LENGTH, Certificate
from registrar.core.crl import is_crl_of
from registrar.core.name_constraints import breach
from registrar.core.names import Name
from registrar.core.signatures import (
    MAX_RSA_BITS,
    MIN_RSA_BITS,
    WEAK_HASHES,
    is_issued_by,
    is_sound_key,
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

MAX_CANDIDATES = 8
"""Issuers of one name that are tried for one certificate."""

MAX_PATHS = 8
"""Complete chains that are looked at for one leaf."""

MAX_SIGNATURE_CHECKS = 20
"""Signatures that are checked to build the chains of one leaf."""

_JUDGED = 512
"""Certificates whose strength is remembered. CAs meet theirs again with every Device."""

NEVER = datetime.max.replace(tzinfo=UTC)

MAX_INTERMEDIATES = 64
"""Certificates a caller may pass beside the lists."""


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
    return _Validation(leaf, intermediates, (trust, *further), now, options, budget).run()


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
        for issuer in self._issuers_of(last):
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

    def _issuers_of(self, certificate: Certificate) -> list[Certificate]:
        name = certificate.issuer_name
        found: dict[Certificate, None] = {}
        for trust in self._lists:
            found.update(dict.fromkeys(trust.named(name)))
        if self._sent:
            found.update(dict.fromkeys(self._sent.get(name, ())))
        wanted = certificate.aki
        fitting = [
            issuer
            for issuer in found
            if wanted is None or issuer.ski is None or wanted == issuer.ski
        ]
        if len(fitting) > 1:
            # Those the key identifier names come first; within both, members of the lists do.
            fitting.sort(key=lambda issuer: wanted is None or issuer.ski is None)
        return fitting[:MAX_CANDIDATES]

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
        if self._has_plain_policy(certificate):
            return
        low = self._options.min_rsa_bits
        high = self._options.max_rsa_bits if certificate is self._leaf else MAX_RSA_BITS
        for detail in _weaknesses(certificate, low, high, is_anchor=is_anchor):
            self._found(Check.POLICY, certificate, detail)

    def _has_plain_policy(self, certificate: Certificate) -> bool:
        """Tell whether it is a plain leaf with a key of bearable size; no plain one is weak."""
        plain, options = certificate.plain, self._options
        if plain is None or certificate is not self._leaf:
            return False
        low = max(options.min_rsa_bits, MIN_RSA_BITS)
        return low <= plain.key_bits <= min(options.max_rsa_bits, MAX_RSA_BITS)

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
            usage = issuer.key_usage
            fault = ""
            if not issuer.is_ca:
                fault = "is not a CA"
            elif usage is not None and not usage.key_cert_sign:
                fault = "must not sign certificates"
            elif issuer.path_length is not None and below > issuer.path_length:
                fault = f"allows {issuer.path_length} CAs below it, not {below}"
            elif issuer.name_constraints is not None:
                fault = _forbidden(issuer.name_constraints, chain[:at])
            if fault:
                raise self._rejected(
                    StatusCode.BadCertificateIssuerUseNotAllowed,
                    f"issuer {issuer.subject[:80]!r} {fault}",
                )
            below += not issuer.is_self_issued

    def _check_revocation(self, certificate: Certificate, above: tuple[Certificate, ...]) -> None:
        """Ask the CRLs of the issuer, signed by it or by an older key of its in the same chain."""
        name = certificate.issuer_name
        is_leaf = certificate is self._leaf
        fresh_until: list[datetime] = []
        for trust in self._lists:
            for crl in trust.crls_of(name):
                signers = [one for one in above if one.subject_name == name]
                if not any(is_crl_of(crl, one) for one in signers):
                    continue
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
            self._record(Check.REVOCATION_SKIPPED, certificate, "neither CRL nor CDP nor AIA")
            return
        check = Check.REVOCATION_UNKNOWN if is_leaf else Check.ISSUER_REVOCATION_UNKNOWN
        issued_by = f"no current CRL of {above[0].subject[:80]!r}"
        self._found(check, certificate, issued_by)

    def _found(self, check: Check, certificate: Certificate, detail: str) -> None:
        if check not in self._options.suppress:
            raise self._rejected(CODES[check], f"{certificate.subject[:80]!r}: {detail}")
        self._record(check, certificate, detail)

    def _record(self, check: Check, certificate: Certificate, detail: str) -> None:
        self._suppressed.append(
            Suppressed(
                check=check,
                status=CODES[check],
                certificate=certificate,
                detail=detail,
            )
        )

    def _rejected(self, status: StatusCode, message: str) -> CertificateRejected:
        return CertificateRejected(
            message, status=status, reason=REASONS[status], subject=self._leaf.subject
        )


@lru_cache(maxsize=_JUDGED)
def _weaknesses(certificate: Certificate, low: int, high: int, *, is_anchor: bool) -> Sequence[str]:
    """Name what is weak in the key and the signature of a certificate."""
    found: list[str] = []
    digest = certificate.parsed.signature_hash_algorithm
    key = certificate.public_key
    if digest is not None and digest.name in WEAK_HASHES and not is_anchor:
        found.append(f"signed with {digest.name}")
    if isinstance(key, rsa.RSAPublicKey):
        if not is_sound_key(key) or not low <= key.key_size <= high:
            found.append(f"an RSA key of {key.key_size} bits, not {low} to {high}")
    elif not isinstance(
        key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey
    ):
        found.append("a key of a kind that cannot sign")
    elif isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < 256:
        found.append(f"a curve of {key.key_size} bits")
    return found


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
