"""What another scorer would have scored the logged candidates."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from recommender.features import FEATURES
from recommender.learned_scorer import blend
from recommender.logged import LoggedSlates
from recommender.predictor import RewardPredictor

Floats = npt.NDArray[np.float64]


def feature_column(log: LoggedSlates, name: str) -> Floats:
    """(n, M) one feature of the logged candidates; NaN beyond the pool."""
    return np.asarray(log.features[:, :, FEATURES.index(name)], dtype=np.float64)


def rescored(log: LoggedSlates, predictor: RewardPredictor | None, weight: float) -> Floats:
    """Give the blended scores of the logged candidates; without a predictor the match scores.

    Serving takes its standard deviations over all hits, here only the logged pool is known; the
    order of two candidates differs only where match and prediction disagree and weight is small.

    Returns:
        (n, M) float64; NaN beyond the pool.
    """
    match = feature_column(log, "match")
    if predictor is None or weight <= 0:
        return match
    there = ~np.isnan(log.scores)
    predicted = np.full(log.scores.shape, np.nan)
    predicted[there] = predictor.predict(log.features[there])
    scores = np.full(log.scores.shape, np.nan)
    for row in range(len(log)):
        k = there[row]
        scores[row, k] = blend(match[row, k], predicted[row, k], weight)
    return scores
