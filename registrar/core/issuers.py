"""Who may have issued a certificate, and what the CAs above a leaf come to whichever leaf it is.

Devices of one manufacturer differ, the CAs above them do not. What our own lists say of those is
remembered by the list, with the time in which it holds; of a leaf nothing is.
Source: OPC 10000-4 §6.1.3; RFC 5280 §6.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from registrar.core.certificate import MAX_CHAIN_LENGTH, Certificate, PlainLeaf
from registrar.core.crl import Crl, is_crl_of
from registrar.core.names import Name, canonical
from registrar.core.signatures import (
    MAX_RSA_BITS,
    WEAK_HASHES,
    is_issued_by,
    is_sound_key,
    sound_keys_of,
)
from registrar.core.trust import Above, TrustList

MAX_CANDIDATES = 8
"""Issuers of one name that are tried for one certificate."""

_JUDGED = 512
"""Certificates whose strength is remembered. CAs meet theirs again with every Device."""

KEPT = 64
"""Issuers whose chains a list remembers; at the limit all are forgotten."""

_NOBODY: Mapping[Name, Sequence[Certificate]] = {}


def known_above(leaf: PlainLeaf, lists: Sequence[TrustList], min_rsa_bits: int) -> Above | None:
    """Return the only chain that may stand above ``leaf``; None where only a search can say.

    Args:
        lists: the first one remembers. The order of the others changes nothing where there is but
            one chain, so their digests stand for them.
    """
    kept = lists[0].above
    key = (leaf.issuer, leaf.aki, min_rsa_bits, *[trust.digest for trust in lists[1:]])
    try:
        return kept[key]
    except KeyError:
        if len(kept) >= KEPT:
            kept.clear()
        found = kept[key] = _above(leaf, lists, min_rsa_bits)
        return found


def _above(leaf: PlainLeaf, lists: Sequence[TrustList], min_rsa_bits: int) -> Above | None:
    name = canonical(leaf.issuer)
    chain = _only_chain(name, leaf.aki, lists)
    if not chain or _is_faulty(chain, lists, min_rsa_bits):
        return None
    listed = [crls_for(name, chain, lists)]
    unlisted: list[Certificate] = []
    for at, one in enumerate(chain[:-1], 1):
        crls = crls_for(one.issuer_name, chain[at:], lists)
        if any(crl.revoked(one.serial_number) for crl in crls):
            return None
        listed.append(crls)
        if not crls:
            unlisted.append(one)
    begins = [one.not_before for one in chain]
    ends = [one.not_after for one in chain]
    for crls in listed:
        for crl in crls:
            if len(crls) > 1 or crl.this_update is None or crl.next_update is None:
                return None
            begins.append(crl.this_update)
            ends.append(crl.next_update)
    return Above(
        certificates=tuple(chain),
        anchors=tuple(one for one in chain if any(trust.trusts(one) for trust in lists)),
        crls=tuple(listed[0]),
        unlisted=tuple(unlisted),
        begins=max(begins),
        ends=min(ends),
    )


def _only_chain(name: Name, aki: bytes | None, lists: Sequence[TrustList]) -> Sequence[Certificate]:
    """Return the chain up from an issuer, root last; empty where there are several, or none.

    A search tries it first: an issuer that came along goes before a member of the lists only where
    the key identifier names it and not that member.
    """
    chain: list[Certificate] = []
    while not chain or not chain[-1].is_self_issued:
        found = issuers_of(name, aki, lists)
        if len(found) != 1 or len(chain) + 2 > MAX_CHAIN_LENGTH:
            return ()
        if aki is not None and found[0].ski is None:
            return ()
        chain += found
        name, aki = found[0].issuer_name, found[0].aki
    return chain if all(map(is_issued_by, chain, (*chain[1:], chain[-1]))) else ()


def _is_faulty(chain: Sequence[Certificate], lists: Iterable[TrustList], min_rsa_bits: int) -> bool:
    """Tell whether anything but time and CRLs may speak against a chain of CAs."""
    if not any(sound_keys_of(chain[0])):
        return True
    for below, one in enumerate(chain):
        if (
            unfit(one, below)
            or one.name_constraints is not None
            or weaknesses(one, min_rsa_bits, MAX_RSA_BITS, is_anchor=one is chain[-1])
            or any(one.key_digest in trust.stopped for trust in lists)
        ):
            return True
    return False


def issuers_of(
    name: Name,
    aki: bytes | None,
    lists: Iterable[TrustList],
    sent: Mapping[Name, Sequence[Certificate]] = _NOBODY,
) -> list[Certificate]:
    """Return whom the issuer's name and key identifier allow, members of the lists first."""
    found: dict[Certificate, None] = {}
    for trust in lists:
        found.update(dict.fromkeys(trust.named(name)))
    found.update(dict.fromkeys(sent.get(name, ())))
    fitting = [issuer for issuer in found if aki is None or issuer.ski is None or aki == issuer.ski]
    if len(fitting) > 1:
        # Those the key identifier names come first; within both, members of the lists do.
        fitting.sort(key=lambda issuer: aki is None or issuer.ski is None)
    return fitting[:MAX_CANDIDATES]


def unfit(issuer: Certificate, below: int) -> str:
    """Say why ``issuer`` cannot stand above ``below`` CAs; empty where it can."""
    usage = issuer.key_usage
    if not issuer.is_ca:
        return "is not a CA"
    if usage is not None and not usage.key_cert_sign:
        return "must not sign certificates"
    if issuer.path_length is not None and below > issuer.path_length:
        return f"allows {issuer.path_length} CAs below it, not {below}"
    return ""


def crls_for(name: Name, above: Sequence[Certificate], lists: Iterable[TrustList]) -> list[Crl]:
    """Return the CRLs of the issuer ``name``.

    Args:
        above: a chain that begins with the issuer; signed by it or by an older key of its in there.
    """
    return [
        crl
        for trust in lists
        for crl in trust.crls_of(name)
        if any(is_crl_of(crl, one) for one in above if one.subject_name == name)
    ]


@lru_cache(maxsize=_JUDGED)
def weaknesses(certificate: Certificate, low: int, high: int, *, is_anchor: bool) -> Sequence[str]:
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
