"""What a simulation found: rates by round, estimates against the truth, and the summary as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

LAST_ROUNDS = 5
_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRate:
    """Like rate of one policy in one round, per placement."""

    rate: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeCheck:
    """One off-policy estimate against the truth, over the same logged contexts."""

    round: int
    policy: str
    method: str
    estimate: float
    low: float
    high: float
    truth: float
    is_refused: bool

    @property
    def is_covered(self) -> bool:
        return self.low <= self.truth <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmResult:
    """What one policy did over all rounds."""

    arm: str
    rates: tuple[RoundRate, ...]
    n_safety_violations: int
    catalogue_coverage: float
    n_promotions: int = 0
    checks: tuple[OpeCheck, ...] = ()
    stages: tuple[str, ...] = ()
    """Regime of each round."""
    refusals: tuple[str, ...] = ()
    """Why the gate kept a model in shadow, round by round."""

    def last_rate(self) -> float:
        """Like rate of the last five rounds."""
        last = self.rates[-LAST_ROUNDS:]
        return sum(r.rate * r.n for r in last) / max(sum(r.n for r in last), 1)


def round_rate(likes: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> RoundRate:
    """Likes per placement with a normal interval over slates (one slate a person and round)."""
    n = int(sizes.sum())
    if n == 0:
        return RoundRate(rate=0.0, low=0.0, high=0.0, n=0)
    rate = float(likes.sum() / n)
    residuals = likes - rate * sizes
    half = _Z * float(np.sqrt((residuals**2).sum())) / n
    return RoundRate(rate=rate, low=max(0.0, rate - half), high=min(1.0, rate + half), n=n)


def summary(results: Mapping[str, ArmResult]) -> dict[str, Any]:
    """Give the figures of a simulation as JSON values."""
    last = {arm: result.last_rate() for arm, result in results.items()}
    loop = results["full_loop"]
    dr = [c for c in loop.checks if c.method == "dr-per-position" and not c.is_refused]
    oracle = results["oracle"].rates
    return {
        "uplift_over_match_only": last["full_loop"] / last["match_only"]
        if last["match_only"]
        else None,
        "share_of_oracle": last["full_loop"] / last["oracle"] if last["oracle"] else None,
        "ope_coverage": sum(c.is_covered for c in dr) / len(dr) if dr else None,
        "safety_violations": sum(r.n_safety_violations for r in results.values()),
        "rounds": [
            {
                arm: {
                    "rate": result.rates[n].rate,
                    "low": result.rates[n].low,
                    "high": result.rates[n].high,
                    "n": result.rates[n].n,
                    "regret": oracle[n].rate - result.rates[n].rate,
                }
                for arm, result in results.items()
            }
            | {"round": n, "stage": loop.stages[n]}
            for n in range(len(oracle))
        ],
        "last_five": last,
        "catalogue_coverage": {a: r.catalogue_coverage for a, r in results.items()},
        "promotions": loop.n_promotions,
        "kept_in_shadow": list(loop.refusals),
        "ope": _ope_summary(loop.checks),
        "ope_checks": [
            {
                "round": c.round, "policy": c.policy, "method": c.method,
                "estimate": None if c.is_refused else c.estimate,
                "low": None if c.is_refused else c.low,
                "high": None if c.is_refused else c.high,
                "truth": c.truth, "covered": None if c.is_refused else c.is_covered,
            }
            for c in loop.checks
        ],
    }  # fmt: skip


def _ope_summary(checks: Sequence[OpeCheck]) -> dict[str, Any]:
    """Per method: checks, refusals, coverage and mean distance from the truth."""
    found: dict[str, Any] = {}
    for method in sorted({check.method for check in checks}):
        mine = [c for c in checks if c.method == method]
        given = [c for c in mine if not c.is_refused]
        found[method] = {
            "n": len(given),
            "refused": len(mine) - len(given),
            "coverage": sum(c.is_covered for c in given) / len(given) if given else None,
            "mean_distance": (
                sum(abs(c.estimate - c.truth) for c in given) / len(given) if given else None
            ),
        }
    return found
