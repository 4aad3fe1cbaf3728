"""Boosted trees walked all at once, for requests of a few dozen rows.

scikit-learn starts a parallel loop for each of a hundred trees: about a millisecond a request on an
idle machine, but 27 where other threads want the cores too. Here all trees go down one level at a
time as arrays. The numbers are the same, which is checked on every model before this is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MOST_ROWS = 500
"""Beyond this scikit-learn's own loop is faster and smaller."""
_PROBES = 64
_TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Forest:
    """The trees of one binary classifier. T trees with at most N nodes; leaves lead to themselves."""

    features: npt.NDArray[np.int64]
    """(T * N,) column that a node compares."""
    thresholds: Floats
    """(T * N,) at most this goes left; infinite in leaves."""
    children: npt.NDArray[np.int64]
    """(2, T * N) place of the right and of the left child."""
    values: Floats
    """(T * N,) what a leaf adds to the logit."""
    roots: npt.NDArray[np.int64]
    """(T,) places of the roots."""
    depth: int
    baseline: float

    @classmethod
    def of(cls, model: Any, *, n_columns: int) -> Forest | None:
        """Read a fitted `HistGradientBoostingClassifier`; None where it cannot be read exactly.

        Args:
            model: Any classifier; others than binary boosted trees over numbers give None.
            n_columns: Columns of its rows, for the check.
        """
        try:
            trees = [stage[0].nodes for stage in model._predictors if len(stage) == 1]
            baseline = float(np.ravel(model._baseline_prediction)[0])
            forest = cls._of_nodes(trees, baseline) if trees else None
        except (AttributeError, TypeError, ValueError, KeyError):
            return None
        if forest is None or not forest._agrees_with(model, n_columns):
            return None
        return forest

    @classmethod
    def _of_nodes(cls, trees: list[Any], baseline: float) -> Forest | None:
        if any(tree["is_categorical"].any() for tree in trees):
            return None
        widest = max(len(tree) for tree in trees)
        shape = (len(trees), widest)
        features = np.zeros(shape, dtype=np.int64)
        thresholds = np.full(shape, np.inf)
        values = np.zeros(shape)
        places = np.arange(len(trees) * widest, dtype=np.int64).reshape(shape)
        children = np.stack([places, places])
        depth = 0
        for row, tree in enumerate(trees):
            inner = np.flatnonzero(tree["is_leaf"] == 0)
            features[row, inner] = tree["feature_idx"][inner]
            thresholds[row, inner] = tree["num_threshold"][inner]
            children[0, row, inner] = places[row, tree["right"][inner].astype(np.int64)]
            children[1, row, inner] = places[row, tree["left"][inner].astype(np.int64)]
            values[row, : len(tree)] = tree["value"]
            depth = max(depth, int(tree["depth"].max()))
        return cls(
            features=features.ravel(),
            thresholds=thresholds.ravel(),
            children=children.reshape(2, -1),
            values=values.ravel(),
            roots=places[:, 0].copy(),
            depth=depth,
            baseline=baseline,
        )

    def predict(self, rows: npt.NDArray[np.floating[Any]]) -> Floats:
        """Give (n,) probabilities for (n, n_columns) finite rows."""
        n = len(rows)
        flat = np.ascontiguousarray(rows, dtype=np.float64).ravel()
        begins = np.arange(n, dtype=np.int64) * rows.shape[1]
        # (T, n): one column a row of the request, so that the sum below runs tree after tree.
        place = np.repeat(self.roots[:, None], n, axis=1)
        for _ in range(self.depth):
            goes_left = flat[begins + self.features[place]] <= self.thresholds[place]
            place = self.children[goes_left.view(np.int8), place]
        terms = np.concatenate([np.full((1, n), self.baseline), self.values[place]])
        from scipy.special import expit

        return np.asarray(expit(terms.sum(axis=0)), dtype=np.float64)

    def _agrees_with(self, model: Any, n_columns: int) -> bool:
        """Compare on rows around the thresholds of every column, equal ones included."""
        rng = np.random.default_rng(0)
        probes = rng.normal(size=(_PROBES, n_columns))
        inner = np.isfinite(self.thresholds)
        for column in range(n_columns):
            cuts = self.thresholds[inner & (self.features == column)]
            if len(cuts):
                probes[:, column] = rng.choice(cuts, _PROBES) + rng.integers(-1, 2, _PROBES)
        probes = probes.astype(np.float32)
        theirs = model.predict_proba(probes)[:, 1]
        return bool(np.allclose(self.predict(probes), theirs, rtol=0, atol=_TOLERANCE))
