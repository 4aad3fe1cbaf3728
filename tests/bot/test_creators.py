"""What creators do in the chat."""

from __future__ import annotations

import pytest

from data.events import RuleKind
from tests.fakes import Person, build_conversation, sample_catalogue

LESSON = sample_catalogue().lessons[0]
ITEM = sample_catalogue().items[5]


def creator() -> Person:
    return Person(build_conversation(creators=[2], admins=[1]), numeric_id=2)


def test_pair_previews_scores_and_what_was_filtered() -> None:
    eve = creator()
    eve.command(f"/pair {LESSON.lesson_id}")
    assert LESSON.title in eve.text
    assert "dense" in eve.text
    assert "lexical" in eve.text
    assert not eve.conversation.services.store.slates()


def test_a_pin_comes_first_and_again_takes_it_back() -> None:
    eve = creator()
    eve.command(f"/pin {LESSON.lesson_id} {ITEM.item_id}")
    assert "Pinned" in eve.text
    eve.command(f"/start {LESSON.lesson_id}")
    assert eve.item_ids[0] == ITEM.item_id
    (slate,) = eve.conversation.services.store.slates()
    assert not slate.ope_valid
    eve.command(f"/pin {LESSON.lesson_id} {ITEM.item_id}")
    assert "No longer pinned" in eve.text


def test_a_ban_holds_for_one_lesson_or_all() -> None:
    eve = creator()
    eve.command(f"/ban * {ITEM.item_id}")
    (rule,) = eve.conversation.services.store.rules()
    assert (rule.kind, rule.lesson_id, rule.item_id) == (RuleKind.BAN, "", ITEM.item_id)
    eve.command(f"/pin {LESSON.lesson_id} {ITEM.item_id}")
    eve.command(f"/start {LESSON.lesson_id}")
    assert ITEM.item_id not in eve.item_ids


def test_a_judgement_is_kept() -> None:
    eve = creator()
    eve.command(f"/judge {LESSON.lesson_id} {ITEM.item_id} 3")
    (judgement,) = eve.conversation.services.store.judgements()
    assert judgement.grade == 3


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("pair", "Write /pair"),
        ("pin x", "Write /pin"),
        ("ban", "Write /ban"),
        ("judge a b 9", "Write /judge"),
        (f"pin nothing {ITEM.item_id}", "no lesson"),
        (f"ban {LESSON.lesson_id} nothing", "no item"),
        (f"pin * {ITEM.item_id}", "Write /pin"),
        (f"judge {LESSON.lesson_id} nothing 1", "no item"),
    ],
)
def test_what_cannot_be_read_is_answered_with_the_form(line: str, said: str) -> None:
    eve = creator()
    eve.command(line)
    assert said in eve.text


def test_an_admin_sees_figures_and_a_creator_does_not() -> None:
    eve = creator()
    eve.command("/stats")
    assert "not for this account" in eve.text
    root = Person(eve.conversation, numeric_id=1, name="root")
    root.command("/stats all")
    assert "Safety violations" in root.text or "safety" in root.text.lower()


def test_nobody_is_an_admin_in_a_group() -> None:
    root = Person(build_conversation(admins=[1]), numeric_id=1, chat_kind="group")
    root.command("/stats")
    assert "not for this account" in root.text
