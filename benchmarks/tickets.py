"""How fast are Tickets verified with their Devices' certificates, compared with bare signatures?

Workload: the delivery of ``benchmarks.deliveries``, in slices of a thousand. Opponents:
``benchmarks.opponents``. Floor: the signatures of Tickets and certificates alone, as libcrypto
verifies them with kept keys and digests, everything else done beforehand. Native is faster than
that where it has multiples of a key, so there is a second floor, ``own_signatures``: the same with
all tables made beforehand. All variants give the same verdicts, which is seen to first. Then they
take turns, slice by slice, in rounds, and native starts each round knowing nothing, and without a
table. Rates are medians of rounds by the wall, the ratios are medians of what each round gave.
``ratio_to_floor`` has to reach 0.90, ``two_thread_gain`` 0.9 of the floor's, native 1.6 of strong
Python and 6 of naive; ``other_than_signatures_us``, CPU time beyond the floor, has to stay at or
below 10. It is negative where tables save more than all the rest costs, so that rest is shown too:
``other_than_own_signatures_us``.

    python -m benchmarks.tickets [--tickets 20000] [--rounds 5] [--json]
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from statistics import median
from time import perf_counter, process_time

from cryptography.hazmat.primitives.serialization import Encoding

from benchmarks.deliveries import NOW, Authority, Delivery, deliver
from benchmarks.opponents import Verify, naive, strong_python
from benchmarks.report import show
from registrar.core.ticket_batch import Batch, Status
from registrar.core.ticket_snapshot import TABLES, TicketSnapshot
from registrar.core.trust import DeviceIdentityAuthorities, TicketAuthorities, TrustList
from registrar.core.valid_ticket import Route
from registrar.core.verify import TicketVerifier
from registrar.native import is_compiled

SLICE = 1000
RESAMPLES = 2000

RATIO = 0.90
GAIN_OF_FLOOR = 0.9
OF_STRONG_PYTHON = 1.6
OF_NAIVE = 6.0
OTHER_US = 10.0

Slice = tuple[Sequence[bytes], Sequence[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Seconds for one piece of work, of which all variants do the same."""

    wall: float
    cpu: float


def trust_of(authorities: Sequence[Authority], *, trusted: bool) -> TrustList:
    """Return their CRLs and, if they are to be anchors, their certificates."""
    return TrustList.from_der(
        trusted_certificates=[
            one.certificate.public_bytes(Encoding.DER) for one in authorities if trusted
        ],
        trusted_crls=[one.crl.public_bytes(Encoding.DER) for one in authorities if one.crl],
    )


def snapshot(delivery: Delivery, *, tables: int = TABLES) -> TicketSnapshot:
    """Return a snapshot that knows nothing yet."""
    signers = TicketAuthorities(trust_of(delivery.signer_roots, trusted=True))
    return TicketSnapshot(
        TicketVerifier(signers),
        route=Route.OUT_OF_BAND,
        now=NOW,
        authorities=DeviceIdentityAuthorities(trust_of(delivery.device_cas, trusted=False)),
        tables=tables,
    )


def native(made: TicketSnapshot) -> Verify:
    """Return the compiled path with the reference behind it, as ``opponents`` answer."""
    return lambda documents, ders: (
        made.judge(documents, ders).status & (Status.BELIEVED | Status.GENUINE).value
    ).tolist()


def prepared(made: TicketSnapshot, slices: Sequence[Slice]) -> list[Batch]:
    """Read slices up to the signatures; ``check`` of each is then a floor."""
    for one in slices:
        made.judge(*one)
    return [made.run(documents, ders) for documents, ders in slices]


def timed(action: Callable[[], object]) -> Cost:
    wall, cpu = perf_counter(), process_time()
    action()
    return Cost(wall=perf_counter() - wall, cpu=process_time() - cpu)


def check_verdicts(delivery: Delivery, slices: Sequence[Slice]) -> None:
    """See that all variants give the same verdicts, and that each kind of verdict occurs."""
    variants = {
        "naive": naive(delivery),
        "strong_python": strong_python(delivery),
        "native": native(snapshot(delivery)),
    }
    found = {
        name: [verdict for one in slices for verdict in verify(*one)]
        for name, verify in variants.items()
    }
    assert found["naive"] == found["strong_python"] == found["native"], "verdicts differ"
    assert set(found["native"]) == {0, 1, 3}, "a kind of verdict does not occur"
    print(f"{len(found['native'])} verdicts are the same in all variants", file=sys.stderr)


def run_round(
    delivery: Delivery,
    slices: Sequence[Slice],
    floor: Sequence[Batch],
    own: Sequence[Batch],
    strong: Verify,
) -> Mapping[str, list[Cost]]:
    """Let the variants take turns over the delivery."""
    made = snapshot(delivery)
    variants = {"naive": naive(delivery), "strong_python": strong, "native": native(made)}
    costs: dict[str, list[Cost]] = {name: [] for name in (*variants, "floor", "own_signatures")}
    for at, one in enumerate(slices):
        costs["floor"].append(timed(floor[at].check))
        costs["own_signatures"].append(timed(own[at].check))
        for name, verify in variants.items():
            costs[name].append(timed(partial(verify, *one)))
    costs.update(run_two_threads(native(made), slices, floor))
    return costs


