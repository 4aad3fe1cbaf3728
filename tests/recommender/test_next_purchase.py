from __future__ import annotations

import math

import numpy as np
import pytest

from recommender.next_purchase import (
    ItemKnnRanker,
    LearnedRanker,
    PopularityRanker,
    Purchases,
    cosine_likeness,
    first_days,
    judge_ranking,
    linear_likeness,
    split_latest,
)


def purchases(rows: list[tuple[int, int, float]], n_products: int, n_households: int) -> Purchases:
    return Purchases(
        households=np.array([r[0] for r in rows]),
        products=np.array([r[1] for r in rows]),
        counts=np.ones(len(rows)),
        days=np.array([r[2] for r in rows]),
        categories=np.arange(n_products) % 3,
        n_households=n_households,
    )


def test_the_latest_are_hidden_and_small_households_stay_whole() -> None:
    everything = purchases(
        [(0, p, float(p)) for p in (3, 1, 0, 4, 2)] + [(1, 0, 9.0), (1, 1, 8.0)], 5, 2
    )

    known, hidden = split_latest(everything, share=0.2, min_products=5)

    assert list(zip(hidden.households, hidden.products, strict=True)) == [(0, 4)]
    assert len(known.products) == 6
    assert list(first_days(hidden, 2, default=99.0)) == [4.0, 99.0]


def test_cosine_likeness_by_hand() -> None:
    bought = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])

    likeness = cosine_likeness(bought, 1.0)

    assert likeness[0, 1] == pytest.approx(2 / (math.sqrt(3 * 2) + 1))
    assert likeness[0, 2] == pytest.approx(1 / (math.sqrt(3) + 1))
    assert (np.diag(likeness) == 0).all()


def test_linear_likeness_is_the_ridge_solution_with_a_zero_diagonal() -> None:
    bought = (np.random.default_rng(1).random((60, 5)) < 0.5).astype(float)
    weights = linear_likeness(bought, 2.0)

    # Column j minimises |x_j - X w|^2 + 2 |w|^2 with w_j = 0: a ridge regression on the others.
    others = [0, 1, 3, 4]
    x, y = bought[:, others], bought[:, 2]
    expected = np.linalg.solve(x.T @ x + 2.0 * np.eye(4), x.T @ y)
    assert weights[others, 2] == pytest.approx(expected)
    assert (np.diag(weights) == 0).all()


def test_what_was_bought_is_not_ranked_and_ndcg_is_as_by_hand() -> None:
    known = purchases([(0, 0, 1.0)], 4, 1)
    hidden = purchases([(0, 2, 2.0), (0, 3, 3.0)], 4, 1)
    scores = np.array([[9.0, 5.0, 4.0, 1.0]])

    figures = judge_ranking(scores, known, hidden)

    # Ranking 1, 2, 3: hits at ranks 2 and 3.
    gain = 1 / math.log2(3) + 1 / math.log2(4)
    assert figures.ndcg_at_10 == pytest.approx(gain / (1 + 1 / math.log2(3)))
    assert figures.hit_at_10 == 1.0


def test_the_learned_profile_beats_popularity_where_tastes_are_planted() -> None:
    rng = np.random.default_rng(5)
    rows: list[tuple[int, int, float]] = []
    for household in range(240):
        mine = np.arange(15) + 15 * (household % 2)  # two kinds of household, disjoint shelves
        chosen = rng.choice(mine, size=7, replace=False)
        rows += [(household, int(p), float(day)) for day, p in enumerate(chosen)]
    known, hidden = split_latest(purchases(rows, 30, 240))
    cuts = first_days(hidden, 240, default=7.0)

    learned = judge_ranking(LearnedRanker.fit(known, seed=1).scores(known, cuts), known, hidden)
    popular = judge_ranking(PopularityRanker().scores(known, cuts), known, hidden)
    knn = judge_ranking(ItemKnnRanker().scores(known, cuts), known, hidden)

    # Eight or nine of one's own shelf are left: chance is all but certain to find it in ten.
    assert learned.hit_at_10 > 0.95
    assert knn.hit_at_10 > 0.95
    assert popular.hit_at_10 < 0.8
