"""A small shop and logs with a planted signal, for the tests of learning."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np

from data.catalogue import Catalogue, Item, ItemId, Lesson, LessonId
from index.matches import Hit, Matches, Query
from recommender.exploration import PolicyParameters
from recommender.features import FEATURES
from recommender.logged import LoggedSlates
from recommender.policy import Pool, SlotDistribution, draw

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
CATEGORIES = ("fruit", "vegetable", "fish", "dairy", "grain", "nut")


def a_shop(n_items: int = 24) -> Catalogue:
    items = [
        Item(
            item_id=ItemId(f"item-{n:02d}"),
            name_en=f"thing {n}",
            category=CATEGORIES[n % len(CATEGORIES)],
            tags=("sour",) if n % 3 == 0 else ("sweet", "gift"),
            price=Decimal(5 + n),
            season=frozenset({6, 7}) if n % 4 == 0 else frozenset(),
        )
        for n in range(n_items)
    ]
    lessons = [
        Lesson(lesson_id=LessonId(f"l{n}"), title=f"lesson {n}", text=f"text {n}")
        for n in range(4)
    ]
    return Catalogue.of(items, lessons)


class ShopMatcher:
    """Ranks a shop by a fixed order that turns with the text."""

    version = "shop-1"

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        n = len(catalogue)
        vectors = np.random.default_rng(4).normal(size=(n, 8))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        self.cosines = vectors @ vectors.T

    def match(self, query: Query, *, eligible: np.ndarray | None, top_k: int) -> Matches:
        n = len(self.catalogue)
        turn = sum(map(ord, query.text)) % n
        rows = [(turn + k) % n for k in range(n)]
        hits = tuple(
            Hit(
                item_id=self.catalogue.items[row].item_id, row=row, score=1 - k / n,
                dense=0.8, lexical=0.1, knowledge=0.0,
            )
            for k, row in enumerate(rows)
            if eligible is None or eligible[row]
        )  # fmt: skip
        return Matches(hits=hits[:top_k], floor=0.0, is_silent=False)

    def similarities(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self.cosines[np.ix_(rows, rows)])


def a_log(
    n_slates: int = 1_500,
    *,
    n_users: int = 150,
    strength: float = 1.5,
    seed: int = 3,
    parameters: PolicyParameters | None = None,
) -> LoggedSlates:
    """Slates whose likes follow `category_affinity`, drawn by a softmax policy over `match`."""
    rng = np.random.default_rng(seed)
    parameters = parameters or PolicyParameters(exploration_rate=0.3, temperature_in_sd=1.0)
    n, m, size = n_slates, 10, 3
    features = rng.normal(size=(n, m, len(FEATURES))).astype(np.float32).round(4)
    match = features[:, :, FEATURES.index("match")].astype(np.float64)
    order = np.argsort(-match, axis=1)
    features = np.take_along_axis(features, order[:, :, None], axis=1)
    scores = np.take_along_axis(match, order, axis=1)
    similarities = np.zeros((n, m, m), dtype=np.float32)
    chosen = np.zeros((n, size), dtype=np.int64)
    conditional, marginal = np.zeros((n, size)), np.zeros((n, size))
    for row in range(n):
        pool = Pool(
            item_ids=tuple(ItemId(str(k)) for k in range(m)),
            scores=scores[row],
            similarities=similarities[row].astype(np.float64),
        )
        made = draw(pool, SlotDistribution.of(pool, parameters), size=size, rng=rng).placements
        chosen[row] = [int(p.item_id) for p in made]
        conditional[row] = [p.propensity for p in made]
        marginal[row] = [p.marginal_propensity for p in made]
    truth = like_truth(features, strength)
    p_like = truth[np.arange(n)[:, None], chosen]
    return LoggedSlates(
        users=rng.integers(0, n_users, size=n),
        moments=np.array([(NOW + timedelta(minutes=k)).timestamp() for k in range(n)]),
        features=features,
        scores=scores,
        similarities=similarities,
        chosen=chosen,
        conditional=conditional,
        marginal=marginal,
        rewards=(rng.random((n, size)) < p_like).astype(float),
        wanted=np.ones((n, size)),
        unproven=np.zeros((n, m), dtype=bool),
    )


def like_truth(features: np.ndarray, strength: float) -> np.ndarray:
    """(n, M) the planted probability of a like."""
    signal = features[:, :, FEATURES.index("category_affinity")].astype(np.float64)
    return 1 / (1 + np.exp(1.0 - strength * signal))
