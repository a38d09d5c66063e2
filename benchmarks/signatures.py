"""What does the compiled bulk verification of signatures buy?

Workload: the signatures of a delivery of Tickets, 3,000 bytes each, from eight signers, six with
RSA-2048 (RS256) and two with P-256 (ES256). Baseline: the Python body on the same batch in the same
process. Floor: ``verify`` of ``cryptography`` with keys decoded beforehand and nothing around it.
Keep the extension while it needs less than 1.1 of the floor on one thread and, as it holds no GIL,
less than 0.7 of its own time on two threads.

    python -m benchmarks.signatures [--signatures 4000] [--json]
"""

from __future__ import annotations

import argparse
import inspect
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from benchmarks.report import show
from registrar.core.signatures import verify_signatures
from registrar.native import is_compiled

RSA_SIGNERS, EC_SIGNERS = 6, 2
MESSAGE_BYTES = 3000
ROUNDS = 5
"""The fastest round counts: what disturbs only ever adds."""

_SHA256 = hashes.SHA256()
_PKCS1 = padding.PKCS1v15()
_ECDSA = ec.ECDSA(_SHA256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """One signature, once as a Ticket has it and once ready for ``cryptography``."""

    public_key: bytes
    algorithm: str
    message: bytes
    signature: bytes
    verify: Callable[[], None]


Verify = Callable[
    [Sequence[bytes], Sequence[str], Sequence[bytes], Sequence[bytes]], Sequence[bool]
]


def make(count: int) -> list[Signed]:
    """Sign ``count`` messages, the signers taking turns."""
    keys: list[rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey] = [
        *(rsa.generate_private_key(65537, 2048) for _ in range(RSA_SIGNERS)),
        *(ec.generate_private_key(ec.SECP256R1()) for _ in range(EC_SIGNERS)),
    ]
    return [_sign(keys[index % len(keys)], os.urandom(MESSAGE_BYTES)) for index in range(count)]


def _sign(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, message: bytes) -> Signed:
    public = key.public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if isinstance(key, rsa.RSAPrivateKey):
        signature, check = _sign_rsa(key, message)
        return Signed(
            public_key=der, algorithm="RS256", message=message, signature=signature, verify=check
        )
    signature, check = _sign_ec(key, message)
    return Signed(
        public_key=der, algorithm="ES256", message=message, signature=signature, verify=check
    )


def _sign_rsa(key: rsa.RSAPrivateKey, message: bytes) -> tuple[bytes, Callable[[], None]]:
    signature, public = key.sign(message, _PKCS1, _SHA256), key.public_key()
    return signature, lambda: public.verify(signature, message, _PKCS1, _SHA256)


def _sign_ec(key: ec.EllipticCurvePrivateKey, message: bytes) -> tuple[bytes, Callable[[], None]]:
    signature, public = key.sign(message, _ECDSA), key.public_key()
    r, s = decode_dss_signature(signature)
    raw = r.to_bytes(32) + s.to_bytes(32)
    return raw, lambda: public.verify(signature, message, _ECDSA)


def verify_all(verify: Verify, batch: Sequence[Signed]) -> None:
    """Verify ``batch`` in one call, and see that every answer is yes."""
    answers = verify(
        [one.public_key for one in batch],
        [one.algorithm for one in batch],
        [one.message for one in batch],
        [one.signature for one in batch],
    )
    assert len(answers) == len(batch)
    assert all(answers)


def verify_bare(batch: Sequence[Signed]) -> None:
    """Verify ``batch`` with ``cryptography`` alone."""
    for one in batch:
        one.verify()


def per_second(count: int, action: Callable[[], object]) -> float:
    """Return how many signatures a second ``action`` gets through, after a warm-up."""
    action()
    best = float("inf")
    for _ in range(ROUNDS):
        begin = perf_counter()
        action()
        best = min(best, perf_counter() - begin)
    return count / best


def compare(count: int) -> dict[str, object]:
    """Measure all bodies over one batch."""
    batch = make(count)
    halves = batch[: count // 2], batch[count // 2 :]
    with ThreadPoolExecutor(2) as threads:
        two_threads = per_second(
            count,
            lambda: list(threads.map(lambda half: verify_all(verify_signatures, half), halves)),
        )
    one_thread = per_second(count, lambda: verify_all(verify_signatures, batch))
    pure = per_second(count, lambda: verify_all(inspect.unwrap(verify_signatures), batch))
    floor = per_second(count, lambda: verify_bare(batch))
    return {
        "compiled": is_compiled(),
        "signatures": count,
        "floor_per_s": floor,
        "pure_per_s": pure,
        "one_thread_per_s": one_thread,
        "two_threads_per_s": two_threads,
        "one_thread_of_floor": one_thread / floor,
        "two_threads_of_one": two_threads / one_thread,
    }


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--signatures", type=int, default=4000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    show(compare(arguments.signatures), as_json=arguments.json)


if __name__ == "__main__":
    main()
