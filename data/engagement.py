"""How people use it: rates with intervals, funnel, retention, coverage. Frames in, frames out.

The frames are those of `EventStore.slates_frame`, `impressions_frame` and `replies_frame`. A reward
belongs to an impression when it names the same slate and item, comes within its window and was
not taken back. No reply is no dislike.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.catalogue import ItemId
from data.events import ReplyKind
from data.rewards import DISLIKED_BY, LIKED_BY, PURCHASE_WINDOW, REPLY_WINDOW


@dataclass(frozen=True, slots=True, kw_only=True)
class Proportion:
    """A share of yes among n trials with its 95 % interval; all NaN when n is 0."""

    n_yes: int
    n: int
    rate: float
    low: float
    high: float


Z_95 = 1.959963984540054
"""The normal quantile of a two-sided 95 % interval."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A number with its 95 % interval, or nothing when it would speak of too few people."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    """What was counted: impressions, people, slates or items."""


def wilson(n_yes: int, n: int, *, z: float = Z_95) -> Proportion:
    """Give a proportion with the Wilson score interval, which is honest for small n too.

    centre = (p + z²/2n) / (1 + z²/n), half = z sqrt(p(1-p)/n + z²/4n²) / (1 + z²/n).

    Source: Wilson (1927).
    """
    if n == 0:
        return Proportion(n_yes=0, n=0, rate=math.nan, low=math.nan, high=math.nan)
    rate = n_yes / n
    scale = 1 + z * z / n
    centre = (rate + z * z / (2 * n)) / scale
    half = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)) / scale
    low = 0.0 if n_yes == 0 else max(0.0, centre - half)
    high = 1.0 if n_yes == n else min(1.0, centre + half)
    return Proportion(n_yes=n_yes, n=n, rate=rate, low=low, high=high)


def without_undone(replies: pd.DataFrame) -> pd.DataFrame:
    """Leave out replies that their own author took back, and the taking back itself."""
    is_undo = replies["kind"] == ReplyKind.UNDO.value
    undone = set(zip(replies.loc[is_undo, "user_key"], replies.loc[is_undo, "value"], strict=True))
    keys = zip(replies["user_key"], replies["reply_id"], strict=True)
    is_undone = np.fromiter((key in undone for key in keys), dtype=bool, count=len(replies))
    return replies[~is_undo & ~is_undone]


def rewarded(
    impressions: pd.DataFrame,
    replies: pd.DataFrame,
    kinds: Iterable[ReplyKind],
    *,
    reply_window: timedelta = REPLY_WINDOW,
    purchase_window: timedelta = PURCHASE_WINDOW,
) -> pd.Series[bool]:
    """Say for each impression whether a reply of one of the kinds came within its window.

    Returns:
        Booleans with the index of `impressions`. Purchases have the longer window.
    """
    wanted = {kind.value for kind in kinds}
    candidates = without_undone(replies)
    candidates = candidates[candidates["kind"].isin(wanted) & candidates["item_id"].notna()]
    pairs = (
        impressions[["slate_id", "item_id", "user_key", "delivered_at"]]
        .assign(row=np.arange(len(impressions)))
        .merge(
            candidates[["slate_id", "item_id", "user_key", "at", "kind"]],
            on=["slate_id", "item_id", "user_key"],
        )
    )
    is_purchase = pairs["kind"] == ReplyKind.PURCHASE.value
    waited = pairs["at"] - pairs["delivered_at"]
    in_time = (waited >= pd.Timedelta(0)) & (
        (waited <= reply_window) | (is_purchase & (waited <= purchase_window))
    )
    found = np.zeros(len(impressions), dtype=bool)
    found[pairs.loc[in_time, "row"].to_numpy(dtype=int)] = True
    return pd.Series(found, index=impressions.index, dtype=bool)


def like_rate(impressions: pd.DataFrame, replies: pd.DataFrame) -> Proportion:
    """Give liked impressions among all impressions; liked is a like, a save or a purchase."""
    return wilson(int(rewarded(impressions, replies, LIKED_BY).sum()), len(impressions))


def satisfaction(impressions: pd.DataFrame, replies: pd.DataFrame) -> Proportion:
    """Give liked impressions among those that somebody judged at all, one way or the other."""
    liked = rewarded(impressions, replies, LIKED_BY)
    disliked = rewarded(impressions, replies, DISLIKED_BY)
    return wilson(int(liked.sum()), int((liked | disliked).sum()))


