"""Figures for admins from frames: headline numbers and tables. Pure.

Nothing is told about fewer than five people: such a cell is left out (None), and shown as `<5`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.catalogue import ItemId
from data.engagement import (
    Measure,
    clustered_mean,
    uneven_exposure,
    wilson,
)
from data.history import Frames, Subject, SubjectKind
from data.summary_tables import FEWEST, by_code, by_day, counted, funnel_of, retention_of

MOST_COMPARED = 1_000
"""Slates whose items are compared with each other; of more an even selection is taken."""

Similarities = Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float64]]
"""(k,) rows of the catalogue -> (k, k) cosines of the items."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The figures of one period, of everything or of one lesson or item."""

    n_users: int
    n_lessons: int
    n_slates: int
    n_silent: int
    """Slates that offered nothing."""
    n_degraded: int
    n_impressions: int
    like_rate: Measure
    """Liked impressions (like, save, purchase) of all."""
    satisfaction: Measure
    """Liked impressions of those judged either way."""
    clicked: Measure
    bought: Measure
    returned: Measure
    """People active in the week after their first one, of all whose second week is over."""
    coverage: Measure
    """Items of the catalogue that were shown at all."""
    exposure_gini: Measure
    """0 when all items are shown equally often, towards 1 when few take everything."""
    similarity: Measure
    """Mean cosine of two items of one slate; n is slates. Untold without embeddings."""
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """`days`, `funnel`, `retention`, `returning`, `items`, `lessons`, `policies`; values of few
    people are NaN."""


def summarise(
    frames: Frames,
    whole: Frames,
    item_ids: Sequence[ItemId],
    *,
    at: datetime,
    subject: Subject | None = None,
    similarities: Similarities | None = None,
) -> Summary:
    """Count.

    Args:
        frames: The period.
        whole: All time; retention needs to know everybody's first week.
        item_ids: The catalogue in its order, for coverage and similarity.
        at: Now; weeks not yet over are left out of the retention.
        subject: Narrows to one lesson or item; retention is then nobody's, and for an item neither
            are coverage, evenness and similarity.
        similarities: Compares items by their rows in the catalogue.
    """
    if subject is not None:
        frames, whole = frames.about(subject), whole.about(subject)
    impressions, slates, texts = frames.impressions, frames.slates, frames.names.texts
    users = np.concatenate(
        [slates["user"].to_numpy(), frames.acts["user"].to_numpy(), impressions["user"].to_numpy()]
    )
    liked = impressions["liked"].to_numpy()
    judged = liked | impressions["disliked"].to_numpy()
    people = impressions["user"].to_numpy()
    everybody = len(pd.unique(people))
    retention, returning = retention_of(
        whole.acts if subject is None else whole.acts.iloc[:0], at=at
    )
    funnel = funnel_of(impressions)
    is_of_many = subject is None or subject.kind is not SubjectKind.ITEM
    rows = _rows_of(impressions["item"].to_numpy(), texts, item_ids)
    return Summary(
        n_users=len(pd.unique(users)),
        n_lessons=len(counted(slates["lesson"].to_numpy())[0]),
        n_slates=len(slates),
        n_silent=int(slates["is_silent"].sum()),
        n_degraded=int(slates["is_degraded"].sum()),
        n_impressions=len(impressions),
        like_rate=_share(people, liked, np.ones(len(impressions), dtype=bool)),
        satisfaction=_share(people, liked, judged),
        clicked=_measure(funnel, "clicked", n=len(impressions)),
        bought=_measure(funnel, "bought", n=len(impressions)),
        returned=_returned(returning),
        coverage=_covered(rows, len(item_ids)) if is_of_many else Measure(),
        exposure_gini=_evenness(rows, people, len(item_ids)) if is_of_many else Measure(),
        similarity=(
            _similarity(impressions, rows, similarities)
            if similarities is not None and is_of_many and everybody >= FEWEST
            else Measure()
        ),
        tables={
            "days": by_day(frames),
            "funnel": funnel,
            "retention": retention,
            "returning": returning,
            "items": by_code(impressions, "item", texts),
            "lessons": by_code(impressions, "lesson", texts),
            "policies": by_code(impressions, "policy", texts)[["shown", "value", "low", "high"]],
        },
    )


