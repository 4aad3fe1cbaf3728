"""What can be compared with the matcher in force: weightings of it, and others. Learners never meet them."""

from __future__ import annotations

import threading

from bot.engine import Engine
from bot.settings import Settings
from bot.studio.previewing import Weighting
from bot.studio.words import Refused
from bot.wiring import Wired
from index.embedding import Embedder, HashingEmbedder, open_embedder
from index.knowledge import KnowledgeIndex
from index.matches import Matcher
from index.matching import HybridMatcher
from index.unsaved_index import build_unsaved

IN_FORCE, OWN = "in_force", "own"
"""What learners get now, and the weights that the form has."""
PRESETS: dict[str, Weighting] = {
    "meaning": Weighting(meaning=3.0, words=0.5),
    "words": Weighting(meaning=0.5, words=2.0),
    "foods": Weighting(foods=1.5, topics=0.3),
    "topics": Weighting(foods=0.5, topics=1.5),
}
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


def models(settings: Settings) -> tuple[str, ...]:
    """The model in force, and its rivals."""
    return (IN_FORCE, *rivals(settings))


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
