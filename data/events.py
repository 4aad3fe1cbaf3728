"""What happened, as append-only records. Ids make every append idempotent; times are aware UTC. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import NewType

from data.catalogue import ItemId, LessonId

UserKey = NewType("UserKey", str)
"""HMAC of a channel id under the deployment's secret: 32 hex digits, never a raw id."""
SlateId = NewType("SlateId", str)
"""16 characters of [A-Za-z0-9_-], so that it fits into a button's payload."""

NO_COUNTS: Mapping[str, int] = MappingProxyType({})
NO_CONTEXT: Mapping[str, object] = MappingProxyType({})


class Stage(StrEnum):
    """Which ranking made a slate (design: cold start)."""

    MATCH_ONLY = "match_only"
    BLENDED = "blended"
    LEARNED = "learned"


class Mode(StrEnum):
    """The rung of the degradation ladder on which a slate was made."""

    FULL = "full"
    DENSE_LEXICAL = "dense_lexical"
    LEXICAL = "lexical"
    PINS = "pins"
    POPULAR = "popular"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """One item in a slate, with the probability that put it there."""

    item_id: ItemId
    position: int
    """0-based."""
    propensity: float
    """P(this item at this position | context, items above), in (0, 1]."""
    marginal_propensity: float
    """P(this item at this position | context), summed over all ordered slates, in (0, 1]."""
    explored: bool = False
    """Whether the uniform part of the mixture, not the softmax, drew it."""
    score: float = 0.0
    evidence: str = ""
    """The sentence of the lesson that the item goes with, as shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlateRecord:
    """Everything that was known and drawn when a slate was made; written before it is sent."""

    slate_id: SlateId
    at: datetime
    user_key: UserKey
    placements: tuple[Placement, ...]
    chat_kind: str = "private"
    language: str = "en"
    lesson_id: LessonId | None = None
    query: str = ""
    """Free text that asked for the slate; empty when a lesson did."""
    trigger: str = "lesson"
    """lesson, ask, critique, more, search, tip, preview, pin."""
    context: Mapping[str, object] = field(default_factory=lambda: NO_CONTEXT)
    """Features as served and what is needed to rebuild the slate; JSON values only."""
    policy: str = ""
    policy_version: str = ""
    model_version: str = ""
    catalogue_version: str = ""
    index_version: str = ""
    experiment: str = ""
    arm: str = ""
    candidates: tuple[ItemId, ...] = ()
    scores: tuple[float, ...] = ()
    """One per candidate, in the order of `candidates`."""
    n_eligible: int = 0
    exploration_rate: float = 0.0
    temperature: float = 0.0
    seed: int = 0
    filters: Mapping[str, int] = field(default_factory=lambda: NO_COUNTS)
    """How many items each filter hid: reason -> count."""
    stage: Stage = Stage.MATCH_ONLY
    mode: Mode = Mode.FULL
    ope_valid: bool = True
    """False for pinned, previewed and searched slates: their propensity is 1."""
    replaces: SlateId | None = None
    """The slate that a critique or "others" moved on from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Impression:
    """An item *was shown*: exists only after the send succeeded."""

    slate_id: SlateId
    user_key: UserKey
    item_id: ItemId
    position: int
    propensity: float
    marginal_propensity: float
    explored: bool
    delivered_at: datetime
    message_id: str = ""
    lesson_id: LessonId | None = None


class ReplyKind(StrEnum):
    """What came back. "No reply" is derived after the window and never stored."""

    LIKE = "like"
    DISLIKE = "dislike"
    NEVER = "never"
    SKIP = "skip"
    WHY = "why"
    SAVE = "save"
    CLICK = "click"
    PURCHASE = "purchase"
    CRITIQUE = "critique"
    RATING = "rating"
    REPORT = "report"
    TEXT = "text"
    UNDO = "undo"
    """Takes back the reply whose id stands in `value`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer of one person. Append-only."""

    reply_id: str
    """Unique for good: `tg:<update id>`, `partner:<their id>`, `terminal:<uuid>` ..."""
    at: datetime
    user_key: UserKey
    kind: ReplyKind
    slate_id: SlateId | None = None
    item_id: ItemId | None = None
    value: str = ""
    text: str = ""
    """Free text, kept for `text_retention_days` only."""
    source: str = "chat"


class FactKind(StrEnum):
    """What a profile fact is about."""

    ALLERGEN = "allergen"
    """Must not contain; value is an `Allergen`."""
    AVOID = "avoid"
    """A food word outside the 14 that the person is allergic to; value is free text."""
    DIET = "diet"
    EXCLUDE = "exclude"
    """A category or food word that is not wanted."""
    PRICE_MAX = "price_max"
    PREFER = "prefer"
    LANGUAGE = "language"
    PICTURES = "pictures"
    """`off` when slates shall come without pictures, `on` when the person turned them on again."""
    MERCHANT = "merchant"
    """A merchant of whom nothing is wanted; value is the name as the catalogue had it."""


MANNERS = frozenset({FactKind.LANGUAGE, FactKind.PICTURES})
"""How to answer, not what to choose; kept until the person says otherwise."""
LASTING = MANNERS | {FactKind.MERCHANT}
"""Kept for good without the switch: they tell nothing of a body or a faith, and forgetting a hidden
merchant overnight would be no hiding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileFact:
    """Something the person told us. Shown in /me with source and date."""

    fact_id: str
    user_key: UserKey
    at: datetime
    kind: FactKind
    value: str
    source: str
    """The words or the button that it comes from, in short."""
    expires_at: datetime | None = None
    """When a session-only fact ends; None when the person agreed that it is remembered."""


class ConsentKind(StrEnum):
    """The three switches, all off at first."""

    REMEMBER_DIET = "remember_diet"
    LEARN_FROM_ANSWERS = "learn_from_answers"
    SEND_TIPS = "send_tips"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """One turn of one switch, in a ledger that is never rewritten."""

    consent_id: str
    user_key: UserKey
    at: datetime
    kind: ConsentKind
    given: bool
    language: str
    text_version: str
    """Hash of the words the person saw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A creator's grade of a lesson-item pair: 3 delightful, 2 good, 1 loose, 0 wrong, -1 harmful."""

    judgement_id: str
    at: datetime
    lesson_id: LessonId
    item_id: ItemId
    grade: int
    creator: str
    """The creator's user key, or the name of a file."""
    reason: str = ""


class RuleKind(StrEnum):
    """What a creator fixed for a lesson and an item."""

    PIN = "pin"
    BAN = "ban"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatorRule:
    """A pin or a ban. A ban with an empty lesson holds for all lessons."""

    lesson_id: LessonId
    item_id: ItemId
    kind: RuleKind
    at: datetime
    creator: str
