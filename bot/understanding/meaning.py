"""What a message means: the closed list of intents, the slots, and the two safety marks. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol


class Intent(StrEnum):
    """The one main thing a person wants with a message."""

    FINISHED_LESSON = "finished_lesson"
    RECOMMEND = "recommend"
    CRITIQUE = "critique"
    SEARCH_PRODUCT = "search_product"
    WHY = "why"
    LIKE = "like"
    DISLIKE = "dislike"
    SET_CONSTRAINT = "set_constraint"
    UNSET_CONSTRAINT = "unset_constraint"
    SHOW_PROFILE = "show_profile"
    DELETE_DATA = "delete_data"
    EXPORT_DATA = "export_data"
    PAUSE = "pause"
    RESUME = "resume"
    HELP = "help"
    GREET = "greet"
    THANKS = "thanks"
    OUT_OF_SCOPE = "out_of_scope"


WITHOUT_SLOTS: frozenset[Intent] = frozenset(
    {
        Intent.DELETE_DATA,
        Intent.EXPORT_DATA,
        Intent.PAUSE,
        Intent.RESUME,
        Intent.HELP,
        Intent.GREET,
        Intent.THANKS,
        Intent.OUT_OF_SCOPE,
    }
)
"""Intents that carry no slots, whatever else the text mentions."""

LIST_SLOTS: tuple[str, ...] = ("include", "exclude", "allergens", "diet", "taste", "occasion")
"""Slots whose value is a list of closed values; the others hold one value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """One message, understood."""

    intent: Intent
    slots: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    """Only what was expressed: lists of strings for `LIST_SLOTS`, numbers for `item_ref` (1..3),
    `price_max` and `price_min`, and strings for the rest."""
    confidence: float
    """Probability in [0, 1] that the intent is right."""
    is_emergency: bool = False
    """Someone may be having a severe reaction now: answer with emergency advice and no items."""
    maybe_allergy: bool = False
    """Reads like an allergy without being certain: treat it as one for this session, and ask."""
    allergy_words: tuple[str, ...] = ()
    """The person's own words for allergy causes outside the 14 allergens, such as mango."""


class Interpreter(Protocol):
    """Whatever turns messages into meanings: `Understander` here, a language model elsewhere."""

    def understand(self, text: str) -> Meaning: ...

    def understand_all(self, texts: Sequence[str]) -> list[Meaning]: ...
