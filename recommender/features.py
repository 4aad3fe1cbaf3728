"""One description of a candidate for a person now, for training and for serving alike.

The numbers that were served are logged with the slate, so that training reads what the policy saw.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from data.catalogue import Catalogue, Item, ItemId
from index.matches import Hit
from recommender.crowd import Answers, CrowdTaste
from recommender.item_graph import item_graph, spread
from recommender.profile import UserProfile

FEATURES: tuple[str, ...] = (
    "match",
    "dense",
    "lexical",
    "knowledge",
    "stated_taste",
    "popularity",
    "category_popularity",
    "item_affinity",
    "item_shown",
    "category_affinity",
    "category_like_rate",
    "category_shown",
    "crowd_favour",
    "crowd_doubt",
    "tag_affinity",
    "neighbour_affinity",
    "neighbour_like_rate",
    "price_known",
    "price_log",
    "price_above_liked",
    "price_distance",
    "in_season",
    "days_since_shown",
    "item_exposure",
    "category_exposure",
    "person_like_rate",
    "person_shown",
    "hour_sin",
    "hour_cos",
    "is_weekend",
)
"""Columns of `feature_matrix`, in order."""

FEATURE_VERSION = hashlib.sha256(",".join(FEATURES).encode()).hexdigest()[:8]
"""Changes with the columns; a model of another version is not used."""

_PRIOR_SHOWN = 4.0
_PRIOR_RATE = 0.2
_FORGOTTEN_DAYS = 60.0
_CROWD = 20.0
_MOST_SPREAD = 3_000
"""Items up to which the graph of alike items is built; it is quadratic."""
Similarities = Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Background:
    """What features need beside the person: the catalogue, the crowd, and which items are alike."""

    catalogue: Catalogue
    similarities: Similarities | None = None
    """(k,) rows -> (k, k) cosines between items; None leaves the neighbours out."""
    impressions: Mapping[ItemId, int] = field(default_factory=lambda: MappingProxyType({}))
    likes: Mapping[ItemId, int] = field(default_factory=lambda: MappingProxyType({}))
    transfer: CrowdTaste | None = None
    """Of `category_transfer`: who likes this also likes that."""

    @cached_property
    def rows_by_id(self) -> Mapping[ItemId, int]:
        return MappingProxyType({item.item_id: r for r, item in enumerate(self.catalogue)})

    @cached_property
    def category_codes(self) -> npt.NDArray[np.int64]:
        """(n_items,) number of each item's category."""
        codes = {c: n for n, c in enumerate(sorted({item.category for item in self.catalogue}))}
        return np.array([codes[item.category] for item in self.catalogue], dtype=np.int64)

    @cached_property
    def tag_shares(self) -> npt.NDArray[np.float64]:
        """(n_items, n_tags) 1 / number of its tags where the item has the tag."""
        tags = sorted({tag for item in self.catalogue for tag in item.tags})
        columns = {tag: n for n, tag in enumerate(tags)}
        shares = np.zeros((len(self.catalogue), len(tags)))
        for row, item in enumerate(self.catalogue):
            for tag in item.tags:
                shares[row, columns[tag]] = 1 / len(item.tags)
        return shares

    @cached_property
    def log_prices(self) -> npt.NDArray[np.float64]:
        """(n_items,) natural logarithm of 1 + price; NaN when unknown."""
        return np.array(
            [
                math.log1p(float(item.price)) if item.price is not None else math.nan
                for item in self.catalogue
            ]
        )

    @cached_property
    def seasons(self) -> npt.NDArray[np.bool_]:
        """(n_items, 13) whether the item is at its best in month 1..12; unknown counts as yes."""
        return np.array(
            [[not i.season or month in i.season for month in range(13)] for i in self.catalogue],
            dtype=bool,
        ).reshape(len(self.catalogue), 13)

    @cached_property
    def popularity(self) -> npt.NDArray[np.float64]:
        """(n_items,) the crowd's smoothed like rate; new items start a little above the mean."""
        shown, liked = self._counts
        return np.asarray((liked + _CROWD * self._expected * 1.1) / (shown + _CROWD))

    @cached_property
    def _expected(self) -> npt.NDArray[np.float64]:
        """(n_items,) the like rate to expect of each item before its own counts speak.

        The mean, moved by what is known of alike items: `benchmarks.little_data` shows that this
        ranks better while answers are few.
        """
        shown, liked = self._counts
        n = len(shown)
        mean = (liked.sum() + 2.0) / (shown.sum() + 10.0)
        if self.similarities is None or not 2 <= n <= _MOST_SPREAD or not shown.any():
            return np.full(n, mean)
        graph = item_graph(np.asarray(self.similarities(np.arange(n)), dtype=np.float64))
        rates = np.divide(liked, shown, out=np.zeros(n), where=shown > 0)
        flowing = spread(graph, rates, shown / (shown + _CROWD))
        return np.asarray(np.maximum(flowing, mean / 2))

    @cached_property
    def category_popularity(self) -> npt.NDArray[np.float64]:
        """(n_items,) the same for the item's category."""
        shown, liked = self._counts
        mean = (liked.sum() + 2.0) / (shown.sum() + 10.0)
        codes = self.category_codes
        by_code = (np.bincount(codes, liked) + _CROWD * mean) / (
            np.bincount(codes, shown) + _CROWD
        )
        return np.asarray(by_code[codes])

    @cached_property
    def _counts(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        items = self.catalogue.items
        shown = np.array([float(self.impressions.get(i.item_id, 0)) for i in items])
        liked = np.array([float(self.likes.get(i.item_id, 0)) for i in items])
        return shown, liked


def feature_matrix(
    profile: UserProfile,
    hits: Sequence[Hit],
    items: Sequence[Item],
    *,
    at: datetime,
    background: Background,
) -> npt.NDArray[np.float32]:
    """Describe each candidate for one person at one moment.

    Args:
        profile: Folded from what was known before `at`.
        hits: The candidates as retrieval scored them.
        items: The same candidates' items; all of them in `background.catalogue`.
        at: Aware UTC moment.
        background: The catalogue and the crowd.

    Returns:
        (n_candidates, len(FEATURES)) float32, finite. Rates in [0, 1]; affinities are decayed
        likes minus dislikes; a purchase counts 3.
    """
    n = len(hits)
    if n == 0:
        return np.zeros((0, len(FEATURES)), dtype=np.float32)
    rows = np.array([background.rows_by_id[item.item_id] for item in items], dtype=np.int64)
    past = _Past.of(profile, background, at=at)
    price = _prices(rows, past, background)
    weekday = at.weekday()
    angle = 2 * math.pi * (at.hour + at.minute / 60) / 24
    columns = (
        [hit.score for hit in hits],
        [hit.dense for hit in hits],
        [hit.lexical for hit in hits],
        [hit.knowledge for hit in hits],
        _stated(profile, items),
        background.popularity[rows],
        background.category_popularity[rows],
        past.affinity_by_row[rows],
        np.log1p(past.shown_by_row[rows]),
        *_category(rows, past, background),
        *_crowd_favour(rows, profile, background),
        _tags(rows, past, background),
        *_neighbours(rows, past, background),
        *price,
        background.seasons[rows, at.month],
        past.days_by_row[rows],
        past.exposure_by_row[rows],
        past.exposure_by_category[background.category_codes[rows]],
        np.full(n, past.like_rate),
        np.full(n, math.log1p(float(past.shown.sum()))),
        np.full(n, math.sin(angle)),
        np.full(n, math.cos(angle)),
        np.full(n, float(weekday >= 5)),
    )
    # Rounded as it is logged, so that training sees exactly what was served.
    return np.round(np.column_stack(columns), 4).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Past:
    """The person's history as arrays over the items it names."""

    rows: npt.NDArray[np.int64]
    affinity: npt.NDArray[np.float64]
    """Decayed: what is liked lately."""
    liked: npt.NDArray[np.float64]
    """Times liked, not decayed, as `shown` is not: their ratio does not fade with time."""
    shown: npt.NDArray[np.float64]
    affinity_by_row: npt.NDArray[np.float64]
    shown_by_row: npt.NDArray[np.float64]
    days_by_row: npt.NDArray[np.float64]
    exposure_by_row: npt.NDArray[np.float64]
    """Decayed times shown, of the item and of its category: what one has had enough of for now."""
    exposure_by_category: npt.NDArray[np.float64]

    @classmethod
    def of(cls, profile: UserProfile, background: Background, *, at: datetime) -> _Past:
        n_items = len(background.catalogue)
        by_id = background.rows_by_id
        known = [(by_id[i], h) for i, h in profile.history.items() if i in by_id]
        rows = np.array([row for row, _ in known], dtype=np.int64)
        affinity = np.array([h.affinity for _, h in known])
        liked = np.array([float(h.n_liked) for _, h in known])
        shown = np.array([float(h.n_met) for _, h in known])
        exposure = np.array([h.exposure for _, h in known])
        affinity_by_row, shown_by_row, exposure_by_row = np.zeros((3, n_items))
        days_by_row = np.full(n_items, _FORGOTTEN_DAYS)
        affinity_by_row[rows] = affinity
        shown_by_row[rows] = shown
        exposure_by_row[rows] = exposure
        for row, history in known:
            if history.shown_at is not None:
                days = (at - history.shown_at).total_seconds() / 86_400
                days_by_row[row] = min(max(days, 0.0), _FORGOTTEN_DAYS)
        codes = background.category_codes
        exposure_by_category = np.bincount(codes[rows], exposure, codes.max(initial=0) + 1)
        return cls(
            rows, affinity, liked, shown, affinity_by_row, shown_by_row, days_by_row,
            exposure_by_row, exposure_by_category.astype(np.float64),
        )  # fmt: skip

    @property
    def like_rate(self) -> float:
        liked = float(self.liked.sum())
        return (liked + _PRIOR_SHOWN * _PRIOR_RATE) / (float(self.shown.sum()) + _PRIOR_SHOWN)

    def rates(
        self, weights: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Sum over the history with (n, n_history) weights: affinity, like rate, times shown."""
        shown = weights @ self.shown
        liked = weights @ self.liked
        # A person who likes much likes much everywhere; the prior is their own rate.
        rate = (liked + _PRIOR_SHOWN * self.like_rate) / (shown + _PRIOR_SHOWN)
        return weights @ self.affinity / (shown + 1.0), rate, shown


def _stated(profile: UserProfile, items: Sequence[Item]) -> list[float]:
    wanted = profile.preferences
    return [float(i.category in wanted or bool(wanted & set(i.tags))) for i in items]


def _category(
    rows: npt.NDArray[np.int64], past: _Past, background: Background
) -> tuple[npt.NDArray[np.float64], ...]:
    codes = background.category_codes
    same = (codes[rows][:, None] == codes[past.rows][None, :]).astype(np.float64)
    affinity, rate, shown = past.rates(same)
    return affinity, rate, np.log1p(shown)


def answers_by_category(profile: UserProfile, background: Background) -> Answers:
    """Count what one person answered, (n_categories,) each, in the categories of the catalogue."""
    by_id, codes = background.rows_by_id, background.category_codes
    known = [(codes[by_id[i]], h) for i, h in profile.history.items() if i in by_id]
    category = np.array([code for code, _ in known], dtype=np.int64)
    counts = np.array([(h.n_liked, h.n_disliked, h.n_met) for _, h in known], dtype=np.float64)
    n_categories = int(codes.max(initial=0)) + 1
    liked, disliked, met = (
        np.bincount(category, count, n_categories).astype(np.float64)
        for count in counts.reshape(-1, 3).T
    )
    return Answers(liked, disliked, met)


def _crowd_favour(
    rows: npt.NDArray[np.int64], profile: UserProfile, background: Background
) -> tuple[npt.NDArray[np.float64], ...]:
    """What people of like taste think of each candidate's category, and how unsure that is."""
    crowd = background.transfer
    if crowd is None:
        return np.zeros(len(rows)), np.zeros(len(rows))
    codes = background.category_codes
    favour, doubt = crowd.posterior(answers_by_category(profile, background))
    return favour[codes[rows]], doubt[codes[rows]]


def _tags(
    rows: npt.NDArray[np.int64], past: _Past, background: Background
) -> npt.NDArray[np.float64]:
    shares = background.tag_shares
    if shares.shape[1] == 0 or not len(past.rows):
        return np.zeros(len(rows))
    worn = (shares[past.rows] > 0).astype(np.float64)
    by_tag = (past.affinity @ worn) / (past.shown @ worn + 1.0)
    return np.asarray(shares[rows] @ by_tag)


def _neighbours(
    rows: npt.NDArray[np.int64], past: _Past, background: Background
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    if background.similarities is None or not len(past.rows):
        return np.zeros(len(rows)), np.full(len(rows), past.like_rate)
    together = background.similarities(np.concatenate([rows, past.rows]))
    cosines = together[: len(rows), len(rows) :]
    # Cosines of one encoder lie in a narrow band; what is above its middle tells items apart.
    middle = float(cosines.mean())
    near = np.clip((cosines - middle) / max(1.0 - middle, 1e-6), 0.0, 1.0) ** 2
    affinity, rate, _ = past.rates(near)
    return affinity, rate


def _prices(
    rows: npt.NDArray[np.int64], past: _Past, background: Background
) -> tuple[npt.NDArray[np.float64], ...]:
    own = background.log_prices[rows]
    known = ~np.isnan(own)
    paid = background.log_prices[past.rows]
    weights = np.where(np.isnan(paid), 0.0, np.clip(past.affinity, 0, None))
    if weights.sum() > 0:
        usual = float(weights @ np.nan_to_num(paid) / weights.sum())
        away = np.where(known, own - usual, 0.0)
    else:
        away = np.zeros(len(rows))
    return known.astype(np.float64), np.where(known, own, 0.0), away, np.abs(away)


def logged_features(
    features: npt.NDArray[np.float32],
    item_ids: Sequence[ItemId],
    scores: npt.NDArray[np.float64],
    *,
    n: int = 10,
) -> dict[str, object]:
    """Give what a slate logs of its best `n` candidates, as small JSON values."""
    order = np.argsort(-scores, kind="stable")[:n]
    return {
        "version": FEATURE_VERSION,
        "item_ids": [str(item_ids[i]) for i in order],
        "rows": np.round(features[order].astype(np.float64), 4).tolist(),
    }
