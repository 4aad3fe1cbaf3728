"""Stand-ins for the world around the conversation, and people who talk to it.

Nothing is patched: the store is SQLite in memory, the catalogue the shipped samples, the index a
real one over hashed character n-grams (`hashing`) or over the bundled model (`bundled`).
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from bot.buttons import ButtonSigner, user_key_for
from bot.conversation import Conversation
from bot.engine import Engine
from bot.messages import Button, ButtonPress, Command, Incoming, Reply, Sender, TextMessage
from bot.settings import default_cache
from bot.turn import Services
from bot.understanding.meaning import Intent, Interpreter, Meaning
from bot.understanding.understand import Understander
from bot.wiring import build_engine
from data.catalogue import Catalogue, Lesson
from data.events import SlateId, UserKey
from data.importing import read_items, read_lessons
from data.memory_store import InMemoryEventStore
from data.samples import sample_path
from data.store import EventStore
from index import catalogue_index
from index.embedding import Embedder, HashingEmbedder, Kind, Vectors, open_embedder
from index.snapshot import SnapshotFolder
from tests import overheard

SECRET = b"a secret that only tests know"
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@dataclass
class FakeClock:
    """Stands still until somebody moves it."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **span: float) -> None:
        """Move on by a `timedelta` in keywords: `clock.advance(days=8)`."""
        self.now += timedelta(**span)


@dataclass
class ScriptedInterpreter:
    """Gives the meaning written down for a text; others are out of scope."""

    meanings: dict[str, Meaning] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)

    def means(
        self, text: str, intent: Intent, *, confidence: float = 0.95, **slots: object
    ) -> None:
        """Write down what a text means."""
        self.meanings[text] = Meaning(intent=intent, slots=slots, confidence=confidence)

    def understand(self, text: str) -> Meaning:
        self.heard.append(text)
        return self.meanings.get(text, Meaning(intent=Intent.OUT_OF_SCOPE, confidence=0.9))

    def understand_all(self, texts: Sequence[str]) -> list[Meaning]:
        return [self.understand(text) for text in texts]


def emergency() -> Meaning:
    return Meaning(intent=Intent.OUT_OF_SCOPE, confidence=0.9, is_emergency=True)


@lru_cache(maxsize=1)
def sample_catalogue() -> Catalogue:
    """The catalogue and lessons that ship with Zhiwei."""
    return Catalogue.of(
        read_items(sample_path("catalogue.csv")).records,
        read_lessons(sample_path("lessons.jsonl")).records,
    )


@lru_cache(maxsize=1)
def hashing() -> Embedder:
    return HashingEmbedder(dim=64)


@lru_cache(maxsize=1)
def bundled() -> Embedder:
    """The bundled model; `ZHIWEI_CACHE` says where it lies unpacked."""
    return open_embedder("", Path(os.environ.get("ZHIWEI_CACHE", default_cache())))


@lru_cache(maxsize=1)
def understander() -> Interpreter:
    """The real understanding, on the bundled model."""
    return Understander(bundled())


class CountingEmbedder(HashingEmbedder):
    """A hashing embedder that remembers what it was asked."""

    def __init__(self, *, dim: int = 256) -> None:
        super().__init__(dim=dim)
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str], *, kind: Kind) -> Vectors:
        self.asked.extend(texts)
        return super().embed(texts, kind=kind)


_ENGINES: dict[tuple[str, str, tuple[Lesson, ...]], Engine] = {}


def engine_over(catalogue: Catalogue, embedder: Embedder) -> Engine:
    """An engine over a freshly built index; built once per catalogue and embedder."""
    key = (catalogue.version, embedder.fingerprint, catalogue.lessons)
    if key not in _ENGINES:
        with tempfile.TemporaryDirectory() as folder:
            snapshots = SnapshotFolder(Path(folder))
            built = catalogue_index.build(catalogue, embedder, snapshots, at=NOON)
            loaded = catalogue_index.load(built, catalogue, embedder)
            _ENGINES[key] = build_engine(catalogue, loaded, embedder)
    return _ENGINES[key]


def numbered_slates() -> Callable[[], SlateId]:
    """Slate ids in order: the same conversation gives the same ids."""
    numbers = itertools.count(1)
    return lambda: SlateId(f"slate-{next(numbers):010d}")


