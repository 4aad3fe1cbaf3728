"""The inbox is fair between people, keeps their order, and forgets nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.commits import Commits
from bot.inbox import Inbox
from data.errors import StoreError
from data.sqlite_store import SqliteEventStore
from data.store import InboxEntry

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def store() -> Iterator[SqliteEventStore]:
    opened = SqliteEventStore(":memory:")
    yield opened
    opened.close()


def entry(number: int, lane: str = "a", *, at: datetime = NOON) -> InboxEntry:
    return InboxEntry(update_id=f"tg:{number}", lane=lane, payload=str(number), received_at=at)


@asynccontextmanager
async def working(
    store: SqliteEventStore, handle: Callable[[InboxEntry], Any], **choices: Any
) -> AsyncIterator[Inbox]:
    with ThreadPoolExecutor(4) as handlers, ThreadPoolExecutor(1) as writer:

        def done(each: InboxEntry) -> Any:
            result = handle(each)
            store.mark_done(each.update_id, at=NOON)
            return result

        inbox = Inbox(store, Commits(store, writer), done, handlers, first_wait=0.01, **choices)
        await inbox.start()
        try:
            yield inbox
        finally:
            await inbox.stop()


async def test_a_hundred_messages_of_one_delay_another_by_one_message_at_most(
    store: SqliteEventStore,
) -> None:
    order: list[str] = []

    def handle(each: InboxEntry) -> None:
        time.sleep(0.002)
        order.append(each.lane)

    async with working(store, handle, workers=1) as inbox:
        await inbox.put([entry(n, "spammer") for n in range(100)])
        while not order:
            await asyncio.sleep(0.001)
        n_before = len(order)
        await inbox.put([entry(200, "other")])
        assert await inbox.drain(5)

    # One message was under way and one could have been taken while this one was committed.
    assert order.index("other") - n_before <= 2 + 3
    assert order.count("spammer") == 100


async def test_two_busy_people_take_turns(store: SqliteEventStore) -> None:
    order: list[str] = []

    async with working(store, lambda each: order.append(each.lane), workers=1) as inbox:
        await inbox.put([entry(n, "a") for n in range(5)] + [entry(n + 9, "b") for n in range(5)])
        assert await inbox.drain(5)

    assert order == ["a", "b"] * 5


async def test_one_lane_is_handled_in_order_and_never_twice_at_once(
    store: SqliteEventStore,
) -> None:
    order: list[str] = []
    under_way: set[str] = set()
    overlaps: list[str] = []

    def handle(each: InboxEntry) -> None:
        if each.lane in under_way:
            overlaps.append(each.lane)
        under_way.add(each.lane)
        time.sleep(0.001)
        under_way.discard(each.lane)
        order.append(each.update_id)

    async with working(store, handle, workers=4) as inbox:
        for n in range(30):
            await inbox.put([entry(n, "abc"[n % 3])])
        assert await inbox.drain(5)

    assert overlaps == []
    for lane in range(3):
        own = [name for name in order if int(name[3:]) % 3 == lane]
        assert own == sorted(own, key=lambda name: int(name[3:]))


async def test_different_people_are_handled_at_once(store: SqliteEventStore) -> None:
    started: list[float] = []

    def handle(each: InboxEntry) -> None:
        started.append(time.monotonic())
        time.sleep(0.1)

    async with working(store, handle, workers=3) as inbox:
        await inbox.put([entry(n, f"lane {n}") for n in range(3)])
        assert await inbox.drain(5)

    assert max(started) - min(started) < 0.1


async def test_a_repeated_update_is_handled_once_also_while_it_waits(
    store: SqliteEventStore,
) -> None:
    seen: list[str] = []

    async with working(store, lambda each: seen.append(each.update_id)) as inbox:
        first = await inbox.put([entry(1), entry(1), entry(2)])
        again = await inbox.put([entry(2), entry(1)])
        assert await inbox.drain(5)
        later = await inbox.put([entry(1)])

    assert (first, again, later) == (2, 0, 0)
    assert seen == ["tg:1", "tg:2"]
    assert inbox.counts.repeated == 4


async def test_what_fails_is_tried_again_in_its_place_then_parked(
    store: SqliteEventStore,
) -> None:
    tries: list[str] = []
    parked: list[str] = []

    def handle(each: InboxEntry) -> None:
        tries.append(each.update_id)
        if each.update_id == "tg:1" or tries.count("tg:2") == 1 == len(set(tries[2:]) | {1}):
            raise ValueError("no")

    async def on_parked(each: InboxEntry) -> None:
        parked.append(each.update_id)

    async with working(store, handle, on_parked=on_parked) as inbox:
        await inbox.put([entry(1), entry(2)])
        assert await inbox.drain(5)

    assert tries == ["tg:1", "tg:1", "tg:1", "tg:2"]
    assert parked == ["tg:1"]
    assert [each.update_id for each in store.parked()] == ["tg:1"]


async def test_a_store_that_is_down_parks_nothing(store: SqliteEventStore) -> None:
    tries: list[str] = []

    def handle(each: InboxEntry) -> None:
        tries.append(each.update_id)
        if len(tries) < 6:
            raise StoreError("busy")

    async with working(store, handle) as inbox:
        await inbox.put([entry(1), entry(2)])
        assert await inbox.drain(10)

    assert tries == ["tg:1"] * 6 + ["tg:2"]
    assert store.parked() == []


async def test_what_an_earlier_run_left_comes_first(store: SqliteEventStore) -> None:
    store.receive(entry(1))
    seen: list[str] = []

    async with working(store, lambda each: seen.append(each.update_id)) as inbox:
        await inbox.put([entry(2)])
        assert await inbox.drain(5)

    assert seen == ["tg:1", "tg:2"]


async def test_forgetting_a_lane_drops_what_waited_and_keeps_what_came_later(
    store: SqliteEventStore,
) -> None:
    seen: list[str] = []

    def handle(each: InboxEntry) -> None:
        seen.append(each.update_id)
        time.sleep(0.05)

    async with working(store, handle) as inbox:
        await inbox.put([entry(1), entry(2), entry(3, at=NOON + timedelta(seconds=5))])
        while not seen:
            await asyncio.sleep(0.001)
        inbox.forget_lane("a", until=NOON)
        assert await inbox.drain(5)

    assert seen == ["tg:1", "tg:3"]


async def test_writes_that_come_together_share_a_commit_and_fail_alone(
    store: SqliteEventStore,
) -> None:
    with ThreadPoolExecutor(1) as writer:
        commits = Commits(store, writer)

        def fail() -> None:
            store.receive(entry(99))
            raise ValueError("mine alone")

        outcomes = await asyncio.gather(
            *(commits.run(lambda n=n: store.receive(entry(n))) for n in range(20)),
            commits.run(fail),
            return_exceptions=True,
        )

    assert outcomes[:20] == [True] * 20
    assert isinstance(outcomes[20], ValueError)
    assert len(store.pending()) == 20
