"""What the learning commands do, between the store, the registry and the pure recommender."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from bot.catalogue_files import read_catalogue
from data.engagement import Measure, clustered_mean
from data.errors import InvalidInput
from data.events import ConsentKind, Impression, Reply, ReplyKind, SlateId, UserKey
from data.model_registry import ModelRegistry, ModelRow
from data.rewards import REPLY_WINDOW
from data.store import EventStore
from recommender.crowd import Answers, CrowdTaste, category_transfer
from recommender.evaluation import Estimate
from recommender.exploration import parameters_for
from recommender.features import FEATURES, Background, answers_by_category
from recommender.learned_scorer import LearnedScorer, learned_weight
from recommender.live_calibration import Calibration, live_calibration
from recommender.logged import LoggedSlates, logged_slates, placings, slate_log
from recommender.model_card import model_card, reliability_plot
from recommender.predictor import LearnedPredictor, load
from recommender.profile import fold_profile
from recommender.promotion import DOUBLY_ROBUST_FROM, Gate, RewardModel, gate
from recommender.rescoring import rescored
from recommender.scoring import MatchScorer
from recommender.slate_evaluation import cascade, per_position
from recommender.training import MIN_LABELLED, MIN_LIKED, as_json, train

if TYPE_CHECKING:
    from bot.wiring import Wired
    from data.history import Frames

MIN_CROWD = 50
"""People; below that nobody's kind can be told from the others'."""


MOST_CHECKED = 400
"""Slates on which the calibration in force is looked at."""


class TooLittleToLearn(InvalidInput):
    """Too few answers of people who agreed that we learn from them."""

    def __init__(self, n_labelled: int, n_liked: int) -> None:
        """Tell how many there are."""
        super().__init__(
            f"{n_labelled} labelled impressions with {n_liked} likes; learning needs at least "
            f"{MIN_LABELLED} and {MIN_LIKED} of people who agreed to it. Until then the match "
            "score ranks"
        )
        self.n_labelled, self.n_liked = n_labelled, n_liked


def read_log(parts: Wired, *, at: datetime) -> LoggedSlates:
    """The slates of people who agreed that we learn from their answers, as arrays."""
    store = parts.store
    return logged_slates(
        store.slates(),
        store.impressions(),
        store.replies(),
        users=store.consenting_users(ConsentKind.LEARN_FROM_ANSWERS),
        until=at,
    )


def active_predictor(registry: ModelRegistry) -> tuple[LearnedPredictor | None, int]:
    """The model that serves and its number of labelled impressions; none means matching alone.

    Raises:
        ModelError: its file is missing or damaged.
    """
    row = registry.active()
    if row is None:
        return None, 0
    return load(registry.content(row), version=row.version), row.n_labelled


def open_scorer(parts: Wired, registry: ModelRegistry, *, similarities: Any) -> LearnedScorer:
    """The scorer that wiring gives to the recommender: counts of the log, model in force."""
    store = parts.store
    catalogue, _ = read_catalogue(parts.settings)
    shown = Counter(i.item_id for i in store.impressions())
    liked = Counter(
        item_id
        for _, item_id in {
            (r.slate_id, r.item_id)
            for r in store.replies()
            if r.kind in (ReplyKind.LIKE, ReplyKind.SAVE, ReplyKind.PURCHASE)
            and r.item_id is not None
            and r.slate_id is not None
        }
        if item_id is not None
    )
    predictor, n_labelled = active_predictor(registry)
    background = Background(catalogue, similarities, dict(shown), dict(liked))
    return LearnedScorer(
        background=replace(background, transfer=_transfer(parts, background)),
        match=MatchScorer(dict(shown), dict(liked)),
        predictor=predictor,
        n_labelled=n_labelled,
    )


def _transfer(parts: Wired, background: Background) -> CrowdTaste | None:
    """What tastes say of each other, from people who agreed that we learn from them."""
    store = parts.store
    agreed = sorted(store.consenting_users(ConsentKind.LEARN_FROM_ANSWERS))
    if len(agreed) < MIN_CROWD:
        return None
    impressions: dict[UserKey, list[Impression]] = {key: [] for key in agreed}
    replies: dict[UserKey, list[Reply]] = {key: [] for key in agreed}
    for impression in store.impressions():
        if impression.user_key in impressions:
            impressions[impression.user_key].append(impression)
    for reply in store.replies():
        if reply.user_key in replies:
            replies[reply.user_key].append(reply)
    # Folded as they are when they are served, so that a count means the same on both sides.
    now = datetime.now(UTC)
    profiles = (
        fold_profile(key, impressions=impressions[key], replies=replies[key], at=now)
        for key in agreed
    )
    answers = zip(*(answers_by_category(p, background) for p in profiles), strict=True)
    return category_transfer(Answers(*(np.array(part) for part in answers)))


def train_from_store(
    parts: Wired, registry: ModelRegistry, *, seed: int, at: datetime
) -> tuple[ModelRow, Gate]:
    """Train, judge, write model, card and plot, and register the model in shadow.

    Raises:
        TooLittleToLearn: fewer labelled impressions or likes than learning needs.
        InvalidInput: there is too little before or after the split.
    """
    log = read_log(parts, at=at)
    rows = log.impressions()
    if len(rows) < MIN_LABELLED or rows.labels.sum() < MIN_LIKED:
        raise TooLittleToLearn(len(rows), int(rows.labels.sum()))
    in_force, n_in_force = active_predictor(registry)
    trained = train(log, seed=seed, in_force=in_force, tell=parts.tell)
    verdict = _judge(
        parts, trained.holdout, trained.predictor, trained.report, in_force, n_in_force, seed=seed
    )
    version = trained.predictor.version
    row = ModelRow(
        version=version,
        created_at=at.isoformat(timespec="seconds"),
        file=f"{version}.skops",
        sha256=hashlib.sha256(trained.content).hexdigest(),
        n_labelled=trained.report.n_labelled,
        metrics=as_json(trained.report),
    )
    plot = f"{version}.svg"
    registry.add(
        row,
        {
            row.file: trained.content,
            f"{version}.md": model_card(version, trained.report, verdict, plot=plot).encode(),
            plot: reliability_plot(trained.report.reliability).encode(),
        },
    )
    return row, verdict


def judge_model(parts: Wired, registry: ModelRegistry, row: ModelRow, *, at: datetime) -> Gate:
    """Apply the promotion gate to a registered model with today's log.

    The report is made anew on the latest slates; the model itself is the registered file.

    Raises:
        InvalidInput: there is too little to judge by.
        ModelError: a model file is missing or damaged.
    """
    log = read_log(parts, at=at)
    in_force, n_in_force = active_predictor(registry)
    predictor = load(registry.content(row), version=row.version)
    seed = int(row.metrics.get("seed", 0))
    from recommender.training import judge_again

    report, holdout = judge_again(log, predictor, in_force=in_force, seed=seed)
    return _judge(parts, holdout, predictor, report, in_force, n_in_force, seed=seed)


def _judge(
    parts: Wired,
    holdout: LoggedSlates,
    predictor: LearnedPredictor,
    report: Any,
    in_force: LearnedPredictor | None,
    n_in_force: int,
    *,
    seed: int,
) -> Gate:
    return gate(
        report,
        holdout,
        candidate_scores=rescored(holdout, predictor, learned_weight(report.n_labelled)),
        in_force_scores=rescored(holdout, in_force, learned_weight(n_in_force)),
        parameters=parameters_for(parts.store.count_slates()),
        safety_violations=parts.store.safety_violations(),
        rng=np.random.default_rng([seed, 7]),
    )


def evaluate_from_store(
    parts: Wired,
    registry: ModelRegistry,
    policy: str,
    *,
    at: datetime,
    rng: np.random.Generator,
) -> dict[str, Estimate]:
    """Estimate a policy over our own slates: uniform, match-only, popular, logged or a model.

    Raises:
        InvalidInput: the policy is unknown, or there are no slates of consenting people.
    """
    return evaluate_log_of(parts, registry, read_log(parts, at=at), policy, rng=rng)


def evaluate_log_of(
    parts: Wired,
    registry: ModelRegistry,
    log: LoggedSlates,
    policy: str,
    *,
    rng: np.random.Generator,
) -> dict[str, Estimate]:
    """The same over slates that were read already.

    Raises:
        InvalidInput: the policy is unknown, or the log is empty.
    """
    if not len(log):
        raise InvalidInput(
            "no slate of people who agreed to learning has its reply window behind it; "
            "nothing can be estimated yet"
        )
    parameters = parameters_for(parts.store.count_slates())
    match policy:
        case "uniform":
            scores = np.where(np.isnan(log.scores), np.nan, 0.0)
        case "match-only":
            scores = rescored(log, None, 0.0)
        case "popular":
            column = log.features[:, :, FEATURES.index("popularity")]
            scores = np.asarray(column, dtype=np.float64)
        case "logged":
            scores = log.scores
        case _:
            row = registry.row(policy)
            predictor = load(registry.content(row), version=row.version)
            scores = rescored(log, predictor, learned_weight(row.n_labelled))
    target = placings(log, scores, parameters)
    arrays = slate_log(log, target)
    model = RewardModel(log)
    found = (
        per_position(arrays, rng=rng),
        per_position(arrays, rng=rng, normalise=True),
        cascade(arrays, rng=rng),
        per_position(arrays, rng=rng, q_logged=model.logged(log), q_target=model.expected(target)),
    )
    return {estimate.method: estimate for estimate in found}


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """What a policy would have earned by our log."""

    policy: str
    n_slates: int
    served: Measure
    """Like rate of a placement under the policies that served, by people."""
    estimate: Estimate
    """The one to go by: doubly robust from 2 000 slates on, SNIPS below."""
    others: tuple[Estimate, ...]


def what_if(parts: Wired, registry: ModelRegistry, policy: str, *, at: datetime) -> WhatIf | None:
    """Estimate a policy and say what it is to be compared with; None while there is no log.

    Raises:
        InvalidInput: the policy is unknown.
        ModelError: a model file is missing or damaged.
    """
    log = read_log(parts, at=at)
    if not len(log):
        return None
    found = evaluate_log_of(parts, registry, log, policy, rng=np.random.default_rng(0))
    name = "dr-per-position" if len(log) >= DOUBLY_ROBUST_FROM else "snips-per-position"
    rows = log.impressions()
    return WhatIf(
        policy=policy,
        n_slates=len(log),
        served=clustered_mean(rows.labels, rows.users),
        estimate=found.pop(name),
        others=tuple(found.values()),
    )


def calibration_in_force(
    store: EventStore, registry: ModelRegistry, frames: Frames, *, at: datetime
) -> Calibration | None:
    """Compare what the model in force promised with what came, on an even selection of its slates.

    Only slates count that it served to people who agreed to learning, and whose reply window is over.

    Args:
        store: Gives the slates with their features as served.
        registry: Knows the model in force.
        frames: The period.
        at: Now.

    Raises:
        ModelError: the model file is missing or damaged.
    """
    predictor, _ = active_predictor(registry)
    if predictor is None:
        return None
    names = frames.names
    agreed = [names.code_of(key) for key in store.consenting_users(ConsentKind.LEARN_FROM_ANSWERS)]
    slates, shown = frames.slates, frames.impressions
    served = slates["slate"][
        (slates["model"] == names.code_of(predictor.version)) & slates["user"].isin(agreed)
    ]
    shown = shown[shown["slate"].isin(served) & (shown["at"] <= at - REPLY_WINDOW)]
    ids = shown["slate"].drop_duplicates().to_numpy()
    if len(ids) > MOST_CHECKED:
        ids = ids[np.unique(np.linspace(0, len(ids) - 1, MOST_CHECKED).astype(int))]
    shown = shown[shown["slate"].isin(ids)]
    came = {
        (SlateId(slate), int(position)): (bool(liked), int(user))
        for slate, position, liked, user in zip(
            shown["slate"], shown["position"], shown["liked"], shown["user"], strict=True
        )
    }
    records = (store.slate(SlateId(slate_id)) for slate_id in ids)
    return live_calibration(
        (record for record in records if record is not None),
        came,
        predictor,
        rng=np.random.default_rng(0),
    )