def mean_rating(replies: pd.DataFrame) -> tuple[float, int]:
    """Give the mean of all ratings and their number; NaN when nobody rated."""
    ratings = without_undone(replies).query("kind == @ReplyKind.RATING.value")["value"]
    numbers = pd.to_numeric(ratings, errors="coerce").dropna()
    return (float(numbers.mean()) if len(numbers) else math.nan), len(numbers)


def funnel(impressions: pd.DataFrame, replies: pd.DataFrame) -> pd.DataFrame:
    """Count impressions that were shown, then clicked, then bought.

    Returns:
        Rows `shown`, `clicked`, `bought`; columns `n`, `of_shown` with `low` and `high` (Wilson),
        and `of_previous`. A purchase without a click of ours counts as a click as well.
    """
    bought = rewarded(impressions, replies, [ReplyKind.PURCHASE])
    clicked = rewarded(impressions, replies, [ReplyKind.CLICK]) | bought
    counts = {
        "shown": len(impressions),
        "clicked": int(clicked.sum()),
        "bought": int(bought.sum()),
    }
    rows, previous = [], len(impressions)
    for n in counts.values():
        share = wilson(n, len(impressions))
        rows.append(
            {
                "n": n,
                "of_shown": share.rate,
                "low": share.low,
                "high": share.high,
                "of_previous": n / previous if previous else math.nan,
            }
        )
        previous = n
    return pd.DataFrame(rows, index=pd.Index(list(counts), name="step"))


def activity(slates: pd.DataFrame, replies: pd.DataFrame) -> pd.DataFrame:
    """Give who did something when: columns `user_key`, `at`.

    A slate that we sent unasked is no act of the person.
    """
    asked = slates[~slates["trigger"].isin(["tip", "preview"])]
    columns = ["user_key", "at"]
    return pd.concat([asked[columns], replies[columns]], ignore_index=True)


def users_by_day(acts: pd.DataFrame) -> pd.Series[int]:
    """Count distinct users per UTC day, with zeros for days between on which nobody came."""
    if acts.empty:
        return pd.Series(dtype="int64", name="users")
    days = acts["at"].dt.tz_convert("UTC").dt.floor("D")
    users = acts.groupby(days)["user_key"].nunique()
    return users.asfreq("D", fill_value=0).rename("users").rename_axis("day")


