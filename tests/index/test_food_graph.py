from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.food_knowledge import FoodId, food_closure, load_foods
from index.food_graph import (
    BROADER,
    MADE_OF,
    NARROWER,
    families,
    find_foods,
    kinship,
    noisy_or,
    spread,
)


def found(text: str) -> list[tuple[str, bool]]:
    return [(str(m.food_id), m.is_denied) for m in find_foods(text)]


@pytest.mark.parametrize(
    ("text", "foods"),
    [
        ("Two tomatoes and an eggplant", ["tomato", "eggplant"]),
        ("西红柿炒鸡蛋", ["tomato", "egg"]),
        ("coconut milk", ["coconut_milk"]),
        ("葡萄牙的海岸", []),
        ("an olive branch", []),
        ("無花果與石榴", ["fig", "pomegranate"]),
        ("ＴＯＭＡＴＯ", ["tomato"]),
    ],
    ids=["english", "chinese", "compound", "place", "idiom", "traditional", "full-width"],
)
def test_foods_are_found_by_name_and_false_friends_passed_over(
    text: str, foods: list[str]
) -> None:
    assert [food for food, _ in found(text)] == foods


@pytest.mark.parametrize(
    "text",
    [
        "There were no tomatoes in Rome.",
        "Cook without tomatoes.",
        "Tomatoes were unknown there.",
        "They never ate tomatoes.",
        "罗马没有番茄。",
        "避免番茄。",
        "番茄尚未传入。",
        "a tomato-free sauce",
        "无番茄披萨",
    ],
)
def test_a_denied_food_is_marked(text: str) -> None:
    assert ("tomato", True) in found(text)


@pytest.mark.parametrize(
    "text",
    ["Ripe tomatoes.", "No hurry: tomatoes ripen slowly.", "没关系，番茄也行。", "无核白葡萄"],
)
def test_a_denial_reaches_no_further_than_its_clause(text: str) -> None:
    assert all(not is_denied for _, is_denied in found(text))


def test_a_food_speaks_for_wider_and_narrower_kinds_and_for_what_it_is_made_of() -> None:
    kin = kinship()

    assert kin[FoodId("salmon")][FoodId("salmon")] == 1.0
    assert kin[FoodId("salmon")][FoodId("fish")] >= BROADER**2
    assert kin[FoodId("tomato")][FoodId("cherry_tomato")] == NARROWER
    assert kin[FoodId("tofu")][FoodId("soybean")] == MADE_OF
    assert FoodId("milk") not in kin[FoodId("coconut_milk")]


def test_kinship_stays_inside_the_unit_interval_and_the_lexicon() -> None:
    foods = load_foods()

    for food, kin in kinship().items():
        assert kin[food] == 1.0
        assert all(0.0 < share <= 1.0 for share in kin.values())
        assert kin.keys() <= foods.keys()


foods_and_strengths = st.dictionaries(
    st.sampled_from(sorted(load_foods())), st.floats(0.01, 1.0), max_size=5
)


@given(active=foods_and_strengths, more=foods_and_strengths)
def test_spreading_keeps_each_voice_and_only_ever_adds(
    active: dict[FoodId, float], more: dict[FoodId, float]
) -> None:
    wide = spread(active)
    wider = spread({**more, **active})

    assert all(wide[food] >= strength for food, strength in active.items())
    assert all(0.0 < value <= 1.0 for value in wide.values())
    assert all(wider[food] >= value for food, value in wide.items())


@given(st.lists(st.floats(0, 1), max_size=6))
def test_many_weak_reasons_make_a_stronger_one(parts: list[float]) -> None:
    joined = noisy_or(parts)

    assert 0.0 <= joined <= 1.0
    assert joined >= max(parts, default=0.0) - 0.001 - 1e-9


def test_families_cover_kinds_and_category() -> None:
    assert {"salmon", "fish"} <= families(FoodId("salmon"))
    assert {"pork_belly", "pork"} <= families(FoodId("pork_belly"))
    assert food_closure("pork_belly") <= families(FoodId("pork_belly"))
