"""Who may serve: the promotion gate, and honest experiments between two who may."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from data.errors import InvalidInput
from recommender.evaluation import Estimate
from recommender.exploration import PolicyParameters
from recommender.logged import LoggedSlates, Placings, placings, slate_log
from recommender.slate_evaluation import cross_fit, per_position
from recommender.training import MIN_LABELLED, MIN_LIKED, TrainingReport

Floats = npt.NDArray[np.float64]

DOUBLY_ROBUST_FROM = 2_000
"""Slates; below that the reward model is too poor and SNIPS is used."""
MARGIN = 0.02
"""Like rate by which the new policy's lower bound may lie below the value in force."""
MAX_CALIBRATION_ERROR, MAX_MEAN_GAP = 0.05, 0.02
BRIER_SLACK = 1e-3
SAMPLE_RATIO_ALARM = 0.001


class Reason(str):
    """A sentence in English that also carries its kind and numbers, to be told in other languages."""

    kind: str
    facts: Mapping[str, object]

    def __new__(cls, kind: str, sentence: str, **facts: object) -> Reason:
        reason = super().__new__(cls, sentence)
        reason.kind, reason.facts = kind, facts
        return reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """The verdict on one model. `reasons` are sentences; empty when it may serve."""

    reasons: tuple[Reason, ...]
    candidate: Estimate | None = None
    in_force: float = math.nan

    @property
    def is_open(self) -> bool:
        return not self.reasons


class RewardModel:
    """q(features, position) cross-fitted by user over one log, shared by all its estimates."""

    def __init__(self, log: LoggedSlates) -> None:
        rows = log.impressions()
        slate, candidate = np.nonzero(~np.isnan(log.scores))
        size = log.chosen.shape[1]
        first = np.full(len(log), -1, dtype=np.int64)
        shown_slates = np.nonzero(log.is_shown)[0]
        first[shown_slates[::-1]] = np.arange(len(shown_slates))[::-1]
        keep = first[slate] >= 0
        slate, candidate = slate[keep], candidate[keep]
        asked = [
            (_with(log.features[slate, candidate], np.full(len(slate), position)), first[slate])
            for position in range(size)
        ]
        answers = cross_fit(
            _fit_logistic, _with(rows.features, rows.positions), rows.labels, rows.users, asked
        )
        self.q = np.zeros((len(log), log.scores.shape[1], size))
        """(n, M, L) expected reward of each candidate at each position."""
        for position, answer in enumerate(answers):
            self.q[slate, candidate, position] = answer

    def logged(self, log: LoggedSlates) -> Floats:
        """(n, L) of what was shown."""
        n, size = log.chosen.shape
        return self.q[np.arange(n)[:, None], np.maximum(log.chosen, 0), np.arange(size)[None, :]]

    def expected(self, target: Placings) -> Floats:
        """(n, L) under the target policy."""
        return np.asarray((self.q * target.all_marginals).sum(axis=1))


def _with(features: npt.NDArray[np.float32], positions: npt.NDArray[Any]) -> Floats:
    return np.column_stack([features, positions, positions == 0]).astype(np.float64)


def _fit_logistic(features: Floats, rewards: Floats) -> Any:
    if len(np.unique(rewards)) < 2:
        constant = float(rewards.mean()) if len(rewards) else 0.0
        return lambda asked: np.full(len(asked), constant)
    from sklearn.linear_model import LogisticRegression

    centre, spread = features.mean(axis=0), features.std(axis=0) + 1e-9
    model = LogisticRegression(C=0.3, max_iter=200).fit((features - centre) / spread, rewards)
    return lambda asked: model.predict_proba((asked - centre) / spread)[:, 1]


