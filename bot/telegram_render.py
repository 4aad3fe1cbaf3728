"""Reply -> payloads of the Bot API as plain JSON.

A payload is stored in the outbox, so it must say everything: method, parameters, files, what a
picture shows, which items are in it, and what to send instead when the last check stops it.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bot.messages import CAPTION_UNITS, Button, Document, Picture, Reply, Span, cut, units
from bot.telegram_pictures import rows_of
from bot.telegram_text import html_of, length_of, parted, split, stripped, text_of

logger = logging.getLogger(__name__)

MAX_BUTTONS = 100
MAX_ROW = 8
LABEL_UNITS = 64
NOTICE_UNITS = 200
PHOTO_BYTES = 10 * 1024 * 1024
FILE_BYTES = 50 * 1024 * 1024

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an answer goes."""

    chat_id: int
    thread_id: int | None = None
    reply_to: int | None = None
    """In groups: the message that is answered."""
    pressed_id: int | None = None
    """The message whose button was pressed, when it can be edited."""
    pressed_has_media: bool = False


def render(reply: Reply, place: Place) -> list[Json]:
    """Give the payloads of a reply, in order; the buttons stand on the last one.

    A reply that has nothing but a notice gives none.
    """
    messages = [*_edited(reply, place)] if reply.is_edit and place.pressed_id else []
    if not messages:
        messages = [*_sent(reply, place)]
    keyboard = _keyboard(reply.buttons)
    if messages and keyboard:
        messages[-1]["params"]["reply_markup"] = {"inline_keyboard": keyboard}
    for message in messages:
        message["item_ids"] = list(reply.item_ids)
    return messages


def render_all(replies: Sequence[Reply], place: Place) -> list[tuple[Reply, list[Json]]]:
    """Render the replies of one turn: only the first edit may take the pressed message's place."""
    rendered = []
    for reply in replies:
        payloads = render(reply, place)
        if reply.is_edit and payloads:
            place = replace(place, pressed_id=None)
        rendered.append((reply, payloads))
    return rendered


def render_callback(callback_id: str, notice: str, place: Place, *, is_alone: bool) -> Json:
    """Give the answer to a press; `is_alone` when the notice is all that the person gets."""
    return {
        "method": "answerCallbackQuery",
        "params": {
            "callback_query_id": callback_id,
            **({"text": cut(notice, NOTICE_UNITS)} if notice else {}),
        },
        "late": text_payload(notice, place) if notice and is_alone else None,
    }


def text_payload(text: str, place: Place) -> Json:
    """Give a plain message."""
    return _message((Span(text),), place)


def _sent(reply: Reply, place: Place) -> Iterable[Json]:
    spans = stripped(reply.spans)
    is_caption = bool(spans) and units(reply.text.strip()) <= CAPTION_UNITS
    if reply.document is not None and len(reply.document.content) <= FILE_BYTES:
        yield _file(reply.document, spans if is_caption else (), place)
        if spans and not is_caption:
            yield from _texts(spans, place)
    elif reply.picture is not None and reply.picture.cards:
        # Cards only repeat the words, so they come in the same message or not at all.
        words = stripped(reply.picture.caption) or spans
        if words and length_of(words) <= CAPTION_UNITS:
            message = _message((), place, method="sendPhoto")
            message["draw"] = rows_of(reply.picture.cards)
            _caption(message, words)
            yield message
        else:
            yield from _texts(spans, place)
    elif (photo := _photo(reply.picture)) is not None:
        message = _message((), place, method="sendPhoto")
        message["params"] |= photo.get("params", {})
        if "upload" in photo:
            message["upload"] = photo["upload"]
        _caption(message, spans if is_caption else ())
        if not is_caption and reply.picture is not None:
            _caption(message, (Span(cut(reply.picture.alternative, CAPTION_UNITS)),))
        yield message
        if spans and not is_caption:
            yield from _texts(spans, place)
    else:
        yield from _texts(spans, place)


def _texts(spans: Sequence[Span], place: Place) -> Iterable[Json]:
    for n, piece in enumerate(split(spans)):
        yield _message(piece, place if n == 0 else replace(place, reply_to=None))


