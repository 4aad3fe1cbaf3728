"""Whether a log speaks of a policy at all: importance weights, their effective size, the verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from data.errors import InvalidInput, MissingPropensity

Floats = npt.NDArray[np.float64]

GREEN_EFFECTIVE_N, GREEN_SHARE = 1_000.0, 0.10
REFUSE_EFFECTIVE_N, REFUSE_SHARE = 200.0, 0.03


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
    groups = groups_of(clusters, n)
    error = clustered_error(weights, groups)
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


def groups_of(clusters: npt.NDArray[np.int64] | None, n: int) -> npt.NDArray[np.int64]:
    if clusters is None:
        return np.arange(n)
    _, numbers = np.unique(clusters, return_inverse=True)
    return np.asarray(numbers, dtype=np.int64)


def clustered_error(values: Floats, groups: npt.NDArray[np.int64]) -> float:
    """Standard error of a mean when rows of a group go together (linearised ratio)."""
    n = len(values)
    if n < 2:
        return math.inf
    residuals = np.bincount(groups, weights=values - values.mean())
    k = len(residuals)
    if k < 2:
        return math.inf
    return float(np.sqrt((residuals**2).sum() * k / (k - 1)) / n)
