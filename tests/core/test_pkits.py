"""NIST PKITS: certification paths made elsewhere, judged by ours.

All CAs and CRLs of the suite stand in one list, as in a directory: the right path has to be found
among them. Certificates and CRLs that cannot be read help nobody and are left out.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from registrar.core.certificate import Certificate
from registrar.core.crl import Crl
from registrar.core.path import validate_path
from registrar.core.trust import TrustList
from registrar.core.validation import TICKET_SIGNER, Check
from registrar.errors import CertificateRejected
from tests.core.pkits import EXCLUDED, Vector, vectors

vendored = pytest.importorskip("cryptography_vectors", reason="no package cryptography-vectors")
FOLDER = Path(vendored.__file__).parent / "x509" / "PKITS_data"
NOW = datetime(2026, 6, 1, tzinfo=UTC)
ALL = tuple(vectors())


@cache
def authorities() -> TrustList:
    anchor = certificate("TrustAnchorRootCertificate")
    helpers: list[Certificate] = []
    crls: list[Crl] = []
    for path in sorted((FOLDER / "certs").iterdir()):
        if not path.stem.endswith("EE"):
            try:
                helpers.append(Certificate.from_der(path.read_bytes()))
            except CertificateRejected:
                continue
    for path in sorted((FOLDER / "crls").iterdir()):
        try:
            crls.append(Crl.from_der(path.read_bytes()))
        except CertificateRejected:
            continue
    return TrustList(
        trusted_certificates=(anchor,), issuer_certificates=tuple(helpers), trusted_crls=tuple(crls)
    )


def certificate(name: str) -> Certificate:
    return Certificate.from_der((FOLDER / "certs" / f"{name}.crt").read_bytes())


def is_accepted(vector: Vector) -> bool:
    """Judge the path alone: what the end entity may be used for differs between roles."""
    options = replace(TICKET_SIGNER, suppress=frozenset({Check.USAGE}))
    try:
        validate_path(certificate(vector.target), trust=authorities(), now=NOW, options=options)
    except CertificateRejected:
        return False
    return True


@pytest.mark.clause("RFC 5280 §6.1")
@pytest.mark.parametrize("vector", ALL, ids=lambda vector: vector.number)
def test_pkits(vector: Vector) -> None:
    assert is_accepted(vector) is (vector.is_valid and vector.number not in EXCLUDED)


def test_only_what_pkits_accepts_is_excluded() -> None:
    valid = {vector.number for vector in ALL if vector.is_valid}

    assert set(EXCLUDED) <= valid
    assert len(ALL) == len({vector.target for vector in ALL}) == 158
