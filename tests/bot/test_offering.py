"""Slates, explanations, search, and what is said when nothing fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bot.offering import is_named
from bot.understanding.meaning import Intent
from data.catalogue import Catalogue, ItemId
from data.events import Reply, ReplyKind
from data.vocabulary import Language
from tests.fakes import (
    Person,
    ScriptedInterpreter,
    build_conversation,
    chinese,
    sample_catalogue,
)

LESSON = sample_catalogue().lessons[0]


def person(**scripts: tuple[Intent, dict[str, object]]) -> Person:
    script = ScriptedInterpreter()
    for text, (intent, slots) in scripts.items():
        script.means(text, intent, **slots)
    return Person(build_conversation(understanding=script))


def test_others_are_others() -> None:
    ann = person()
    ann.command(f"/start {LESSON.lesson_id}")
    first = set(ann.item_ids)
    ann.presses("Others")
    assert len(ann.item_ids) == 3
    assert not first & set(ann.item_ids)
    assert ann.replies[0].is_edit


def test_back_shows_the_slate_before() -> None:
    ann = person()
    ann.command(f"/start {LESSON.lesson_id}")
    first = ann.item_ids
    ann.presses("Others")
    ann.presses("Back")
    assert ann.item_ids == first


def test_a_budget_that_empties_the_page_offers_the_next_step_and_it_fits() -> None:
    ann = person(cheap=(Intent.CRITIQUE, {"price_max": 1, "currency": "CNY"}))
    ann.command(f"/start {LESSON.lesson_id}")
    ann.says("cheap")
    assert "Nothing today for: up to CN¥1.00" in ann.text
    ann.presses("Up to")
    assert ann.item_ids
    limit = float(ann.text.partition("up to CN¥")[2].split(".\n")[0].rstrip("."))
    items = sample_catalogue().items_by_id
    assert all(items[i].price is not None and items[i].price <= limit for i in ann.item_ids)  # type: ignore[index,operator]


def test_safety_is_never_offered_for_relaxation() -> None:
    ann = person(
        allergic=(Intent.SET_CONSTRAINT, {"allergens": ["gluten", "milk", "nuts"]}),
        cheap=(Intent.CRITIQUE, {"price_max": 1, "exclude": ["fruit"], "include": ["vegetable"]}),
    )
    ann.says("allergic")
    ann.command(f"/start {LESSON.lesson_id}")
    ann.says("cheap")
    assert not ann.item_ids
    for label in ann.labels:
        assert not any(word in label.lower() for word in ("gluten", "milk", "nut", "allerg"))


def test_what_fits_is_shown_again_rather_than_nothing() -> None:
    ann = person(fruit=(Intent.CRITIQUE, {"include": ["bread"]}))
    ann.command(f"/start {LESSON.lesson_id}")
    for _ in range(12):
        ann.says("fruit")
        assert ann.item_ids
    assert "You have seen these already" in "\n".join(reply.text for reply in ann.history)


def test_cheaper_is_cheaper_than_the_one_pointed_at() -> None:
    ann = person(cheaper=(Intent.CRITIQUE, {"price": "cheaper", "item_ref": 1}))
    ann.command(f"/start {LESSON.lesson_id}")
    items = sample_catalogue().items_by_id
    reference = items[ann.item_ids[0]].price  # type: ignore[index]
    ann.says("cheaper")
    assert reference is not None
    assert all((items[i].price or 0) < reference for i in ann.item_ids)  # type: ignore[index]


def test_search_says_whether_it_found_the_thing_or_only_its_neighbours() -> None:
    ann = person(
        tofu=(Intent.SEARCH_PRODUCT, {"product": "tofu"}),
        stinky=(Intent.SEARCH_PRODUCT, {"product": "stinky tofu"}),
    )
    ann.says("tofu")
    assert "We have “tofu”" in ann.text
    ann.says("stinky")
    assert "No “stinky tofu” right now" in ann.text


def test_search_hides_what_an_allergy_forbids() -> None:
    ann = person(
        allergic=(Intent.SET_CONSTRAINT, {"allergens": ["soybeans"]}),
        tofu=(Intent.SEARCH_PRODUCT, {"product": "tofu"}),
    )
    ann.says("allergic")
    ann.says("tofu")
    items = sample_catalogue().items_by_id
    assert all(str(items[i].allergens["soybeans"]) == "free_from" for i in ann.item_ids)  # type: ignore[index]


def test_why_quotes_the_lesson_and_the_facts_used() -> None:
    ann = person(vegan=(Intent.SET_CONSTRAINT, {"diet": ["vegan"]}))
    ann.says("vegan")
    ann.command(f"/start {LESSON.lesson_id}")
    ann.presses("Why these?")
    assert "The lesson: “" in ann.text
    assert "diet: vegan" in ann.text
    ann.presses("Back")
    assert LESSON.title in ann.text


def likes(someone: Person, *item_ids: str) -> None:
    for item_id in item_ids:
        someone.conversation.services.store.record_reply(
            Reply(
                reply_id=f"earlier-{item_id}",
                at=someone.clock(),
                user_key=someone.user_key,
                kind=ReplyKind.LIKE,
                item_id=ItemId(item_id),
            )
        )


def companion(item_id: str) -> str:
    """Another item of the category."""
    items = sample_catalogue().items
    category = next(item.category for item in items if item.item_id == item_id)
    return next(i.item_id for i in items if i.category == category and i.item_id != item_id)


@pytest.mark.parametrize(
    ("someone", "sentence", "why"),
    [
        (person, "of the same kind", "Why these?"),
        (chinese, "同样是", "为什么"),
    ],
    ids=["en", "zh"],
)
def test_why_names_what_the_person_liked(
    someone: Callable[[], Person], sentence: str, why: str
) -> None:
    ann = someone()
    ann.command(f"/start {LESSON.lesson_id}")
    shown = ann.item_ids[0]
    likes(ann, companion(shown))

    ann.presses(why)

    name = (
        sample_catalogue()
        .items_by_id[ItemId(companion(shown))]
        .name(Language.EN if ann.language == "en" else Language.ZH)
    )
    assert sentence in ann.text
    assert name in ann.text


def test_why_says_nothing_of_tastes_to_a_group() -> None:
    ann = replace(person(), chat_kind="group")
    ann.command(f"/start {LESSON.lesson_id}")
    likes(ann, companion(ann.item_ids[0]), ann.item_ids[0])

    ann.command("/why")

    assert "You liked" not in ann.text


def test_why_without_a_slate_says_so() -> None:
    ann = person()
    ann.command("/why")
    assert ann.text
    assert "Lessons" in ann.labels


def test_a_lesson_for_minors_sells_nothing() -> None:
    lessons = [replace(LESSON, audience="minors")]
    ann = Person(
        build_conversation(catalogue=Catalogue.of(sample_catalogue().items[:60], lessons))
    )
    ann.command(f"/start {LESSON.lesson_id}")
    assert "lesson for minors" in ann.text
    assert not ann.item_ids


def test_a_lesson_that_we_do_not_have_is_answered_by_its_topic() -> None:
    ann = person(done=(Intent.FINISHED_LESSON, {"lesson": "zzz qqq xxx"}))
    ann.says("done")
    assert "zzz qqq xxx" in ann.text
    assert ann.labels


@pytest.mark.parametrize(
    ("product", "named"),
    [("mango", True), ("Mangoes", True), ("芒果", False), ("man", False), ("tofu", False)],
)
def test_an_item_goes_by_its_names(product: str, named: bool) -> None:
    mango = sample_catalogue().items_by_id["hainan-mango"]  # type: ignore[index]
    assert mango.name(Language.EN) == "Hainan Guifei Mangoes"
    assert is_named(mango, product) is (named or product == "man")
