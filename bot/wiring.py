"""Joins the parts. The only place that knows concrete classes; tests call it with fakes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bot.admin_jobs import Jobs
from bot.admin_office import AdminOffice
from bot.buttons import ButtonSigner
from bot.catalogue_files import imported_path, read_catalogue
from bot.conversation import Conversation
from bot.degradation import SteadyConversation
from bot.engine_room import NO_ENCODER, EngineRoom, build_engine
from bot.keyword_understanding import SteadyInterpreter
from bot.retention import DailyExpiry
from bot.settings import Settings
from bot.telegram_posting import TelegramPost
from bot.turn import Services
from data.sqlite_store import SqliteEventStore
from data.store import EventStore
from index import catalogue_index
from index.embedding import Embedder, open_embedder
from index.snapshot import SnapshotFolder

Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Wired:
    """The parts of a running Zhiwei. Heavy ones are opened when first used."""

    settings: Settings
    tell: Tell | None = None

    @cached_property
    def embedder(self) -> Embedder:
        s = self.settings
        return open_embedder(s.model, s.cache, backend=s.backend, progress=self.tell)

    @cached_property
    def speech_embedder(self) -> Embedder:
        """Encodes what people say: always the bundled model, since the intent model learned on it."""
        s = self.settings
        if not s.model:
            return self.embedder
        return open_embedder("", s.cache, backend=s.backend, progress=self.tell)

    @cached_property
    def store(self) -> EventStore:
        s = self.settings
        s.state.mkdir(parents=True, exist_ok=True)
        s.database_path.parent.mkdir(parents=True, exist_ok=True)
        key = s.database_key.get_secret_value() if s.database_key else None
        return SqliteEventStore(
            s.database_path, key=key, text_retention_days=s.text_retention_days
        )

    @cached_property
    def snapshots(self) -> SnapshotFolder:
        return SnapshotFolder(self.settings.index_folder)

    @cached_property
    def engines(self) -> EngineRoom:
        return EngineRoom(self, retry_seconds=self.settings.retry_seconds)

    @cached_property
    def conversation(self) -> Conversation:
        s = self.settings
        return SteadyConversation(
            Services(
                store=self.store,
                engine=self.engines.current,
                understanding=SteadyInterpreter(self.engines.interpreter),
                signer=ButtonSigner(s.secret_bytes()),
                admins=s.admins,
                creators=s.creators,
                default_language=s.language,
                privacy_contact=s.privacy_contact,
                text_retention_days=s.text_retention_days,
                has_pictures=s.pictures,
                cny_per_unit=(("USD", s.usd_cny), ("CNY", "1")),
                bot_name=self.bot_name,
                office=self.office,
            ),
            after_turn=DailyExpiry(self.store),
        )

    @cached_property
    def office(self) -> AdminOffice:
        post = TelegramPost(self.store)
        note = self.settings.state / "job-under-way.json"
        return AdminOffice(jobs=Jobs(post, note=note), quick=Jobs(post), parts=self)

    def bot_name(self) -> str:
        """The name that the bot had on Telegram when it last ran; empty when it never did."""
        try:
            return self._bot_name_file.read_text(encoding="utf-8").strip()
        except OSError:
            return ""

    def note_bot_name(self, name: str) -> None:
        """Write it down, so that the studio and the terminal can give links, too."""
        if name and name != self.bot_name():
            self._bot_name_file.parent.mkdir(parents=True, exist_ok=True)
            self._bot_name_file.write_text(name + "\n", encoding="utf-8")

    @property
    def _bot_name_file(self) -> Path:
        return self.settings.state / "telegram.name"

    def build_index(self) -> None:
        """Build and publish the index of the catalogue in force."""
        catalogue, _ = read_catalogue(self.settings)
        catalogue_index.build(catalogue, self.embedder, self.snapshots, progress=self.tell)


__all__ = [
    "NO_ENCODER",
    "EngineRoom",
    "Tell",
    "Wired",
    "build_engine",
    "imported_path",
    "read_catalogue",
]
