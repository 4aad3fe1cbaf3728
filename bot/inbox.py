"""The durable inbox: an update is on disk before it is confirmed, and handled fairly.

At most one update of a lane (a person) is being handled at a time, in order; free workers go round
robin over the lanes. So somebody who sends a hundred messages delays another person by one message
at most, and nobody's messages overtake each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.commits import Commits
from data.errors import StoreError
from data.store import EventStore, InboxEntry

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
LONGEST_WAIT = 5.0
"""Seconds between looks at a store that is down."""
BATCH_SECONDS = 0.02
"""After so long a batch takes no further update, so that slow ones do not delay each other."""
_POSTPONED = object()


@dataclass(slots=True)
class _Lane:
    entries: deque[InboxEntry] = field(default_factory=deque)
    is_waiting: bool = False
    """In the round, or being handled, or held back."""


@dataclass(slots=True)
class InboxCounts:
    """What happened since the start, for metrics."""

    received: int = 0
    repeated: int = 0
    handled: int = 0
    failed: int = 0
    parked: int = 0
    store_errors: int = 0


class Inbox:
    """Takes updates durably and hands them to `handle`, one lane at a time.

    Args:
        store: Where updates are kept.
        commits: Shared group commit of the store.
        handle: Called in a worker thread. It must do its work and `mark_done` in one transaction.
            What it returns is given to `after`, in the event loop.
        executor: The worker threads.
        workers: How many updates are handled at once.
        batch: How many updates, of as many lanes, may share one transaction.
        after: Called in the event loop with the entry and what `handle` returned.
        before: Called in the event loop at an update's turn. What it gives is waited for before the
            update is handled; its lane waits, the others go on.
        prepare: Called in a worker thread before the transaction in which several updates are
            handled. It may do nothing; what it raises, `handle` will meet again.
        on_parked: Called in the event loop when an update failed for the last time; the lane goes
            on when it is done.
        max_attempts: After so many failures an update is parked.
    """

    def __init__(
        self,
        store: EventStore,
        commits: Commits,
        handle: Callable[[InboxEntry], Any],
        executor: Executor,
        *,
        workers: int = 1,
        batch: int = 1,
        after: Callable[[InboxEntry, Any], None] = lambda entry, result: None,
        on_parked: Callable[[InboxEntry], Awaitable[None]] | None = None,
        on_start: Callable[[InboxEntry], None] = lambda entry: None,
        before: Callable[[InboxEntry], Awaitable[None] | None] = lambda entry: None,
        prepare: Callable[[InboxEntry], None] = lambda entry: None,
        max_attempts: int = MAX_ATTEMPTS,
        first_wait: float = 0.2,
    ) -> None:
        self._store = store
        self._commits = commits
        self._handle = handle
        self._executor = executor
        self._workers = workers
        self._after = after
        self._on_parked = on_parked
        self._on_start = on_start
        self._before = before
        self._prepare = prepare
        self._fetching: set[asyncio.Task[None]] = set()
        self._max_attempts = max_attempts
        self._first_wait = first_wait
        self._lanes: dict[str, _Lane] = {}
        self._batch = self._batch_now = batch
        self._round: deque[str] = deque()
        self._bell = asyncio.Event()
        self._store_failed: dict[str, int] = {}
        self._n_open = 0
        self._n_store_failures = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks: list[asyncio.Task[None]] = []
        self._later: set[asyncio.TimerHandle] = set()
        self.counts = InboxCounts()

    @property
    def backlog(self) -> int:
        """Updates that are not handled yet."""
        return self._n_open

    async def start(self) -> int:
        """Take up what an earlier run left, and start the workers; gives how much was left."""
        left = await self._commits.run(lambda: self._store.pending(limit=1_000_000))
        self._tasks = [asyncio.create_task(self._work()) for _ in range(self._workers)]
        self.schedule(left)
        return len(left)

    async def put(self, entries: Sequence[InboxEntry]) -> int:
        """Commit updates, then schedule those that are new; gives how many were.

        Raises:
            StoreError: They are not on disk and must not be confirmed.
        """

        def receive() -> list[InboxEntry]:
            return [entry for entry in entries if self._store.receive(entry)]

        try:
            fresh = await self._commits.run(receive)
        except StoreError:
            self.counts.store_errors += 1
            raise
        self.counts.received += len(fresh)
        self.counts.repeated += len(entries) - len(fresh)
        self.schedule(fresh)
        return len(fresh)

    def schedule(self, entries: Iterable[InboxEntry]) -> None:
        """Put stored updates behind what waits in their lanes."""
        for entry in entries:
            lane = self._lanes.setdefault(entry.lane, _Lane())
            lane.entries.append(entry)
            self._n_open += 1
            self._idle.clear()
            if not lane.is_waiting:
                lane.is_waiting = True
                self._call(entry.lane)

    def forget_lane(self, lane_name: str, *, until: datetime) -> None:
        """Drop what a lane still holds from before a moment: the person had it erased."""
        lane = self._lanes.get(lane_name)
        if lane is None:
            return
        kept = deque(entry for entry in lane.entries if entry.received_at > until)
        self._n_open -= len(lane.entries) - len(kept)
        lane.entries = kept
        self._look_whether_idle()

    async def drain(self, seconds: float) -> bool:
        """Wait until everything is handled; False when the time was over first."""
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """The workers; none of them ends by itself."""
        return self._tasks

    async def stop(self) -> None:
        """End the workers; what is not handled stays in the store."""
        for handle in self._later:
            handle.cancel()
        tasks = [*self._tasks, *self._fetching]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            taken = await self._next()
            entries = [entry for _, _, entry in taken]
            for entry in entries:
                self._on_start(entry)
            outcomes = await self._outcomes(entries)
            # Once a round, however many wait for the same store.
            self._n_store_failures += any(isinstance(each, StoreError) for each in outcomes)
            postponed: list[str] = []
            for (name, lane, entry), outcome in zip(taken, outcomes, strict=True):
                if outcome is _POSTPONED:
                    lane.entries.appendleft(entry)
                    postponed.append(name)
                    continue
                wait = await self._settle(entry, lane, outcome)
                if wait > 0:
                    self._hold(name, wait)
                elif lane.entries:
                    # Behind everybody else who waits.
                    self._call(name)
                else:
                    self._close(name)
            self._round.extendleft(reversed(postponed))

    async def _next(self) -> list[tuple[str, _Lane, InboxEntry]]:
        """Wait for updates, and take one of each of the lanes whose turn it is."""
        taken: list[tuple[str, _Lane, InboxEntry]] = []
        while not taken:
            while not self._round:
                self._bell.clear()
                await self._bell.wait()
            while self._round and len(taken) < self._batch_now:
                name = self._round.popleft()
                lane = self._lanes.get(name)
                if lane is None or not lane.entries:
                    self._close(name)
                    continue
                fetch = self._before(lane.entries[0])
                if fetch is not None:
                    self._fetch(name, fetch)
                    continue
                taken.append((name, lane, lane.entries.popleft()))
        return taken

    def _fetch(self, name: str, fetch: Awaitable[None]) -> None:
        async def then_call() -> None:
            try:
                await fetch
            except Exception:
                logger.exception("getting ready for an update failed")
            self._call(name)

        task = asyncio.create_task(then_call())
        self._fetching.add(task)
        task.add_done_callback(self._fetching.discard)

    async def _outcomes(self, entries: list[InboxEntry]) -> list[Any]:
        """Give what `handle` returned for each, or the exception, or that there was no time."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, self._handle_all, entries)
        except Exception as error:
            # The transaction failed as a whole, so each has to be tried by itself.
            self._batch_now = 1
            return [error] * len(entries)

    def _handle_all(self, entries: list[InboxEntry]) -> list[Any]:
        if len(entries) == 1:
            try:
                return [self._handle(entries[0])]
            except Exception as error:
                return [error]
        started = time.monotonic()
        n_ready = 0
        for entry in entries:
            # Whoever writes meanwhile need not wait for this.
            with contextlib.suppress(Exception):
                self._prepare(entry)
            n_ready += 1
            if time.monotonic() - started > BATCH_SECONDS:
                break
        started = time.monotonic()
        outcomes: list[Any] = []
        # One commit for all: waiting for the disk is most of the work.
        with self._store.transaction():
            for n, entry in enumerate(entries):
                if n >= n_ready or time.monotonic() - started > BATCH_SECONDS:
                    outcomes.append(_POSTPONED)
                    continue
                try:
                    outcomes.append(self._handle(entry))
                except StoreError:
                    raise
                except Exception as error:
                    outcomes.append(error)
        return outcomes

    async def _settle(self, entry: InboxEntry, lane: _Lane, outcome: Any) -> float:
        """Carry on after an update; gives how many seconds its lane must wait."""
        if isinstance(outcome, StoreError) and not self._is_own_fault(entry):
            # Not the update's fault: it waits until the store is well again.
            self.counts.store_errors += 1
            self._store_failed[entry.update_id] = self.counts.handled
            logger.warning("update %s waits: the store is down", entry.update_id)
            lane.entries.appendleft(entry)
            wait: float = self._first_wait * 2 ** min(10, self._n_store_failures)
            return min(LONGEST_WAIT, wait)
        if isinstance(outcome, Exception):
            return await self._failed(entry, lane, outcome)
        self.counts.handled += 1
        self._store_failed.pop(entry.update_id, None)
        self._n_store_failures = 0
        self._batch_now = self._batch
        self._finish()
        try:
            self._after(entry, outcome)
        except Exception:
            # It is committed; the dispatcher finds its messages in the store.
            logger.exception("the end of update %s failed", entry.update_id)
        return 0.0

    def _is_own_fault(self, entry: InboxEntry) -> bool:
        """Tell whether others were stored since this update last met a failing store."""
        return self._store_failed.get(entry.update_id, self.counts.handled) < self.counts.handled

    async def _failed(self, entry: InboxEntry, lane: _Lane, error: Exception) -> float:
        attempts = entry.attempts + 1
        is_last = attempts >= self._max_attempts
        self.counts.failed += 1
        # Where, but not what: the error's own words may quote what the person wrote.
        frames = "".join(traceback.format_tb(error.__traceback__))
        logger.error(
            "update %s failed for the %d. time: %s\n%s",
            entry.update_id,
            attempts,
            type(error).__name__,
            frames,
        )

        def remember() -> None:
            # The class only: a message may quote what the person wrote.
            self._store.mark_failed(entry.update_id, error=type(error).__name__, park=is_last)

        try:
            await self._commits.run(remember)
        except StoreError:
            self.counts.store_errors += 1
        if is_last:
            self.counts.parked += 1
            self._finish()
            if self._on_parked is not None:
                await self._on_parked(entry)
            return 0.0
        again = InboxEntry(
            update_id=entry.update_id,
            lane=entry.lane,
            payload=entry.payload,
            received_at=entry.received_at,
            attempts=attempts,
        )
        lane.entries.appendleft(again)
        return self._first_wait * attempts

    def _hold(self, name: str, seconds: float) -> None:
        def again() -> None:
            self._later.discard(handle)
            self._call(name)

        handle = asyncio.get_running_loop().call_later(seconds, again)
        self._later.add(handle)

    def _call(self, name: str) -> None:
        self._round.append(name)
        self._bell.set()

    def _close(self, name: str) -> None:
        lane = self._lanes.get(name)
        if lane is not None:
            lane.is_waiting = False
            if not lane.entries:
                del self._lanes[name]

    def _finish(self) -> None:
        self._n_open -= 1
        self._look_whether_idle()

    def _look_whether_idle(self) -> None:
        if self._n_open <= 0:
            self._idle.set()
