"""Whether the predictor in force promises what comes: its predictions against later answers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data.engagement import Measure, clustered_mean
from data.events import SlateId, SlateRecord
from recommender.features import FEATURE_VERSION
from recommender.metrics import calibration_error
from recommender.predictor import RewardPredictor

Floats = npt.NDArray[np.float64]
Shown = Mapping[tuple[SlateId, int], tuple[bool, int]]
"""(slate, position) -> (was liked, number of the person), for placements whose window is over."""

N_BINS = 10
N_RESAMPLES = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How far predictions and answers lie apart."""

    n: int
    """Impressions that were compared."""
    n_users: int
    error: Measure
    """Expected calibration error over ten bins of equal count; few rows push it up."""
    gap: Measure
    """Mean predicted minus mean observed like rate; above 0 promises too much."""


def live_calibration(
    slates: Iterable[SlateRecord],
    shown: Shown,
    predictor: RewardPredictor,
    *,
    rng: np.random.Generator,
) -> Calibration | None:
    """Compare, placement by placement, with the features as they were served.

    Args:
        slates: Served by this predictor; those with other features are passed over.
        shown: What came of each placement.
        predictor: The model in force.
        rng: For the bootstrap of people.

    Returns:
        None when there is nothing to compare.
    """
    rows: list[list[float]] = []
    positions: list[int] = []
    liked: list[float] = []
    users: list[int] = []
    for slate in slates:
        features = _features_by_item(slate)
        for placement in slate.placements:
            came = shown.get((slate.slate_id, placement.position))
            row = features.get(str(placement.item_id))
            if came is None or row is None:
                continue
            rows.append(row)
            positions.append(placement.position)
            liked.append(float(came[0]))
            users.append(came[1])
    if not rows:
        return None
    predicted = predictor.predict(
        np.asarray(rows, dtype=np.float32), np.asarray(positions, dtype=np.int64)
    )
    return calibration_of(predicted, np.asarray(liked), np.asarray(users), rng=rng)


def calibration_of(
    predicted: Floats, observed: Floats, users: npt.NDArray[np.int64], *, rng: np.random.Generator
) -> Calibration:
    """Give error and gap with 95 % intervals over people.

    The error is resampled with its bins held fixed: error* = sum_b |sum_u w_u r_bu| / sum_u w_u n_u
    for weights w of people drawn with replacement and r_bu the residuals of person u in bin b.
    """
    n = len(predicted)
    _, groups = np.unique(users, return_inverse=True)
    k = int(groups.max()) + 1
    residuals = np.zeros((N_BINS, k))
    order = np.argsort(predicted, kind="stable")
    for bin_number, rows in enumerate(np.array_split(order, min(N_BINS, n))):
        np.add.at(residuals[bin_number], groups[rows], (predicted - observed)[rows])
    sizes = np.bincount(groups, minlength=k).astype(np.float64)
    weights = rng.multinomial(k, np.full(k, 1 / k), size=N_RESAMPLES).astype(np.float64)
    errors = np.abs(residuals @ weights.T).sum(axis=0) / (weights @ sizes)
    low, high = np.quantile(errors, [0.025, 0.975])
    return Calibration(
        n=n,
        n_users=k,
        error=Measure(
            calibration_error(predicted, observed, n_bins=N_BINS), float(low), float(high), n
        ),
        gap=clustered_mean(predicted - observed, users),
    )


def _features_by_item(slate: SlateRecord) -> dict[str, list[float]]:
    logged = slate.context.get("features")
    if not isinstance(logged, Mapping) or logged.get("version") != FEATURE_VERSION:
        return {}
    return {
        str(item_id): row
        for item_id, row in zip(logged.get("item_ids", ()), logged.get("rows", ()), strict=False)
    }
