"""What a policy would have earned with whole slates: per position, and as a cascade."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from recommender.evaluation import CLIP, Estimate, doubly_robust, ips, ratio, snips
from recommender.trust import Floats, importance_weights


@dataclass(frozen=True, slots=True, kw_only=True)
class SlateLog:
    """Slates as arrays of shape (n_slates, size); rows of short slates end with NaN."""

    rewards: Floats
    conditional: Floats
    """Behaviour's P(item at position | items above)."""
    marginal: Floats
    """Behaviour's P(item at position)."""
    target_conditional: Floats
    target_marginal: Floats
    clusters: npt.NDArray[np.int64]
    """(n_slates,) user numbers."""

    @property
    def is_placed(self) -> npt.NDArray[np.bool_]:
        return ~np.isnan(self.rewards)


def per_position(
    log: SlateLog,
    *,
    rng: np.random.Generator,
    q_logged: Floats | None = None,
    q_target: Floats | None = None,
    normalise: bool = False,
    clip: float = CLIP,
) -> Estimate:
    """Estimate the mean reward of a placement, each position weighed by its marginals.

    Right when the reward of a placement depends on its item and position only. With a model
    (`q_logged`, `q_target`, shape as the slates) it is doubly robust.

    Source: the item-position model of Li et al. (2018).
    """
    on = log.is_placed
    users = np.broadcast_to(log.clusters[:, None], on.shape)[on]
    arguments = (log.rewards[on], log.marginal[on], log.target_marginal[on])
    if q_logged is not None and q_target is not None:
        found = doubly_robust(
            *arguments, q_logged=q_logged[on], q_target=q_target[on], clusters=users,
            rng=rng, clip=clip,
        )  # fmt: skip
    elif normalise:
        found = snips(*arguments, clusters=users, rng=rng, clip=clip)
    else:
        found = ips(*arguments, clusters=users, rng=rng, clip=clip)
    return replace(found, method=f"{found.method}-per-position")


def cascade(log: SlateLog, *, rng: np.random.Generator, clip: float = CLIP) -> Estimate:
    """Estimate the mean reward of a placement, each weighed by its prefix of the slate.

    w_k = prod_{j <= k} target(a_j | above) / behaviour(a_j | above): right when a reward depends
    on the item and those above it, not on those below.

    Source: the reward interaction estimator of McInerney et al. (2020).
    """
    on = log.is_placed
    ratios = np.ones(on.shape)
    ratios[on] = importance_weights(log.conditional[on], log.target_conditional[on])
    raw: Floats = np.cumprod(ratios, axis=1)[on].astype(np.float64)
    weights = np.minimum(raw, clip)
    users = np.broadcast_to(log.clusters[:, None], on.shape)[on]
    return ratio(
        "ips-cascade",
        weights * log.rewards[on],
        np.ones(len(weights)),
        clusters=users,
        weights=raw,
        rng=rng,
    )


def folds_of(clusters: npt.NDArray[np.int64], n_folds: int = 3) -> npt.NDArray[np.int64]:
    """Give each row the fold of its user; users are dealt out in the order of their numbers."""
    _, numbers = np.unique(clusters, return_inverse=True)
    return np.asarray(numbers % n_folds, dtype=np.int64)


Predict = Callable[[Floats], Floats]
Fit = Callable[[Floats, Floats], Predict]


def cross_fit(
    fit: Fit,
    features: Floats,
    rewards: Floats,
    clusters: npt.NDArray[np.int64],
    asked: Sequence[tuple[Floats, npt.NDArray[np.int64]]],
    *,
    n_folds: int = 3,
) -> list[Floats]:
    """Predict rewards with models that have not seen the user.

    Args:
        fit: Takes (n, F) features and (n,) rewards; gives a function of (m, F) to (m,).
        features: (n, F) of the logged impressions.
        rewards: (n,).
        clusters: (n,) user numbers.
        asked: Pairs of (m, F) features and the row of `features` that each belongs to.
        n_folds: Users are dealt into so many folds.

    Returns:
        One (m,) array per pair.
    """
    folds = folds_of(clusters, n_folds)
    answers = [np.zeros(len(rows)) for _, rows in asked]
    for fold in range(min(n_folds, int(folds.max(initial=0)) + 1)):
        others = folds != fold
        predict = fit(features[others], rewards[others]) if others.any() else _zero
        for answer, (wanted, rows) in zip(answers, asked, strict=True):
            mine = folds[rows] == fold
            if mine.any():
                answer[mine] = predict(wanted[mine])
    return answers


def _zero(features: Floats) -> Floats:
    return np.zeros(len(features))
