"""What does it cost to find the Ticket for the answer of a Device, of a million Tickets known?

Workload: answers of 6 EndpointDescriptions with 2 distinct certificates, some 6 KB, no two alike;
one Device in five is built into a Composite, every other Composite into another, and one answer in
twenty is a partial match or of a Device without a Ticket, as in the demo. The certificates of each
shape are signed once; every Device has its serial numbers and names written into these bytes, as
matching looks at no signature. Baseline: the Python index on the same answers in the same process.
``us_per_answer`` has to stay at or below 2.5 and a twentieth of ``python_us_per_answer``, and
``bytes_per_ticket_beside_uri`` at or below 35; both indexes have to give the same verdicts.

    python -m benchmarks.matching [--tickets 1000000] [--answers 10000] [--json]
"""

from __future__ import annotations

import argparse
import inspect
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from time import process_time

from asyncua import ua
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from benchmarks.report import show
from registrar.core.valid_ticket import Route
from registrar.native import is_compiled
from registrar.onboarding.matching import Listed, Status, TicketIndex, new_index
from registrar.simulate.endpoints import POLICIES, TRANSPORT, USER_TOKENS, describe
from registrar.simulate.manufacturer import PublicKey, Revocation, root_authority
from registrar.ua.codec import encode_message

US_PER_ANSWER = 2.5
TIMES_FASTER = 20
BYTES_PER_TICKET = 35

MEMBERS = 3
"""Devices in a Composite."""
DEVICES_EVERY = 2 * 5 * MEMBERS
"""Devices for each pair of Composites, one inside the other: one Device in five is a member."""
TICKETS_EVERY = DEVICES_EVERY + 2
IMPOSTOR_EVERY = 20
ROUNDS = 5
PYTHON_ANSWERS = 1_000
"""The Python index is timed on so many; all answers are compared."""

URI = "urn:alpha.example.com:alpha-drive:snr-{:09}"
CELL = "urn:delta.example.com:cell:{:09}"
URL = "opc.tcp://10.0.0.1:4840"
SERIAL_BYTES = 6
NOBODY = 999_999_999
URI_OF_NOBODY, CELL_OF_NOBODY = URI.format(NOBODY), CELL.format(NOBODY)
"""Stand in what was signed, and are overwritten by names of the same length."""


@dataclass(frozen=True, slots=True)
class Device:
    """What decides the Tickets and the answer of one Device."""

    number: int

    @property
    def place(self) -> int:
        """Which of the Devices around a pair of Composites it is; the first six are members."""
        return self.number % DEVICES_EVERY

    @property
    def cells(self) -> tuple[int, ...]:
        """The Composites around it, innermost first."""
        outer = self.number // DEVICES_EVERY * 2
        if self.place >= 2 * MEMBERS:
            return ()
        return (outer,) if self.place < MEMBERS else (outer + 1, outer)


def tickets_of(count: int) -> Iterator[Listed]:
    """Yield ``count`` Tickets: of Devices, and of the Composites around them."""
    row = number = 0
    while row < count:
        device = Device(number)
        row += 1
        uri = URI.format(number)
        cells = tuple(CELL.format(cell) for cell in device.cells)
        yield listed(row, uri, composite_uris=cells)
        number += 1
        if device.place != 2 * MEMBERS - 1:
            continue
        outer, inner = CELL.format(device.cells[-1]), CELL.format(device.cells[0])
        members = [URI.format(number - 2 * MEMBERS + at) for at in range(2 * MEMBERS)]
        for cell, devices, inside in (
            (outer, members[:MEMBERS], (inner,)),
            (inner, members[MEMBERS:], ()),
        ):
            if row < count:
                row += 1
                yield listed(row, cell, devices=tuple(devices), composites=inside)


def listed(
    row: int,
    uri: str,
    *,
    composite_uris: tuple[str, ...] = (),
    devices: tuple[str, ...] = (),
    composites: tuple[str, ...] = (),
) -> Listed:
    """Return a Ticket that came out of band; it is a Composite's where it has members."""
    return Listed(
        row=row,
        uri=uri,
        is_composite=bool(devices),
        route=Route.OUT_OF_BAND,
        composite_uris=composite_uris,
        devices=devices,
        composites=composites,
    )


