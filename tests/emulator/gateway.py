"""What stands between a bot and npm's `telegram-test-api`, which is not quite a Bot API.

The emulator keeps its own update queue, ids, texts and keyboards; the gateway only repairs how
they look: `is_bot`, seconds instead of milliseconds, results of edits, HTTP statuses, long polls
with offsets, a webhook with its secret. Methods that the emulator lacks are answered here; a
method that neither knows is a 404 and is remembered in `unknown_methods`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any
from urllib.parse import unquote

import aiohttp
from aiohttp import web

from tests.fake_telegram.parameters import Parameters, read_parameters

Json = dict[str, Any]

_ANSWERED_HERE: dict[str, Any] = {
    "logOut": True,
    "close": True,
    "setMyCommands": True,
    "deleteMyCommands": True,
    "getMyCommands": [],
    "setMyName": True,
    "setMyDescription": True,
    "setMyShortDescription": True,
    "setChatMenuButton": True,
    "getChatMenuButton": {"type": "commands"},
    "sendChatAction": True,
    "setMessageReaction": True,
}
_SENT_AS_TEXT = {"sendPhoto": "photo", "sendDocument": "document"}
_EDITED_AS_TEXT = frozenset({"editMessageText", "editMessageCaption", "editMessageMedia"})
_NO_BUTTONS: dict[str, list[Any]] = {"inline_keyboard": []}


class GatewayError(Exception):
    """A refusal that the bot gets to see."""

    def __init__(self, status: int, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.description = description


class Gateway:
    """The Bot API root that a bot is given; everything of substance is asked of the emulator."""

    def __init__(self, emulator_root: str, session: aiohttp.ClientSession) -> None:
        self._root = emulator_root
        self._session = session
        self._unconfirmed: list[Json] = []
        self._webhook: Json = {}
        self._runner: web.AppRunner | None = None
        self.api_root = ""
        self.callback_answers: list[Json] = []
        self.unknown_methods: list[str] = []
        self.is_stopped = False

    async def start(self) -> None:
        """Listen on 127.0.0.1 on a free port."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/bot{token}/{method}", self._answer)
        app.router.add_post("/relay", self._relay)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.api_root = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Close every connection."""
        self.is_stopped = True
        if self._runner is not None:
            await self._runner.cleanup()

    async def ask_emulator(self, where: str, body: Json) -> Json:
        """Post to the emulator and return its JSON, ok or not."""
        async with self._session.post(where, json=body) as response:
            answer: Json = await response.json()
            if response.status != 200:
                raise GatewayError(response.status, str(answer.get("message", "no reason given")))
            return answer

    async def _answer(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        token = unquote(request.match_info["token"])
        sent = await read_parameters(request)
        try:
            result = await self._do(token, method, sent)
        except GatewayError as error:
            body = {"ok": False, "error_code": error.status, "description": error.description}
            return web.json_response(body, status=error.status)
        return web.json_response({"ok": True, "result": result})

    async def _do(self, token: str, method: str, sent: Parameters) -> Any:
        if method in _ANSWERED_HERE:
            return _ANSWERED_HERE[method]
        if method in _SENT_AS_TEXT:
            return await self._send_file(token, _SENT_AS_TEXT[method], sent)
        if method in _EDITED_AS_TEXT:
            return await self._edit_text(token, method, sent)
        match method:
            case "getMe":
                return await self._emulated(token, "getMe", {}) | {"is_bot": True}
            case "getUpdates":
                return await self._updates(token, sent)
            case "sendMessage":
                return await self._send_message(token, sent)
            case "editMessageReplyMarkup":
                return await self._edit_markup(token, sent)
            case "deleteMessage":
                await self._emulated(token, method, sent.values)
                return True
            case "answerCallbackQuery":
                await self._emulated(token, method, sent.values)
                self.callback_answers.append(dict(sent.values))
                return True
            case "setWebhook":
                return await self._set_webhook(token, sent)
            case "deleteWebhook":
                self._webhook = {}
                return await self._emulated(token, method, {})
            case "getWebhookInfo":
                return {
                    "url": self._webhook.get("url", ""),
                    "has_custom_certificate": False,
                    "pending_update_count": len(self._unconfirmed),
                }
        self.unknown_methods.append(method)
        raise GatewayError(404, "Not Found: method not found")

    async def _emulated(self, token: str, method: str, body: Json) -> Any:
        answer = await self.ask_emulator(f"{self._root}/bot{token}/{method}", body)
        if not answer.get("ok"):
            raise GatewayError(int(answer["error_code"]), str(answer["description"]))
        return answer["result"]

    async def _updates(self, token: str, sent: Parameters) -> list[Json]:
        offset = sent.integer("offset")
        self._unconfirmed = [u for u in self._unconfirmed if u["update_id"] >= offset]
        deadline = time.monotonic() + sent.integer("timeout")
        while True:
            # The emulator gives every update out once; what is not confirmed is kept here.
            fresh = await self._emulated(token, "getUpdates", {})
            self._unconfirmed += [_repaired_update(update) for update in fresh]
            if self._unconfirmed or self.is_stopped or time.monotonic() >= deadline:
                return self._unconfirmed[: sent.integer("limit", 100)]
            await asyncio.sleep(0.03)

    async def _send_message(self, token: str, sent: Parameters) -> Json:
        body = {name: value for name, value in sent.values.items() if name != "reply_parameters"}
        result = await self._emulated(token, "sendMessage", body)
        return await self._shown(token, result)

    async def _send_file(self, token: str, kind: str, sent: Parameters) -> Json:
        upload = sent.uploads.get(kind)
        name = upload.name if upload else str(sent.text(kind))
        body = {
            "chat_id": sent.text("chat_id"),
            "text": sent.text("caption") or "",
            kind: name,
        }
        if sent.text("reply_markup"):
            body["reply_markup"] = sent.values["reply_markup"]
        result = await self._emulated(token, "sendMessage", body)
        message = await self._shown(token, result)
        described = {"file_id": f"FILE{message['message_id']}", "file_unique_id": name[-60:]}
        caption = message.pop("text", "")
        if kind == "photo":
            message["photo"] = [described | {"width": 640, "height": 480}]
        else:
            message["document"] = described | {"file_name": name}
        return message | ({"caption": caption} if caption else {})

    async def _edit_text(self, token: str, method: str, sent: Parameters) -> Json:
        before = await self._record(token, sent)
        media = sent.structure("media") or {}
        text = sent.text("text") or sent.text("caption") or media.get("caption") or ""
        markup = sent.structure("reply_markup") or _NO_BUTTONS
        shown_as_text = method == "editMessageText"
        await self._emulated(
            token,
            "editMessageText",
            {
                "chat_id": sent.text("chat_id"),
                "message_id": sent.text("message_id"),
                "text": text,
                # The emulator keeps old buttons where Telegram takes them away.
                "reply_markup": markup,
            },
        )
        return await self._edited(token, before, {"text": text} if shown_as_text else {}, markup)

    async def _edit_markup(self, token: str, sent: Parameters) -> Json:
        before = await self._record(token, sent)
        markup = sent.structure("reply_markup") or _NO_BUTTONS
        await self._emulated(
            token,
            "editMessageReplyMarkup",
            {
                "chat_id": sent.text("chat_id"),
                "message_id": sent.text("message_id"),
                "reply_markup": markup,
            },
        )
        return await self._edited(token, before, {"text": before["message"]["text"]}, markup)

    async def _record(self, token: str, sent: Parameters) -> Json:
        """Return the emulator's record of a message of the bot, which an edit must have."""
        history = await self.ask_emulator(f"{self._root}/getUpdatesHistory", {"token": token})
        for record in history["result"]:
            message = record.get("message", {})
            if str(record["messageId"]) == sent.text("message_id") and str(
                message.get("chat_id")
            ) == sent.text("chat_id"):
                return dict(record)
        raise GatewayError(400, "Bad Request: message to edit not found")

    async def _edited(self, token: str, record: Json, fresh: Json, markup: Json) -> Json:
        chat_id = int(record["message"]["chat_id"])
        message = {
            "message_id": record["messageId"],
            "date": record["time"] // 1000,
            "edit_date": int(time.time()),
            "chat": {"id": chat_id, "type": "private", "first_name": "Learner"},
            "from": await self._do(token, "getMe", Parameters()),
        } | fresh
        return message | ({"reply_markup": markup} if any(markup["inline_keyboard"]) else {})

    async def _shown(self, token: str, result: Json) -> Json:
        """Return a message as the Bot API shows it: seconds, a sender, and no raw parameters."""
        kept = {"message_id", "date", "chat", "text"}
        message = {name: value for name, value in result.items() if name in kept}
        message["date"] = result["date"] // 1000
        message["from"] = await self._do(token, "getMe", Parameters())
        if result.get("reply_markup"):
            message["reply_markup"] = result["reply_markup"]
        return message

    async def _set_webhook(self, token: str, sent: Parameters) -> bool:
        self._webhook = {"url": sent.text("url") or "", "secret": sent.text("secret_token") or ""}
        await self._emulated(token, "setWebhook", {"url": f"{self.api_root}/relay"})
        return True

    async def _relay(self, request: web.Request) -> web.Response:
        """Pass an update on to the bot's webhook until it takes it, with the bot's secret.

        The emulator itself ends when a webhook refuses, so it is always told that all is well.
        """
        update = _repaired_update(await request.json())
        secret = self._webhook.get("secret", "")
        headers = {"X-Telegram-Bot-Api-Secret-Token": secret} if secret else {}
        for _ in range(50):
            with contextlib.suppress(aiohttp.ClientError):
                where = self._webhook.get("url", "")
                async with self._session.post(where, json=update, headers=headers) as response:
                    if response.status < 300:
                        break
            await asyncio.sleep(0.1)
        return web.Response(text=json.dumps({}), content_type="application/json")


def _repaired_update(update: Json) -> Json:
    if "message" in update:
        message = {name: value for name, value in update["message"].items() if name != "botToken"}
        return {"update_id": update["update_id"], "message": message}
    query = update["callback_query"]
    message = {name: value for name, value in query["message"].items() if value is not None}
    return {
        "update_id": update["update_id"],
        "callback_query": query
        | {"chat_instance": str(message["chat"]["id"]), "message": message},
    }
