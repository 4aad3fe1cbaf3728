from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from index.fusion import WEIGHTS, Fusion, Views

FEATURES = ("title", "text", "dish", "pattern", "topic", "staple", "doubt", "avoid")
unit = st.floats(0, 1)


def views(n: float = 1, **values: float | NDArray[np.float64]) -> Views:
    n = int(n)
    columns = {name: np.full(n, 0.0) + values.get(name, 0.0) for name in FEATURES}
    return Views(
        dense=np.zeros(n),
        dense_z=np.full(n, 0.0) + values.get("dense", 0.0),
        lexical=np.full(n, 0.0) + values.get("lexical", 0.0),
        cooking=float(values.get("cooking", 0.0)),
        features=columns,
    )


@given(
    values=st.fixed_dictionaries(dict.fromkeys((*FEATURES, "lexical", "cooking"), unit)),
    deviations=st.floats(-3, 5),
)
def test_scores_are_probabilities_and_the_parts_add_up(
    values: dict[str, float], deviations: float
) -> None:
    fusion = Fusion()
    seen = views(**values, dense=deviations)

    score = float(fusion.scores(seen, is_lesson=True)[0])
    logit = sum(float(part[0]) for part in fusion.contributions(seen).values())

    assert 0.0 <= score <= 1.0
    if values["avoid"] > 0:
        assert score == 0.0
    else:
        assert score == pytest.approx(1 / (1 + np.exp(-logit)))


@pytest.mark.parametrize("name", sorted(WEIGHTS))
def test_each_view_moves_the_score_to_the_side_of_its_weight(name: str) -> None:
    fusion = Fusion()

    none, some = fusion.scores(views(2, **{name: np.array([0.0, 0.8])}), is_lesson=True)

    assert (some > none) == (WEIGHTS[name] > 0)


def test_in_a_recipe_named_foods_count_more_and_subjects_less() -> None:
    fusion = Fusion()
    both = {"text": 0.5, "topic": 0.5}

    plain, recipe = (fusion.contributions(views(**both, cooking=c)) for c in (0.0, 1.0))

    assert recipe["text"][0] > plain["text"][0]
    assert recipe["topic"][0] < plain["topic"][0]


def test_wishes_never_lift_what_the_text_forbids() -> None:
    moved = views(avoid=1.0).moved(views(topic=1.0, text=1.0), weight=0.6)

    assert Fusion().scores(moved, is_lesson=True)[0] == 0.0


def test_likeness_lifts_the_alike_and_the_items_themselves_come_last() -> None:
    seen = views(4, topic=np.full(4, 0.4)).like(np.array([0.9, 0.2, 0.5, -1.0]))

    order = np.argsort(-Fusion().scores(seen, is_lesson=True)).tolist()

    assert order == [0, 2, 1, 3]


@pytest.mark.parametrize(
    ("scores", "floor", "is_lesson", "is_silent"),
    [
        ([0.5, 0.4, 0.3], 0.1, True, False),
        ([0.5, 0.4, 0.05], 0.1, True, True),
        ([0.5, 0.01, 0.01], 0.1, False, False),
        ([0.5, 0.4], 0.1, True, False),
        ([], 0.1, True, True),
        ([], 0.1, False, True),
    ],
    ids=["three-good", "two-good", "one-is-enough-for-words", "small-shop", "none", "no-words"],
)
def test_a_lesson_needs_three_good_items_and_words_need_one(
    scores: list[float], floor: float, is_lesson: bool, is_silent: bool
) -> None:
    assert Fusion().is_silent(np.array(scores), floor, is_lesson=is_lesson) == is_silent
