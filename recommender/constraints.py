"""What must hold for one person, and why an item was hidden from them. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from data.vocabulary import Allergen, Diet


class HiddenReason(StrEnum):
    """Why an item is not offered; the first that applies is counted. Order = order of checks."""

    UNAVAILABLE = "unavailable"
    AUDIENCE = "audience"
    BANNED = "banned"
    CLAIM = "claim"
    MERCHANT = "merchant"
    """The person hid everything of its merchant."""
    ALLERGEN = "allergen"
    """The label, or a word in the text, says that it contains a declared allergen."""
    ALLERGEN_TRACES = "allergen_traces"
    ALLERGEN_UNKNOWN = "allergen_unknown"
    """The label says nothing of a declared allergen, or nothing recent enough."""
    AVOIDED = "avoided"
    """The text names a food that the person is allergic to outside the 14, or may name it."""
    DIET = "diet"
    DIET_UNKNOWN = "diet_unknown"
    EXCLUDED = "excluded"
    PRICE = "price"
    CATEGORY = "category"
    NEVER = "never"
    COOLDOWN = "cooldown"
    CATEGORY_QUOTA = "category_quota"
    OUT_OF_SEASON = "out_of_season"
    MERCHANT_SHARE = "merchant_share"
    """Among the best, but its merchant has its share of the candidates; see `recommender.exposure`."""


SAFETY_REASONS = frozenset(
    {
        HiddenReason.AUDIENCE,
        HiddenReason.BANNED,
        HiddenReason.CLAIM,
        HiddenReason.MERCHANT,
        HiddenReason.ALLERGEN,
        HiddenReason.ALLERGEN_TRACES,
        HiddenReason.ALLERGEN_UNKNOWN,
        HiddenReason.AVOIDED,
        HiddenReason.DIET,
        HiddenReason.DIET_UNKNOWN,
        HiddenReason.NEVER,
    }
)
"""Reasons that are never offered for relaxation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """What must hold for a person: from the profile, the session and this very request."""

    allergens: frozenset[Allergen] = frozenset()
    avoid: frozenset[str] = frozenset()
    """Foods outside the 14 to which the person is allergic, in their own words."""
    diets: frozenset[Diet] = frozenset()
    exclude: frozenset[str] = frozenset()
    """Categories (also groups such as `meat`) and food words that are not wanted."""
    include: frozenset[str] = frozenset()
    """When not empty: only items of these categories."""
    merchants: frozenset[str] = frozenset()
    """Keys (`merchant_key`) of the merchants that the person hid."""
    price_max: Decimal | None = None
    price_min: Decimal | None = None
    price_below: Decimal | None = None
    """Strictly below: what "cheaper" means against the items shown."""
    price_above: Decimal | None = None
    is_adult: bool = False
    """Whether the person confirmed to be of age; without it items for adults stay hidden."""

    @property
    def has_safety_wishes(self) -> bool:
        """Whether anything here may be answered by a label only."""
        return bool(self.allergens or self.avoid or self.diets)

    def merged(self, other: Constraints) -> Constraints:
        """Both hold: sets are joined, the tighter price wins, `include` of `other` wins."""
        return Constraints(
            allergens=self.allergens | other.allergens,
            avoid=self.avoid | other.avoid,
            diets=self.diets | other.diets,
            exclude=self.exclude | other.exclude,
            include=other.include or self.include,
            merchants=self.merchants | other.merchants,
            price_max=_tighter(self.price_max, other.price_max, min),
            price_min=_tighter(self.price_min, other.price_min, max),
            price_below=_tighter(self.price_below, other.price_below, min),
            price_above=_tighter(self.price_above, other.price_above, max),
            is_adult=self.is_adult or other.is_adult,
        )


def _tighter(
    one: Decimal | None, other: Decimal | None, choose: Callable[[Decimal, Decimal], Decimal]
) -> Decimal | None:
    if one is None or other is None:
        return one if other is None else other
    return choose(one, other)
