"""What every event store promises. One writer, idempotent appends, erasure as a first-class act."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from data.catalogue import ItemId, LessonId
from data.events import (
    Consent,
    ConsentKind,
    CreatorRule,
    FactKind,
    Impression,
    Judgement,
    ProfileFact,
    Reply,
    RuleKind,
    SlateId,
    SlateRecord,
    UserKey,
)

if TYPE_CHECKING:
    import pandas as pd


class MessageClass(StrEnum):
    """How an outgoing message is treated when the outcome of a send is unknown."""

    ANSWER = "answer"
    """At least once."""
    EDIT = "edit"
    """At least once; repeating it is harmless."""
    PROMOTION = "promotion"
    """At most once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxEntry:
    """An update that a channel handed to us; durable before it is confirmed."""

    update_id: str
    lane: str
    """Updates of one lane are handled in order, one at a time: the user key or chat id."""
    payload: str
    """JSON of the update."""
    received_at: datetime
    attempts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxEntry:
    """A message that must go out; written in the transaction that decided it."""

    outbox_id: str
    """`<update id>:<n>`: the same update can never queue the same message twice."""
    address: str
    """Where the channel sends it, e.g. the Telegram chat id."""
    payload: str
    """JSON of the rendered message."""
    message_class: MessageClass
    user_key: UserKey
    created_at: datetime
    slate_id: SlateId | None = None
    not_before: datetime | None = None
    expires_at: datetime | None = None
    state: str = "queued"
    """queued, sending, sent, unknown, dead."""
    attempts: int = 0
    message_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogRow:
    """The conversation's small explicit state for one person, with version and expiry."""

    user_key: UserKey
    state: str
    """JSON, owned by the conversation core."""
    version: int
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureReceipt:
    """What an erasure removed; the receipt id proves it without naming the person."""

    receipt_id: str
    at: datetime
    removed: tuple[tuple[str, int], ...]
    """(table, rows) pairs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """How much waits, for /stats and readiness."""

    inbox: int = 0
    outbox: int = 0
    parked: int = 0
    oldest_seconds: float = 0.0


class EventStore(Protocol):
    """Facts in, facts out. All methods may be called from any thread."""

    def transaction(self) -> AbstractContextManager[None]:
        """Make all writes of this thread inside the block commit together, or not at all.

        Blocks may nest; only the outermost commits.
        """

    # slates, impressions, replies
    def record_slate(self, slate: SlateRecord) -> bool: ...
    def slate(self, slate_id: SlateId) -> SlateRecord | None: ...
    def slates(
        self,
        *,
        user_key: UserKey | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[SlateRecord]: ...
    def count_slates(self) -> int:
        """How many slates were made, ever (erased ones apart)."""

    def record_delivery(self, slate_id: SlateId, *, at: datetime, message_id: str = "") -> int:
        """Turn a slate's placements into impressions; gives how many were new (0 on repeats)."""

    def impressions(
        self,
        *,
        user_key: UserKey | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Impression]: ...
    def record_reply(self, reply: Reply) -> bool:
        """Append; False when the id is known already."""

    def replies(
        self,
        *,
        user_key: UserKey | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Reply]: ...

    # the same, as frames for figures: one row per record, moments as aware UTC timestamps
    def slates_frame(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> pd.DataFrame:
        """Give slates without their placements, context, candidates and query.

        `is_silent` says that a slate placed nothing.
        """

    def impressions_frame(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> pd.DataFrame: ...
    def replies_frame(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> pd.DataFrame:
        """Give replies without their free text."""

    # what a person told us
    def put_fact(self, fact: ProfileFact) -> None:
        """Store; a fact of the same person, kind and value is replaced."""

    def facts(self, user_key: UserKey, *, at: datetime) -> list[ProfileFact]:
        """The facts in force at that moment, oldest first; expired ones are left out."""

    def delete_fact(self, user_key: UserKey, fact_id: str) -> bool: ...
    def delete_facts(self, user_key: UserKey, kind: FactKind, value: str | None = None) -> int: ...
    def record_consent(self, consent: Consent) -> bool: ...
    def consents(self, user_key: UserKey) -> list[Consent]: ...
    def consenting_users(self, kind: ConsentKind) -> set[UserKey]:
        """Users whose last turn of that switch was on."""

    # creators
    def record_judgement(self, judgement: Judgement) -> bool: ...
    def remove_judgement(self, judgement_id: str) -> bool:
        """Take a slip of the finger back; False when there is no such judgement."""

    def judgements(self) -> list[Judgement]: ...
    def put_rule(self, rule: CreatorRule) -> None: ...
    def remove_rule(self, lesson_id: LessonId, item_id: ItemId, kind: RuleKind) -> bool: ...
    def rules(self) -> list[CreatorRule]: ...

    # the dialogue
    def dialog(self, user_key: UserKey, *, at: datetime) -> DialogRow | None: ...
    def put_dialog(self, row: DialogRow) -> None: ...

    # where a person can be reached; the only place of raw channel ids
    def put_address(
        self, user_key: UserKey, channel: str, address: str, *, at: datetime
    ) -> None: ...
    def address(self, user_key: UserKey, channel: str) -> str | None: ...
    def set_reachable(self, channel: str, address: str, reachable: bool) -> None: ...
    def is_reachable(self, channel: str, address: str) -> bool:
        """False after a send was refused, until the person writes again."""

    def move_address(self, channel: str, old: str, new: str) -> int:
        """Follow a chat that got a new id, with what waits for it."""

    # inbox and outbox
    def receive(self, entry: InboxEntry) -> bool:
        """Commit an update durably; False when its id was seen within the retention."""

    def pending(self, *, limit: int = 1000) -> list[InboxEntry]:
        """Updates not yet done or parked, oldest first."""

    def mark_done(self, update_id: str, *, at: datetime) -> None:
        """Finish an update; its id stays for deduplication, its content goes."""

    def mark_failed(self, update_id: str, *, error: str, park: bool) -> None: ...
    def parked(self) -> list[InboxEntry]: ...
    def queue(self, entries: Iterable[OutboxEntry]) -> int: ...
    def outgoing(self, *, at: datetime, limit: int = 100) -> list[OutboxEntry]:
        """Queued messages: answers and edits, then the promotions that are due; oldest first.

        Answers and edits that are held back come too (`not_before`), since whatever is said to
        their address later must wait behind them.
        """

    def mark_sending(self, outbox_id: str) -> None: ...
    def mark_sent(self, outbox_id: str, *, at: datetime, message_id: str) -> None:
        """Finish a message; its id stays, its content and address go."""

    def mark_unsent(
        self, outbox_id: str, *, state: str, not_before: datetime | None = None, error: str = ""
    ) -> None: ...
    def recover_outbox(self) -> int:
        """After a crash: answers in `sending` go back to queued, promotions are dropped."""

    def backlog(self, *, at: datetime) -> Backlog: ...

    # operation
    def audit(self, *, at: datetime, actor: str, action: str, detail: str = "") -> None: ...
    def audits(self, *, limit: int = 100) -> Sequence[tuple[datetime, str, str, str]]: ...
    def count_safety_violation(self, *, at: datetime, where: str, item_id: ItemId) -> None: ...
    def safety_violations(self, *, since: datetime | None = None) -> int: ...
    def export(self, user_key: UserKey) -> dict[str, list[dict[str, object]]]:
        """Everything stored about the person, table by table."""

    def forget(self, user_key: UserKey, *, at: datetime) -> ErasureReceipt: ...
    def replay_erasures(self) -> int:
        """Apply all tombstones again (after a restore); gives how many rows went."""

    def newest_before(self, at: datetime) -> datetime | None:
        """When something was last said or shown before a moment; None when nothing ever was."""

    def expire(self, *, at: datetime) -> int:
        """Apply every table's retention rule; gives how many rows or texts went."""

    def check(self) -> list[str]:
        """Problems a support person should know: integrity, version, journal mode."""

    def close(self) -> None: ...
