"""What may be offered to whom: every rule, each side of its edge."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from data.catalogue import Item, ItemId
from data.vocabulary import Allergen, AllergenState, Diet
from recommender.constraints import Constraints, HiddenReason
from recommender.safety import (
    SafetyRules,
    has_readable_composition,
    is_label_fresh,
    mentions_any,
    safety_reason,
    wish_reason,
)
from tests.fakes import NOON

FREE = dict.fromkeys(Allergen, AllergenState.FREE_FROM)
TODAY = NOON.date()
PEAR = Item(
    item_id=ItemId("pear"),
    name_en="Pear",
    description_en="A crisp pear",
    category="fruit",
    allergens=FREE,
    allergens_checked_on=TODAY,
    diets=frozenset(Diet),
    price=Decimal(10),
    tags=("autumn",),
)


def allergic(*allergens: Allergen) -> Constraints:
    return Constraints(allergens=frozenset(allergens))


def on_diet(*diets: Diet) -> Constraints:
    return Constraints(diets=frozenset(diets))


def with_state(state: AllergenState | None, allergen: Allergen = Allergen.NUTS) -> Item:
    states = {a: s for a, s in FREE.items() if a is not allergen}
    if state is not None:
        states[allergen] = state
    return replace(PEAR, allergens=states)


def reason(item: Item, constraints: Constraints) -> HiddenReason | None:
    return safety_reason(item, constraints, at=NOON)


def test_nobody_without_rules_is_kept_from_a_pear() -> None:
    assert reason(PEAR, Constraints()) is None
    assert reason(PEAR, allergic(*Allergen)) is None


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (AllergenState.CONTAINS, HiddenReason.ALLERGEN),
        (AllergenState.MAY_CONTAIN, HiddenReason.ALLERGEN_TRACES),
        (AllergenState.UNKNOWN, HiddenReason.ALLERGEN_UNKNOWN),
        (None, HiddenReason.ALLERGEN_UNKNOWN),
        (AllergenState.FREE_FROM, None),
    ],
)
def test_only_free_from_passes(state: AllergenState | None, expected: HiddenReason | None) -> None:
    assert reason(with_state(state), allergic(Allergen.NUTS)) is expected
    assert reason(with_state(state), allergic(Allergen.NUTS, Allergen.MILK)) is expected
    assert reason(with_state(state), allergic(Allergen.MILK)) is None


def test_the_gravest_state_names_the_reason() -> None:
    item = replace(
        PEAR,
        allergens={
            **FREE,
            Allergen.NUTS: AllergenState.MAY_CONTAIN,
            Allergen.MILK: AllergenState.CONTAINS,
            Allergen.EGGS: AllergenState.UNKNOWN,
        },
    )
    assert reason(item, allergic(*Allergen)) is HiddenReason.ALLERGEN
    assert reason(item, allergic(Allergen.NUTS, Allergen.EGGS)) is HiddenReason.ALLERGEN_TRACES


@pytest.mark.parametrize(
    ("days", "is_fresh"),
    [(0, True), (365, True), (366, False), (-1, True), (-2, False), (4000, False)],
)
def test_a_label_is_fresh_for_a_year_and_a_day_ahead_at_most(days: int, is_fresh: bool) -> None:
    item = replace(PEAR, allergens_checked_on=TODAY - timedelta(days=days))
    assert is_label_fresh(item, at=NOON) is is_fresh
    expected = None if is_fresh else HiddenReason.ALLERGEN_UNKNOWN
    assert reason(item, allergic(Allergen.NUTS)) is expected
    assert reason(item, Constraints()) is None


def test_a_label_never_checked_is_stale() -> None:
    item = replace(PEAR, allergens_checked_on=None)
    assert not is_label_fresh(item, at=NOON)
    assert reason(item, allergic(Allergen.NUTS)) is HiddenReason.ALLERGEN_UNKNOWN


def test_a_deployment_may_want_fresher_labels() -> None:
    item = replace(PEAR, allergens_checked_on=TODAY - timedelta(days=31))
    rules = SafetyRules(label_max_age=timedelta(days=30))
    assert not is_label_fresh(item, at=NOON, rules=rules)
    assert (
        safety_reason(item, allergic(Allergen.NUTS), at=NOON, rules=rules)
        is HiddenReason.ALLERGEN_UNKNOWN
    )


def test_a_word_overrides_the_label_for_who_is_allergic() -> None:
    item = replace(PEAR, description_en="A bar with peanuts")
    assert reason(item, allergic(Allergen.PEANUTS)) is HiddenReason.ALLERGEN
    assert reason(item, allergic(Allergen.MILK)) is None
    assert reason(item, Constraints()) is None


def test_items_for_adults_need_a_confirmed_adult() -> None:
    wine = replace(PEAR, audience="adults")
    assert reason(wine, Constraints()) is HiddenReason.AUDIENCE
    assert reason(wine, Constraints(is_adult=True)) is None


def test_a_health_claim_hides_an_item_from_everybody() -> None:
    assert (
        reason(replace(PEAR, description_en="Cures cancer"), Constraints()) is HiddenReason.CLAIM
    )


def test_a_word_outside_the_fourteen_hides_what_names_it() -> None:
    avoid = Constraints(avoid=frozenset({"pear"}))
    assert reason(PEAR, avoid) is HiddenReason.AVOIDED
    other = Constraints(avoid=frozenset({"mango"}))
    assert reason(PEAR, other) is None
    assert reason(replace(PEAR, tags=("mangoes",)), other) is HiddenReason.AVOIDED
    assert reason(replace(PEAR, name_zh="芒果梨"), Constraints(avoid=frozenset({"芒果"}))) is (
        HiddenReason.AVOIDED
    )


@pytest.mark.parametrize("category", ["ready_to_eat", "frozen", "snack", "sweet", ""])
def test_what_may_hide_an_ingredient_is_hidden_from_who_avoids_one(category: str) -> None:
    item = replace(PEAR, category=category)
    assert not has_readable_composition(item)
    assert reason(item, Constraints(avoid=frozenset({"mango"}))) is HiddenReason.AVOIDED


def test_an_item_without_description_says_nothing_of_what_is_in_it() -> None:
    assert not has_readable_composition(replace(PEAR, description_en=""))
    assert has_readable_composition(replace(PEAR, description_en="", description_zh="一只梨"))
    assert has_readable_composition(PEAR)


def test_mentions_read_every_text_and_ignore_blanks() -> None:
    item = replace(PEAR, name_zh="梨", description_zh="配核桃", tags=("autumn fruit",))
    for word in ("pear", "梨", "crisp", "核桃", "autumn", "PEARS", "tumn"):
        assert mentions_any(item, [word]), word
    assert not mentions_any(item, ["", "  "])
    assert not mentions_any(item, ["mango"])


def test_a_diet_must_be_declared() -> None:
    vegan = on_diet(Diet.VEGAN)
    assert reason(PEAR, vegan) is None
    assert reason(replace(PEAR, diets=None), vegan) is HiddenReason.DIET_UNKNOWN
    assert reason(replace(PEAR, diets=None), Constraints()) is None
    some = replace(PEAR, diets=frozenset({Diet.VEGETARIAN}))
    assert reason(some, vegan) is HiddenReason.DIET
    assert reason(some, on_diet(Diet.VEGETARIAN)) is None
    assert reason(some, on_diet(Diet.VEGETARIAN, Diet.VEGAN)) is HiddenReason.DIET


@pytest.mark.parametrize(
    ("diet", "allergen"),
    [
        (Diet.VEGAN, Allergen.EGGS),
        (Diet.VEGAN, Allergen.MILK),
        (Diet.VEGAN, Allergen.FISH),
        (Diet.VEGAN, Allergen.CRUSTACEANS),
        (Diet.VEGAN, Allergen.MOLLUSCS),
        (Diet.VEGETARIAN, Allergen.FISH),
        (Diet.VEGETARIAN, Allergen.CRUSTACEANS),
        (Diet.VEGETARIAN, Allergen.MOLLUSCS),
        (Diet.KOSHER, Allergen.CRUSTACEANS),
        (Diet.KOSHER, Allergen.MOLLUSCS),
        (Diet.GLUTEN_FREE, Allergen.GLUTEN),
    ],
)
def test_a_label_speaks_against_a_diet_that_the_item_claims(
    diet: Diet, allergen: Allergen
) -> None:
    item = with_state(AllergenState.CONTAINS, allergen)
    assert reason(item, on_diet(diet)) is HiddenReason.DIET
    assert reason(item, on_diet(Diet.LOW_FAT)) is None
    traces = with_state(AllergenState.MAY_CONTAIN, allergen)
    expected = HiddenReason.DIET if diet is Diet.GLUTEN_FREE else None
    assert reason(traces, on_diet(diet)) is expected


def test_traces_of_gluten_speak_against_gluten_free_only() -> None:
    traces = with_state(AllergenState.MAY_CONTAIN, Allergen.GLUTEN)
    assert reason(traces, on_diet(Diet.VEGAN)) is None
    unstated = with_state(None, Allergen.GLUTEN)
    assert reason(unstated, on_diet(Diet.GLUTEN_FREE)) is None


@pytest.mark.parametrize(
    ("diet", "category"),
    [
        (Diet.VEGAN, "pork"),
        (Diet.VEGAN, "beef"),
        (Diet.VEGAN, "fish"),
        (Diet.VEGAN, "shellfish"),
        (Diet.VEGAN, "egg"),
        (Diet.VEGAN, "dairy"),
        (Diet.VEGETARIAN, "poultry"),
        (Diet.VEGETARIAN, "lamb"),
        (Diet.VEGETARIAN, "fish"),
        (Diet.VEGETARIAN, "shellfish"),
        (Diet.HALAL, "pork"),
        (Diet.KOSHER, "pork"),
        (Diet.KOSHER, "shellfish"),
    ],
)
def test_a_category_speaks_against_a_diet(diet: Diet, category: str) -> None:
    assert reason(replace(PEAR, category=category), on_diet(diet)) is HiddenReason.DIET
    assert reason(replace(PEAR, category=category), on_diet(Diet.LOW_SALT)) is None


def test_what_a_diet_allows_stays() -> None:
    assert reason(replace(PEAR, category="dairy"), on_diet(Diet.VEGETARIAN)) is None
    assert reason(replace(PEAR, category="egg"), on_diet(Diet.VEGETARIAN)) is None
    assert reason(replace(PEAR, category="beef"), on_diet(Diet.HALAL)) is None


@pytest.mark.parametrize(
    ("words", "diet", "is_hidden"),
    [
        ("Noodles with pork", Diet.HALAL, True),
        ("含猪油", Diet.HALAL, True),
        ("beans with bacon", Diet.VEGETARIAN, True),
        ("tossed with chicken", Diet.VEGAN, True),
        ("Serve with chicken.", Diet.VEGAN, False),
        ("made with butter", Diet.VEGAN, True),
        ("made with butter", Diet.VEGETARIAN, False),
        ("素火腿", Diet.VEGAN, False),
        ("seasoned with chicken powder", Diet.VEGETARIAN, True),
        ("seasoned with chicken powder", Diet.HALAL, False),
        ("tossed with beef", Diet.VEGAN, True),
        ("tossed with beef", Diet.KOSHER, False),
        ("with barley malt", Diet.GLUTEN_FREE, True),
    ],
)
def test_words_speak_against_a_diet(words: str, diet: Diet, is_hidden: bool) -> None:
    item = replace(PEAR, description_en=words)
    assert reason(item, on_diet(diet)) is (HiddenReason.DIET if is_hidden else None)


def test_a_tag_names_what_goes_beside_and_hides_no_diet() -> None:
    assert reason(replace(PEAR, tags=("chicken",)), on_diet(Diet.VEGAN)) is None


def test_halal_and_alcohol_do_not_go_together() -> None:
    wine = replace(PEAR, audience="adults")
    adult = Constraints(diets=frozenset({Diet.HALAL}), is_adult=True)
    assert safety_reason(wine, adult, at=NOON) is HiddenReason.DIET
    kosher = Constraints(diets=frozenset({Diet.KOSHER}), is_adult=True)
    assert safety_reason(wine, kosher, at=NOON) is None


def test_exclusions_know_groups_names_tags_and_what_things_are_made_of() -> None:
    def excluded(item: Item, *words: str) -> bool:
        return wish_reason(item, Constraints(exclude=frozenset(words))) is HiddenReason.EXCLUDED

    assert excluded(PEAR, "fruit")
    assert excluded(PEAR, "pear")
    assert excluded(PEAR, "autumn")
    assert not excluded(PEAR, "meat")
    assert not excluded(PEAR)
    assert excluded(replace(PEAR, category="pork"), "meat")
    assert excluded(replace(PEAR, category="fish"), "seafood")
    assert excluded(replace(PEAR, name_en="Tea drink"), "tea_drink")
    assert excluded(with_state(AllergenState.CONTAINS, Allergen.MILK), "dairy")
    assert not excluded(with_state(AllergenState.MAY_CONTAIN, Allergen.MILK), "dairy")
    assert excluded(with_state(AllergenState.CONTAINS, Allergen.EGGS), "egg")
    assert excluded(with_state(AllergenState.CONTAINS, Allergen.SOYBEANS), "soy")
    assert excluded(with_state(AllergenState.CONTAINS, Allergen.PEANUTS), "nut")
    assert excluded(with_state(AllergenState.CONTAINS, Allergen.NUTS), "nut")
    for allergen in (Allergen.FISH, Allergen.CRUSTACEANS, Allergen.MOLLUSCS):
        assert excluded(with_state(AllergenState.CONTAINS, allergen), "seafood")


def test_inclusions_know_groups_and_tags() -> None:
    def kept(item: Item, *words: str) -> bool:
        return wish_reason(item, Constraints(include=frozenset(words))) is None

    assert kept(PEAR)
    assert kept(PEAR, "fruit")
    assert kept(PEAR, "fruit", "pork")
    assert kept(PEAR, "autumn")
    assert not kept(PEAR, "vegetable")
    assert kept(replace(PEAR, category="lamb"), "meat")
    assert wish_reason(PEAR, Constraints(include=frozenset({"pork"}))) is HiddenReason.CATEGORY


@pytest.mark.parametrize(
    ("name", "limit", "fits"),
    [
        ("price_max", 10, True),
        ("price_max", 9, False),
        ("price_min", 10, True),
        ("price_min", 11, False),
        ("price_below", 10, False),
        ("price_below", 11, True),
        ("price_above", 10, False),
        ("price_above", 9, True),
    ],
)
def test_a_price_fits_or_not(name: str, limit: int, fits: bool) -> None:
    constraints = Constraints(**{name: Decimal(limit)})  # type: ignore[arg-type]
    assert wish_reason(PEAR, constraints) is (None if fits else HiddenReason.PRICE)
    assert wish_reason(replace(PEAR, price=None), constraints) is HiddenReason.PRICE
    both = replace(constraints, price_max=Decimal(100))
    if name != "price_max":
        assert wish_reason(PEAR, both) is (None if fits else HiddenReason.PRICE)


def test_no_price_wish_lets_an_unknown_price_pass() -> None:
    assert wish_reason(replace(PEAR, price=None), Constraints()) is None


def test_a_date_object_without_time_is_enough() -> None:
    assert is_label_fresh(replace(PEAR, allergens_checked_on=date(2026, 11, 1)), at=NOON)
