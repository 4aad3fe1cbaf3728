"""What holds, in words: wishes of the conversation and facts of the profile."""

from __future__ import annotations

from decimal import Decimal

from bot.turn import Turn
from data.catalogue import Item
from data.events import FactKind
from data.mentions import has_han
from data.vocabulary import Language
from recommender.constraints import Constraints
from recommender.features import Background
from recommender.learned_scorer import ReasonKind, TasteReason, taste_reasons
from recommender.profile import UserProfile
from recommender.safety import safety_reason

_MOST_EXAMPLES = 2


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
        case FactKind.MERCHANT:
            return words("fact.merchant", value=value)
        case FactKind.LANGUAGE:
            return words("fact.language", value=value)
        case FactKind.PICTURES:
            return words(
                "me.switch", name=words("switch.pictures"), state=words(f"switch.{value}")
            )


def taste_lines(turn: Turn, profile: UserProfile, item: Item) -> list[str]:
    """What of the person's own past speaks for an item, one sentence a reason.

    Only what they did or said; in a group nothing, since others would read it.
    """
    if turn.is_group:
        return []
    reasons = taste_reasons(profile, item, Background(turn.engine.catalogue))
    return [line for reason in reasons if (line := _taste_line(turn, profile, reason))]


def _taste_line(turn: Turn, profile: UserProfile, reason: TasteReason) -> str:
    words = turn.words
    match reason.kind:
        case ReasonKind.SAME_ITEM:
            return words("why.liked_it")
        case ReasonKind.STATED:
            return words("why.stated", what=words.category(reason.what))
    items = _examples(turn, profile, reason)
    if not items:
        return ""
    if reason.kind is ReasonKind.CATEGORY:
        return words("why.liked_category", items=items, what=words.category(reason.what))
    # Tags are the shop's own words; one in the other language would be no explanation.
    if has_han(reason.what) is (words.language is not Language.EN):
        return words("why.liked_tag", items=items, what=reason.what)
    return words("why.liked_alike", items=items)


def _examples(turn: Turn, profile: UserProfile, reason: TasteReason) -> str:
    """Names of liked items; what the person must not have any more is not brought up."""
    liked = [item for item_id in reason.examples if (item := turn.item(item_id)) is not None]
    allowed = [
        item for item in liked if safety_reason(item, profile.constraints, at=turn.at) is None
    ]
    words = turn.words
    return words.several(words.name(item) for item in allowed[:_MOST_EXAMPLES]) if allowed else ""
