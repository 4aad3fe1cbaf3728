"""Keeps the promise of "no longer than": once a day, whatever has reached its age goes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from data.errors import StoreError
from data.store import EventStore

logger = logging.getLogger(__name__)

EVERY = timedelta(days=1)
AGAIN_AFTER_TROUBLE = timedelta(hours=1)
JUMP = timedelta(hours=1)
"""A wall clock that differs from the time that passed by more than this was set anew."""
LONG_SILENCE = timedelta(days=30)
"""When nothing was recorded for so long before a start, the clock may be wrong instead."""
DOUBT_SECONDS = 3600.0
"""In doubt nothing is erased for so long: most wrong clocks are put right by then."""


class DailyExpiry:
    """Applies the store's retention rules at the first call, and then once a day.

    It goes by the clock of the machine, never by the moment of a message: a replay that pretends
    to be in another year must not expire what people stored in this one. Nor must a clock that
    jumps while we look on, since what is erased stays erased.
    """

    def __init__(
        self,
        store: EventStore,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the store and the clocks."""
        self._store = store
        self._now = now
        self._monotonic = monotonic
        self._started_at = now()
        self._seen = (self._started_at, monotonic())
        self._is_plausible = False
        self._doubted_until = float("-inf")
        self._next: datetime | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def __call__(self) -> None:
        """Start the work in a thread of its own when it is due; cheap otherwise."""
        now, ticks = self._now(), self._monotonic()
        with self._lock:
            if self._has_jumped(now, ticks):
                self._doubt("the clock jumped")
            self._seen = (now, ticks)
            if ticks < self._doubted_until or (self._next is not None and now < self._next):
                return
            self._next = now + EVERY
            self._thread = threading.Thread(
                target=self._expire, args=(now,), name="expiry", daemon=True
            )
            self._thread.start()

    def _doubt(self, why: str) -> None:
        logger.warning("%s; retention waits for an hour, since what is erased stays erased", why)
        self._doubted_until = self._monotonic() + DOUBT_SECONDS
        self._next = None
        self._is_plausible = True

    def _has_jumped(self, now: datetime, ticks: float) -> bool:
        seen_at, seen_ticks = self._seen
        return abs(now - seen_at - timedelta(seconds=ticks - seen_ticks)) > JUMP

    def wait(self, seconds: float) -> None:
        """Wait for work that is under way."""
        thread = self._thread
        if thread is not None:
            thread.join(seconds)

    def _expire(self, at: datetime) -> None:
        try:
            if not self._is_plausible and self._was_silent_for_long():
                with self._lock:
                    self._doubt("nothing was recorded for a long time before this start")
                return
            self._is_plausible = True
            n_gone = self._store.expire(at=at)
        except StoreError as error:
            with self._lock:
                self._next = at + AGAIN_AFTER_TROUBLE
            logger.warning("retention waits: %s", error)
            return
        if n_gone:
            logger.info("retention", extra={"rows": n_gone})

    def _was_silent_for_long(self) -> bool:
        newest = self._store.newest_before(self._started_at)
        return newest is not None and self._started_at - newest > LONG_SILENCE