def _edited(reply: Reply, place: Place) -> Iterable[Json]:
    """Give the edit and what does not fit into it; nothing when only a new message will do."""
    spans = stripped(reply.spans)
    if reply.document is not None or not spans:
        return
    if not place.pressed_has_media:
        first, *more = split(spans)
        edit = _message(first, place, method="editMessageText")
        edit["params"]["message_id"] = place.pressed_id
        yield edit
        for piece in more:
            yield _message(piece, replace(place, reply_to=None))
        return
    words = stripped(reply.picture.caption if reply.picture is not None else ()) or spans
    first, rest = parted(words, CAPTION_UNITS)
    edit = _media_edit(reply.picture, first, place)
    edit["params"]["message_id"] = place.pressed_id
    yield edit
    yield from _texts(rest, replace(place, reply_to=None))


def _media_edit(picture: Picture | None, words: Sequence[Span], place: Place) -> Json:
    """Change picture and words of a message that has a picture, and can never lose it again.

    The old picture may show what does not hold any more; without a new one a plain banner stands.
    """
    edit = _message((), place, method="editMessageMedia")
    photo = _photo(picture) or {"draw": rows_of(picture.cards if picture is not None else ())}
    media: Json = {"type": "photo", "caption": html_of(words), "parse_mode": "HTML"}
    if "params" in photo:
        media["media"] = photo["params"]["photo"]
    edit["params"]["media"] = media
    for part in ("upload", "draw"):
        if part in photo:
            edit[part] = photo[part]
    if "upload" in edit:
        edit["upload"] |= {"field": "media"}
    edit["plain"] = text_of(words)
    return edit


def withheld_edit(text: str, place: Place) -> Json:
    """Give the edit that takes items and their picture off a message with a picture."""
    edit = _media_edit(None, (Span(text),), place)
    edit["params"]["message_id"] = place.pressed_id
    return edit


def _message(spans: Sequence[Span], place: Place, *, method: str = "sendMessage") -> Json:
    params: Json = {"chat_id": place.chat_id}
    if not method.startswith("edit"):
        if place.thread_id is not None:
            params["message_thread_id"] = place.thread_id
        if place.reply_to is not None:
            params["reply_parameters"] = {
                "message_id": place.reply_to,
                "allow_sending_without_reply": True,
            }
    message: Json = {"method": method, "params": params}
    if method in ("sendMessage", "editMessageText"):
        params |= {
            "text": html_of(spans),
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": True},
        }
        message["plain"] = text_of(spans)
    return message


def _caption(message: Json, spans: Sequence[Span]) -> None:
    if spans:
        message["params"] |= {"caption": html_of(spans), "parse_mode": "HTML"}
    message["plain"] = text_of(spans)


def _photo(picture: Picture | None) -> Json | None:
    if picture is None:
        return None
    if picture.content:
        if len(picture.content) > PHOTO_BYTES:
            return None
        return {"upload": _upload("photo", "picture.png", picture.content)}
    if picture.url.startswith(("https://", "http://")):
        return {"params": {"photo": picture.url}}
    return None


def _file(document: Document, spans: Sequence[Span], place: Place) -> Json:
    message = _message((), place, method="sendDocument")
    message["upload"] = _upload("document", document.file_name, document.content)
    _caption(message, spans)
    return message


def _upload(field: str, name: str, content: bytes) -> Json:
    return {"field": field, "name": name, "base64": base64.b64encode(content).decode("ascii")}


def _keyboard(rows: Sequence[Sequence[Button]]) -> list[list[Json]]:
    keyboard: list[list[Json]] = []
    n_buttons = 0
    for row in rows:
        shown = [json for button in row if (json := _button(button)) is not None]
        shown = shown[: MAX_BUTTONS - n_buttons]
        n_buttons += len(shown)
        keyboard += [shown[at : at + MAX_ROW] for at in range(0, len(shown), MAX_ROW)]
    return keyboard


def _button(button: Button) -> Json | None:
    """Give the button, or None when Telegram would refuse the whole message because of it."""
    label = cut(button.label.strip(), LABEL_UNITS)
    if label and button.url.startswith(("https://", "http://", "tg://")):
        return {"text": label, "url": button.url}
    if label and not button.url and 1 <= len(button.payload.encode()) <= 64:
        return {"text": label, "callback_data": button.payload}
    logger.error("a button without label or usable action was left out")
    return None
