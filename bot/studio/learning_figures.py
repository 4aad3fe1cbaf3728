"""What was learned, in tables: models, honest probabilities, more data, policies side by side. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from data.engagement import wilson
from data.errors import InvalidInput
from data.model_registry import ModelRow
from data.summary_tables import FEWEST
from recommender.evaluation import Estimate
from recommender.logged import LoggedSlates
from recommender.metrics import auc
from recommender.promotion import DOUBLY_ROBUST_FROM
from recommender.training import train
from recommender.trust import Trust

_SHARES = (0.15, 0.25, 0.4, 0.6, 0.8, 1.0)
"""Of the earlier answers, for the points of the learning curve."""
INTERVAL = ["value", "low", "high"]


def reliability_table(row: ModelRow) -> pd.DataFrame:
    """Predicted and observed like rate per tenth of the newest impressions, with a 95 % interval.

    Empty when the model's report has none, or speaks of fewer than five people.
    """
    bins = row.metrics.get("reliability") or ()
    if int(row.metrics.get("n_users") or 0) < FEWEST:
        bins = ()
    rows = []
    for entry in bins:
        n = int(entry["n"])
        found = wilson(round(entry["observed"] * n), n)
        rows.append((entry["predicted"], entry["observed"], found.low, found.high, n))
    return pd.DataFrame(rows, columns=["predicted", *INTERVAL, "n"], index=range(1, len(rows) + 1))


def models_table(rows: Sequence[ModelRow]) -> pd.DataFrame:
    """The registered models, newest first: answers, AUC with interval, calibration error, Brier."""
    told = []
    for row in reversed(rows):
        found = row.metrics.get("auc") or {}
        told.append(
            (
                row.n_labelled,
                *(_number(found.get(name)) for name in INTERVAL),
                _number(row.metrics.get("calibration_error")),
                _number(row.metrics.get("brier")),
            )
        )
    return pd.DataFrame(
        told,
        columns=["n", *INTERVAL, "calibration_error", "brier"],
        index=[row.version for row in reversed(rows)],
    )


def learning_curve(log: LoggedSlates, *, seed: int) -> list[dict[str, float]]:
    """What more answers bring: models of the first answers only, all judged on the newest fifth.

    Args:
        log: Slates of consenting people.
        seed: For the fits.

    Returns:
        One point a share of the earlier answers: `n` labelled impressions, AUC `value`, `low`, `high`.
        Shares with too few answers to learn from are left out.

    Raises:
        InvalidInput: even all answers are too few.
    """
    holdout = train(log, seed=seed, search=False).holdout
    test = holdout.impressions()
    early = log.rows(log.moments < holdout.moments.min())
    in_order = np.argsort(early.moments, kind="stable")
    points: list[dict[str, float]] = []
    for share in _SHARES:
        part = early.rows(in_order[: int(len(early) * share)])
        try:
            predictor = train(part, seed=seed, search=False).predictor
        except InvalidInput:
            continue
        found = auc(predictor.predict(test.features, test.positions), test.labels)
        points.append(
            {
                "n": float(len(part.impressions())),
                "value": found.value,
                "low": found.low,
                "high": found.high,
            }
        )
    return points


def policy_row(name: str, estimates: Mapping[str, Estimate], *, n_slates: int) -> dict[str, Any]:
    """The estimate by which promotions are decided: doubly robust from 2 000 slates, else SNIPS."""
    wanted = "dr" if n_slates >= DOUBLY_ROBUST_FROM else "snips"
    found = next(e for method, e in estimates.items() if method.startswith(wanted))
    verdict = found.verdict
    return {
        "policy": name,
        "method": found.method,
        "value": None if found.is_refused else _finite(found.value),
        "low": None if found.is_refused else _finite(found.low),
        "high": None if found.is_refused else _finite(found.high),
        "n": found.n,
        "effective_n": round(found.effective_n) if math.isfinite(found.effective_n) else 0,
        "trust": str(verdict.trust if verdict else Trust.GREEN),
        "n_more": verdict.n_more if verdict else 0,
    }


def interval_table(rows: Sequence[Mapping[str, Any]], key: str) -> pd.DataFrame:
    """Stored points as a frame with the interval; what was refused is NaN."""
    others = [name for name in ("n", "effective_n") if rows and name in rows[0] and name != key]
    return pd.DataFrame(
        [[_number(row.get(name)) for name in (*INTERVAL, *others)] for row in rows],
        columns=[*INTERVAL, *others],
        index=[row[key] for row in rows],
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan


def _finite(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