def estimate_value(
    log: LoggedSlates,
    scores: Floats,
    parameters: PolicyParameters,
    *,
    rng: np.random.Generator,
    reward_model: RewardModel | None = None,
) -> Estimate:
    """Estimate the like rate of a placement if these scores had chosen from the logged pools.

    Doubly robust from 2 000 slates on, SNIPS below.
    """
    target = placings(log, scores, parameters)
    arrays = slate_log(log, target)
    if len(log) < DOUBLY_ROBUST_FROM:
        return per_position(arrays, rng=rng, normalise=True)
    model = reward_model or RewardModel(log)
    return per_position(
        arrays, rng=rng, q_logged=model.logged(log), q_target=model.expected(target)
    )


def gate(
    report: TrainingReport,
    log: LoggedSlates,
    *,
    candidate_scores: Floats,
    in_force_scores: Floats,
    parameters: PolicyParameters,
    safety_violations: int,
    rng: np.random.Generator,
    margin: float = MARGIN,
) -> Gate:
    """Decide whether a model may serve; else it stays in shadow, and the reasons say why.

    Args:
        report: Of its training.
        log: Slates that its fit has not seen.
        candidate_scores: (n, M) its scores of the logged candidates.
        in_force_scores: (n, M) those of what serves now.
        parameters: Of the softmax policy that both feed.
        safety_violations: Counted since the model began to run in shadow; must be 0.
        rng: For the bootstraps.
        margin: Like rate that the lower bound may lie below the value in force.
    """
    reasons = list(_fit_to_serve(report))
    if safety_violations:
        reasons.append(
            Reason(
                "unsafe",
                f"{safety_violations} safety violations were counted; none is allowed. Find "
                "their cause first (`zhiwei stats`)",
                violations=safety_violations,
            )
        )
    reward_model = RewardModel(log) if len(log) >= DOUBLY_ROBUST_FROM else None
    candidate = estimate_value(
        log, candidate_scores, parameters, rng=rng, reward_model=reward_model
    )
    current = estimate_value(log, in_force_scores, parameters, rng=rng, reward_model=reward_model)
    if candidate.is_refused and candidate.verdict is not None:
        reasons.append(
            Reason(
                "unjudged",
                f"the log cannot judge the new policy: {candidate.verdict.reason}",
                verdict=candidate.verdict,
            )
        )
    elif not candidate.is_refused:
        value = float(np.nanmean(log.rewards)) if current.is_refused else current.value
        if candidate.low < value - margin:
            reasons.append(
                Reason(
                    "worse",
                    f"the new policy's like rate is at least {candidate.low:.3f} "
                    f"({candidate.method}, 95 %), the one in force has {value:.3f}; needed is "
                    f"{value - margin:.3f}. It stays in shadow; collect more replies",
                    low=candidate.low, value=value, needed=value - margin,
                )
            )  # fmt: skip
    return Gate(reasons=tuple(reasons), candidate=candidate, in_force=current.value)


def _fit_to_serve(report: TrainingReport) -> Sequence[Reason]:
    reasons: list[Reason] = []
    if report.n_labelled < MIN_LABELLED or report.n_liked < MIN_LIKED:
        reasons.append(
            Reason(
                "few",
                f"{report.n_labelled} labelled impressions with {report.n_liked} likes; needed "
                f"are {MIN_LABELLED} and {MIN_LIKED}",
                n=report.n_labelled, liked=report.n_liked, need=MIN_LABELLED, need_liked=MIN_LIKED,
            )
        )  # fmt: skip
    if not report.auc.low > 0.5:
        reasons.append(
            Reason(
                "chance",
                f"its AUC on later slates is {report.auc.value:.3f} with lower bound "
                f"{report.auc.low:.3f}; it must be above 0.5, or it ranks no better than chance",
                auc=report.auc.value, low=report.auc.low,
            )
        )  # fmt: skip
    if not report.calibration_error <= MAX_CALIBRATION_ERROR:
        reasons.append(
            Reason(
                "calibration",
                f"its calibration error is {report.calibration_error:.3f}; at most "
                f"{MAX_CALIBRATION_ERROR} is allowed",
                error=report.calibration_error, most=MAX_CALIBRATION_ERROR,
            )
        )  # fmt: skip
    if not abs(report.mean_gap) <= MAX_MEAN_GAP:
        reasons.append(
            Reason(
                "gap",
                f"it predicts {report.mean_gap:+.3f} more likes than came; at most "
                f"{MAX_MEAN_GAP} either way is allowed",
                gap=report.mean_gap, most=MAX_MEAN_GAP,
            )
        )  # fmt: skip
    # Two retrains of one log differ by noise; a hair's breadth is not worse.
    if report.brier > report.brier_in_force + BRIER_SLACK:
        reasons.append(
            Reason(
                "brier",
                f"its Brier score is {report.brier:.4f}, that of the model in force "
                f"{report.brier_in_force:.4f}; it must not be worse",
                brier=report.brier, in_force=report.brier_in_force,
            )
        )  # fmt: skip
    return reasons


