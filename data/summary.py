"""Figures for admins from frames: headline numbers and tables. Pure.

Nothing is told about fewer than five people: such a cell is left out (None), and shown as `<5`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.catalogue import ItemId
from data.engagement import cohort_retention, gini, wilson
from data.history import Frames

FEWEST = 5
LONGEST_TABLE = 25


@dataclass(frozen=True, slots=True)
class Share:
    """A share with interval, or nothing when it would speak of fewer than five people."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What the page shows for one period."""

    n_users: int
    n_lessons: int
    n_slates: int
    n_degraded: int
    n_impressions: int
    like_rate: Share
    satisfaction: Share
    coverage: float
    exposure_gini: float
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """`days`, `funnel`, `retention`, `items`, `lessons`, `policies`; values of few people are NaN."""


def summarise(
    frames: Frames, whole: Frames, item_ids: Collection[ItemId], *, at: datetime
) -> Summary:
    """Count.

    Args:
        frames: The period.
        whole: All time; retention needs to know everybody's first week.
        item_ids: The catalogue, for coverage.
        at: Now; weeks not yet over are left out of the retention.
    """
    impressions, slates, texts = frames.impressions, frames.slates, frames.names.texts
    users = np.concatenate([slates["user"].to_numpy(), frames.acts["user"].to_numpy()])
    shown_by_item = dict(zip(*_counts(impressions["item"].to_numpy()), strict=True))
    known = {text: n for code, n in shown_by_item.items() if (text := texts[code])}
    exposure = np.array([known.get(i, 0) for i in sorted(set(item_ids))], dtype=np.float64)
    liked = impressions["liked"].to_numpy()
    judged = liked | impressions["disliked"].to_numpy()
    people = impressions["user"].to_numpy()
    uneven = gini(exposure)
    return Summary(
        n_users=len(pd.unique(users)),
        n_lessons=len(_counts(slates["lesson"].to_numpy())[0]),
        n_slates=len(slates),
        n_degraded=int(slates["is_degraded"].sum()),
        n_impressions=len(impressions),
        like_rate=_share(int(liked.sum()), len(impressions), len(pd.unique(people))),
        satisfaction=_share(int(liked.sum()), int(judged.sum()), len(pd.unique(people[judged]))),
        coverage=float((exposure > 0).mean()) if len(exposure) else 0.0,
        exposure_gini=0.0 if math.isnan(uneven) else uneven,
        tables={
            "days": _days(frames),
            "funnel": _funnel(impressions),
            "retention": _retention(whole.acts, at=at),
            "items": _by(impressions, "item", texts),
            "lessons": _by(impressions, "lesson", texts),
            "policies": _by(impressions, "policy", texts)[["shown", "value", "low", "high"]],
        },
    )


def _counts(codes: npt.NDArray[np.int64]) -> tuple[list[int], list[int]]:
    """Distinct codes >= 0, the most frequent first, and how often each occurs."""
    told = codes[codes >= 0]
    if len(told) == 0:
        return [], []
    counts = np.bincount(told)
    found = np.flatnonzero(counts)
    order = found[np.argsort(-counts[found], kind="stable")]
    return order.tolist(), counts[order].tolist()


def _people(
    codes: npt.NDArray[np.int64], users: npt.NDArray[np.int64], n: int
) -> npt.NDArray[np.int64]:
    """(n,) distinct users per code."""
    told = codes >= 0
    pairs = pd.unique((codes[told] << 32) | users[told])
    counts: npt.NDArray[np.int64] = np.bincount(pairs >> 32, minlength=n).astype(np.int64)
    return counts


def _share(n_yes: int, n: int, n_people: int) -> Share:
    if n_people < FEWEST or n == 0:
        return Share(n=n)
    found = wilson(n_yes, n)
    return Share(found.rate, found.low, found.high, n)


