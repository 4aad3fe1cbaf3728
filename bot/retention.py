"""Keeps the promise of "no longer than": once a day, whatever has reached its age goes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from data.errors import StoreError
from data.store import EventStore

logger = logging.getLogger(__name__)

EVERY = timedelta(days=1)
AGAIN_AFTER_TROUBLE = timedelta(hours=1)


class DailyExpiry:
    """Applies the store's retention rules at the first call, and then once a day.

    It goes by the clock of the machine, never by the moment of a message: a replay that pretends
    to be in another year must not expire what people stored in this one.
    """

    def __init__(
        self, store: EventStore, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """Take the store and the clock."""
        self._store = store
        self._now = now
        self._next: datetime | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def __call__(self) -> None:
        """Start the work in a thread of its own when it is due; cheap otherwise."""
        now = self._now()
        with self._lock:
            if self._next is not None and now < self._next:
                return
            self._next = now + EVERY
            self._thread = threading.Thread(
                target=self._expire, args=(now,), name="expiry", daemon=True
            )
            self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait for work that is under way."""
        thread = self._thread
        if thread is not None:
            thread.join(seconds)

    def _expire(self, at: datetime) -> None:
        try:
            n_gone = self._store.expire(at=at)
        except StoreError as error:
            with self._lock:
                self._next = at + AGAIN_AFTER_TROUBLE
            logger.warning("retention waits: %s", error)
            return
        if n_gone:
            logger.info("retention", extra={"rows": n_gone})