def _rows_of(
    codes: npt.NDArray[np.int64], texts: Sequence[str], item_ids: Sequence[ItemId]
) -> npt.NDArray[np.int64]:
    """(n,) row in the catalogue of each shown item; -1 for one that is no longer in it."""
    row_by_id = {str(item_id): row for row, item_id in enumerate(item_ids)}
    known = np.full(max(len(texts), 1), -1, dtype=np.int64)
    for code in counted(codes)[0]:
        known[code] = row_by_id.get(texts[code], -1)
    return np.asarray(known[codes], dtype=np.int64)


def _covered(rows: npt.NDArray[np.int64], n_items: int) -> Measure:
    n_shown = len(pd.unique(rows[rows >= 0]))
    found = wilson(n_shown, n_items)
    return Measure(found.rate, found.low, found.high, n_items) if n_items else Measure()


def _evenness(rows: npt.NDArray[np.int64], people: npt.NDArray[np.int64], n_items: int) -> Measure:
    known = rows >= 0
    if len(pd.unique(people[known])) < FEWEST:
        return Measure(n=int(known.sum()))
    return uneven_exposure(rows[known], people[known], n_items=n_items)


def _similarity(
    impressions: pd.DataFrame, rows: npt.NDArray[np.int64], similarities: Similarities
) -> Measure:
    """Mean over slates of the mean cosine of their pairs; slates with unknown items are left out."""
    starts = np.flatnonzero(impressions["opens"].to_numpy())
    if len(starts) == 0:
        return Measure()
    sizes = np.diff(np.append(starts, len(rows)))
    several = np.flatnonzero((sizes >= 2) & (np.minimum.reduceat(rows, starts) >= 0))
    if len(several) == 0:
        return Measure()
    picked = several[_evenly(len(several), MOST_COMPARED)]
    means = np.empty(len(picked))
    for size in np.unique(sizes[picked]):
        of_size = np.flatnonzero(sizes[picked] == size)
        shown = rows[starts[picked[of_size]][:, None] + np.arange(size)]
        distinct, places = np.unique(shown, return_inverse=True)
        cosines, places = similarities(distinct), places.reshape(shown.shape)
        blocks = cosines[places[:, :, None], places[:, None, :]]
        own = np.trace(blocks, axis1=1, axis2=2)
        means[of_size] = (blocks.sum(axis=(1, 2)) - own) / (size * (size - 1))
    return clustered_mean(means, impressions["user"].to_numpy()[starts[picked]])


def _evenly(n: int, most: int) -> npt.NDArray[np.int64]:
    """Places of at most `most` of n things, spread evenly."""
    if n <= most:
        return np.arange(n)
    return np.unique(np.linspace(0, n - 1, most).astype(np.int64))


def _measure(table: pd.DataFrame, label: object, *, n: int) -> Measure:
    """One row of a table with value, low and high; without a value when that is not told."""
    if label not in table.index:
        return Measure(n=n)
    value, low, high = table.loc[[label], ["value", "low", "high"]].to_numpy(dtype=float)[0]
    if math.isnan(value):
        return Measure(n=n)
    return Measure(float(value), float(low), float(high), n)


def _returned(returning: pd.DataFrame) -> Measure:
    counts = returning.loc[returning.index == 1, "n"].to_numpy(dtype=float)
    n = int(counts[0]) if len(counts) and not math.isnan(counts[0]) else 0
    return _measure(returning, 1, n=n)


def _share(
    people: npt.NDArray[np.int64], yes: npt.NDArray[np.bool_], among: npt.NDArray[np.bool_]
) -> Measure:
    """A share of rows, told when at least five people stand behind all of them and behind the yes."""
    n, n_yes = int(among.sum()), int((yes & among).sum())
    n_saying_yes = len(pd.unique(people[yes & among]))
    if n == 0 or len(pd.unique(people[among])) < FEWEST or 0 < n_saying_yes < FEWEST:
        return Measure(n=n)
    found = wilson(n_yes, n)
    return Measure(found.rate, found.low, found.high, n)
