"""The last look: refuses on doubt, and never refuses what the filter rightly passes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from data.catalogue import Item, ItemId
from data.events import FactKind, ProfileFact, UserKey
from data.vocabulary import Allergen, AllergenState, Diet
from recommender import guard
from recommender.constraints import Constraints
from recommender.guard import refusals
from recommender.safety import safety_reason
from tests.fakes import NOON, sample_catalogue
from tests.recommender.random_shop import SPOKEN

FREE = dict.fromkeys(Allergen, AllergenState.FREE_FROM)
ITEM = Item(
    item_id=ItemId("x"),
    name_en="Plain Thing",
    name_zh="东西",
    description_en="A thing",
    description_zh="一样东西",
    tags=("round",),
    allergens=FREE,
    allergens_checked_on=NOON.date(),
    diets=frozenset({Diet.VEGAN}),
)


def fact(kind: FactKind, value: str) -> ProfileFact:
    return ProfileFact(
        fact_id="f", user_key=UserKey("u"), at=NOON, kind=kind, value=value, source="said"
    )


def refused(item: Item, kind: FactKind, value: str) -> str:
    """The reason, or nothing when the item may go."""
    found = refusals([item.item_id], {item.item_id: item}, [fact(kind, value)], at=NOON)
    return found[0].reason if found else ""


@pytest.mark.parametrize("allergen", list(Allergen))
@pytest.mark.parametrize(
    "state", [AllergenState.CONTAINS, AllergenState.MAY_CONTAIN, AllergenState.UNKNOWN, None]
)
def test_only_free_from_leaves(allergen: Allergen, state: AllergenState | None) -> None:
    states = {a: s for a, s in FREE.items() if a is not allergen}
    if state is not None:
        states[allergen] = state
    item = replace(ITEM, allergens=states)
    assert refused(item, FactKind.ALLERGEN, allergen) == (
        f"{allergen}: the label does not say free from"
    )
    assert refused(ITEM, FactKind.ALLERGEN, allergen) == ""


@pytest.mark.parametrize(
    ("days", "leaves"), [(0, True), (365, True), (366, False), (-1, True), (-2, False)]
)
def test_a_stale_or_future_label_does_not_leave(days: int, leaves: bool) -> None:
    item = replace(ITEM, allergens_checked_on=NOON.date() - timedelta(days=days))
    assert (refused(item, FactKind.ALLERGEN, "milk") == "") is leaves
    if not leaves:
        assert "too old" in refused(item, FactKind.ALLERGEN, "milk")


def test_a_missing_label_check_does_not_leave() -> None:
    assert "missing" in refused(
        replace(ITEM, allergens_checked_on=None), FactKind.ALLERGEN, "milk"
    )


def test_the_allowed_age_can_be_set() -> None:
    item = replace(ITEM, allergens_checked_on=NOON.date() - timedelta(days=31))
    told = [fact(FactKind.ALLERGEN, "milk")]
    by_id = {item.item_id: item}
    assert refusals([item.item_id], by_id, told, at=NOON, max_label_age_days=30)
    assert not refusals([item.item_id], by_id, told, at=NOON, max_label_age_days=31)


@pytest.mark.parametrize("allergen", list(Allergen))
def test_a_name_that_speaks_of_the_allergen_does_not_leave(allergen: Allergen) -> None:
    for words in guard._RISKY_WORDS[allergen]:
        for item in (replace(ITEM, name_en=words.title()), replace(ITEM, name_zh=words)):
            assert refused(item, FactKind.ALLERGEN, allergen) == (
                f"{allergen}: the name speaks of it"
            )


@pytest.mark.parametrize("allergen", list(Allergen))
def test_each_allergen_has_words_in_both_languages(allergen: Allergen) -> None:
    words = guard._RISKY_WORDS[allergen]
    assert any(word.isascii() for word in words)
    assert any(not word.isascii() for word in words)
    assert any(
        refused(replace(ITEM, name_en=w), FactKind.ALLERGEN, allergen) for w in SPOKEN[allergen]
    )


@pytest.mark.parametrize(
    ("name", "allergen"),
    [
        ("Certified Gluten-Free Rolled Oats", Allergen.GLUTEN),
        ("Gluten Free Crackers", Allergen.GLUTEN),
        ("Vietnamese Rice Paper", Allergen.GLUTEN),
        ("Mung Bean Glass Noodles", Allergen.GLUTEN),
        ("无麸质溜酱油", Allergen.GLUTEN),
        ("Buckwheat", Allergen.GLUTEN),
        ("荞麦", Allergen.GLUTEN),
        ("Wheat-Free Loaf", Allergen.GLUTEN),
        ("Eggplant", Allergen.EGGS),
        ("Egg-free Pasta", Allergen.EGGS),
        ("Egg free Pasta", Allergen.EGGS),
        ("King Oyster Mushroom", Allergen.MOLLUSCS),
        ("鲍鱼菇", Allergen.MOLLUSCS),
        ("蟹味菇", Allergen.CRUSTACEANS),
        ("虾青素鸡蛋", Allergen.CRUSTACEANS),
        ("Crab Apple Jelly", Allergen.CRUSTACEANS),
        ("奶豆腐", Allergen.SOYBEANS),
        ("杏仁豆腐", Allergen.SOYBEANS),
        ("米豆腐", Allergen.SOYBEANS),
        ("Soy-free Sauce", Allergen.SOYBEANS),
        ("Soy free Sauce", Allergen.SOYBEANS),
        ("Peanut-free Bar", Allergen.PEANUTS),
        ("Sesame-free Bar", Allergen.SESAME),
        ("Nutmeg", Allergen.NUTS),
    ],
)
def test_false_friends_leave(name: str, allergen: Allergen) -> None:
    assert refused(replace(ITEM, name_en=name), FactKind.ALLERGEN, allergen) == ""


@pytest.mark.parametrize("mask", guard._MASKS)
def test_no_mask_hides_the_rest_of_a_name(mask: str) -> None:
    for allergen, word in (("peanuts", "peanut"), ("sesame", "芝麻")):
        assert refused(replace(ITEM, name_en=f"{mask} {word}"), FactKind.ALLERGEN, allergen)


def test_a_diet_must_be_declared() -> None:
    assert refused(ITEM, FactKind.DIET, "vegan") == ""
    assert refused(ITEM, FactKind.DIET, "halal") == "not declared halal"
    assert refused(replace(ITEM, diets=None), FactKind.DIET, "vegan") == "not declared vegan"
    assert refused(replace(ITEM, diets=frozenset()), FactKind.DIET, "vegan")


@pytest.mark.parametrize("kind", [FactKind.AVOID, FactKind.ALLERGEN, FactKind.DIET])
def test_a_word_of_no_vocabulary_is_looked_for_in_every_text(kind: FactKind) -> None:
    for word in ("plain", "东西", "a thing", "一样", "ROUND", " round "):
        assert refused(ITEM, kind, word) == "names a food that the person avoids", word
    assert refused(ITEM, kind, "mango") == ""
    assert refused(ITEM, kind, " ") == ""


@pytest.mark.parametrize("kind", [FactKind.EXCLUDE, FactKind.PREFER, FactKind.LANGUAGE])
def test_wishes_are_not_the_guards_business(kind: FactKind) -> None:
    assert refused(ITEM, kind, "thing") == ""


def test_an_item_gone_from_the_catalogue_leaves_only_for_who_said_nothing() -> None:
    gone = ItemId("gone")
    assert refusals([gone], {}, [], at=NOON) == []
    (refusal,) = refusals([gone], {}, [fact(FactKind.DIET, "vegan")], at=NOON)
    assert refusal.item_id == gone
    assert refusal.reason == "not in the catalogue"


def test_every_refused_item_is_named_and_every_fact_counts() -> None:
    bad = replace(ITEM, item_id=ItemId("bad"), allergens={})
    by_id = {i.item_id: i for i in (ITEM, bad)}
    told = [
        fact(FactKind.PREFER, "x"),
        fact(FactKind.DIET, "vegan"),
        fact(FactKind.ALLERGEN, "milk"),
    ]
    ids = [ItemId("gone"), ITEM.item_id, bad.item_id]
    assert [r.item_id for r in refusals(ids, by_id, told, at=NOON)] == ["gone", "bad"]


def test_the_guard_refuses_nothing_that_the_filter_passes_on_the_samples() -> None:
    catalogue = sample_catalogue()
    rules = [(FactKind.ALLERGEN, str(a), Constraints(allergens=frozenset({a}))) for a in Allergen]
    rules += [(FactKind.DIET, str(d), Constraints(diets=frozenset({d}))) for d in Diet]
    for kind, value, constraints in rules:
        passed = [i.item_id for i in catalogue if safety_reason(i, constraints, at=NOON) is None]
        found = refusals(passed, catalogue.items_by_id, [fact(kind, value)], at=NOON)
        assert found == [], (value, found[:3])


def test_the_guard_shares_no_code_with_the_filter() -> None:
    source = Path(guard.__file__).read_text(encoding="utf-8")
    for module in (
        "safety",
        "detector",
        "candidates",
        "constraints",
        "mentions",
        "food_knowledge",
    ):
        assert f"{module} import" not in source
