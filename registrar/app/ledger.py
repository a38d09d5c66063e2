"""The ledger of a site's own certificates and CRLs, as ``ca`` asks for it, over the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from registrar.app.causes import by_operator
from registrar.ca.authority import Prepared
from registrar.core.issuance import IssuanceState
from registrar.store import crls, issuances
from registrar.store.issuance_request import IssuanceRequest
from registrar.store.store import Store

GROUP: Final = "site"
"""The CertificateGroup of certificates that belong to the site and to no device."""


class SiteLedger:
    """Fits ``ca.ledger.Ledger``; every call is durable before it returns.

    Args:
        store: the site's.
        application_uris: name of a certificate → the ApplicationUri in it; a CA has none and
            goes by its name.
        detail: for the audit trail, why the certificates are made.
    """

    def __init__(
        self, store: Store, *, application_uris: Mapping[str, str], detail: str = ""
    ) -> None:
        self._store = store
        self._application_uris = application_uris
        self._detail = detail
        self._rows: dict[int, int] = {}

    def reserve(self, name: str, issuer: str, key_digest: str, prepared: Prepared) -> None:
        """Hold serial and to-be-signed bytes of one of the site's own certificates."""
        request = IssuanceRequest(
            enrolment_id=None,
            application_uri=self._application_uris.get(name, f"{GROUP}:{name}"),
            certificate_group=GROUP,
            certificate_type=name,
            profile=name,
            issuer=issuer,
            key_digest=key_digest,
            serial=prepared.serial,
            tbs=prepared.tbs,
            not_after=prepared.not_after,
        )
        cause = by_operator(detail=self._detail)
        row = self._store.write_sync(
            lambda tx: issuances.reserve(tx, request, lease=None, cause=cause)
        )
        self._rows[prepared.serial] = row.id

    def record_signed(self, prepared: Prepared, certificate: bytes) -> None:
        """Hold the signed certificate, and that it is in force: the site itself keeps it."""
        number = self._rows[prepared.serial]
        cause = by_operator(detail=self._detail)
        self._store.write_sync(
            lambda tx: issuances.record_signed(tx, number, certificate, lease=None, cause=cause)
        )

    def confirm(self) -> None:
        """Note that every certificate of this ledger lies where it is used."""
        cause = by_operator(detail=self._detail)
        for number in self._rows.values():
            row = issuances.get(self._store.reader, number)
            if row.state is not IssuanceState.CONFIRMED:
                self._store.write_sync(
                    lambda tx, number=number: issuances.record_confirmed(  # type: ignore[misc]
                        tx, number, lease=None, cause=cause
                    )
                )

    def next_crl_number(self, issuer: str, at_least: int) -> int:
        """Return a CRLNumber above every one before, and not below ``at_least``."""
        cause = by_operator(detail=self._detail)
        return self._store.write_sync(
            lambda tx: crls.next_number(tx, issuer, at_least=at_least, cause=cause)
        )

    def publish_crl(self, issuer: str, der: bytes) -> None:
        """Hold the CRL that is in force from now on."""
        cause = by_operator(detail=self._detail)
        self._store.write_sync(lambda tx: crls.publish(tx, issuer, der, cause=cause))
