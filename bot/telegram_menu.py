"""The command list and the descriptions, per language and scope. Scope is comfort, not a right."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from telegram import (
    Bot,
    BotCommand,
    BotCommandScope,
    BotCommandScopeAllGroupChats,
    BotCommandScopeAllPrivateChats,
    BotCommandScopeChat,
)
from telegram.error import BadRequest, Forbidden, RetryAfter, TelegramError

from bot.telegram_sending import seconds_of
from bot.wording import Words
from data.vocabulary import Language

logger = logging.getLogger(__name__)

PRIVATE = (
    "start",
    "lessons",
    "why",
    "undo",
    "me",
    "settings",
    "language",
    "help",
    "privacy",
    "mydata",
    "forget",
    "stop",
)
GROUP = ("start", "lessons", "why", "help", "privacy")
CREATORS = ("pair", "judge", "coverage", "link", "pin", "ban")
ADMINS = ("stats", "export", "models", "train", "promote", "rollback", "whatif", "reload")
KNOWN = frozenset((*PRIVATE, *CREATORS, *ADMINS))

_PATIENCE = 5


async def register_menu(
    bot: Bot, *, admins: frozenset[int], creators: frozenset[int], default: Language
) -> int:
    """Tell Telegram our commands and descriptions; gives how many calls it refused.

    It goes on after a refusal: a missing menu must not keep the bot from answering.
    """
    n_refused = 0
    for language, code in ((default, None), *((each, str(each)) for each in Language)):
        words = Words(language)
        calls: list[tuple[Callable[..., Awaitable[Any]], dict[str, Any]]] = [
            (bot.set_my_description, {"description": words("menu.description")[:512]}),
            (bot.set_my_short_description, {"short_description": words("menu.short")[:120]}),
            _commands(bot, PRIVATE, words, BotCommandScopeAllPrivateChats()),
            _commands(bot, GROUP, words, BotCommandScopeAllGroupChats()),
        ]
        for user_id in sorted(admins | creators):
            own = (*PRIVATE, *CREATORS, *(ADMINS if user_id in admins else ()))
            calls.append(_commands(bot, own, words, BotCommandScopeChat(user_id)))
        for call, values in calls:
            n_refused += not await _patiently(call, values | {"language_code": code})
    return n_refused


def _commands(
    bot: Bot, names: tuple[str, ...], words: Words, scope: BotCommandScope
) -> tuple[Callable[..., Awaitable[Any]], dict[str, Any]]:
    commands = [BotCommand(name, words(f"menu.{name}")[:256]) for name in names]
    return bot.set_my_commands, {"commands": commands, "scope": scope}


async def _patiently(call: Callable[..., Awaitable[Any]], values: dict[str, Any]) -> bool:
    for attempt in range(_PATIENCE):
        try:
            await call(**values)
        except RetryAfter as error:
            await asyncio.sleep(seconds_of(error))
        except (BadRequest, Forbidden) as error:
            # An admin who never wrote to the bot has no chat with it yet.
            logger.info("a menu was not accepted: %s", error.message)
            return False
        except TelegramError:
            await asyncio.sleep(min(30, 2**attempt))
        else:
            return True
    return False
