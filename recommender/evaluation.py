"""What a policy would have earned, from the log of another one: off-policy estimators. Pure arrays.

Every estimator is a ratio of sums over rows,

    value = sum(numerator) / sum(denominator),

and its interval comes from resampling whole users, because the answers of one person are not
independent. `recommender.trust` decides whether the log speaks of the policy at all; when it does
not, the number is withheld. Slates are in `recommender.slate_evaluation`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from recommender.trust import Floats, Trust, Verdict, groups_of, importance_weights, judge

CLIP = 20.0
N_RESAMPLES = 2_000
LEVEL = 0.95
_BLOCK = 1 << 22
"""Resampling counts held in memory at once (float32 numbers)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A policy's value per row, with its interval; all NaN when the number is refused."""

    method: str
    value: float
    low: float
    high: float
    standard_error: float
    n: int
    effective_n: float
    verdict: Verdict | None = None

    @property
    def is_refused(self) -> bool:
        return self.verdict is not None and self.verdict.trust is Trust.REFUSED


def ratio(
    method: str,
    numerator: Floats,
    denominator: Floats,
    *,
    clusters: npt.NDArray[np.int64] | None = None,
    weights: Floats | None = None,
    rng: np.random.Generator,
    n_resamples: int = N_RESAMPLES,
) -> Estimate:
    """Give sum(numerator) / sum(denominator) with a percentile bootstrap over users.

    Args:
        method: Name for people.
        numerator: (n,) per row.
        denominator: (n,) per row, 1 for plain means.
        clusters: (n,) user number of each row; None takes every row for itself.
        weights: (n,) unclipped importance weights; when given, the trust rules apply.
        rng: For the resampling.
        n_resamples: Draws of whole users with replacement.
    """
    n = len(numerator)
    verdict = judge(weights, clusters) if weights is not None else None
    size = verdict.effective_n if verdict else float(n)
    refused = Estimate(
        method=method, value=math.nan, low=math.nan, high=math.nan, standard_error=math.nan,
        n=n, effective_n=size, verdict=verdict,
    )  # fmt: skip
    if n == 0 or (verdict is not None and verdict.trust is Trust.REFUSED):
        return refused
    groups = groups_of(clusters, n)
    tops: Floats = np.bincount(groups, weights=numerator).astype(np.float64)
    bottoms: Floats = np.bincount(groups, weights=denominator).astype(np.float64)
    resampled = _resample(tops, bottoms, rng=rng, n_resamples=n_resamples)
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(resampled, [tail, 1 - tail])
    return replace(
        refused,
        value=float(tops.sum() / bottoms.sum()),
        low=float(low),
        high=float(high),
        standard_error=float(np.nanstd(resampled)),
    )


def _resample(
    tops: Floats, bottoms: Floats, *, rng: np.random.Generator, n_resamples: int
) -> Floats:
    k = len(tops)
    sums = np.column_stack([tops, bottoms])
    values: list[Floats] = []
    step = max(1, _BLOCK // k)
    for start in range(0, n_resamples, step):
        count = min(step, n_resamples - start)
        picks = rng.integers(0, k, size=(count, k))
        flat = (picks + k * np.arange(count)[:, None]).ravel()
        counts = np.bincount(flat, minlength=count * k).reshape(count, k)
        totals = counts @ sums
        with np.errstate(divide="ignore", invalid="ignore"):
            values.append(totals[:, 0] / totals[:, 1])
    return np.concatenate(values)


def ips(
    rewards: Floats,
    propensities: Floats,
    target: Floats,
    *,
    rng: np.random.Generator,
    clusters: npt.NDArray[np.int64] | None = None,
    clip: float = CLIP,
) -> Estimate:
    """Estimate the target policy's mean reward: mean(w * r), w = min(target / propensity, clip).

    Args:
        rewards: (n,) reward per impression within its window.
        propensities: (n,) in (0, 1], as logged by the behaviour policy.
        target: (n,) in [0, 1], the target policy's probability of the same placement.
        rng: For the bootstrap.
        clusters: (n,) user numbers.
        clip: Largest weight; lower means less variance and more bias.

    Raises:
        MissingPropensity: an impression has propensity 0 or NaN.

    Source: Horvitz and Thompson (1952); clipping as in Ionides (2008).
    """
    raw = importance_weights(propensities, target)
    weights = np.minimum(raw, clip)
    return ratio(
        "ips", weights * rewards, np.ones(len(weights)), clusters=clusters, weights=raw, rng=rng
    )


def snips(
    rewards: Floats,
    propensities: Floats,
    target: Floats,
    *,
    rng: np.random.Generator,
    clusters: npt.NDArray[np.int64] | None = None,
    clip: float = CLIP,
) -> Estimate:
    """Estimate as `ips`, divided by the mean weight: sum(w * r) / sum(w).

    Source: Swaminathan and Joachims (2015).
    """
    raw = importance_weights(propensities, target)
    weights = np.minimum(raw, clip)
    return ratio("snips", weights * rewards, weights, clusters=clusters, weights=raw, rng=rng)


def direct_method(
    q_target: Floats,
    *,
    rng: np.random.Generator,
    clusters: npt.NDArray[np.int64] | None = None,
) -> Estimate:
    """Estimate by a reward model alone: mean of sum_a target(a | x) q(x, a).

    Its interval knows nothing of the model's bias.

    Args:
        q_target: (n,) the model's expected reward under the target policy.
        rng: For the bootstrap.
        clusters: (n,) user numbers.
    """
    return ratio("dm", q_target, np.ones(len(q_target)), clusters=clusters, rng=rng)


def doubly_robust(
    rewards: Floats,
    propensities: Floats,
    target: Floats,
    *,
    q_logged: Floats,
    q_target: Floats,
    rng: np.random.Generator,
    clusters: npt.NDArray[np.int64] | None = None,
    clip: float = CLIP,
) -> Estimate:
    """Estimate mean(q_target + w * (r - q_logged)): right when either w or q is right.

    Args:
        rewards: (n,) reward per impression.
        propensities: (n,) as logged.
        target: (n,) the target policy's probability of the same placement.
        q_logged: (n,) the model's reward of what was shown, fitted on other users (`cross_fit`).
        q_target: (n,) its expectation under the target policy, fitted on other users.
        rng: For the bootstrap.
        clusters: (n,) user numbers.
        clip: Largest weight.

    Source: Dudik, Langford and Li (2011).
    """
    raw = importance_weights(propensities, target)
    weights = np.minimum(raw, clip)
    return ratio(
        "dr",
        q_target + weights * (rewards - q_logged),
        np.ones(len(weights)),
        clusters=clusters,
        weights=raw,
        rng=rng,
    )
