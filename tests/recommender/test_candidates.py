"""The filter over columns decides as the rules over one item do."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.catalogue import Catalogue, ItemId, LessonId
from data.events import CreatorRule, Impression, Reply, ReplyKind, RuleKind, SlateId, UserKey
from data.vocabulary import Allergen, Diet
from recommender.candidates import CatalogueTable, Cooldowns, eligibility, reason_for
from recommender.constraints import Constraints, HiddenReason
from recommender.profile import UserProfile, fold_profile
from tests.fakes import NOON, sample_catalogue

ANN = UserKey("ann")
NOBODY = UserProfile(user_key=ANN)
ITEMS = sample_catalogue().items[::7]
TABLE = CatalogueTable(Catalogue.of(ITEMS))


def eligible_ids(
    constraints: Constraints, profile: UserProfile = NOBODY, **choices: object
) -> set[str]:
    may = eligibility(TABLE, profile, constraints, at=NOON, **choices)  # type: ignore[arg-type]
    assert may.n_eligible + sum(may.hidden.values()) == len(ITEMS)
    return {item.item_id for item, ok in zip(ITEMS, may.mask, strict=True) if ok}


@settings(deadline=None, max_examples=60)
@given(
    allergens=st.frozensets(st.sampled_from(list(Allergen)), max_size=3),
    diets=st.frozensets(st.sampled_from(list(Diet)), max_size=2),
    avoid=st.frozensets(st.sampled_from(["mango", "猪", "rice"]), max_size=1),
    exclude=st.frozensets(st.sampled_from(["meat", "fruit", "tofu", "dairy"]), max_size=2),
    include=st.frozensets(st.sampled_from(["vegetable", "seafood", "picnic"]), max_size=2),
    price_max=st.none() | st.integers(0, 60).map(Decimal),
    price_above=st.none() | st.integers(0, 60).map(Decimal),
)
def test_the_columns_agree_with_the_rules_over_one_item(**wanted: object) -> None:
    constraints = Constraints(**wanted)  # type: ignore[arg-type]
    one_by_one = {i.item_id for i in ITEMS if reason_for(i, constraints, at=NOON) is None}
    assert eligible_ids(constraints) == one_by_one


def test_lessons_for_minors_offer_nothing() -> None:
    may = eligibility(TABLE, NOBODY, Constraints(), at=NOON, commerce_allowed=False)
    assert may.n_eligible == 0
    assert may.hidden == {HiddenReason.AUDIENCE: len(ITEMS)}


def test_what_cannot_be_bought_is_not_offered() -> None:
    gone = [
        replace(ITEMS[0], item_id=ItemId("a"), stock=0),
        replace(ITEMS[0], item_id=ItemId("b"), available_until=NOON.date() - timedelta(days=1)),
        replace(ITEMS[0], item_id=ItemId("c"), available_from=NOON.date() + timedelta(days=1)),
    ]
    may = eligibility(CatalogueTable(Catalogue.of(gone)), NOBODY, Constraints(), at=NOON)
    assert may.n_eligible == 0
    assert set(may.hidden) == {HiddenReason.UNAVAILABLE}


def test_an_empty_catalogue_is_filtered_too() -> None:
    table = CatalogueTable(Catalogue.of([]))
    constraints = Constraints(allergens=frozenset({Allergen.MILK}), exclude=frozenset({"meat"}))
    assert eligibility(table, NOBODY, constraints, at=NOON, cooldowns=Cooldowns()).n_eligible == 0


def test_a_ban_holds_for_its_lesson_or_for_all() -> None:
    def ban(lesson: str) -> list[CreatorRule]:
        return [
            CreatorRule(
                lesson_id=LessonId(lesson), item_id=ITEMS[0].item_id, kind=RuleKind.BAN, at=NOON,
                creator=ANN,
            )
        ]  # fmt: skip

    first = ITEMS[0].item_id
    assert first not in eligible_ids(Constraints(), creator_rules=ban(""))
    assert first not in eligible_ids(
        Constraints(), creator_rules=ban("l1"), lesson_id=LessonId("l1")
    )
    assert first in eligible_ids(Constraints(), creator_rules=ban("l1"), lesson_id=LessonId("l2"))


@pytest.mark.parametrize(
    ("kind", "days", "is_away"),
    [
        (None, 6.9, True), (None, 7.1, False), (ReplyKind.DISLIKE, 89, True), (ReplyKind.DISLIKE, 91, False),
        (ReplyKind.PURCHASE, 2.9, True), (ReplyKind.PURCHASE, 3.1, False), (ReplyKind.NEVER, 2000, True),
        (ReplyKind.LIKE, 0, False),
    ],
)  # fmt: skip
def test_an_item_stays_away_as_long_as_agreed(
    kind: ReplyKind | None, days: float, is_away: bool
) -> None:
    item_id, at = ITEMS[0].item_id, NOON - timedelta(days=days)
    impression = Impression(
        slate_id=SlateId("s"), user_key=ANN, item_id=item_id, position=0, propensity=1.0,
        marginal_propensity=1.0, explored=False, delivered_at=at,
    )  # fmt: skip
    answer = Reply(reply_id="r", at=at, user_key=ANN, kind=kind or ReplyKind.WHY, item_id=item_id)
    profile = fold_profile(
        ANN, impressions=[] if kind else [impression], replies=[answer] if kind else [], at=NOON
    )
    assert (item_id not in eligible_ids(Constraints(), profile, cooldowns=Cooldowns())) is is_away
    # Search asks by name: fatigue is left out, "never" is not.
    is_never = kind is ReplyKind.NEVER
    assert (item_id in eligible_ids(Constraints(), profile, cooldowns=None)) is not is_never


def test_a_category_shown_often_today_rests() -> None:
    category = ITEMS[0].category
    same = [item for item in ITEMS if item.category == category]
    profile = UserProfile(user_key=ANN, shown_today=(same[0].item_id,) * 3)
    left = eligible_ids(Constraints(), profile, cooldowns=Cooldowns())
    assert not left & {item.item_id for item in same}
    assert left


def test_filed_under_knows_categories_and_tags() -> None:
    assert {item.category for item in ITEMS} <= TABLE.filed_under
    assert {tag for item in ITEMS for tag in item.tags} <= TABLE.filed_under
    assert "" not in TABLE.filed_under
