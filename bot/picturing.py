"""Which picture goes with a message, and what its cards say. Draws nothing.

Every word of a card comes from the message beside it, since a picture tells a screen reader nothing.
"""

from __future__ import annotations

from bot.messages import Card, Picture
from bot.turn import Turn
from bot.wording import Words
from data.catalogue import Item
from data.events import FactKind
from data.vocabulary import Language

OFF = "off"
"""Value of the fact that somebody wants no pictures."""


def wants_pictures(turn: Turn) -> bool:
    """Whether slates and items go to this person as pictures; never in groups."""
    if turn.is_group or not turn.services.has_pictures:
        return False
    said = [fact.value for fact in turn.facts() if fact.kind is FactKind.PICTURES]
    return not said or said[-1] != OFF


def card_of(item: Item, language: Language, *, number: int = 0, reason: str = "") -> Card:
    """Give the card of an item with everything that its label says about allergens."""
    words = Words(language)
    return Card(
        number=number,
        category=item.category,
        name=words.name(item),
        price=words.price(item),
        label=words.allergen_line(item),
        reason=reason,
    )


def item_picture(turn: Turn, item: Item) -> Picture | None:
    """Give the item's photo, else its card."""
    if not wants_pictures(turn):
        return None
    name = turn.words.name(item)
    if item.image_url:
        return Picture(url=item.image_url, alternative=name)
    return Picture(cards=(card_of(item, turn.words.language),), alternative=name)
