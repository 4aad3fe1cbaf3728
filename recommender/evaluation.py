"""What a policy would have earned, from the log of another one: off-policy estimators. Pure arrays.

Every estimator is a ratio of sums over rows,

    value = sum(numerator) / sum(denominator),

and its interval comes from resampling whole users, because the answers of one person are not
independent. `judge` decides whether the log speaks of the policy at all; when it does not, the
number is withheld.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from data.errors import InvalidInput, MissingPropensity

Floats = npt.NDArray[np.float64]

CLIP = 20.0
N_RESAMPLES = 2_000
LEVEL = 0.95
GREEN_EFFECTIVE_N, GREEN_SHARE = 1_000.0, 0.10
REFUSE_EFFECTIVE_N, REFUSE_SHARE = 200.0, 0.03
_BLOCK = 1 << 22
"""Resampling counts held in memory at once (float32 numbers)."""


class Trust(StrEnum):
    """How far an estimate may be believed."""

    GREEN = "green"
    AMBER = "amber"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the importance weights say of an estimate made with them."""

    trust: Trust
    effective_n: float
    n: int
    mean_weight: float
    mean_weight_error: float
    """Standard error of the mean weight, over users."""
    n_more: int
    """How many more rows of the same kind until a number is given; 0 when it is given."""
    propensities_look_wrong: bool
    """The mean weight should be 1; here it is further away than 3 standard errors."""

    @property
    def reason(self) -> str:
        """One sentence for the person who asked."""
        share = self.effective_n / self.n if self.n else 0.0
        facts = f"{self.n} rows weigh as much as {self.effective_n:.0f}"
        if self.propensities_look_wrong:
            return (
                f"the mean weight is {self.mean_weight:.3f} +- {self.mean_weight_error:.3f}, "
                "not 1: the logged propensities are wrong, or the policy can choose what the "
                "log never could"
            )
        if self.trust is Trust.REFUSED:
            return (
                f"{facts} ({share:.1%}); at least {REFUSE_EFFECTIVE_N:.0f} and "
                f"{REFUSE_SHARE:.0%} are needed: log about {self.n_more} more, "
                "with more exploration"
            )
        if self.trust is Trust.AMBER:
            return (
                f"{facts} ({share:.1%}); below {GREEN_EFFECTIVE_N:.0f} or {GREEN_SHARE:.0%}: "
                "read the interval, not the number"
            )
        return f"{facts} ({share:.1%})"


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


def importance_weights(propensities: Floats, target: Floats) -> Floats:
    """Give target / propensity, row by row.

    Raises:
        MissingPropensity: a propensity is 0, NaN or above 1; its policy did not log it.
        InvalidInput: a target probability lies outside [0, 1].
    """
    logged = np.asarray(propensities, dtype=np.float64)
    wanted = np.asarray(target, dtype=np.float64)
    bad = ~((logged > 0) & (logged <= 1 + 1e-9))
    if bad.any():
        row = int(np.flatnonzero(bad.ravel())[0])
        raise MissingPropensity(
            f"row {row} was logged with propensity {logged.ravel()[row]}, expected (0, 1]; "
            "leave out rows of policies that log none"
        )
    if not ((wanted >= 0) & (wanted <= 1 + 1e-9)).all():
        raise InvalidInput("a target probability lies outside [0, 1]; check the policy")
    return wanted / logged


def effective_n(weights: Floats) -> float:
    """Give Kish's effective sample size, (sum w)^2 / sum w^2; 0 for no weight at all."""
    squares = float((weights**2).sum())
    return float(weights.sum()) ** 2 / squares if squares > 0 else 0.0


def judge(weights: Floats, clusters: npt.NDArray[np.int64] | None = None) -> Verdict:
    """Apply the trust rules to unclipped importance weights.

    Green needs an effective size of 1 000 and a tenth of the rows; below 200 or 3 % the number
    is refused, as it is when the mean weight lies outside 1 +- 3 standard errors.
    """
    n = len(weights)
    size = effective_n(weights)
    mean = float(weights.mean()) if n else math.nan
    groups = _groups(clusters, n)
    error = _clustered_error(weights, groups)
    wrong = n > 1 and abs(mean - 1.0) > 3 * error + 1e-9
    if n == 0 or size < REFUSE_EFFECTIVE_N or size / n < REFUSE_SHARE or wrong:
        trust = Trust.REFUSED
    elif size >= GREEN_EFFECTIVE_N and size / n >= GREEN_SHARE:
        trust = Trust.GREEN
    else:
        trust = Trust.AMBER
    return Verdict(
        trust=trust,
        effective_n=size,
        n=n,
        mean_weight=mean,
        mean_weight_error=error,
        n_more=_n_more(n, size) if trust is Trust.REFUSED else 0,
        propensities_look_wrong=wrong,
    )


