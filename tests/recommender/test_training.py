from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from data.catalogue import ItemId
from data.errors import InvalidInput
from data.events import Impression, Reply, ReplyKind, SlateId, SlateRecord, Stage, UserKey
from recommender.candidates import CatalogueTable
from recommender.features import Background
from recommender.learned_scorer import (
    LearnedScorer,
    ReasonKind,
    blend,
    learned_weight,
    stage_of,
    taste_reasons,
)
from recommender.logged import joined, logged_slates
from recommender.model_card import model_card, reliability_plot
from recommender.profile import UserProfile, fold_profile
from recommender.promotion import Gate
from recommender.recommend import Recommender
from recommender.replay import replay
from recommender.slate import Request
from recommender.training import train
from tests.recommender.learning_world import NOW, ShopMatcher, a_log, a_shop

SHOP = a_shop()
MATCHER = ShopMatcher(SHOP)
ADA, BOB = UserKey("ada"), UserKey("bob")


def a_recommender() -> Recommender:
    return Recommender(
        table=CatalogueTable(SHOP),
        matcher=MATCHER,
        scorer=LearnedScorer(background=Background(SHOP, MATCHER.similarities)),
    )


def a_slate(number: int = 0, user: UserKey = ADA) -> SlateRecord:
    return (
        a_recommender()
        .recommend(
            UserProfile(user_key=user),
            Request(lesson=SHOP.lessons[number % 4]),
            at=NOW,
            seed=number,
            slate_id=SlateId(f"slate-{number:010d}"),
        )
        .record
    )


def delivered(slate: SlateRecord) -> list[Impression]:
    return [
        Impression(
            slate_id=slate.slate_id, user_key=slate.user_key, item_id=p.item_id,
            position=p.position, propensity=p.propensity,
            marginal_propensity=p.marginal_propensity, explored=p.explored, delivered_at=NOW,
        )
        for p in slate.placements
    ]  # fmt: skip


def a_like(slate: SlateRecord, position: int, **changes: object) -> Reply:
    fields: dict[str, object] = {
        "reply_id": f"{slate.slate_id}:{position}", "at": NOW + timedelta(hours=1),
        "user_key": slate.user_key, "kind": ReplyKind.LIKE, "slate_id": slate.slate_id,
        "item_id": slate.placements[position].item_id,
    }  # fmt: skip
    return Reply(**{**fields, **changes})  # type: ignore[arg-type]


LATER = NOW + timedelta(days=2)


def test_only_people_who_agreed_are_read() -> None:
    slates = [a_slate(0), a_slate(1, BOB)]
    shown = [i for slate in slates for i in delivered(slate)]

    log = logged_slates(slates, shown, [], users={BOB}, until=LATER)

    assert len(log) == 1
    assert len(logged_slates(slates, shown, [], users=set(), until=LATER)) == 0


def test_a_like_in_time_is_a_label_and_a_late_or_undone_one_is_none() -> None:
    slate = a_slate()
    undone = a_like(slate, 1)
    undo = a_like(slate, 1, reply_id="u", kind=ReplyKind.UNDO, value=undone.reply_id)
    late = a_like(slate, 2, at=NOW + timedelta(hours=25))

    log = logged_slates(
        [slate], delivered(slate), [a_like(slate, 0), undone, undo, late], users={ADA}, until=LATER
    )

    assert log.rewards.tolist() == [[1.0, 0.0, 0.0]]
    assert log.wanted.tolist() == [[1.0, 0.0, 0.0]]


@pytest.mark.parametrize(
    ("changes", "until"),
    [
        ({}, NOW + timedelta(hours=23)),
        ({"ope_valid": False}, LATER),
        ({"context": {}}, LATER),
        ({"placements": ()}, LATER),
    ],
    ids=["window still open", "pinned", "no features", "empty"],
)
def test_what_teaches_nothing_is_left_out(changes: dict[str, object], until: object) -> None:
    slate = a_slate()
    changed = replace(slate, **changes)  # type: ignore[arg-type]

    log = logged_slates([changed], delivered(slate), [], users={ADA}, until=until)  # type: ignore[arg-type]

    assert len(log) == 0


def test_what_was_never_delivered_is_no_impression() -> None:
    assert len(logged_slates([a_slate()], [], [], users={ADA}, until=LATER)) == 0


def test_the_log_holds_what_the_policy_drew_with() -> None:
    slate = a_slate()

    log = logged_slates([slate], delivered(slate), [], users={ADA}, until=LATER)

    assert log.scores[0].tolist() == list(slate.scores)
    assert [slate.candidates[i] for i in log.chosen[0]] == [p.item_id for p in slate.placements]
    assert log.conditional[0].tolist() == [p.propensity for p in slate.placements]
    assert len(joined([log, log])) == 2


