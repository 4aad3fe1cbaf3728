"""The same server's JSON routes under /control/, for tests that run in another process.

| route | body or query | answer |
|---|---|---|
| POST person | user_id, language_code, first_name | user |
| POST group | chat_id, title | chat |
| POST text | user_id, text, chat_id? | update |
| POST document | user_id, name, base64, mime?, caption?, size? | update |
| POST edit | user_id, message_id, text | update |
| POST press | user_id, label, message_id? or payload and message_id | callback id |
| POST block, unblock | user_id | update |
| GET messages | chat_id, after? | the bot's messages now |
| GET wait | chat_id, after?, timeout? | the bot's messages with a greater id, or [] |
| GET calls | since?, method?, limit? | kept calls with a greater number |
| GET callback | id | how it was answered |
| POST faults / DELETE faults | fields of Fault; duplicate_probability, reorder_probability | |
| POST rates | fields of RateLimits, or {"on": false} | |
| POST redeliver | update_id | |
| POST load | fields of Load | |
| POST expect | pattern | |
| GET stats | | counters, latency quantiles, backlog |
| GET failures | | strict judgement |
| POST stop | | |
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.fake_telegram.faults import Fault, RateLimits
from tests.fake_telegram.load import Load, write
from tests.fake_telegram.state import Chat, Json

if TYPE_CHECKING:
    from tests.fake_telegram.people import Person
    from tests.fake_telegram.server import FakeTelegram

Route = Callable[[Json], Awaitable[Any]]


def add_routes(app: web.Application, telegram: FakeTelegram) -> None:
    """Add the control routes of one server to its application."""
    panel = Control(telegram)
    for method, name, route in (
        ("POST", "person", panel.person),
        ("POST", "group", panel.group),
        ("POST", "text", panel.text),
        ("POST", "document", panel.document),
        ("POST", "edit", panel.edit),
        ("POST", "press", panel.press),
        ("POST", "block", panel.block),
        ("POST", "unblock", panel.unblock),
        ("GET", "messages", panel.messages),
        ("GET", "wait", panel.wait),
        ("GET", "calls", panel.calls),
        ("GET", "callback", panel.callback),
        ("POST", "faults", panel.add_fault),
        ("DELETE", "faults", panel.clear_faults),
        ("POST", "rates", panel.rates),
        ("POST", "redeliver", panel.redeliver),
        ("POST", "load", panel.load),
        ("POST", "expect", panel.expect),
        ("GET", "stats", panel.stats),
        ("GET", "failures", panel.failures),
        ("POST", "stop", panel.stop),
    ):
        app.router.add_route(method, f"/control/{name}", _json_route(route))
    app.on_cleanup.append(panel.end)


def _json_route(route: Route) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        asked: Json = dict(request.query)
        if request.can_read_body:
            asked |= await request.json()
        try:
            return web.json_response(await route(asked))
        except (LookupError, ValueError, TypeError) as error:
            problem = f"{type(error).__name__}: {error}"
            return web.json_response({"error": problem}, status=400)

    return handle


class Control:
    """What another process can make this server and its people do."""

    def __init__(self, telegram: FakeTelegram) -> None:
        self._telegram = telegram
        self._loads: list[Load] = []
        self._writing: list[asyncio.Task[None]] = []

    async def person(self, asked: Json) -> Json:
        person = self._telegram.person(
            int(asked["user_id"]),
            asked.get("language_code", ""),
            first_name=asked.get("first_name", ""),
        )
        return person.user.to_json()

    async def group(self, asked: Json) -> Json:
        return self._telegram.group(int(asked["chat_id"]), asked.get("title", "Group")).to_json()

    async def text(self, asked: Json) -> Json | None:
        return self._who(asked).send_text(asked["text"], chat=self._where(asked))

    async def document(self, asked: Json) -> Json | None:
        return self._who(asked).send_document(
            asked["name"],
            base64.b64decode(asked["base64"]),
            mime=asked.get("mime", "application/octet-stream"),
            caption=asked.get("caption", ""),
            size=asked.get("size"),
        )

    async def edit(self, asked: Json) -> Json | None:
        return self._who(asked).edit(int(asked["message_id"]), asked["text"])

    async def press(self, asked: Json) -> Json:
        person = self._who(asked)
        chat = self._where(asked) or person.chat
        message = None
        if "message_id" in asked:
            number = int(asked["message_id"])
            message = chat.messages.get(number) or {"message_id": number, "chat": chat.to_json()}
        if "payload" in asked:
            callback = person.press_payload(message or person.bot_messages()[-1], asked["payload"])
        else:
            callback = person.press(asked["label"], message=message, chat=chat)
        return {"id": callback.id}

    async def block(self, asked: Json) -> Json | None:
        return self._who(asked).block()

    async def unblock(self, asked: Json) -> Json | None:
        return self._who(asked).unblock()

    async def messages(self, asked: Json) -> list[Json]:
        return self._fresh(asked)

    async def wait(self, asked: Json) -> list[Json]:
        def look() -> bool:
            return bool(self._fresh(asked))

        try:
            await self._telegram.wait_until(look, timeout=float(asked.get("timeout", 5)))
        except TimeoutError:
            return []
        return self._fresh(asked)

    async def calls(self, asked: Json) -> list[Json]:
        since = int(asked.get("since", 0))
        method = asked.get("method")
        found = [
            call.to_json()
            for call in self._telegram.state.calls
            if call.number > since and method in (None, call.method)
        ]
        return found[: int(asked.get("limit", 1000))]

    async def callback(self, asked: Json) -> Json:
        callback = self._telegram.state.callbacks[asked["id"]]
        return {"answer": callback.answer, "is_answered": callback.answered_at is not None}

    async def add_fault(self, asked: Json) -> Json:
        plan = self._telegram.faults
        if "seed" in asked:
            plan.rng.seed(asked.pop("seed"))
        plan.duplicate_probability = asked.pop("duplicate_probability", plan.duplicate_probability)
        plan.reorder_probability = asked.pop("reorder_probability", plan.reorder_probability)
        if asked:
            plan.add(Fault(**asked))
        return {"standing": len(plan.standing)}

    async def clear_faults(self, asked: Json) -> Json:
        self._telegram.faults.clear()
        return {"standing": 0}

    async def rates(self, asked: Json) -> Json:
        is_on = asked.pop("on", True)
        self._telegram.rate_limits = RateLimits(clock=time.monotonic, **asked) if is_on else None
        return {"on": is_on}

    async def redeliver(self, asked: Json) -> Json:
        wanted = int(asked["update_id"])
        for update in self._telegram.state.recent_updates:
            if update["update_id"] == wanted:
                self._telegram.redeliver(update)
                return {"update_id": wanted}
        raise LookupError(f"update {wanted} is not among the last ones")

    async def load(self, asked: Json) -> Json:
        load = Load(**asked)
        self._loads.append(load)
        self._writing.append(asyncio.create_task(write(self._telegram, load)))
        return load.to_json()

    async def expect(self, asked: Json) -> Json:
        self._telegram.expect_refusal(asked["pattern"])
        return {}

    async def stats(self, asked: Json) -> Json:
        state = self._telegram.state
        latencies = sorted(state.latencies)

        def quantile(share: float) -> float | None:
            return latencies[int(share * (len(latencies) - 1))] if latencies else None

        return {
            "updates": state.next_update_id - 1000,
            "backlog": len(state.updates),
            "unanswered": sum(len(waiting) for waiting in state.waiting.values()),
            "answered": len(latencies),
            "latency_p50": quantile(0.5),
            "latency_p95": quantile(0.95),
            "latency_max": quantile(1.0),
            "calls_by_method": state.calls_by_method,
            "calls_by_status": {str(k): v for k, v in state.calls_by_status.items()},
            "loads": [load.to_json() for load in self._loads],
            "webhook": state.webhook.url,
            "webhook_error": state.webhook.last_error,
        }

    async def failures(self, asked: Json) -> list[str]:
        return self._telegram.failures()

    async def stop(self, asked: Json) -> Json:
        asyncio.get_running_loop().call_later(0.1, self._telegram.is_stopped.set)
        return {}

    async def end(self, app: web.Application) -> None:
        """End what still writes."""
        for task in self._writing:
            task.cancel()
        await asyncio.gather(*self._writing, return_exceptions=True)

    def _fresh(self, asked: Json) -> list[Json]:
        after = int(asked.get("after", 0))
        chat = self._telegram.state.chats[int(asked["chat_id"])]
        bot = self._telegram.state.bot.id
        return [
            m for m in chat.messages.values() if m["from"]["id"] == bot and m["message_id"] > after
        ]

    def _who(self, asked: Json) -> Person:
        return self._telegram.person(int(asked["user_id"]))

    def _where(self, asked: Json) -> Chat | None:
        return self._telegram.state.chats[int(asked["chat_id"])] if "chat_id" in asked else None
