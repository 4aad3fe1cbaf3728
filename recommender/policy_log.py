"""Logs of single placements from a file: ours, or the Open Bandit Dataset's columns."""

from __future__ import annotations

import csv
import gzip
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data.errors import InvalidInput
from recommender.evaluation import Estimate, direct_method, doubly_robust, ips, snips
from recommender.slate_evaluation import cross_fit

Floats = npt.NDArray[np.float64]

POLICIES = ("uniform", "logged", "popular")
_NEEDED = ("item_id", "click", "propensity_score")
_TEMPERATURE = 0.5
_PRIOR = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementLog:
    """One row per placement; n rows, A items."""

    items: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]
    rewards: Floats
    propensities: Floats
    """P(item at position), as logged."""
    clusters: npt.NDArray[np.int64]
    n_items: int


def read_placement_log(path: Path) -> PlacementLog:
    """Read a CSV (also `.gz`) with `item_id`, `click`, `propensity_score` and maybe `position`, `user`.

    The Open Bandit Dataset names no people, so that there every row stands for itself.

    Raises:
        InvalidInput: a column is missing or a cell is no number; the line is named.
    """
    content = path.read_bytes()
    if path.suffix == ".gz":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError) as error:
            raise InvalidInput(f"{path.name} is no gzip file; check the download") from error
    reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig", "replace")))
    missing = [name for name in _NEEDED if name not in (reader.fieldnames or ())]
    if missing:
        raise InvalidInput(
            f"{path.name} has no column {', '.join(missing)}; expected item_id, click, "
            "propensity_score, and position and user where known"
        )
    rows = list(reader)
    if not rows:
        raise InvalidInput(f"{path.name} has no rows")
    names = sorted({row["item_id"] for row in rows})
    code = {name: n for n, name in enumerate(names)}
    users = [row.get("user") or f"row {n}" for n, row in enumerate(rows)]
    user_code = {name: n for n, name in enumerate(dict.fromkeys(users))}
    return PlacementLog(
        items=np.array([code[row["item_id"]] for row in rows], dtype=np.int64),
        positions=_column(rows, "position", path, default=0.0).astype(np.int64),
        rewards=_column(rows, "click", path),
        propensities=_column(rows, "propensity_score", path),
        clusters=np.array([user_code[name] for name in users], dtype=np.int64),
        n_items=len(names),
    )


def _column(
    rows: list[dict[str, str]], name: str, path: Path, default: float = math.nan
) -> Floats:
    values = np.empty(len(rows))
    for n, row in enumerate(rows):
        cell = row.get(name)
        try:
            values[n] = float(cell) if cell not in (None, "") else default
        except ValueError:
            raise InvalidInput(
                f"{path.name}, line {n + 2}, {name}: got {cell!r}, expected a number"
            ) from None
    return values


def evaluate_log(
    log: PlacementLog, policy: str, *, rng: np.random.Generator
) -> Mapping[str, Estimate]:
    """Estimate a policy's reward per placement by every method.

    `uniform` shows every item equally often; `logged` is the policy of the log itself; `popular`
    draws by softmax over smoothed rewards of the items, fitted on other users' rows.

    Raises:
        InvalidInput: the policy is not one of these.
        MissingPropensity: the log has rows without usable propensities.
    """
    if policy not in POLICIES:
        raise InvalidInput(f"{policy!r} is no policy here; expected one of {', '.join(POLICIES)}")
    n = len(log.items)
    everything = np.tile(np.arange(log.n_items), n)
    rows = np.repeat(np.arange(n), log.n_items)
    features = _features(log.items, log.positions)
    asked = [
        (features, np.arange(n)),
        (_features(everything, log.positions[rows]), rows),
    ]
    fit = _item_rates(log.n_items)
    q_logged, q_all = cross_fit(fit, features, log.rewards, log.clusters, asked)
    q = q_all.reshape(n, log.n_items)
    target = _target(log, policy, q)
    chosen = log.propensities if target is None else target[np.arange(n), log.items]
    # Of the logging policy only the chosen item's probability is known; its value needs no model.
    q_target = q_logged if target is None else (target * q).sum(axis=1)
    arguments: dict[str, Any] = {"rng": rng, "clusters": log.clusters}
    return {
        "ips": ips(log.rewards, log.propensities, chosen, **arguments),
        "snips": snips(log.rewards, log.propensities, chosen, **arguments),
        "dm": direct_method(q_target, **arguments),
        "dr": doubly_robust(
            log.rewards, log.propensities, chosen, q_logged=q_logged, q_target=q_target,
            **arguments,
        ),
    }  # fmt: skip


def _target(log: PlacementLog, policy: str, q: Floats) -> Floats | None:
    if policy == "logged":
        return None
    if policy == "uniform":
        return np.full(q.shape, 1 / log.n_items)
    spread = q.std(axis=1, keepdims=True)
    weights = np.exp((q - q.max(axis=1, keepdims=True)) / (_TEMPERATURE * spread + 1e-12))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _features(items: npt.NDArray[np.int64], positions: npt.NDArray[np.int64]) -> Floats:
    return np.column_stack([items, positions]).astype(np.float64)


def _item_rates(n_items: int) -> Any:
    """A reward model of counts: each item's rate, smoothed by the mean with 20 rows."""

    def fit(features: Floats, rewards: Floats) -> Any:
        items = features[:, 0].astype(np.int64)
        mean = float(rewards.mean()) if len(rewards) else 0.0
        shown = np.bincount(items, minlength=n_items)
        liked = np.bincount(items, weights=rewards, minlength=n_items)
        rates = (liked + _PRIOR * mean) / (shown + _PRIOR)
        return lambda asked: rates[asked[:, 0].astype(np.int64)]

    return fit
