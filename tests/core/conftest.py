"""Each test of this room begins with empty caches, and no bad input costs more than it may."""

from __future__ import annotations

import sys
from itertools import chain

import pytest

from registrar.core.certificate import Certificate
from registrar.core.crl import Crl
from registrar.core.path import _Validation
from registrar.errors import Reason
from tests.core.costs import metered


@pytest.fixture(autouse=True)
def cold_caches() -> None:
    """Forget what earlier tests have had parsed and checked: none shall pass because of another."""
    for name, module in list(sys.modules.items()):
        if name.startswith("registrar.core."):
            for member in vars(module).values():
                if hasattr(member, "cache_clear"):
                    member.cache_clear()


@pytest.fixture(autouse=True)
def costs_little(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold every bad certificate, path and CRL of a marked test to what one may cost."""
    marks = request.node.iter_markers("bad_input")
    if not {mark.args[2] for mark in marks}.intersection(Reason):
        return
    for cls in (Certificate, Crl):
        monkeypatch.setattr(cls, "from_der", staticmethod(metered(cls.from_der, len)))
    run = metered(_Validation.run, _size_of_path)
    monkeypatch.setattr(_Validation, "run", run)


def _size_of_path(validation: _Validation) -> int:
    sent = chain.from_iterable(validation._sent.values())
    return len(validation._leaf.der) + sum(len(one.der) for one in sent)
