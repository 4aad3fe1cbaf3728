"""A person as far as we know them: folded from their own facts, impressions and replies. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from types import MappingProxyType

from data.catalogue import ItemId, merchant_key
from data.events import FactKind, Impression, ProfileFact, Reply, ReplyKind, UserKey
from data.rewards import DISLIKED_BY, LIKED_BY
from data.vocabulary import Allergen, Diet
from recommender.constraints import Constraints

HALF_LIFE = timedelta(days=30)
"""A like counts half after this time."""
WEARINESS_HALF_LIFE = timedelta(days=7)
"""Having been shown something tires half as much after this time."""

_POSITIVE = {
    ReplyKind.LIKE: 1.0,
    ReplyKind.SAVE: 1.0,
    ReplyKind.PURCHASE: 3.0,
    ReplyKind.CLICK: 0.3,
}
_NEGATIVE = {ReplyKind.DISLIKE: 1.0, ReplyKind.NEVER: 2.0, ReplyKind.REPORT: 2.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemHistory:
    """What happened between one person and one item. Times are the latest of their kind."""

    shown_at: datetime | None = None
    n_shown: int = 0
    n_liked: int = 0
    """Impressions that were liked, saved or bought, and the same told by other platforms."""
    n_disliked: int = 0
    """The same of those that were disliked or never wanted again."""
    disliked_at: datetime | None = None
    purchased_at: datetime | None = None
    is_never: bool = False
    affinity: float = 0.0
    """Decayed likes minus dislikes; about -2 to 3 for one event."""
    exposure: float = 0.0
    """Decayed times shown: what one is weary of."""

    @property
    def n_met(self) -> int:
        """Times shown; what was bought or rated elsewhere was met at least once."""
        return max(self.n_shown, self.n_liked, self.n_disliked, int(self.affinity != 0))


NO_HISTORY: Mapping[ItemId, ItemHistory] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class UserProfile:
    """State folded from one user's events; rebuildable at any time."""

    user_key: UserKey
    constraints: Constraints = field(default_factory=Constraints)
    preferences: frozenset[str] = frozenset()
    """Categories and words the person said they like."""
    history: Mapping[ItemId, ItemHistory] = field(default_factory=lambda: NO_HISTORY)
    shown_today: tuple[ItemId, ...] = ()
    """One entry per impression of the last 24 hours."""
    n_replies: int = 0

    @property
    def liked(self) -> tuple[ItemId, ...]:
        return tuple(i for i, h in self.history.items() if h.affinity > 0)

    @property
    def disliked(self) -> tuple[ItemId, ...]:
        return tuple(i for i, h in self.history.items() if h.affinity < 0)


def decay(at: datetime, since: datetime, half_life: timedelta = HALF_LIFE) -> float:
    """Give the weight in (0, 1] of an event of age `at - since`; 1 for the future."""
    age = max((at - since) / half_life, 0.0)
    return float(0.5**age)


def fold_profile(
    user_key: UserKey,
    *,
    facts: Iterable[ProfileFact] = (),
    impressions: Iterable[Impression] = (),
    replies: Iterable[Reply] = (),
    at: datetime,
) -> UserProfile:
    """Fold what is known at a moment. The order of the events does not matter."""
    told = sorted(facts, key=lambda fact: (fact.at, fact.fact_id))
    answers = standing(replies)
    shown = list(impressions)
    return UserProfile(
        user_key=user_key,
        constraints=constraints_from(told),
        preferences=frozenset(f.value for f in told if f.kind is FactKind.PREFER),
        history=MappingProxyType(_histories(shown, answers, at=at)),
        shown_today=tuple(i.item_id for i in shown if at - i.delivered_at < timedelta(days=1)),
        n_replies=len(answers),
    )


def standing(replies: Iterable[Reply]) -> list[Reply]:
    """The replies that were not taken back, in order of time."""
    everything = list(replies)
    undone = {reply.value for reply in everything if reply.kind is ReplyKind.UNDO}
    kept = [r for r in everything if r.kind is not ReplyKind.UNDO and r.reply_id not in undone]
    return sorted(kept, key=lambda reply: (reply.at, reply.reply_id))


def constraints_from(facts: Iterable[ProfileFact]) -> Constraints:
    """What must hold, from what a person told us.

    An allergen or diet value that we cannot read is never dropped: it becomes a word to avoid.
    """
    allergens: set[Allergen] = set()
    avoid: set[str] = set()
    diets: set[Diet] = set()
    exclude: set[str] = set()
    merchants: set[str] = set()
    price_max: Decimal | None = None
    for fact in facts:
        match fact.kind:
            case FactKind.ALLERGEN:
                try:
                    allergens.add(Allergen(fact.value))
                except ValueError:
                    avoid.add(fact.value)
            case FactKind.AVOID:
                avoid.add(fact.value)
            case FactKind.DIET:
                try:
                    diets.add(Diet(fact.value))
                except ValueError:
                    avoid.add(fact.value)
            case FactKind.EXCLUDE:
                exclude.add(fact.value)
            case FactKind.PRICE_MAX:
                price_max = _decimal(fact.value) or price_max
            case FactKind.MERCHANT:
                merchants.add(merchant_key(fact.value))
            case FactKind.PREFER | FactKind.LANGUAGE | FactKind.PICTURES:
                pass
    return Constraints(
        allergens=frozenset(allergens),
        avoid=frozenset(avoid),
        diets=frozenset(diets),
        exclude=frozenset(exclude),
        # Items whose merchant is unknown are nobody's.
        merchants=frozenset(merchants - {""}),
        price_max=price_max,
    )


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def _histories(
    impressions: Iterable[Impression], replies: Iterable[Reply], *, at: datetime
) -> dict[ItemId, ItemHistory]:
    shown: dict[ItemId, list[datetime]] = {}
    answers: dict[ItemId, list[Reply]] = {}
    for impression in impressions:
        shown.setdefault(impression.item_id, []).append(impression.delivered_at)
    for reply in replies:
        if reply.item_id is not None:
            answers.setdefault(reply.item_id, []).append(reply)
    return {
        item_id: _history(shown.get(item_id, []), answers.get(item_id, []), at=at)
        for item_id in sorted(shown.keys() | answers.keys())
    }


def _history(shown: list[datetime], replies: list[Reply], *, at: datetime) -> ItemHistory:
    affinity = sum(
        (_POSITIVE.get(r.kind, 0.0) - _NEGATIVE.get(r.kind, 0.0)) * decay(at, r.at)
        for r in replies
    )
    return ItemHistory(
        shown_at=max(shown, default=None),
        n_shown=len(shown),
        n_liked=_times(replies, LIKED_BY),
        n_disliked=_times(replies, DISLIKED_BY),
        disliked_at=max((r.at for r in replies if r.kind is ReplyKind.DISLIKE), default=None),
        purchased_at=max((r.at for r in replies if r.kind is ReplyKind.PURCHASE), default=None),
        is_never=any(r.kind is ReplyKind.NEVER for r in replies),
        affinity=affinity,
        exposure=sum(decay(at, moment, WEARINESS_HALF_LIFE) for moment in shown),
    )


def _times(replies: list[Reply], kinds: frozenset[ReplyKind]) -> int:
    """One for each slate, however often it was answered; what names no slate counts by itself."""
    of_kind = [reply.slate_id for reply in replies if reply.kind in kinds]
    slates = {slate for slate in of_kind if slate is not None}
    return len(slates) + sum(slate is None for slate in of_kind)
