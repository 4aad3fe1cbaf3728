"""The outbox keeps order, obeys waits, prefers answers, and knows what may go twice."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.chat_queues import LONGEST_HOLD
from bot.commits import Commits
from bot.messages import Reply
from bot.outbox import Dispatcher
from bot.pacing import Pace, Rates
from bot.send_errors import (
    FloodError,
    MovedError,
    NotSentError,
    RefusedError,
    UnclearError,
    UnreachableError,
)
from bot.sent_journal import Sent, SentJournal
from data.catalogue import ItemId
from data.errors import StoreError
from data.events import SlateId, UserKey
from data.sqlite_store import SqliteEventStore
from data.store import MessageClass, OutboxEntry
from recommender.guard import Refusal

FREE = Rates(chat_burst=1000, chat_refill=1000)


@pytest.fixture
def store() -> Iterator[SqliteEventStore]:
    opened = SqliteEventStore(":memory:")
    yield opened
    opened.close()


def now() -> datetime:
    return datetime.now(UTC)


def message(
    name: str,
    address: str = "7",
    kind: MessageClass = MessageClass.ANSWER,
    **fields: Any,
) -> OutboxEntry:
    payload = {"method": "sendMessage", "params": {"text": name}, "plain": name}
    items = fields.pop("item_ids", ())
    if items:
        payload |= {"item_ids": items, "instead": {"params": {"text": "withheld"}}}  # type: ignore[dict-item]
    return OutboxEntry(
        outbox_id=name,
        address=address,
        payload=json.dumps(payload),
        message_class=kind,
        user_key=UserKey(f"key of {address}"),
        created_at=fields.pop("created_at", now()),
        **fields,
    )


class ScriptedTransport:
    """Fails as told, message by message, and notes what arrived."""

    def __init__(self, failures: dict[str, list[Exception]] | None = None) -> None:
        self.failures = failures or {}
        self.arrived: list[tuple[str, str]] = []
        self.tried: list[str] = []
        self.at: list[float] = []
        self.seconds = 0.0

    async def send(self, payload: dict[str, Any], address: str) -> str:
        text = payload["params"]["text"]
        self.tried.append(text)
        await asyncio.sleep(self.seconds)
        planned = self.failures.get(text)
        if planned:
            raise planned.pop(0)
        self.arrived.append((text, address))
        self.at.append(time.monotonic())
        return str(len(self.arrived))

    @property
    def texts(self) -> list[str]:
        return [text for text, _ in self.arrived]


class Checker:
    """Forbids some items, and notes deliveries."""

    def __init__(self, forbidden: Iterable[str] = ()) -> None:
        self.forbidden = set(forbidden)
        self.delivered_slates: list[str] = []

    def may_send(
        self, user_key: UserKey, item_ids: Iterable[ItemId], *, at: datetime
    ) -> list[Refusal]:
        return [Refusal(item_id, "no") for item_id in item_ids if item_id in self.forbidden]

    def delivered(self, reply: Reply, *, at: datetime, message_id: str = "") -> None:
        self.delivered_slates.append(str(reply.slate_id))


@asynccontextmanager
async def dispatching(
    store: SqliteEventStore,
    transport: ScriptedTransport,
    *,
    checker: Checker | None = None,
    **choices: Any,
) -> AsyncIterator[Dispatcher]:
    with ThreadPoolExecutor(1) as writer, ThreadPoolExecutor(1) as reader:
        dispatcher = Dispatcher(
            store,
            Commits(store, writer),
            transport,
            checker or Checker(),
            reader,
            channel="telegram",
            clock=now,
            first_backoff=0.02,
            **({"rates": FREE, "monotonic": time.monotonic} | choices),
        )
        await dispatcher.start()
        try:
            yield dispatcher
        finally:
            await dispatcher.stop()


async def sent(
    store: SqliteEventStore,
    entries: list[OutboxEntry],
    transport: ScriptedTransport,
    *,
    until: Callable[[], bool] | None = None,
    **choices: Any,
) -> None:
    """Queue messages and let them out."""
    store.queue(entries)
    async with dispatching(store, transport, **choices) as dispatcher:
        async with asyncio.timeout(10):
            while dispatcher.backlog or (until is not None and not until()):
                await asyncio.sleep(0.005)


async def test_messages_of_a_chat_keep_their_order_through_failures(
    store: SqliteEventStore,
) -> None:
    transport = ScriptedTransport({"b": [NotSentError("x"), UnclearError("y")]})

    await sent(store, [message(name) for name in "abcd"], transport)

    assert transport.texts == ["a", "b", "c", "d"]
    assert store.backlog(at=now()).outbox == 0


async def test_after_a_restart_new_answers_wait_behind_one_that_is_held_back(
    store: SqliteEventStore,
) -> None:
    store.queue([message("a"), message("b")])
    held_until = now() + timedelta(seconds=0.3)
    store.mark_unsent("a", state="queued", not_before=held_until, error="429")
    transport = ScriptedTransport()

    async with dispatching(store, transport) as dispatcher:
        fresh = message("c")
        store.queue([fresh])
        dispatcher.add([fresh])
        async with asyncio.timeout(10):
            while dispatcher.backlog:
                await asyncio.sleep(0.005)

    assert transport.texts == ["a", "b", "c"]
    assert now() >= held_until


async def test_a_clock_that_was_set_back_holds_no_message_for_long(
    store: SqliteEventStore,
) -> None:
    store.queue([message("a")])
    store.mark_unsent("a", state="queued", not_before=now() + timedelta(days=400))
    transport = ScriptedTransport()
    passed = 0.0

    async with dispatching(
        store, transport, monotonic=lambda: time.monotonic() + passed
    ) as dispatcher:
        await asyncio.sleep(0.05)
        assert transport.texts == []
        passed = LONGEST_HOLD
        dispatcher.add([])
        async with asyncio.timeout(10):
            while dispatcher.backlog:
                await asyncio.sleep(0.005)

    assert transport.texts == ["a"]


class FlakyStore(SqliteEventStore):
    """Refuses to note that a message was not sent, a number of times."""

    n_refusals = 0

    def mark_unsent(self, outbox_id: str, **fields: Any) -> None:
        if self.n_refusals:
            self.n_refusals -= 1
            raise StoreError("the disk is full")
        super().mark_unsent(outbox_id, **fields)


async def test_a_promotion_that_may_have_arrived_is_not_sent_again_while_the_store_is_down() -> (
    None
):
    store = FlakyStore(":memory:")
    store.n_refusals = 2
    transport = ScriptedTransport({"tip": [UnclearError("no answer")]})

    await sent(store, [message("tip", kind=MessageClass.PROMOTION)], transport)

    assert store.n_refusals == 0
    assert transport.texts == []
    assert store.backlog(at=now()).outbox == 0
    store.close()


async def test_a_promotion_held_back_by_a_wrong_clock_goes_when_the_clock_is_right(
    store: SqliteEventStore,
) -> None:
    store.queue([message("tip", kind=MessageClass.PROMOTION)])
    store.mark_unsent(
        "tip", state="queued", not_before=now() + timedelta(days=800), error="FloodError"
    )
    transport = ScriptedTransport()
    passed = 0.0

    async with dispatching(
        store, transport, monotonic=lambda: time.monotonic() + passed
    ) as dispatcher:
        await asyncio.sleep(0.05)
        too_early = list(transport.texts)
        passed = LONGEST_HOLD
        dispatcher.add([])
        async with asyncio.timeout(10):
            while dispatcher.backlog:
                await asyncio.sleep(0.005)

    assert too_early == []
    assert transport.texts == ["tip"]


async def test_on_a_full_disk_nothing_goes_out_that_a_crash_would_repeat(
    store: SqliteEventStore,
) -> None:
    store.queue([message("a"), message("b", "8")])
    transport = ScriptedTransport()

    async with dispatching(store, transport, journal=SentJournal(Path("/dev/full"))):
        await asyncio.sleep(0.1)
        while_full = list(transport.texts)
    await sent(store, [], transport)

    assert while_full == []
    assert sorted(transport.texts) == ["a", "b"]


async def test_a_chat_that_must_wait_delays_no_other(store: SqliteEventStore) -> None:
    transport = ScriptedTransport({"a1": [FloodError(0.3)]})

    await sent(
        store, [message("a1"), message("a2"), message("b1", "8"), message("b2", "8")], transport
    )

    assert transport.texts[:2] == ["b1", "b2"]
    assert transport.texts[2:] == ["a1", "a2"]
    assert transport.at[2] - transport.at[1] > 0.15


async def test_answers_go_before_promotions(store: SqliteEventStore) -> None:
    old = now() - timedelta(hours=1)
    tips = [message(f"tip {n}", str(n), MessageClass.PROMOTION, created_at=old) for n in range(5)]
    transport = ScriptedTransport()

    await sent(store, [*tips, message("answer", "99")], transport, concurrency=1)

    assert transport.texts[0] == "answer"
    assert len(transport.texts) == 6


async def test_promotions_keep_to_the_published_rate(store: SqliteEventStore) -> None:
    tips = [message(f"tip {n}", str(n), MessageClass.PROMOTION) for n in range(5)]
    transport = ScriptedTransport()

    await sent(store, tips, transport, rates=Rates(promotions_per_second=20))

    assert transport.at[-1] - transport.at[0] >= 4 / 20 * 0.9


@pytest.mark.parametrize(
    ("error", "n_tries", "state"),
    [
        (UnclearError("lost answer"), 1, "unknown"),
        (NotSentError("refused connection"), 2, "sent"),
        (FloodError(0.02), 2, "sent"),
        (RefusedError("bad"), 1, "dead"),
    ],
    ids=["unclear", "not sent", "flood", "refused"],
)
async def test_a_promotion_goes_again_only_when_it_certainly_did_not_arrive(
    error: Exception, n_tries: int, state: str, store: SqliteEventStore
) -> None:
    transport = ScriptedTransport({"tip": [error]})

    await sent(
        store,
        [message("tip", kind=MessageClass.PROMOTION)],
        transport,
        rates=Rates(chat_per_second=100, promotions_per_second=100),
    )

    assert len(transport.tried) == n_tries
    assert store._file.value("SELECT state FROM outbox") == state


async def test_after_a_crash_answers_go_again_and_promotions_do_not(
    store: SqliteEventStore,
) -> None:
    store.queue([message("answer"), message("tip", "8", MessageClass.PROMOTION)])
    store.mark_sending("answer")
    store.mark_sending("tip")
    transport = ScriptedTransport()

    await sent(store, [], transport)

    assert transport.texts == ["answer"]


async def test_a_send_that_was_only_noted_in_the_journal_is_not_repeated(
    store: SqliteEventStore, tmp_path: Path
) -> None:
    path = tmp_path / "sent"
    store.queue([message("a", slate_id=SlateId("s1")), message("b")])
    crashed = SentJournal(path)
    crashed.note(Sent(outbox_id="a", message_id="5", slate_id="s1"))
    crashed.close()
    with path.open("a") as file:
        file.write('["torn')
    checker, transport = Checker(), ScriptedTransport()
    journal = SentJournal(path)

    await sent(store, [], transport, checker=checker, journal=journal)

    assert transport.texts == ["b"]
    assert checker.delivered_slates == ["s1"]
    assert path.read_text() == ""
    journal.close()


async def test_who_blocked_us_is_marked_and_the_message_ends(store: SqliteEventStore) -> None:
    store.put_address(UserKey("k"), "telegram", "7", at=now())
    transport = ScriptedTransport({"a": [UnreachableError("blocked")]})

    await sent(store, [message("a")], transport)

    assert not store.is_reachable("telegram", "7")
    assert store.backlog(at=now()).outbox == 0


async def test_a_moved_chat_gets_its_messages_under_the_new_id(store: SqliteEventStore) -> None:
    transport = ScriptedTransport({"a": [MovedError("-1007")]})

    await sent(
        store,
        [message("a", "-7"), message("b", "-7")],
        transport,
        until=lambda: len(transport.arrived) == 2,
    )

    assert transport.arrived == [("a", "-1007"), ("b", "-1007")]


async def test_a_message_that_comes_while_its_chat_moves_is_not_forgotten() -> None:
    transport = ScriptedTransport({"a": [MovedError("-1007")]})
    late = message("late", "-7")

    class Busy(SqliteEventStore):
        """Gets one more message for the old address while that is being replaced."""

        def move_address(self, channel: str, old: str, new: str) -> None:
            self.queue([late])
            super().move_address(channel, old, new)
            loop.call_soon_threadsafe(dispatcher.add, [late])

    loop, store = asyncio.get_running_loop(), Busy(":memory:")
    async with dispatching(store, transport) as dispatcher:
        first = message("a", "-7")
        store.queue([first])
        dispatcher.add([first])
        async with asyncio.timeout(30):
            while len(transport.arrived) < 2:
                await asyncio.sleep(0.02)
    store.close()

    assert transport.arrived == [("a", "-1007"), ("late", "-1007")]


async def test_an_expired_message_is_not_sent(store: SqliteEventStore) -> None:
    transport = ScriptedTransport()
    first = message("first")
    late = message("tip", expires_at=now() + timedelta(seconds=0.05))
    transport.failures = {"first": [NotSentError("x")] * 5}

    await sent(store, [first, late], transport)

    assert transport.texts == ["first"]


async def test_a_forbidden_item_is_replaced_counted_and_leaves_no_impression(
    store: SqliteEventStore,
) -> None:
    checker, transport = Checker(["nuts"]), ScriptedTransport()

    await sent(
        store,
        [
            message("nuts!", item_ids=["pear", "nuts"], slate_id=SlateId("s1")),
            message("pear!", item_ids=["pear"], slate_id=SlateId("s2")),
        ],
        transport,
        checker=checker,
    )

    assert transport.texts == ["withheld", "pear!"]
    assert checker.delivered_slates == ["s2"]
    assert store.safety_violations() == 1


async def test_what_another_process_queued_goes_out_too(store: SqliteEventStore) -> None:
    transport = ScriptedTransport()

    async with dispatching(store, transport):
        store.queue([message("late")])
        async with asyncio.timeout(5):
            while not transport.arrived:
                await asyncio.sleep(0.02)

    assert transport.texts == ["late"]


async def test_a_message_at_hand_and_in_the_store_goes_out_once(store: SqliteEventStore) -> None:
    transport = ScriptedTransport()
    transport.seconds = 0.02
    entries = [message(f"{n}", str(n % 5)) for n in range(40)]

    async with dispatching(store, transport) as dispatcher:
        for entry in entries:
            store.queue([entry])
            dispatcher.add([entry])
            dispatcher._queues.refill_at = 0.0
            await asyncio.sleep(0.002)
        assert await dispatcher.drain(5)

    assert sorted(transport.texts, key=int) == [f"{n}" for n in range(40)]


async def test_a_backlog_larger_than_what_is_at_hand_goes_out_in_order(
    store: SqliteEventStore,
) -> None:
    store.queue([message(f"{n}") for n in range(1500)])
    transport = ScriptedTransport()

    async with dispatching(
        store, transport, rates=Rates(chat_burst=10_000, chat_refill=10_000)
    ) as dispatcher:
        newest = message("1500")
        store.queue([newest])
        dispatcher.add([newest])
        async with asyncio.timeout(30):
            while len(transport.arrived) < 1501:
                await asyncio.sleep(0.02)

    assert transport.texts == [f"{n}" for n in range(1501)]


def test_a_chat_is_paced_only_after_a_refusal() -> None:
    clock = [0.0]
    pace = Pace(Rates(), lambda: clock[0])

    free = [pace.wait("7", is_promotion=False) for _ in range(5)]
    pace.refused("7", 3.0)
    blocked = pace.wait("7", is_promotion=False)
    other = pace.wait("8", is_promotion=False)
    clock[0] = 3.0
    first = pace.wait("7", is_promotion=False)
    pace.spend("7", is_promotion=False)
    second = pace.wait("7", is_promotion=False)

    assert free == [0.0] * 5
    assert blocked == pytest.approx(3.0)
    assert other == 0.0
    assert first == 0.0
    assert second == pytest.approx(1.0, abs=0.01)


def test_a_group_gets_twenty_messages_a_minute() -> None:
    clock = [0.0]
    pace = Pace(FREE, lambda: clock[0])

    for _ in range(20):
        assert pace.wait("-7", is_promotion=False) == 0.0
        pace.spend("-7", is_promotion=False)

    assert pace.wait("-7", is_promotion=False) == pytest.approx(3.0)


def test_refusals_of_several_chats_slow_the_whole_bot_down() -> None:
    clock = [0.0]
    pace = Pace(Rates(all_per_second=10), lambda: clock[0])
    for address in "123":
        pace.refused(address, 1.0)
    clock[0] = 2.0

    pace.wait("9", is_promotion=False)
    pace.spend("9", is_promotion=False)

    assert pace.wait("10", is_promotion=False) > 0
