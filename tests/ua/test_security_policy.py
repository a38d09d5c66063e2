"""The table of SecurityPolicies."""

from __future__ import annotations

import pytest
from asyncua.crypto import security_policies

from registrar.errors import Misuse, Reason, Rejected
from registrar.status import StatusCode
from registrar.ua.limits import (
    CHANNEL_BOUNDS,
    DECODER_BOUNDS,
    MIN_BUFFER_SIZE,
    ChannelLimits,
    DecoderLimits,
)
from registrar.ua.security_policy import (
    KNOWN_URIS,
    NONE,
    POLICIES,
    URI_PREFIX,
    SecurityPolicy,
    policy_of,
)

SECURED = [policy for policy in POLICIES.values() if not policy.is_none]
FOREIGN = {
    "Basic256Sha256": security_policies.SecurityPolicyBasic256Sha256,
    "Aes128_Sha256_RsaOaep": security_policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256_Sha256_RsaPss": security_policies.SecurityPolicyAes256Sha256RsaPss,
}


@pytest.mark.parametrize("policy", SECURED, ids=lambda policy: policy.name)
def test_the_rows_agree_with_asyncua(policy: SecurityPolicy) -> None:
    foreign = FOREIGN[policy.name]

    assert policy.uri == foreign.URI
    assert policy.signature_uri == foreign.AsymmetricSignatureURI
    assert policy.nonce_size == foreign.secure_channel_nonce_length


@pytest.mark.parametrize("policy", SECURED, ids=lambda policy: policy.name)
@pytest.mark.parametrize(
    ("bits", "fits"), [(2047, False), (2048, True), (2049, True), (4096, True), (4097, False)]
)
def test_keys_have_2048_to_4096_bits(policy: SecurityPolicy, bits: int, fits: bool) -> None:
    assert policy.allows_key(bits) is fits


def test_no_deprecated_policy_is_spoken() -> None:
    assert sorted(policy.name for policy in POLICIES.values()) == [
        "Aes128_Sha256_RsaOaep",
        "Aes256_Sha256_RsaPss",
        "Basic256Sha256",
        "None",
    ]
    assert all(policy.signature_uri for policy in SECURED)
    assert policy_of(NONE.uri) is NONE


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("Basic128Rsa15", "supported"),
        ("Basic256", "supported"),
        ("ECC_nistP256", "supported"),
        ("ECC_curve25519_ChaChaPoly", "supported"),
        ("RSA_DH_AesGcm", "supported"),
        ("Tomorrow", "known"),
        ("\n" * 200, "known"),
    ],
)
def test_unsupported_can_be_told_from_unknown(name: str, word: str) -> None:
    with pytest.raises(Rejected, match=word) as caught:
        policy_of(URI_PREFIX + name)

    assert caught.value.reason is Reason.SECURITY_POLICY_UNSUPPORTED
    assert caught.value.status is StatusCode.BadSecurityPolicyRejected
    assert (URI_PREFIX + name in KNOWN_URIS) is (word == "supported")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", sorted(CHANNEL_BOUNDS))
def test_channel_limits_have_hard_maxima(name: str) -> None:
    low, high = CHANNEL_BOUNDS[name]
    others = {"max_token_lifetime_s": 86_400} if name == "min_token_lifetime_s" else {}
    if name == "max_token_lifetime_s":
        others = {"min_token_lifetime_s": 1}

    for value in (low, high):
        ChannelLimits(**{name: value, **others})  # type: ignore[arg-type]
    for value in (low - 1, high + 1):
        with pytest.raises(Misuse):
            ChannelLimits(**{name: value, **others})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(DECODER_BOUNDS))
def test_decoder_limits_have_hard_maxima(name: str) -> None:
    low, high = DECODER_BOUNDS[name]

    for value in (low, high):
        DecoderLimits(**{name: int(value)})
    for value in (low - 1, high + 1):
        with pytest.raises(Misuse):
            DecoderLimits(**{name: int(value)})


def test_limits_must_agree_with_each_other() -> None:
    with pytest.raises(Misuse):
        ChannelLimits(min_token_lifetime_s=60, max_token_lifetime_s=59)
    assert CHANNEL_BOUNDS["receive_buffer_size"][0] == MIN_BUFFER_SIZE
