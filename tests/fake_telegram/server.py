"""A Bot API server on loopback that knows Telegram's rules and nothing about the bot.

Inside a test: `async with FakeTelegram() as telegram: ...`. As a process of its own, for a bot
that is driven as a black box: `python -m tests.fake_telegram.server --port N --token T`; faults
and people are then reached by JSON under `/control/` (see `control.py` and `client.py`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, Self, TypeVar
from urllib.parse import unquote

from aiohttp import web

from tests.fake_telegram import control
from tests.fake_telegram.delivery import Bell, Delivery
from tests.fake_telegram.faults import Fault, FaultPlan, RateLimits
from tests.fake_telegram.methods import GET_UPDATES, MESSAGE_METHODS, METHODS, NAME_BY_LOWER
from tests.fake_telegram.parameters import Parameters, read_parameters
from tests.fake_telegram.people import Person
from tests.fake_telegram.refusal import RefusalError, bad_request
from tests.fake_telegram.state import Call, Chat, Json, State

T = TypeVar("T")
TOKEN = "4242:fake-telegram-token"


class FakeTelegram:
    """The server, the people, the faults, and the judgement at the end.

    Args:
        token: The only token that is accepted; its number is the bot's id.
        keep_calls: Keep only so many past calls, for long runs; None keeps all.
        keep_messages: Keep only so many messages of a chat, for long runs; None keeps all.
        answer_within: Seconds in which a press must be answered not to count as a failure.
    """

    def __init__(
        self,
        *,
        token: str = TOKEN,
        keep_calls: int | None = None,
        keep_messages: int | None = None,
        answer_within: float = 10.0,
    ) -> None:
        self.token = token
        self.state = State(token=token, keep_calls=keep_calls, keep_messages=keep_messages)
        self.faults = FaultPlan()
        self.rate_limits: RateLimits | None = None
        self.has_privacy_mode = True
        self.answer_within = answer_within
        self.api_root = ""
        self._people: dict[int, Person] = {}
        self._expected: list[re.Pattern[str]] = []
        self._bell = Bell()
        self._delivery = Delivery(self.state, self.faults, self._bell, self._from_webhook)
        self._runner: web.AppRunner | None = None
        self.is_stopped = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    async def start(self, port: int = 0) -> str:
        """Listen on 127.0.0.1 and return the API root; port 0 takes a free one."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/bot{token}/{method}", self._answer)
        app.router.add_get("/file/bot{token}/{path:.+}", self._download)
        control.add_routes(app, self)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.api_root = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self._delivery.start()
        return self.api_root

    async def stop(self) -> None:
        """Close every connection and free the port."""
        self.is_stopped.set()
        await self._delivery.stop()
        if self._runner is not None:
            await self._runner.cleanup()

    def person(
        self, user_id: int, language_code: str | None = "", *, first_name: str = ""
    ) -> Person:
        """Return a person, who exists from now on.

        Left out, language and name stay as they are; a new person is an English "Learner".
        A client without a language has None.
        """
        user = self.state.add_person(user_id, first_name, language_code)
        return self._people.setdefault(user_id, Person(self, user))

    def group(self, chat_id: int, title: str, *, kind: str = "supergroup") -> Chat:
        """Return a group, which exists from now on; its id is negative."""
        if chat_id >= 0:
            raise ValueError(f"the id of a group is negative, not {chat_id}")
        return self.state.chats.setdefault(chat_id, Chat(id=chat_id, type=kind, title=title))

    def migrate(self, group: Chat, new_id: int) -> Chat:
        """Make a group a supergroup: a new id, and refusals that name it under the old one."""
        upgraded = self.group(new_id, group.title)
        message = self.state.add_message(
            group, self.state.bot, {"migrate_to_chat_id": new_id, "sender_chat": group.to_json()}
        )
        self.queue("message", dict(message))
        group.migrated_to = new_id
        return upgraded

    def queue(self, kind: str, content: Json) -> Json | None:
        """Queue an update of any kind and wake who waits for it."""
        update = self.state.add_update(kind, content)
        self.ring()
        return update

    def redeliver(self, update: Json) -> None:
        """Give an update out again with the same update_id, confirmed or not."""
        self.state.repeated.append(update)
        self.ring()

    def expire_callbacks(self) -> None:
        """Make every open press too old to be answered."""
        for callback in self.state.callbacks.values():
            callback.is_expired = True

    def calls_of(self, method: str) -> list[Call]:
        """Return the calls of a method that are still kept; polls are counted, not kept."""
        return [call for call in self.state.calls if call.method == method]

    async def wait_until(self, look: Callable[[], T | None], *, timeout: float = 30.0) -> T:
        """Return what `look` sees as soon as it is true, asking after every event.

        Raises:
            TimeoutError: It stayed false for `timeout` seconds.
        """
        async with asyncio.timeout(timeout):
            while not (seen := look()):
                await self._bell.heard()
        return seen

    def ring(self) -> None:
        """Wake everyone who waits for something to change."""
        self._bell.ring()

    def expect_refusal(self, pattern: str) -> None:
        """Do not count refusals whose description matches as failures of the bot."""
        self._expected.append(re.compile(pattern))

    def failures(self) -> list[str]:
        """Return what the bot did wrong so far: the strict judgement at a test's end."""
        found = [
            failure
            for failure in self.state.failures
            if not any(pattern.search(failure) for pattern in self._expected)
        ]
        for callback in self.state.callbacks.values():
            if callback.is_expired:
                continue
            if callback.answered_at is None:
                found.append(f"callback {callback.id} was never answered")
            elif callback.answered_at - callback.pressed_at > self.answer_within:
                late = callback.answered_at - callback.pressed_at
                found.append(f"callback {callback.id} was answered after {late:.1f} s")
        return found

    def check(self) -> None:
        """Fail if the bot did anything that Telegram's rules forbid."""
        failures = self.failures()
        assert not failures, "the bot broke Telegram's rules:\n" + "\n".join(failures)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if unquote(request.match_info["token"]) != self.token:
            return _refusal(RefusalError(401, "Unauthorized"))
        asked = request.match_info["method"]
        method = NAME_BY_LOWER.get(asked.lower())
        if method is None:
            self.state.failures.append(f"unknown method {asked}")
            self._count(asked, 404)
            return _refusal(RefusalError(404, "Not Found: method not found"))
        started = time.perf_counter()
        call = Call(number=self.state.number(), at=time.time(), method=method, parameters={})
        fault: Fault | None = None
        try:
            sent = await read_parameters(request)
            call.parameters = sent.recorded()
            fault = self.faults.strike(method, _chat_of(call.parameters))
            if fault is not None:
                call.fault = fault.kind
                if fault.kind == "refuse":
                    raise fault.refusal()
                if fault.kind == "drop_before":
                    call.description = "dropped before it was done"
                    return _dropped(request)
                if fault.kind == "delay":
                    await asyncio.sleep(fault.seconds)
            if method == GET_UPDATES:
                call.result = await self._delivery.poll(sent, request)
            else:
                call.result = self._carry_out(method, sent)
            call.status = 200
        except RefusalError as refused:
            call.status, call.description = refused.status, refused.description
            if refused.status in (400, 413) and call.fault != "refuse":
                self.state.failures.append(f"{method}: {refused.status} {refused.description}")
            return _refusal(refused)
        finally:
            call.seconds = time.perf_counter() - started
            self._keep(call)
        if fault is not None and fault.kind == "drop_after":
            return _dropped(request)
        body = json.dumps({"ok": True, "result": call.result}, ensure_ascii=False)
        if fault is not None and fault.kind == "malformed":
            body = body[: max(1, len(body) - 3)]
        return web.Response(text=body, content_type="application/json")

    def _carry_out(self, method: str, sent: Parameters) -> Any:
        if method in MESSAGE_METHODS and self.rate_limits is not None:
            self.rate_limits.spend(sent.integer("chat_id"))
        try:
            return METHODS[method](self.state, sent)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            # A structure of the wrong shape, which Telegram refuses in a hundred different words.
            raise bad_request(f"can't parse parameters of {method}: {error!r}") from error

    async def _from_webhook(self, method: str, sent: Parameters) -> None:
        call = Call(
            number=self.state.number(), at=time.time(), method=method, parameters=sent.recorded()
        )
        try:
            call.result = self._carry_out(method, sent)
            call.status = 200
        except RefusalError as refused:
            call.status, call.description = refused.status, refused.description
            self.state.failures.append(f"{method}: {refused.status} {refused.description}")
        self._keep(call)

    async def _download(self, request: web.Request) -> web.Response:
        if unquote(request.match_info["token"]) != self.token:
            return _refusal(RefusalError(401, "Unauthorized"))
        file_id = request.match_info["path"].split("/")[1:2]
        stored = self.state.files.get(file_id[0]) if file_id else None
        if stored is None:
            return _refusal(RefusalError(404, "Not Found"))
        return web.Response(body=stored.content, content_type="application/octet-stream")

    def _keep(self, call: Call) -> None:
        if call.method != GET_UPDATES:
            self.state.calls.append(call)
        self._count(call.method, call.status)
        if call.method != GET_UPDATES:
            self.ring()

    def _count(self, method: str, status: int) -> None:
        self.state.calls_by_method[method] = self.state.calls_by_method.get(method, 0) + 1
        self.state.calls_by_status[status] = self.state.calls_by_status.get(status, 0) + 1


