"""The buttons under a preview: an item's menu, its rules and grades, and the way back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.engine import Engine
from bot.messages import Command, FileMessage
from data.catalogue import Catalogue, Item, Lesson, LessonId
from data.events import CreatorRule, RuleKind
from data.store import EventStore
from tests.fakes import (
    NOON,
    CountingEmbedder,
    Person,
    build_conversation,
    engine_over,
    hashing,
    sample_catalogue,
)

LESSON = sample_catalogue().lessons[0]
TEXT = "A ripe tomato sauce wants olive oil, basil and a little garlic."


def creator(**choices: object) -> Person:
    return Person(build_conversation(creators=[2], **choices), numeric_id=2)


def store_of(person: Person) -> EventStore:
    return person.conversation.services.store


def audits_of(person: Person) -> list[tuple[str, str]]:
    return [(action, detail) for _, _, action, detail in reversed(store_of(person).audits())]


def open_first_item(person: Person) -> str:
    """Preview the lesson, open the menu of the first item, and give its id."""
    person.command(f"/pair {LESSON.lesson_id}")
    person.presses("1. ")
    return person.text.split("[", 1)[1].split("]", 1)[0]


def without(person: Person, item_id: str) -> None:
    """Take an item out of the catalogue in force."""
    services = person.conversation.services
    catalogue = services.engine().catalogue
    fewer = Catalogue.of(
        [item for item in catalogue.items if item.item_id != item_id], catalogue.lessons
    )
    engine = engine_over(fewer, hashing())
    person.conversation.services = replace(services, engine=lambda: engine)


def test_a_preview_has_scores_evidence_what_is_hidden_and_a_row_for_each_item() -> None:
    eve = creator()

    eve.command(f"/pair {LESSON.lesson_id}")

    (page,) = eve.replies
    assert sum(span.is_quote for span in page.spans) >= 3
    assert "final" in page.text
    assert "Hidden: " in page.text
    assert "not available" in page.text
    assert [row[0].label.split(".")[0] for row in page.buttons] == [str(n) for n in range(1, 9)]
    assert all(len(row) == 1 for row in page.buttons)


def test_of_the_items_shown_it_says_what_some_people_would_not_get() -> None:
    known = sample_catalogue()
    bare = [replace(item, allergens={}, season=frozenset({6})) for item in known.items[:40]]
    eve = creator(catalogue=Catalogue.of(bare, known.lessons))

    eve.command(f"/pair {LESSON.lesson_id}")

    assert "8 hidden from people with an allergy that the label does not speak of" in eve.text
    assert "8 out of season" in eve.text


def test_an_item_opens_its_menu_in_place_and_there_is_a_way_back() -> None:
    eve = creator()
    eve.command(f"/pair {LESSON.lesson_id}")
    listed = eve.text

    (menu,) = eve.presses("2. ")
    (back,) = eve.presses("Back to the list")

    assert menu.is_edit
    assert back.is_edit
    assert back.text == listed


def test_a_pin_is_set_and_taken_back_by_the_button_at_the_same_place() -> None:
    eve = creator()
    item_id = open_first_item(eve)

    eve.presses("Pin")
    pinned = store_of(eve).rules()
    (menu,) = eve.replies
    eve.presses("Unpin")

    assert [(r.kind, r.lesson_id, r.item_id) for r in pinned] == [
        (RuleKind.PIN, LESSON.lesson_id, item_id)
    ]
    assert "Pinned to this lesson." in menu.text
    assert store_of(eve).rules() == []
    assert audits_of(eve)[1:] == [
        ("pin.on", f"{LESSON.lesson_id} {item_id}"),
        ("pin.off", f"{LESSON.lesson_id} {item_id}"),
    ]


def test_a_double_tap_on_pin_pins_once() -> None:
    eve = creator()
    open_first_item(eve)
    payload = eve.button("Pin").payload

    eve.presses_payload(payload)
    eve.presses_payload(payload)

    assert [rule.kind for rule in store_of(eve).rules()] == [RuleKind.PIN]
    assert "Unpin" in eve.labels


def test_a_banned_item_leaves_the_list_and_can_be_let_in_again() -> None:
    eve = creator()
    item_id = open_first_item(eve)
    eve.presses("Pin")

    eve.presses("Ban here")
    banned = store_of(eve).rules()
    eve.presses("Back to the list")
    listed = eve.text
    eve.presses("Banned: ")
    eve.presses("Lift the ban here")

    assert [(r.kind, r.item_id) for r in banned] == [(RuleKind.BAN, item_id)]
    assert f"[{item_id}]" not in listed
    assert "1 banned" in listed
    assert store_of(eve).rules() == []
    assert ("pin.off", f"{LESSON.lesson_id} {item_id}") in audits_of(eve)


def test_a_ban_from_all_lessons_holds_in_another_lesson() -> None:
    eve = creator()
    item_id = open_first_item(eve)

    eve.presses("Ban from all lessons")
    eve.command(f"/pair {sample_catalogue().lessons[1].lesson_id}")

    assert [(r.kind, r.lesson_id) for r in store_of(eve).rules()] == [(RuleKind.BAN, "")]
    assert f"[{item_id}]" not in eve.text
    assert any(label.startswith("Banned: ") for label in eve.labels)


def test_a_grade_is_stored_shown_and_the_same_one_is_stored_once() -> None:
    eve = creator()
    item_id = open_first_item(eve)
    payload = eve.button("2 good").payload

    eve.presses_payload(payload)
    eve.presses_payload(payload)

    (judgement,) = store_of(eve).judgements()
    assert (judgement.item_id, judgement.grade, judgement.creator) == (item_id, 2, eve.user_key)
    assert "Your grade: 2 good" in eve.text
    assert "✓ 2 good" in eve.labels
    assert audits_of(eve)[1:] == [("judge", f"{LESSON.lesson_id} {item_id} 2")]


def test_a_better_thought_replaces_a_grade() -> None:
    eve = creator()
    open_first_item(eve)

    eve.presses("2 good")
    eve.presses("0 wrong")

    assert [judgement.grade for judgement in store_of(eve).judgements()] == [2, 0]
    assert "Your grade: 0 wrong" in eve.text


def test_the_text_of_a_known_lesson_is_that_lesson() -> None:
    eve = creator()

    eve.command(f"/pair {LESSON.text}")
    eve.presses("1. ")

    assert "Pin" in eve.labels
    assert LESSON.title in eve.text


def test_a_pasted_text_has_a_way_back_and_only_rules_that_need_no_lesson() -> None:
    eve = creator()
    eve.command(f"/pair {TEXT}")
    listed = eve.text

    eve.presses("1. ")
    labels, told = eve.labels, eve.text
    eve.presses("Back to the list")

    assert labels == ["Ban from all lessons", "← Back to the list"]
    assert "not a lesson of the catalogue" in told
    assert eve.text == listed


def test_buttons_under_a_pasted_text_ask_for_it_again_after_a_restart() -> None:
    eve = creator()
    eve.command(f"/pair {TEXT}")
    other = Person(
        build_conversation(creators=[2], store=store_of(eve)), numeric_id=2, history=eve.history
    )

    (reply,) = other.presses("1. ")

    assert "send it with /pair again" in reply.notice
    assert not reply.spans


def test_a_pair_as_an_answer_takes_the_words_of_the_other_message() -> None:
    eve = creator()

    eve.sends(Command(**eve._stamp(), name="pair", quoted=TEXT))

    assert "A ripe tomato sauce" in eve.text


def test_what_is_answered_is_no_argument_of_other_commands() -> None:
    eve = creator()

    eve.sends(Command(**eve._stamp(), name="coverage", quoted=TEXT))

    assert "Coverage of which course?" in eve.text


def test_an_item_that_left_the_catalogue_brings_back_the_list() -> None:
    eve = creator()
    item_id = open_first_item(eve)
    without(eve, item_id)

    (reply,) = eve.presses("Pin")

    assert "left the catalogue" in reply.notice
    assert "Pairing preview" in reply.text
    assert store_of(eve).rules() == []


@pytest.mark.parametrize("label", ["1. ", "Pin", "Ban here", "3 delightful", "Ban from all"])
def test_who_is_no_creator_any_more_is_refused(label: str) -> None:
    eve = creator()
    open_first_item(eve)
    services = replace(eve.conversation.services, creators=frozenset())
    eve.conversation.services = services

    (reply,) = eve.presses(label)

    assert "not for this account" in reply.notice
    assert not reply.spans
    assert store_of(eve).rules() == []
    assert store_of(eve).judgements() == []


def test_a_button_of_somebody_else_does_nothing() -> None:
    eve = creator()
    open_first_item(eve)
    mallory = Person(eve.conversation, numeric_id=2, name="mallory")

    mallory.presses_payload(eve.button("Pin").payload)

    assert store_of(eve).rules() == []
    assert "can't read that button" in mallory.text


def test_markup_in_names_stays_text() -> None:
    nasty = Item(item_id="x<b>|:1", name_en="<script>{n}</script>", description_en="{0} & more")
    lesson = Lesson(lesson_id=LessonId("l|<i>:2"), title="<b>{title}</b>", text=TEXT)
    eve = creator(catalogue=Catalogue.of([nasty, *sample_catalogue().items[:5]], [lesson]))

    eve.command("/pair l|<i>:2")
    eve.presses("<script>")
    eve.presses("Pin")

    assert "<script>{n}</script>" in eve.text
    assert [(r.lesson_id, r.item_id) for r in store_of(eve).rules()] == [("l|<i>:2", "x<b>|:1")]


def test_long_ids_and_names_fit_into_buttons() -> None:
    item = Item(item_id="i" * 300, name_en="n" * 300)
    lesson = Lesson(lesson_id=LessonId("课" * 200), title="t" * 300, text=TEXT)
    eve = creator(catalogue=Catalogue.of([item], [lesson]))

    eve.command(f"/pair {lesson.lesson_id}")
    eve.presses("1. ")
    eve.presses("3 delightful")

    assert [j.item_id for j in store_of(eve).judgements()] == [item.item_id]
    assert all(len(b.payload.encode()) <= 64 for b in eve.buttons())


def test_a_lesson_for_minors_says_that_nothing_is_offered() -> None:
    lesson = replace(LESSON, audience="minors")
    eve = creator(catalogue=Catalogue.of(sample_catalogue().items[:20], [lesson]))

    eve.command(f"/pair {lesson.lesson_id}")

    assert "for minors: learners are offered nothing" in eve.text


def test_the_whole_menu_speaks_chinese() -> None:
    eve = Person(build_conversation(creators=[2]), numeric_id=2, language="zh-hans")

    eve.command(f"/pair {LESSON.lesson_id}")
    eve.presses("1. ")
    eve.presses("置顶")
    pinned = eve.text
    eve.presses("2 不错")
    eve.presses("回到列表")

    assert "在这一课已置顶" in pinned
    assert "已置顶" in eve.text
    assert store_of(eve).judgements()[0].grade == 2


def test_a_pin_does_not_change_the_score_of_an_item_that_is_shown_anyway() -> None:
    eve = creator()
    item_id = open_first_item(eve)
    before = eve.text.splitlines()[1].split(" · ")[0]
    engine: Engine = eve.conversation.services.engine()
    store_of(eve).put_rule(
        CreatorRule(
            lesson_id=LESSON.lesson_id,
            item_id=engine.catalogue.items_by_id[item_id].item_id,
            kind=RuleKind.PIN,
            at=NOON,
            creator="x",
        )
    )

    eve.command(f"/pair {LESSON.lesson_id}")
    eve.presses("1. ")

    assert f"[{item_id}]" in eve.text
    assert eve.text.splitlines()[1].split(" · ")[0] == before


@pytest.mark.parametrize("is_file", [False, True])
def test_a_text_is_read_before_anything_is_locked(is_file: bool) -> None:
    embedder = CountingEmbedder(dim=64)
    catalogue = Catalogue.of(sample_catalogue().items[:7], [replace(LESSON, title="Counted")])
    eve = creator(engine=lambda: engine)
    engine = engine_over(catalogue, embedder)
    stamp = eve._stamp()
    incoming = (
        FileMessage(**stamp, file_name="a.txt", content=TEXT.encode(), caption="/pair")
        if is_file
        else Command(**stamp, name="pair", argument=TEXT)
    )

    eve.conversation.prepare(incoming)
    n_ahead = len(embedder.asked)
    eve.sends(incoming)

    assert "Pairing preview: A ripe tomato" in eve.text
    assert len(embedder.asked) == n_ahead
