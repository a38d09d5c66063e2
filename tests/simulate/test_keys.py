"""Keys that combine a pool of primes."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from registrar.simulate.keys import KEY_BITS, KeyPool, primes_needed


@pytest.mark.slow
def test_keys_are_distinct_and_work() -> None:
    pool = KeyPool(10)

    keys = [pool.take() for _ in range(10)]

    moduli = {key.public_key().public_numbers().n for key in keys}
    assert len(moduli) == 10
    for key in keys:
        assert key.key_size == KEY_BITS
        signature = key.sign(b"message", padding.PKCS1v15(), hashes.SHA256())
        key.public_key().verify(signature, b"message", padding.PKCS1v15(), hashes.SHA256())


@pytest.mark.slow
def test_a_pool_that_is_used_up_makes_more_primes() -> None:
    pool = KeyPool(1)

    moduli = {pool.take().public_key().public_numbers().n for _ in range(7)}

    assert len(moduli) == 7


@pytest.mark.slow
def test_keys_made_ready_are_as_distinct_as_others() -> None:
    pool = KeyPool(4)
    first = pool.take()
    pool.prepare(3)

    keys = [first, *(pool.take() for _ in range(5))]

    assert len({key.public_key().public_numbers().n for key in keys}) == 6


@pytest.mark.parametrize(
    ("keys", "primes"), [(0, 2), (1, 2), (2, 3), (3, 3), (4, 4), (6, 4), (7, 5), (32_640, 256)]
)
def test_the_least_number_of_primes_is_made(keys: int, primes: int) -> None:
    assert primes_needed(keys) == primes
