"""Generated pages are fresh, complete and linked; links in all pages lead somewhere."""

from __future__ import annotations

import re

import pytest

from registrar.core.enrolment import State
from registrar.core.reasons import describe
from registrar.errors import Reason
from registrar.native import EXTENSIONS
from tests.docs.diagrams import CAPTIONS, edges, enrolment_diagram, rooms_picture
from tests.docs.pages import PAGES, ROOT
from tests.rooms import FLOORS

LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")


@pytest.mark.parametrize("path", PAGES)
def test_a_generated_page_is_fresh(path: str) -> None:
    page = (ROOT / path).read_text(encoding="utf-8")

    assert page == PAGES[path](), "run python -m tests.docs"


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_says_what_it_means_and_what_to_do_next(reason: Reason) -> None:
    says = describe(reason)

    assert says.meaning.endswith(".")
    assert says.next_action.endswith(".")
    assert says.meaning != says.next_action
    assert "|" not in says.meaning + says.next_action


def test_every_reason_is_on_the_page() -> None:
    page = PAGES["docs/reference/reasons.md"]()

    assert [reason for reason in Reason if page.count(f"| `{reason}` |") != 1] == []


def test_the_diagram_shows_every_state_and_every_step() -> None:
    drawn = enrolment_diagram()

    assert [state for state in State if not re.search(rf"\b{state}\b", drawn)] == []
    assert [event for _, event in edges() if f": {event}" not in drawn] == []


def test_the_picture_shows_every_room_and_floor() -> None:
    words = set(re.findall(r">([^<>]+)</text>", rooms_picture()))

    assert set(FLOORS) | {name for name, _ in CAPTIONS.values()} <= words


def test_the_architecture_names_every_room_and_extension() -> None:
    page = (ROOT / "docs/explanation/architecture.md").read_text(encoding="utf-8")
    named = {
        word for row in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE) for word in row.split(", ")
    }

    assert named == {f"`{name}`" for name in (*FLOORS, *EXTENSIONS)}


def test_every_link_leads_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in LINK.findall(page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]

    assert broken == []


def test_every_page_can_be_reached_from_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    reached, open_pages = {index}, [index]
    while open_pages:
        page = open_pages.pop()
        for target in LINK.findall(page.read_text(encoding="utf-8")):
            found = (page.parent / target).resolve()
            if found.suffix == ".md" and found.is_file() and found not in reached:
                reached.add(found)
                open_pages.append(found)

    assert sorted(set((ROOT / "docs").rglob("*.md")) - reached) == []