def test_training_finds_the_planted_signal_and_says_so() -> None:
    trained = train(a_log(1_500), seed=1)

    report = trained.report
    assert report.auc.low > 0.6
    assert max(report.effects, key=lambda name: report.effects[name]) == "category_affinity"
    assert report.brier < report.brier_constant
    assert report.n_test + 4 > 0.2 * report.n_labelled


def test_noise_is_not_taken_for_signal() -> None:
    report = train(a_log(1_500, strength=0.0), seed=1).report

    assert report.auc.low < 0.5 < report.auc.high


def test_likes_of_one_kind_only_cannot_be_learned() -> None:
    log = a_log(600)

    with pytest.raises(InvalidInput, match="likes"):
        train(replace(log, rewards=np.ones_like(log.rewards)), seed=1)


def test_the_card_names_data_figures_gates_and_limits() -> None:
    report = train(a_log(900), seed=1).report

    card = model_card("v1", report, Gate(reasons=("too few",)), plot="v1.svg")

    for words in ("agreed", "AUC", "v1.svg", "category_affinity", "too few", "allergens"):
        assert words in card
    assert reliability_plot(report.reliability).startswith("<svg")


def test_the_learned_ranking_takes_over_by_degrees() -> None:
    assert learned_weight(0) == 0.0
    assert learned_weight(500) == 0.5
    assert stage_of(0.0) is Stage.MATCH_ONLY
    assert stage_of(0.5) is Stage.BLENDED
    assert stage_of(learned_weight(4_500)) is Stage.LEARNED
    match, predicted = np.array([1.0, 2.0, 3.0]), np.array([0.3, 0.2, 0.1])
    assert (np.diff(blend(match, predicted, 0.2)) > 0).all()
    assert (np.diff(blend(match, predicted, 0.8)) < 0).all()
    assert blend(match, predicted, 0.0) is match


def test_every_slate_says_which_regime_made_it() -> None:
    class Scripted:
        version = "v9"

        def predict(self, features: np.ndarray, positions: np.ndarray | None = None) -> np.ndarray:
            return np.linspace(0, 1, len(features))

    recommender = replace(
        a_recommender(),
        scorer=LearnedScorer(background=Background(SHOP), predictor=Scripted(), n_labelled=500),
    )

    record = recommender.recommend(
        UserProfile(user_key=ADA), Request(lesson=SHOP.lessons[0]), at=NOW, seed=1,
        slate_id=SlateId("s" * 16),
    ).record  # fmt: skip

    assert (record.stage, record.model_version) == (Stage.BLENDED, "v9")
    assert a_slate().stage is Stage.MATCH_ONLY


def test_a_past_slate_comes_back_byte_for_byte() -> None:
    slate = a_slate(7)

    found = replay(slate, in_force={"catalogue_version": "another"})

    assert found.is_equal
    assert found.gone == (f"catalogue_version {slate.catalogue_version} (now another)",)


def test_a_changed_row_does_not_replay() -> None:
    slate = a_slate(7)
    first = slate.placements[0]
    changed = replace(
        slate, placements=(replace(first, propensity=first.propensity / 2), *slate.placements[1:])
    )

    assert not replay(changed).is_equal


def test_a_policy_that_is_gone_is_named() -> None:
    with pytest.raises(InvalidInput, match="thompson"):
        replay(replace(a_slate(), policy="thompson", policy_version="3"))


def test_reasons_are_what_the_person_did() -> None:
    replies = [
        Reply(reply_id=str(n), at=NOW, user_key=ADA, kind=ReplyKind.LIKE, item_id=ItemId(item))
        for n, item in enumerate(("item-00", "item-03"))  # a sour fruit and a sour dairy
    ]
    profile = fold_profile(ADA, replies=replies, at=NOW)

    reasons = taste_reasons(profile, SHOP.items_by_id[ItemId("item-06")], Background(SHOP))

    assert [(r.kind, r.what, r.n_liked) for r in reasons] == [
        (ReasonKind.TAG, "sour", 2), (ReasonKind.CATEGORY, "fruit", 1),
    ]  # fmt: skip
    assert [r.examples for r in reasons] == [("item-00", "item-03"), ("item-00",)]
    stranger = UserProfile(user_key=BOB)
    assert taste_reasons(stranger, SHOP.items[0], Background(SHOP)) == []
