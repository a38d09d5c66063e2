"""The writer: groups that commit together, failures that stay alone, answers that are durable."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

import pytest

from registrar.errors import DecodingError, Misuse, Rejected, StoreUnavailable
from registrar.store import Store, StoreLimits, Transaction, audit, inbox
from registrar.store.inbox import News
from registrar.store.schema import SCHEMA_VERSION, connect
from registrar.store.transaction import Reader
from tests.store.building import CAUSE, NOW


def note(tx: Transaction, text: str = "news") -> None:
    inbox.append(tx, News.TICKETS, text, now=NOW)


def texts(store: Store) -> list[str]:
    return [message.payload for message in inbox.waiting(store.reader)]


async def test_an_answer_is_the_result_of_the_function(store: Store) -> None:
    assert await store.write(lambda tx: tx.query("SELECT 40 + 2")[0][0]) == 42
    assert store.write_sync(lambda tx: "sync") == "sync"


def blocked(store: Store) -> threading.Event:
    """Hold the writer up until the event is set, so that what follows forms one group."""
    gate, reached = threading.Event(), threading.Event()

    def wait(_: Transaction) -> None:
        reached.set()
        assert gate.wait(10)

    threading.Thread(target=store.write_sync, args=(wait,)).start()
    assert reached.wait(10)
    return gate


async def test_what_waits_together_is_committed_together(store: Store) -> None:
    before = store.data_version()
    gate = blocked(store)
    tasks = [asyncio.create_task(store.write(lambda tx: note(tx))) for _ in range(100)]
    await asyncio.sleep(0)

    gate.set()
    await asyncio.gather(*tasks)

    assert len(texts(store)) == 100
    assert store.data_version() - before <= 2


async def test_a_crowd_waits_for_more(path: Path) -> None:
    with Store.open(path, limits=StoreLimits(gather_s=0, crowd_s=0.2)) as store:
        first = [asyncio.create_task(store.write(note)) for _ in range(2)]
        _, pending = await asyncio.wait(first, timeout=0.02)
        late = asyncio.create_task(store.write(note))

        done, _ = await asyncio.wait([*first, late], return_when=asyncio.FIRST_COMPLETED)

        assert len(pending) == 2
        assert len(done) == 3


async def test_a_lone_change_waits_for_no_crowd(path: Path) -> None:
    with Store.open(path, limits=StoreLimits(gather_s=0, crowd_s=1)) as store:
        async with asyncio.timeout(0.5):
            await store.write(note)

        assert len(texts(store)) == 1


async def test_one_failing_function_does_not_hurt_the_others(store: Store) -> None:
    def fail(tx: Transaction) -> None:
        note(tx, "half")
        raise Rejected("this Device is at fault")

    gate = blocked(store)
    writes = [store.write(lambda tx: note(tx, "a")), store.write(fail)]
    tasks = [
        asyncio.create_task(write) for write in (*writes, store.write(lambda tx: note(tx, "b")))
    ]
    await asyncio.sleep(0)

    gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(result) for result in results] == [type(None), Rejected, type(None)]
    assert texts(store) == ["a", "b"]


@pytest.mark.parametrize(
    "error", [KeyError("x"), ValueError("x"), StopIteration(), sqlite3.IntegrityError("x")]
)
async def test_any_other_failure_is_our_mistake(store: Store, error: Exception) -> None:
    def fail(_: Transaction) -> None:
        raise error

    with pytest.raises(Misuse):
        await store.write(fail)

    assert await store.write(lambda tx: 1) == 1


async def test_half_a_surrogate_pair_is_the_fault_of_who_sent_it(store: Store) -> None:
    with pytest.raises(DecodingError):
        await store.write(lambda tx: note(tx, "\ud800"))


async def test_a_caller_that_leaves_does_not_stop_the_change(store: Store) -> None:
    gate = blocked(store)
    task = asyncio.create_task(store.write(lambda tx: note(tx, "unheard")))
    await asyncio.sleep(0)

    task.cancel()
    gate.set()
    await store.write(lambda tx: note(tx, "heard"))

    assert texts(store) == ["unheard", "heard"]


def test_a_group_has_a_largest_size(path: Path) -> None:
    with Store.open(path, limits=StoreLimits(max_group=2)) as store:
        gate = blocked(store)
        threads = [threading.Thread(target=store.write_sync, args=(note,)) for _ in range(5)]
        for thread in threads:
            thread.start()
        gate.set()
        for thread in threads:
            thread.join(10)

        assert len(texts(store)) == 5


@pytest.mark.parametrize("waiting", [2, 3, 4])
async def test_too_many_waiting_changes_are_refused_at_once(path: Path, waiting: int) -> None:
    with Store.open(path, limits=StoreLimits(max_waiting=3)) as store:
        gate = blocked(store)
        tasks = [asyncio.create_task(store.write(note)) for _ in range(waiting)]
        await asyncio.sleep(0)
        gate.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)

        refused = [result for result in results if isinstance(result, StoreUnavailable)]
        assert len(refused) == max(0, waiting - 3)
        assert len(texts(store)) == min(waiting, 3)


@pytest.mark.parametrize(
    ("field", "low", "high"),
    [("max_waiting", 1, 1_000_000), ("max_group", 1, 4_096), ("max_pages", 1, 0xFFFFFFFE)],
)
def test_limits_have_hard_maxima(field: str, low: int, high: int) -> None:
    for good in (low, low + 1, high - 1, high):
        assert StoreLimits(**{field: good})
    for bad in (low - 1, high + 1):
        with pytest.raises(Misuse):
            StoreLimits(**{field: bad})


async def test_a_closed_store_finishes_what_waits_and_refuses_the_rest(path: Path) -> None:
    store = Store.open(path)
    tasks = [asyncio.create_task(store.write(note)) for _ in range(20)]
    await asyncio.sleep(0)

    store.close()
    store.close()
    await asyncio.gather(*tasks)

    with pytest.raises(StoreUnavailable):
        await store.write(note)
    with Store.open(path) as again:
        assert len(texts(again)) == 20


@pytest.mark.parametrize("is_closed", [True, False])
def test_an_event_loop_that_ended_holds_nobody_up(path: Path, is_closed: bool) -> None:
    loop = asyncio.new_event_loop()

    async def leave_early() -> None:
        task = asyncio.create_task(store.write(note))
        await asyncio.sleep(0)
        task.cancel()

    with Store.open(path) as store:
        loop.run_until_complete(leave_early())
        if is_closed:
            loop.close()

        assert store.write_sync(lambda tx: "goes on") == "goes on"

    with Store.open(path) as store:
        assert texts(store) == ["news"]
    loop.close()


def test_one_event_loop_after_the_other_writes(store: Store) -> None:
    async def write() -> None:
        await asyncio.gather(*(store.write(note) for _ in range(20)))

    for _ in range(20):
        asyncio.run(write())
        store.write_sync(note)

    assert len(texts(store)) == 420


async def test_waiting_for_oneself_is_refused(store: Store) -> None:
    task = asyncio.create_task(store.write(note))
    await asyncio.sleep(0)

    with pytest.raises(Misuse):
        store.write_sync(note)

    await task


def test_a_store_is_closed_from_another_thread_than_its_loop(path: Path) -> None:
    store = Store.open(path)
    answered: list[object] = []

    async def write() -> None:
        while True:
            try:
                await store.write(note)
            except StoreUnavailable:
                return
            answered.append(1)
            if len(answered) == 50:
                threading.Thread(target=store.close).start()

    async def campaign() -> None:
        await asyncio.wait_for(asyncio.gather(*(write() for _ in range(8))), 20)

    asyncio.run(campaign())

    with Store.open(path) as again:
        assert len(texts(again)) >= len(answered)


# --- the disk


@pytest.mark.clause("F50")
async def test_a_full_disk_stores_nothing_by_halves(path: Path) -> None:
    Store.open(path).close()
    with closing(connect(path)) as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
    with Store.open(path, limits=StoreLimits(max_pages=pages + 4)) as store:

        def fill(tx: Transaction) -> None:
            note(tx, "small")
            for _ in range(50):
                note(tx, "x" * 4_000)

        with pytest.raises(StoreUnavailable):
            await store.write(fill)

        assert texts(store) == []
        await store.write(lambda tx: note(tx, "fits"))
        assert texts(store) == ["fits"]


@pytest.mark.clause("F50")
async def test_a_change_that_does_not_fit_leaves_its_group_alone(path: Path) -> None:
    Store.open(path).close()
    with closing(connect(path)) as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
    with Store.open(path, limits=StoreLimits(max_pages=pages + 4)) as store:
        gate = blocked(store)
        small = asyncio.create_task(store.write(lambda tx: note(tx, "small")))
        large = asyncio.create_task(store.write(lambda tx: note(tx, "x" * 100_000)))
        await asyncio.sleep(0)
        gate.set()
        results = await asyncio.gather(small, large, return_exceptions=True)

        stored = texts(store)
        assert isinstance(results[1], StoreUnavailable)
        assert stored == (["small"] if results[0] is None else [])


@pytest.mark.clause("F50")
async def test_after_an_error_of_the_disk_nothing_is_tried_again(path: Path) -> None:
    class DiskError(sqlite3.OperationalError):
        sqlite_errorname = "SQLITE_IOERR_FSYNC"

    def fail(_: Transaction) -> None:
        raise DiskError("disk I/O error")

    with Store.open(path) as store:
        with pytest.raises(StoreUnavailable):
            await store.write(fail)

        with pytest.raises(StoreUnavailable, match="stays closed"):
            await store.write(note)


@pytest.mark.clause("F51")
async def test_a_lock_held_by_another_process_is_waited_for(store: Store, path: Path) -> None:
    with closing(connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        task = asyncio.create_task(store.write(note))
        await asyncio.sleep(0)
        other.execute("COMMIT")

        await task

    assert len(texts(store)) == 1


@pytest.mark.clause("F51")
async def test_the_loop_goes_on_while_another_process_writes(path: Path) -> None:
    with Store.open(path, limits=StoreLimits(gather_s=0)) as store, closing(connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        task = asyncio.create_task(store.write(note))
        await asyncio.wait([task], timeout=0.02)
        is_waiting = not task.done()
        other.execute("COMMIT")
        await task

        assert is_waiting
        assert len(texts(store)) == 1


@pytest.mark.clause("F51")
async def test_a_lock_that_is_never_given_back_is_not_waited_for_for_ever(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registrar.store.store.BUSY_TIMEOUT_S", 0.01)
    with closing(connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(StoreUnavailable, match="locked"):
            await store.write(note)
        with pytest.raises(StoreUnavailable, match="locked"):
            store.write_sync(note)

    assert texts(store) == []


def test_a_change_that_is_interrupted_is_undone_and_holds_nobody_up(store: Store) -> None:
    def interrupt(tx: Transaction) -> None:
        note(tx)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.write_sync(interrupt)

    store.write_sync(lambda tx: note(tx, "goes on"))
    assert texts(store) == ["goes on"]


def test_data_version_tells_of_commits_by_others(store: Store, path: Path) -> None:
    before = store.data_version()

    with Store.open(path) as other:
        other.write_sync(note)

    assert store.data_version() != before
    assert texts(store) == ["news"]


def test_the_database_belongs_to_its_owner_alone(store: Store, path: Path) -> None:
    store.write_sync(note)

    for file in path.parent.glob("registrar.db*"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_commits_survive_a_power_cut(store: Store) -> None:
    assert store.write_sync(lambda tx: tx.query("PRAGMA synchronous")[0][0]) == 2
    assert store.write_sync(lambda tx: tx.query("PRAGMA journal_mode")[0][0]) == "wal"


def test_the_reader_cannot_write(store: Store) -> None:
    with pytest.raises(sqlite3.OperationalError):
        store.reader.query("INSERT INTO inbox (kind, payload, created) VALUES ('x', 'x', 1)")


def test_the_reader_sees_nothing_of_a_change_under_way(store: Store) -> None:
    def look(tx: Transaction) -> list[str]:
        note(tx)
        return texts(store)

    assert store.write_sync(look) == []
    assert texts(store) == ["news"]


def test_the_reader_asks_its_own_connection_where_the_writer_cannot_answer(path: Path) -> None:
    with Store.open(path) as store:
        store.write_sync(note)
        with closing(sqlite3.connect(":memory:")) as other, closing(connect(path)) as own:
            reader = Reader(own, writer=other, exclusive=threading.Lock())

            assert [message.payload for message in inbox.waiting(reader)] == ["news"]


# --- what is opened


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"not a database " * 100)

    with pytest.raises(StoreUnavailable):
        Store.open(path)


def test_the_database_of_something_else_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")

    with pytest.raises(StoreUnavailable):
        Store.open(path)

    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("theirs",)]


def test_a_newer_schema_is_not_touched(path: Path) -> None:
    Store.open(path).close()
    with closing(connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")

    with pytest.raises(StoreUnavailable, match="version") as caught:
        Store.open(path)

    assert caught.value.next_action.startswith("Use the release of the Registrar that made it")


def test_a_folder_that_is_missing_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        Store.open(tmp_path / "missing" / "registrar.db")


def test_several_processes_may_make_the_database_at_once(path: Path) -> None:
    opened: list[Store] = []
    threads = [threading.Thread(target=lambda: opened.append(Store.open(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(opened) == 8
    for store in opened:
        store.write_sync(lambda tx: audit.append(tx, audit.Kind.SITE, "x", "x", cause=CAUSE))
        store.close()
