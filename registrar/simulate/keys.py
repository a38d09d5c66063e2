"""Many distinct RSA keys at the price of few: moduli that combine a pool of primes.

Generating an RSA-2048 key takes 40 to 100 ms, combining two known primes 0.3 ms, and n primes
make n(n-1)/2 moduli. Such keys are distinct, which is all a pretended plant needs; whoever knows
two of them may factor both, so they never leave ``simulate``. The bits come from the operating
system: a seed decides the plant, not its keys.

With the first signature of a key OpenSSL makes its constants, which takes as long as the signature
itself. A Device does that once in its life; a plant that plays thousands of lives at once does it
before somebody counts its time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from math import isqrt

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

EXPONENT = 65537
KEY_BITS = 2048
GENERATING_THREADS = 2
"""OpenSSL releases the GIL while it looks for primes."""

MAX_READY = 8_192
"""Keys a pool holds ready at most; each takes 0.6 ms."""


class KeyPool:
    """Hands out distinct RSA-2048 keys; when its primes are used up it makes two more."""

    def __init__(self, keys: int) -> None:
        """Make as many primes as ``keys`` keys need."""
        pairs = (primes_needed(keys) + 1) // 2
        with ThreadPoolExecutor(GENERATING_THREADS) as threads:
            generated = threads.map(lambda _: _two_primes(), range(pairs))
            self._primes = [prime for two in generated for prime in two]
        self._pairs = self._combinations()
        self._ready: deque[rsa.RSAPrivateKey] = deque()

    def prepare(self, keys: int) -> None:
        """Have ``keys`` keys ready, as far as ``MAX_READY`` allows; taking one costs nothing."""
        while len(self._ready) < min(keys, MAX_READY):
            key = _assemble(*next(self._pairs))
            warm(key)
            self._ready.append(key)

    def take(self) -> rsa.RSAPrivateKey:
        """Return a key that this pool has not returned before."""
        return self._ready.popleft() if self._ready else _assemble(*next(self._pairs))

    def _combinations(self) -> Iterator[tuple[int, int]]:
        for newest in count(1):
            if newest == len(self._primes):
                self._primes += _two_primes()
            for older in range(newest):
                yield self._primes[newest], self._primes[older]


def warm(key: rsa.RSAPrivateKey) -> None:
    """Let OpenSSL make what it keeps with ``key``."""
    key.sign(b"", padding.PKCS1v15(), hashes.SHA256())


def primes_needed(keys: int) -> int:
    """Return the least n with n(n-1)/2 ≥ ``keys``."""
    n = (1 + isqrt(8 * max(keys, 1))) // 2
    while n * (n - 1) // 2 < keys:
        n += 1
    return max(n, 2)


def _two_primes() -> tuple[int, int]:
    numbers = rsa.generate_private_key(EXPONENT, KEY_BITS).private_numbers()
    return numbers.p, numbers.q


def _assemble(p: int, q: int) -> rsa.RSAPrivateKey:
    d = pow(EXPONENT, -1, (p - 1) * (q - 1))
    return rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=d,
        dmp1=d % (p - 1),
        dmq1=d % (q - 1),
        iqmp=pow(q, -1, p),
        public_numbers=rsa.RSAPublicNumbers(EXPONENT, p * q),
    ).private_key(unsafe_skip_rsa_key_validation=True)
