"""A profile is folded from facts, impressions and replies, in any order."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.catalogue import ItemId
from data.events import FactKind, Impression, ProfileFact, Reply, ReplyKind, SlateId, UserKey
from data.vocabulary import Allergen, Diet
from recommender.profile import HALF_LIFE, constraints_from, decay, fold_profile, standing
from tests.fakes import NOON

ANN = UserKey("ann")


def fact(kind: FactKind, value: str, *, at: datetime = NOON) -> ProfileFact:
    return ProfileFact(
        fact_id=f"{kind}{value}", user_key=ANN, at=at, kind=kind, value=value, source=""
    )


def reply(
    kind: ReplyKind, item: str = "x", *, name: str = "", days: float = 0, value: str = ""
) -> Reply:
    return Reply(
        reply_id=name or f"{kind}{item}", at=NOON - timedelta(days=days), user_key=ANN, kind=kind,
        item_id=ItemId(item) if item else None, value=value,
    )  # fmt: skip


def seen(item: str, days: float) -> Impression:
    return Impression(
        slate_id=SlateId("s"), user_key=ANN, item_id=ItemId(item), position=0, propensity=1.0,
        marginal_propensity=1.0, explored=False, delivered_at=NOON - timedelta(days=days),
    )  # fmt: skip


def test_facts_become_constraints() -> None:
    found = constraints_from(
        [
            fact(FactKind.ALLERGEN, "nuts"),
            fact(FactKind.DIET, "vegan"),
            fact(FactKind.AVOID, "mango"),
            fact(FactKind.EXCLUDE, "meat"),
            fact(FactKind.PRICE_MAX, "30"),
            fact(FactKind.PREFER, "fruit"),
            fact(FactKind.LANGUAGE, "zh"),
        ]
    )
    assert found.allergens == {Allergen.NUTS}
    assert found.diets == {Diet.VEGAN}
    assert found.avoid == {"mango"}
    assert found.exclude == {"meat"}
    assert found.price_max == Decimal(30)
    assert not found.include


def test_a_rule_that_cannot_be_read_becomes_a_word_to_avoid() -> None:
    found = constraints_from([fact(FactKind.ALLERGEN, "kiwi"), fact(FactKind.DIET, "raw")])
    assert found.avoid == {"kiwi", "raw"}
    assert constraints_from([fact(FactKind.PRICE_MAX, "cheap")]).price_max is None


def test_a_like_fades_by_half_in_a_month() -> None:
    assert decay(NOON, NOON) == 1.0
    assert decay(NOON, NOON - HALF_LIFE) == pytest.approx(0.5)
    assert decay(NOON, NOON + HALF_LIFE) == 1.0
    profile = fold_profile(ANN, replies=[reply(ReplyKind.LIKE, days=30)], at=NOON)
    assert profile.history[ItemId("x")].affinity == pytest.approx(0.5)


def test_likes_and_dislikes_are_told_apart() -> None:
    profile = fold_profile(
        ANN,
        replies=[
            reply(ReplyKind.LIKE, "a"), reply(ReplyKind.DISLIKE, "b"), reply(ReplyKind.NEVER, "c"),
            reply(ReplyKind.PURCHASE, "d"), reply(ReplyKind.WHY, ""),
        ],
        at=NOON,
    )  # fmt: skip
    assert profile.liked == ("a", "d")
    assert profile.disliked == ("b", "c")
    assert profile.history[ItemId("c")].is_never
    assert profile.history[ItemId("b")].disliked_at == NOON
    assert profile.history[ItemId("d")].purchased_at == NOON
    assert profile.n_replies == 5


def test_what_was_taken_back_never_was() -> None:
    replies = [
        reply(ReplyKind.LIKE, "a", name="r1"),
        reply(ReplyKind.UNDO, "", name="u", value="r1"),
        reply(ReplyKind.LIKE, "b", name="r2"),
    ]
    assert [r.reply_id for r in standing(replies)] == ["r2"]
    assert fold_profile(ANN, replies=replies, at=NOON).liked == ("b",)


def test_impressions_of_today_and_the_latest_count() -> None:
    profile = fold_profile(ANN, impressions=[seen("a", 3), seen("a", 0.5), seen("b", 2)], at=NOON)
    assert profile.shown_today == ("a",)
    assert profile.history[ItemId("a")].n_shown == 2
    assert profile.history[ItemId("a")].shown_at == NOON - timedelta(days=0.5)


@given(st.permutations([reply(k, i) for k in (ReplyKind.LIKE, ReplyKind.DISLIKE) for i in "abc"]))
def test_the_order_of_events_does_not_matter(replies: list[Reply]) -> None:
    expected = fold_profile(ANN, replies=sorted(replies, key=lambda r: r.reply_id), at=NOON)
    assert fold_profile(ANN, replies=replies, at=NOON) == expected


def test_an_item_disliked_and_never_wanted_again_is_disliked_once_a_slate() -> None:
    answers = [
        replace(reply(kind, "x", name=str(n)), slate_id=SlateId(slate))
        for n, (kind, slate) in enumerate(
            [(ReplyKind.DISLIKE, "s"), (ReplyKind.NEVER, "s"), (ReplyKind.DISLIKE, "t")]
        )
    ]
    taken_back = reply(ReplyKind.UNDO, "", value="2")

    both = fold_profile(ANN, replies=answers, at=NOON).history[ItemId("x")]
    first = fold_profile(ANN, replies=[*answers, taken_back], at=NOON).history[ItemId("x")]

    assert (both.n_disliked, both.n_liked, both.n_met) == (2, 0, 2)
    assert (first.n_disliked, first.n_met) == (1, 1)
