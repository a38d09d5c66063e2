"""How long do the cryptographic operations take that onboarding a Device cannot do without?

The list below is fixed. It counts what the standard makes necessary for each kind of Device, on the
Registrar's side alone, not what this Registrar happens to do:

* one SecureChannel and Session for the push, one more with the DCA Certificate to see that it is
  in force; one more where TrustList and certificate need a transaction each because the Device
  validates against its active TrustList, and where the Device was out of date and is met again;
  none for fetching a Ticket from the Device, since the channel that happens to use the matching
  identity can go on (OPC 10000-21 §7.3);
* each channel with Aes256_Sha256_RsaPss and RSA-2048 on both sides (OPC 10000-6 §6.7): the OPN
  signed, encrypted in two blocks, decrypted in two blocks, verified; keys derived once; the
  server's signature of CreateSession verified, the client's of ActivateSession made;
* the signature of the Device's certificate, of its Ticket, and the counter-signature of the
  CompositeBuilder where it is part of a Composite; Composite Tickets, CA and signer certificates
  are verified once for all their Devices and count nothing;
* for each certificate: the signature of the signing request verified, the certificate signed by a
  P-256 CA;
* for each message: HMAC-SHA256 and AES-256-CBC over the bytes it needs, by contexts of libcrypto
  that are made once for each channel and direction and kept as long as it.

Not counted: parsing, encoding, TCP, the disk, the network, GetEndpoints (it is not secured), the
Role (only some Devices offer it), the audit. Every operation is timed in the process and at the
time of the run it is compared with: those with keys of certificates by ``cryptography`` alone,
those of messages by our contexts, since ``cryptography`` cannot keep any.

    python -m benchmarks.floor
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean
from time import process_time

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from registrar.ua.security_policy import AES256_SHA256_RSAPSS
from registrar.ua.symmetric import EncryptedChunks, derive_keys


class Operation(StrEnum):
    """What is counted and timed."""

    SIGN = "RSA-2048 sign"
    DECRYPT = "RSA-2048 decrypt"
    VERIFY = "RSA-2048 verify"
    ENCRYPT = "RSA-2048 encrypt"
    ISSUE = "P-256 sign"
    DERIVE = "P_SHA256 and contexts of both directions"
    MESSAGE = "HMAC and AES of one message"
    KIBIBYTE = "HMAC and AES of 1,024 bytes"


Work = Counter[Operation]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Kind:
    """What decides how much cryptography a genuine Device needs."""

    singleton: bool = False
    applications: int = 0
    """Applications beside the DCA."""

    ticket_on_device: bool = False
    composite: bool = False
    """It is part of a Composite."""

    two_transactions: bool = False
    """It validates a certificate against the TrustList in force, not the staged one."""

    outdated: bool = False
    """Its software is brought up to date before its applications are served."""


def exchanges(*sizes: tuple[int, int]) -> Work:
    """Return the symmetric work of exchanges, each with the bytes of request and response."""
    total = sum(request + response for request, response in sizes)
    return Work({Operation.MESSAGE: 2 * len(sizes), Operation.KIBIBYTE: -(-total // 1024)})


def _sum(works: Iterable[Work]) -> Work:
    total = Work()
    for work in works:
        total.update(work)
    return total


SMALL = (128, 128)
"""A request and a response that carry a handle, a status or a node: bytes."""

CONNECTION = _sum(
    [
        Work(
            {
                Operation.SIGN: 2,  # OPN, ActivateSession
                Operation.DECRYPT: 2,  # two blocks of the OPN response
                Operation.VERIFY: 2,  # OPN response, CreateSession response
                Operation.ENCRYPT: 2,  # two blocks of the OPN request
                Operation.DERIVE: 1,
            }
        ),
        # CreateSession carries our chain and returns the endpoints; ActivateSession; CloseSession
        exchanges((2048, 4096), (512, 128), SMALL),
    ]
)
"""A SecureChannel with a Session, opened and closed."""

IDENTITY = Work({Operation.VERIFY: 1})
"""The DeviceIdentity Certificate was issued by its CA."""

TICKET = Work({Operation.VERIFY: 1})
"""One signature of a Ticket."""

REQUEST_TICKETS = exchanges((128, 8192))

EXAMINATION = exchanges((256, 256))
"""One Read: IsSingleton, InApplicationSetup and what else has to be known of a DCA."""

TRUST_LIST = exchanges(SMALL, (4096, 128), SMALL)
"""Open, Write, CloseAndUpdate."""

READ_BACK = exchanges(SMALL, (128, 4096), SMALL)
"""Open, Read, Close."""

CERTIFICATE = _sum(
    [
        Work({Operation.VERIFY: 1, Operation.ISSUE: 1}),
        exchanges((256, 1024), (2048, 128)),  # CreateSigningRequest, UpdateCertificate
    ]
)

APPLY_CHANGES = exchanges(SMALL)
FIND_APPLICATIONS = exchanges((256, 1024), (512, 1024))
"""Browse for the applications, then for their CertificateGroups."""

GET_CERTIFICATES = exchanges((128, 2048))
SOFTWARE_STATUS = exchanges((256, 128))
"""UpdateSoftwareStatus of a SoftwareUpdateManager that keeps its own channel open."""


def work_for(kind: Kind) -> Work:
    """Return all operations that onboarding one Device of ``kind`` cannot do without."""
    steps = [IDENTITY, TICKET]
    if kind.ticket_on_device:
        steps += [REQUEST_TICKETS]
    if kind.composite:
        steps += [TICKET]
    steps += [CONNECTION, EXAMINATION, TRUST_LIST, CERTIFICATE, APPLY_CHANGES]
    if kind.two_transactions:
        steps += [CONNECTION, APPLY_CHANGES]
    steps += [CONNECTION, EXAMINATION, READ_BACK]
    if kind.outdated:
        steps += [SOFTWARE_STATUS]
    if not kind.singleton:
        steps += _applications(kind)
    return _sum(steps)


def _applications(kind: Kind) -> list[Work]:
    each = [TRUST_LIST, CERTIFICATE, GET_CERTIFICATES, READ_BACK]
    steps = [FIND_APPLICATIONS, *(each * kind.applications), APPLY_CHANGES]
    if kind.two_transactions:
        steps += [APPLY_CHANGES]
    if kind.outdated:
        steps += [CONNECTION]
    return steps


REPETITIONS = 15
ROUNDS = 25
"""Their mean counts, as the campaign's CPU is a sum that has its slow moments too."""


