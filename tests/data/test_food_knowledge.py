"""The food lexicon: known foods, kinds that lead upwards, files that agree with each other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from data.errors import InvalidInput
from data.food_knowledge import (
    ANY_FOOD,
    FalseFriend,
    FoodId,
    closure,
    food_closure,
    load_false_friends,
    load_foods,
    problems,
    read_json_lines,
    read_table,
)
from data.mentions import MentionScanner
from data.vocabulary import FOOD_CATEGORIES, Allergen, Language


def food_called(name: str, language: Language) -> set[str]:
    return {f.food_id for f in load_foods().values() if name in f.names(language)}


def test_all_knowledge_files_agree() -> None:
    assert problems() == []


def test_the_lexicon_covers_every_category_with_at_least_a_thousand_foods() -> None:
    foods = load_foods().values()
    assert len(foods) >= 1_000
    assert {food.category for food in foods} == set(FOOD_CATEGORIES)
    assert sum(food.category == "fish" for food in foods) >= 60


def test_every_food_has_a_chinese_and_an_english_name_in_the_form_the_scanner_expects() -> None:
    for food in load_foods().values():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", food.food_id)
        assert food.zh
        assert food.en
        assert all(name == name.lower() for name in food.en)
        assert all(re.search(r"[㐀-鿿]", name) for name in food.zh), food.food_id
        assert not any(re.search(r"[㐀-鿿]", name) for name in food.en), food.food_id


@pytest.mark.parametrize(
    ("name", "language", "food_id"),
    [
        ("蒜末", Language.ZH, "garlic"),
        ("葱花", Language.ZH, "scallion"),
        ("大葱", Language.ZH, "leek_onion"),
        ("西红柿", Language.ZH, "tomato"),
        ("圣女果", Language.ZH, "cherry_tomato"),
        ("肉末", Language.ZH, "minced_pork"),
        ("虾皮", Language.ZH, "tiny_dried_shrimp"),
        ("香油", Language.ZH, "sesame_oil"),
        ("荸荠", Language.ZH, "water_chestnut"),
        ("aubergine", Language.EN, "eggplant"),
        ("fresh coriander", Language.EN, "cilantro"),
        ("beef mince", Language.EN, "ground_beef"),
        ("icing sugar", Language.EN, "powdered_sugar"),
        ("prawn", Language.EN, "shrimp"),
        ("cornflour", Language.EN, "cornstarch"),
    ],
)
def test_regional_names_and_cut_forms_lead_to_the_food(
    name: str, language: Language, food_id: str
) -> None:
    assert food_called(name, language) == {food_id}


@pytest.mark.parametrize(
    ("food_id", "kinds"),
    [
        ("cherry_tomato", {"tomato", "vegetable"}),
        ("shiitake", {"mushroom"}),
        ("salmon", {"fish", "seafood"}),
        ("dried_shrimp", {"shrimp", "shellfish"}),
        ("pork_belly", {"pork", "meat"}),
        ("parmesan", {"cheese", "dairy"}),
        ("spaghetti", {"pasta"}),
        ("longjing", {"green_tea", "tea", "drink"}),
    ],
)
def test_the_closure_reaches_all_kinds(food_id: str, kinds: set[str]) -> None:
    assert kinds <= food_closure(food_id)


def test_no_food_is_its_own_kind() -> None:
    foods = load_foods()
    assert [food_id for food_id in foods if food_id in closure(food_id, foods)] == []


def test_an_unknown_food_is_named_with_the_remedy() -> None:
    with pytest.raises(InvalidInput, match=r"no food 'stone'.*foods\.tsv"):
        food_closure("stone")


@pytest.mark.parametrize(
    ("food_id", "allergens"),
    [
        ("soy_sauce", {Allergen.SOYBEANS, Allergen.GLUTEN}),
        ("oyster_sauce", {Allergen.MOLLUSCS, Allergen.SOYBEANS, Allergen.GLUTEN}),
        ("sesame_oil", {Allergen.SESAME}),
        ("tahini", {Allergen.SESAME}),
        ("tiny_dried_shrimp", {Allergen.CRUSTACEANS}),
        ("peanut_butter", {Allergen.PEANUTS}),
        ("seitan", {Allergen.GLUTEN}),
        ("worcestershire_sauce", {Allergen.FISH, Allergen.GLUTEN}),
    ],
)
def test_hidden_allergens_are_stated(food_id: str, allergens: set[Allergen]) -> None:
    assert load_foods()[FoodId(food_id)].allergens == allergens


@pytest.mark.parametrize(
    ("kind", "allergen", "exceptions"),
    [
        ("fish", Allergen.FISH, set()),
        ("shrimp", Allergen.CRUSTACEANS, set()),
        ("crab", Allergen.CRUSTACEANS, set()),
        ("mollusc", Allergen.MOLLUSCS, set()),
        ("cheese", Allergen.MILK, set()),
        ("milk", Allergen.MILK, set()),
        ("egg", Allergen.EGGS, set()),
        ("pasta", Allergen.GLUTEN, set()),
        ("wheat", Allergen.GLUTEN, set()),
        ("soy_product", Allergen.SOYBEANS, set()),
        ("nut", Allergen.NUTS, {"chestnut", "ginkgo_nut"}),
        ("bread", Allergen.GLUTEN, set()),
    ],
)
def test_every_food_of_a_kind_states_the_allergen_of_the_kind(
    kind: str, allergen: Allergen, exceptions: set[str]
) -> None:
    foods = load_foods()
    silent = {
        food_id
        for food_id, food in foods.items()
        if kind in closure(food_id, foods) and allergen not in food.allergens
    }
    assert silent == exceptions


@pytest.mark.parametrize("food_id", ["coconut", "nutmeg", "buckwheat", "water_chestnut", "cocoa"])
def test_known_false_alarms_carry_no_allergen(food_id: str) -> None:
    assert load_foods()[FoodId(food_id)].allergens == frozenset()


@pytest.mark.parametrize(
    ("name", "language", "allergen"),
    [
        ("虾饺", Language.ZH, Allergen.CRUSTACEANS),
        ("螺蛳粉", Language.ZH, Allergen.MOLLUSCS),
        ("百利甜", Language.ZH, Allergen.MILK),
        ("咖喱块", Language.ZH, Allergen.MUSTARD),
        ("fish stock", Language.EN, Allergen.FISH),
        ("amaretto", Language.EN, Allergen.NUTS),
        ("egg fried rice", Language.EN, Allergen.EGGS),
    ],
)
def test_a_long_name_does_not_hide_the_allergen_of_the_food_inside_it(
    name: str, language: Language, allergen: Allergen
) -> None:
    (food_id,) = food_called(name, language)
    assert allergen in load_foods()[FoodId(food_id)].allergens


def test_staple_levels_are_graded_and_differ_between_the_two_kitchens() -> None:
    foods = load_foods()
    assert {food.staple_zh for food in foods.values()} == set(range(6))
    assert {food.staple_en for food in foods.values()} == set(range(6))
    assert foods[FoodId("doubanjiang")].staple_zh > foods[FoodId("doubanjiang")].staple_en
    assert foods[FoodId("butter")].staple_en > foods[FoodId("butter")].staple_zh
    assert foods[FoodId("salt")].staple_zh == foods[FoodId("salt")].staple_en == 5


@pytest.mark.parametrize(
    ("phrase", "food_id"),
    [
        ("鱼香", "fish"),
        ("葡萄牙", "grape"),
        ("姜太公", "ginger"),
        ("蚂蚁上树", "noodle"),
        ("血糖", "sugar"),
        ("olive branch", "olive"),
        ("salt lake", "salt"),
        ("traffic jam", "jam"),
    ],
)
def test_a_false_friend_hides_the_food(phrase: str, food_id: str) -> None:
    found = [friend for friend in load_false_friends() if friend.phrase == phrase]
    assert [friend.hides(FoodId(food_id)) for friend in found] == [True]


def test_a_false_friend_hides_only_the_foods_that_it_names() -> None:
    some = FalseFriend(phrase="鱼香", language=Language.ZH, not_foods=frozenset({FoodId("fish")}))
    every = FalseFriend(phrase="狮子头", language=Language.ZH, not_foods=frozenset({ANY_FOOD}))
    assert not some.hides(FoodId("pork"))
    assert every.hides(FoodId("pork"))


def test_no_false_friend_is_the_name_of_a_food() -> None:
    for language in Language:
        names = {name for food in load_foods().values() for name in food.names(language)}
        phrases = {f.phrase for f in load_false_friends() if f.language is language}
        assert phrases & names == set()


def test_every_false_friend_hides_a_mention_and_leaves_no_allergen_behind() -> None:
    owner = {
        name: food
        for food in load_foods().values()
        for language in Language
        for name in food.names(language)
    }
    scanner = MentionScanner(owner)
    for friend in load_false_friends():
        if ANY_FOOD in friend.not_foods:
            continue
        inside = [owner[mention.phrase] for mention in scanner.find(friend.phrase)]
        hidden = [food for food in inside if friend.hides(food.food_id)]
        assert hidden, f"{friend.phrase!r} hides nothing"
        left = [food.food_id for food in inside if food.allergens and food not in hidden]
        assert left == [], f"{friend.phrase!r} still mentions a food with an allergen"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("用山药和鱿鱼须炒一盘", ["chinese_yam", "squid"]),
        ("蒸茄子配蒜蓉", ["eggplant", "garlic"]),
        ("roast eggplants with peanut butter", ["eggplant", "peanut_butter"]),
        ("tomatoes, nutmeg and coconut milk", ["tomato", "nutmeg", "coconut_milk"]),
    ],
)
def test_the_longest_name_in_a_text_wins(text: str, expected: list[str]) -> None:
    owner = {
        name: food.food_id
        for food in load_foods().values()
        for language in Language
        for name in food.names(language)
    }
    found = [owner[mention.phrase] for mention in MentionScanner(owner).find(text)]
    assert found == expected


def test_a_row_with_a_missing_column_is_named_by_its_line(tmp_path: Path) -> None:
    table = tmp_path / "few.tsv"
    table.write_text("# note\na\tb\n1\t2\n3\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"few\.tsv:4: has 1 columns"):
        list(read_table(table))


def test_a_broken_json_line_is_named_by_its_line(tmp_path: Path) -> None:
    lines = tmp_path / "topics_x.jsonl"
    lines.write_text('{"id": "a"}\n[1]\n', encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"topics_x\.jsonl:2: is no JSON object"):
        list(read_json_lines(lines))
