"""The plan of a plant: exact shares, every kind of impostor, the same from the same seed."""

from __future__ import annotations

from collections import Counter

import pytest

from registrar.errors import ConfigurationInvalid
from registrar.simulate.plant import (
    EVERY_KIND_FROM,
    EXPECTED,
    IMPOSTORS,
    Kind,
    TicketRoute,
    Validation,
    plan,
)


def test_the_shares_are_those_of_the_demo() -> None:
    genuine = [device for device in plan(200).devices if device.kind is Kind.GENUINE]
    count = len(genuine)

    assert count == 189
    on_device = [d for d in genuine if d.route is TicketRoute.WITH_DEVICE]
    singletons = [d for d in genuine if d.singleton]
    assert len(on_device) == len(singletons) == round(count * 0.2)
    assert sum(bool(d.composite) for d in genuine) == round(count * 0.2)
    kinds = Counter(d.validation for d in genuine)
    assert kinds[Validation.STAGED] == kinds[Validation.ACTIVE] == round(count * 0.1)
    assert sum(d.outdated for d in genuine) == round(count * 0.1)
    assert {d.applications for d in genuine if not d.singleton} == {1, 2, 3}
    assert {d.applications for d in singletons} == {0}


def test_some_composites_are_nested() -> None:
    planned = plan(200)

    outer = {composite.outer for composite in planned.composites if composite.outer}

    assert outer
    assert all(planned.outermost(uri) == uri for uri in outer)


@pytest.mark.parametrize("devices", [EVERY_KIND_FROM, 200, 1000])
def test_every_kind_of_impostor_is_there(devices: int) -> None:
    kinds = Counter(device.kind for device in plan(devices).devices)

    assert set(IMPOSTORS) <= set(kinds)
    assert sum(kinds[kind] for kind in IMPOSTORS) == max(len(IMPOSTORS), devices // 20)


@pytest.mark.parametrize(("devices", "impostors"), [(1, 0), (10, 1), (EVERY_KIND_FROM - 1, 2)])
def test_a_small_plant_has_few_impostors(devices: int, impostors: int) -> None:
    planned = plan(devices)

    assert len(planned.devices) - planned.genuine == impostors


def test_a_plant_can_be_without_impostors() -> None:
    assert plan(500, impostors=0).genuine == 500


def test_the_seed_decides() -> None:
    assert plan(100, 7) == plan(100, 7)
    assert plan(100, 7) != plan(100, 8)


def test_a_double_bears_the_name_of_a_genuine_device() -> None:
    devices = plan(400).devices

    doubles = [device for device in devices if device.kind is Kind.DUPLICATE_URI]

    assert doubles
    for double in doubles:
        original = devices[double.twin if double.twin is not None else -1]
        assert original.kind is Kind.GENUINE
        assert original.twin == double.index
        assert original.product_instance_uri == double.product_instance_uri
        assert original.expected == double.expected == EXPECTED[Kind.DUPLICATE_URI]


def test_every_kind_has_an_expected_end() -> None:
    assert set(EXPECTED) == set(Kind)


@pytest.mark.parametrize("impostors", [-1, 11])
def test_impossible_numbers_are_refused(impostors: int) -> None:
    with pytest.raises(ConfigurationInvalid):
        plan(10, impostors=impostors)
