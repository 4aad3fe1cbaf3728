"""Opens the engine of the snapshot in force, and steps down when the encoder or the index is gone."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bot.catalogue_files import read_catalogue
from bot.degradation import Popularity, RecentPopularity, SteadyMatcher
from bot.engine import Engine
from bot.keyword_understanding import KeywordInterpreter
from bot.learned_ranking import LearnedRanking
from bot.understanding.meaning import Interpreter
from bot.understanding.understand import Understander
from data.catalogue import Catalogue
from data.errors import InvalidInput, ModelError, SnapshotError, ZhiweiError
from index import catalogue_index
from index.embedding import Embedder, HashingEmbedder
from index.knowledge import KnowledgeIndex
from index.lessons import LessonFinder
from index.matching import HybridMatcher
from index.snapshot import Snapshot, SnapshotFolder
from index.unsaved_index import build_unsaved
from recommender.candidates import CatalogueTable
from recommender.exploration import parameters_for
from recommender.policy import SoftmaxPolicy
from recommender.recommend import Recommender
from recommender.scoring import MatchScorer

if TYPE_CHECKING:
    from bot.wiring import Wired

logger = logging.getLogger(__name__)
RETRY_SECONDS = 60.0
NO_ENCODER = "no encoder (words only)"
"""Stands where /stats and doctor name the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An engine, and whether it is all that it should be."""

    engine: Engine
    is_whole: bool
    is_outdated: bool = False
    """Whole, but a newer snapshot was published that cannot be used."""


class EngineRoom:
    """Gives the engine in force; opens a new one when another snapshot was published.

    When the encoder or the index is gone it gives the best that is left, and looks again every
    minute, in a thread of its own, until everything is back.
    """

    def __init__(
        self,
        wired: Wired,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._wired = wired
        self._monotonic = monotonic
        self._retry_seconds = retry_seconds
        self._opened: Opened | None = None
        self._interpreter: Interpreter | None = None
        self._snapshots = SnapshotFolder(wired.settings.index_folder)
        self._looked_at = 0.0
        self._lock = threading.Lock()
        self._recovery: threading.Thread | None = None
        self._learned = LearnedRanking(wired, monotonic=monotonic)

    def current(self) -> Engine:
        """Cheap once opened: one stat a call. A broken new snapshot leaves the old one in force."""
        opened = self._opened
        if opened is None:
            with self._lock:
                opened = self._opened or self._open_best()
                self._take(opened)
        elif self._snapshots.has_changed():
            opened = self._reopened(opened)
        elif (not opened.is_whole or opened.is_outdated) and self._is_due():
            self._recover_in_background()
        elif self._learned.is_due():
            self._learned.refresh_in_background(self._relearn)
        return opened.engine

    @property
    def is_degraded(self) -> bool:
        """Whether something is missing of what was opened; costs nothing."""
        opened = self._opened
        return (opened is not None and (not opened.is_whole or opened.is_outdated)) or isinstance(
            self._interpreter, KeywordInterpreter
        )

    def interpreter(self) -> Interpreter:
        """Give what understands messages: by the model, else by keywords."""
        if self._interpreter is None:
            self._interpreter = self._open_interpreter()
        elif isinstance(self._interpreter, KeywordInterpreter) and self._is_due():
            self._recover_in_background()
        return self._interpreter

    def wait(self, seconds: float) -> None:
        """Wait for a recovery that is under way."""
        recovery = self._recovery
        if recovery is not None:
            recovery.join(seconds)

    def _take(self, opened: Opened) -> None:
        self._opened = opened
        self._looked_at = self._monotonic()

    def _relearn(self) -> None:
        """Put a promoted or rolled back model, and today's counts, into force."""
        with self._lock:
            if self._opened is not None:
                engine = self._learned.applied(self._opened.engine)
                self._opened = replace(self._opened, engine=engine)

    def _is_due(self) -> bool:
        return self._monotonic() - self._looked_at >= self._retry_seconds

    def _reopened(self, old: Opened) -> Opened:
        with self._lock:
            if not self._snapshots.has_changed():
                return self._opened or old
            try:
                self._take(self._open(self._encoder()))
            except (SnapshotError, InvalidInput):
                logger.exception("the new snapshot cannot be used; the old one goes on")
                # Seen and refused: do not read it again at every turn.
                self._snapshots = SnapshotFolder(self._wired.settings.index_folder)
                self._take(replace(self._opened or old, is_outdated=True))
            return self._opened or old

    def _recover_in_background(self) -> None:
        with self._lock:
            if not self._is_due() or (self._recovery is not None and self._recovery.is_alive()):
                return
            self._looked_at = self._monotonic()
            self._recovery = threading.Thread(target=self._recover, name="recover", daemon=True)
            self._recovery.start()

    def _recover(self) -> None:
        try:
            before = self._opened
            if before is not None and (not before.is_whole or before.is_outdated):
                opened = self._open_best()
                if before.is_whole and not opened.is_whole:
                    opened = before  # what is in memory is better
                with self._lock:
                    self._take(opened)
                if opened.is_whole and opened is not before:
                    logger.warning("recovered: encoder and index are back")
            if isinstance(self._interpreter, KeywordInterpreter):
                self._interpreter = self._open_interpreter()
        except ZhiweiError as error:
            logger.warning("not recovered yet: %s", error)

    def _encoder(self) -> Embedder | None:
        return _working(self._wired, "embedder")

    def _open_interpreter(self) -> Interpreter:
        embedder = _working(self._wired, "speech_embedder")
        if embedder is not None:
            try:
                return Understander(embedder)
            except (ZhiweiError, OSError, ValueError) as error:
                logger.error("understanding by keywords only: %s", error)
        return KeywordInterpreter()

    def _open_best(self) -> Opened:
        """The snapshot in force; else a new one, built once; else an old one; else one in memory."""
        embedder = self._encoder()
        try:
            return self._open(embedder)
        except SnapshotError as error:
            # At a first start that is no news; later somebody should know.
            level = logging.WARNING if self._snapshots.exists() else logging.INFO
            logger.log(level, "the index must be built: %s", error)
        if embedder is not None:
            try:
                self._build(embedder)
                return self._open(embedder)
            except (SnapshotError, OSError) as error:
                logger.error("the index cannot be built on disk: %s", error)
        return self._open_old(embedder) or self._open_unsaved(embedder)

    def _build(self, embedder: Embedder) -> None:
        catalogue, _ = read_catalogue(self._wired.settings)
        catalogue_index.build(catalogue, embedder, self._snapshots, progress=self._wired.tell)

    def _open(self, embedder: Embedder | None) -> Opened:
        catalogue = self._catalogue()
        loaded = catalogue_index.load(self._snapshots.current(), catalogue, embedder)
        return self._engine(catalogue, loaded, embedder, is_whole=embedder is not None)

    def _open_old(self, embedder: Embedder | None) -> Opened | None:
        catalogue = self._catalogue()
        folder = self._wired.settings.index_folder
        names = (path.name for path in folder.iterdir()) if folder.is_dir() else iter(())
        for name in sorted((n for n in names if n[:1].isdigit()), reverse=True):
            try:
                loaded = catalogue_index.load(Snapshot.load(folder / name), catalogue, embedder)
            except (SnapshotError, OSError):
                continue
            return self._engine(catalogue, loaded, embedder, is_whole=False)
        return None

    def _open_unsaved(self, embedder: Embedder | None) -> Opened:
        catalogue = self._catalogue()
        if embedder is not None:
            try:
                unsaved = build_unsaved(catalogue, embedder)
                return self._engine(catalogue, unsaved, embedder, is_whole=False)
            except ModelError as error:
                logger.error("the encoder failed: %s", error)
        unsaved = build_unsaved(catalogue, HashingEmbedder())
        return self._engine(catalogue, unsaved, None, is_whole=False)

    def _catalogue(self) -> Catalogue:
        catalogue, problems = read_catalogue(self._wired.settings)
        for problem in problems[:20]:
            logger.warning("%s", problem)
        return catalogue

    def _engine(
        self,
        catalogue: Catalogue,
        loaded: catalogue_index.CatalogueIndex,
        embedder: Embedder | None,
        *,
        is_whole: bool,
    ) -> Opened:
        store = self._wired.store
        engine = build_engine(
            catalogue,
            loaded,
            embedder,
            n_slates=store.count_slates(),
            popularity=RecentPopularity(store),
        )
        return Opened(engine=self._learned.applied(engine), is_whole=is_whole)


