"""What waits for each chat, and whose turn it is: answers before promotions, fair between chats.

This decides and counts; it neither sends nor stores.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bot.pacing import Pace
from data.events import UserKey
from data.store import MessageClass, OutboxEntry

LONGEST_HOLD = 30.0
"""So long at most a new run keeps to a wait that an earlier one was told of. Who asks too early is
told anew; who believes a clock that was set back keeps people waiting for no reason."""
REFILL_SECONDS = 2.0
"""Between two looks into the store for what others queued."""
AT_HAND = 1000
"""Messages read from the store at once."""


@dataclass(slots=True)
class ChatQueue:
    """The messages for one chat, in their order; the first of them is the one that is sent."""

    entries: deque[OutboxEntry] = field(default_factory=deque)
    not_before: float = 0.0
    """Monotonic seconds."""
    is_busy: bool = False
    n_failures: int = 0


class ChatQueues:
    """The messages at hand, by chat, and the slots in which they are sent.

    Args:
        pace: How fast.
        slots: Sends under way at once in a rush; see `Dispatcher`.
        clock: Wall clock, aware UTC.
        monotonic: Seconds for waits.
    """

    def __init__(
        self,
        pace: Pace,
        *,
        slots: int,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self.pace = pace
        self._slots = slots
        self._clock = clock
        self._monotonic = monotonic
        self._n_risky = 0
        self._n_harmless = 0
        self._off_wire: set[str] = set()
        """Sent and in the journal, so that a crash does not repeat them; not committed yet."""
        self._answers: OrderedDict[str, ChatQueue] = OrderedDict()
        self._promotions: OrderedDict[str, ChatQueue] = OrderedDict()
        self._presses: OrderedDict[str, ChatQueue] = OrderedDict()
        self._known: set[str] = set()
        self._finished: OrderedDict[str, None] = OrderedDict()
        self._is_behind = False
        """The store holds more answers than are at hand, so new ones wait there for their turn."""
        self.refill_at = 0.0
        """When to read the store again, in monotonic seconds."""
        self.changed = asyncio.Event()
        """Something may be begun that could not be begun before."""
        self.no_answer_waits = asyncio.Event()
        self.no_answer_waits.set()

    @property
    def n_at_hand(self) -> int:
        """Messages taken that are not sent yet."""
        return len(self._known)

    @property
    def has_answers(self) -> bool:
        """Tell whether anybody waits for an answer, be it to a press."""
        answers = (*self._answers.values(), *self._presses.values())
        return any(queue.entries for queue in answers)

    def add(self, entries: Iterable[OutboxEntry]) -> None:
        """Take messages that were committed just now."""
        if not self._is_behind:
            self._take(entries)
        self.changed.set()

    def refill(self, rows: Sequence[OutboxEntry]) -> None:
        """Take what was read from the store: at most `AT_HAND` messages, answers first."""
        self._is_behind = (
            len(rows) >= AT_HAND and rows[-1].message_class is not MessageClass.PROMOTION
        )
        self._take(rows)

    def _take(self, entries: Iterable[OutboxEntry]) -> None:
        for entry in entries:
            # A read of the store may be older than the end of a send.
            if entry.outbox_id in self._known or entry.outbox_id in self._finished:
                continue
            self._known.add(entry.outbox_id)
            queues = self._answers
            if entry.message_class is MessageClass.PROMOTION:
                queues = self._promotions
            elif is_free(entry):
                queues = self._presses
            else:
                self.no_answer_waits.clear()
            queue = queues.setdefault(entry.address, ChatQueue())
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

    def begin_due(self, begin: Callable[[str, ChatQueue], None]) -> float:
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
                    if is_free(queue.entries[0])
                    else self.pace.wait(address, is_promotion=is_promotion),
                )
                if pause > 0:
                    wait = min(wait, pause)
                    continue
                queue.is_busy = True
                if not is_free(queue.entries[0]):
                    self.pace.spend(address, is_promotion=is_promotion)
                # To the end of the round: the next free slot is somebody else's.
                queues.move_to_end(address)
                self._on_wire(queue.entries[0], 1)
                begin(address, queue)
        return wait

    def _has_slot(self, queues: OrderedDict[str, ChatQueue]) -> bool:
        if queues is self._presses:
            return self._n_harmless < self._slots
        n_waiting = len(self._answers) + min(len(self._promotions), 4)
        if self._n_harmless >= 2 * self._slots:
            return False
        return self._n_risky < min(self._slots, 1 + n_waiting // 4)

    def _on_wire(self, entry: OutboxEntry, change: int) -> None:
        if is_harmless(entry):
            self._n_harmless += change
        else:
            self._n_risky += change

    def leave_wire(self, entry: OutboxEntry) -> None:
        """Free the slot of a send that a crash would not repeat, before its turn ends."""
        self._off_wire.add(entry.outbox_id)
        self._on_wire(entry, -1)
        self.changed.set()

    def end_turn(self, entry: OutboxEntry, queue: ChatQueue) -> None:
        """Free what the send of an entry held, whatever became of it."""
        queue.is_busy = False
        if entry.outbox_id not in self._off_wire:
            self._on_wire(entry, -1)
        self._off_wire.discard(entry.outbox_id)

    def hold(self, queue: ChatQueue, seconds: float) -> None:
        """Begin nothing of this chat for so long."""
        queue.not_before = self._monotonic() + seconds

    def finish(self, entry: OutboxEntry, queue: ChatQueue) -> None:
        """Drop what was sent or given up; it is not taken again."""
        if queue.entries and queue.entries[0] is entry:
            queue.entries.popleft()
        self._known.discard(entry.outbox_id)
        self._finished[entry.outbox_id] = None
        if len(self._finished) > 20 * AT_HAND:
            self._finished.popitem(last=False)
        if self._is_behind and len(self._known) < AT_HAND // 2:
            self.refill_at = 0.0

    def empty(self, queue: ChatQueue) -> None:
        """Drop what waits in a queue, to be read from the store again."""
        for entry in queue.entries:
            self._known.discard(entry.outbox_id)
        queue.entries.clear()


def is_free(entry: OutboxEntry) -> bool:
    """Answers to presses count against no limit and must not wait."""
    return entry.address.startswith("callback:")


def is_harmless(entry: OutboxEntry) -> bool:
    """Tell whether sending twice shows nothing twice."""
    return entry.message_class is MessageClass.EDIT or is_free(entry)
