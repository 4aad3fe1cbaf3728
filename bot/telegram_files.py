"""Fetches a file that a person sent, within the limits of what we read."""

from __future__ import annotations

import asyncio
import logging

from telegram import Bot
from telegram.error import BadRequest, RetryAfter, TelegramError

from bot.lesson_files import LARGEST_BYTES
from bot.telegram_sending import seconds_of

logger = logging.getLogger(__name__)

ATTEMPTS = 3
LONGEST_PAUSE = 5.0


async def download(bot: Bot, file_id: str, size: int) -> tuple[bytes, str]:
    """Give the content, and why there is none: `large`, `unavailable`, or empty.

    Args:
        bot: Who may read the file.
        file_id: Telegram's name for it.
        size: Bytes as Telegram told, 0 when it did not.
    """
    if size > LARGEST_BYTES:
        return b"", "large"
    for attempt in range(1, ATTEMPTS + 1):
        pause = 0.3 * attempt
        try:
            file = await bot.get_file(file_id)
            if (file.file_size or 0) > LARGEST_BYTES:
                return b"", "large"
            content = bytes(await file.download_as_bytearray())
        except BadRequest as error:
            return b"", "large" if "too big" in error.message.lower() else "unavailable"
        except RetryAfter as error:
            pause = min(LONGEST_PAUSE, seconds_of(error))
        except TelegramError as error:
            logger.warning("a file was not fetched: %s", type(error).__name__)
        else:
            return (content, "") if len(content) <= LARGEST_BYTES else (b"", "large")
        await asyncio.sleep(pause)
    return b"", "unavailable"
