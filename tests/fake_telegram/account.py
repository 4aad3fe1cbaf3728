"""The methods about the bot itself: who it is, its menu and words, its webhook, files, chats."""

from __future__ import annotations

from itertools import islice
from urllib.parse import quote

from tests.fake_telegram import limits
from tests.fake_telegram.parameters import Parameters
from tests.fake_telegram.refusal import bad_request
from tests.fake_telegram.state import Json, State, Webhook

_WORDS = {"name": 64, "description": 512, "short_description": 120}
_SCOPES = (
    "default",
    "all_private_chats",
    "all_group_chats",
    "all_chat_administrators",
    "chat",
    "chat_administrators",
    "chat_member",
)


def get_me(state: State, sent: Parameters) -> Json:
    return state.bot.to_json() | {
        "can_join_groups": True,
        "can_read_all_group_messages": False,
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
    }


def log_out(state: State, sent: Parameters) -> bool:
    return True


def close(state: State, sent: Parameters) -> bool:
    return True


def set_webhook(state: State, sent: Parameters) -> bool:
    url = sent.text("url") or ""
    secret = sent.text("secret_token") or ""
    if url:
        limits.webhook(url, secret)
    _note_allowed_updates(state, sent)
    if sent.flag("drop_pending_updates"):
        state.updates.clear()
    state.webhook = Webhook(url=url, secret=secret)
    return True


def delete_webhook(state: State, sent: Parameters) -> bool:
    if sent.flag("drop_pending_updates"):
        state.updates.clear()
    state.webhook = Webhook()
    return True


def get_webhook_info(state: State, sent: Parameters) -> Json:
    webhook = state.webhook
    described: Json = {
        "url": webhook.url,
        "has_custom_certificate": False,
        "pending_update_count": len(state.updates),
    }
    if webhook.last_error:
        described["last_error_message"] = webhook.last_error
        described["last_error_date"] = webhook.last_error_at
    if state.allowed_updates:
        described["allowed_updates"] = state.allowed_updates
    return described


def _note_allowed_updates(state: State, sent: Parameters) -> None:
    # Left out, the list of the call before stays; an empty list means the default.
    allowed = sent.structure("allowed_updates")
    if allowed is not None:
        state.allowed_updates = allowed or None


def take_updates(state: State, sent: Parameters) -> list[Json]:
    """Confirm what lies below the offset and return what is due; never waits."""
    _note_allowed_updates(state, sent)
    offset = sent.integer("offset")
    if offset < 0:
        while len(state.updates) > -offset:
            state.updates.popleft()
    elif offset:
        while state.updates and state.updates[0]["update_id"] < offset:
            state.updates.popleft()
    limit = min(max(sent.integer("limit", 100), 1), 100)
    n_again = min(len(state.repeated), limit // 2 or 1)
    again = [state.repeated.popleft() for _ in range(n_again)]
    due = list(islice(state.updates, limit - n_again))
    if state.updates:
        # A repeat from beyond what is due would make the bot confirm what it never got.
        last = due[-1]["update_id"] if due else state.updates[0]["update_id"] - 1
        again = [update for update in again if update["update_id"] <= last]
    # In order: a repeat of what the bot never took must not overtake what came before it.
    return sorted([*again, *due], key=lambda update: int(update["update_id"]))


def _scope(sent: Parameters) -> tuple[str, int, str]:
    scope = sent.structure("scope") or {"type": "default"}
    kind = scope.get("type") if isinstance(scope, dict) else None
    if kind not in _SCOPES:
        raise bad_request("can't parse BotCommandScope: unsupported type specified")
    language = sent.text("language_code") or ""
    if language and not (len(language) == 2 and language.islower() and language.isascii()):
        raise bad_request("invalid language code specified")
    return kind, int(scope.get("chat_id", 0)), language


def set_my_commands(state: State, sent: Parameters) -> bool:
    scope = _scope(sent)
    if scope[1]:
        state.chat(scope[1])
    state.commands[scope] = limits.bot_commands(sent.structure("commands"))
    return True


def get_my_commands(state: State, sent: Parameters) -> list[Json]:
    return state.commands.get(_scope(sent), [])


def delete_my_commands(state: State, sent: Parameters) -> bool:
    state.commands.pop(_scope(sent), None)
    return True


def _set_words(state: State, sent: Parameters, name: str) -> bool:
    value = limits.bounded(sent.text(name), _WORDS[name], f"bot {name.replace('_', ' ')} too long")
    state.words[name, sent.text("language_code") or ""] = value
    return True


def set_my_name(state: State, sent: Parameters) -> bool:
    return _set_words(state, sent, "name")


def set_my_description(state: State, sent: Parameters) -> bool:
    return _set_words(state, sent, "description")


def set_my_short_description(state: State, sent: Parameters) -> bool:
    return _set_words(state, sent, "short_description")


def get_my_name(state: State, sent: Parameters) -> Json:
    language = sent.text("language_code") or ""
    return {"name": state.words.get(("name", language), state.bot.first_name)}


def get_my_description(state: State, sent: Parameters) -> Json:
    return {"description": state.words.get(("description", sent.text("language_code") or ""), "")}


def get_my_short_description(state: State, sent: Parameters) -> Json:
    language = sent.text("language_code") or ""
    return {"short_description": state.words.get(("short_description", language), "")}


def set_chat_menu_button(state: State, sent: Parameters) -> bool:
    button = sent.structure("menu_button") or {"type": "default"}
    if button.get("type") not in ("commands", "web_app", "default"):
        raise bad_request("can't parse menu button: unsupported type specified")
    if button["type"] == "web_app":
        limits.reply_markup(
            {"inline_keyboard": [[{"text": "x", "web_app": button.get("web_app")}]]}, "private"
        )
    if sent.text("chat_id"):
        state.chat(sent.text("chat_id")).menu_button = button
    return True


def get_chat_menu_button(state: State, sent: Parameters) -> Json:
    if sent.text("chat_id"):
        return state.chat(sent.text("chat_id")).menu_button
    return {"type": "commands"}


def get_file(state: State, sent: Parameters) -> Json:
    stored = state.files.get(sent.text("file_id") or "")
    if stored is None:
        raise bad_request("invalid file_id")
    if stored.size > limits.DOWNLOAD_BYTES:
        raise bad_request("file is too big")
    return {
        "file_id": stored.id,
        "file_unique_id": f"U{stored.id}",
        "file_size": stored.size,
        "file_path": f"documents/{stored.id}/{quote(stored.name, safe='')}",
    }


def get_chat(state: State, sent: Parameters) -> Json:
    chat = state.chat(sent.text("chat_id"))
    # The three fields that a full chat must have.
    return chat.to_json() | {
        "accent_color_id": 0,
        "max_reaction_count": 11,
        "accepted_gift_types": dict.fromkeys(
            (
                "unlimited_gifts",
                "limited_gifts",
                "unique_gifts",
                "premium_subscription",
                "gifts_from_channels",
            ),
            False,
        ),
    }


def get_chat_member(state: State, sent: Parameters) -> Json:
    state.chat(sent.text("chat_id"))
    user = state.users.get(sent.integer("user_id"))
    if user is None:
        raise bad_request("member not found")
    return {"status": "member", "user": user.to_json()}
