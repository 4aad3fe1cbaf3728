"""How good predictions and rankings are, against what happened. Pure arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from recommender.trust import Floats


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
