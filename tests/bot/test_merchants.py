"""Hiding a merchant holds on every path, is shown in /me, and is taken back in a tap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache

import pytest

from bot.understanding.meaning import Intent
from data.catalogue import Catalogue, Item, ItemId
from data.events import CreatorRule, FactKind, ProfileFact, RuleKind
from recommender.guard import refusals
from tests.fakes import NOON, Person, ScriptedInterpreter, build_conversation, sample_catalogue

LESSON = sample_catalogue().lessons[0]


def sold_by(merchants: Mapping[str, str]) -> Catalogue:
    """The sample catalogue with the merchants of some items."""
    samples = sample_catalogue()
    return Catalogue.of(
        (replace(item, merchant=merchants.get(item.item_id, "")) for item in samples),
        samples.lessons,
    )


@lru_cache(maxsize=1)
def first_three() -> tuple[str, ...]:
    """What the lesson offers to anybody first, with the seed of the fakes."""
    person = Person(build_conversation())
    person.command(f"/start {LESSON.lesson_id}")
    return tuple(person.item_ids)


def shop() -> Catalogue:
    """The first and the second of them are Old Orchard's."""
    return sold_by(dict.fromkeys(first_three()[:2], "Old Orchard"))


def name_of(item_id: str) -> str:
    return sample_catalogue().items_by_id[ItemId(item_id)].name_en


def ann(language: str = "en", catalogue: Catalogue | None = None) -> Person:
    script = ScriptedInterpreter()
    script.means("find it", Intent.SEARCH_PRODUCT, product=name_of(first_three()[0]))
    person = Person(
        build_conversation(catalogue=catalogue or shop(), understanding=script), language=language
    )
    person.command(f"/start {LESSON.lesson_id}")
    assert tuple(person.item_ids) == first_three()
    return person


def hide(person: Person) -> None:
    is_english = person.language == "en"
    person.presses("Buy 1" if is_english else "购买 1")
    person.presses("Hide this merchant" if is_english else "隐藏这个商家")


@pytest.mark.parametrize(
    ("language", "buy", "sold_by", "button"),
    [
        ("en", "Buy 1", "Sold by: Old Orchard", "Hide this merchant"),
        ("zh-hans", "购买 1", "商家：Old Orchard", "隐藏这个商家"),
    ],
)
def test_an_items_page_says_who_sells_it_and_can_hide_them(
    language: str, buy: str, sold_by: str, button: str
) -> None:
    person = ann(language)
    assert "Old Orchard" not in person.text  # the short list stays short
    person.presses(buy)
    assert sold_by in person.text
    assert button in person.labels


def test_an_item_without_a_merchant_has_nothing_to_hide() -> None:
    person = ann()
    person.presses("Buy 3")
    assert "Sold by" not in person.text
    assert "Hide this merchant" not in person.labels


@pytest.mark.parametrize(
    ("language", "notice", "told"),
    [
        ("en", "Hidden: nothing from Old Orchard any more.", "nothing from Old Orchard"),
        ("zh-hans", "已隐藏：不再显示“Old Orchard”的商品。", "不看“Old Orchard”的商品"),
    ],
)
def test_hiding_answers_at_once_and_the_slate_goes_on_without_them(
    language: str, notice: str, told: str
) -> None:
    person = ann(language)
    hide(person)
    slate, line = person.replies
    assert slate.is_edit
    assert slate.notice == notice
    assert slate.item_ids == (first_three()[2],)
    assert told in line.text
    assert "24" not in line.text  # it is kept without asking


def test_where_nothing_of_the_slate_is_left_others_come() -> None:
    person = ann(catalogue=sold_by(dict.fromkeys(first_three(), "Old Orchard")))
    hide(person)
    assert person.replies[0].is_edit
    assert "Hidden: nothing from Old Orchard" in person.replies[0].notice
    assert len(person.replies[0].item_ids) == 3
    assert not set(first_three()) & set(person.item_ids)


def test_no_path_brings_a_hidden_merchant_back() -> None:
    person = ann()
    old = {label: person.button(label).payload for label in ("Like 1", "Buy 1", "Buy 2", "Why")}
    hide(person)
    gone = set(first_three()[:2])
    store = person.conversation.services.store
    bob = Person(person.conversation, name="bob")
    store.put_rule(
        CreatorRule(
            lesson_id=LESSON.lesson_id, item_id=ItemId(first_three()[0]), kind=RuleKind.PIN, at=NOON,
            creator=person.user_key,
        )
    )  # fmt: skip
    for _ in range(4):
        person.presses("Others")
        assert not gone & set(person.item_ids)
    person.command(f"/start {LESSON.lesson_id}")
    assert person.item_ids
    assert not gone & set(person.item_ids)
    bob.command(f"/start {LESSON.lesson_id}")
    assert bob.item_ids[0] == first_three()[0]  # pinned, for whoever did not hide it
    person.says("find it")
    assert not gone & set(person.item_ids)
    bob.says("find it")
    assert first_three()[0] in bob.item_ids
    for label, payload in old.items():
        person.presses_payload(payload)
        assert not gone & set(person.item_ids), label
        assert name_of(first_three()[0]) not in person.text
    person.clock.advance(days=30)
    person.command(f"/start {LESSON.lesson_id}")
    assert person.item_ids
    assert not gone & set(person.item_ids)
    assert not store.safety_violations()