def measure() -> Mapping[Operation, float]:
    """Time each operation in this process and return its CPU seconds."""
    actions = _actions()
    costs = {operation: _time(action) for operation, action in actions.items()}
    kept, long = _derive(), bytes(_LEAST + 8 * 1024)
    more = _time(lambda: _message(kept, long)) - costs[Operation.MESSAGE]
    costs[Operation.KIBIBYTE] = max(0.0, more / 8)
    return costs


def floor_s(kinds: Iterable[Kind], costs: Mapping[Operation, float]) -> float:
    """Return the CPU seconds that Devices of ``kinds`` need together."""
    return sum(
        count * costs[operation] for kind in kinds for operation, count in work_for(kind).items()
    )


def private_key_operations(kind: Kind) -> int:
    """Return how often a private key of the Registrar is needed for one Device of ``kind``."""
    work = work_for(kind)
    return work[Operation.SIGN] + work[Operation.DECRYPT] + work[Operation.ISSUE]


def _time(action: Callable[[], object]) -> float:
    action()
    rounds = []
    for _ in range(ROUNDS):
        begin = process_time()
        for _ in range(REPETITIONS):
            action()
        rounds.append((process_time() - begin) / REPETITIONS)
    return fmean(rounds)


_PSS = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
_OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


def _actions() -> Mapping[Operation, Callable[[], object]]:
    key = rsa.generate_private_key(65537, 2048)
    public = key.public_key()
    authority = ec.generate_private_key(ec.SECP256R1())
    text, digest, block = os.urandom(1024), hashes.SHA256(), os.urandom(190)
    kept, short = _derive(), bytes(_LEAST)
    signature, cipher_text = key.sign(text, _PSS, digest), public.encrypt(block, _OAEP)
    return {
        Operation.SIGN: lambda: key.sign(text, _PSS, digest),
        Operation.DECRYPT: lambda: key.decrypt(cipher_text, _OAEP),
        Operation.VERIFY: lambda: public.verify(signature, text, _PSS, digest),
        Operation.ENCRYPT: lambda: public.encrypt(block, _OAEP),
        Operation.ISSUE: lambda: authority.sign(text, ec.ECDSA(digest)),
        Operation.DERIVE: _derive,
        Operation.MESSAGE: lambda: _message(kept, short),
    }


_NONCES = bytes(32), bytes(range(32))


def _derive() -> EncryptedChunks:
    """Derive the keys of both directions, and make their contexts (OPC 10000-6 §6.7.6)."""
    ours, theirs = _NONCES
    opening = derive_keys(AES256_SHA256_RSAPSS, secret=ours, seed=theirs)
    sealing = derive_keys(AES256_SHA256_RSAPSS, secret=theirs, seed=ours)
    EncryptedChunks(AES256_SHA256_RSAPSS, opening).seal(b"MSGF", 1, 1, 1, 1, b"")
    kept = EncryptedChunks(AES256_SHA256_RSAPSS, sealing)
    kept.seal(b"MSGF", 1, 1, 1, 1, b"")
    return kept


_LEAST = 16
"""Bytes of the message that shows what a message costs beside its bytes."""


def _message(kept: EncryptedChunks, body: bytes) -> None:
    """Sign and encrypt a message; receiving one costs the same within a few percent."""
    kept.seal(b"MSGF", 1, 1, 1, 1, body)


EXAMPLES: Mapping[str, Kind] = {
    "singleton": Kind(singleton=True),
    "2 applications": Kind(applications=2),
    "2 applications, Ticket on the Device": Kind(applications=2, ticket_on_device=True),
    "2 applications, active TrustList": Kind(applications=2, two_transactions=True),
    "2 applications, outdated": Kind(applications=2, outdated=True),
    "2 applications, in a Composite": Kind(applications=2, composite=True),
}


def main() -> None:
    """Print what each operation costs here, and the floor of some kinds of Device."""
    costs = measure()
    for operation, seconds in costs.items():
        print(f"{operation:32}\t{seconds * 1e6:8.1f} µs")
    for name, kind in EXAMPLES.items():
        floor_ms = floor_s([kind], costs) * 1e3
        print(f"{name:40}\t{floor_ms:6.2f} ms\t{private_key_operations(kind)} private")


if __name__ == "__main__":
    main()
