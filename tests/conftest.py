"""Each test of a bad input is held to the reason codes that its ``bad_input`` marks name."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Generator

import pytest

from registrar.errors import Reason, Rejected

LEFT = pytest.StashKey[Counter[str]]()
"""Of each test the parameters that are still to run."""
MADE = pytest.StashKey[defaultdict[str, set[Reason]]]()
"""Of each test the reasons of the refusals it met so far, whatever its parameters."""


def pytest_collection_finish(session: pytest.Session) -> None:
    session.stash[LEFT] = Counter(map(_test, session.items))
    made: defaultdict[str, set[Reason]] = defaultdict(set)
    session.stash[MADE] = made


@pytest.fixture(autouse=True)
def refused_as_marked(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Generator[None]:
    """Fail the last parameter of a test whose input was not refused for what the marks name."""
    marks = request.node.iter_markers("bad_input")
    marked = {mark.args[2] for mark in marks}.intersection(Reason)
    if not marked:
        yield
        return
    made = request.session.stash[MADE][_test(request.node)]
    make = Rejected.__init__

    def record(error: Rejected, *args: str, **kwargs: object) -> None:
        make(error, *args, **kwargs)  # type: ignore[arg-type]
        made.add(error.reason)

    monkeypatch.setattr(Rejected, "__init__", record)
    yield
    left = request.session.stash[LEFT]
    left[_test(request.node)] -= 1
    if not left[_test(request.node)]:
        assert marked <= made, f"refused for {sorted(made)}"


def _test(item: pytest.Item) -> str:
    return item.nodeid.partition("[")[0]