def test_the_hidden_are_counted_in_the_record_and_not_told_as_an_allergy() -> None:
    person = ann()
    hide(person)
    person.presses("Others")
    slate_id = person.replies[0].slate_id
    assert slate_id is not None
    record = person.conversation.services.store.slate(slate_id)
    assert record is not None
    assert record.filters["merchant"] == 2
    assert "hidden" not in person.text.lower()


@pytest.mark.parametrize(
    ("language", "told", "delete", "gone"),
    [
        ("en", "nothing from Old Orchard (", "Delete: nothing from Old Orchard", "Deleted."),
        ("zh-hans", "不看“Old Orchard”的商品（", "删除：不看“Old Orchard”的商品", "已删除"),
    ],
)
def test_me_shows_the_hidden_merchant_and_deleting_brings_it_back(
    language: str, told: str, delete: str, gone: str
) -> None:
    person = ann(language)
    hide(person)
    person.command("/me")
    assert told in person.text
    person.presses(delete)
    assert gone in person.text
    assert told not in person.text
    person.clock.advance(days=30)
    person.command(f"/start {LESSON.lesson_id}")
    assert set(first_three()[:2]) & set(person.item_ids)


@pytest.mark.parametrize(
    ("language", "told", "label"),
    [
        ("en", " items stay away because you hid their merchants", "What you know about me"),
        ("zh-hans", " 样因为你隐藏了商家而不显示", "我的信息"),
    ],
)
def test_when_all_that_is_left_is_hidden_the_way_back_is_told(
    language: str, told: str, label: str
) -> None:
    everything = sold_by({item.item_id: "Old Orchard" for item in sample_catalogue()})
    script = ScriptedInterpreter()
    script.means("find it", Intent.SEARCH_PRODUCT, product="rice")
    person = Person(
        build_conversation(catalogue=everything, understanding=script), language=language
    )
    person.command(f"/start {LESSON.lesson_id}")
    hide(person)
    assert told in person.text
    assert label in person.labels
    person.says("find it")
    assert told in person.text
    person.presses(label)
    assert "Old Orchard" in person.text


def test_undo_takes_it_back() -> None:
    person = ann()
    hide(person)
    person.presses("Undo")
    assert set(first_three()[:2]) <= set(person.item_ids)


def test_withdrawing_the_diet_switch_keeps_the_merchant_hidden() -> None:
    person = ann()
    hide(person)
    person.command("/settings")
    person.presses("Turn on: Remember my diet")
    person.presses("Turn off: Remember my diet")
    person.clock.advance(days=3)
    store = person.conversation.services.store
    kinds = [fact.kind for fact in store.facts(person.user_key, at=person.clock())]
    assert kinds == [FactKind.MERCHANT]


def test_in_a_group_only_the_one_who_pressed_is_told() -> None:
    script = ScriptedInterpreter()
    person = Person(build_conversation(catalogue=shop(), understanding=script), chat_kind="group")
    person.command(f"/start {LESSON.lesson_id}")
    hide(person)
    (reply,) = person.replies
    assert "Old Orchard" in reply.notice
    assert "Old Orchard" not in reply.text


def test_another_spelling_in_the_next_catalogue_stays_hidden() -> None:
    person = ann()
    hide(person)
    renamed = sold_by({first_three()[0]: " OLD  orchard", first_three()[2]: "Old Orchards"})
    engine = build_conversation(catalogue=renamed).services.engine
    moved = build_conversation(store=person.conversation.services.store)
    moved.services = replace(moved.services, engine=engine)
    person.conversation = moved
    person.clock.advance(days=30)
    person.command(f"/start {LESSON.lesson_id}")
    assert first_three()[0] not in person.item_ids


def test_the_last_look_refuses_a_hidden_merchant_by_itself() -> None:
    pear = Item(item_id=ItemId("pear"), name_en="Pear", merchant="Old Orchard")
    plum = replace(pear, item_id=ItemId("plum"), merchant="")
    by_id = {item.item_id: item for item in (pear, plum)}
    fact = ProfileFact(
        fact_id="f", user_key=Person(build_conversation()).user_key, at=NOON,
        kind=FactKind.MERCHANT, value="old orchard", source="button",
    )  # fmt: skip
    found = refusals(by_id, by_id, [fact], at=NOON + timedelta(days=1))
    assert [refusal.item_id for refusal in found] == ["pear"]
