"""The Methods that make, bring and show certificates (OPC 10000-12 §7.10.5, §7.10.8, §7.10.10)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from asyncua import ua

from registrar.errors import ProtocolViolation
from registrar.wire import dca_nodes as nodes
from registrar.wire.builtin import scalar
from registrar.wire.certificate_groups import MAX_GROUPS, Slot
from registrar.wire.operations import Operation, local

MAX_CERTIFICATE_BYTES = 65_536
"""Of a signing request or a certificate with its issuers."""

_NEW_KEY: Final = ua.Variant(True, ua.VariantType.Boolean)
_NO_PRIVATE_KEY: Final = (
    ua.Variant("", ua.VariantType.String),
    ua.Variant(None, ua.VariantType.ByteString),
)
"""PrivateKeyFormat and PrivateKey: the device keeps its own."""


def signing_requests(
    slots: Sequence[Slot], *, subjects: Sequence[str], nonces: Sequence[bytes]
) -> list[Operation[bytes]]:
    """Return the calls that make the device create a new key for each slot.

    Their values are the PKCS#10 requests.

    Args:
        slots: where the certificates will go.
        subjects: the subject names, which an empty slot cannot take from a certificate.
        nonces: 32 random bytes or more for each slot.
    """
    return [
        Operation(
            object_id=slot.object_id,
            method_id=nodes.CREATE_SIGNING_REQUEST,
            inputs=(
                scalar(slot.group, ua.VariantType.NodeId),
                scalar(slot.certificate_type, ua.VariantType.NodeId),
                scalar(subject, ua.VariantType.String),
                _NEW_KEY,
                scalar(nonce, ua.VariantType.ByteString),
            ),
            outputs=1,
            read=_bytes,
        )
        for slot, subject, nonce in zip(slots, subjects, nonces, strict=True)
    ]


def held_certificates(
    groups: Sequence[tuple[ua.NodeId, ua.NodeId]],
) -> list[Operation[dict[ua.NodeId, bytes]]]:
    """Return the calls that tell, for each object and group, what stands in its slots."""
    return [
        Operation(
            object_id=object_id,
            method_id=nodes.GET_CERTIFICATES,
            inputs=(scalar(group, ua.VariantType.NodeId),),
            outputs=2,
            read=_certificates,
        )
        for object_id, group in groups
    ]


def certificate_updates(
    deliveries: Sequence[tuple[Slot, bytes]], *, issuers: Sequence[bytes]
) -> list[Operation[bool]]:
    """Return the calls that put certificates into their slots.

    Their values tell whether ApplyChanges is required.

    Args:
        deliveries: slots and certificates, DER.
        issuers: of all of them; redundant by the standard, needed by older devices.
    """
    chain = ua.Variant(list(issuers), ua.VariantType.ByteString, is_array=True)
    return [
        Operation(
            object_id=slot.object_id,
            method_id=nodes.UPDATE_CERTIFICATE,
            inputs=(
                scalar(slot.group, ua.VariantType.NodeId),
                scalar(slot.certificate_type, ua.VariantType.NodeId),
                scalar(certificate, ua.VariantType.ByteString),
                chain,
                *_NO_PRIVATE_KEY,
            ),
            outputs=1,
            read=_boolean,
        )
        for slot, certificate in deliveries
    ]


def _bytes(outputs: list[object]) -> bytes:
    if not isinstance(outputs[0], bytes) or len(outputs[0]) > MAX_CERTIFICATE_BYTES:
        raise ProtocolViolation("a ByteString within limits was due")
    return outputs[0]


def _boolean(outputs: list[object]) -> bool:
    if not isinstance(outputs[0], bool):
        raise ProtocolViolation("a Boolean was due")
    return outputs[0]


def _certificates(outputs: list[object]) -> dict[ua.NodeId, bytes]:
    types, certificates = outputs[0] or [], outputs[1] or []
    if not isinstance(types, list) or not isinstance(certificates, list):
        raise ProtocolViolation("GetCertificates answered no arrays")
    if len(types) != len(certificates) or len(types) > MAX_GROUPS:
        raise ProtocolViolation(
            f"GetCertificates answered {len(types)} types and {len(certificates)} certificates"
        )
    pairs = list(zip(types, certificates, strict=True))
    for kind, certificate in pairs:
        if not isinstance(kind, ua.NodeId) or not isinstance(certificate, bytes | None):
            raise ProtocolViolation("GetCertificates answered other things than certificates")
    return {local(kind): certificate or b"" for kind, certificate in pairs}
