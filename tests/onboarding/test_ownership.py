"""A Device about to be refused is looked at again: another Registrar may be at work on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from registrar.core.certificate import Certificate
from registrar.errors import Reason, Rejected, Unavailable
from registrar.onboarding.endpoints import Offer
from registrar.onboarding.ownership import DOUBTFUL, look_again
from registrar.store.store import Store
from tests.core.building import make, root

Look = Offer | Rejected | Unavailable

BORN = make("Device", uris=["urn:example.com:device"]).certificate
OWNER = root("Another site").issue("DCA", extended=[ExtendedKeyUsageOID.SERVER_AUTH]).certificate


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path / "registrar.db")
    yield opened
    opened.close()


def offer(*certificates: Certificate) -> Offer:
    return Offer(endpoints=(), certificates=certificates, application_uris={}, issuers=(), ways={})


class Device:
    """Answers one look after the other; the last answer stays."""

    def __init__(self, looks: Sequence[Look]) -> None:
        self._looks = list(looks)
        self.looked_at = 0

    async def look(self) -> Offer:
        self.looked_at += 1
        answer = self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]
        if isinstance(answer, Offer):
            return answer
        raise answer


async def explained(store: Store, reason: Reason, device: Device) -> Rejected | Unavailable:
    return await look_again(
        Rejected("no", reason=reason),
        url="opc.tcp://127.0.0.1:4840",
        look=device.look,
        seen=offer(BORN),
        store=store,
        settle_s=0.1,
    )


@pytest.mark.parametrize("reason", sorted(set(Reason) - DOUBTFUL))
async def test_what_nobody_else_can_have_caused_is_not_doubted(
    store: Store, reason: Reason
) -> None:
    device = Device([offer(OWNER)])

    assert (await explained(store, reason, device)).reason is reason
    assert device.looked_at == 0


@pytest.mark.parametrize("reason", sorted(DOUBTFUL))
@pytest.mark.parametrize("shown", [(OWNER,), (BORN, OWNER)])
async def test_an_owner_that_shows_by_now_is_named(
    store: Store, reason: Reason, shown: tuple[Certificate, ...]
) -> None:
    better = await explained(store, reason, Device([offer(*shown)]))

    assert better.reason is Reason.ALREADY_OWNED
    assert OWNER.thumbprint in str(better)


async def test_a_denial_waits_for_the_owner_to_show(store: Store) -> None:
    device = Device([offer(BORN), offer(BORN), offer(OWNER)])

    better = await explained(store, Reason.ACCESS_DENIED, device)

    assert better.reason is Reason.ALREADY_OWNED


@pytest.mark.parametrize("reason", sorted(DOUBTFUL))
async def test_a_device_that_stays_as_it_was_is_refused_for_the_first_reason(
    store: Store, reason: Reason
) -> None:
    assert (await explained(store, reason, Device([offer(BORN)]))).reason is reason


@pytest.mark.parametrize("reason", sorted(DOUBTFUL))
async def test_a_device_that_changes_meanwhile_is_tried_again(store: Store, reason: Reason) -> None:
    better = await explained(store, reason, Device([offer(make("Another").certificate)]))

    assert isinstance(better, Unavailable)
    assert better.reason is Reason.BUSY


async def test_a_device_that_is_away_is_tried_again(store: Store) -> None:
    better = await explained(store, Reason.KEY_NOT_PROVEN, Device([Unavailable("restarting")]))

    assert isinstance(better, Unavailable)


async def test_a_device_that_answers_nonsense_is_refused_for_the_first_reason(
    store: Store,
) -> None:
    better = await explained(store, Reason.KEY_NOT_PROVEN, Device([Rejected("nonsense")]))

    assert better.reason is Reason.KEY_NOT_PROVEN
