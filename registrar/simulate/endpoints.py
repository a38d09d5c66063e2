"""The endpoints a Device shows, and so its state, to everybody.

    factory-new           one set for each DeviceIdentity Certificate
    owned                 these, and a set for the DCA Certificate
    locked                the set for the DCA Certificate alone

A set is three policies × Sign and SignAndEncrypt; the endpoint without security is for discovery
only. Source: OPC 10000-21 §7.1, §7.3.
"""

from __future__ import annotations

from collections.abc import Sequence

from asyncua import ua

from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.security_policy import (
    AES128_SHA256_RSAOAEP,
    AES256_SHA256_RSAPSS,
    BASIC256SHA256,
    NONE,
)

TRANSPORT = "http://opcfoundation.org/UA-Profile/Transport/uatcp-uasc-uabinary"
PRODUCT_URI = "urn:example.com:pretended-device"
POLICIES = (BASIC256SHA256, AES128_SHA256_RSAOAEP, AES256_SHA256_RSAPSS)
MODES = (ua.MessageSecurityMode.Sign, ua.MessageSecurityMode.SignAndEncrypt)
ANONYMOUS = ua.UserTokenPolicy(PolicyId="anonymous", TokenType=ua.UserTokenType.Anonymous)
"""The one kind of user a pretended Device knows: rights follow from the application."""


def describe(application_uri: str, name: str, url: str) -> ua.ApplicationDescription:
    """Return the description of a DCA Server."""
    return ua.ApplicationDescription(
        ApplicationUri=application_uri,
        ProductUri=PRODUCT_URI,
        ApplicationName=ua.LocalizedText(name),
        ApplicationType=ua.ApplicationType.Server,
        DiscoveryUrls=[url],
    )


def endpoints_of(
    identities: Sequence[ApplicationIdentity], server: ua.ApplicationDescription, url: str
) -> list[ua.EndpointDescription]:
    """Return the endpoint sets of ``identities``, and the one for discovery."""
    secured = [
        _endpoint(identity, server, url, policy.uri, mode, 10 * rank + int(mode))
        for identity in identities
        for rank, policy in enumerate(POLICIES, start=1)
        for mode in MODES
    ]
    none = ua.MessageSecurityMode.None_
    return [*secured, _endpoint(identities[0], server, url, NONE.uri, none, 0)]


def _endpoint(
    identity: ApplicationIdentity,
    server: ua.ApplicationDescription,
    url: str,
    policy_uri: str,
    mode: ua.MessageSecurityMode,
    level: int,
) -> ua.EndpointDescription:
    return ua.EndpointDescription(
        EndpointUrl=url,
        Server=server,
        ServerCertificate=identity.sender_certificate,
        SecurityMode=mode,
        SecurityPolicyUri=policy_uri,
        UserIdentityTokens=[ANONYMOUS],
        TransportProfileUri=TRANSPORT,
        SecurityLevel=level,
    )
