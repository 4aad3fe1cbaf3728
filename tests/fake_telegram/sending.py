"""The methods that put messages into chats, change them, and answer presses."""

from __future__ import annotations

import time
from typing import Any

from tests.fake_telegram import limits
from tests.fake_telegram.parameters import Parameters, Upload
from tests.fake_telegram.refusal import RefusalError, bad_request
from tests.fake_telegram.state import Chat, Json, State

NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same "
    "as a current content and reply markup of the message"
)
QUERY_TOO_OLD = "query is too old and response timeout expired or query ID is invalid"


def send_message(state: State, sent: Parameters) -> Json:
    chat = state.writable_chat(sent.text("chat_id"))
    text, entities = limits.message_text(
        sent.text("text"),
        sent.text("parse_mode"),
        sent.entities("entities"),
        too_long="message is too long",
    )
    content: Json = {"text": text}
    if entities:
        content["entities"] = entities
    return _post(state, chat, sent, content)


def send_photo(state: State, sent: Parameters) -> Json:
    chat = state.writable_chat(sent.text("chat_id"))
    content = {"photo": _photo(state, sent, "photo")} | _caption(sent)
    return _post(state, chat, sent, content)


def send_document(state: State, sent: Parameters) -> Json:
    chat = state.writable_chat(sent.text("chat_id"))
    content = {"document": _document(state, sent, "document")} | _caption(sent)
    return _post(state, chat, sent, content)


def send_media_group(state: State, sent: Parameters) -> list[Json]:
    chat = state.writable_chat(sent.text("chat_id"))
    album = sent.structure("media")
    if not isinstance(album, list) or not album:
        raise bad_request("there are no messages to send")
    if len(album) < 2:
        raise bad_request("there must be at least 2 messages to send as an album")
    if len(album) > 10:
        raise bad_request("there are too many messages to send as an album")
    kinds = {str(media.get("type")) for media in album}
    for alone in ("document", "audio"):
        if alone in kinds and len(kinds) > 1:
            raise bad_request(f"{alone.title()} can't be mixed with other media types")
    if not kinds <= {"photo", "document"}:
        raise bad_request(f"the fake knows no media of type {sorted(kinds)}")
    contents = [_media(state, sent, media) for media in album]
    group_id = str(state.number())
    return [_post(state, chat, sent, c | {"media_group_id": group_id}) for c in contents]


def send_chat_action(state: State, sent: Parameters) -> bool:
    state.writable_chat(sent.text("chat_id"))
    if sent.text("action") not in limits.CHAT_ACTIONS:
        raise bad_request("wrong parameter action in request")
    return True


def send_invoice(state: State, sent: Parameters) -> Json:
    chat = state.writable_chat(sent.text("chat_id"))
    prices = sent.structure("prices")
    limits.invoice(sent.values | {"prices": prices})
    invoice = {
        "title": sent.text("title"),
        "description": sent.text("description"),
        "start_parameter": sent.text("start_parameter") or "",
        "currency": sent.text("currency"),
        "total_amount": sum(int(price["amount"]) for price in prices),
    }
    return _post(state, chat, sent, {"invoice": invoice})


def edit_message_text(state: State, sent: Parameters) -> Json:
    chat, message = _edited(state, sent)
    if "text" not in message:
        raise bad_request("there is no text in the message to edit")
    text, entities = limits.message_text(
        sent.text("text"),
        sent.text("parse_mode"),
        sent.entities("entities"),
        too_long="MESSAGE_TOO_LONG",
    )
    return _change(state, chat, message, sent, {"text": text, "entities": entities})


def edit_message_caption(state: State, sent: Parameters) -> Json:
    chat, message = _edited(state, sent)
    if "photo" not in message and "document" not in message:
        raise bad_request("there is no caption in the message to edit")
    caption = {"caption": "", "caption_entities": []} | _caption(sent)
    return _change(state, chat, message, sent, caption)


def edit_message_media(state: State, sent: Parameters) -> Json:
    chat, message = _edited(state, sent)
    media = sent.structure("media")
    if not isinstance(media, dict):
        raise bad_request("can't parse InputMedia")
    blank = {"text": "", "entities": [], "caption": "", "caption_entities": []}
    fresh = blank | {"photo": None, "document": None} | _media(state, sent, media)
    return _change(state, chat, message, sent, fresh)


def edit_message_reply_markup(state: State, sent: Parameters) -> Json:
    chat, message = _edited(state, sent)
    return _change(state, chat, message, sent, {})


def delete_message(state: State, sent: Parameters) -> bool:
    chat = state.chat(sent.text("chat_id"))
    if chat.messages.pop(sent.integer("message_id"), None) is None:
        raise bad_request("message to delete not found")
    return True


def delete_messages(state: State, sent: Parameters) -> bool:
    chat = state.chat(sent.text("chat_id"))
    numbers = sent.structure("message_ids")
    if not isinstance(numbers, list) or not 1 <= len(numbers) <= 100:
        raise bad_request("message identifiers are not specified")
    for number in numbers:
        chat.messages.pop(int(number), None)
    return True


def answer_callback_query(state: State, sent: Parameters) -> bool:
    limits.bounded(sent.text("text"), limits.CALLBACK_ANSWER_UNITS, "MESSAGE_TOO_LONG")
    callback = state.callbacks.get(sent.text("callback_query_id") or "")
    if callback is None or callback.is_expired or callback.answered_at is not None:
        raise bad_request(QUERY_TOO_OLD)
    callback.answered_at = state.clock()
    callback.answer = sent.recorded()
    state.latencies.append(callback.answered_at - callback.pressed_at)
    return True


