"""How much one person may ask: a token bucket each, so that nobody's flood delays the others.

Pure but for its own memory: the moment is passed in. Emergencies must be looked for first; a limit
on messages is no reason to withhold the number of the ambulance.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from data.events import UserKey

QUIET = timedelta(minutes=1)
"""So long nobody is told again that they are too fast."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: datetime
    told_at: datetime | None = None


class Quotas:
    """Token buckets by person.

    A person may send `burst` messages at once, and `per_minute` in the long run. Any thread may call.
    """

    def __init__(
        self, *, burst: int = 20, per_minute: float = 20.0, most_people: int = 10_000
    ) -> None:
        """Set the limits.

        Args:
            burst: Messages at once, at least 1.
            per_minute: Messages a minute in the long run, above 0.
            most_people: How many people are remembered; beyond, who has been silent longest is
                forgotten, which can only be to their advantage.

        Raises:
            ValueError: A limit that lets nobody through.
        """
        if burst < 1 or per_minute <= 0 or most_people < 1:
            raise ValueError(f"{burst=}, {per_minute=}, {most_people=}: expected positive limits")
        self._burst = float(burst)
        self._per_second = per_minute / 60.0
        self._most_people = most_people
        self._buckets: OrderedDict[UserKey, _Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def allow(self, user_key: UserKey, at: datetime) -> bool:
        """Take one token; False when there is none.

        A clock that goes back refills nothing and takes nothing away.
        """
        with self._lock:
            bucket = self._refilled(user_key, at)
            if bucket.tokens < 1.0:
                return False
            bucket.tokens -= 1.0
            return True

    def should_tell(self, user_key: UserKey, at: datetime) -> bool:
        """Whether to tell a person that was refused: once a minute, else silence."""
        with self._lock:
            bucket = self._refilled(user_key, at)
            if bucket.told_at is not None and timedelta(0) <= at - bucket.told_at < QUIET:
                return False
            bucket.told_at = at
            return True

    def wait(self, user_key: UserKey, at: datetime) -> timedelta:
        """Give how long until the next message is allowed; zero when it is now."""
        with self._lock:
            bucket = self._refilled(user_key, at)
            missing = max(0.0, 1.0 - bucket.tokens)
            return timedelta(seconds=missing / self._per_second)

    def forget(self, user_key: UserKey) -> None:
        """Drop what is remembered of a person."""
        with self._lock:
            self._buckets.pop(user_key, None)

    def __len__(self) -> int:
        return len(self._buckets)

    def _refilled(self, user_key: UserKey, at: datetime) -> _Bucket:
        bucket = self._buckets.get(user_key)
        if bucket is None:
            bucket = self._buckets[user_key] = _Bucket(self._burst, at)
            while len(self._buckets) > self._most_people:
                self._buckets.popitem(last=False)
            return bucket
        self._buckets.move_to_end(user_key)
        seconds = (at - bucket.at).total_seconds()
        if seconds > 0:
            bucket.tokens = min(self._burst, bucket.tokens + seconds * self._per_second)
        # Also after a jump back: the next moment is measured from the clock as it is now.
        bucket.at = at
        return bucket
