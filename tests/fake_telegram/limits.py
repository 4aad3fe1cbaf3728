"""Telegram's limits on what a bot may send, each with the refusal that Telegram gives.

Pure: nothing here knows state, time or transport. Where Telegram's exact wording is not public,
the sentence is the closest known one; bots must not depend on it.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from tests.fake_telegram.entities import Entity, parse, utf16_length
from tests.fake_telegram.refusal import RefusalError, bad_request

TEXT_UNITS = 4096
RAW_TEXT_BYTES = 32 * 1024
CAPTION_UNITS = 1024
CALLBACK_DATA_BYTES = 64
INLINE_BUTTONS = 100
CALLBACK_ANSWER_UNITS = 200
PHOTO_BYTES = 10 * 1024 * 1024
UPLOAD_BYTES = 50 * 1024 * 1024
DOWNLOAD_BYTES = 20 * 1024 * 1024
_REACTIONS = (
    "👍 👎 ❤ 🔥 🥰 👏 😁 🤔 🤯 😱 🤬 😢 🎉 🤩 🤮 💩 🙏 👌 🕊 🤡 🥱 🥴 😍 🐳 ❤‍🔥 "
    "🌚 🌭 💯 🤣 ⚡ 🍌 🏆 💔 🤨 😐 🍓 🍾 💋 🖕 😈 😴 😭 🤓 👻 👨‍💻 👀 🎃 🙈 😇 😨 "
    "🤝 ✍ 🤗 🫡 🎅 🎄 ☃ 💅 🤪 🗿 🆒 💘 🙉 🦄 😘 💊 🙊 😎 👾 🤷‍♂ 🤷 🤷‍♀ 😡 "
)
REACTIONS = frozenset(_REACTIONS.split())
CHAT_ACTIONS = frozenset(
    {
        "typing",
        "upload_photo",
        "record_video",
        "upload_video",
        "record_voice",
        "upload_voice",
        "upload_document",
        "choose_sticker",
        "find_location",
        "record_video_note",
        "upload_video_note",
    }
)
_BUTTON_ACTIONS = (
    "url",
    "callback_data",
    "web_app",
    "login_url",
    "switch_inline_query",
    "switch_inline_query_current_chat",
    "switch_inline_query_chosen_chat",
    "copy_text",
    "callback_game",
    "pay",
)


def message_text(
    text: Any, parse_mode: str | None, entities: list[Entity], *, too_long: str
) -> tuple[str, list[Entity]]:
    """Return the text that people will see: 1-4096 UTF-16 units after parsing.

    Args:
        text: What the bot sent.
        parse_mode: HTML, MarkdownV2 or nothing.
        entities: Explicit entities, used without a parse mode.
        too_long: The wording for a long text; sending and editing differ.
    """
    if not isinstance(text, str) or not text:
        raise bad_request("message text is empty")
    if len(text.encode()) > RAW_TEXT_BYTES:
        raise bad_request(too_long)
    plain, found = parse(text, parse_mode, entities)
    if not plain:
        raise bad_request("text must be non-empty")
    if utf16_length(plain) > TEXT_UNITS:
        raise bad_request(too_long)
    return plain, found


def caption_text(
    text: Any, parse_mode: str | None, entities: list[Entity]
) -> tuple[str, list[Entity]]:
    """Return the caption that people will see: 0-1024 UTF-16 units after parsing."""
    plain, found = parse(str(text or ""), parse_mode, entities)
    if utf16_length(plain) > CAPTION_UNITS:
        raise bad_request("message caption is too long")
    return plain, found


def reply_markup(markup: Any, chat_type: str) -> dict[str, Any] | None:
    """Return the markup if Telegram would accept it in this type of chat."""
    if markup is None or markup == "":
        return None
    if not isinstance(markup, dict):
        raise bad_request("object expected as reply markup")
    if "inline_keyboard" in markup:
        _inline_keyboard(markup["inline_keyboard"], chat_type)
    elif "keyboard" in markup:
        _reply_keyboard(markup, chat_type)
    elif not (markup.get("remove_keyboard") is True or markup.get("force_reply") is True):
        raise bad_request("object expected as reply markup")
    return markup


def _rows(rows: Any) -> list[list[Any]]:
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise bad_request("can't parse reply keyboard markup: Field must be an Array of Arrays")
    return rows


def _inline_keyboard(rows: Any, chat_type: str) -> None:
    buttons = [button for row in _rows(rows) for button in row]
    if len(buttons) > INLINE_BUTTONS:
        raise bad_request("reply markup is too long")
    for button in buttons:
        _inline_button(button, chat_type)


def _inline_button(button: Any, chat_type: str) -> None:
    problem = "can't parse inline keyboard button: "
    if not isinstance(button, dict):
        raise bad_request(problem + "InlineKeyboardButton must be an Object")
    if not isinstance(button.get("text"), str):
        raise bad_request(problem + 'Can\'t find field "text"')
    if not button["text"].strip():
        raise bad_request("inline keyboard button text must be non-empty")
    actions = [name for name in _BUTTON_ACTIONS if name in button]
    if not actions:
        raise bad_request(problem + "Text buttons are unallowed in the inline keyboard")
    if len(actions) > 1:
        raise bad_request(problem + f"exactly one action is expected, found {', '.join(actions)}")
    match actions[0]:
        case "callback_data":
            payload = button["callback_data"]
            if not isinstance(payload, str) or not 1 <= len(payload.encode()) <= (
                CALLBACK_DATA_BYTES
            ):
                raise bad_request("BUTTON_DATA_INVALID")
        case "url":
            _button_url(button["url"])
        case "web_app":
            _web_app(button["web_app"], chat_type, "inline keyboard button")


def _button_url(url: Any) -> None:
    parts = urlsplit(str(url))
    if parts.scheme not in ("http", "https", "tg", "ton") or not (parts.netloc or parts.path):
        raise bad_request(f"inline keyboard button URL '{url}' is invalid: Wrong HTTP URL")
    if parts.scheme in ("http", "https") and "." not in (parts.hostname or ""):
        # Telegram refuses addresses such as http://localhost/ in buttons.
        raise bad_request(f"inline keyboard button URL '{url}' is invalid: Wrong HTTP URL")


def _web_app(web_app: Any, chat_type: str, where: str) -> None:
    url = web_app.get("url", "") if isinstance(web_app, dict) else ""
    if urlsplit(url).scheme != "https":
        raise bad_request(f"{where} Web App URL '{url}' is invalid: Only HTTPS links are allowed")
    if chat_type != "private":
        raise bad_request("BUTTON_TYPE_INVALID")


def _reply_keyboard(markup: dict[str, Any], chat_type: str) -> None:
    rows = _rows(markup["keyboard"])
    if not any(rows):
        raise bad_request("reply keyboard must be non-empty")
    for button in (button for row in rows for button in row):
        described = {"text": button} if isinstance(button, str) else button
        if not str(described.get("text", "")).strip():
            raise bad_request("keyboard button text must be non-empty")
        if "web_app" in described:
            _web_app(described["web_app"], chat_type, "keyboard button")
    if len(markup.get("input_field_placeholder", "")) > 64:
        raise bad_request("input field placeholder is too long")


def bot_commands(commands: Any) -> list[dict[str, str]]:
    """Return the command list if each name is [a-z0-9_]{1,32} and described in 1-256 units."""
    if not isinstance(commands, list):
        raise bad_request("expected an Array of BotCommand")
    if len(commands) > 100:
        raise bad_request("BOT_COMMANDS_TOO_MUCH")
    for command in commands:
        if not re.fullmatch(r"[a-z0-9_]{1,32}", str(command.get("command", ""))):
            raise bad_request("BOT_COMMAND_INVALID")
        if not 1 <= utf16_length(str(command.get("description", "")).strip()) <= 256:
            raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
    return commands


def bounded(value: Any, most: int, refusal: str) -> str:
    """Return text of at most `most` UTF-16 units."""
    text = str(value or "")
    if utf16_length(text) > most:
        raise bad_request(refusal)
    return text


def photo(content: bytes) -> None:
    """Check an uploaded picture: format, size in bytes, and the sides of a PNG."""
    if not content:
        raise bad_request("file must be non-empty")
    if len(content) > PHOTO_BYTES:
        raise bad_request(
            f"file of size {len(content)} bytes is too big for a photo; "
            f"the maximum size is {PHOTO_BYTES} bytes"
        )
    if not content.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"RIFF")):
        raise bad_request("IMAGE_PROCESS_FAILED")
    if (found := sides(content)) is not None:
        width, height = found
        shorter, longer = sorted(found)
        if not shorter or width + height > 10_000 or longer / shorter > 20:
            raise bad_request("PHOTO_INVALID_DIMENSIONS")


def sides(content: bytes) -> tuple[int, int] | None:
    """Give width and height of a PNG; None for other files."""
    if not content.startswith(b"\x89PNG"):
        return None
    return int.from_bytes(content[16:20]), int.from_bytes(content[20:24])


def upload(content: bytes) -> None:
    """Check any other uploaded file."""
    if not content:
        raise bad_request("file must be non-empty")
    if len(content) > UPLOAD_BYTES:
        raise RefusalError(413, "Request Entity Too Large")


def webhook(url: str, secret: str) -> None:
    """Check a webhook. Plain http is for loopback only, which Telegram itself never calls."""
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost"):
        raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
    if parts.scheme == "https" and (parts.port or 443) not in (443, 80, 88, 8443):
        raise bad_request("bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443")
    if secret and not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", secret):
        raise bad_request("secret token contains unallowed characters")


def invoice(parameters: dict[str, Any]) -> None:
    """Check the words, the payload and the prices of an invoice."""
    if not 1 <= utf16_length(str(parameters.get("title", ""))) <= 32:
        raise bad_request("INVOICE_TITLE_INVALID")
    if not 1 <= utf16_length(str(parameters.get("description", ""))) <= 255:
        raise bad_request("INVOICE_DESCRIPTION_INVALID")
    if not 1 <= len(str(parameters.get("payload", "")).encode()) <= 128:
        raise bad_request("INVOICE_PAYLOAD_INVALID")
    prices = parameters.get("prices")
    if not isinstance(prices, list) or not prices:
        raise bad_request("there must be at least one price")
    currency = str(parameters.get("currency", ""))
    if not re.fullmatch(r"[A-Z]{3}", currency):
        raise bad_request("CURRENCY_INVALID")
    if currency == "XTR" and len(prices) != 1:
        raise bad_request("STARS_INVOICE_INVALID")
    if currency != "XTR" and not parameters.get("provider_token"):
        raise bad_request("PAYMENT_PROVIDER_INVALID")
