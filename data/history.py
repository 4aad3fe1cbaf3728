"""The event log as frames for figures. What is over is read once; only the rest is read again.

An impression gathers rewards for seven days at most (`data.rewards.PURCHASE_WINDOW`), so nothing
changes before the midnight eight days ago, except that people have their data erased. Therefore the past
is read anew every hour, the open days every ten minutes, and today with every look.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.engagement import activity, rewarded, without_undone
from data.events import Mode, ReplyKind
from data.rewards import DISLIKED_BY, LIKED_BY
from data.store import EventStore

OPEN_DAYS = 8
REREAD_PAST = timedelta(hours=1)
REREAD_OPEN = timedelta(minutes=10)


class Vocabulary:
    """Gives every text a small number that stays. Counting numbers is ten times faster than texts."""

    def __init__(self) -> None:
        self._code_by_text: dict[str, int] = {}
        self.texts: list[str] = []

    def codes(self, texts: pd.Series[str]) -> npt.NDArray[np.int64]:
        """Give (n,) codes; -1 for a missing text."""
        local, distinct = pd.factorize(texts)
        known = np.array([*(self._code(str(text)) for text in distinct), -1], dtype=np.int64)
        return known[local]

    def code_of(self, text: str) -> int:
        """Give the code of one text; -1 when it was never seen."""
        return self._code_by_text.get(text, -1)

    def _code(self, text: str) -> int:
        code = self._code_by_text.setdefault(text, len(self.texts))
        if code == len(self.texts):
            self.texts.append(text)
        return code


class SubjectKind(StrEnum):
    """What figures can be narrowed to."""

    LESSON = "lesson"
    ITEM = "item"


@dataclass(frozen=True, slots=True)
class Subject:
    """One lesson or one item."""

    kind: SubjectKind
    subject_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """What happened, with codes in place of texts; `names` reads them back."""

    slates: pd.DataFrame
    """`slate` (its id as text), `at`, `user`, `lesson`, `model`, and the flags `is_degraded` and
    `is_silent` (offered nothing)."""
    impressions: pd.DataFrame
    """`at`, `user`, `item`, `lesson`, `policy`, `position`, `slate` (its id as text), the flags
    liked, disliked, clicked, bought, and `opens`: the row is the first of its slate. Rows of a slate
    follow each other."""
    acts: pd.DataFrame
    """`user`, `day` (days since 1970), once each: on that day the person did something."""
    names: Vocabulary

    def between(self, since: datetime | None, until: datetime) -> Frames:
        """One stretch; an act belongs to it with its whole day."""
        first = 0 if since is None else (since.date() - date(1970, 1, 1)).days
        return Frames(
            slates=_cut(self.slates, since, until),
            impressions=_cut(self.impressions, since, until),
            acts=self.acts[self.acts["day"] >= first],
            names=self.names,
        )

    def about(self, subject: Subject) -> Frames:
        """What was shown of one item or with one lesson; an act is then to have been shown it."""
        column, code = str(subject.kind), self.names.code_of(subject.subject_id)
        shown = self.impressions[self.impressions[column] == code]
        if subject.kind is SubjectKind.LESSON:
            slates = self.slates[self.slates["lesson"] == code]
        else:
            slates = self.slates[self.slates["slate"].isin(shown["slate"])]
        days = (shown["at"] - pd.Timestamp(0, tz="UTC")).dt.days.to_numpy(dtype=np.int64)
        seen = pd.DataFrame({"user": shown["user"].to_numpy(), "day": days}).drop_duplicates()
        return replace(self, slates=slates, impressions=shown, acts=seen)


def _cut(frame: pd.DataFrame, since: datetime | None, until: datetime) -> pd.DataFrame:
    inside = frame["at"] < until
    if since is not None:
        inside &= frame["at"] >= since
    return frame if inside.all() else frame[inside]


class History:
    """Gives the frames up to now; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names = Vocabulary()
        self._past = _Kept(REREAD_PAST)
        self._open = _Kept(REREAD_OPEN)

    def frames(self, store: EventStore, *, at: datetime) -> Frames:
        """Everything until `at`."""
        today = at.replace(hour=0, minute=0, second=0, microsecond=0)
        cut = today - timedelta(days=OPEN_DAYS)
        with self._lock:
            parts = (
                self._past.get(store, self._names, since=None, until=cut, at=at),
                self._open.get(store, self._names, since=cut, until=today, at=at),
                read(store, self._names, since=today, until=at + timedelta(seconds=1)),
            )
        return Frames(
            slates=pd.concat([part.slates for part in parts], ignore_index=True),
            impressions=pd.concat([part.impressions for part in parts], ignore_index=True),
            acts=pd.concat([part.acts for part in parts], ignore_index=True),
            names=self._names,
        )


