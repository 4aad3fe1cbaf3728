"""Creators send lesson files; strangers' files are never fetched; nobody floods the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bot.messages import FileMessage, Incoming, Reply, plain
from bot.quotas import Quotas
from data.sqlite_store import SqliteEventStore
from tests import fakes
from tests.bot.telegram_world import ScriptedConversation, keyboard, running_bot, says
from tests.fake_telegram.faults import Fault
from tests.fake_telegram.server import FakeTelegram

CREATOR, STRANGER = 5, 6
LESSON = b"# Tomatoes\n\nA ripe tomato sauce wants olive oil and basil.\n"


class FileKeeper(ScriptedConversation):
    """Answers a file with what arrived of it."""

    def handle(self, incoming: Incoming) -> list[Reply]:
        if not isinstance(incoming, FileMessage):
            return super().handle(incoming)
        told = (
            f"{incoming.file_name} {len(incoming.content)} {incoming.problem} {incoming.caption}"
        )
        return [Reply(spans=plain(told.strip()))]


async def test_a_creator_s_file_with_the_caption_pair_is_previewed(
    telegram: FakeTelegram, tmp_path: Path
) -> None:
    store = SqliteEventStore(tmp_path / "s.db")
    conversation = fakes.build_conversation(store=store, creators=[CREATOR])
    creator = telegram.person(CREATOR, "en")

    async with running_bot(conversation, store, telegram, creators=frozenset({CREATOR})):
        creator.send_document("lesson.md", LESSON, caption="/pair")
        preview = await creator.wait_reply(timeout=30)
        creator.send_document("lesson.md", LESSON)
        hint = await creator.wait_reply(timeout=30)
        creator.send_document("lesson.pdf", b"%PDF-nonsense", caption="/pair")
        broken = await creator.wait_reply(timeout=30)

    assert preview["text"].startswith("Pairing preview")
    assert "tomato" in preview["text"].lower()
    assert "/pair" in hint["text"]
    assert "lesson.pdf" in broken["text"]
    assert [action for _, _, action, _ in store.audits()] == ["pair"]
    store.close()


async def test_a_reply_with_pair_to_a_file_reads_that_file(telegram: FakeTelegram) -> None:
    store = SqliteEventStore(":memory:")
    creator = telegram.person(CREATOR)

    async with running_bot(FileKeeper(), store, telegram, creators=frozenset({CREATOR})):
        sent = creator.send_document("lesson.md", LESSON)
        assert sent is not None
        await creator.wait_reply()
        creator.send_text("/pair", reply_to_message=sent["message"])
        answer = await creator.wait_reply()

    assert answer["text"] == f"lesson.md {len(LESSON)}  /pair"
    store.close()


async def test_a_stranger_s_file_is_never_fetched(telegram: FakeTelegram) -> None:
    store = SqliteEventStore(":memory:")
    stranger = telegram.person(STRANGER)

    async with running_bot(FileKeeper(), store, telegram, creators=frozenset({CREATOR})):
        stranger.send_document("lesson.md", LESSON, caption="/pair")
        answer = await stranger.wait_reply()

    assert answer["text"] == "lesson.md 0  /pair"
    assert telegram.calls_of("getFile") == []
    store.close()


@pytest.mark.parametrize(
    ("size", "fault", "problem"),
    [
        (10 * 1024 * 1024 + 1, None, "large"),
        (None, Fault(kind="refuse", method="getFile", status=502, times=9), "unavailable"),
    ],
)
async def test_a_file_that_does_not_come_is_told_and_others_are_answered_meanwhile(
    telegram: FakeTelegram, size: int | None, fault: Any, problem: str
) -> None:
    store = SqliteEventStore(":memory:")
    creator, other = telegram.person(CREATOR), telegram.person(STRANGER)
    if fault is not None:
        telegram.faults.add(fault)

    async with running_bot(FileKeeper(), store, telegram, creators=frozenset({CREATOR})):
        creator.send_document("lesson.md", LESSON, caption="/pair", size=size)
        other.send_text("hello")
        echo = await other.wait_reply()
        answer = await creator.wait_reply(timeout=15)

    assert echo["text"] == "echo hello"
    assert answer["text"] == f"lesson.md 0 {problem} /pair"
    store.close()


async def test_a_flood_is_told_once_and_then_passed_over_but_presses_and_others_are_answered(
    telegram: FakeTelegram,
) -> None:
    store = SqliteEventStore(":memory:")
    flooder, other = telegram.person(CREATOR), telegram.person(STRANGER)
    conversation = ScriptedConversation()
    conversation.answers["menu"] = says("menu", buttons=keyboard("Go"))

    async with running_bot(conversation, store, telegram, quotas=Quotas(burst=3, per_minute=1)):
        flooder.send_text("menu")
        menu = await flooder.wait_reply()
        for n in range(10):
            flooder.send_text(str(n))
        other.send_text("hello")
        await other.wait_reply()
        replies = [(await flooder.wait_reply())["text"] for _ in range(3)]
        flooder.send_text("my throat is swelling and I can't breathe")
        emergency = await flooder.wait_reply()
        answer = await flooder.wait_answer(flooder.press("Go", message=menu))

    assert replies[:2] == ["echo 0", "echo 1"]
    assert "more than I can read" in replies[2]
    assert emergency["text"].startswith("echo my throat")
    assert answer["text"] == "unknown"
    assert len(flooder.bot_messages()) == 5
    assert store.pending() == []
    store.close()
