"""A matcher that steps down instead of failing: to what is popular, else to creators' pins."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from data.catalogue import Catalogue, ItemId
from data.errors import StoreError
from data.events import Mode, ReplyKind
from data.store import EventStore
from index.matches import Hit, Matcher, Matches, Query

logger = logging.getLogger(__name__)

Popularity = Mapping[ItemId, float]
POPULAR_WINDOW = timedelta(days=90)
_FRESH_SECONDS = 300.0


def popularity_of(store: EventStore, *, at: datetime) -> dict[ItemId, float]:
    """Share of people's likes and purchases that each item got lately, the most popular 1."""
    liked = Counter(
        reply.item_id
        for reply in store.replies(since=at - POPULAR_WINDOW, until=at)
        if reply.item_id is not None
        and reply.kind in (ReplyKind.LIKE, ReplyKind.SAVE, ReplyKind.PURCHASE)
    )
    most = max(liked.values(), default=0)
    return {item_id: count / most for item_id, count in liked.items()} if most else {}


class RecentPopularity:
    """Popularity looked up at most every five minutes, since a broken index asks at each turn."""

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
        self._looked_at = float("-inf")
        self._known: Popularity = {}

    def __call__(self) -> Popularity:
        """Give the popularity of items; empty while the store cannot tell."""
        if self._monotonic() - self._looked_at > _FRESH_SECONDS:
            try:
                self._known = popularity_of(self._store, at=self._now())
            except StoreError:
                logger.warning("popularity is unknown: the store is down")
            self._looked_at = self._monotonic()
        return self._known


@dataclass(frozen=True)
class SteadyMatcher:
    """A matcher that steps down instead of failing: popular eligible items, or none but pins."""

    inner: Matcher
    catalogue: Catalogue
    popularity: Callable[[], Popularity] = field(default=dict)

    @property
    def version(self) -> str:
        return self.inner.version

    def match(self, query: Query, *, eligible: np.ndarray | None, top_k: int) -> Matches:
        """As `Matcher.match`; never raises."""
        try:
            return self.inner.match(query, eligible=eligible, top_k=top_k)
        except Exception as error:  # a damaged index raises whatever it likes
            logger.error(
                "matching failed; offering pins and popular items",
                extra={"because": type(error).__name__},
            )
            return self._popular(eligible, top_k)

    def similarities(self, rows: np.ndarray) -> np.ndarray:
        """As `Matcher.similarities`; items count as unlike when nothing is known."""
        try:
            return self.inner.similarities(rows)
        except Exception as error:
            logger.warning("similarities unknown", extra={"because": type(error).__name__})
            return np.eye(len(rows))

    def _popular(self, eligible: np.ndarray | None, top_k: int) -> Matches:
        popularity = self.popularity()
        hits = [
            Hit(
                item_id=item.item_id, row=row, score=popularity[item.item_id], dense=0.0,
                lexical=0.0, knowledge=0.0,
            )
            for row, item in enumerate(self.catalogue.items)
            if popularity.get(item.item_id, 0.0) > 0 and (eligible is None or eligible[row])
        ]  # fmt: skip
        hits.sort(key=lambda hit: (-hit.score, hit.row))
        return Matches(
            hits=tuple(hits[:top_k]),
            floor=0.0,
            is_silent=not hits,
            mode=Mode.POPULAR if hits else Mode.PINS,
        )
