"""The event log as frames for the figures. What is over is read once; only the rest is read again.

An impression gathers rewards for seven days at most (`data.engagement.PURCHASE_WINDOW`), so nothing
changes before the midnight eight days ago, except that people have their data erased. Therefore the past
is read anew every hour.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from data.engagement import DISLIKED_BY, LIKED_BY, rewarded, without_undone
from data.events import ReplyKind
from data.store import EventStore

OPEN_DAYS = 8
REREAD_AFTER = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """What happened. `impressions` has the flags liked, disliked, clicked and bought in addition."""

    slates: pd.DataFrame
    impressions: pd.DataFrame
    replies: pd.DataFrame

    def between(self, since: datetime | None, until: datetime) -> Frames:
        return Frames(
            slates=_cut(self.slates, "at", since, until),
            impressions=_cut(self.impressions, "delivered_at", since, until),
            replies=_cut(self.replies, "at", since, until),
        )


def _cut(
    frame: pd.DataFrame, column: str, since: datetime | None, until: datetime
) -> pd.DataFrame:
    if frame.empty:
        return frame
    moments = frame[column]
    inside = moments < until
    if since is not None:
        inside &= moments >= since
    return frame[inside]


class History:
    """Gives the frames up to now; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._past: Frames | None = None
        self._cut: datetime | None = None
        self._read_at: datetime | None = None

    def frames(self, store: EventStore, *, at: datetime) -> Frames:
        """Everything until `at`."""
        with self._lock:
            cut = at.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=OPEN_DAYS)
            is_old = self._read_at is None or at - self._read_at > REREAD_AFTER
            if self._past is None or cut != self._cut or is_old:
                self._past = read(store, since=None, until=cut)
                self._cut, self._read_at = cut, at
            past = self._past
        recent = read(store, since=cut, until=at + timedelta(seconds=1))
        return Frames(
            slates=_joined(past.slates, recent.slates),
            impressions=_joined(past.impressions, recent.impressions),
            replies=_joined(past.replies, recent.replies),
        )


def read(store: EventStore, *, since: datetime | None, until: datetime) -> Frames:
    """Read and flag one stretch; rewards may come up to a week after its end."""
    impressions = store.impressions_frame(since=since, until=until)
    later = until + timedelta(days=OPEN_DAYS - 1)
    answers = store.replies_frame(since=since, until=later)
    flags = {
        "liked": LIKED_BY,
        "disliked": DISLIKED_BY,
        "clicked": [ReplyKind.CLICK, ReplyKind.PURCHASE],
        "bought": [ReplyKind.PURCHASE],
    }
    told = without_undone(answers) if len(answers) else answers
    for name, kinds in flags.items():
        impressions[name] = rewarded(impressions, told, kinds) if len(told) else False
    keep = ["slate_id", "user_key", "item_id", "lesson_id", "delivered_at", *flags]
    return Frames(
        slates=store.slates_frame(since=since, until=until),
        impressions=impressions[keep],
        replies=_cut(answers, "at", since, until)[["user_key", "at", "kind"]],
    )


def _joined(past: pd.DataFrame, recent: pd.DataFrame) -> pd.DataFrame:
    if past.empty or recent.empty:
        return recent if past.empty else past
    return pd.concat([past, recent], ignore_index=True)
