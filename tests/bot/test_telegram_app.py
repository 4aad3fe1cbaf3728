"""A person talks to the bot through Telegram's rules."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from bot.messages import Reply, plain
from data.sqlite_store import SqliteEventStore
from tests.bot.telegram_world import ScriptedConversation, keyboard, running_bot, says
from tests.fake_telegram.server import FakeTelegram


@pytest.fixture
async def telegram() -> AsyncIterator[FakeTelegram]:
    async with FakeTelegram() as server:
        yield server
        server.check()


@pytest.fixture
def store() -> Iterator[SqliteEventStore]:
    opened = SqliteEventStore(":memory:")
    yield opened
    opened.close()


async def test_a_text_is_answered(telegram: FakeTelegram, store: SqliteEventStore) -> None:
    person = telegram.person(7, "zh")

    async with running_bot(ScriptedConversation(), store, telegram):
        person.send_text("你好 <b>")
        reply = await person.wait_reply()

    assert reply["text"] == "echo 你好 <b>"
    assert store.pending() == []


async def test_a_press_is_answered_with_the_notice_and_edits_the_message(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7)
    conversation = ScriptedConversation(
        answers={
            "start": says("three things", buttons=keyboard("Like")),
            "Like": says("liked", is_edit=True, notice="Noted", buttons=keyboard("Undo")),
        }
    )

    async with running_bot(conversation, store, telegram):
        person.send_command("/start lesson_1")
        message = await person.wait_reply()
        callback = person.press("Like")
        edited = await person.wait_edit(message)
        answer = await person.wait_answer(callback)

    assert edited["text"] == "liked"
    assert answer["text"] == "Noted"
    assert len(person.bot_messages()) == 1
    assert conversation.handled[0].argument == "lesson_1"  # type: ignore[attr-defined]


async def test_what_a_reply_says_survives_markup(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7)
    conversation = ScriptedConversation(
        answers={"x": lambda _: [Reply(spans=plain("a < b & </b> c"))]}
    )

    async with running_bot(conversation, store, telegram):
        person.send_text("x")
        reply = await person.wait_reply()

    assert reply["text"] == "a < b & </b> c"