def cohort_retention(
    acts: pd.DataFrame, *, until: pd.Timestamp, min_users: int = 5
) -> pd.DataFrame:
    """Follow users by the week of their first act: which share is active k weeks later.

    Args:
        acts: As `activity` gives them.
        until: The moment of the look; weeks that were not over by then are NaN.
        min_users: Smaller cohorts are left out, so that a row never describes a known person.

    Returns:
        One row per cohort (Monday, UTC), a column `size` and columns 0, 1, 2 ... with shares in
        [0, 1]; column 0 is 1 once the week is over.
    """
    if acts.empty:
        return pd.DataFrame(columns=["size"])
    weeks = _week(acts["at"])
    first = weeks.groupby(acts["user_key"]).transform("min")
    later = ((weeks - first).dt.days // 7).rename("week")
    active = acts["user_key"].groupby([first.rename("cohort"), later]).nunique().unstack("week")
    sizes = acts["user_key"].groupby(first.rename("cohort")).nunique()
    active = active[sizes >= min_users]
    sizes = sizes[sizes >= min_users]
    n_weeks = int(later.max()) + 1
    shares = active.reindex(columns=range(n_weeks)).fillna(0.0).div(sizes, axis=0)
    for week in range(n_weeks):
        is_over = [monday + timedelta(weeks=week + 1) <= until for monday in shares.index]
        shares[week] = shares[week].where(np.array(is_over))
    shares.insert(0, "size", sizes)
    return shares


def weekly_returns(shares: pd.DataFrame) -> pd.DataFrame:
    """Pool all cohorts: of the people whose k-th week later is over, how many were active in it.

    Args:
        shares: As `cohort_retention` gives them with `min_users=1`, so that nobody is left out.

    Returns:
        One row per week k >= 1 that is over for anybody; columns `n`, `n_yes`, `value`, `low`,
        `high` (Wilson).
    """
    rows, weeks = [], [int(column) for column in shares.columns if column not in ("size", 0)]
    for week in weeks:
        is_over = shares[week].notna()
        n = int(shares.loc[is_over, "size"].sum())
        n_yes = round(float((shares[week] * shares["size"]).sum()))
        found = wilson(n_yes, n)
        rows.append((n, n_yes, found.rate, found.low, found.high))
    table = pd.DataFrame(
        rows, index=pd.Index(weeks, name="week"), columns=["n", "n_yes", "value", "low", "high"]
    )
    return table[table["n"] > 0]


def clustered_mean(
    values: npt.NDArray[np.float64], clusters: npt.NDArray[np.int64], *, n: int | None = None
) -> Measure:
    """Give a mean whose interval knows that the rows of one person go together.

    se = sqrt(k / (k - 1) * sum over people of (sum of their residuals)²) / n, the linearised
    standard error of a ratio with k people as clusters.

    Args:
        values: (n,) one per row.
        clusters: (n,) number of the person of each row.
        n: Count to report; by default the number of rows.
    """
    rows = len(values)
    if rows == 0:
        return Measure(n=0)
    mean = float(values.mean())
    half = Z_95 * _clustered_spread(values - mean, clusters) / rows
    return Measure(mean, mean - half, mean + half, rows if n is None else n)


def _clustered_spread(
    influences: npt.NDArray[np.float64], clusters: npt.NDArray[np.int64]
) -> float:
    """Standard deviation of a sum of influences that go together by group; NaN with one group."""
    # Hashing numbers the groups several times faster than sorting.
    sums = np.bincount(pd.factorize(clusters)[0], weights=influences)
    k = len(sums)
    return math.sqrt(float((sums**2).sum()) * k / (k - 1)) if k > 1 else math.nan


def uneven_exposure(
    items: npt.NDArray[np.int64], users: npt.NDArray[np.int64], *, n_items: int
) -> Measure:
    """Give the Gini coefficient of exposure with an interval over people.

    One person more moves G by dG/dx_i = (2 i - n - 1) / (n T) - G / T for each item that is shown
    to them (i the item's rank, T all impressions); the spread of these sums gives the interval.

    Args:
        items: (n,) row in the catalogue of each impression, all in [0, n_items).
        users: (n,) number of the person of each impression.
        n_items: Items of the catalogue; those never shown count with 0.
    """
    counts = np.bincount(items, minlength=n_items).astype(np.float64)
    value, total = gini(counts), float(counts.sum())
    if math.isnan(value):
        return Measure(n=0)
    _, inverse, ties = np.unique(counts, return_inverse=True, return_counts=True)
    mean_ranks = (np.cumsum(ties) - (ties - 1) / 2)[inverse]
    gradient = (2 * mean_ranks - n_items - 1) / (n_items * total) - value / total
    half = Z_95 * _clustered_spread(gradient[items], users)
    return Measure(value, max(0.0, value - half), min(1.0, value + half), len(items))


def coverage(impressions: pd.DataFrame, item_ids: Collection[ItemId]) -> Proportion:
    """Give the items of the catalogue that were shown at least once, among all of them."""
    wanted = set(item_ids)
    return wilson(len(wanted & set(impressions["item_id"])), len(wanted))


def exposure_gini(impressions: pd.DataFrame, item_ids: Collection[ItemId]) -> float:
    """Give how unevenly exposure is spread: 0 when all items are shown equally often.

    With one item taking everything it is 1 - 1/n. Items never shown count with 0; NaN when
    nothing was shown.
    """
    counts = impressions["item_id"].value_counts().reindex(sorted(set(item_ids)), fill_value=0)
    return gini(counts.to_numpy().astype(np.float64))


def gini(amounts: npt.NDArray[np.float64]) -> float:
    """Give the Gini coefficient of amounts >= 0, NaN when their sum is 0.

    G = sum_i (2i - n - 1) x_i / (n sum_i x_i) over x in ascending order, i from 1.
    """
    ascending = np.sort(amounts)
    n, total = len(ascending), float(ascending.sum())
    if total == 0:
        return math.nan
    ranks = np.arange(1, n + 1)
    return float(((2 * ranks - n - 1) * ascending).sum() / (n * total))


def _week(moments: pd.Series[pd.Timestamp]) -> pd.Series[pd.Timestamp]:
    days = moments.dt.tz_convert("UTC").dt.floor("D")
    return days - pd.to_timedelta(days.dt.day_of_week, unit="D")
