"""The tables of the figures, from frames: days, funnel, retention, items, lessons, policies. Pure.

Nothing is told about fewer than five people: such a value is NaN, or its row is left out.
"""

from __future__ import annotations

import math
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.engagement import cohort_retention, weekly_returns, wilson
from data.history import Frames

FEWEST = 5
LONGEST_TABLE = 25


def counted(codes: npt.NDArray[np.int64]) -> tuple[list[int], list[int]]:
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


def by_day(frames: Frames) -> pd.DataFrame:
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


def funnel_of(impressions: pd.DataFrame) -> pd.DataFrame:
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


def retention_of(acts: pd.DataFrame, *, at: datetime) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The triangle of the latest cohorts, and all cohorts pooled by week."""
    if acts.empty:
        nobody = pd.DataFrame(columns=["size"])
        return nobody, pd.DataFrame(columns=["n", "value", "low", "high"])
    # One act a week is all that retention asks for; 1970 began on a Thursday, weeks begin on Monday.
    mondays = acts["day"].to_numpy() - (acts["day"].to_numpy() + 3) % 7
    weekly = pd.DataFrame({"user_key": acts["user"].to_numpy(), "day": mondays}).drop_duplicates()
    moments = pd.to_datetime(weekly["day"], unit="D", utc=True)
    every = cohort_retention(weekly.assign(at=moments), until=pd.Timestamp(at), min_users=1)
    shares = every[every["size"] >= FEWEST].tail(12)
    weeks = [column for column in shares.columns if column != "size"][:13]
    for week in weeks:
        people = shares[week] * shares["size"]
        shares[week] = shares[week].mask((people > 0.5) & (people < FEWEST - 0.5))
    shares = shares[["size", *weeks]]
    shares.index = pd.Index([monday.date().isoformat() for monday in shares.index], name="week")
    return shares, _returning(every)


def _returning(every: pd.DataFrame) -> pd.DataFrame:
    pooled = weekly_returns(every).head(12)
    few = (pooled["n"] < FEWEST) | ((pooled["n_yes"] > 0) & (pooled["n_yes"] < FEWEST))
    told = pooled[["n", "value", "low", "high"]].astype(float)
    return told.mask(few, math.nan)


def by_code(impressions: pd.DataFrame, column: str, texts: list[str]) -> pd.DataFrame:
    """What was shown most: times shown, liked, clicked, bought, like rate. Rows of few people are left out."""
    codes, users = impressions[column].to_numpy(), impressions["user"].to_numpy()
    columns = ["shown", "liked", "clicked", "bought", "value", "low", "high"]
    top, shown = counted(codes)
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
