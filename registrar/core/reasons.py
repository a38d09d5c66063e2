"""What each reason code means to an operator, and what to do next.

One row per ``Reason``: the command line, the reference documentation and the stored outcomes read
this table, so that a device is never refused without the next action.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from registrar.errors import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a reason code says to the people in the plant."""

    meaning: str
    """One sentence: what was found."""
    next_action: str
    """One sentence: what somebody has to do, or that nothing has to be done."""


def describe(reason: Reason) -> Description:
    """Return what ``reason`` means and what to do next."""
    return DESCRIPTIONS[reason]


def _row(meaning: str, next_action: str) -> Description:
    return Description(meaning=meaning, next_action=next_action)


_REORDER = "Ask the manufacturer for a new Ticket and import it; then retry the device."

DESCRIPTIONS: Mapping[Reason, Description] = {
    Reason.TICKET_MISSING: _row(
        "No valid Ticket names this device, neither imported nor offered by the device itself.",
        "Import the Ticket delivered with the device, or ask its manufacturer for it.",
    ),
    Reason.TICKET_MALFORMED: _row(
        "The Ticket is not a well-formed JWS document of a known Ticket type.", _REORDER
    ),
    Reason.TICKET_TOO_LARGE: _row(
        "The Ticket exceeds the size, depth or count that is read at all.", _REORDER
    ),
    Reason.TICKET_ALGORITHM_REFUSED: _row(
        "Every signature of the Ticket uses an algorithm or a key source that is not allowed.",
        _REORDER,
    ),
    Reason.TICKET_SIGNATURE_INVALID: _row(
        "The signature does not fit the Ticket: it was changed after signing.",
        "Treat the device as suspicious; ask its manufacturer for the original Ticket.",
    ),
    Reason.TICKET_SIGNER_UNTRUSTED: _row(
        "The Ticket is signed by nobody the site trusts as a Ticket authority.",
        "If the signer is right, add it to the Ticket authorities and retry the device.",
    ),
    Reason.TICKET_SIGNER_REVOKED: _row(
        "The certificate of the Ticket's signer, or of one of its issuers, is revoked.",
        "Do not install the device; ask its manufacturer for a Ticket by a valid signer.",
    ),
    Reason.TICKET_SIGNER_EXPIRED: _row(
        "Every trusted signature of the Ticket is by an expired certificate.",
        "Ask the manufacturer to sign the Ticket again, import it and retry the device.",
    ),
    Reason.TICKET_SIGNER_INVALID: _row(
        "The certificate of the Ticket's signer fails a check of the certification path.", _REORDER
    ),
    Reason.TICKET_SIGNER_REVOCATION_UNKNOWN: _row(
        "No revocation list tells whether the Ticket's signer is revoked.",
        "Add the revocation list of the signer's issuer and retry the device.",
    ),
    Reason.AUTHORITY_OUT_OF_SCOPE: _row(
        "The authority vouches for something outside the scope the site trusts it in.",
        "Ask the authority what this is; if it is right, widen its scope with registrar trust add.",
    ),
    Reason.AUTHORITY_STOPPED: _row(
        "An authority that everything here rests on was stopped.",
        "Do not install the device until the authority is lifted with registrar trust stop --lift.",
    ),
    Reason.COMPOSITE_PARTIAL_MATCH: _row(
        "The device belongs to a Composite, but no certificate of it names that Composite.",
        "Ask the builder of the Composite to install the Composite certificate.",
    ),
    Reason.DEVICE_CERTIFICATE_INVALID: _row(
        "The DeviceIdentity Certificate is malformed or its signature is wrong.",
        "Do not install the device; return it to its manufacturer.",
    ),
    Reason.DEVICE_CERTIFICATE_UNTRUSTED: _row(
        "The DeviceIdentity Certificate is not issued by an authority its Ticket names.",
        "Treat the device as counterfeit until its manufacturer explains the certificate.",
    ),
    Reason.DEVICE_CERTIFICATE_REVOKED: _row(
        "The DeviceIdentity Certificate, or one of its issuers, is revoked.",
        "Do not install the device; return it to its manufacturer.",
    ),
    Reason.DEVICE_CERTIFICATE_REVOCATION_UNKNOWN: _row(
        "No revocation list tells whether the DeviceIdentity Certificate is revoked.",
        "Add the revocation list of the device's authority and retry the device.",
    ),
    Reason.DEVICE_CERTIFICATE_EXPIRED: _row(
        "The DeviceIdentity Certificate is outside its validity period.",
        "Check the Registrar's clock; if it is right, return the device.",
    ),
    Reason.DEVICE_CERTIFICATE_URI_MISMATCH: _row(
        "The ApplicationUri of the device is not the ProductInstanceUri of its certificate.",
        "Ask the manufacturer for corrected firmware; the device cannot be identified.",
    ),
    Reason.KEY_NOT_PROVEN: _row(
        "No channel could be opened with the certificate: the device does not hold its key.",
        "Treat the device as a copy of another one and look for the original.",
    ),
    Reason.PRODUCT_INSTANCE_URI_CONFLICT: _row(
        "Another device already holds this ProductInstanceUri.",
        "Find both devices and decide which is genuine; the first one keeps working.",
    ),
    Reason.ALREADY_OWNED: _row(
        "Another Registrar has configured the device.",
        "Find the owner by the certificate named here, or reset the device and retry.",
    ),
    Reason.NOT_A_DCA: _row(
        "The Server has no ProvisionableDevice or no RequestTickets: it cannot be onboarded.",
        "Remove the URL from the list, or update the device to one that supports onboarding.",
    ),
    Reason.NETWORK_NOT_DESIGNATED: _row(
        "The address lies outside the networks designated for new devices.",
        "Move the device, or add its network to the configuration, and retry.",
    ),
    Reason.SECURITY_POLICY_UNSUPPORTED: _row(
        "The device offers no encrypted endpoint with a security policy that is implemented.",
        "Enable an RSA policy on the device, or wait for a Registrar that has its policy.",
    ),
    Reason.ENDPOINTS_ALTERED: _row(
        "The endpoint list read without security differs from the one in the secured Session.",
        "Suspect someone on the network path; check the network, then retry.",
    ),
    Reason.UNREACHABLE: _row(
        "The device could not be reached.",
        "Check power, cable and address of the device, then retry.",
    ),
    Reason.TIMED_OUT: _row(
        "The device did not answer within its budget.",
        "Restart the device, then retry.",
    ),
    Reason.PROTOCOL_VIOLATION: _row(
        "The device sent what OPC UA does not allow.",
        "Report the detail to the manufacturer; retry after a firmware update.",
    ),
    Reason.ACCESS_DENIED: _row(
        "The device denied a right that onboarding needs, and shows no owner.",
        "Reset the device to its initial state and retry.",
    ),
    Reason.BUSY: _row(
        "Somebody else is configuring the device.",
        "Wait until the other transaction has ended, then retry.",
    ),
    Reason.SIGNING_REQUEST_INVALID: _row(
        "The signing request of the device is malformed, wrongly signed or its key too weak.",
        "Report the detail to the manufacturer; retry after a firmware update.",
    ),
    Reason.KEY_REUSED: _row(
        "The device asked for a certificate for a key that another certificate already holds.",
        "Treat the device as suspicious: keys must be made by each device itself.",
    ),
    Reason.CERTIFICATE_REFUSED: _row(
        "The device refused the certificate issued for it.",
        "Read the detail; check clock and capacity of the device, then retry.",
    ),
    Reason.TRUST_LIST_REFUSED: _row(
        "The device refused the TrustList.",
        "Read the detail; check clock and capacity of the device, then retry.",
    ),
    Reason.CHANGES_REFUSED: _row(
        "The device refused to apply the changes.",
        "Read the detail; retry after the cause is removed.",
    ),
    Reason.CHANGES_NOT_EFFECTIVE: _row(
        "The device answered Good to every change, but reading back shows the old state.",
        "Restart the device and retry; if it stays so, report it to the manufacturer.",
    ),
    Reason.SOFTWARE_OUTDATED: _row(
        "The device waits for a software update.",
        "Update the software; then report it by UpdateSoftwareStatus or registrar software.",
    ),
    Reason.CONFIGURATION_INVALID: _row(
        "The configuration file has a wrong key or value.",
        "Correct the line that is named.",
    ),
    Reason.FILE_INVALID: _row(
        "A file is not what it should be.",
        "Give the file that is named in the form the command's help describes.",
    ),
    Reason.STORE_UNAVAILABLE: _row(
        "The site's database could not be read or written.",
        "Free disk space, check permissions, then start the command again.",
    ),
    Reason.ISSUER_UNAVAILABLE: _row(
        "No certificate can be issued now: CA key, CRL or validity is missing.",
        "Repair the site's issuing CA, then retry.",
    ),
    Reason.INTERNAL: _row(
        "The Registrar itself failed.",
        "Report the detail; the other devices are not affected.",
    ),
}
