"""Joins the parts. The only place that knows concrete classes; tests call it with fakes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bot.buttons import ButtonSigner
from bot.conversation import Conversation
from bot.engine import Engine
from bot.settings import Settings
from bot.turn import Services
from bot.understanding.understand import Understander
from data.catalogue import Catalogue
from data.errors import InvalidInput, SnapshotError
from data.importing import Problem, read_items, read_lessons
from data.samples import sample_path
from data.sqlite_store import SqliteEventStore
from data.store import EventStore
from index import catalogue_index
from index.embedding import Embedder, open_embedder
from index.knowledge import KnowledgeIndex
from index.lessons import LessonFinder
from index.matching import HybridMatcher
from index.snapshot import SnapshotFolder
from recommender.candidates import CatalogueTable
from recommender.policy import SoftmaxPolicy, parameters_for
from recommender.recommend import Recommender
from recommender.scoring import MatchScorer

logger = logging.getLogger(__name__)
Tell = Callable[[str, int, int], None]


def read_catalogue(settings: Settings) -> tuple[Catalogue, tuple[Problem, ...]]:
    """The catalogue in force: settings, else what was imported, else the samples.

    Raises:
        InvalidInput: a file cannot be read, or has no usable item.
    """
    items_file = settings.catalogue or _imported(settings, "items") or sample_path("catalogue.csv")
    lessons_file = (
        settings.lessons or _imported(settings, "lessons") or sample_path("lessons.jsonl")
    )
    items = read_items(items_file)
    lessons = read_lessons(lessons_file)
    if not items.records:
        raise InvalidInput(
            f"{items_file} has no usable item; each row needs item_id and name_zh or name_en"
        )
    return Catalogue.of(items.records, lessons.records), (*items.problems, *lessons.problems)


def imported_path(settings: Settings, kind: str, suffix: str = ".jsonl") -> Path:
    """Where `zhiwei import` keeps a file of `kind` (items, lessons)."""
    return settings.state / "catalogue" / f"{kind}{suffix}"


def _imported(settings: Settings, kind: str) -> Path | None:
    for suffix in (".jsonl", ".csv", ".tsv"):
        path = imported_path(settings, kind, suffix)
        if path.exists():
            return path
    return None


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
        return EngineRoom(self)

    @cached_property
    def conversation(self) -> Conversation:
        s = self.settings
        return Conversation(
            Services(
                store=self.store,
                engine=self.engines.current,
                understanding=Understander(self.embedder),
                signer=ButtonSigner(s.secret_bytes()),
                admins=s.admins,
                creators=s.creators,
                default_language=s.language,
                privacy_contact=s.privacy_contact,
                text_retention_days=s.text_retention_days,
                cny_per_unit=(("USD", s.usd_cny), ("CNY", "1")),
            )
        )

    def build_index(self) -> None:
        """Build and publish the index of the catalogue in force."""
        catalogue, _ = read_catalogue(self.settings)
        catalogue_index.build(catalogue, self.embedder, self.snapshots, progress=self.tell)


class EngineRoom:
    """Gives the engine in force; opens a new one when another snapshot was published."""

    def __init__(self, wired: Wired) -> None:
        self._wired = wired
        self._engine: Engine | None = None
        self._lock = threading.Lock()

    def current(self) -> Engine:
        """Cheap once opened: one stat a call. A broken new snapshot leaves the old one in force."""
        if self._engine is not None and not self._wired.snapshots.has_changed():
            return self._engine
        with self._lock:
            if self._engine is None:
                self._engine = self._open_or_build()
            elif self._wired.snapshots.has_changed():
                try:
                    self._engine = self._open()
                except (SnapshotError, InvalidInput):
                    logger.exception("the new snapshot cannot be used; the old one goes on")
                    self._wired.snapshots.__init__(self._wired.snapshots.folder)  # type: ignore[misc]
        return self._engine

    def _open_or_build(self) -> Engine:
        try:
            return self._open()
        except SnapshotError as error:
            logger.info("building the index", extra={"because": str(error)})
            self._wired.build_index()
            return self._open()

    def _open(self) -> Engine:
        catalogue, problems = read_catalogue(self._wired.settings)
        for problem in problems[:20]:
            logger.warning("%s", problem)
        snapshot = self._wired.snapshots.current()
        embedder = self._wired.embedder
        loaded = catalogue_index.load(snapshot, catalogue, embedder)
        return build_engine(catalogue, loaded, embedder, n_slates=_n_slates(self._wired.store))


def build_engine(
    catalogue: Catalogue,
    loaded: catalogue_index.CatalogueIndex,
    embedder: Embedder,
    *,
    n_slates: int = 0,
) -> Engine:
    """Join what one snapshot needs."""
    table = CatalogueTable(catalogue)
    matcher = HybridMatcher(
        catalogue=catalogue,
        index=loaded,
        embedder=embedder,
        knowledge=KnowledgeIndex(catalogue, embedder),
    )
    recommender = Recommender(
        table=table,
        matcher=matcher,
        scorer=MatchScorer(),
        policy=SoftmaxPolicy(parameters_for(n_slates)),
    )
    return Engine(
        catalogue=catalogue,
        table=table,
        matcher=matcher,
        recommender=recommender,
        lesson_finder=LessonFinder(catalogue.lessons, embedder),
        model_name=embedder.name,
    )


def _n_slates(store: EventStore) -> int:
    return len(store.slates())
