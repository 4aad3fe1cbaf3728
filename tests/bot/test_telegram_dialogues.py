"""A choice of the dialogues, replayed through the fake Telegram with the real understanding."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from data.sqlite_store import SqliteEventStore
from tests import fakes
from tests.bot.telegram_world import running_bot
from tests.bot.test_dialogues import FILES, _find
from tests.fake_telegram.people import Person
from tests.fake_telegram.server import FakeTelegram
from tests.fake_telegram.state import Json

PER_LANGUAGE = 7
CHOSEN = [
    path
    for language in ("zh", "en")
    for path in [file for file in FILES if file.stem.startswith(language)][:PER_LANGUAGE]
]


@pytest.fixture
async def telegram() -> AsyncIterator[FakeTelegram]:
    async with FakeTelegram(answer_within=10.0) as server:
        # Pressing what is shown already gives the same page again, which Telegram refuses to edit.
        server.expect_refusal("message is not modified")
        yield server
        server.check()


Look = tuple[str, str]
"""Words of a message, and the labels of its buttons in brackets."""


def looks(person: Person) -> dict[int, Look]:
    """What each of the bot's messages looks like now."""
    return {message["message_id"]: _look(message) for message in person.bot_messages()}


def _look(message: Json) -> Look:
    rows = message.get("reply_markup", {}).get("inline_keyboard", [])
    labels = "\n".join(f"[{button['text']}]" for row in rows for button in row)
    return str(message.get("text") or message.get("caption") or ""), labels


async def quiet(store: SqliteEventStore) -> None:
    """Wait until every update was handled and nothing waits to be sent."""
    for _ in range(2_000):
        backlog = store.backlog(at=datetime.now(UTC))
        if backlog.inbox == 0 and backlog.outbox == 0 and backlog.parked == 0:
            return
        await asyncio.sleep(0.01)
    raise TimeoutError("the bot did not come to rest")


async def act(person: Person, content: str) -> str:
    """Do what a line says; gives the notice that a press will be answered with, when there is one."""
    if not content.startswith("["):
        if content.startswith("/"):
            person.send_command(content)
        else:
            person.send_text(content)
        return ""
    wanted = content.strip("[]")
    for fits in (lambda label: label == wanted, lambda label: wanted in label):
        for message in reversed(person.bot_messages()):
            for row in message.get("reply_markup", {}).get("inline_keyboard", []):
                for button in row:
                    if "callback_data" in button and fits(button["text"]):
                        callback = person.press_payload(message, button["callback_data"])
                        answer = await person.wait_answer(callback, timeout=20)
                        return str(answer.get("text") or "")
    raise LookupError(f"no button {wanted!r}")


async def turn(person: Person, store: SqliteEventStore, content: str) -> str:
    """Act, wait for rest, and give what is new or changed on the screen."""
    before = looks(person)
    notice = await act(person, content)
    for _ in range(3_000):
        changed = {i: look for i, look in looks(person).items() if before.get(i) != look}
        if changed or notice:
            break
        await asyncio.sleep(0.01)
    await quiet(store)
    changed = {i: look for i, look in looks(person).items() if before.get(i) != look}
    # In the order of the core's replay: all words, then all labels.
    return "\n".join(
        [notice, *(w for w, _ in changed.values()), *(b for _, b in changed.values())]
    )


@pytest.mark.parametrize("path", CHOSEN, ids=lambda path: path.stem)
async def test_the_dialogue_goes_the_same_way_through_telegram(
    path: Path, telegram: FakeTelegram, tmp_path: Path
) -> None:
    store = SqliteEventStore(tmp_path / "zhiwei.db")
    conversation = fakes.real_conversation(store=store)
    person = telegram.person(7, path.stem[:2])
    said, position = "", 0

    async with running_bot(conversation, store, telegram):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            mark, _, content = line.strip().partition(" ")
            place = f"{path.name}:{number}"
            if mark == ">":
                said, position = await turn(person, store, content), 0
            elif mark == "<":
                found = _find(content, said, position)
                assert found is not None, f"{place}: no {content!r} in:\n{said}"
                position = found
            elif mark == "!":
                assert _find(content, said, 0) is None, f"{place}: {content!r} is in:\n{said}"
    store.close()


def test_a_dozen_dialogues_are_replayed() -> None:
    assert len(CHOSEN) >= 12
