"""Which items may take part for this person and request, decided for the whole catalogue at once.

The rules are those of `recommender.safety`, which reads one item; here they run over columns so that a
catalogue of a million items is filtered in milliseconds. A test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from types import MappingProxyType
from typing import Protocol

import numpy as np

from data.catalogue import Catalogue, Item, ItemId, LessonId, merchant_key
from data.events import CreatorRule, RuleKind
from data.vocabulary import Allergen, AllergenState
from recommender.claims import has_health_claim
from recommender.constraints import Constraints, HiddenReason
from recommender.detector import detect_in_item
from recommender.exposure import NO_MERCHANT
from recommender.profile import UserProfile
from recommender.rule_columns import RuleColumns
from recommender.safety import (
    DEFAULT_RULES,
    SafetyRules,
    safety_reason,
    wish_reason,
)

ALLERGENS = tuple(Allergen)
_STATE_CODE = {
    AllergenState.UNKNOWN: 0,
    AllergenState.FREE_FROM: 1,
    AllergenState.MAY_CONTAIN: 2,
    AllergenState.CONTAINS: 3,
}


_ORDER = tuple(HiddenReason)
_LONG_AGO, _NEVER_ENDS = -(10**9), 10**9


class _Hide(Protocol):
    def __call__(self, reason: HiddenReason, away: np.ndarray) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Cooldowns:
    """How long an item stays away after it was shown, refused or bought."""

    after_impression: timedelta = timedelta(days=7)
    after_dislike: timedelta = timedelta(days=90)
    after_purchase: timedelta = timedelta(days=3)
    category_impressions_a_day: int = 3


@dataclass(frozen=True)
class CatalogueTable:
    """The catalogue as columns. Row numbers are positions in `catalogue.items`."""

    catalogue: Catalogue

    @cached_property
    def rows_by_id(self) -> Mapping[ItemId, int]:
        return MappingProxyType({item.item_id: r for r, item in enumerate(self.catalogue.items)})

    @cached_property
    def states(self) -> np.ndarray:
        """(n, 14) uint8: 0 unknown, 1 free from, 2 may contain, 3 contains."""
        return np.array(
            [[_STATE_CODE[item.allergen_state(a)] for a in ALLERGENS] for item in self.catalogue],
            dtype=np.uint8,
        ).reshape(len(self.catalogue), len(ALLERGENS))

    @cached_property
    def detected(self) -> np.ndarray:
        """(n, 14) bool: what the words of the item speak of."""
        return np.array(
            [[a in found for a in ALLERGENS] for found in map(detect_in_item, self.catalogue)],
            dtype=bool,
        ).reshape(len(self.catalogue), len(ALLERGENS))

    @cached_property
    def checked_days(self) -> np.ndarray:
        """(n,) int64 proleptic day number of the label check; a very old day when missing."""
        return np.array(
            [
                item.allergens_checked_on.toordinal() if item.allergens_checked_on else _LONG_AGO
                for item in self.catalogue
            ],
            dtype=np.int64,
        )

    @cached_property
    def out_of_stock(self) -> np.ndarray:
        return np.array([i.stock is not None and i.stock <= 0 for i in self.catalogue], dtype=bool)

    @cached_property
    def available_days(self) -> np.ndarray:
        """(n, 2) int64 proleptic numbers of the first and last day on which it can be bought."""
        return np.array(
            [
                (
                    item.available_from.toordinal() if item.available_from else _LONG_AGO,
                    item.available_until.toordinal() if item.available_until else _NEVER_ENDS,
                )
                for item in self.catalogue
            ],
            dtype=np.int64,
        ).reshape(len(self.catalogue), 2)

    @cached_property
    def rule_columns(self) -> RuleColumns:
        """What diets, foods to avoid and categories mean for each item."""
        return RuleColumns(self.catalogue.items)

    @cached_property
    def adults_only(self) -> np.ndarray:
        return np.array([item.audience == "adults" for item in self.catalogue], dtype=bool)

    @cached_property
    def claims(self) -> np.ndarray:
        return np.array([has_health_claim(item) for item in self.catalogue], dtype=bool)

    @cached_property
    def prices(self) -> np.ndarray:
        """(n,) float64; NaN when unknown. Comparisons with NaN are false, so unknown never fits."""
        return np.array(
            [float(item.price) if item.price is not None else np.nan for item in self.catalogue]
        )

    @cached_property
    def category_numbers(self) -> Mapping[str, int]:
        """Category -> its number in `category_codes`."""
        names = sorted({item.category for item in self.catalogue})
        return MappingProxyType({name: number for number, name in enumerate(names)})

    @cached_property
    def category_codes(self) -> np.ndarray:
        """(n,) int64."""
        numbers = self.category_numbers
        return np.array([numbers[item.category] for item in self.catalogue], dtype=np.int64)

    @cached_property
    def merchant_numbers(self) -> Mapping[str, int]:
        """Key of a merchant -> its number in `merchant_codes`; without those that have no name."""
        names = sorted({merchant_key(item.merchant) for item in self.catalogue} - {""})
        return MappingProxyType({name: number for number, name in enumerate(names)})

    @cached_property
    def merchant_codes(self) -> np.ndarray:
        """(n,) int64; `NO_MERCHANT` where the catalogue names none."""
        numbers = {"": NO_MERCHANT, **self.merchant_numbers}
        return np.array(
            [numbers[merchant_key(item.merchant)] for item in self.catalogue], dtype=np.int64
        )

    @cached_property
    def filed_under(self) -> frozenset[str]:
        """Every category and tag that some item has: what `include` can find."""
        return frozenset(
            word for item in self.catalogue for word in (item.category, *item.tags) if word
        )

    @cached_property
    def seasons(self) -> np.ndarray:
        """(n, 12) bool; all true where the season is unknown."""
        return np.array(
            [
                [not item.season or month in item.season for month in range(1, 13)]
                for item in self.catalogue
            ],
            dtype=bool,
        ).reshape(len(self.catalogue), 12)


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Who may take part, and what hid the others."""

    mask: np.ndarray
    """(n_items,) bool."""
    hidden: Mapping[HiddenReason, int]
    """Items hidden by each reason; an item counts once, for the first reason that applies."""

    @property
    def n_eligible(self) -> int:
        return int(self.mask.sum())