class Answers:
    """Makes answers by writing names and serial numbers into three that were signed."""

    def __init__(self) -> None:
        now = datetime(2026, 6, 1, tzinfo=UTC)
        curve_key = ec.generate_private_key(ec.SECP256R1())
        rsa_key = rsa.generate_private_key(65537, 2048)
        self._keys: tuple[PublicKey, ...] = rsa_key.public_key(), curve_key.public_key()
        self._maker = root_authority(
            "alpha", curve_key, serial=1, revocation=Revocation.CRL, now=now
        )
        self._serials: list[bytes] = []
        self._plain = self._answer([URI_OF_NOBODY], [URI_OF_NOBODY])
        self._member = self._answer([URI_OF_NOBODY], [URI_OF_NOBODY, CELL_OF_NOBODY])

    def of(self, number: int, *, cell: int | None = None) -> bytes:
        """Return the answer of a Device; ``cell`` is the Composite its LDevID carries."""
        answer = self._plain if cell is None else self._member
        answer = answer.replace(URI_OF_NOBODY.encode(), URI.format(number).encode())
        if cell is not None:
            answer = answer.replace(CELL_OF_NOBODY.encode(), CELL.format(cell).encode())
        for kind, serial in enumerate(self._serials, start=1):
            answer = answer.replace(serial, kind.to_bytes() + number.to_bytes(SERIAL_BYTES - 1))
        return answer

    def _answer(self, *names: Sequence[str]) -> bytes:
        server = describe(URI_OF_NOBODY, "Device", URL)
        certificates = [
            self._certificate(uris, key) for uris, key in zip(names, self._keys, strict=True)
        ]
        response = ua.GetEndpointsResponse()
        response.Endpoints = [
            ua.EndpointDescription(
                EndpointUrl=URL,
                Server=server,
                ServerCertificate=certificate,
                SecurityMode=ua.MessageSecurityMode.SignAndEncrypt,
                SecurityPolicyUri=policy.uri,
                UserIdentityTokens=USER_TOKENS,
                TransportProfileUri=TRANSPORT,
                SecurityLevel=rank,
            )
            for certificate in certificates
            for rank, policy in enumerate(POLICIES)
        ]
        return encode_message(response)

    def _certificate(self, uris: Sequence[str], key: PublicKey) -> bytes:
        der = self._maker.identity("Device", key, uris=uris)
        serial = x509.load_der_x509_certificate(der).serial_number.to_bytes(SERIAL_BYTES)
        assert der.count(serial) == 1
        self._serials.append(serial)
        return der


def answers_of(tickets: int, count: int) -> list[bytes]:
    """Return the answers of ``count`` Devices spread over the plant, one in twenty an impostor."""
    known = tickets // TICKETS_EVERY * DEVICES_EVERY
    answers = Answers()
    made = []
    for at in range(count):
        device = Device(at * known // count)
        if at % IMPOSTOR_EVERY == 0:
            # By turns a stranger, and a member whose LDevID names another Composite.
            made.append(
                answers.of(known + at)
                if at % (2 * IMPOSTOR_EVERY)
                else answers.of(device.number // DEVICES_EVERY * DEVICES_EVERY, cell=NOBODY - at)
            )
        else:
            made.append(answers.of(device.number, cell=next(reversed(device.cells), None)))
    return made


def run(tickets: int, answers: int) -> Mapping[str, object]:
    """Build both indexes, compare all their verdicts, then time them."""
    delivery = list(tickets_of(tickets))
    received = answers_of(tickets, answers)
    assert len(set(received)) == answers
    key = os.urandom(16)
    begun = process_time()
    index = new_index(key).extended(delivery)
    build_s = process_time() - begun
    reference = inspect.unwrap(new_index)(key).extended(delivery)
    found = Counter(compare(index, reference, received))
    assert Status.ASK not in found
    sample = received[:PYTHON_ANSWERS]
    native_s = [cpu_s(index, received) for _ in range(ROUNDS)]
    python_s = [cpu_s(reference, sample) for _ in range(ROUNDS)]
    us, python_us = (
        1e6 * median(times) / len(timed)
        for times, timed in ((native_s, received), (python_s, sample))
    )
    beside = index.size_bytes - sum(len(uri) for uri in {one.uri for one in delivery})
    return {
        "compiled": is_compiled(),
        "tickets": len(index),
        "answers": answers,
        "bytes_per_answer": sum(map(len, received)) / answers,
        "verdicts": {Status(status).name.lower(): found[status] for status in sorted(found)},
        "build_s": build_s,
        "us_per_answer": us,
        "python_us_per_answer": python_us,
        "times_faster": python_us / us,
        "bytes_per_ticket_beside_uri": beside / len(index),
    }


def compare(index: TicketIndex, reference: TicketIndex, answers: Sequence[bytes]) -> list[int]:
    """Return the statuses, after checking that both indexes say the same of every answer."""
    columns = [one.match_all(answers) for one in (index, reference)]
    for ours, theirs in zip(*columns, strict=True):
        assert ours.tolist() == theirs.tolist()
    statuses: list[int] = columns[0][0].tolist()
    return statuses


def cpu_s(index: TicketIndex, answers: Sequence[bytes]) -> float:
    """Return the CPU time of matching all ``answers`` in one call."""
    begun = process_time()
    index.match_all(answers)
    return process_time() - begun


def main() -> int:
    """Run, print, and return 1 where a figure is not as it has to be."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tickets", type=int, default=1_000_000)
    parser.add_argument("--answers", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    results = run(arguments.tickets, arguments.answers)
    show(results, as_json=arguments.json)
    us, faster, size = (
        results[name] for name in ("us_per_answer", "times_faster", "bytes_per_ticket_beside_uri")
    )
    assert isinstance(us, float)
    assert isinstance(faster, float)
    assert isinstance(size, float)
    return int(us > US_PER_ANSWER or faster < TIMES_FASTER or size > BYTES_PER_TICKET)


if __name__ == "__main__":
    sys.exit(main())
