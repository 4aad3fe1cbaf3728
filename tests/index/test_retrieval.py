from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.retrieval import reciprocal_rank_fusion

rankings = st.lists(st.lists(st.integers(0, 9), unique=True, max_size=8), max_size=4)


def test_what_both_rankings_like_comes_first() -> None:
    fused = reciprocal_rank_fusion([[1, 2, 3], [3, 1, 4]])

    assert list(fused) == [1, 3, 2, 4]
    assert fused[1] == pytest.approx(1 / 61 + 1 / 62)


@given(rankings=rankings, order=st.randoms(use_true_random=False))
def test_fusion_does_not_depend_on_the_order_of_the_rankings(
    rankings: list[list[int]], order: object
) -> None:
    shuffled = list(rankings)
    order.shuffle(shuffled)  # type: ignore[attr-defined]

    assert list(reciprocal_rank_fusion(shuffled).items()) == list(
        reciprocal_rank_fusion(rankings).items()
    )


@given(rankings=rankings)
def test_every_row_is_scored_once_and_in_falling_order(rankings: list[list[int]]) -> None:
    fused = reciprocal_rank_fusion(rankings)

    assert set(fused) == {row for ranking in rankings for row in ranking}
    assert list(fused.values()) == sorted(fused.values(), reverse=True)


@given(ranking=st.lists(st.integers(0, 50), unique=True, max_size=20))
def test_one_ranking_keeps_its_order(ranking: list[int]) -> None:
    assert list(reciprocal_rank_fusion([ranking])) == ranking


def test_a_repeated_row_counts_at_its_best_rank() -> None:
    assert reciprocal_rank_fusion([[7, 7, 8]]) == reciprocal_rank_fusion([[7, 8]])


def test_a_negative_constant_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 0 or more"):
        reciprocal_rank_fusion([[1]], k=-1)
