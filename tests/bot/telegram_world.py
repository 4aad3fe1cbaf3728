"""A small scripted conversation and a running bot, for tests of the Telegram adapter."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.messages import Button, ButtonPress, Command, Incoming, Reply, TextMessage, plain
from bot.telegram_app import TelegramOptions, TelegramRuntime, run_polling
from bot.telegram_options import Core
from data.catalogue import ItemId
from data.events import UserKey
from data.store import EventStore
from data.vocabulary import Language
from recommender.guard import Refusal
from tests.fake_telegram.people import Person
from tests.fake_telegram.server import FakeTelegram
from tests.fake_telegram.state import Json

SECRET = b"a secret for tests"


@dataclass
class ScriptedConversation:
    """Echoes texts; commands and presses do what `answer` says."""

    answers: dict[str, Callable[[Incoming], list[Reply]]] = field(default_factory=dict)
    handled: list[Incoming] = field(default_factory=list)
    deliveries: list[tuple[str, str]] = field(default_factory=list)
    forbidden: set[str] = field(default_factory=set)
    seconds: float = 0.0

    def prepare(self, incoming: Incoming) -> None:
        """Nothing to do ahead."""

    def handle(self, incoming: Incoming) -> list[Reply]:
        if self.seconds:
            time.sleep(self.seconds)
        self.handled.append(incoming)
        match incoming:
            case Command(name=key) | ButtonPress(payload=key) if key in self.answers:
                return self.answers[key](incoming)
            case TextMessage(text=text) if text in self.answers:
                return self.answers[text](incoming)
            case TextMessage(text=text):
                return [Reply(spans=plain(f"echo {text}"))]
            case Command(name=name, argument=argument):
                return [Reply(spans=plain(f"command {name} {argument}".strip()))]
            case _:
                return [Reply(notice="unknown")]

    def delivered(self, reply: Reply, *, at: datetime, message_id: str = "") -> None:
        self.deliveries.append((str(reply.slate_id), message_id))

    def may_send(
        self, user_key: UserKey, item_ids: Iterable[ItemId], *, at: datetime
    ) -> tuple[Refusal, ...]:
        return tuple(Refusal(i, "forbidden") for i in item_ids if i in self.forbidden)

    def language_of(self, incoming: Incoming) -> Language:
        return Language.EN


def says(text: str, **fields: Any) -> Callable[[Incoming], list[Reply]]:
    """Answer with one reply."""
    return lambda incoming: [Reply(spans=plain(text), **fields)]


def words_of(message: dict[str, Any]) -> str:
    """Give what a message says, whether or not it has a picture."""
    return str(message.get("text") or message.get("caption") or "")


def keyboard(*labels: str) -> tuple[tuple[Button, ...], ...]:
    """One row of buttons whose payload is the label."""
    return (tuple(Button(label=label, payload=label) for label in labels),)


def label_like(labels: Iterable[str], part: str) -> str:
    """Give the first label that contains `part`."""
    return next(label for label in labels if part in label)


async def pressed(person: Person, message: Json, part: str) -> Json:
    """Press the button whose label contains `part`, and give the edited message.

    The notice is not looked at: a slow machine answers the press before it knows what to say.
    """
    callback = person.press(label_like(person.labels(message=message), part), message=message)
    await person.wait_answer(callback)
    return await person.wait_edit(message)


def options_for(telegram: FakeTelegram, **changes: Any) -> TelegramOptions:
    """Options with short waits."""
    values: dict[str, Any] = {
        "token": telegram.token,
        "secret": SECRET,
        "api_root": telegram.api_root,
        "poll_seconds": 2,
        "drain_seconds": 2.0,
        "registers_menu": False,
        "conflict_patience_seconds": 0.5,
    }
    return TelegramOptions(**(values | changes))


@contextlib.asynccontextmanager
async def running_bot(
    conversation: Core, store: EventStore, telegram: FakeTelegram, **changes: Any
) -> AsyncIterator[TelegramRuntime]:
    """Run the bot by polling for the length of the block."""
    stop = asyncio.Event()
    ready: asyncio.Future[TelegramRuntime] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        run_polling(
            conversation,
            store,
            options_for(telegram, **changes),
            stop=stop,
            on_ready=ready.set_result,
        )
    )
    await asyncio.wait((task, ready), return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    try:
        yield ready.result()
    finally:
        stop.set()
        await task