def _chat_of(parameters: Json) -> int | None:
    chat_id = parameters.get("chat_id")
    return chat_id if isinstance(chat_id, int) else None


def _refusal(refused: RefusalError) -> web.Response:
    return web.json_response(refused.body(), status=refused.status)


def _dropped(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


async def serve(telegram: FakeTelegram, port: int, *, ends_with_stdin: bool) -> None:
    """Serve until the process is told to end, having said where on standard output.

    With `ends_with_stdin` a caller that was killed leaves no server behind.
    """
    loop = asyncio.get_running_loop()
    if ends_with_stdin:
        loop.add_reader(sys.stdin.fileno(), _end_at_eof, telegram)
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, telegram.is_stopped.set)
    root = await telegram.start(port)
    print(json.dumps({"api_root": root, "token": telegram.token}), flush=True)
    await telegram.is_stopped.wait()
    await telegram.stop()


def _end_at_eof(telegram: FakeTelegram) -> None:
    if not os.read(sys.stdin.fileno(), 1024):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        telegram.is_stopped.set()


async def main() -> None:
    parser = argparse.ArgumentParser(description="A fake Telegram Bot API on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one and prints it")
    parser.add_argument("--token", default=TOKEN)
    parser.add_argument("--keep-calls", type=int, default=100_000)
    parser.add_argument("--keep-messages", type=int, default=200)
    parser.add_argument("--end-with-stdin", action="store_true")
    options = parser.parse_args()
    telegram = FakeTelegram(
        token=options.token,
        keep_calls=options.keep_calls,
        keep_messages=options.keep_messages,
    )
    await serve(telegram, options.port, ends_with_stdin=options.end_with_stdin)


if __name__ == "__main__":
    asyncio.run(main())
