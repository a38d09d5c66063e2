"""What a certificate may be used for, by the role it plays.

A device's certificate often allows signing only, and that is enough; a certificate made for
channels does not sign Tickets. Source: OPC 10000-6 §6.2.2; OPC 10000-21 §7.1; IEEE 802.1AR.
"""

from __future__ import annotations

from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from registrar.core.certificate import Certificate
from registrar.core.validation import Purpose

_TLS_USAGES = frozenset(
    {
        ExtendedKeyUsageOID.SERVER_AUTH.dotted_string,
        ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string,
    }
)
_ANY_USAGE = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE.dotted_string
_KEY_USAGE = ExtensionOID.KEY_USAGE.dotted_string
_EXTENDED_KEY_USAGE = ExtensionOID.EXTENDED_KEY_USAGE.dotted_string


def usage_faults(leaf: Certificate, purpose: Purpose) -> Iterator[tuple[str, bool]]:
    """Yield each fault of usage and whether nothing may suppress it."""
    usage, extended = leaf.key_usage, leaf.extended_key_usage
    if leaf.is_ca and not leaf.is_self_issued and purpose is not Purpose.TICKET_SIGNER:
        yield "a CA cannot be the end of a chain", True
    if purpose is Purpose.TICKET_SIGNER:
        if usage is not None and not (usage.digital_signature or usage.content_commitment):
            yield "its keyUsage does not allow signing documents", False
        if extended is not None and extended <= _TLS_USAGES:
            yield "its extendedKeyUsage is for channels only", False
        return
    if usage is not None and not usage.digital_signature:
        yield "its keyUsage lacks digitalSignature", _KEY_USAGE in leaf.critical
    if purpose is Purpose.APPLICATION and usage is not None:
        is_rsa = isinstance(leaf.public_key, rsa.RSAPublicKey)
        if is_rsa and not (usage.key_encipherment or usage.data_encipherment):
            yield "its keyUsage lacks keyEncipherment and dataEncipherment", False
    if (
        purpose is not Purpose.USER
        and extended is not None
        and not extended & (_TLS_USAGES | {_ANY_USAGE})
    ):
        yield (
            "its extendedKeyUsage lacks serverAuth and clientAuth",
            (_EXTENDED_KEY_USAGE in leaf.critical),
        )
