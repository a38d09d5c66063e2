"""Who may be certified by which name and key (threat-model T3, T21; R132).

A key belongs to one application of one Device, an ApplicationUri to one Device; what a Device
proved or was given counts, until that is revoked or the Device retires.
"""

from __future__ import annotations

from typing import Final

from registrar.errors import Reason, Rejected
from registrar.store.transaction import Transaction

_TAKEN: Final = (
    "SELECT 1 FROM issuances WHERE key_digest = ?1 AND (application_uri != ?2"
    " OR (enrolment_id IS NOT ?3 AND state != 'revoked'))"
    " UNION ALL SELECT 1 FROM bindings WHERE key_digest = ?1 AND enrolment_id IS NOT ?3"
    " UNION ALL SELECT 1 FROM issuances WHERE application_uri = ?2 AND enrolment_id IS NOT ?3"
    " AND state != 'revoked'"
    " UNION ALL SELECT 1 FROM bindings WHERE product_instance_uri = ?2 AND enrolment_id IS NOT ?3"
    " LIMIT 1"
)
"""Whether ``_check_key`` or ``_check_uri`` would refuse."""


def check_claims(
    tx: Transaction, enrolment_id: int | None, application_uri: str, key_digest: str
) -> None:
    """Make sure that nobody else has the name or the key.

    Args:
        tx: the transaction that will certify them.
        enrolment_id: the Device; None for the site itself.
        application_uri: to be certified.
        key_digest: SHA-256 of the SubjectPublicKeyInfo, hexadecimal.

    Raises:
        Rejected: the key belongs to another application or Device (``KEY_REUSED``), or another
            Device has the ApplicationUri (``PRODUCT_INSTANCE_URI_CONFLICT``).
    """
    # Mostly nobody has either, which one statement tells as well as the two that name the holder.
    if tx.query(_TAKEN, (key_digest, application_uri, enrolment_id)):
        _check_key(tx, enrolment_id, application_uri, key_digest)
        _check_uri(tx, enrolment_id, application_uri)


def _check_key(
    tx: Transaction, enrolment_id: int | None, application_uri: str, key_digest: str
) -> None:
    """Refuse a key that another application certified or another Device proved."""
    others = tx.query(
        "SELECT application_uri FROM issuances WHERE key_digest = ?1 AND (application_uri != ?2"
        " OR (enrolment_id IS NOT ?3 AND state != 'revoked'))"
        " UNION ALL SELECT product_instance_uri FROM bindings"
        " WHERE key_digest = ?1 AND enrolment_id IS NOT ?3 LIMIT 1",
        (key_digest, application_uri, enrolment_id),
    )
    if others:
        raise Rejected(
            f"the key {key_digest[:16]} for {application_uri} belongs to {others[0][0]}",
            reason=Reason.KEY_REUSED,
            subject=application_uri,
        )


def _check_uri(tx: Transaction, enrolment_id: int | None, application_uri: str) -> None:
    """Refuse the ApplicationUri that another Device is known by."""
    others = tx.query(
        "SELECT enrolment_id FROM issuances WHERE application_uri = ?1 AND enrolment_id IS NOT ?2"
        " AND state != 'revoked' UNION ALL SELECT enrolment_id FROM bindings"
        " WHERE product_instance_uri = ?1 AND enrolment_id IS NOT ?2 LIMIT 1",
        (application_uri, enrolment_id),
    )
    if others:
        holder = "the site itself" if others[0][0] is None else f"enrolment {others[0][0]}"
        raise Rejected(
            f"the ApplicationUri {application_uri} is held by {holder}",
            reason=Reason.PRODUCT_INSTANCE_URI_CONFLICT,
            subject=application_uri,
        )