def arm_of(user_key: str, experiment: str, shares: Mapping[str, float]) -> str:
    """Give a person's arm: always the same for one experiment, independent between two.

    Args:
        user_key: The pseudonym.
        experiment: Its name; also the salt.
        shares: Arm -> share; they add up to 1.

    Raises:
        InvalidInput: the shares do not add up to 1, or one is negative.
    """
    if min(shares.values(), default=-1.0) < 0 or abs(sum(shares.values()) - 1) > 1e-9:
        raise InvalidInput(f"the shares {dict(shares)} must be >= 0 and add up to 1")
    digest = hashlib.sha256(f"{experiment}\x1f{user_key}".encode()).digest()
    point = int.from_bytes(digest[:8], "big") / 2**64
    upto = 0.0
    for arm, share in shares.items():
        upto += share
        if point < upto:
            return arm
    return next(reversed(list(shares)))


def users_needed(base: float, uplift: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Give the users per arm to see a rate go from `base` to `base * (1 + uplift)`.

    n = (z_{1-a/2} sqrt(2 m (1-m)) + z_{power} sqrt(p(1-p) + q(1-q)))^2 / (q - p)^2, m = (p+q)/2.

    Raises:
        InvalidInput: a rate lies outside (0, 1), or there is no difference to see.

    Source: Fleiss (1981), without continuity correction.
    """
    other = base * (1 + uplift)
    if not (0 < base < 1 and 0 < other < 1) or other == base:
        raise InvalidInput(
            f"from {base} to {other:.4f} is no difference of two rates between 0 and 1; "
            "give a base rate such as 0.2 and an uplift such as 0.1"
        )
    z = NormalDist()
    mean = (base + other) / 2
    spread = z.inv_cdf(1 - alpha / 2) * math.sqrt(2 * mean * (1 - mean)) + z.inv_cdf(
        power
    ) * math.sqrt(base * (1 - base) + other * (1 - other))
    return math.ceil(spread**2 / (other - base) ** 2)


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """Whether the arms have the sizes they should have."""

    p_value: float

    @property
    def is_mismatch(self) -> bool:
        """Then the assignment or the logging is broken, and no figure of the test counts."""
        return self.p_value < SAMPLE_RATIO_ALARM


def sample_ratio(counts: Mapping[str, int], shares: Mapping[str, float]) -> SampleRatio:
    """Compare the users per arm with the planned shares: Pearson's chi-squared test."""
    from scipy.special import gammaincc

    total = sum(counts.values())
    planned = {arm: share for arm, share in shares.items() if share > 0}
    if total == 0 or len(planned) < 2:
        return SampleRatio(1.0)
    if any(counts.get(arm, 0) for arm in counts if arm not in planned):
        return SampleRatio(0.0)
    statistic = sum(
        (counts.get(arm, 0) - total * share) ** 2 / (total * share)
        for arm, share in planned.items()
    )
    return SampleRatio(float(gammaincc((len(planned) - 1) / 2, statistic / 2)))
