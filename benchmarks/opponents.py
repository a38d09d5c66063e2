"""Two ways to verify a delivery in Python, as one would write them without our code.

Both answer for each Ticket: 0 refused, 1 good, 3 good with the genuine certificate of its Device.
They check less than the reference does: no limits, no depths, no unusual shapes, one chain only.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from benchmarks.deliveries import NOW, Authority, Delivery

Verify = Callable[[Sequence[bytes], Sequence[bytes]], list[int]]

_SHA256 = hashes.SHA256()
_ECDSA = ec.ECDSA(_SHA256)
_PKCS1 = padding.PKCS1v15()
_FAULTS = (InvalidSignature, ValueError, KeyError)


def naive(delivery: Delivery) -> Verify:
    """Read and check everything anew for each Ticket, the CRLs apart."""

    def verify_one(document: bytes, der: bytes) -> int:
        jws = json.loads(document)
        is_good = False
        for signature in jws["signatures"]:
            header = json.loads(_decode(signature["protected"]))
            chain = [x509.load_der_x509_certificate(base64.b64decode(one)) for one in header["x5c"]]
            message = f"{signature['protected']}.{jws['payload']}".encode()
            try:
                _check_chain(chain, delivery.signer_roots)
                _check_jws(chain[0].public_key(), _decode(signature["signature"]), message)
            except _FAULTS:
                continue
            is_good = True
        if not is_good:
            return 0
        ticket = json.loads(_decode(jws["payload"]))
        certificate = x509.load_der_x509_certificate(der)
        try:
            issuers = [
                x509.load_der_x509_certificate(base64.b64decode(one["AuthorityCertificate"]))
                for one in ticket["Authorities"]
            ]
            _check_chain([certificate, *issuers], delivery.device_cas)
        except _FAULTS:
            return 1
        return 3 if ticket["ProductInstanceUri"] in _uris(certificate) else 1

    return lambda documents, ders: list(map(verify_one, documents, ders))


def strong_python(delivery: Delivery) -> Verify:
    """Use orjson, keep every header with its verdict, every key, and CRLs as sets."""
    headers: dict[str, Any] = {}
    issuers = {
        one.certificate.subject.public_bytes(): (one.certificate.public_key(), _serials(one))
        for one in delivery.device_cas
    }

    def key_of(protected: str) -> Any:
        try:
            return headers[protected]
        except KeyError:
            header = orjson.loads(_decode(protected))
            chain = [x509.load_der_x509_certificate(base64.b64decode(one)) for one in header["x5c"]]
            try:
                _check_chain(chain, delivery.signer_roots)
                key: Any = chain[0].public_key()
            except _FAULTS:
                key = None
            headers[protected] = key
            return key

    def verify_one(document: bytes, der: bytes) -> int:
        jws = orjson.loads(document)
        payload = jws["payload"]
        is_good = False
        for signature in jws["signatures"]:
            protected = signature["protected"]
            key = key_of(protected)
            if key is None:
                continue
            try:
                message = f"{protected}.{payload}".encode()
                _check_jws(key, _decode(signature["signature"]), message)
            except _FAULTS:
                continue
            is_good = True
        if not is_good:
            return 0
        ticket = orjson.loads(_decode(payload))
        certificate = x509.load_der_x509_certificate(der)
        try:
            issuer_key, revoked = issuers[certificate.issuer.public_bytes()]
            if certificate.serial_number in revoked:
                return 1
            _check_period(certificate)
            _check_signature(issuer_key, certificate)
        except _FAULTS:
            return 1
        return 3 if ticket["ProductInstanceUri"] in _uris(certificate) else 1

    return lambda documents, ders: list(map(verify_one, documents, ders))


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _serials(one: Authority) -> frozenset[int]:
    assert one.crl is not None
    return frozenset(entry.serial_number for entry in one.crl)


def _check_jws(key: Any, signature: bytes, message: bytes) -> None:
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, message, _PKCS1, _SHA256)
        return
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    key.verify(encode_dss_signature(r, s), message, _ECDSA)


def _check_chain(chain: Sequence[x509.Certificate], roots: Sequence[Authority]) -> None:
    leaf, *above = chain
    root = next(one for one in roots if one.certificate == above[-1])
    assert root.crl is not None
    for certificate in chain:
        _check_period(certificate)
    _check_signature(root.certificate.public_key(), leaf)
    if root.crl.get_revoked_certificate_by_serial_number(leaf.serial_number) is not None:
        raise ValueError("revoked")


def _check_signature(key: Any, certificate: x509.Certificate) -> None:
    signature, message = certificate.signature, certificate.tbs_certificate_bytes
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, message, _PKCS1, _SHA256)
    else:
        key.verify(signature, message, _ECDSA)


def _check_period(certificate: x509.Certificate) -> None:
    if not certificate.not_valid_before_utc <= NOW <= certificate.not_valid_after_utc:
        raise ValueError("out of its period")


def _uris(certificate: x509.Certificate) -> list[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return names.value.get_values_for_type(x509.UniformResourceIdentifier)
