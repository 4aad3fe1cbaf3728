"""The next simpler form of a message that Telegram refused: never an answer lost for its looks."""

from __future__ import annotations

import logging
from typing import Any

from telegram.error import BadRequest, TelegramError

from bot.telegram_pictures import rows_of

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
BAD_PICTURE = (
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
_NO_PICTURE = (
    "not enough rights to send",
    "have no rights to send",
    "chat_send_photos_forbidden",
    "chat_send_media_forbidden",
    "caption is too long",
    "media_caption_too_long",
)
"""The chat takes words, but not this picture with its words."""
_BAD_BUTTON = ("button", "keyboard", "reply markup", "url host")


def simpler_form(payload: Json, error: BadRequest) -> Json | None:
    """Give the next simpler form of a message that was refused; None when there is none."""
    method, params = payload["method"], payload["params"]
    if method.startswith("edit") and says(error, _CANNOT_EDIT):
        return _anew(payload)
    if method in ("sendPhoto", "editMessageMedia") and says(error, BAD_PICTURE + _NO_PICTURE):
        return without_picture(payload)
    if _has_html(params) and says(error, _CANNOT_PARSE):
        logger.error("Telegram could not read our HTML; sent as plain text")
        return _plain(payload)
    if "reply_markup" in params and says(error, _BAD_BUTTON):
        logger.error("Telegram refused our buttons; sent without them")
        return payload | {"params": {k: v for k, v in params.items() if k != "reply_markup"}}
    if "reply_parameters" in params and says(error, ("replied",)):
        return payload | {"params": {k: v for k, v in params.items() if k != "reply_parameters"}}
    return None


def without_picture(payload: Json) -> Json | None:
    """Give the words alone; an edit gets the plain banner, lest the old picture stays beside them."""
    params = payload["params"]
    if payload["method"] == "editMessageMedia" and payload.get("draw") != []:
        media = {k: v for k, v in params["media"].items() if k != "media"}
        kept = {k: v for k, v in payload.items() if k != "upload"}
        return kept | {"params": params | {"media": media}, "draw": rows_of(())}
    caption = params.get("caption") or (params.get("media") or {}).get("caption")
    text = caption or payload.get("plain", "")
    return _as_message(payload, text, is_html=bool(caption)) if text else None


def says(error: TelegramError, marks: tuple[str, ...]) -> bool:
    """Tell whether a refusal has one of these marks in its words."""
    return any(mark in error.message.lower() for mark in marks)


def _anew(payload: Json) -> Json | None:
    text = payload.get("plain", "")
    if not text:
        return None
    old = payload["params"]
    shown = old.get("text") or old.get("caption") or (old.get("media") or {}).get("caption")
    if payload.get("draw"):
        kept = {k: v for k, v in old.items() if k not in ("message_id", "media")}
        words = {k: v for k, v in old["media"].items() if k in ("caption", "parse_mode")}
        return payload | {"method": "sendPhoto", "params": kept | words}
    return _as_message(payload, shown or text, is_html=bool(shown))


def _as_message(payload: Json, text: str, *, is_html: bool) -> Json:
    kept = ("chat_id", "reply_markup", "message_thread_id", "reply_parameters")
    params = {k: v for k, v in payload["params"].items() if k in kept} | {"text": text}
    if is_html:
        params["parse_mode"] = "HTML"
    rest = {k: v for k, v in payload.items() if k not in ("upload", "draw", "params")}
    return rest | {"method": "sendMessage", "params": params}


def _plain(payload: Json) -> Json:
    params = {k: v for k, v in payload["params"].items() if k != "parse_mode"}
    for name in ("text", "caption"):
        if name in params:
            params[name] = payload.get("plain", "")
    if "media" in params:
        media = {k: v for k, v in params["media"].items() if k != "parse_mode"}
        params["media"] = media | {"caption": payload.get("plain", "")}
    return payload | {"params": params}


def _has_html(params: Json) -> bool:
    return "parse_mode" in params or "parse_mode" in (params.get("media") or {})
