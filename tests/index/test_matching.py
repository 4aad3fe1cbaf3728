"""The right answer is known by construction; no test looks at a judged set."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.catalogue import ItemId
from data.events import Mode
from index.embedding import HashingEmbedder
from index.matches import Query
from index.matching import HybridMatcher
from index.passages import sentences
from tests.index.small_worlds import item, lesson, matcher, names, score_of, shop


@pytest.fixture(scope="module")
def over_words() -> HybridMatcher:
    return matcher(shop())


@pytest.fixture(scope="module")
def over_grams() -> HybridMatcher:
    return matcher(shop(), encoder=HashingEmbedder(dim=64))


def test_a_named_food_beats_an_implied_one(over_words: HybridMatcher) -> None:
    found = lesson(
        over_words,
        "The Silk Road",
        "Caravans crossed the desert from oasis to oasis. In this lesson we follow the walnut. "
        "Walnuts came from Persia.",
    )

    assert names(found)[0] == "walnuts"
    assert score_of(found, "walnuts") > score_of(found, "pomegranates") > 0


@pytest.mark.parametrize(
    ("text", "friend", "false_friend"),
    [
        ("Boil the eggs for six minutes and peel the eggs.", "eggs", "eggplant"),
        ("Salt the eggplant, then fry the eggplant in a hot pan.", "eggplant", "eggs"),
        (
            "Simmer the coconut milk; coconut milk must not boil hard.",
            "coconut-milk",
            "whole-milk",
        ),
        ("把椰浆煮开，椰浆不能大火。", "coconut-milk", "whole-milk"),
        ("茄子切条，茄子先撒盐。", "eggplant", "tomatoes"),
    ],
)
def test_false_friends_do_not_speak_for_the_food(
    over_words: HybridMatcher, text: str, friend: str, false_friend: str
) -> None:
    found = lesson(over_words, "", text)

    assert names(found)[0] == friend
    assert score_of(found, friend) > 4 * score_of(found, false_friend)


@pytest.mark.parametrize(
    "text",
    [
        "There were no tomatoes in Rome. Grapes grew everywhere, and grapes became wine.",
        "罗马没有番茄。葡萄到处都有，葡萄酿成酒。",
    ],
    ids=["en", "zh"],
)
def test_a_denied_food_is_not_offered(over_words: HybridMatcher, text: str) -> None:
    found = lesson(over_words, "", text)

    assert names(found)[0] == "grapes"
    assert "tomatoes" not in names(found)[:5]


@pytest.mark.parametrize(
    ("title", "text"),
    [
        (
            "The Silk Road",
            "Camel caravans carried silk from Chang'an through Dunhuang to Samarkand, "
            "from oasis to oasis, after Zhang Qian had ridden west.",
        ),
        ("丝绸之路", "张骞出使西域，驼队把丝绸带到撒马尔罕。"),
    ],
    ids=["en", "zh"],
)
def test_the_silk_road_finds_pomegranates(
    over_words: HybridMatcher, title: str, text: str
) -> None:
    found = lesson(over_words, title, text)

    assert "pomegranates" in names(found)[:3]
    assert not found.is_silent


@pytest.mark.parametrize(
    ("title", "text"),
    [
        (
            "Bond duration",
            "When yields rise, bond prices fall. Duration measures how far they fall.",
        ),
        ("指数基金入门", "指数基金跟踪整个市场，费用低，长期定投可以分散风险。"),
        ("Quarterly accounts", "Debits stand on the left, credits on the right of the ledger."),
    ],
)
def test_a_lesson_on_money_is_left_in_peace(
    over_words: HybridMatcher, title: str, text: str
) -> None:
    assert lesson(over_words, title, text).is_silent


def test_a_person_who_asks_in_words_gets_an_answer(over_words: HybridMatcher) -> None:
    found = over_words.match(
        Query(text="something with tomatoes", is_lesson=False), eligible=None, top_k=3
    )

    assert not found.is_silent
    assert names(found)[0] == "tomatoes"


@given(order=st.permutations(range(len(shop()))))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_scores_do_not_depend_on_the_order_of_the_items(order: Sequence[int]) -> None:
    items = shop()
    text = "Roast the pumpkin and the carrots with olive oil, then add honey and walnuts."

    straight = lesson(matcher(items), "Autumn roots", text)
    shuffled = lesson(matcher([items[i] for i in order]), "Autumn roots", text)

    expected = {hit.item_id: hit.score for hit in straight.hits}
    assert {hit.item_id: hit.score for hit in shuffled.hits} == pytest.approx(expected)


@given(allowed=st.sets(st.integers(0, len(shop()) - 1)), top_k=st.integers(1, 40))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_hit_is_eligible_and_the_page_is_as_full_as_it_can_be(
    over_grams: HybridMatcher, allowed: set[int], top_k: int
) -> None:
    mask = np.zeros(len(shop()), dtype=bool)
    mask[list(allowed)] = True

    found = over_grams.match(
        Query(title="Eggs", text="Whisk the eggs with milk."), eligible=mask, top_k=top_k
    )

    assert {hit.row for hit in found.hits} <= allowed
    assert len(found.hits) == min(top_k, len(allowed))
    assert len({hit.item_id for hit in found.hits}) == len(found.hits)


def test_scores_lie_between_zero_and_one_and_fall(over_grams: HybridMatcher) -> None:
    scores = [hit.score for hit in lesson(over_grams, "Eggs", "Eggs, eggs and milk.").hits]

    assert all(0.0 <= score <= 1.0 for score in scores)
    assert scores == sorted(scores, reverse=True)


def test_without_an_encoder_words_and_food_knowledge_remain(over_words: HybridMatcher) -> None:
    found = lesson(over_words, "Omelette", "Beat the eggs, melt butter, pour in the eggs.")

    assert found.mode is Mode.LEXICAL
    assert names(found)[0] == "eggs"
    assert all(hit.dense == 0.0 for hit in found.hits)


def test_with_an_encoder_the_mode_is_full(over_grams: HybridMatcher) -> None:
    found = lesson(over_grams, "Omelette", "Beat the eggs, melt butter, pour in the eggs.")

    assert found.mode is Mode.FULL
    assert any(hit.dense != 0.0 for hit in found.hits)


def test_more_like_an_item_moves_to_its_kin_and_never_gives_it_back(
    over_grams: HybridMatcher,
) -> None:
    plain = Query(title="Grapes", text="Grapes and pomegranates on a plate.")
    moved = Query(title=plain.title, text=plain.text, like=(ItemId("smoked-salmon"),))

    before = over_grams.match(plain, eligible=None, top_k=40)
    after = over_grams.match(moved, eligible=None, top_k=40)

    assert names(after).index("salmon-fillet") < names(before).index("salmon-fillet")
    assert "smoked-salmon" not in names(after)[:10]


def test_soft_wishes_move_the_answer(over_words: HybridMatcher) -> None:
    plain = Query(title="Breakfast", text="Oats and bananas in a bowl.")
    wished = Query(title=plain.title, text=plain.text, wishes="with walnuts")

    before = over_words.match(plain, eligible=None, top_k=40)
    after = over_words.match(wished, eligible=None, top_k=40)

    assert score_of(after, "walnuts") > score_of(before, "walnuts")
    assert names(after).index("walnuts") < 3


@pytest.mark.parametrize("like", [(), (ItemId("oats"),)], ids=["plain", "more-like"])
def test_what_each_view_adds_gives_the_score(
    over_grams: HybridMatcher, like: tuple[ItemId, ...]
) -> None:
    query = Query(
        title="Pumpkin soup", text="Simmer pumpkin and carrots in stock, add honey.", like=like
    )

    for hit in over_grams.match(query, eligible=None, top_k=40).hits:
        parts = over_grams.explain(query, hit.item_id)
        assert 1 / (1 + math.exp(-sum(parts.values()))) == pytest.approx(hit.score)
    assert {"bias", "dense", "lexical", "topic"} <= parts.keys()


def test_among_eligible_items_the_parts_add_up_too(over_grams: HybridMatcher) -> None:
    mask = np.arange(len(shop())) % 2 == 1
    query = Query(title="Eggs", text="Whisk the eggs with milk and spinach.")

    for hit in over_grams.match(query, eligible=mask, top_k=5).hits:
        parts = over_grams.explain(query, hit.item_id, eligible=mask)
        assert 1 / (1 + math.exp(-sum(parts.values()))) == pytest.approx(hit.score)


def test_the_path_for_large_catalogues_gives_the_same_best_items() -> None:
    encoder = HashingEmbedder(dim=64)
    items = shop() + [item(f"Spare part {n}", f"零件{n}号") for n in range(500)]
    query = Query(
        title="Autumn roots",
        text="Roast the pumpkin and the carrots with olive oil. Then add honey and walnuts.",
    )

    exact = matcher(items, encoder=encoder).match(query, eligible=None, top_k=5)
    retrieved = matcher(items, encoder=encoder, small=10).match(query, eligible=None, top_k=5)

    assert names(retrieved) == names(exact)
    assert [h.score for h in retrieved.hits] == pytest.approx(
        [h.score for h in exact.hits], abs=0.02
    )


def test_the_path_for_large_catalogues_stays_inside_what_is_eligible() -> None:
    items = shop() + [item(f"Spare part {n}", f"零件{n}号") for n in range(300)]
    mask = np.zeros(len(items), dtype=bool)
    mask[[1, 3, 100, 200]] = True

    found = matcher(items, encoder=HashingEmbedder(dim=64), small=10).match(
        Query(title="Eggs", text="Eggs and milk."), eligible=mask, top_k=10
    )

    assert {hit.row for hit in found.hits} <= {1, 3, 100, 200}
    assert names(found)[0] == "eggs"


TEXTS = [
    "Roast the pumpkin first. Then toast the walnuts, and pour honey over them! Serve warm.",
    "先烤南瓜。再炒核桃，淋上蜂蜜！趁热吃。",
    "Caravans crossed the desert. Zhang Qian rode west.\nThe Silk Road brought new seeds.",
]


@pytest.mark.parametrize("text", TEXTS)
def test_the_evidence_is_a_sentence_of_the_text_word_for_word(
    over_grams: HybridMatcher, text: str
) -> None:
    for hit in lesson(over_grams, "A lesson", text).hits:
        assert hit.evidence in [*sentences(text), "A lesson"]
        assert hit.evidence


def test_the_evidence_for_a_named_food_is_the_sentence_that_names_it(
    over_grams: HybridMatcher,
) -> None:
    evidence = {h.item_id: h.evidence for h in lesson(over_grams, "Walnuts", TEXTS[0]).hits}

    assert "pumpkin" in evidence[ItemId("pumpkin")]
    assert "walnuts" in evidence[ItemId("walnuts")]
    assert "honey" in evidence[ItemId("honey")]


def test_nothing_eligible_is_no_hit_and_no_silence(over_words: HybridMatcher) -> None:
    found = over_words.match(
        Query(text="Eggs."), eligible=np.zeros(len(shop()), dtype=bool), top_k=3
    )

    assert found.hits == ()
    assert not found.is_silent


@pytest.mark.parametrize("text", ["", " \n", "!!!", "🙂", "a" * 5_000, "\u200b"])
def test_any_text_is_answered_without_a_failure(over_grams: HybridMatcher, text: str) -> None:
    found = lesson(over_grams, "", text, top_k=3)

    assert len(found.hits) == 3
    assert all(math.isfinite(hit.score) for hit in found.hits)
