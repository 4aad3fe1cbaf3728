"""The durable outbox: sends what was decided, in order per chat, and never forgets an answer.

A message leaves the outbox when its send was confirmed and that was committed.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from datetime import datetime

from bot.chat_queues import AT_HAND, REFILL_SECONDS, ChatQueue, ChatQueues
from bot.commits import Commits
from bot.delivering import Checker, Delivery, OutboxCounts, Transport
from bot.messages import Reply
from bot.pacing import Pace, Rates
from bot.send_errors import MovedError
from bot.sent_journal import SentJournal
from data.errors import StoreError
from data.events import SlateId, UserKey
from data.store import EventStore, OutboxEntry

logger = logging.getLogger(__name__)


class Dispatcher:
    """Sends the outbox: answers before promotions, fair between chats, in order within a chat.

    Args:
        store: Holds the outbox.
        commits: Shared group commit of the store.
        transport: Sends payloads.
        checker: The last check before sending, and what follows a delivery.
        executor: Threads for reads of the store.
        channel: The channel's name in the address table.
        concurrency: Sends under way at once in a rush. While few people wait it is one, since a
            crash repeats what is on the wire; what is harmless to repeat goes beside it.
        journal: Bridges the moment between a send and its commit.
        rates: How fast.
        clock: Wall clock, aware UTC.
        monotonic: Seconds for waits.
    """

    def __init__(
        self,
        store: EventStore,
        commits: Commits,
        transport: Transport,
        checker: Checker,
        executor: Executor,
        *,
        channel: str,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        rates: Rates | None = None,
        concurrency: int = 8,
        journal: SentJournal | None = None,
        first_backoff: float = 0.5,
        rng: random.Random | None = None,
    ) -> None:
        self._store = store
        self._commits = commits
        self._checker = checker
        self._executor = executor
        self._channel = channel
        self._clock = clock
        self._monotonic = monotonic
        self._journal = journal or SentJournal(None)
        self._queues = ChatQueues(
            Pace(rates or Rates(), monotonic), slots=concurrency, clock=clock, monotonic=monotonic
        )
        self._delivery = Delivery(
            store,
            commits,
            transport,
            checker,
            executor,
            queues=self._queues,
            journal=self._journal,
            channel=channel,
            clock=clock,
            first_backoff=first_backoff,
            rng=rng or random.Random(),
        )
        self._sending: set[asyncio.Task[None]] = set()
        self._loop_task: asyncio.Task[None] | None = None

    @property
    def counts(self) -> OutboxCounts:
        """What happened since the start."""
        return self._delivery.counts

    @property
    def backlog(self) -> int:
        """Messages at hand that are not sent yet."""
        return self._queues.n_at_hand

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """What sends; it never ends by itself."""
        return [self._loop_task] if self._loop_task is not None else []

    @property
    def pace(self) -> Pace:
        return self._queues.pace

    async def start(self) -> int:
        """Recover what a crash left half sent, and begin to send; gives how much was recovered."""
        left = self._journal.left()
        self.counts.unclear = len(self._journal.unclear())
        if self.counts.unclear:
            logger.warning("%d messages may go out twice after a crash", self.counts.unclear)

        def recover() -> int:
            at = self._clock()
            for sent in left:
                self._store.mark_sent(sent.outbox_id, at=at, message_id=sent.message_id)
                if sent.slate_id:
                    self._checker.delivered(
                        Reply(slate_id=SlateId(sent.slate_id)), at=at, message_id=sent.message_id
                    )
            return self._store.recover_outbox()

        recovered = await self._commits.run(recover)
        self._journal.forget("")
        await self._refill()
        self._loop_task = asyncio.create_task(self._run())
        return recovered

    def add(self, entries: Iterable[OutboxEntry]) -> None:
        """Take messages that were committed to the outbox; call it in the event loop."""
        self._queues.add(entries)

    def forget(self, user_key: UserKey, *, until: datetime) -> None:
        """Drop what waits for a person who had everything erased."""
        self._queues.forget(user_key, until=until)

    async def drain(self, seconds: float) -> bool:
        """Wait until no answer waits to be sent; False when the time was over first."""
        try:
            async with asyncio.timeout(seconds):
                await self._queues.no_answer_waits.wait()
        except TimeoutError:
            return False
        return True

    async def stop(self, seconds: float = 5.0) -> None:
        """Begin nothing more, and wait for what is on its way; the rest stays in the store."""
        if self._loop_task is not None:
            self._loop_task.cancel()
            await asyncio.gather(self._loop_task, return_exceptions=True)
        if self._sending:
            _, late = await asyncio.wait(self._sending, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            self._queues.changed.clear()
            if self._monotonic() >= self._queues.refill_at:
                await self._refill()
            wait = self._queues.begin_due(self._begin)
            until_refill = self._queues.refill_at - self._monotonic()
            try:
                async with asyncio.timeout(max(0.001, min(wait, until_refill))):
                    await self._queues.changed.wait()
            except TimeoutError:
                continue

    async def _refill(self) -> None:
        """Read what others queued: an earlier run, a job, another process."""
        self._queues.refill_at = self._monotonic() + REFILL_SECONDS
        if self._queues.n_at_hand >= AT_HAND:
            return
        try:
            rows = await asyncio.get_running_loop().run_in_executor(
                self._executor, lambda: self._store.outgoing(at=self._clock(), limit=AT_HAND)
            )
        except StoreError:
            logger.warning("the outbox cannot be read; trying again")
            return
        self._queues.refill(rows)

    def _begin(self, address: str, queue: ChatQueue) -> None:
        task = asyncio.create_task(self._send(address, queue))
        self._sending.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._queues.changed.set()
        if not self._sending and not self._queues.has_answers:
            self._queues.no_answer_waits.set()
        if not task.cancelled() and task.exception() is not None:
            logger.error("sending failed in an unforeseen way", exc_info=task.exception())

    async def _send(self, address: str, queue: ChatQueue) -> None:
        entry = queue.entries[0]
        try:
            try:
                await self._delivery.send(entry, address, queue)
            except MovedError as error:
                await self._move(address, error.address, queue)
        except StoreError:
            logger.warning("message %s waits: the store is down", entry.outbox_id)
            self._queues.hold(queue, 1.0)
        except Exception as error:
            # A message that cannot even be prepared must not stop those behind it for good.
            logger.exception("message %s could not be sent", entry.outbox_id)
            await self._delivery.again(entry, queue, error, may_be_doubled=True)
        finally:
            self._queues.end_turn(entry, queue)

    async def _move(self, old: str, new: str, queue: ChatQueue) -> None:
        first = queue.entries[0]

        def move() -> None:
            self._store.move_address(self._channel, old, new)
            # A refusal tells that the first one did not arrive, whatever its class.
            self._store.mark_unsent(first.outbox_id, state="queued")

        await self._commits.run(move)
        self._queues.empty(queue)
        # Read again, now under the new address.
        await self._refill()