def build_services(
    *,
    catalogue: Catalogue | None = None,
    embedder: Embedder | None = None,
    understanding: Interpreter | None = None,
    store: EventStore | None = None,
    seed: int = 7,
    admins: Collection[int] = (),
    creators: Collection[int] = (),
    **changes: object,
) -> Services:
    """Services with fakes where nothing was given."""
    engine = engine_over(
        catalogue if catalogue is not None else sample_catalogue(), embedder or hashing()
    )
    seeds = itertools.count(seed)
    services = Services(
        store=store or InMemoryEventStore(),
        engine=lambda: engine,
        understanding=understanding or ScriptedInterpreter(),
        signer=ButtonSigner(SECRET),
        admins=frozenset(admins),
        creators=frozenset(creators),
        new_slate_id=numbered_slates(),
        new_seed=lambda: next(seeds),
    )
    return replace(services, **changes)  # type: ignore[arg-type]


def build_conversation(**choices: object) -> Conversation:
    """A conversation over `build_services(**choices)`."""
    return Conversation(build_services(**choices))  # type: ignore[arg-type]


def real_conversation(**choices: object) -> Conversation:
    """A conversation with the bundled model and the real understanding."""
    return build_conversation(embedder=bundled(), understanding=understander(), **choices)


_RUNS = itertools.count(1)


@dataclass
class Person:
    """Somebody at the other end. Every reply is checked and delivered as an adapter would."""

    conversation: Conversation
    clock: FakeClock = field(default_factory=FakeClock)
    language: str = "en"
    name: str = "ann"
    numeric_id: int | None = None
    chat_kind: str = "private"
    channel: str = "test"
    replies: list[Reply] = field(default_factory=list)
    """Those of the last turn."""
    history: list[Reply] = field(default_factory=list)
    """Every reply, oldest first; the buttons of old messages stay pressable."""
    _run: int = field(default_factory=lambda: next(_RUNS))
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def user_key(self) -> UserKey:
        return user_key_for(SECRET, self.channel, self.name)

    @property
    def sender(self) -> Sender:
        return Sender(
            user_key=self.user_key,
            numeric_id=self.numeric_id,
            language_code=self.language,
            chat_kind=self.chat_kind,
            channel=self.channel,
        )

    def says(self, text: str) -> list[Reply]:
        overheard.note(text)
        return self.sends(TextMessage(**self._stamp(), text=text))

    def command(self, line: str) -> list[Reply]:
        """Send `/name argument`, with or without the slash."""
        name, _, argument = line.removeprefix("/").partition(" ")
        return self.sends(Command(**self._stamp(), name=name, argument=argument))

    def presses(self, label: str) -> list[Reply]:
        """Press the latest button whose label equals, else contains, `label`."""
        return self.presses_payload(self.button(label).payload)

    def presses_payload(self, payload: str) -> list[Reply]:
        return self.sends(ButtonPress(**self._stamp(), payload=payload))

    def sends(self, incoming: Incoming) -> list[Reply]:
        answered = self.conversation.handle(incoming)
        self.replies = [self.conversation.checked(reply, incoming) for reply in answered]
        for reply in self.replies:
            self.conversation.delivered(reply, at=incoming.at)
        self.history += self.replies
        self.clock.advance(seconds=1)
        return self.replies

    def buttons(self) -> list[Button]:
        """Every button ever shown to this person, latest message first."""
        return [b for reply in reversed(self.history) for row in reply.buttons for b in row]

    def button(self, label: str) -> Button:
        known = [b for b in self.buttons() if b.payload]
        for fits in (lambda b: b.label == label, lambda b: label in b.label):
            for button in known:
                if fits(button):
                    return button
        raise LookupError(f"no button {label!r}; there are {[b.label for b in known][:20]}")

    @property
    def text(self) -> str:
        """What the last turn said, notices included."""
        return "\n".join(part for r in self.replies for part in (r.notice, r.text) if part)

    @property
    def labels(self) -> list[str]:
        """Labels of the buttons of the last turn."""
        return [b.label for reply in self.replies for row in reply.buttons for b in row]

    @property
    def item_ids(self) -> list[str]:
        """Items that the last turn showed."""
        return [item_id for reply in self.replies for item_id in reply.item_ids]

    def _stamp(self) -> dict[str, object]:
        number = next(self._numbers)
        return {
            "incoming_id": f"{self.channel}:{self._run}:{number}",
            "sender": self.sender,
            "at": self.clock(),
        }


def meaning(intent: Intent, slots: Mapping[str, object] | None = None) -> Meaning:
    return Meaning(intent=intent, slots=dict(slots or {}), confidence=0.95)


def chinese(**choices: object) -> Person:
    """Somebody who writes Chinese, in a conversation of their own."""
    return Person(build_conversation(**choices), language="zh-hans")