def set_message_reaction(state: State, sent: Parameters) -> bool:
    chat = state.writable_chat(sent.text("chat_id"))
    number = sent.integer("message_id")
    if number not in chat.messages:
        raise bad_request("message to react not found")
    reaction = sent.structure("reaction") or []
    for one in reaction:
        # Telegram ignores the selector that asks for a coloured picture.
        emoji = str(one.get("emoji")).replace("\ufe0f", "")
        if one.get("type") != "emoji" or emoji not in limits.REACTIONS:
            raise bad_request("REACTION_INVALID")
    if len(reaction) > 1:
        raise bad_request("REACTIONS_TOO_MANY")
    state.reactions[chat.id, number] = reaction
    if state.keep_messages is not None and len(state.reactions) > 10_000:
        state.reactions.pop(next(iter(state.reactions)))
    return True


def _post(state: State, chat: Chat, sent: Parameters, content: Json) -> Json:
    markup = limits.reply_markup(sent.structure("reply_markup"), chat.type)
    if markup and "inline_keyboard" in markup:
        content = content | {"reply_markup": markup}
    reply = sent.structure("reply_parameters") or {}
    replied_to = reply.get("message_id") or sent.integer("reply_to_message_id")
    if replied_to:
        original = chat.messages.get(int(replied_to))
        if original is not None:
            content = content | {"reply_to_message": _without_reply(original)}
        elif not (
            reply.get("allow_sending_without_reply") or sent.flag("allow_sending_without_reply")
        ):
            raise bad_request("message to be replied not found")
    message = state.add_message(chat, state.bot, content)
    state.note_answer(chat.id)
    return message


def _edited(state: State, sent: Parameters) -> tuple[Chat, Json]:
    if sent.text("inline_message_id"):
        raise bad_request("MESSAGE_ID_INVALID")
    chat = state.writable_chat(sent.text("chat_id"))
    return chat, state.own_message(chat, sent.text("message_id"), "message to edit not found")


def _change(state: State, chat: Chat, message: Json, sent: Parameters, fresh: Json) -> Json:
    markup = limits.reply_markup(sent.structure("reply_markup"), chat.type)
    if markup and "inline_keyboard" not in markup:
        raise bad_request("inline keyboard expected")
    # An edit without a keyboard takes the keyboard away; an empty one does the same.
    has_buttons = markup is not None and any(markup["inline_keyboard"])
    wanted = message | fresh | {"reply_markup": markup if has_buttons else None}
    changed = {key: value for key, value in wanted.items() if value not in ("", [], None)}
    if changed == message:
        raise bad_request(NOT_MODIFIED)
    changed["edit_date"] = int(time.time())
    chat.messages[message["message_id"]] = changed
    return changed


def _without_reply(message: Json) -> Json:
    return {key: value for key, value in message.items() if key != "reply_to_message"}


def _caption(sent: Parameters) -> Json:
    caption, entities = limits.caption_text(
        sent.text("caption"), sent.text("parse_mode"), sent.entities("caption_entities")
    )
    return ({"caption": caption} if caption else {}) | (
        {"caption_entities": entities} if entities else {}
    )


def _media(state: State, sent: Parameters, media: Json) -> Json:
    of_media = Parameters(values=media | {"caption_entities": media.get("caption_entities")})
    of_media.uploads = sent.uploads
    if media.get("type") == "photo":
        return {"photo": _photo(state, of_media, "media")} | _caption(of_media)
    if media.get("type") == "document":
        return {"document": _document(state, of_media, "media")} | _caption(of_media)
    raise bad_request(f"the fake knows no media of type {media.get('type')!r}")


def _photo(state: State, sent: Parameters, name: str) -> list[Json]:
    """Give the sizes of a picture, the whole one last; only its id is good for sending again."""
    file_id = _file(state, sent, name, limits.photo)
    stored = state.files[file_id]
    width, height = limits.sides(stored.content) or (640, 480)
    scale = 90 / max(width, height)
    small = {
        "file_id": f"{file_id}s",
        "file_unique_id": f"U{file_id}s",
        "width": max(1, round(width * scale)),
        "height": max(1, round(height * scale)),
        "file_size": 1000,
    }
    whole = {
        "file_id": file_id,
        "file_unique_id": f"U{file_id}",
        "width": width,
        "height": height,
        "file_size": stored.size,
    }
    return [small, whole]


def _document(state: State, sent: Parameters, name: str) -> Json:
    file_id = _file(state, sent, name, limits.upload)
    stored = state.files[file_id]
    return {
        "file_id": file_id,
        "file_unique_id": f"U{file_id}",
        "file_name": stored.name,
        "mime_type": stored.mime,
        "file_size": stored.size,
    }


def _file(state: State, sent: Parameters, name: str, check: Any) -> str:
    value = sent.text(name) or ""
    upload: Upload | None = sent.uploads.get(name)
    if value.startswith("attach://"):
        upload = sent.uploads.get(value.removeprefix("attach://"))
        if upload is None:
            raise bad_request(f"file {value} is missing in the request")
    if upload is not None:
        check(upload.content)
        return state.add_file(upload.name, upload.mime, upload.content)
    if value in state.files:
        return value
    if value.startswith(("http://", "https://")):
        return state.add_file(value.rsplit("/", 1)[-1], "application/octet-stream", b"?")
    if not value:
        raise bad_request(f"there is no {name} in the request")
    raise RefusalError(400, "Bad Request: wrong file identifier/HTTP URL specified")
