"""Keeps the ranking up to date with the log: counts for cold start, and the model in force."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.engine import Engine
from data.errors import ZhiweiError
from data.model_registry import ModelRegistry

if TYPE_CHECKING:
    from bot.wiring import Wired

logger = logging.getLogger(__name__)
REFRESH_SECONDS = 600.0
"""How old the counts of impressions and likes may become."""


class LearnedRanking:
    """Gives engines the scorer that today's log and the registry ask for."""

    def __init__(self, wired: Wired, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wired = wired
        self._monotonic = monotonic
        self._registry = ModelRegistry(wired.settings.state / "models")
        self._applied_at = float("-inf")
        self._stamp: int | None = None
        self._thread: threading.Thread | None = None

    def applied(self, engine: Engine) -> Engine:
        """The engine with the scorer in force; a model that cannot be read leaves matching alone."""
        from bot.learning import open_scorer  # it imports the wiring, which imports this

        self._applied_at, self._stamp = self._monotonic(), self._registry_stamp()
        try:
            scorer = open_scorer(
                self._wired, self._registry, similarities=engine.matcher.similarities
            )
        except ZhiweiError as error:
            logger.error("matching alone ranks: %s", error)
            return engine
        return replace(engine, recommender=replace(engine.recommender, scorer=scorer))

    def is_due(self) -> bool:
        """Whether a model was promoted or rolled back, or the counts are old; costs one stat."""
        return (
            self._monotonic() - self._applied_at >= REFRESH_SECONDS
            or self._registry_stamp() != self._stamp
        )

    def refresh_in_background(self, refresh: Callable[[], None]) -> None:
        """Run `refresh` in a thread of its own, one at a time."""
        if self._thread is None or not self._thread.is_alive():
            self._applied_at, self._stamp = self._monotonic(), self._registry_stamp()
            self._thread = threading.Thread(target=refresh, name="relearn", daemon=True)
            self._thread.start()

    def _registry_stamp(self) -> int | None:
        try:
            return (self._registry.folder / "registry.json").stat().st_mtime_ns
        except OSError:
            return None
