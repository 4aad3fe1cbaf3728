"""Which methods the fake Telegram knows, by their public names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.fake_telegram import account, sending
from tests.fake_telegram.parameters import Parameters
from tests.fake_telegram.state import State

METHODS: dict[str, Callable[[State, Parameters], Any]] = {
    "getMe": account.get_me,
    "logOut": account.log_out,
    "close": account.close,
    "setWebhook": account.set_webhook,
    "deleteWebhook": account.delete_webhook,
    "getWebhookInfo": account.get_webhook_info,
    "setMyCommands": account.set_my_commands,
    "getMyCommands": account.get_my_commands,
    "deleteMyCommands": account.delete_my_commands,
    "setMyName": account.set_my_name,
    "getMyName": account.get_my_name,
    "setMyDescription": account.set_my_description,
    "getMyDescription": account.get_my_description,
    "setMyShortDescription": account.set_my_short_description,
    "getMyShortDescription": account.get_my_short_description,
    "setChatMenuButton": account.set_chat_menu_button,
    "getChatMenuButton": account.get_chat_menu_button,
    "getFile": account.get_file,
    "getChat": account.get_chat,
    "getChatMember": account.get_chat_member,
    "sendMessage": sending.send_message,
    "sendPhoto": sending.send_photo,
    "sendDocument": sending.send_document,
    "sendMediaGroup": sending.send_media_group,
    "sendChatAction": sending.send_chat_action,
    "sendInvoice": sending.send_invoice,
    "editMessageText": sending.edit_message_text,
    "editMessageCaption": sending.edit_message_caption,
    "editMessageMedia": sending.edit_message_media,
    "editMessageReplyMarkup": sending.edit_message_reply_markup,
    "deleteMessage": sending.delete_message,
    "deleteMessages": sending.delete_messages,
    "answerCallbackQuery": sending.answer_callback_query,
    "setMessageReaction": sending.set_message_reaction,
}
GET_UPDATES = "getUpdates"
NAME_BY_LOWER = {name.lower(): name for name in (*METHODS, GET_UPDATES)}
MESSAGE_METHODS = frozenset(
    {"sendMessage", "sendPhoto", "sendDocument", "sendMediaGroup", "sendInvoice"}
)
"""The methods that flood control counts."""