def _working(wired: Wired, name: str) -> Embedder | None:
    """An encoder that was tried out, or None with the reason in the log."""
    try:
        embedder: Embedder = getattr(wired, name)
        embedder.embed(["知味 zhiwei"], kind="query")
    except Exception as error:  # the model libraries raise whatever they like
        wired.__dict__.pop(name, None)
        logger.error("no encoder: %s", error)
        return None
    return embedder


def build_engine(
    catalogue: Catalogue,
    loaded: catalogue_index.CatalogueIndex,
    embedder: Embedder | None,
    *,
    n_slates: int = 0,
    popularity: Callable[[], Popularity] = dict,
) -> Engine:
    """Join what one snapshot needs; without an encoder words and food knowledge remain."""
    table = CatalogueTable(catalogue)
    knowledge = KnowledgeIndex(catalogue, embedder)
    # Titles are found by their words then; hashed grams add nothing and cost nothing.
    finder = LessonFinder(catalogue.lessons, embedder or HashingEmbedder())
    # Here and not in a first answer, which holds the store's only writer.
    knowledge.get_ready()
    finder.get_ready()
    matcher = SteadyMatcher(
        HybridMatcher(catalogue=catalogue, index=loaded, embedder=embedder, knowledge=knowledge),
        catalogue,
        popularity,
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
        lesson_finder=finder,
        model_name=embedder.name if embedder is not None else NO_ENCODER,
    )
