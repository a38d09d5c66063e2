"""Draws the pictures of the documentation from the tables in the code."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from registrar.core import enrolment, issuance
from registrar.core.enrolment import COMMANDS, ENDED, WAITING, Event, State
from registrar.core.issuance import IssuanceState
from registrar.errors import Misuse
from tests.rooms import FLOORS

CAPTIONS: Mapping[int, tuple[str, str]] = {
    8: ("face", "talks to people, decides nothing"),
    7: ("wiring", "the only place that builds objects"),
    6: ("drivers", "we call Devices · they call us · pretended Devices"),
    5: ("engine", "whose turn it is: queue, leases, the loop over the two tables"),
    4: ("hands", "sockets · keys and certificates · disk"),
    3: ("minds", "domain and protocol; no I/O, clock, randomness, async"),
    2: ("switch", "to compiled code"),
    1: ("words", "StatusCodes; what may go wrong"),
}
"""What each floor is for."""

Edges = Mapping[tuple[State, Event], State]


def edges() -> Edges:
    """Return every step an enrolment can take, asked of the table event by event."""
    found = {}
    for state in State:
        for event in Event:
            try:
                found[state, event] = enrolment.advance(state, event)
            except Misuse:
                continue
    return found


def enrolment_diagram() -> str:
    """Draw the enrolment as a Mermaid state diagram; what every open state shares is drawn once."""
    steps = edges()
    shared = _shared_by_open_states(steps)
    lines = ["stateDiagram-v2", "    [*] --> discovered", '    state "still open" as open {']
    for (state, event), target in steps.items():
        if state not in ENDED and target not in ENDED:
            lines.append(f"        {state} --> {target}: {event}")
    lines.append("    }")
    lines += (f"    open --> {target}: {event}" for event, target in shared.items())
    for (state, event), target in steps.items():
        leaves = state in ENDED or target in ENDED
        if leaves and not (state not in ENDED and event in shared):
            lines.append(f"    {state} --> {target}: {event}")
    return "\n".join(lines)


def issuance_diagram() -> str:
    """Draw the issuance as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {IssuanceState.RESERVED}"]
    for state in IssuanceState:
        for target in IssuanceState:
            try:
                issuance.advance(state, target)
            except Misuse:
                continue
            lines.append(f"    {state} --> {target}")
    return "\n".join(lines)


def command_table() -> str:
    """Say for each state what the Registrar does next."""
    lines = ["| state | what happens next |", "| --- | --- |"]
    for state in State:
        if state in COMMANDS and state not in WAITING:
            says = f"the Registrar runs `{COMMANDS[state]}`"
        elif state in COMMANDS:
            says = f"somebody else has to act; the Registrar runs `{COMMANDS[state]}`"
        elif state in WAITING:
            says = "somebody else has to act"
        else:
            says = "nothing, by itself"
        lines.append(f"| `{state}` | {says} |")
    return "\n".join(lines)


def _shared_by_open_states(steps: Edges) -> Mapping[Event, State]:
    shared = {}
    for event in Event:
        targets = {steps.get((state, event)) for state in set(State) - ENDED}
        if len(targets) == 1 and (target := targets.pop()) is not None:
            shared[event] = target
    return shared


ROW, WIDTH, LEFT, RIGHT = 56, 860, 44, 410


def rooms_picture() -> str:
    """Draw the rooms on their floors as SVG."""
    floors: dict[int, list[str]] = defaultdict(list)
    for room, floor in FLOORS.items():
        floors[floor].append(room)
    height = ROW * len(floors) + 16
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'font-family="sans-serif" font-size="14" role="img">',
            "<title>The rooms of the Registrar on their floors</title>",
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
            *(
                line
                for row, floor in enumerate(sorted(floors, reverse=True))
                for line in _floor(row, floor, floors[floor])
            ),
            "</svg>",
            "",
        ]
    )


def _floor(row: int, floor: int, rooms: Sequence[str]) -> Iterator[str]:
    top = 8 + row * ROW
    name, says = CAPTIONS[floor]
    yield f'<text x="16" y="{top + 31}" fill="#666666">{floor}</text>'
    width = (RIGHT - LEFT - 8 * (len(rooms) - 1)) // len(rooms)
    for index, room in enumerate(rooms):
        left = LEFT + index * (width + 8)
        yield (
            f'<rect x="{left}" y="{top + 4}" width="{width}" height="{ROW - 12}" rx="4" '
            f'fill="#eef3f8" stroke="#4a6a8a"/>'
        )
        yield (
            f'<text x="{left + width // 2}" y="{top + 31}" text-anchor="middle" '
            f'fill="#1c2b3a">{room}</text>'
        )
    yield f'<text x="{RIGHT + 18}" y="{top + 24}" fill="#1c2b3a">{name}</text>'
    yield (
        f'<text x="{RIGHT + 18}" y="{top + 41}" font-size="12" fill="#666666">{escape(says)}</text>'
    )
