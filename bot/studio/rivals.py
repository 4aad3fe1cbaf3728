"""Matchers that are not in force, to be compared with the one that is. Learners never meet them."""

from __future__ import annotations

import threading

from bot.engine import Engine
from bot.settings import Settings
from bot.studio.words import Refused
from bot.wiring import Wired
from index.embedding import Embedder, HashingEmbedder, open_embedder
from index.knowledge import KnowledgeIndex
from index.matches import Matcher
from index.matching import HybridMatcher
from index.unsaved_index import build_unsaved

WORDS_ONLY = "words_only"
"""No encoder: shared words and food knowledge."""
BUNDLED = "bundled_model"
"""The shipped encoder, where `ZHIWEI_MODEL` names another one."""
OTHER = "other_model"
"""The encoder that `ZHIWEI_COMPARE_MODEL` names."""


def rivals(settings: Settings) -> tuple[str, ...]:
    """Which models this deployment can put beside the one in force."""
    return (
        WORDS_ONLY,
        *((BUNDLED,) if settings.model else ()),
        *((OTHER,) if settings.compare_model else ()),
    )


class Rivals:
    """Builds a rival when it is first compared, in memory; kept until the index changes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version = ""
        self._matchers: dict[str, Matcher] = {}

    def matcher(self, name: str, wired: Wired, engine: Engine) -> Matcher:
        """Give a rival over the catalogue in force. The first time it embeds every item.

        Raises:
            InvalidInput: this deployment has no such rival.
            ModelError: its model cannot be opened.
        """
        if name not in rivals(wired.settings):
            raise Refused("compare.no_model", name=name)
        with self._lock:
            if self._version != engine.matcher.version:
                self._version, self._matchers = engine.matcher.version, {}
            if name not in self._matchers:
                self._matchers[name] = _built(engine, _embedder(name, wired))
            return self._matchers[name]


def _embedder(name: str, wired: Wired) -> Embedder | None:
    if name == BUNDLED:
        return wired.speech_embedder
    if name == OTHER:
        s = wired.settings
        return open_embedder(s.compare_model, s.cache, backend=s.backend, progress=wired.tell)
    return None


def _built(engine: Engine, embedder: Embedder | None) -> Matcher:
    return HybridMatcher(
        catalogue=engine.catalogue,
        # Without an encoder the vectors are never asked.
        index=build_unsaved(engine.catalogue, embedder or HashingEmbedder()),
        embedder=embedder,
        knowledge=KnowledgeIndex(engine.catalogue, embedder),
    )
