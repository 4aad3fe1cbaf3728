"""Payloads -> python-telegram-bot, and its errors -> what may be done about them."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import timedelta
from io import BytesIO
from typing import Any

import httpx
from telegram import (
    Bot,
    InlineKeyboardMarkup,
    InputFile,
    InputMediaPhoto,
    LinkPreviewOptions,
    Message,
    ReplyParameters,
)
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
)
from telegram.request import RequestData

# The public RequestData takes nothing else.
from telegram.request._requestparameter import RequestParameter

from bot.outbox import (
    FloodError,
    MovedError,
    NotSentError,
    RefusedError,
    SendError,
    UnclearError,
    UnreachableError,
)

logger = logging.getLogger(__name__)

Json = dict[str, Any]

_CANNOT_EDIT = (
    "message to edit not found",
    "message can't be edited",
    "no text in the message to edit",
    "no caption in the message to edit",
    "no media in the message to edit",
    "message_id_invalid",
    "message identifier is not specified",
    "message to be edited",
)
_CANNOT_PARSE = ("can't parse", "can't find end", "unsupported start tag", "entity_")
_BAD_PICTURE = (
    "wrong file identifier",
    "failed to get http url content",
    "wrong type of the web page content",
    "wrong remote file",
    "photo_invalid_dimensions",
    "image_process_failed",
    "photo_save_file_invalid",
    "webpage_",
    "too big for a photo",
    "wrong http url",
    "invalid file http url",
)
_UNREACHABLE = (
    "chat not found",
    "user not found",
    "peer_id_invalid",
    "user is deactivated",
    "bot was kicked",
    "not enough rights",
    "have no rights to send",
    "need administrator rights",
    "chat_write_forbidden",
    "topic_closed",
)
_BAD_BUTTON = ("button", "keyboard", "reply markup", "url host")
_CALLBACK_OVER = ("query is too old", "query id is invalid", "query_id_invalid")
_NOT_SENT_CAUSES = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


def _fields(params: Json) -> RequestData:
    """Give parameters as they go over the wire: strings as they are, the rest as JSON."""
    return RequestData(
        [
            RequestParameter(name, value, None)
            for name, value in params.items()
            if value is not None
        ]
    )


class CallbackAnswers:
    """Answers each press exactly once, whoever comes first: the handler or the 300 ms limit."""

    def __init__(self, bot: Bot, *, keep: int = 10_000) -> None:
        self._bot = bot
        self._keep = keep
        self._answered: OrderedDict[str, asyncio.Future[str]] = OrderedDict()

    def is_answered(self, callback_id: str) -> bool:
        """Tell whether an answer was sent or is on its way."""
        return callback_id in self._answered

    async def answer(self, callback_id: str, text: str = "") -> str:
        """Answer unless that happened already; gives the text that the person got.

        Raises:
            SendError: It was not answered, and may be tried again.
        """
        earlier = self._answered.get(callback_id)
        if earlier is not None:
            # Should the earlier answer fail, this one must not be lost with it.
            try:
                return await asyncio.shield(earlier)
            except SendError:
                return await self.answer(callback_id, text)
        outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._answered[callback_id] = outcome
        while len(self._answered) > self._keep:
            self._answered.popitem(last=False)
        try:
            await self._call(callback_id, text)
        except BaseException as error:
            self._answered.pop(callback_id, None)
            failure = error if isinstance(error, SendError) else UnclearError("cancelled")
            outcome.set_exception(failure)
            outcome.exception()
            raise
        outcome.set_result(text)
        return text

    async def _call(self, callback_id: str, text: str) -> None:
        try:
            await self._bot.answer_callback_query(callback_id, text=text or None)
        except BadRequest as error:
            if not _says(error, _CALLBACK_OVER):
                raise RefusedError(error.message) from error
        except TelegramError as error:
            raise send_error(error) from error


class TelegramTransport:
    """Sends payloads; a message that Telegram cannot take as it is goes out in a simpler form."""

    def __init__(self, bot: Bot, callbacks: CallbackAnswers) -> None:
        self._callbacks = callbacks
        self._bot = bot
        self._methods: dict[str, Callable[..., Awaitable[Any]]] = {
            "sendMessage": bot.send_message,
            "sendPhoto": bot.send_photo,
            "sendDocument": bot.send_document,
            "editMessageText": bot.edit_message_text,
            "editMessageCaption": bot.edit_message_caption,
            "editMessageMedia": bot.edit_message_media,
        }

    async def send(self, payload: Json, address: str) -> str:
        """Send a payload to a chat and give the message id; empty for answers to presses.

        Raises:
            SendError: one of its kinds.
        """
        if payload["method"] == "answerCallbackQuery":
            return await self._answer(payload)
        payload = payload | {"params": payload["params"] | {"chat_id": int(address)}}
        while True:
            try:
                return await self._call(payload)
            except BadRequest as error:
                if _says(error, ("message is not modified",)):
                    return str(payload["params"].get("message_id", ""))
                simpler = _simpler(payload, error)
                if simpler is None:
                    raise _refusal(error) from error
                payload = simpler
            except TelegramError as error:
                raise send_error(error) from error

    async def _answer(self, payload: Json) -> str:
        params = payload["params"]
        wanted = str(params.get("text", ""))
        shown = await self._callbacks.answer(params["callback_query_id"], wanted)
        late = payload.get("late")
        if late is not None and wanted and shown != wanted:
            # The 300 ms were over, so the press got an empty answer; the words follow as a message.
            return await self.send(late, str(late["params"]["chat_id"]))
        return ""

    async def _call(self, payload: Json) -> str:
        params = dict(payload["params"])
        if "upload" not in payload:
            # What we made is what Telegram reads; building the library's objects from it, and
            # others from the answer, would cost more than everything else that we do for a message.
            result = await self._bot.request.post(
                f"{self._bot.base_url}/{payload['method']}", request_data=_fields(params)
            )
            # The library types it as an object; on the wire it may be the object or true.
            told: Any = result
            number = told.get("message_id") if isinstance(told, dict) else None
            return str(number or params.get("message_id", ""))
        if "reply_markup" in params:
            params["reply_markup"] = InlineKeyboardMarkup.de_json(
                params["reply_markup"], self._bot
            )
        if "reply_parameters" in params:
            params["reply_parameters"] = ReplyParameters(**params["reply_parameters"])
        if "link_preview_options" in params:
            params["link_preview_options"] = LinkPreviewOptions(**params["link_preview_options"])
        if "media" in params:
            media = {k: v for k, v in params["media"].items() if k != "type"}
            params["media"] = InputMediaPhoto(**media)
        upload = payload.get("upload")
        if upload is not None:
            content = BytesIO(base64.b64decode(upload["base64"]))
            params[upload["field"]] = InputFile(content, filename=upload["name"])
        result = await self._methods[payload["method"]](**params)
        if isinstance(result, Message):
            return str(result.message_id)
        return str(params.get("message_id", ""))


def send_error(error: TelegramError) -> SendError:
    """Give what may be done about an error that is not the message's fault."""
    match error:
        case RetryAfter():
            return FloodError(seconds_of(error))
        case Forbidden():
            return UnreachableError(error.message)
        case ChatMigrated():
            return MovedError(str(error.new_chat_id))
        case BadRequest():
            return _refusal(error)
        case InvalidToken():
            # Polling ends the program with a clear message; until then nothing is lost.
            return NotSentError("the token was refused")
        case NetworkError() if isinstance(error.__cause__, _NOT_SENT_CAUSES):
            return NotSentError(type(error.__cause__).__name__)
        case _:
            return UnclearError(type(error).__name__)


