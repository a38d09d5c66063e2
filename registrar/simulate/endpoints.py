"""The endpoints a Device shows, and so its state, to everybody.

    factory-new           one set for each DeviceIdentity Certificate
    owned                 these, and a set for the DCA Certificate
    locked                the set for the DCA Certificate alone

A set is three policies × Sign and SignAndEncrypt; the endpoint without security is for discovery
only. Source: OPC 10000-21 §7.1, §7.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from asyncua import ua

from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.codec import make
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
SECURED = tuple(
    (policy.uri, mode, 10 * rank + int(mode))
    for rank, policy in enumerate(POLICIES, start=1)
    for mode in MODES
)
"""SecurityPolicyUri, mode and SecurityLevel of each endpoint of a set."""
DISCOVERY = (NONE.uri, ua.MessageSecurityMode.None_, 0)
USER_TOKENS = [ua.UserTokenPolicy(PolicyId="anonymous", TokenType=ua.UserTokenType.Anonymous)]
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
    offered = [*product(identities, SECURED), (identities[0], DISCOVERY)]
    return [
        make(
            ua.EndpointDescription,
            url,
            server,
            identity.sender_certificate,
            mode,
            policy_uri,
            USER_TOKENS,
            TRANSPORT,
            level,
        )
        for identity, (policy_uri, mode, level) in offered
    ]
