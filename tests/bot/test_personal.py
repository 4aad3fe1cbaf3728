"""A person's own data: seen, corrected, taken along, erased."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from bot.understanding.meaning import Intent
from data.events import ConsentKind, Reply, ReplyKind
from tests.fakes import Person, ScriptedInterpreter, build_conversation, sample_catalogue

LESSON = sample_catalogue().lessons[0]


def person(language: str = "en") -> Person:
    script = ScriptedInterpreter()
    script.means("allergic", Intent.SET_CONSTRAINT, allergens=["milk"])
    script.means("like 1", Intent.LIKE, item_ref=1)
    ann = Person(build_conversation(understanding=script), language=language)
    ann.says("allergic")
    ann.command(f"/start {LESSON.lesson_id}")
    ann.says("like 1")
    return ann


def test_me_shows_every_fact_with_source_date_and_a_delete_button() -> None:
    ann = person()
    ann.command("/me")
    assert "allergic to milk (Nov 24, 2026, from “allergic”; for 24 hours only)" in ann.text
    assert "You liked:" in ann.text
    ann.presses("Delete: allergic to milk")
    assert "Deleted." in ann.text
    assert "allergic to milk" not in ann.text


def test_deleting_twice_is_answered() -> None:
    ann = person()
    ann.command("/me")
    payload = ann.button("Delete: allergic to milk").payload
    ann.presses_payload(payload)
    ann.presses_payload(payload)
    assert "gone already" in ann.text


def test_mydata_is_json_with_everything() -> None:
    ann = person()
    (reply,) = ann.command("/mydata")
    assert reply.document is not None
    assert reply.is_private
    everything = json.loads(reply.document.content)
    text = json.dumps(everything)
    assert "milk" in text
    assert LESSON.lesson_id in text


@pytest.mark.parametrize(
    ("language", "done", "wait"),
    [
        ("en", "Here is everything I have stored about you.", "again in 5 minutes"),
        ("zh", "这是我保存的关于你的全部数据。", "5 分钟后"),
    ],
)
def test_mydata_comes_twice_and_then_says_when_it_comes_again(
    language: str, done: str, wait: str
) -> None:
    ann = person(language=language)
    for _ in "ab":
        (reply,) = ann.command("/mydata")
        assert reply.text == done

    (reply,) = ann.command("/mydata")

    assert wait in reply.text
    assert reply.document is None
    ann.clock.advance(minutes=5)
    assert ann.command("/mydata")[0].document is not None


def test_a_long_history_comes_packed() -> None:
    ann = person()
    store = ann.conversation.services.store
    for n in range(40):
        text = "x" * 30_000
        store.record_reply(
            Reply(
                reply_id=f"long-{n}", at=ann.clock(), user_key=ann.user_key,
                kind=ReplyKind.TEXT, text=text, source="test",
            )
        )  # fmt: skip

    (reply,) = ann.command("/mydata")

    assert reply.document is not None
    assert reply.document.file_name.endswith(".zip")
    assert len(reply.document.content) < 200_000
    with zipfile.ZipFile(io.BytesIO(reply.document.content)) as archive:
        everything = json.loads(archive.read("zhiwei-my-data.json"))
    assert len([row for row in everything["replies"] if row["text"]]) >= 40


def test_forgetting_takes_two_steps_and_leaves_nothing() -> None:
    ann = person()
    ann.command("/forget")
    assert ann.conversation.services.store.replies(user_key=ann.user_key)
    ann.presses("Erase everything")
    assert "Receipt:" in ann.text
    store = ann.conversation.services.store
    assert not store.facts(ann.user_key, at=ann.clock())
    assert not store.replies(user_key=ann.user_key)
    assert not store.slates(user_key=ann.user_key)


def test_an_old_erase_button_asks_again() -> None:
    ann = person()
    ann.command("/forget")
    payload = ann.button("Erase everything").payload
    ann.presses("Keep my data")
    ann.presses_payload(payload)
    assert "cannot be undone" in ann.text
    assert ann.conversation.services.store.facts(ann.user_key, at=ann.clock())


def test_the_switches_are_off_at_first_and_one_tap_each() -> None:
    ann = person()
    ann.command("/settings")
    assert [label for label in ann.labels if label.startswith("Turn on")] == [
        "Turn on: Remember my diet",
        "Turn on: Learn from my answers",
        "Turn on: Send me tips",
    ]
    ann.presses("Turn on: Learn from my answers")
    store = ann.conversation.services.store
    assert store.consenting_users(ConsentKind.LEARN_FROM_ANSWERS) == {ann.user_key}
    ann.presses("Turn off: Learn from my answers")
    assert store.consenting_users(ConsentKind.LEARN_FROM_ANSWERS) == set()


def test_stop_and_privacy_need_no_words() -> None:
    ann = person()
    ann.command("/stop")
    assert "Off: Send me tips" in ann.text
    ann.command("/privacy")
    assert "90 days" in ann.text
    assert "the operator of this bot" in ann.text
