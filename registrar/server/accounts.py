"""Accounts of people: slow hashes, and waits that grow with each failure (T16).

An unknown user looks like a wrong password, in answer and in time. Failures are counted per
account and per address; while one of them waits, nothing is compared at all.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from registrar.errors import AccessDenied, ConfigurationInvalid

_COST: Final = 2**14
_BLOCK_SIZE: Final = 8
_PARALLEL: Final = 1
_HASH_BYTES: Final = 32
MIN_SALT_BYTES: Final = 16
MAX_COST: Final = 2**17
"""Of a hash in the configuration; a larger one would stop the Registrar."""
MAX_PASSWORD: Final = 1_024
"""Characters that are looked at."""

FREE_FAILURES: Final = 3
"""Failures that cost no wait."""
FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 300.0
MAX_REMEMBERED: Final = 4_096
"""Accounts and addresses whose failures are remembered; the oldest are forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One person who may log in."""

    password_hash: str = field(repr=False)
    """From ``hash_password``."""

    def __post_init__(self) -> None:
        _parse(self.password_hash)


def hash_password(password: str, *, salt: bytes) -> str:
    """Return what the configuration keeps in place of ``password``.

    Args:
        password: as the person types it.
        salt: ``MIN_SALT_BYTES`` random bytes or more.
    """
    return _hash_text(salt, _scrypt(password, salt, _COST))


def is_password(password: str, password_hash: str) -> bool:
    """Tell whether ``password`` has ``password_hash``; takes tens of milliseconds."""
    cost, salt, digest = _parse(password_hash)
    return hmac.compare_digest(_scrypt(password[:MAX_PASSWORD], salt, cost), digest)


def _scrypt(password: str, salt: bytes, cost: int) -> bytes:
    return hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"),
        salt=salt,
        n=cost,
        r=_BLOCK_SIZE,
        p=_PARALLEL,
        maxmem=256 * cost * _BLOCK_SIZE,
        dklen=_HASH_BYTES,
    )


def _parse(password_hash: str) -> tuple[int, bytes, bytes]:
    try:
        kind, cost_text, salt_text, digest_text = password_hash.split("$")
        cost = int(cost_text)
        salt = base64.b64decode(salt_text, validate=True)
        digest = base64.b64decode(digest_text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise ConfigurationInvalid("a password hash is not of the form scrypt$…") from error
    is_sound = kind == "scrypt" and 2 <= cost <= MAX_COST and cost & (cost - 1) == 0
    if not is_sound or len(salt) < MIN_SALT_BYTES or len(digest) != _HASH_BYTES:
        raise ConfigurationInvalid("a password hash is not of the form scrypt$…")
    return cost, salt, digest


def _hash_text(salt: bytes, digest: bytes) -> str:
    texts = (base64.b64encode(data).decode() for data in (salt, digest))
    return "$".join(("scrypt", str(_COST), *texts))


_NOBODY: Final = _hash_text(bytes(MIN_SALT_BYTES), bytes(_HASH_BYTES))
"""What an unknown user's password is compared with; nobody has it, and it takes as long."""


class Doorkeeper:
    """Decides whether a password may be compared now, and remembers what came of it.

    Args:
        accounts: by user name.
    """

    def __init__(self, accounts: Mapping[str, Account]) -> None:
        self._accounts = accounts
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def admit(self, name: str, address: str, *, now: float) -> str:
        """Return the hash to compare with; that of nobody for an unknown user.

        Args:
            name: of the user.
            address: of the peer.
            now: monotonic seconds.

        Raises:
            AccessDenied: this account or this address has to wait.
        """
        for key in _keys(name, address):
            failures, last = self._failures.get(key, (0, 0.0))
            if now < last + _wait_s(failures):
                raise AccessDenied("the user is not let in")
        account = self._accounts.get(name)
        return account.password_hash if account else _NOBODY

    def settle(self, name: str, address: str, *, is_right: bool, now: float) -> None:
        """Take note of a comparison.

        Raises:
            AccessDenied: it failed, or there is no such user.
        """
        is_right = is_right and name in self._accounts
        for key in _keys(name, address):
            if is_right:
                self._failures.pop(key, None)
                continue
            failures, _ = self._failures.pop(key, (0, 0.0))
            self._failures[key] = (failures + 1, now)
            if len(self._failures) > MAX_REMEMBERED:
                self._failures.popitem(last=False)
        if not is_right:
            raise AccessDenied("the user is not let in")


def _keys(name: str, address: str) -> tuple[str, str]:
    return f"user {name[:MAX_PASSWORD]}", f"address {address}"


def _wait_s(failures: int) -> float:
    if failures < FREE_FAILURES:
        return 0.0
    doubled = FIRST_WAIT_S * 2.0 ** min(failures - FREE_FAILURES, 32)
    return float(min(doubled, LONGEST_WAIT_S))
