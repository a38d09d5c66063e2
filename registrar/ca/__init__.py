"""Keys and certificates: the CAs of a site, what they issue, and what Devices ask them for."""

from registrar.ca.authority import Authority, Prepared
from registrar.ca.given import GivenAuthority, load_given_authority
from registrar.ca.keys import KeyType, PrivateKey, PublicKey, generate_key, key_digest
from registrar.ca.ledger import Ledger
from registrar.ca.making import create_site_authorities
from registrar.ca.profiles import CertificateProfile, Profile
from registrar.ca.settings import CaSettings, OwnNames
from registrar.ca.signing_request import SigningRequest, check_signing_request
from registrar.ca.site import OwnIdentity, SiteAuthorities, load_site_authorities, publish_crl

__all__ = [
    "Authority",
    "CaSettings",
    "CertificateProfile",
    "GivenAuthority",
    "KeyType",
    "Ledger",
    "OwnIdentity",
    "OwnNames",
    "Prepared",
    "PrivateKey",
    "Profile",
    "PublicKey",
    "SigningRequest",
    "SiteAuthorities",
    "check_signing_request",
    "create_site_authorities",
    "generate_key",
    "key_digest",
    "load_given_authority",
    "load_site_authorities",
    "publish_crl",
]
