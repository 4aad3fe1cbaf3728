"""From logged slates to a fitted, calibrated and described predictor."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from data.errors import InvalidInput
from recommender.features import FEATURES
from recommender.logged import ImpressionRows, LoggedSlates
from recommender.metrics import Interval, auc, brier, calibration_error
from recommender.predictor import (
    BOOSTING_FROM_ROWS,
    Hyperparameters,
    LearnedPredictor,
    dump,
    fit_calibrator,
    new_model,
    with_position,
)

Floats = npt.NDArray[np.float64]
Tell = Callable[[str, int, int], None]

MIN_LABELLED, MIN_LIKED = 500, 50
HOLDOUT_SHARE = 0.2
_CALIBRATION_ONE_IN = 5
"""Every fifth user is kept from the fit, for choosing and calibrating."""

LOGISTIC_GRID = tuple(Hyperparameters(penalty=c) for c in (0.003, 0.03, 0.3, 3.0))
BOOSTING_GRID = tuple(
    Hyperparameters(
        family="boosting", learning_rate=rate, n_leaves=leaves, l2=l2, n_iterations=iterations
    )
    for rate, iterations in ((0.05, 200), (0.1, 100))
    for leaves in (7, 15, 31)
    for l2 in (1.0, 10.0)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """One point of the reliability plot."""

    predicted: float
    observed: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingReport:
    """What the model card tells. All figures are of the latest slates, which no fit has seen."""

    n_labelled: int
    n_liked: int
    n_users: int
    first_day: str
    last_day: str
    n_test: int
    n_test_new_users: int
    """Test rows of people of whom the fit had seen nothing."""
    like_rate: float
    auc: Interval
    auc_new_users: Interval
    calibration_error: float
    mean_gap: float
    """mean predicted - mean observed."""
    brier: float
    brier_constant: float
    """Of the constant prediction of the training like rate."""
    brier_in_force: float
    """Of the model in force on the same rows; NaN without one."""
    reliability: tuple[Bin, ...]
    effects: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """Feature -> AUC lost when its values are shuffled."""
    seed: int
    hyperparameters: Hyperparameters
    trials: tuple[tuple[str, float], ...] = ()
    """(description, log loss) of every configuration of the last round of the search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A model, its file and its report; and the slates on which it may be judged."""

    predictor: LearnedPredictor
    content: bytes
    report: TrainingReport
    holdout: LoggedSlates


def train(
    log: LoggedSlates,
    *,
    seed: int,
    search: bool = True,
    in_force: LearnedPredictor | None = None,
    tell: Tell | None = None,
) -> Trained:
    """Fit on the earlier slates, choose and calibrate on other users, report on the latest.

    The same log and seed give the same file, byte for byte.

    Args:
        log: Slates of consenting people with their replies.
        seed: For the search and the boosting.
        search: Whether to search hyperparameters; False takes the defaults.
        in_force: The model that serves now, for comparison on the same rows.
        tell: Called with what is done, how much, and of how much.

    Raises:
        InvalidInput: fewer than 500 labelled impressions or 50 liked ones, or too little before
            or after the split.
    """
    rows = log.impressions()
    n_liked = int(rows.labels.sum())
    if len(rows) < MIN_LABELLED or n_liked < MIN_LIKED:
        raise InvalidInput(
            f"{len(rows)} labelled impressions with {n_liked} likes; learning needs at least "
            f"{MIN_LABELLED} and {MIN_LIKED} of people who agreed to it. Until then the match "
            "score ranks"
        )
    late = _is_late(log)
    early, test = log.rows(~late).impressions(), log.rows(late).impressions()
    is_fit = early.users % _CALIBRATION_ONE_IN != 0
    fitting, choosing = early.rows(is_fit), early.rows(~is_fit)
    for part, name in ((fitting, "fit"), (choosing, "calibration"), (test, "test")):
        if len(np.unique(part.labels)) < 2:
            raise InvalidInput(
                f"the {name} part of the log has {len(part)} impressions and not both likes and "
                "others among them; wait for more replies"
            )
    hyperparameters, trials = _choose(
        fitting, choosing, seed=seed, search=search, tell=tell or _silent
    )
    model = _fit(fitting, hyperparameters, seed=seed)
    calibrator = fit_calibrator(_raw(model, choosing), choosing.labels)
    predictor = LearnedPredictor(
        model=model, calibrator=calibrator, hyperparameters=hyperparameters
    )
    report = _report(
        predictor, rows, fitting, test, in_force=in_force, seed=seed, trials=trials,
        tell=tell or _silent, with_effects=search,
    )  # fmt: skip
    predictor = replace(predictor, facts=MappingProxyType(as_json(report)))
    content = dump(predictor)
    predictor = replace(predictor, version=hashlib.sha256(content).hexdigest()[:12])
    return Trained(predictor=predictor, content=content, report=report, holdout=log.rows(late))


def judge_again(
    log: LoggedSlates,
    predictor: LearnedPredictor,
    *,
    in_force: LearnedPredictor | None,
    seed: int,
) -> tuple[TrainingReport, LoggedSlates]:
    """Report on a finished model with a newer log; only its latest slates are judged by.

    Raises:
        InvalidInput: too little is labelled.
    """
    late = _is_late(log)
    early, test = log.rows(~late).impressions(), log.rows(late).impressions()
    if len(np.unique(test.labels)) < 2 or not len(early):
        raise InvalidInput(
            f"the latest {len(test)} impressions do not hold both likes and others; wait for "
            "more replies"
        )
    fitting = early.rows(early.users % _CALIBRATION_ONE_IN != 0)
    report = _report(
        predictor, log.impressions(), fitting, test, in_force=in_force, seed=seed, trials=(),
        tell=_silent, with_effects=False,
    )  # fmt: skip
    return report, log.rows(late)


def _silent(what: str, done: int, total: int) -> None:
    return None


def _is_late(log: LoggedSlates) -> npt.NDArray[np.bool_]:
    """The latest fifth of the slates; equal moments stay together."""
    if len(log) == 0:
        return np.zeros(0, dtype=bool)
    border = np.sort(log.moments)[int(len(log) * (1 - HOLDOUT_SHARE))]
    late: npt.NDArray[np.bool_] = log.moments >= border
    if late.all():
        late = log.moments > border
    return late


def _choose(
    fitting: ImpressionRows,
    choosing: ImpressionRows,
    *,
    seed: int,
    search: bool,
    tell: Tell,
) -> tuple[Hyperparameters, tuple[tuple[str, float], ...]]:
    """Successive halving: all on a ninth of the rows, the better third on thrice as many, ..."""
    many = len(fitting) >= BOOSTING_FROM_ROWS
    if not search:
        return (Hyperparameters(family="boosting") if many else Hyperparameters()), ()
    left = [*LOGISTIC_GRID, *(BOOSTING_GRID if many else ())]
    order = np.random.default_rng(seed).permutation(len(fitting))
    n_rows = max(len(fitting) // 9, min(len(fitting), 400))
    total, done = len(left) + math.ceil(len(left) / 3) + math.ceil(len(left) / 9), 0
    trials: list[tuple[float, Hyperparameters]] = []
    while True:
        subset = fitting.rows(np.sort(order[:n_rows]))
        trials = []
        for candidate in left:
            trials.append((_log_loss(subset, choosing, candidate, seed=seed), candidate))
            done += 1
            tell("searching hyperparameters", min(done, total), total)
        trials.sort(key=lambda trial: trial[0])
        if n_rows >= len(fitting) or len(left) == 1:
            break
        left = [candidate for _, candidate in trials[: math.ceil(len(left) / 3)]]
        n_rows = min(n_rows * 3, len(fitting))
    tell("searching hyperparameters", total, total)
    return trials[0][1], tuple((_describe(h), round(loss, 6)) for loss, h in trials)


def _describe(h: Hyperparameters) -> str:
    if h.family == "logistic":
        return f"logistic C={h.penalty:g}"
    return f"boosting rate={h.learning_rate:g} leaves={h.n_leaves} l2={h.l2:g}"


def _log_loss(
    fitting: ImpressionRows, choosing: ImpressionRows, candidate: Hyperparameters, *, seed: int
) -> float:
    if len(np.unique(fitting.labels)) < 2:
        return math.inf
    p = np.clip(_raw(_fit(fitting, candidate, seed=seed), choosing), 1e-6, 1 - 1e-6)
    y = choosing.labels
    return float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean())


def _fit(rows: ImpressionRows, hyperparameters: Hyperparameters, *, seed: int) -> Any:
    model = new_model(hyperparameters, seed=seed)
    return model.fit(with_position(rows.features, rows.positions), rows.labels.astype(np.int64))


def _raw(model: Any, rows: ImpressionRows) -> Floats:
    probabilities = model.predict_proba(with_position(rows.features, rows.positions))
    return np.asarray(probabilities[:, 1], dtype=np.float64)


def _report(
    predictor: LearnedPredictor,
    rows: ImpressionRows,
    fitting: ImpressionRows,
    test: ImpressionRows,
    *,
    in_force: LearnedPredictor | None,
    seed: int,
    trials: tuple[tuple[str, float], ...],
    tell: Tell,
    with_effects: bool,
) -> TrainingReport:
    predicted = predictor.predict(test.features, test.positions)
    unseen = ~np.isin(test.users, fitting.users)
    rate = float(fitting.labels.mean())
    return TrainingReport(
        n_labelled=len(rows),
        n_liked=int(rows.labels.sum()),
        n_users=len(np.unique(rows.users)),
        first_day=_day(float(rows.moments.min())),
        last_day=_day(float(rows.moments.max())),
        n_test=len(test),
        n_test_new_users=int(unseen.sum()),
        like_rate=rate,
        auc=auc(predicted, test.labels),
        auc_new_users=auc(predicted[unseen], test.labels[unseen]),
        calibration_error=calibration_error(predicted, test.labels),
        mean_gap=float(predicted.mean() - test.labels.mean()),
        brier=brier(predicted, test.labels),
        brier_constant=brier(np.full(len(test), rate), test.labels),
        brier_in_force=(
            brier(in_force.predict(test.features, test.positions), test.labels)
            if in_force
            else math.nan
        ),
        reliability=reliability(predicted, test.labels),
        effects=_effects(predictor, test, seed=seed, tell=tell) if with_effects else {},
        seed=seed,
        hyperparameters=predictor.hyperparameters,
        trials=trials,
    )


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, tz=UTC).date().isoformat()


def reliability(predicted: Floats, observed: Floats, *, n_bins: int = 10) -> tuple[Bin, ...]:
    """Give mean prediction and outcome per tenth of the rows, by rising prediction."""
    order = np.argsort(predicted, kind="stable")
    return tuple(
        Bin(predicted=float(predicted[b].mean()), observed=float(observed[b].mean()), n=len(b))
        for b in np.array_split(order, n_bins)
        if len(b)
    )


def _effects(
    predictor: LearnedPredictor, test: ImpressionRows, *, seed: int, tell: Tell
) -> dict[str, float]:
    """Permutation importance in AUC on up to 5 000 test rows."""
    rng = np.random.default_rng(seed)
    some = test.rows(np.arange(len(test))[:5_000])
    whole = auc(predictor.predict(some.features, some.positions), some.labels).value
    lost: dict[str, float] = {}
    for column, name in enumerate(FEATURES):
        shuffled = some.features.copy()
        shuffled[:, column] = rng.permutation(shuffled[:, column])
        without = auc(predictor.predict(shuffled, some.positions), some.labels).value
        lost[name] = round(whole - without, 5)
        tell("measuring feature effects", column + 1, len(FEATURES))
    return lost


def as_json(report: TrainingReport) -> dict[str, Any]:
    """Give the report as JSON values; NaN becomes None."""
    return {key: _plain(value) for key, value in asdict(report).items()}


def _plain(value: object) -> object:
    match value:
        case float():
            return None if math.isnan(value) else round(value, 6)
        case Mapping():
            return {str(key): _plain(inner) for key, inner in value.items()}
        case tuple() | list():
            return [_plain(inner) for inner in value]
        case _:
            return value