def eligibility(
    table: CatalogueTable,
    profile: UserProfile,
    wishes: Constraints,
    *,
    at: datetime,
    lesson_id: LessonId | None = None,
    creator_rules: Collection[CreatorRule] = (),
    commerce_allowed: bool = True,
    cooldowns: Cooldowns | None = None,
    rules: SafetyRules = DEFAULT_RULES,
) -> Eligibility:
    """Decide for every item of the catalogue; `cooldowns=None` leaves fatigue out (search)."""
    n = len(table.catalogue)
    mask = np.ones(n, dtype=bool)
    hidden: dict[HiddenReason, int] = {}

    def hide(reason: HiddenReason, away: np.ndarray) -> None:
        newly = mask & away
        count = int(newly.sum())
        if count:
            hidden[reason] = hidden.get(reason, 0) + count
            mask[newly] = False

    if not commerce_allowed:
        hide(HiddenReason.AUDIENCE, np.ones(n, dtype=bool))
        return Eligibility(mask, MappingProxyType(hidden))
    constraints = profile.constraints.merged(wishes)
    hide(HiddenReason.UNAVAILABLE, _unavailable(table, at))
    if not constraints.is_adult:
        hide(HiddenReason.AUDIENCE, table.adults_only)
    hide(HiddenReason.BANNED, _banned(table, creator_rules, lesson_id))
    hide(HiddenReason.CLAIM, table.claims)
    if constraints.merchants:
        hide(HiddenReason.MERCHANT, _sold_by(table, constraints.merchants))
    _hide_allergens(table, constraints, hide, at=at, rules=rules)
    _hide_by_words(table, mask, constraints, hide)
    hide(HiddenReason.PRICE, ~_price_fits(table, constraints))
    _hide_history(table, profile, hide, at=at, cooldowns=cooldowns)
    return Eligibility(mask, MappingProxyType(hidden))


def _unavailable(table: CatalogueTable, at: datetime) -> np.ndarray:
    day = at.date().toordinal()
    first, last = table.available_days.T
    return np.asarray(table.out_of_stock | (day < first) | (day > last))


def _banned(
    table: CatalogueTable, creator_rules: Collection[CreatorRule], lesson_id: LessonId | None
) -> np.ndarray:
    away = np.zeros(len(table.catalogue), dtype=bool)
    for rule in creator_rules:
        if rule.kind is RuleKind.BAN and rule.lesson_id in ("", lesson_id):
            row = table.rows_by_id.get(rule.item_id)
            if row is not None:
                away[row] = True
    return away


