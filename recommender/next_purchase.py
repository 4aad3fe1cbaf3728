"""What a household will buy next that it has not bought before, from what it bought when.

The learned profile ranks by a logistic model over the household's own traces (co-purchases,
categories) and the crowd's (popularity, what sells these weeks). It is trained by hiding each
household's latest purchase among those known, so that it never sees what it is judged by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_NEGATIVES = 80
_HIDDEN_SHARES = (0.2, 0.35, 0.5)
_WINDOWS_DAYS = (7.0, 21.0, 60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchases:
    """Who bought what when last; one row per household and product type."""

    households: Ints
    """(n,) numbers from 0."""
    products: Ints
    """(n,) numbers from 0."""
    counts: Floats
    """(n,) times bought."""
    days: Floats
    """(n,) day of the last purchase, any origin."""
    categories: Ints
    """(n_products,) number of each product's category."""
    n_households: int

    @property
    def n_products(self) -> int:
        return len(self.categories)

    def rows(self, which: npt.NDArray[np.bool_]) -> Purchases:
        return Purchases(
            households=self.households[which],
            products=self.products[which],
            counts=self.counts[which],
            days=self.days[which],
            categories=self.categories,
            n_households=self.n_households,
        )

    def matrix(self) -> Floats:
        """(n_households, n_products) 1 where bought."""
        bought = np.zeros((self.n_households, self.n_products))
        bought[self.households, self.products] = 1.0
        return bought


def split_latest(
    purchases: Purchases, *, share: float = 0.2, min_products: int = 5
) -> tuple[Purchases, Purchases]:
    """Hide each household's latest product types: a share of them, at least one.

    Households with fewer than `min_products` types stay whole on the known side. Of equal moments
    the higher product number counts as later.

    Returns:
        (known, hidden).
    """
    order = np.lexsort((purchases.products, purchases.days, purchases.households))
    hidden = np.zeros(len(order), dtype=bool)
    households = purchases.households[order]
    starts = np.flatnonzero(np.r_[True, households[1:] != households[:-1]])
    for start, end in zip(starts, np.r_[starts[1:], len(order)], strict=True):
        n = int(end - start)
        if n >= min_products:
            hidden[order[end - max(1, round(n * share)) : end]] = True
    return purchases.rows(~hidden), purchases.rows(hidden)


class Ranker(Protocol):
    """Scores every product for every household."""

    def scores(self, known: Purchases, cuts: Floats) -> Floats:
        """Give (n_households, n_products); `cuts` (n_households,) is the day of the question."""


class PopularityRanker:
    """By the number of households that bought it."""

    def scores(self, known: Purchases, cuts: Floats) -> Floats:
        popularity = known.matrix().sum(axis=0)
        return np.broadcast_to(popularity, (known.n_households, known.n_products)).copy()


@dataclass(frozen=True, slots=True)
class ItemKnnRanker:
    """By cosine co-purchase with what the household has, shrunk for rare products."""

    shrinkage: float = 10.0

    def scores(self, known: Purchases, cuts: Floats) -> Floats:
        bought = known.matrix()
        return bought @ cosine_likeness(bought, self.shrinkage)


def cosine_likeness(bought: Floats, shrinkage: float) -> Floats:
    """Give (n_products, n_products) |A and B| / (sqrt(|A| |B|) + shrinkage), 0 on the diagonal."""
    together = bought.T @ bought
    sizes = np.diag(together).copy()
    likeness = together / (np.sqrt(np.outer(sizes, sizes)) + shrinkage)
    np.fill_diagonal(likeness, 0.0)
    return likeness


def linear_likeness(bought: Floats, regularisation: float) -> Floats:
    """Give the closed-form linear item-item weights with zero diagonal.

    B = I - P diag(1 / diag P), P = (X'X + lambda I)^-1. Source: Steck (2019), EASE.
    """
    gram = bought.T @ bought
    inverse = np.linalg.inv(gram + regularisation * np.eye(len(gram)))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return weights


@dataclass(frozen=True, slots=True)
class LearnedRanker:
    """The learned profile."""

    model: Any
    """scikit-learn classifier over `_features`."""

    @classmethod
    def fit(cls, known: Purchases, *, seed: int) -> LearnedRanker:
        """Learn from households whose latest known purchases are hidden in turn.

        Each household asks several questions, one for each share of its purchases that is hidden;
        so there is more to learn from than the last few of each.
        """
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        rng = np.random.default_rng(seed)
        parts = [_questions(known, share, rng) for share in _HIDDEN_SHARES]
        rows = np.concatenate([rows for rows, _ in parts])
        labels = np.concatenate([labels for _, labels in parts])
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
        return cls(model.fit(rows, labels))

    def scores(self, known: Purchases, cuts: Floats) -> Floats:
        features = _features(known, cuts)
        flat = features.reshape(-1, features.shape[-1])
        found = self.model.decision_function(flat)
        return np.asarray(found, dtype=np.float64).reshape(features.shape[:2])


def _questions(
    known: Purchases, share: float, rng: np.random.Generator
) -> tuple[Floats, npt.NDArray[np.float64]]:
    """Hide the latest `share` of each household; (m, F) rows and (m,) labels, 1 for bought next."""
    before, latest = split_latest(known, share=share, min_products=3)
    cuts = first_days(latest, known.n_households, default=float(known.days.max()))
    features = _features(before, cuts)
    taken = before.matrix() + latest.matrix()
    rows: list[Floats] = []
    labels: list[float] = []
    for household, product in zip(latest.households, latest.products, strict=True):
        free = np.flatnonzero(taken[household] == 0)
        wrong = rng.choice(free, size=min(_NEGATIVES, len(free)), replace=False)
        rows += [features[household, [product]], features[household, wrong]]
        labels += [1.0] + [0.0] * len(wrong)
    return np.concatenate(rows), np.array(labels)