class _Kept:
    """One stretch, read again when its bounds move or it is too old."""

    def __init__(self, longest: timedelta) -> None:
        self._longest = longest
        self._frames: Frames | None = None
        self._bounds: tuple[datetime | None, datetime] | None = None
        self._read_at: datetime | None = None

    def get(
        self,
        store: EventStore,
        names: Vocabulary,
        *,
        since: datetime | None,
        until: datetime,
        at: datetime,
    ) -> Frames:
        is_old = self._read_at is None or at - self._read_at > self._longest
        if self._frames is None or self._bounds != (since, until) or is_old:
            self._frames = read(store, names, since=since, until=until)
            self._bounds, self._read_at = (since, until), at
        return self._frames


FLAGS = {
    "liked": LIKED_BY,
    "disliked": DISLIKED_BY,
    "clicked": frozenset({ReplyKind.CLICK, ReplyKind.PURCHASE}),
    "bought": frozenset({ReplyKind.PURCHASE}),
}


def read(
    store: EventStore, names: Vocabulary, *, since: datetime | None, until: datetime
) -> Frames:
    """Read, flag and code one stretch; rewards may come up to a week after its end.

    `since` must be a midnight (UTC), so that no day is read in two parts.
    """
    slates = store.slates_frame(since=since, until=until)
    shown = store.impressions_frame(since=since, until=until)
    answers = store.replies_frame(since=since, until=until + timedelta(days=OPEN_DAYS - 1))
    told = without_undone(answers)
    policies = pd.Series(
        (slates["policy"] + " " + slates["policy_version"]).to_numpy(), index=slates["slate_id"]
    )
    impressions = pd.DataFrame(
        {
            "at": shown["delivered_at"],
            "user": names.codes(shown["user_key"]),
            "item": names.codes(shown["item_id"]),
            "lesson": names.codes(shown["lesson_id"]),
            "policy": names.codes(shown["slate_id"].map(policies)),
            "position": shown["position"].to_numpy(dtype=np.int64),
            "slate": shown["slate_id"],
            "opens": (shown["slate_id"] != shown["slate_id"].shift()).to_numpy(dtype=bool),
            **{
                # `rewarded` looks for withdrawn replies itself; it need not look at all of them again.
                name: rewarded(shown, told[told["kind"].isin([k.value for k in kinds])], kinds)
                for name, kinds in FLAGS.items()
            },
        }
    )
    acts = activity(slates, answers[answers["at"] < until])
    days = pd.DataFrame(
        {
            "user": names.codes(acts["user_key"]),
            "day": (acts["at"] - pd.Timestamp(0, tz="UTC")).dt.days.to_numpy(dtype=np.int64),
        }
    )
    return Frames(
        slates=pd.DataFrame(
            {
                "slate": slates["slate_id"],
                "at": slates["at"],
                "user": names.codes(slates["user_key"]),
                "lesson": names.codes(slates["lesson_id"]),
                "model": names.codes(slates["model_version"]),
                "is_degraded": (slates["mode"] != Mode.FULL.value).to_numpy(dtype=bool),
                "is_silent": slates["is_silent"].to_numpy(dtype=bool),
            }
        ),
        impressions=impressions,
        acts=days.drop_duplicates(ignore_index=True),
        names=names,
    )
