"""The durable outbox: sends what was decided, in order per chat, and never forgets an answer.

A message leaves the outbox when its send was confirmed and that was committed. What happens to a
send without a clear outcome depends on the message's class: an answer or an edit goes again (at
least once), a promotion never does (at most once).
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from bot.commits import Commits
from bot.messages import Reply
from bot.pacing import Pace, Rates
from bot.sent_journal import Sent, SentJournal
from data.catalogue import ItemId
from data.errors import StoreError
from data.events import SlateId, UserKey
from data.store import EventStore, MessageClass, OutboxEntry

logger = logging.getLogger(__name__)

Json = dict[str, Any]
LONGEST_BACKOFF = 60.0
LONGEST_HOLD = 30.0
"""So long at most a new run keeps to a wait that an earlier one was told of. Who asks too early is
told anew; who believes a clock that was set back keeps people waiting for no reason."""
REFILL_SECONDS = 2.0
AT_HAND = 1000
"""Messages read from the store at once."""


class SendError(Exception):
    """A send that did not succeed; the kinds say what may be done."""


class NotSentError(SendError):
    """It certainly did not arrive: any message may go again."""


class UnclearError(SendError):
    """It may have arrived: answers go again, promotions do not."""


class FloodError(NotSentError):
    """Too fast; it did not arrive, and this chat must wait."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"retry after {retry_after:.0f} s")
        self.retry_after = retry_after


class UnreachableError(SendError):
    """The person blocked the bot, or the chat is gone."""


class MovedError(SendError):
    """The chat has a new id."""

    def __init__(self, address: str) -> None:
        super().__init__("the chat has a new id")
        self.address = address


class RefusedError(SendError):
    """The message itself is not acceptable and never will be."""


class Refused(Protocol):
    """What the last check says about an item."""

    @property
    def item_id(self) -> ItemId: ...
    @property
    def reason(self) -> str: ...


class Checker(Protocol):
    """The part of the conversation that sending needs."""

    def may_send(
        self, user_key: UserKey, item_ids: Iterable[ItemId], *, at: datetime
    ) -> Sequence[Refused]: ...
    def delivered(self, reply: Reply, *, at: datetime, message_id: str = "") -> None: ...


class Transport(Protocol):
    """Sends one payload to a channel."""

    async def send(self, payload: Json, address: str) -> str:
        """Send and give the message id.

        Raises:
            SendError: one of its kinds.
        """


@dataclass(slots=True)
class _Queue:
    entries: deque[OutboxEntry] = field(default_factory=deque)
    not_before: float = 0.0
    """Monotonic seconds."""
    is_busy: bool = False
    n_failures: int = 0


