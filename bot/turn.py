"""One exchange: what came in, who sent it, what is known, and what will be remembered."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property

from bot.admin_office import AdminOffice
from bot.buttons import ButtonSigner
from bot.creators_desk import CreatorsDesk
from bot.dialog import Dialog
from bot.engine import Engine, EngineSource
from bot.messages import Button, Incoming, Sender
from bot.quotas import Quotas
from bot.understanding.meaning import Interpreter, Meaning
from bot.wording import Words
from data.catalogue import Item, ItemId, Lesson
from data.events import (
    LASTING,
    ConsentKind,
    FactKind,
    ProfileFact,
    Reply,
    ReplyKind,
    SlateId,
    SlateRecord,
)
from data.store import EventStore
from data.vocabulary import Language
from recommender.profile import UserProfile, fold_profile

SESSION = timedelta(hours=24)
"""How long something said without consent to remember it holds."""


def new_slate_id() -> SlateId:
    """16 characters of [A-Za-z0-9_-]."""
    return SlateId(secrets.token_urlsafe(12))


def new_seed() -> int:
    return secrets.randbits(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the conversation needs of the world. Wiring fills it; tests fill it with fakes."""

    store: EventStore
    engine: EngineSource
    understanding: Interpreter
    signer: ButtonSigner
    admins: frozenset[int] = frozenset()
    creators: frozenset[int] = frozenset()
    default_language: Language = Language.EN
    privacy_contact: str = ""
    text_retention_days: int = 90
    cny_per_unit: tuple[tuple[str, str], ...] = (("USD", "7.1"), ("CNY", "1"))
    """Rates for limits that people say in another currency."""
    has_pictures: bool = True
    """Whether slates go out as pictures where the channel shows them."""
    bot_name: Callable[[], str] = str
    """The bot's name on Telegram without @, for links; empty when there is none."""
    desk: CreatorsDesk = field(default_factory=CreatorsDesk)
    office: AdminOffice = field(default_factory=AdminOffice)
    exports: Quotas = field(default_factory=lambda: Quotas(burst=2, per_minute=0.2))
    """How often one person gets all of their data: each time it is read, written and sent whole."""
    new_slate_id: Callable[[], SlateId] = new_slate_id
    new_seed: Callable[[], int] = new_seed


@dataclass(kw_only=True)
class Turn:
    """Mutable on purpose and for one exchange only: the handlers move `dialog` forward."""

    services: Services
    incoming: Incoming
    words: Words
    dialog: Dialog
    n_facts: int = field(default=0)
    meaning: Meaning | None = None
    """What a text means, when that was found out ahead."""

    @property
    def sender(self) -> Sender:
        return self.incoming.sender

    @property
    def at(self) -> datetime:
        return self.incoming.at

    @property
    def store(self) -> EventStore:
        return self.services.store

    @cached_property
    def engine(self) -> Engine:
        return self.services.engine()

    @property
    def is_admin(self) -> bool:
        """By numeric id only, and never in a group."""
        return self.sender.numeric_id in self.services.admins and not self.is_group

    @property
    def is_creator(self) -> bool:
        return (self.sender.numeric_id in self.services.creators and not self.is_group) or (
            self.is_admin
        )

    @property
    def is_group(self) -> bool:
        return self.sender.chat_kind != "private"

    @property
    def lesson(self) -> Lesson | None:
        lesson_id = self.dialog.lesson_id
        return self.engine.catalogue.lessons_by_id.get(lesson_id) if lesson_id else None

    def item(self, item_id: ItemId) -> Item | None:
        return self.engine.catalogue.items_by_id.get(item_id)

    def facts(self) -> list[ProfileFact]:
        return self.store.facts(self.sender.user_key, at=self.at)

    def profile(self) -> UserProfile:
        """Folded anew, so that a fact of this very turn counts at once."""
        key = self.sender.user_key
        return fold_profile(
            key,
            facts=self.facts(),
            impressions=self.store.impressions(user_key=key),
            replies=self.store.replies(user_key=key),
            at=self.at,
        )

    def has_consent(self, kind: ConsentKind) -> bool:
        turns = [c for c in self.store.consents(self.sender.user_key) if c.kind is kind]
        return bool(turns) and max(turns, key=lambda c: c.at).given

    def remember(self, kind: FactKind, value: str, source: str) -> ProfileFact:
        """Store a fact: for good with consent or where none is needed, else for this session."""
        lasting = kind in LASTING or self.has_consent(ConsentKind.REMEMBER_DIET)
        self.n_facts += 1
        fact = ProfileFact(
            fact_id=f"{self.incoming.incoming_id}#{self.n_facts}",
            user_key=self.sender.user_key,
            at=self.at,
            kind=kind,
            value=value,
            source=source[:80],
            expires_at=None if lasting else self.at + SESSION,
        )
        self.store.put_fact(fact)
        return fact

    def log(
        self,
        kind: ReplyKind,
        *,
        slate_id: SlateId | None = None,
        item_id: ItemId | None = None,
        value: str = "",
        text: str = "",
    ) -> str:
        """Append a reply of this turn and give its id; a repeated update appends nothing."""
        reply_id = f"{self.incoming.incoming_id}:{kind}:{item_id or ''}"
        self.store.record_reply(
            Reply(
                reply_id=reply_id,
                at=self.at,
                user_key=self.sender.user_key,
                kind=kind,
                slate_id=slate_id or self.dialog.slate_id,
                item_id=item_id,
                value=value,
                text=text,
                source=self.sender.channel,
            )
        )
        return reply_id

    def current_slate(self) -> SlateRecord | None:
        slate_id = self.dialog.slate_id
        slate = self.store.slate(slate_id) if slate_id else None
        return slate if slate is not None and slate.user_key == self.sender.user_key else None

    def button(self, label_key: str, action: str, argument: str = "") -> Button:
        return Button(
            label=self.words(label_key),
            payload=self.services.signer.sign(self.sender.user_key, action, argument),
        )

    def labelled(self, label: str, action: str, argument: str = "") -> Button:
        return Button(
            label=label, payload=self.services.signer.sign(self.sender.user_key, action, argument)
        )

    def move(self, **changes: object) -> None:
        self.dialog = replace(self.dialog, **changes)  # type: ignore[arg-type] # names and types are Dialog's
