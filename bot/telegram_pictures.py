"""Pictures of messages on their way to Telegram: drawn when they are sent, uploaded once.

A payload says what the cards show, as JSON in the outbox. Telegram gives an id for every picture it
got; the same cards go out by that id from then on, to whomever, without being drawn again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from bot.cards import picture_of
from bot.messages import Card

Rows = list[list[Any]]


class UndrawnError(Exception):
    """The picture could not be drawn; the words can do without it."""


def rows_of(cards: Sequence[Card]) -> Rows:
    """Give cards as they lie in the outbox."""
    return [[c.number, c.category, c.name, c.price, c.label, c.reason] for c in cards]


def cards_of(rows: Rows) -> tuple[Card, ...]:
    """Read them back; what an older version wrote may end earlier."""
    names = ("number", "category", "name", "price", "label", "reason")
    return tuple(Card(**dict(zip(names, row, strict=False))) for row in rows)


class Pictures:
    """Draws cards in a worker thread, one picture at a time, and knows what Telegram has already.

    Args:
        draw: Gives cards as PNG.
        keep: How many of Telegram's ids are remembered.
    """

    def __init__(
        self, draw: Callable[[Sequence[Card]], bytes] = picture_of, *, keep: int = 5_000
    ) -> None:
        self._draw = draw
        self._keep = keep
        self._ids: OrderedDict[tuple[Card, ...], str] = OrderedDict()
        self._turn = asyncio.Semaphore(1)

    async def drawn(self, cards: tuple[Card, ...]) -> bytes:
        """Give the picture as PNG.

        Raises:
            UndrawnError: For whatever reason.
        """
        async with self._turn:
            try:
                return await asyncio.to_thread(self._draw, cards)
            except Exception as error:
                raise UndrawnError(f"{type(error).__name__}: {error}") from error

    def known(self, cards: tuple[Card, ...]) -> str:
        """Give Telegram's id of the picture; empty when it has to be uploaded."""
        if cards in self._ids:
            self._ids.move_to_end(cards)
        return self._ids.get(cards, "")

    def remember(self, cards: tuple[Card, ...], file_id: str) -> None:
        """Keep the id that Telegram gave; the one used longest ago makes room."""
        self._ids[cards] = file_id
        self._ids.move_to_end(cards)
        while len(self._ids) > self._keep:
            self._ids.popitem(last=False)

    def forget(self, cards: tuple[Card, ...]) -> None:
        """Drop an id that Telegram does not know any more."""
        self._ids.pop(cards, None)
