"""The webhook believes only Telegram, and takes only what it has on disk."""

from __future__ import annotations

import asyncio
import io
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from bot.serving import SECRET_HEADER, Intake, build_app, prometheus
from bot.telegram_app import run_webhook
from data.errors import SettingsError, StoreError
from data.sqlite_store import SqliteEventStore
from data.store import InboxEntry
from tests.bot.telegram_world import ScriptedConversation, options_for
from tests.fake_telegram.server import FakeTelegram


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class SometimesDown(SqliteEventStore):
    """A store that is down while told so."""

    is_down = False

    def receive(self, entry: InboxEntry) -> bool:
        if self.is_down:
            raise StoreError("the disk is full")
        return super().receive(entry)


class World:
    """A running webhook and how to reach it."""

    def __init__(self, telegram: FakeTelegram, store: SometimesDown, port: int) -> None:
        self.telegram = telegram
        self.store = store
        self.root = f"http://127.0.0.1:{port}"
        self.conversation = ScriptedConversation()
        self.session = aiohttp.ClientSession()

    async def post(self, body: bytes | io.BytesIO, secret: str = "s3cret") -> int:
        headers = {SECRET_HEADER: secret, "Content-Type": "application/json"}
        async with self.session.post(
            f"{self.root}/telegram", data=body, headers=headers
        ) as response:
            return response.status

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        async with self.session.get(f"{self.root}{path}", headers=headers) as response:
            return response.status, await response.text()


@asynccontextmanager
async def listening(**changes: Any) -> AsyncIterator[World]:
    async with FakeTelegram() as telegram:
        store = SometimesDown(":memory:")
        port = free_port()
        world = World(telegram, store, port)
        stop, ready = asyncio.Event(), asyncio.Event()
        options = options_for(
            telegram,
            webhook_url=f"{world.root}/telegram",
            webhook_secret="s3cret",
            port=port,
            **changes,
        )
        task = asyncio.create_task(
            run_webhook(
                world.conversation, store, options, stop=stop, on_ready=lambda _: ready.set()
            )
        )
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        try:
            yield world
        finally:
            stop.set()
            await task
            await world.session.close()
            store.close()
        telegram.check()


def update(number: int, text: str = "hi") -> bytes:
    message = {
        "message_id": number,
        "date": 1,
        "chat": {"id": 7, "type": "private"},
        "from": {"id": 7, "is_bot": False, "first_name": "W"},
        "text": text,
    }
    return json.dumps({"update_id": number, "message": message}).encode()


async def test_a_person_is_answered_through_the_webhook() -> None:
    async with listening() as world:
        person = world.telegram.person(7)
        person.send_text("hi")
        reply = await person.wait_reply()

    assert reply["text"] == "echo hi"


@pytest.mark.parametrize("secret", ["", "s3cre", "s3cretX", "S3CRET", "wörng"])
async def test_a_wrong_secret_is_forbidden(secret: str) -> None:
    async with listening() as world:
        status = await world.post(update(1), secret)

        assert status == 403
        assert world.conversation.handled == []


async def test_a_body_that_is_too_large_is_refused() -> None:
    async with listening() as world:
        stated = await world.post(io.BytesIO(b"x" * (1024 * 1024 + 1)))

        async def parts() -> AsyncIterator[bytes]:
            for _ in range(20):
                yield b"x" * 100_000

        async with world.session.post(
            f"{world.root}/telegram", data=parts(), headers={SECRET_HEADER: "s3cret"}
        ) as response:
            streamed = response.status

    assert (stated, streamed) == (413, 413)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"update_id": "x"}', b"[" * 100_000])
async def test_what_is_no_update_is_refused(body: bytes) -> None:
    async with listening() as world:
        assert await world.post(body) == 400


async def test_while_the_store_is_down_telegram_is_asked_to_come_again() -> None:
    async with listening() as world:
        person = world.telegram.person(7)
        world.store.is_down = True
        down = await world.post(update(900))
        ready_while_down, _ = await world.get("/readyz")
        world.store.is_down = False
        up = await world.post(update(900))
        again = await world.post(update(900))
        await person.wait_reply()
        await asyncio.sleep(0.1)

        assert (down, up, again) == (503, 200, 200)
        assert ready_while_down == 200
        assert len(person.bot_messages()) == 1


async def test_a_full_inbox_asks_telegram_to_come_again() -> None:
    async with listening(max_backlog=0) as world:
        assert await world.post(update(1)) == 503


async def test_health_readiness_and_metrics_answer_this_machine_only() -> None:
    async with listening() as world:
        healthy = await world.get("/healthz")
        ready, _ = await world.get("/readyz")
        _, figures = await world.get("/metrics")
        through_proxy, _ = await world.get("/metrics", **{"X-Forwarded-For": "203.0.113.9"})

    assert healthy == (200, "ok")
    assert ready == 200
    assert re.search(r"^zhiwei_updates_received_total 0$", figures, re.MULTILINE)
    assert through_proxy == 404


async def test_a_webhook_without_a_secret_does_not_start() -> None:
    async with FakeTelegram() as telegram:
        store = SqliteEventStore(":memory:")
        options = options_for(telegram, webhook_url="https://bot.example.org/telegram")

        with pytest.raises(SettingsError, match="ZHIWEI_WEBHOOK_SECRET"):
            await run_webhook(ScriptedConversation(), store, options, stop=asyncio.Event())
        store.close()


def test_an_intake_without_a_secret_is_a_mistake() -> None:
    async def take(update: Any) -> None: ...

    async def nothing() -> Any: ...

    intake = Intake(take=take, secret="", is_full=lambda: False)

    with pytest.raises(ValueError, match="secret"):
        build_app(ready=nothing, figures=nothing, intake=intake)


def test_metrics_have_types() -> None:
    text = prometheus({"zhiwei_sent_total": 3, "zhiwei_waiting": 0.5})

    assert text.splitlines() == [
        "# TYPE zhiwei_sent_total counter",
        "zhiwei_sent_total 3",
        "# TYPE zhiwei_waiting gauge",
        "zhiwei_waiting 0.5",
    ]