def _days(frames: Frames) -> pd.DataFrame:
    """People, slates and items shown per UTC day; NaN where one to four people came."""
    acts = frames.acts["day"].to_numpy()
    slates, shown = (_day_of(f["at"]) for f in (frames.slates, frames.impressions))
    every = np.concatenate([acts, slates, shown])
    if len(every) == 0:
        return pd.DataFrame(columns=["people", "slates", "shown"])
    first, n = int(every.min()), int(every.max() - every.min()) + 1
    counts = {
        name: np.bincount(days - first, minlength=n).astype(float)
        for name, days in (("people", acts), ("slates", slates), ("shown", shown))
    }
    table = pd.DataFrame(counts, index=pd.to_datetime(np.arange(first, first + n), unit="D"))
    few = (table["people"] > 0) & (table["people"] < FEWEST)
    # What tips show on a day without any act still speaks of people whom nobody counted.
    few |= (table["people"] == 0) & (table["shown"] > 0)
    return table.mask(few, math.nan)


def _day_of(moments: pd.Series[pd.Timestamp]) -> npt.NDArray[np.int64]:
    return np.asarray((moments - pd.Timestamp(0, tz="UTC")).dt.days, dtype=np.int64)


def _funnel(impressions: pd.DataFrame) -> pd.DataFrame:
    """Shown, clicked, bought: number and share of shown with its interval."""
    n, users = len(impressions), impressions["user"].to_numpy()
    everybody = len(pd.unique(users))
    rows = []
    for step in ("shown", "clicked", "bought"):
        yes = np.ones(n, dtype=bool) if step == "shown" else impressions[step].to_numpy()
        n_yes, n_people = int(yes.sum()), len(pd.unique(users[yes]))
        found = wilson(n_yes, n)
        row = (n_yes, found.rate, found.low, found.high)
        is_few = everybody < FEWEST or 0 < n_people < FEWEST
        rows.append((math.nan,) * 4 if is_few else row)
    table = pd.DataFrame(
        rows, index=["shown", "clicked", "bought"], columns=["n", "value", "low", "high"]
    )
    return table if n else table.iloc[:0]


def _retention(acts: pd.DataFrame, *, at: datetime) -> pd.DataFrame:
    if acts.empty:
        return pd.DataFrame(columns=["size"])
    # One act a week is all that retention asks for; 1970 began on a Thursday, weeks begin on Monday.
    mondays = acts["day"].to_numpy() - (acts["day"].to_numpy() + 3) % 7
    weekly = pd.DataFrame({"user_key": acts["user"].to_numpy(), "day": mondays}).drop_duplicates()
    moments = pd.to_datetime(weekly["day"], unit="D", utc=True)
    shares = cohort_retention(
        weekly.assign(at=moments), until=pd.Timestamp(at), min_users=FEWEST
    ).tail(12)
    weeks = [column for column in shares.columns if column != "size"][:13]
    for week in weeks:
        people = shares[week] * shares["size"]
        shares[week] = shares[week].mask((people > 0.5) & (people < FEWEST - 0.5))
    shares = shares[["size", *weeks]]
    shares.index = pd.Index([monday.date().isoformat() for monday in shares.index], name="week")
    return shares


def _by(impressions: pd.DataFrame, column: str, texts: list[str]) -> pd.DataFrame:
    """What was shown most: times shown, liked, clicked, bought, like rate. Rows of few people are left out."""
    codes, users = impressions[column].to_numpy(), impressions["user"].to_numpy()
    columns = ["shown", "liked", "clicked", "bought", "value", "low", "high"]
    top, shown = _counts(codes)
    n = max(top, default=-1) + 1
    people = _people(codes, users, n)
    told = {}
    for flag in ("liked", "clicked", "bought"):
        yes = impressions[flag].to_numpy()
        counts = np.bincount(codes[yes & (codes >= 0)], minlength=n).astype(float)
        who = _people(codes[yes], users[yes], n)
        counts[(who > 0) & (who < FEWEST)] = math.nan
        told[flag] = counts
    rows: list[tuple[float, ...]] = []
    labels: list[str] = []
    for code, n_shown in zip(top, shown, strict=True):
        if people[code] < FEWEST or len(rows) >= LONGEST_TABLE:
            continue
        liked, clicked, bought = (
            float(told[flag][code]) for flag in ("liked", "clicked", "bought")
        )
        rate: tuple[float, ...] = (math.nan,) * 3
        if not math.isnan(liked):
            found = wilson(int(liked), n_shown)
            rate = (found.rate, found.low, found.high)
        rows.append((n_shown, liked, clicked, bought, *rate))
        labels.append(texts[code])
    return pd.DataFrame(rows, index=labels, columns=columns)
