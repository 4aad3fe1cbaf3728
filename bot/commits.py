"""Group commit: many small writes that come together share one transaction and one fsync."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

from data.errors import StoreError
from data.store import EventStore

T = TypeVar("T")
GATHER_SECONDS = 0.002
_Waiting = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class Commits:
    """Runs writes in one thread; whatever arrives while a commit is under way goes into the next.

    Args:
        store: Where to write.
        executor: One thread is enough, since the store has one writer.
        at_most: How many writes share a transaction.
    """

    def __init__(self, store: EventStore, executor: Executor, *, at_most: int = 200) -> None:
        self._store = store
        self._executor = executor
        self._at_most = at_most
        self._waiting: list[_Waiting] = []
        self._running: asyncio.Task[None] | None = None
        self._is_failing = False

    @property
    def is_failing(self) -> bool:
        """Whether the last write was refused: a full disk still reads, so reading proves nothing."""
        return self._is_failing

    async def run(self, write: Callable[[], T]) -> T:
        """Run a write durably: when this returns, it is on disk.

        Raises:
            StoreError: The store could not take it; nothing of this write remains.
        """
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((write, done))
        if self._running is None:
            self._running = asyncio.create_task(self._drain())
        return await done

    async def _drain(self) -> None:
        try:
            while self._waiting:
                # What comes a moment later comes along: a commit waits for the disk much longer.
                await asyncio.sleep(GATHER_SECONDS)
                batch = self._waiting[: self._at_most]
                del self._waiting[: self._at_most]
                await self._commit(batch)
        finally:
            self._running = None

    async def _commit(self, batch: list[_Waiting]) -> None:
        loop = asyncio.get_running_loop()
        try:
            outcomes = await loop.run_in_executor(
                self._executor, self._together, [write for write, _ in batch]
            )
        except BaseException as error:
            self._is_failing = isinstance(error, StoreError)
            for _, done in batch:
                if not done.done():
                    done.set_exception(
                        error
                        if isinstance(error, Exception)
                        else StoreError("the program ended before the store could be written")
                    )
            if not isinstance(error, Exception):
                raise
            return
        self._is_failing = False
        for (_, done), outcome in zip(batch, outcomes, strict=True):
            if done.done():
                continue
            if isinstance(outcome, Exception):
                done.set_exception(outcome)
            else:
                done.set_result(outcome)

    def _together(self, writes: list[Callable[[], Any]]) -> list[Any]:
        outcomes: list[Any] = []
        with self._store.transaction():
            for write in writes:
                try:
                    # A savepoint each: one that fails takes back its own writes only.
                    with self._store.transaction():
                        outcomes.append(write())
                except Exception as error:
                    if isinstance(error, StoreError):
                        raise
                    outcomes.append(error)
        return outcomes
