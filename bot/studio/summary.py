"""Figures for admins from frames: headline numbers and tables. Pure.

Nothing is told about fewer than five people: such a cell is left out (None), and shown as `<5`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pandas as pd

from bot.studio.history import Frames
from data.catalogue import ItemId
from data.engagement import Proportion, activity, cohort_retention, gini, wilson

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
    impressions, slates = frames.impressions, frames.slates
    users = set(slates["user_key"].unique()) | set(frames.replies["user_key"].unique())
    exposure = impressions["item_id"].value_counts()
    shown = exposure.reindex(sorted(set(item_ids)), fill_value=0)
    known = int((shown > 0).sum())
    judged = impressions["liked"] | impressions["disliked"]
    n_people = int(impressions["user_key"].nunique())
    uneven = gini(shown.to_numpy().astype(np.float64))
    return Summary(
        n_users=len(users),
        n_lessons=int(slates["lesson_id"].nunique()),
        n_slates=len(slates),
        n_degraded=int((slates["mode"] != "full").sum()),
        n_impressions=len(impressions),
        like_rate=_share(int(impressions["liked"].sum()), len(impressions), n_people),
        satisfaction=_share(
            int(impressions["liked"].sum()),
            int(judged.sum()),
            int(impressions.loc[judged, "user_key"].nunique()),
        ),
        coverage=known / len(shown) if len(shown) else 0.0,
        exposure_gini=0.0 if math.isnan(uneven) else uneven,
        tables={
            "days": _days(frames),
            "funnel": _funnel(impressions),
            "retention": _retention(whole, at=at),
            "items": _by(impressions, "item_id"),
            "lessons": _by(impressions[impressions["lesson_id"].notna()], "lesson_id"),
            "policies": _policies(impressions, slates),
        },
    )


def _share(n_yes: int, n: int, n_people: int) -> Share:
    if n_people < FEWEST:
        return Share(n=n)
    found = wilson(n_yes, n)
    return Share(*_clean(found), n=n)


def _clean(found: Proportion) -> tuple[float | None, float | None, float | None]:
    low, rate, high = found.low, found.rate, found.high
    return (None, None, None) if math.isnan(rate) else (rate, low, high)


def _days(frames: Frames) -> pd.DataFrame:
    """People, slates and items shown per UTC day; NaN where one to four people came."""
    acts = activity(frames.slates, frames.replies)
    if acts.empty:
        return pd.DataFrame(columns=["people", "slates", "shown"])
    people = acts.groupby(acts["at"].dt.floor("D"))["user_key"].nunique()
    slates = frames.slates.groupby(frames.slates["at"].dt.floor("D")).size()
    shown = frames.impressions.groupby(frames.impressions["delivered_at"].dt.floor("D")).size()
    table = pd.DataFrame({"people": people, "slates": slates, "shown": shown}).fillna(0)
    table = table.asfreq("D", fill_value=0)
    few = (table["people"] > 0) & (table["people"] < FEWEST)
    return table.astype(float).mask(few, math.nan)


def _funnel(impressions: pd.DataFrame) -> pd.DataFrame:
    """Shown, clicked, bought: number and share of shown with its interval."""
    n = len(impressions)
    rows = []
    for step in ("shown", "clicked", "bought"):
        yes = impressions if step == "shown" else impressions[impressions[step]]
        people = int(yes["user_key"].nunique())
        is_few = 0 < people < FEWEST
        found = wilson(len(yes), n)
        rows.append(
            {"n": math.nan, "value": math.nan, "low": math.nan, "high": math.nan}
            if is_few
            else {"n": len(yes), "value": found.rate, "low": found.low, "high": found.high}
        )
    return pd.DataFrame(rows, index=["shown", "clicked", "bought"])


def _retention(whole: Frames, *, at: datetime) -> pd.DataFrame:
    acts = activity(whole.slates, whole.replies)
    if acts.empty:
        return pd.DataFrame(columns=["size"])
    days = acts.assign(at=acts["at"].dt.floor("D")).drop_duplicates()
    shares = cohort_retention(days, until=pd.Timestamp(at), min_users=FEWEST).tail(12)
    weeks = [column for column in shares.columns if column != "size"][:13]
    for week in weeks:
        people = shares[week] * shares["size"]
        shares[week] = shares[week].mask((people > 0.5) & (people < FEWEST - 0.5))
    shares = shares[["size", *weeks]]
    shares.index = pd.Index([monday.date().isoformat() for monday in shares.index], name="week")
    return shares


def _by(impressions: pd.DataFrame, column: str) -> pd.DataFrame:
    """What was shown most: times shown, liked, clicked, bought, like rate. Rows of few people are left out."""
    columns = ["shown", "liked", "clicked", "bought", "value", "low", "high"]
    if impressions.empty:
        return pd.DataFrame(columns=columns)
    counts = impressions[column].value_counts()
    top = impressions[impressions[column].isin(counts.index[:LONGEST_TABLE])]
    groups = top.groupby(column, sort=False)
    table = groups[["liked", "clicked", "bought"]].sum()
    table.insert(0, "shown", groups.size())
    table = table[groups["user_key"].nunique() >= FEWEST]
    for flag in ("liked", "clicked", "bought"):
        people = top[top[flag]].groupby(column)["user_key"].nunique()
        few = people[people < FEWEST].index
        table[flag] = table[flag].astype(float).mask(table.index.isin(few))
    rates = [
        wilson(int(y), int(n)) if y == y else None
        for y, n in zip(table["liked"], table["shown"], strict=True)
    ]
    table["value"] = [r.rate if r else math.nan for r in rates]
    table["low"] = [r.low if r else math.nan for r in rates]
    table["high"] = [r.high if r else math.nan for r in rates]
    return table.sort_values("shown", ascending=False)[columns]


def _policies(impressions: pd.DataFrame, slates: pd.DataFrame) -> pd.DataFrame:
    """Like rate per policy version that made the slates, where at least five people saw it."""
    columns = ["shown", "value", "low", "high"]
    if impressions.empty:
        return pd.DataFrame(columns=columns)
    names = (slates["policy"] + " " + slates["policy_version"]).set_axis(slates["slate_id"])
    policy = impressions["slate_id"].map(names[~names.index.duplicated()])
    groups = impressions.groupby(policy)
    rows = {}
    for name, group in groups:
        if group["user_key"].nunique() >= FEWEST:
            found = wilson(int(group["liked"].sum()), len(group))
            rows[str(name)] = (len(group), found.rate, found.low, found.high)
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)