def seconds_of(error: RetryAfter) -> float:
    """Give the seconds to wait, whichever type the library is set to use."""
    wait = error.retry_after
    return wait.total_seconds() if isinstance(wait, timedelta) else float(wait)


def _refusal(error: BadRequest) -> SendError:
    if _says(error, _UNREACHABLE):
        return UnreachableError(error.message)
    return RefusedError(error.message)


def _simpler(payload: Json, error: BadRequest) -> Json | None:
    """Give the next simpler form of a message that was refused; None when there is none."""
    method, params = payload["method"], payload["params"]
    if method.startswith("edit") and _says(error, _CANNOT_EDIT):
        return _anew(payload)
    if method in ("sendPhoto", "editMessageMedia") and _says(error, _BAD_PICTURE):
        return _without_picture(payload)
    if "parse_mode" in params and _says(error, _CANNOT_PARSE):
        logger.error("Telegram could not read our HTML; sent as plain text")
        return _plain(payload)
    if "reply_markup" in params and _says(error, _BAD_BUTTON):
        logger.error("Telegram refused our buttons; sent without them")
        return payload | {"params": {k: v for k, v in params.items() if k != "reply_markup"}}
    if "reply_parameters" in params and _says(error, ("replied",)):
        return payload | {"params": {k: v for k, v in params.items() if k != "reply_parameters"}}
    return None


def _anew(payload: Json) -> Json | None:
    text = payload.get("plain", "")
    if not text:
        return None
    old = payload["params"]
    shown = old.get("text") or old.get("caption") or (old.get("media") or {}).get("caption")
    return _as_message(payload, shown or text, is_html=bool(shown))


def _without_picture(payload: Json) -> Json | None:
    params = payload["params"]
    caption = params.get("caption") or (params.get("media") or {}).get("caption")
    text = caption or payload.get("plain", "")
    if not text:
        return None
    if payload["method"] == "editMessageMedia":
        # The old picture would stay beside the new words.
        return _as_message(payload, text, is_html=bool(caption))
    return _as_message(payload, text, is_html=bool(caption))


def _as_message(payload: Json, text: str, *, is_html: bool) -> Json:
    kept = ("chat_id", "reply_markup", "message_thread_id", "reply_parameters")
    params = {k: v for k, v in payload["params"].items() if k in kept} | {"text": text}
    if is_html:
        params["parse_mode"] = "HTML"
    rest = {k: v for k, v in payload.items() if k not in ("upload", "params")}
    return rest | {"method": "sendMessage", "params": params}


def _plain(payload: Json) -> Json:
    params = {k: v for k, v in payload["params"].items() if k != "parse_mode"}
    for name in ("text", "caption"):
        if name in params:
            params[name] = payload.get("plain", "")
    return payload | {"params": params}


def _says(error: TelegramError, marks: tuple[str, ...]) -> bool:
    return any(mark in error.message.lower() for mark in marks)
