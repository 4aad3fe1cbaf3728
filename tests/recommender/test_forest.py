"""Walking all trees at once gives the classifier's own numbers."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from recommender.forest import Forest


def rows_and_labels(n: int = 3_000, n_columns: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    # Rounded as features are, so that many rows lie exactly on a threshold's side.
    rows = np.round(rng.normal(size=(n, n_columns)), 2).astype(np.float32)
    labels = (rows[:, 0] * rows[:, 1] + rng.normal(scale=0.5, size=n) > 0).astype(int)
    return rows, labels


@pytest.mark.parametrize("n_leaves", [2, 7, 31])
def test_the_walk_gives_the_same_probabilities(n_leaves: int) -> None:
    rows, labels = rows_and_labels()
    model = HistGradientBoostingClassifier(
        max_iter=40, max_leaf_nodes=n_leaves, early_stopping=False, random_state=1
    ).fit(rows, labels)

    forest = Forest.of(model, n_columns=rows.shape[1])

    assert forest is not None
    assert forest.predict(rows).tolist() == model.predict_proba(rows)[:, 1].tolist()
    assert forest.predict(rows[:1]).shape == (1,)


def test_other_models_are_left_alone() -> None:
    rows, labels = rows_and_labels(300)
    three = HistGradientBoostingClassifier(max_iter=3).fit(rows, np.arange(300) % 3)

    assert Forest.of(LogisticRegression().fit(rows, labels), n_columns=rows.shape[1]) is None
    assert Forest.of(three, n_columns=rows.shape[1]) is None


def test_a_model_that_would_answer_otherwise_is_not_walked() -> None:
    rows, labels = rows_and_labels(600)
    model = HistGradientBoostingClassifier(max_iter=5, random_state=1).fit(rows, labels)

    class Shifted:
        _predictors = model._predictors
        _baseline_prediction = model._baseline_prediction + 0.01
        predict_proba = staticmethod(model.predict_proba)

    assert Forest.of(Shifted(), n_columns=rows.shape[1]) is None