def _n_more(n: int, size: float) -> int:
    """Rows until both limits hold, if each new row brought the weight that a good log brings."""
    if size <= 0:
        return int(REFUSE_EFFECTIVE_N / REFUSE_SHARE)
    by_size = n * REFUSE_EFFECTIVE_N / size - n
    # New rows logged nearer to the policy count in full, so that (size + m) / (n + m) grows.
    by_share = (REFUSE_SHARE * n - size) / (1 - REFUSE_SHARE)
    return max(1, math.ceil(max(by_size, by_share)))


def _groups(clusters: npt.NDArray[np.int64] | None, n: int) -> npt.NDArray[np.int64]:
    if clusters is None:
        return np.arange(n)
    _, numbers = np.unique(clusters, return_inverse=True)
    return np.asarray(numbers, dtype=np.int64)


def _clustered_error(values: Floats, groups: npt.NDArray[np.int64]) -> float:
    """Standard error of a mean when rows of a group go together (linearised ratio)."""
    n = len(values)
    if n < 2:
        return math.inf
    residuals = np.bincount(groups, weights=values - values.mean())
    k = len(residuals)
    if k < 2:
        return math.inf
    return float(np.sqrt((residuals**2).sum() * k / (k - 1)) / n)


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
    groups = _groups(clusters, n)
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


def calibration_error(predicted: Floats, observed: Floats, *, n_bins: int = 10) -> float:
    """Give the expected calibration error over bins of equal count.

    ECE = sum_b n_b / n * |mean predicted in b - mean observed in b|; NaN without rows.
    """
    n = len(predicted)
    if n == 0:
        return math.nan
    order = np.argsort(predicted, kind="stable")
    gaps = [
        abs(float(predicted[rows].mean() - observed[rows].mean())) * len(rows)
        for rows in np.array_split(order, min(n_bins, n))
    ]
    return sum(gaps) / n


def brier(predicted: Floats, observed: Floats) -> float:
    """Give the mean squared distance between probability and outcome, 0 at best."""
    return float(((predicted - observed) ** 2).mean()) if len(predicted) else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


def auc(scores: Floats, labels: Floats) -> Interval:
    """Give the area under the ROC curve: P(a liked row scores above another), ties half.

    The interval is DeLong's normal approximation on structural components; NaN with one class.

    Source: DeLong et al. (1988).
    """
    yes, no = scores[labels > 0.5], scores[labels <= 0.5]
    if len(yes) == 0 or len(no) == 0:
        return Interval(value=math.nan, low=math.nan, high=math.nan)
    over_no = _rank_share(yes, no)
    over_yes = 1 - _rank_share(no, yes)
    value = float(over_no.mean())
    variance = _variance(over_no) / len(yes) + _variance(over_yes) / len(no)
    half = 1.959964 * math.sqrt(variance)
    return Interval(value=value, low=max(0.0, value - half), high=min(1.0, value + half))


def _rank_share(these: Floats, others: Floats) -> Floats:
    """Share of `others` below each of `these`; equal ones count half."""
    ordered = np.sort(others)
    below = np.searchsorted(ordered, these, side="left")
    upto = np.searchsorted(ordered, these, side="right")
    return np.asarray((below + upto) / (2 * len(others)), dtype=np.float64)


def _variance(values: Floats) -> float:
    return float(values.var(ddof=1)) if len(values) > 1 else 0.25


def ndcg_at(relevance: Floats, top_k: int) -> float:
    """Give the normalised discounted gain of a ranking over the full eligible set, linear gain.

    Args:
        relevance: (n,) gains >= 0 in ranked order.
        top_k: Positions that count.

    Returns:
        In [0, 1]; NaN when nothing is relevant.
    """
    discounts = 1 / np.log2(np.arange(2, len(relevance) + 2))
    ideal = np.sort(relevance)[::-1]
    best = float((ideal[:top_k] * discounts[:top_k]).sum())
    if best == 0:
        return math.nan
    return float((relevance[:top_k] * discounts[:top_k]).sum()) / best


def reciprocal_rank(relevance: Floats) -> float:
    """Give 1 / rank of the first relevant one, 0 when there is none."""
    found = np.flatnonzero(relevance > 0)
    return 1 / (int(found[0]) + 1) if len(found) else 0.0


def hit_at(relevance: Floats, top_k: int) -> float:
    """Give 1 when one of the first is relevant, else 0."""
    return float((relevance[:top_k] > 0).any())