def _sold_by(table: CatalogueTable, merchants: frozenset[str]) -> np.ndarray:
    codes = [table.merchant_numbers[m] for m in merchants if m in table.merchant_numbers]
    return np.isin(table.merchant_codes, codes)


def _hide_allergens(
    table: CatalogueTable,
    constraints: Constraints,
    hide: _Hide,
    *,
    at: datetime,
    rules: SafetyRules,
) -> None:
    if not constraints.allergens:
        return
    columns = [i for i, a in enumerate(ALLERGENS) if a in constraints.allergens]
    states = table.states[:, columns]
    today = at.date().toordinal()
    age = today - table.checked_days
    stale = (age > rules.label_max_age.days) | (age < -1)
    contains = (states == 3).any(axis=1) | table.detected[:, columns].any(axis=1)
    hide(HiddenReason.ALLERGEN, contains)
    hide(HiddenReason.ALLERGEN_TRACES, (states == 2).any(axis=1))
    hide(HiddenReason.ALLERGEN_UNKNOWN, (states != 1).any(axis=1) | stale)


def _hide_by_words(
    table: CatalogueTable, mask: np.ndarray, constraints: Constraints, hide: _Hide
) -> None:
    """Rules that read words run only over what is left, and only when somebody asked for them."""
    if not (constraints.avoid or constraints.diets or constraints.exclude or constraints.include):
        return
    hidden = table.rule_columns.hidden_by(constraints, np.flatnonzero(mask))
    for reason in sorted(hidden, key=_ORDER.index):
        away = np.zeros(len(mask), dtype=bool)
        away[hidden[reason]] = True
        hide(reason, away)


def _price_fits(table: CatalogueTable, c: Constraints) -> np.ndarray:
    fits = np.ones(len(table.catalogue), dtype=bool)
    prices = table.prices
    if c.price_max is not None:
        fits &= prices <= float(c.price_max)
    if c.price_min is not None:
        fits &= prices >= float(c.price_min)
    if c.price_below is not None:
        fits &= prices < float(c.price_below)
    if c.price_above is not None:
        fits &= prices > float(c.price_above)
    return fits


def _hide_history(
    table: CatalogueTable,
    profile: UserProfile,
    hide: _Hide,
    *,
    at: datetime,
    cooldowns: Cooldowns | None,
) -> None:
    n = len(table.catalogue)
    never = np.zeros(n, dtype=bool)
    cooling = np.zeros(n, dtype=bool)
    for item_id, history in profile.history.items():
        row = table.rows_by_id.get(item_id)
        if row is None:
            continue
        never[row] = history.is_never
        if cooldowns is not None:
            cooling[row] = any(
                since is not None and at - since < length
                for since, length in (
                    (history.shown_at, cooldowns.after_impression),
                    (history.disliked_at, cooldowns.after_dislike),
                    (history.purchased_at, cooldowns.after_purchase),
                )
            )
    hide(HiddenReason.NEVER, never)
    if cooldowns is None:
        return
    hide(HiddenReason.COOLDOWN, cooling)
    hide(HiddenReason.CATEGORY_QUOTA, _over_quota(table, profile, cooldowns))


def _over_quota(table: CatalogueTable, profile: UserProfile, cooldowns: Cooldowns) -> np.ndarray:
    counts = np.zeros(len(table.category_numbers), dtype=np.int64)
    for item_id in profile.shown_today:
        row = table.rows_by_id.get(item_id)
        if row is not None:
            counts[table.category_codes[row]] += 1
    full = counts >= cooldowns.category_impressions_a_day
    # Items without a category have nothing in common.
    nameless = table.category_numbers.get("")
    if nameless is not None:
        full[nameless] = False
    return np.asarray(full[table.category_codes])


def reason_for(
    item: Item,
    constraints: Constraints,
    *,
    at: datetime,
    rules: SafetyRules = DEFAULT_RULES,
) -> HiddenReason | None:
    """Give why one item is hidden under these constraints, or None (history apart)."""
    if not item.is_available(at):
        return HiddenReason.UNAVAILABLE
    return safety_reason(item, constraints, at=at, rules=rules) or wish_reason(item, constraints)