@dataclass(slots=True)
class OutboxCounts:
    """What happened since the start, for metrics."""

    sent: int = 0
    retried: int = 0
    floods: int = 0
    unreachable: int = 0
    dead: int = 0
    withheld: int = 0
    unclear: int = 0
    """On the wire when the last run crashed; answers among them were sent again."""
    last_latency_seconds: float = 0.0


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
        self._transport = transport
        self._checker = checker
        self._executor = executor
        self._channel = channel
        self._clock = clock
        self._monotonic = monotonic
        self._pace = Pace(rates or Rates(), monotonic)
        self._slots = concurrency
        self._n_risky = 0
        self._n_harmless = 0
        self._off_wire: set[str] = set()
        """Sent and in the journal, so that a crash does not repeat them; not committed yet."""
        self._journal = journal or SentJournal(None)
        self._first_backoff = first_backoff
        self._rng = rng or random.Random()
        self._answers: OrderedDict[str, _Queue] = OrderedDict()
        self._promotions: OrderedDict[str, _Queue] = OrderedDict()
        self._presses: OrderedDict[str, _Queue] = OrderedDict()
        self._known: set[str] = set()
        self._finished: OrderedDict[str, None] = OrderedDict()
        self._is_behind = False
        """The store holds more answers than are at hand, so new ones wait there for their turn."""
        self._sending: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._no_answer_waits = asyncio.Event()
        self._no_answer_waits.set()
        self._refill_at = 0.0
        self._loop_task: asyncio.Task[None] | None = None
        self.counts = OutboxCounts()

    @property
    def backlog(self) -> int:
        """Messages at hand that are not sent yet."""
        return len(self._known)

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """What sends; it never ends by itself."""
        return [self._loop_task] if self._loop_task is not None else []

    @property
    def pace(self) -> Pace:
        return self._pace

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
        if not self._is_behind:
            self._take(entries)
        self._wake.set()

    def _take(self, entries: Iterable[OutboxEntry]) -> None:
        for entry in entries:
            # A read of the store may be older than the end of a send.
            if entry.outbox_id in self._known or entry.outbox_id in self._finished:
                continue
            self._known.add(entry.outbox_id)
            queues = self._answers
            if entry.message_class is MessageClass.PROMOTION:
                queues = self._promotions
            elif _is_free(entry):
                queues = self._presses
            else:
                self._no_answer_waits.clear()
            queue = queues.setdefault(entry.address, _Queue())
            if not queue.entries and entry.not_before is not None:
                # An earlier run was told to wait; what comes now waits behind it.
                seconds = (entry.not_before - self._clock()).total_seconds()
                queue.not_before = self._monotonic() + min(LONGEST_HOLD, seconds)
            queue.entries.append(entry)

    def forget(self, user_key: UserKey, *, until: datetime) -> None:
        """Drop what waits for a person who had everything erased."""
        for queues in (self._answers, self._promotions, self._presses):
            for queue in queues.values():
                gone = [
                    e for e in queue.entries if e.user_key == user_key and e.created_at < until
                ]
                for entry in gone:
                    queue.entries.remove(entry)
                    self._known.discard(entry.outbox_id)

    async def drain(self, seconds: float) -> bool:
        """Wait until no answer waits to be sent; False when the time was over first."""
        try:
            async with asyncio.timeout(seconds):
                await self._no_answer_waits.wait()
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
            self._wake.clear()
            if self._monotonic() >= self._refill_at:
                await self._refill()
            wait = self._dispatch()
            until_refill = self._refill_at - self._monotonic()
            try:
                async with asyncio.timeout(max(0.001, min(wait, until_refill))):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _refill(self) -> None:
        """Read what others queued: an earlier run, a job, another process."""
        self._refill_at = self._monotonic() + REFILL_SECONDS
        if len(self._known) >= AT_HAND:
            return
        try:
            rows = await asyncio.get_running_loop().run_in_executor(
                self._executor, lambda: self._store.outgoing(at=self._clock(), limit=AT_HAND)
            )
        except StoreError:
            logger.warning("the outbox cannot be read; trying again")
            return
        self._is_behind = (
            len(rows) >= AT_HAND and rows[-1].message_class is not MessageClass.PROMOTION
        )
        self._take(rows)

    def _dispatch(self) -> float:
        """Begin every send that may begin; gives the seconds until another one may."""
        wait = REFILL_SECONDS
        for queues, is_promotion in (
            (self._presses, False),
            (self._answers, False),
            (self._promotions, True),
        ):
            for address in list(queues):
                if not self._has_slot(queues):
                    # With thousands of chats waiting, looking at each of them costs more than it finds.
                    break
                queue = queues[address]
                if not queue.entries and not queue.is_busy:
                    del queues[address]
                    continue
                if queue.is_busy or not queue.entries:
                    continue
                if is_promotion and address in self._answers:
                    # The person waits for an answer; tips can wait.
                    continue
                pause = max(
                    queue.not_before - self._monotonic(),
                    0.0
                    if _is_free(queue.entries[0])
                    else self._pace.wait(address, is_promotion=is_promotion),
                )
                if pause > 0:
                    wait = min(wait, pause)
                    continue
                queue.is_busy = True
                if not _is_free(queue.entries[0]):
                    self._pace.spend(address, is_promotion=is_promotion)
                # To the end of the round: the next free slot is somebody else's.
                queues.move_to_end(address)
                self._on_wire(queue.entries[0], 1)
                task = asyncio.create_task(self._send(address, queue))
                self._sending.add(task)
                task.add_done_callback(self._ended)
        return wait

    def _has_slot(self, queues: OrderedDict[str, _Queue]) -> bool:
        if queues is self._presses:
            return self._n_harmless < self._slots
        n_waiting = len(self._answers) + min(len(self._promotions), 4)
        if self._n_harmless >= 2 * self._slots:
            return False
        return self._n_risky < min(self._slots, 1 + n_waiting // 4)

    def _on_wire(self, entry: OutboxEntry, change: int) -> None:
        if _is_harmless(entry):
            self._n_harmless += change
        else:
            self._n_risky += change

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._wake.set()
        answers = (*self._answers.values(), *self._presses.values())
        if not self._sending and not any(queue.entries for queue in answers):
            self._no_answer_waits.set()
        if not task.cancelled() and task.exception() is not None:
            logger.error("sending failed in an unforeseen way", exc_info=task.exception())

    async def _send(self, address: str, queue: _Queue) -> None:
        entry = queue.entries[0]
        try:
            await self._send_one(entry, address, queue)
        except StoreError:
            logger.warning("message %s waits: the store is down", entry.outbox_id)
            queue.not_before = self._monotonic() + 1.0
        except Exception as error:
            # A message that cannot even be prepared must not stop those behind it for good.
            logger.exception("message %s could not be sent", entry.outbox_id)
            await self._again(entry, queue, error, may_be_doubled=True)
        finally:
            queue.is_busy = False
            if entry.outbox_id not in self._off_wire:
                self._on_wire(entry, -1)
            self._off_wire.discard(entry.outbox_id)

    async def _send_one(self, entry: OutboxEntry, address: str, queue: _Queue) -> None:
        if entry.expires_at is not None and entry.expires_at <= self._clock():
            await self._give_up(entry, queue, "expired")
            return
        payload: Json = json.loads(entry.payload)
        item_ids = tuple(ItemId(item_id) for item_id in payload.get("item_ids", ()))
        is_withheld = False
        if item_ids:
            payload, is_withheld = await self._checked(entry, payload, item_ids)
        if entry.message_class is MessageClass.PROMOTION:
            # From here on a crash must not send it again.
            await self._commits.run(lambda: self._store.mark_sending(entry.outbox_id))
        if not _is_harmless(entry) and not self._journal.begin(entry.outbox_id):
            # What cannot be noted now would be repeated after a crash, one message for each chat.
            raise StoreError("the journal of sends cannot be written; free some space")
        try:
            try:
                message_id = await self._transport.send(payload, address)
            except SendError:
                self._journal.forget(entry.outbox_id)
                raise
        except FloodError as error:
            self.counts.floods += 1
            self._pace.refused(address, error.retry_after)
            await self._hold(entry, queue, error.retry_after, error)
        except MovedError as error:
            await self._move(address, error.address, queue)
        except UnreachableError as error:
            self.counts.unreachable += 1
            await self._commits.run(
                lambda: self._store.set_reachable(self._channel, address, False)
            )
            await self._give_up(entry, queue, str(error))
        except RefusedError as error:
            await self._give_up(entry, queue, str(error))
        except NotSentError as error:
            await self._again(entry, queue, error, may_be_doubled=False)
        except UnclearError as error:
            await self._again(entry, queue, error, may_be_doubled=True)
        else:
            await self._sent(entry, queue, message_id, item_ids, is_withheld=is_withheld)

    async def _checked(
        self, entry: OutboxEntry, payload: Json, item_ids: tuple[ItemId, ...]
    ) -> tuple[Json, bool]:
        """The last look: a message with a forbidden item is replaced, never sent."""
        at = self._clock()
        refused = await asyncio.get_running_loop().run_in_executor(
            self._executor, lambda: self._checker.may_send(entry.user_key, item_ids, at=at)
        )
        if not refused:
            return payload, False
        self.counts.withheld += 1
        logger.error("message %s was withheld by the last check", entry.outbox_id)

        def remember() -> None:
            for refusal in refused:
                self._store.count_safety_violation(at=at, where="send", item_id=refusal.item_id)

        await self._commits.run(remember)
        return payload["instead"], True

    async def _sent(
        self,
        entry: OutboxEntry,
        queue: _Queue,
        message_id: str,
        item_ids: tuple[ItemId, ...],
        *,
        is_withheld: bool,
    ) -> None:
        at = self._clock()
        slate_id = entry.slate_id if entry.slate_id is not None and not is_withheld else None
        is_noted = self._journal.note(
            Sent(outbox_id=entry.outbox_id, message_id=message_id, slate_id=str(slate_id or ""))
        )

        if is_noted or _is_harmless(entry):
            # The next message need not wait for the disk.
            self._off_wire.add(entry.outbox_id)
            self._on_wire(entry, -1)
            self._wake.set()

        def remember() -> None:
            self._store.mark_sent(entry.outbox_id, at=at, message_id=message_id)
            if slate_id is not None:
                self._checker.delivered(
                    Reply(slate_id=slate_id, item_ids=item_ids),
                    at=at,
                    message_id=message_id,
                )

        while True:
            try:
                await self._commits.run(remember)
                break
            except StoreError:
                # It is with the person; only our note is missing. Sending again would double it.
                logger.warning("message %s was sent but not noted yet", entry.outbox_id)
                await asyncio.sleep(0.5)
        self._journal.forget(entry.outbox_id)
        self.counts.sent += 1
        self.counts.last_latency_seconds = (at - entry.created_at).total_seconds()
        queue.n_failures = 0
        self._done(entry, queue)

    async def _again(
        self, entry: OutboxEntry, queue: _Queue, error: Exception, *, may_be_doubled: bool
    ) -> None:
        if may_be_doubled and entry.message_class is MessageClass.PROMOTION:
            await self._give_up(entry, queue, str(error), state="unknown")
            return
        queue.n_failures += 1
        backoff = min(LONGEST_BACKOFF, self._first_backoff * 2 ** min(queue.n_failures - 1, 10))
        await self._hold(entry, queue, backoff * self._rng.uniform(0.5, 1.0), error)

    async def _hold(
        self, entry: OutboxEntry, queue: _Queue, seconds: float, error: Exception
    ) -> None:
        self.counts.retried += 1
        queue.not_before = self._monotonic() + seconds
        not_before = self._clock() + timedelta(seconds=seconds)
        reason = type(error).__name__

        def remember() -> None:
            self._store.mark_unsent(
                entry.outbox_id, state="queued", not_before=not_before, error=reason
            )

        await self._commits.run(remember)

    async def _give_up(
        self, entry: OutboxEntry, queue: _Queue, reason: str, *, state: str = "dead"
    ) -> None:
        self.counts.dead += 1
        logger.warning("message %s is given up: %s", entry.outbox_id, reason)
        while True:
            try:
                await self._commits.run(
                    lambda: self._store.mark_unsent(entry.outbox_id, state=state, error=reason)
                )
                break
            except StoreError:
                # Whoever tried again instead could send a promotion twice.
                await asyncio.sleep(0.5)
        self._done(entry, queue)

    async def _move(self, old: str, new: str, queue: _Queue) -> None:
        moved = list(queue.entries)

        def move() -> None:
            self._store.move_address(self._channel, old, new)
            # A refusal tells that the first one did not arrive, whatever its class.
            self._store.mark_unsent(moved[0].outbox_id, state="queued")

        await self._commits.run(move)
        queue.entries.clear()
        for entry in moved:
            self._known.discard(entry.outbox_id)
        # Read again, now under the new address.
        await self._refill()

    def _done(self, entry: OutboxEntry, queue: _Queue) -> None:
        if queue.entries and queue.entries[0] is entry:
            queue.entries.popleft()
        self._known.discard(entry.outbox_id)
        self._finished[entry.outbox_id] = None
        if len(self._finished) > 20 * AT_HAND:
            self._finished.popitem(last=False)
        if self._is_behind and len(self._known) < AT_HAND // 2:
            self._refill_at = 0.0


def _is_free(entry: OutboxEntry) -> bool:
    """Answers to presses count against no limit and must not wait."""
    return entry.address.startswith("callback:")


def _is_harmless(entry: OutboxEntry) -> bool:
    """Tell whether sending twice shows nothing twice."""
    return entry.message_class is MessageClass.EDIT or _is_free(entry)
