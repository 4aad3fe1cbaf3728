"""Figures against tables worked by hand."""

from __future__ import annotations

import math

import pytest

from data.catalogue import ItemId, LessonId
from index.evaluation import judge, ndcg

A, B, C, D = map(ItemId, "abcd")
ONE, TWO, MUTE = map(LessonId, ("one", "two", "mute"))


def test_ndcg_with_linear_gain_as_worked_by_hand() -> None:
    # 1 / log2(2) + 2 / log2(3), against 2 / log2(2) + 1 / log2(3).
    expected = (1 + 2 / math.log2(3)) / (2 + 1 / math.log2(3))

    assert ndcg([A, B], {A: 1, B: 2}, 3, False) == pytest.approx(expected)


def test_ndcg_with_steep_gain_as_worked_by_hand() -> None:
    # grades 3, 1: gains 7, 1; the ranking misses the best.
    expected = 1 / (7 + 1 / math.log2(3))

    assert ndcg([B, C, D], {A: 3, B: 1}, 3, True) == pytest.approx(expected)


@pytest.mark.parametrize("ranking", [[], [D], [C]], ids=["empty", "unjudged", "harmful"])
def test_what_is_not_good_gains_nothing(ranking: list[ItemId]) -> None:
    assert ndcg(ranking, {A: 2, C: -1}, 3, False) == 0.0


def test_the_ideal_ranking_has_one() -> None:
    assert ndcg([A, B, C], {A: 3, B: 2, C: 1}, 10, True) == pytest.approx(1.0)


def test_a_table_of_four_lessons_as_worked_by_hand() -> None:
    grades = {
        ONE: {A: 3, B: 1, C: -1},
        TWO: {A: 2, D: 1},
        LessonId("missing"): {A: 1},
        MUTE: {},
    }
    rankings = {ONE: [A, C, B], TWO: [B, C, D], MUTE: [C, B, A]}

    figures = judge(rankings, {MUTE, TWO}, grades, silent={MUTE})

    assert figures.lessons == 3
    assert figures.best_in_top_3 == pytest.approx(1 / 3)
    assert figures.harmful_in_top_3 == 1
    assert figures.rightly_silent == 1.0
    assert figures.wrongly_silent == pytest.approx(1 / 3)
    one = (7 + 1 / 2) / (7 + 1 / math.log2(3))
    two = (1 / 2) / (3 + 1 / math.log2(3))
    assert figures.ndcg_at_3 == pytest.approx((one + two + 0) / 3)


def test_nothing_judged_is_no_failure() -> None:
    figures = judge({}, set(), {})

    assert (figures.lessons, figures.ndcg_at_10, figures.rightly_silent) == (0, 0.0, 0.0)
