"""Payloads -> python-telegram-bot, and its errors -> what may be done about them."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections import OrderedDict
from datetime import timedelta
from typing import Any

from telegram import Bot, InputFile
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

from bot.send_errors import (
    FloodError,
    MovedError,
    NotSentError,
    RefusedError,
    SendError,
    UnclearError,
    UnreachableError,
)
from bot.telegram_http import NOT_SENT
from bot.telegram_pictures import Pictures, UndrawnError, cards_of
from bot.telegram_simpler import BAD_PICTURE, says, simpler_form, without_picture

logger = logging.getLogger(__name__)

Json = dict[str, Any]
UPLOAD_SECONDS = 20.0

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
_CALLBACK_OVER = ("query is too old", "query id is invalid", "query_id_invalid")


def _fields(params: Json, *files: RequestParameter) -> RequestData:
    """Give parameters as they go over the wire: strings as they are, the rest as JSON."""
    plain = [RequestParameter(name, value, None) for name, value in params.items()]
    return RequestData([*(one for one in plain if one.value is not None), *files])


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
            if not says(error, _CALLBACK_OVER):
                raise RefusedError(error.message) from error
        except TelegramError as error:
            raise send_error(error) from error


class TelegramTransport:
    """Sends payloads; a message that Telegram cannot take as it is goes out in a simpler form."""

    def __init__(
        self, bot: Bot, callbacks: CallbackAnswers, pictures: Pictures | None = None
    ) -> None:
        self._callbacks = callbacks
        self._bot = bot
        self._pictures = pictures or Pictures()

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
            except UndrawnError as error:
                logger.error("a picture could not be drawn: %s", error)
                simpler = without_picture(payload)
                if simpler is None:
                    raise RefusedError(str(error)) from error
                payload = simpler
            except BadRequest as error:
                if says(error, ("message is not modified",)):
                    return str(payload["params"].get("message_id", ""))
                simpler = simpler_form(payload, error)
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
        if "draw" in payload:
            return _message_id(await self._call_drawn(payload), payload)
        upload = payload.get("upload")
        if upload is None:
            return _message_id(await self._post(payload["method"], payload["params"]), payload)
        content = base64.b64decode(upload["base64"])
        return _message_id(
            await self._post_file(payload, upload["field"], upload["name"], content), payload
        )

    async def _call_drawn(self, payload: Json) -> Any:
        """Send cards by Telegram's id of their picture, else draw and upload them."""
        cards = cards_of(payload["draw"])
        file_id = self._pictures.known(cards)
        if file_id:
            try:
                return await self._post(payload["method"], _with_photo(payload, file_id))
            except BadRequest as error:
                if not says(error, BAD_PICTURE):
                    raise
                self._pictures.forget(cards)
        content = await self._pictures.drawn(cards)
        field = "media" if "media" in payload["params"] else "photo"
        message = await self._post_file(payload, field, "picture.png", content)
        if isinstance(message, dict) and message.get("photo"):
            self._pictures.remember(cards, str(message["photo"][-1]["file_id"]))
        return message

    async def _post(self, method: str, params: Json) -> Any:
        # What we made is what Telegram reads; building the library's objects from it, and others
        # from the answer, would cost more than everything else that we do for a message.
        return await self._bot.request.post(
            f"{self._bot.base_url}/{method}", request_data=_fields(params)
        )

    async def _post_file(self, payload: Json, field: str, name: str, content: bytes) -> Any:
        params = dict(payload["params"])
        file = InputFile(content, filename=name, attach=field == "media")
        value = params.pop(field, None)
        if field == "media":
            value = {**value, "media": file.attach_uri}
        return await self._bot.request.post(
            f"{self._bot.base_url}/{payload['method']}",
            request_data=_fields(params, RequestParameter(field, value, [file])),
            write_timeout=UPLOAD_SECONDS,
        )


def _with_photo(payload: Json, file_id: str) -> Json:
    params: Json = payload["params"]
    if "media" in params:
        return params | {"media": params["media"] | {"media": file_id}}
    return params | {"photo": file_id}


def _message_id(result: Any, payload: Json) -> str:
    """The library types a result as an object; on the wire it may be the message or true."""
    number = result.get("message_id") if isinstance(result, dict) else None
    return str(number or payload["params"].get("message_id", ""))


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
        case NetworkError() if isinstance(error.__cause__, NOT_SENT):
            return NotSentError(type(error.__cause__).__name__)
        case _:
            return UnclearError(type(error).__name__)


def seconds_of(error: RetryAfter) -> float:
    """Give the seconds to wait, whichever type the library is set to use."""
    wait = error.retry_after
    return wait.total_seconds() if isinstance(wait, timedelta) else float(wait)


def _refusal(error: BadRequest) -> SendError:
    if says(error, _UNREACHABLE):
        return UnreachableError(error.message)
    return RefusedError(error.message)