def first_days(hidden: Purchases, n_households: int, *, default: float) -> Floats:
    """(n_households,) day of the first hidden purchase; `default` where nothing is hidden."""
    days = np.full(n_households, np.inf)
    np.minimum.at(days, hidden.households, hidden.days)
    return np.where(np.isfinite(days), days, default)


def _features(known: Purchases, cuts: Floats) -> Floats:
    """(n_households, n_products, F)."""
    bought = known.matrix()
    n_products = known.n_products
    popularity = bought.sum(axis=0)
    sizes = bought.sum(axis=1, keepdims=True)
    per_item = np.maximum(sizes, 1.0)
    knn = bought @ cosine_likeness(bought, 10.0)
    linear = bought @ linear_likeness(bought, 150.0)
    category = np.zeros((n_products, int(known.categories.max()) + 1))
    category[np.arange(n_products), known.categories] = 1.0
    own = bought @ category
    crowd_category = popularity @ category
    affinity = (own / per_item)[:, known.categories]
    share = np.log1p(popularity / np.maximum(crowd_category[known.categories], 1.0))
    latest = _latest(known, bought)
    basket = _latest(known, bought, half_life_days=3.0)
    factors = _factor_scores(bought)
    columns = [
        np.broadcast_to(np.log1p(popularity), bought.shape),
        np.broadcast_to(share, bought.shape),
        np.log1p(knn),
        np.log1p(knn / per_item),
        linear,
        affinity,
        np.log1p(own[:, known.categories]),
        np.log1p(latest @ cosine_likeness(bought, 10.0)),
        np.log1p(basket @ cosine_likeness(bought, 10.0)),
        np.log1p((basket @ category)[:, known.categories]),
        factors,
        np.log1p(per_item) * np.log1p(popularity),
        *(np.log1p(_recent(known, cuts, window)) for window in _WINDOWS_DAYS),
    ]
    return np.stack([np.asarray(c, dtype=np.float64) for c in columns], axis=2)


def _latest(known: Purchases, bought: Floats, half_life_days: float = 60.0) -> Floats:
    """(n_households, n_products) what was bought, weighed by how lately before the last time."""
    ends = np.full(known.n_households, -np.inf)
    np.maximum.at(ends, known.households, known.days)
    weights = np.zeros_like(bought)
    age = ends[known.households] - known.days
    weights[known.households, known.products] = 0.5 ** (age / half_life_days)
    return weights


def _factor_scores(bought: Floats, n_factors: int = 12) -> Floats:
    """(n_households, n_products) low-rank picture of the purchases, rows scaled by their length."""
    scaled = bought / np.sqrt(np.maximum(bought.sum(axis=1, keepdims=True), 1.0))
    scaled /= np.sqrt(np.maximum(bought.sum(axis=0), 1.0)) ** 0.8
    left, strengths, right = np.linalg.svd(scaled, full_matrices=False)
    found = (left[:, :n_factors] * strengths[:n_factors]) @ right[:n_factors]
    return np.asarray(found, dtype=np.float64)


def _recent(known: Purchases, cuts: Floats, window_days: float) -> Floats:
    """(n_households, n_products) last purchases by anybody in the days before each cut."""
    order = np.argsort(known.days, kind="stable")
    days, products = known.days[order], known.products[order]
    grid = np.unique(np.round(cuts))
    counts = np.stack(
        [
            np.bincount(
                products[np.searchsorted(days, day - window_days) : np.searchsorted(days, day)],
                minlength=known.n_products,
            )
            for day in grid
        ]
    )
    return counts[np.searchsorted(grid, np.round(cuts))].astype(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingFigures:
    """Means over households with hidden purchases."""

    hit_at_10: float
    ndcg_at_10: float
    per_household: Floats
    """(m, 2) hit and NDCG of each household."""


def judge_ranking(scores: Floats, known: Purchases, hidden: Purchases) -> RankingFigures:
    """Rank all products that a household has not bought yet; never sampled ones.

    NDCG@10 has binary gains: sum 1 / log2(rank + 1) over hits, over that of the ideal ranking.
    """
    ranked = scores.copy()
    ranked[known.households, known.products] = -np.inf
    wanted = hidden.matrix() > 0
    discounts = 1 / np.log2(np.arange(2, 12))
    rows: list[tuple[float, float]] = []
    for household in np.unique(hidden.households):
        top = np.argsort(-ranked[household], kind="stable")[:10]
        hits = wanted[household, top]
        ideal = discounts[: min(10, int(wanted[household].sum()))].sum()
        rows.append((float(hits.any()), float((hits * discounts[: len(hits)]).sum() / ideal)))
    figures = np.array(rows)
    return RankingFigures(
        hit_at_10=float(figures[:, 0].mean()),
        ndcg_at_10=float(figures[:, 1].mean()),
        per_household=figures,
    )


def relative_gain(ours: Sequence[float], best: Sequence[float]) -> float:
    """Give mean(ours) / mean(best) - 1."""
    return float(np.mean(ours) / np.mean(best) - 1)
