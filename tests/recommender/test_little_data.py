from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.catalogue import ItemId, LessonId
from data.events import Judgement
from recommender.item_graph import item_graph, spread
from recommender.little_data import active_queries, pseudo_labelled
from tests.recommender.learning_world import a_log


class Scripted:
    version = "scripted"

    def __init__(self, p: np.ndarray) -> None:
        self.p = p

    def predict(self, features: np.ndarray, positions: np.ndarray | None = None) -> np.ndarray:
        return self.p[: len(features)]


def test_only_very_sure_rows_become_labels_and_never_more_than_real_ones() -> None:
    rows = a_log(60).impressions()
    few, rest = rows.rows(np.arange(4)), rows.rows(np.arange(4, 104))
    p = np.full(100, 0.5)
    p[:6] = (0.95, 0.03, 0.99, 0.92, 0.91, 0.94)
    p[6] = 0.89

    grown = pseudo_labelled(few, rest, Scripted(p))

    assert len(grown) == 8  # four real, four surest
    assert list(grown.labels[4:]) == [1.0, 0.0, 1.0, 1.0]  # 0.99, 0.03, 0.95, 0.94
    np.testing.assert_array_equal(grown.features[4], rest.features[2])


def test_an_unseen_item_follows_its_neighbour_and_not_the_stranger() -> None:
    cosines = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]])

    rates = spread(
        item_graph(cosines, n_neighbours=1),
        np.array([0.8, 0.0, 0.2]),
        np.array([0.9, 0.0, 0.9]),
    )

    assert rates[0] > rates[1] > 0.5  # the mean is 0.5; the neighbour is liked
    assert rates[2] < 0.5


def test_two_linked_items_spread_as_worked_out_by_hand() -> None:
    graph = np.array([[0.0, 1.0], [1.0, 0.0]])

    rates = spread(graph, np.array([1.0, 0.0]), np.array([1.0, 0.0]), alpha=0.5, n_steps=60)

    # The mean is the one known rate, 1; deviations are all 0.
    assert rates == pytest.approx([1.0, 1.0])


@given(st.integers(2, 12), st.integers(0, 2**16))
@settings(max_examples=40, deadline=None)
def test_spread_rates_stay_rates(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    graph = item_graph(vectors @ vectors.T, n_neighbours=3)

    rates = spread(graph, rng.random(n), rng.random(n))

    assert ((rates >= 0) & (rates <= 1)).all()
    assert np.allclose(graph, graph.T)
    assert np.abs(np.linalg.eigvalsh(graph)).max() <= 1 + 1e-9


def test_the_undecided_pair_is_asked_and_no_pair_twice() -> None:
    lessons, items = [LessonId("l0"), LessonId("l1")], [ItemId("a"), ItemId("b"), ItemId("c")]
    scores = np.array([[0.9, 0.5, 0.1], [0.95, 0.9, 0.52]])

    first, second = active_queries(lessons, items, scores, floor=0.5, n=5)

    assert {(first.lesson_id, first.item_id), (second.lesson_id, second.item_id)} <= {
        ("l0", "b"), ("l1", "c"),
    }  # fmt: skip
    judged = Judgement(
        judgement_id="j", at=datetime(2026, 1, 1, tzinfo=UTC), lesson_id=first.lesson_id,
        item_id=first.item_id, grade=2, creator="c",
    )  # fmt: skip
    again = active_queries(lessons, items, scores, floor=0.5, judgements=[judged], n=5)
    assert (first.lesson_id, first.item_id) not in {(q.lesson_id, q.item_id) for q in again}
    assert len({q.lesson_id for q in again}) == len(again)


def test_no_lessons_no_questions() -> None:
    assert active_queries([], [], np.zeros((0, 0)), floor=0.1) == []
