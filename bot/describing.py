"""What holds, in words: wishes of the conversation and facts of the profile."""

from __future__ import annotations

from decimal import Decimal

from bot.turn import Turn
from data.events import FactKind
from recommender.constraints import Constraints


def describe_wishes(turn: Turn, wishes: Constraints, soft: tuple[str, ...] = ()) -> str:
    """Give the conversation's wishes in words, hard ones first; "no wishes" when there are none."""
    words = turn.words
    parts: list[str] = []
    if wishes.include:
        parts.append(words.several(words.category(c) for c in sorted(wishes.include)))
    if wishes.exclude:
        what = words.several(words.category(c) for c in sorted(wishes.exclude))
        parts.append(words("wish.without", what=what))
    parts += [
        words(f"wish.{name}", price=words.amount(price, "CNY"))
        for name in ("price_max", "price_below", "price_min", "price_above")
        if (price := getattr(wishes, name)) is not None
    ]
    parts += [words.diet(diet) for diet in sorted(wishes.diets)]
    parts += [words("wish.no_allergen", what=words.allergen(a)) for a in sorted(wishes.allergens)]
    parts += [words("wish.without", what=word) for word in sorted(wishes.avoid)]
    parts += soft
    return words.several(parts) if parts else words("wish.none")


def has_wishes(turn: Turn) -> bool:
    """Whether the conversation holds any wish, hard, soft or "more like this"."""
    dialog = turn.dialog
    return dialog.wishes != Constraints() or bool(dialog.words or dialog.like)


def fact_words(turn: Turn, kind: FactKind, value: str) -> str:
    words = turn.words
    match kind:
        case FactKind.ALLERGEN:
            return words("fact.allergen", value=words.allergen(value))
        case FactKind.AVOID:
            return words("fact.avoid", value=value)
        case FactKind.DIET:
            return words("fact.diet", value=words.diet(value))
        case FactKind.EXCLUDE:
            return words("fact.exclude", value=words.category(value))
        case FactKind.PRICE_MAX:
            return words("fact.price_max", value=words.amount(Decimal(value), "CNY"))
        case FactKind.PREFER:
            return words("fact.prefer", value=words.category(value))
        case FactKind.LANGUAGE:
            return words("fact.language", value=value)
        case FactKind.PICTURES:
            return words(
                "me.switch", name=words("switch.pictures"), state=words(f"switch.{value}")
            )
