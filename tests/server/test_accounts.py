"""Passwords: slow, silent about users, and slower with each failure (T16)."""

from __future__ import annotations

import pytest

from registrar.errors import AccessDenied, ConfigurationInvalid
from registrar.server import accounts
from registrar.server.accounts import Account, Doorkeeper, hash_password, is_password

HASH = hash_password("correct horse", salt=b"0123456789abcdef")
ADDRESS = "10.0.0.1"


def keeper() -> Doorkeeper:
    return Doorkeeper({"ada": Account(password_hash=HASH)})


def fail(it: Doorkeeper, name: str = "ada", address: str = ADDRESS, *, now: float = 0.0) -> None:
    it.admit(name, address, now=now)
    with pytest.raises(AccessDenied):
        it.settle(name, address, is_right=False, now=now)


def test_a_password_is_recognised_and_only_that() -> None:
    assert is_password("correct horse", HASH)
    assert not is_password("correct horse ", HASH)
    assert "correct" not in HASH


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        "scrypt$16384$AAAA$AAAA",
        "md5$16384$MDEyMzQ1Njc4OWFiY2RlZg==$" + "A" * 44,
        "scrypt$3$MDEyMzQ1Njc4OWFiY2RlZg==$" + "A" * 43 + "=",
        "scrypt$1073741824$MDEyMzQ1Njc4OWFiY2RlZg==$" + "A" * 43 + "=",
        "scrypt$x$MDEyMzQ1Njc4OWFiY2RlZg==$" + "A" * 43 + "=",
    ],
)
def test_a_broken_hash_is_a_broken_configuration(text: str) -> None:
    with pytest.raises(ConfigurationInvalid):
        Account(password_hash=text)


def test_an_unknown_user_costs_the_same_and_is_never_let_in() -> None:
    it = keeper()

    password_hash = it.admit("eve", ADDRESS, now=0.0)

    assert password_hash.split("$")[:2] == HASH.split("$")[:2]
    with pytest.raises(AccessDenied):
        it.settle("eve", ADDRESS, is_right=True, now=0.0)


def test_failures_make_the_account_wait_everywhere() -> None:
    it = keeper()
    for number in range(accounts.FREE_FAILURES):
        fail(it, address=f"10.0.0.{number}")

    with pytest.raises(AccessDenied):
        it.admit("ada", "10.9.9.9", now=accounts.FIRST_WAIT_S - 0.01)
    it.admit("ada", "10.9.9.9", now=accounts.FIRST_WAIT_S)


def test_failures_make_the_address_wait_for_every_account() -> None:
    it = keeper()
    for number in range(accounts.FREE_FAILURES):
        fail(it, name=f"user{number}")

    with pytest.raises(AccessDenied):
        it.admit("ada", ADDRESS, now=0.5)
    it.admit("ada", "10.9.9.9", now=0.5)


def test_waits_double_up_to_the_longest() -> None:
    it, now = keeper(), 0.0
    waits = []
    for _ in range(14):
        fail(it, now=now)
        before = now
        while True:
            try:
                it.admit("ada", ADDRESS, now=now)
                break
            except AccessDenied:
                now += 1.0
        waits.append(now - before)

    assert waits[:6] == [0.0, 0.0, 1.0, 2.0, 4.0, 8.0]
    assert waits[-1] == accounts.LONGEST_WAIT_S


def test_success_forgets_the_failures() -> None:
    it = keeper()
    for _ in range(accounts.FREE_FAILURES - 1):
        fail(it)

    it.admit("ada", ADDRESS, now=0.0)
    it.settle("ada", ADDRESS, is_right=True, now=0.0)

    fail(it)
    it.admit("ada", ADDRESS, now=0.0)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "MAX_REMEMBERED", 10)
    it = keeper()
    for number in range(100):
        fail(it, name=f"user{number}", address=f"address{number}")

    assert len(it._failures) == 10
