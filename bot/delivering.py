"""One send: the last check, the transport, and what follows from the outcome.

What happens to a send without a clear outcome depends on the message's class: an answer or an edit
goes again (at least once), a promotion never does (at most once).
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from bot.chat_queues import ChatQueue, ChatQueues, is_harmless
from bot.commits import Commits
from bot.messages import Reply
from bot.send_errors import (
    FloodError,
    NotSentError,
    RefusedError,
    SendError,
    UnclearError,
    UnreachableError,
)
from bot.sent_journal import Sent, SentJournal
from data.catalogue import ItemId
from data.errors import StoreError
from data.events import UserKey
from data.store import EventStore, MessageClass, OutboxEntry

logger = logging.getLogger(__name__)

Json = dict[str, Any]
LONGEST_BACKOFF = 60.0


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


class Delivery:
    """Sends single messages and settles them, in the store and in their queue.

    Args:
        queues: Where the messages come from.
        journal: Bridges the moment between a send and its commit.
        first_backoff: Seconds before a first retry; each further one waits twice as long.

    The others are as in `Dispatcher`.
    """

    def __init__(
        self,
        store: EventStore,
        commits: Commits,
        transport: Transport,
        checker: Checker,
        executor: Executor,
        *,
        queues: ChatQueues,
        journal: SentJournal,
        channel: str,
        clock: Callable[[], datetime],
        first_backoff: float,
        rng: random.Random,
    ) -> None:
        self._store = store
        self._commits = commits
        self._transport = transport
        self._checker = checker
        self._executor = executor
        self._queues = queues
        self._journal = journal
        self._channel = channel
        self._clock = clock
        self._first_backoff = first_backoff
        self._rng = rng
        self.counts = OutboxCounts()

    async def send(self, entry: OutboxEntry, address: str, queue: ChatQueue) -> None:
        """Send the first entry of a queue, and do what follows from the outcome.

        Raises:
            MovedError: The chat has a new address; nothing was sent.
            StoreError: The outcome could not be noted, or nothing was sent for fear of that.
        """
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
        if not is_harmless(entry) and not self._journal.begin(entry.outbox_id):
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
            self._queues.pace.refused(address, error.retry_after)
            await self._hold(entry, queue, error.retry_after, error)
        except UnreachableError as error:
            self.counts.unreachable += 1
            await self._commits.run(
                lambda: self._store.set_reachable(self._channel, address, False)
            )
            await self._give_up(entry, queue, str(error))
        except RefusedError as error:
            await self._give_up(entry, queue, str(error))
        except NotSentError as error:
            await self.again(entry, queue, error, may_be_doubled=False)
        except UnclearError as error:
            await self.again(entry, queue, error, may_be_doubled=True)
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
        queue: ChatQueue,
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

        if is_noted or is_harmless(entry):
            # The next message need not wait for the disk.
            self._queues.leave_wire(entry)

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
        self._queues.finish(entry, queue)

    async def again(
        self, entry: OutboxEntry, queue: ChatQueue, error: Exception, *, may_be_doubled: bool
    ) -> None:
        """Let a send that failed go again later, unless that could show a promotion twice."""
        if may_be_doubled and entry.message_class is MessageClass.PROMOTION:
            await self._give_up(entry, queue, str(error), state="unknown")
            return
        queue.n_failures += 1
        backoff = min(LONGEST_BACKOFF, self._first_backoff * 2 ** min(queue.n_failures - 1, 10))
        await self._hold(entry, queue, backoff * self._rng.uniform(0.5, 1.0), error)

    async def _hold(
        self, entry: OutboxEntry, queue: ChatQueue, seconds: float, error: Exception
    ) -> None:
        self.counts.retried += 1
        self._queues.hold(queue, seconds)
        not_before = self._clock() + timedelta(seconds=seconds)
        reason = type(error).__name__

        def remember() -> None:
            self._store.mark_unsent(
                entry.outbox_id, state="queued", not_before=not_before, error=reason
            )

        await self._commits.run(remember)

    async def _give_up(
        self, entry: OutboxEntry, queue: ChatQueue, reason: str, *, state: str = "dead"
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
        self._queues.finish(entry, queue)
