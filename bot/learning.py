"""What the learning commands do, between the store, the registry and the pure recommender."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np

from bot.wiring import Wired, read_catalogue
from data.catalogue import ItemId
from data.errors import InvalidInput
from data.events import ConsentKind, ReplyKind, UserKey
from data.model_registry import ModelRegistry, ModelRow
from recommender.evaluation import Estimate, cascade, per_position
from recommender.features import FEATURES, Background, category_transfer
from recommender.learned_scorer import LearnedScorer, learned_weight
from recommender.logged import LoggedSlates, logged_slates, placings, slate_log
from recommender.model_card import model_card, reliability_plot
from recommender.policy import parameters_for
from recommender.predictor import LearnedPredictor, load
from recommender.profile import fold_profile, standing
from recommender.promotion import Gate, RewardModel, gate
from recommender.rescoring import rescored
from recommender.scoring import MatchScorer
from recommender.training import as_json, train

MIN_CROWD = 50
"""People; below that nobody's kind can be told from the others'."""


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


def _transfer(parts: Wired, background: Background) -> Any:
    """What tastes say of each other, from people who agreed that we learn from them."""
    store = parts.store
    agreed = sorted(store.consenting_users(ConsentKind.LEARN_FROM_ANSWERS))
    if len(agreed) < MIN_CROWD:
        return None
    user = {key: n for n, key in enumerate(agreed)}
    codes, rows = background.category_codes, background.rows_by_id
    shown = np.zeros((len(agreed), int(codes.max(initial=0)) + 1))
    liked = np.zeros_like(shown)
    for impression in store.impressions():
        if impression.user_key in user and impression.item_id in rows:
            shown[user[impression.user_key], codes[rows[impression.item_id]]] += 1
    for reply in standing(store.replies()):
        if reply.kind is not ReplyKind.LIKE or reply.item_id is None:
            continue
        if reply.user_key in user and reply.item_id in rows:
            liked[user[reply.user_key], codes[rows[reply.item_id]]] += 1
    return category_transfer(liked, np.maximum(shown, liked))


def train_from_store(
    parts: Wired, registry: ModelRegistry, *, seed: int, at: datetime
) -> tuple[ModelRow, Gate]:
    """Train, judge, write model, card and plot, and register the model in shadow.

    Raises:
        InvalidInput: there is too little to learn from.
    """
    log = read_log(parts, at=at)
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
        parameters=parameters_for(len(parts.store.slates())),
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
    log = read_log(parts, at=at)
    if not len(log):
        raise InvalidInput(
            "no slate of people who agreed to learning has its reply window behind it; "
            "nothing can be estimated yet"
        )
    parameters = parameters_for(len(parts.store.slates()))
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


def profile_figures(parts: Wired, user_key: UserKey, *, at: datetime) -> dict[str, Any]:
    """What is known of a person, as JSON values: interests, habits, constraints."""
    store = parts.store
    catalogue, _ = read_catalogue(parts.settings)
    facts = store.facts(user_key, at=at)
    replies = store.replies(user_key=user_key)
    impressions = store.impressions(user_key=user_key)
    profile = fold_profile(user_key, facts=facts, impressions=impressions, replies=replies, at=at)
    by_id = catalogue.items_by_id
    by_category: Counter[str] = Counter()
    by_tag: Counter[str] = Counter()
    for item_id, history in profile.history.items():
        if item_id in by_id:
            by_category[by_id[item_id].category] += round(history.affinity * 100)
            by_tag.update(dict.fromkeys(by_id[item_id].tags, round(history.affinity * 100)))
    bought = [r for r in replies if r.kind is ReplyKind.PURCHASE and r.item_id is not None]
    units = Counter(r.item_id for r in bought)
    prices = [p for r in bought if (p := _price(by_id.get(r.item_id or ItemId("")))) is not None]
    acts = [r.at for r in replies]
    return {
        "user_key": user_key,
        "facts": [
            {
                "kind": f.kind,
                "value": f.value,
                "since": f.at.date().isoformat(),
                "source": f.source,
            }
            for f in facts
        ],
        "n_shown": len(impressions),
        "n_replies": profile.n_replies,
        "categories": _affinities(by_category),
        "tags": _affinities(by_tag),
        "n_bought": len(bought),
        "bought_again": [
            {"item_id": item_id, "times": n} for item_id, n in units.most_common() if n > 1
        ],
        "mean_price_bought": float(sum(prices) / len(prices)) if prices else None,
        "hours": dict(Counter(moment.hour for moment in acts).most_common(3)),
        "weekdays": dict(Counter(moment.isoweekday() for moment in acts).most_common(3)),
        "searches": [r.text for r in replies if r.kind is ReplyKind.TEXT and r.value == "search"][
            -5:
        ],
        "sources": dict(Counter(r.source for r in replies)),
    }


def _price(item: Any) -> Decimal | None:
    return item.price if item is not None else None


def _affinities(counts: Counter[str]) -> list[dict[str, Any]]:
    return [
        {"name": name, "affinity": value / 100} for name, value in counts.most_common(5) if value
    ]


_LABELS = {
    "en": {
        "nothing": "Nothing is stored about this person.",
        "facts": "Told us: {}",
        "shown": "Shown {} items, {} answers",
        "likes": "Likes: {}",
        "dislikes": "Does not like: {}",
        "bought": "Bought {} times, mean price {}",
        "again": "Buys again: {}",
        "times": "Mostly active: {} (UTC)",
        "searches": "Searched for: {}",
        "sources": "From: {}",
    },
    "zh": {
        "nothing": "没有保存这个人的任何信息。",
        "facts": "本人告知：{}",
        "shown": "看过 {} 件商品，回应 {} 次",
        "likes": "喜欢：{}",
        "dislikes": "不喜欢：{}",
        "bought": "购买 {} 次，平均价格 {}",
        "again": "会回购：{}",
        "times": "常在这些时间：{}（UTC）",
        "searches": "搜索过：{}",
        "sources": "来源：{}",
    },
}


def describe_profile(figures: dict[str, Any], *, language: str) -> list[str]:
    """The figures in sentences, in Chinese or English."""
    label = _LABELS["zh" if language == "zh" else "en"]
    if not (figures["facts"] or figures["n_shown"] or figures["n_replies"]):
        return [label["nothing"]]
    lines: list[str] = []
    if figures["facts"]:
        told = "; ".join(f"{f['kind']} {f['value']} ({f['since']})" for f in figures["facts"])
        lines.append(label["facts"].format(told))
    lines.append(label["shown"].format(figures["n_shown"], figures["n_replies"]))
    known = [*figures["categories"], *figures["tags"]]
    for key, sign in (("likes", 1), ("dislikes", -1)):
        names = [a["name"] for a in known if a["affinity"] * sign > 0]
        if names:
            lines.append(label[key].format(", ".join(names)))
    if figures["n_bought"]:
        mean = figures["mean_price_bought"]
        shown = "?" if mean is None else f"{mean:.2f}"
        lines.append(label["bought"].format(figures["n_bought"], shown))
    if figures["bought_again"]:
        again = ", ".join(f"{b['item_id']} x{b['times']}" for b in figures["bought_again"])
        lines.append(label["again"].format(again))
    if figures["hours"]:
        lines.append(label["times"].format(", ".join(f"{hour}:00" for hour in figures["hours"])))
    if figures["searches"]:
        lines.append(label["searches"].format(", ".join(figures["searches"])))
    if figures["sources"]:
        lines.append(label["sources"].format(", ".join(figures["sources"])))
    return lines
