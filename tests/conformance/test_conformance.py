"""Every requirement has a test that carries it, and ``docs/conformance.md`` says which."""

from __future__ import annotations

from pathlib import Path

from tests.conformance.marks import Mark, marks_in
from tests.conformance.report import Requirement, read_requirements, render, uncovered

ROOT = Path(__file__).parents[2]


def test_every_requirement_is_carried_by_a_test_or_a_reason() -> None:
    found = uncovered(read_requirements(), marks_in(ROOT))

    assert not found, "\n".join(found)


def test_the_page_is_fresh() -> None:
    page = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")

    assert page == render(read_requirements(), marks_in(ROOT)), "run python -m tests.conformance"


def test_the_table_names_the_requirements_of_identities_tickets_push_and_certificates() -> None:
    numbers = [int(each.number[1:]) for each in read_requirements()]

    assert numbers == sorted(set(numbers))
    assert set(numbers) == {
        *(27, 28, 29, 31, 32, *range(38, 82), 83, 84, 86, 90, 94, 95, 96, *range(121, 145))
    }


def test_marks_are_read_from_functions_classes_and_modules(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
import pytest
pytestmark = [pytest.mark.slow, pytest.mark.clause("R1")]

@pytest.mark.clause("OPC 10000-21 §7.1", "R2, R33")
async def test_one(): ...

@pytest.mark.clause("R4")
class TestTwo:
    def test_three(self): ...
    def helper(self): ...
""",
    )

    found = {(mark.test, mark.requirements) for mark in marks_in(tmp_path)}

    assert found == {
        ("test_one", ("R1",)),
        ("test_one", ()),
        ("test_one", ("R2", "R33")),
        ("TestTwo::test_three", ("R1",)),
        ("TestTwo::test_three", ("R4",)),
    }


def test_a_mark_may_have_a_name(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
import pytest
TEXT = "R1"
MARK: pytest.MarkDecorator = pytest.mark.clause(TEXT)
MARKS = [MARK, pytest.mark.clause("R2")]
OTHER = pytest.mark.clause("R3")
pytestmark = OTHER
LOOP = [LOOP, OTHER]

@MARK
def test_one(): ...

@pytest.mark.parametrize("what", [pytest.param(1, marks=MARKS)])
def test_two(what): ...

def test_three(OTHER): LOOP
""",
    )

    found = [(mark.test, mark.text) for mark in marks_in(tmp_path)]

    assert found == [
        ("test_one", "R1"),
        ("test_one", "R3"),
        ("test_three", "R3"),
        ("test_two", "R1"),
        ("test_two", "R2"),
        ("test_two", "R3"),
    ]


def test_a_requirement_without_test_is_named() -> None:
    marks = [Mark(path="tests/test_x.py", test="test_x", text="R10, R3")]

    assert uncovered([requirement("R1"), requirement("R10")], marks) == [
        "R1 (SHALL, 7.1) has no test: A rule."
    ]


def test_a_reason_stands_in_for_a_choice_only() -> None:
    assert uncovered([requirement("R1", level="MAY", reason="Not needed.")], []) == []
    assert len(uncovered([requirement("R1", level="SHALL", reason="Not needed.")], [])) == 1


def test_a_reason_stands_in_for_what_people_do() -> None:
    assert uncovered([requirement("R1", who="Admin", reason="Not to be seen.")], []) == []


def test_a_reason_beside_a_test_is_refused() -> None:
    marks = [Mark(path="tests/test_x.py", test="test_x", text="R1")]

    assert len(uncovered([requirement("R1", level="MAY", reason="Not needed.")], marks)) == 1


def requirement(
    number: str, *, level: str = "SHALL", who: str = "Reg", reason: str = ""
) -> Requirement:
    return Requirement(
        number=number, level=level, who=who, clause="7.1", text="A rule.", reason=reason
    )


def write(root: Path, code: str) -> None:
    (root / "tests").mkdir()
    (root / "tests" / "test_x.py").write_text(code, encoding="utf-8")