def run_two_threads(
    verify: Verify, slices: Sequence[Slice], floor: Sequence[Batch]
) -> Mapping[str, list[Cost]]:
    """Let two threads do a slice each, natively and bare, by turns with one thread doing both."""
    costs: dict[str, list[Cost]] = {name: [] for name in _TWO_THREADS}
    with ThreadPoolExecutor(2) as threads:
        for at in range(0, len(slices) - 1, 2):
            work = [partial(verify, *one) for one in slices[at : at + 2]]
            bare = [one.check for one in floor[at : at + 2]]
            costs["native_two_threads"].append(timed(partial(both, threads, work)))
            costs["native_again"].append(timed(partial(in_turn, work)))
            costs["floor_two_threads"].append(timed(partial(both, threads, bare)))
            costs["floor_again"].append(timed(partial(in_turn, bare)))
    return costs


def both(threads: ThreadPoolExecutor, work: Sequence[Callable[[], object]]) -> None:
    """Do two things at once."""
    for future in [threads.submit(one) for one in work]:
        future.result()


def in_turn(work: Sequence[Callable[[], object]]) -> None:
    """Do one thing after the other."""
    for one in work:
        one()


_TWO_THREADS = ("native_two_threads", "native_again", "floor_two_threads", "floor_again")


def wall(costs: Sequence[Cost]) -> float:
    return sum(cost.wall for cost in costs)


def interval(differences: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of the median, by resampling from a fixed seed."""
    chance = random.Random(1)
    medians = sorted(
        median(chance.choices(differences, k=len(differences))) for _ in range(RESAMPLES)
    )
    return medians[RESAMPLES * 25 // 1000], medians[RESAMPLES * 975 // 1000 - 1]


def figures(rounds: Sequence[Mapping[str, list[Cost]]], tickets: int) -> Mapping[str, object]:
    """Return the medians of all rounds."""
    paired = tickets // SLICE // 2 * 2 * SLICE

    def per_s(name: str, count: int = tickets) -> float:
        return median(count / wall(costs[name]) for costs in rounds)

    def ratio(slower: str, faster: str) -> float:
        return median(wall(costs[slower]) / wall(costs[faster]) for costs in rounds)

    def beyond(bare: str, name: str) -> dict[str, float]:
        differences = [
            1e6 * (whole.cpu - alone.cpu) / SLICE
            for costs in rounds
            for whole, alone in zip(costs["native"], costs[bare], strict=True)
        ]
        low, high = interval(differences)
        return {name: median(differences), f"{name}_low": low, f"{name}_high": high}

    return {
        "compiled": is_compiled(),
        "tickets": tickets,
        "rounds": len(rounds),
        "naive_per_s": per_s("naive"),
        "strong_python_per_s": per_s("strong_python"),
        "native_per_s": per_s("native"),
        "native_two_threads_per_s": per_s("native_two_threads", paired),
        "floor_per_s": per_s("floor"),
        "floor_two_threads_per_s": per_s("floor_two_threads", paired),
        "ratio_to_floor": ratio("floor", "native"),
        "ratio_to_own_signatures": ratio("own_signatures", "native"),
        "two_thread_gain": ratio("native_again", "native_two_threads"),
        "floor_two_thread_gain": ratio("floor_again", "floor_two_threads"),
        "native_to_strong_python": ratio("strong_python", "native"),
        "native_to_naive": ratio("naive", "native"),
        **beyond("floor", "other_than_signatures_us"),
        **beyond("own_signatures", "other_than_own_signatures_us"),
        **{
            f"{name}_cpu_us": 1e6
            * median(sum(cost.cpu for cost in costs[name]) for costs in rounds)
            / tickets
            for name in ("naive", "strong_python", "native", "floor", "own_signatures")
        },
    }


def run(tickets: int, rounds: int) -> Mapping[str, object]:
    """Make a delivery, see that the verdicts agree, and measure."""
    delivery = deliver(tickets)
    slices = [
        (delivery.documents[at : at + SLICE], delivery.certificates[at : at + SLICE])
        for at in range(0, tickets, SLICE)
    ]
    check_verdicts(delivery, slices)
    strong = strong_python(delivery)
    for one in slices:
        strong(*one)
    floor = prepared(snapshot(delivery, tables=0), slices)
    own = prepared(snapshot(delivery), slices)
    measured = []
    for number in range(rounds):
        measured.append(run_round(delivery, slices, floor, own, strong))
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return figures(measured, tickets)


def holds(results: Mapping[str, object]) -> bool:
    """Tell whether every figure is as it has to be."""
    value = {name: one for name, one in results.items() if isinstance(one, float)}
    return (
        value["ratio_to_floor"] >= RATIO
        and value["two_thread_gain"] >= GAIN_OF_FLOOR * value["floor_two_thread_gain"]
        and value["native_to_strong_python"] >= OF_STRONG_PYTHON
        and value["native_to_naive"] >= OF_NAIVE
        and value["other_than_signatures_us"] <= OTHER_US
    )


def main() -> int:
    """Run, print, and return 1 where a figure is not as it has to be."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tickets", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    results = run(arguments.tickets, arguments.rounds)
    show(results, as_json=arguments.json)
    return int(not holds(results))


if __name__ == "__main__":
    sys.exit(main())
