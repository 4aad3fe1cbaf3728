"""How a send can fail, told by what may be done about it."""

from __future__ import annotations


class SendError(Exception):
    """A send that did not succeed; the kinds say what may be done."""


class NotSentError(SendError):
    """It certainly did not arrive: any message may go again."""


class UnclearError(SendError):
    """It may have arrived: answers go again, promotions do not."""


class FloodError(NotSentError):
    """Too fast; it did not arrive, and this chat must wait."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"retry after {retry_after:.0f} s")
        self.retry_after = retry_after


class UnreachableError(SendError):
    """The person blocked the bot, or the chat is gone."""


class MovedError(SendError):
    """The chat has a new id."""

    def __init__(self, address: str) -> None:
        super().__init__("the chat has a new id")
        self.address = address


class RefusedError(SendError):
    """The message itself is not acceptable and never will be."""
