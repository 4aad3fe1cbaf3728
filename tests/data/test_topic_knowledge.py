"""The knowledge files agree with each other; a creator who adds a line is told what is wrong."""

from __future__ import annotations

from collections import Counter

from data.food_knowledge import food_closure, load_foods, problems
from data.topic_knowledge import MAX_WEIGHT, load_dishes, load_patterns, load_topics
from data.vocabulary import CATEGORY_GROUPS, FOOD_CATEGORIES


def test_the_knowledge_files_have_no_problem() -> None:
    assert problems() == []


def test_every_topic_names_known_foods_with_a_weight_from_one_to_three() -> None:
    foods = load_foods()

    for topic in load_topics():
        assert topic.foods.keys() <= foods.keys(), topic.topic_id
        assert set(topic.foods.values()) <= set(range(1, MAX_WEIGHT + 1)), topic.topic_id


def test_every_topic_has_words_and_a_gloss_in_both_languages() -> None:
    for topic in load_topics():
        assert topic.zh, topic.topic_id
        assert topic.en, topic.topic_id
        assert topic.gloss_zh, topic.topic_id
        assert topic.gloss_en, topic.topic_id


def test_topic_ids_are_unique_and_a_topic_says_something() -> None:
    topics = load_topics()

    assert [i for i, n in Counter(t.topic_id for t in topics).items() if n > 1] == []
    assert [t.topic_id for t in topics if not (t.foods or t.avoid or t.is_silent)] == []


def test_objections_name_foods_categories_or_groups_and_have_a_reason() -> None:
    known = {*load_foods(), *FOOD_CATEGORIES, *CATEGORY_GROUPS, "alcohol"}

    for topic in load_topics():
        assert topic.avoid.keys() <= known, topic.topic_id
        assert all(reason.strip() for reason in topic.avoid.values()), topic.topic_id


def test_no_topic_asks_for_a_food_that_it_forbids_by_its_kind() -> None:
    """A topic may prefer one food of a kind less than it warns of it, but not delight in it."""
    clashes = [
        (topic.topic_id, food)
        for topic in load_topics()
        for food, weight in topic.foods.items()
        if weight == MAX_WEIGHT and food in topic.avoid
    ]

    assert clashes == []


def test_dishes_and_patterns_parse_and_name_known_foods() -> None:
    foods = load_foods()

    for dish in load_dishes():
        assert dish.names, dish.dish_id
        assert dish.ingredients, dish.dish_id
        assert dish.ingredients.keys() <= foods.keys(), dish.dish_id
        assert set(dish.ingredients.values()) <= {1, 2, 3}, dish.dish_id
    for pattern in load_patterns():
        assert pattern.words, pattern.pattern_id
        assert pattern.ingredients.keys() <= foods.keys(), pattern.pattern_id


def test_there_is_knowledge_of_a_thousand_topics_and_dishes() -> None:
    assert len(load_topics()) >= 1_000
    assert len(load_dishes()) >= 1_000
    assert len(load_patterns()) >= 200


def test_vegetarian_topics_forbid_meat_and_fish() -> None:
    by_id = {topic.topic_id: topic for topic in load_topics()}

    for topic_id in ("vegetarianism", "vegan_cooking", "plant_based_diet"):
        assert {"meat", "seafood", "fish", "gelatin"} <= by_id[topic_id].avoid.keys()
        named = by_id[topic_id].foods
        assert not any({"meat", "fish"} & food_closure(food) for food in named)
