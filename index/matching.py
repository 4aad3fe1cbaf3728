"""match(U, P): the items that go with a lesson or with words, and the sentence that says so.

Three views of every candidate are joined into one score:
dense (0.6 * best sentence + 0.4 * mean of the best three, cosine), lexical (BM25), and knowledge
(foods that the text names or implies, see `index.knowledge`). Without an encoder the other two remain.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from data.catalogue import Catalogue, ItemId
from data.errors import ModelError
from data.events import Mode
from index.catalogue_index import CatalogueIndex
from index.embedding import Embedder
from index.fusion import Fusion, Views
from index.knowledge import KnowledgeIndex, Reading
from index.matches import Hit, Matches, Query
from index.passages import sentences
from index.query_terms import query_terms

SMALL = 20_000
"""Up to so many vectors every item is scored; above, only what the indexes retrieve."""
RETRIEVED = 200
MAX_SENTENCES = 400
_REMEMBERED = 2_000
_SAMPLE = 512


@dataclass(frozen=True, slots=True)
class _Text:
    """A text, read once: its sentences, their vectors, and what it says of food."""

    pieces: tuple[str, ...]
    vectors: np.ndarray | None
    """(n_pieces, dim) float32, unit; None without an encoder."""
    reading: Reading


@dataclass(frozen=True)
class HybridMatcher:
    """Finds items of one catalogue by meaning, words and food knowledge."""

    catalogue: Catalogue
    index: CatalogueIndex
    embedder: Embedder | None
    knowledge: KnowledgeIndex
    fusion: Fusion = field(default_factory=Fusion)
    small: int = SMALL
    _texts: OrderedDict[tuple[str, str], _Text] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def version(self) -> str:
        return self.index.version

    @cached_property
    def _matrix(self) -> np.ndarray | None:
        """All vectors at hand when they are few, else None."""
        if len(self.index.vectors) > self.small:
            return None
        return self.index.vectors.reconstruct(np.arange(len(self.index.vectors)))

    def match(self, query: Query, *, eligible: np.ndarray | None, top_k: int) -> Matches:
        """Give the best `top_k` items among the rows where `eligible` (n_items,) is true."""
        n_items = len(self.catalogue)
        mask = np.ones(n_items, dtype=bool) if eligible is None else eligible
        if not mask.any():
            return Matches(hits=(), floor=0.0, is_silent=False)
        text, mode = self._read(query.title, query.text)
        wishes = self._read("", query.wishes)[0] if query.wishes else None
        rows = self._candidates(text, wishes, query, mask)
        views = self._joined(query, text, wishes, rows)
        scores = self.fusion.scores(views, is_lesson=query.is_lesson)
        order = np.lexsort((rows, -scores))[:top_k]
        hits = tuple(
            Hit(
                item_id=self.catalogue.items[rows[i]].item_id,
                row=int(rows[i]),
                score=float(scores[i]),
                dense=float(views.dense[i]),
                lexical=float(views.lexical[i]),
                knowledge=float(views.knowledge[i]),
                evidence=self._evidence(text, int(rows[i])) if query.is_lesson else "",
            )
            for i in order
        )
        floor = self.fusion.floor(text.reading, is_lesson=query.is_lesson)
        is_silent = self.fusion.is_silent(scores[order], floor, is_lesson=query.is_lesson)
        return Matches(hits=hits, floor=floor, is_silent=is_silent, mode=mode)

    def explain(
        self, query: Query, item_id: ItemId, *, eligible: np.ndarray | None = None
    ) -> dict[str, float]:
        """What each view adds to the log-odds of one item; the sum is the log-odds of its score.

        Args:
            query: as given to `match`.
            item_id: the item in question.
            eligible: as given to `match`: words and likeness are measured against the others.

        Raises:
            KeyError: the catalogue has no such item.
        """
        text, _ = self._read(query.title, query.text)
        wishes = self._read("", query.wishes)[0] if query.wishes else None
        row = self.knowledge.row_by_id[item_id]
        mask = np.ones(len(self.catalogue), dtype=bool) if eligible is None else eligible
        rows = np.union1d(self._candidates(text, wishes, query, mask), [row])
        parts = self.fusion.contributions(self._joined(query, text, wishes, rows))
        position = int(np.searchsorted(rows, row))
        return {name: float(values[position]) for name, values in parts.items()}

    def _joined(self, query: Query, text: _Text, wishes: _Text | None, rows: np.ndarray) -> Views:
        views = self._views(text, rows)
        if wishes is not None:
            views = views.moved(self._views(wishes, rows), weight=0.6)
        return views.like(self._likeness(rows, query.like)) if query.like else views

    def similarities(self, rows: np.ndarray) -> np.ndarray:
        """(k,) catalogue rows -> (k, k) cosine of the items' mean vectors."""
        if len(rows) == 0:
            return np.zeros((0, 0))
        means = np.stack([self._mean_vector(int(row)) for row in rows])
        return np.asarray(means @ means.T, dtype=np.float64)

    def _mean_vector(self, row: int) -> np.ndarray:
        first, last = np.searchsorted(self.index.owners, [row, row + 1])
        vectors = self._vectors(np.arange(first, last))
        mean = vectors.mean(axis=0)
        return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9))

    def _vectors(self, positions: np.ndarray) -> np.ndarray:
        if self._matrix is not None:
            return np.asarray(self._matrix[positions])
        return self.index.vectors.reconstruct(positions)

    def _read(self, title: str, text: str) -> tuple[_Text, Mode]:
        key = (title, text)
        with self._lock:
            known = self._texts.get(key)
            if known is not None:
                self._texts.move_to_end(key)
        if known is None:
            known = self._understand(title, text)
            with self._lock:
                self._texts[key] = known
                while len(self._texts) > _REMEMBERED:
                    self._texts.popitem(last=False)
        return known, Mode.FULL if known.vectors is not None else Mode.LEXICAL

    def _understand(self, title: str, text: str) -> _Text:
        pieces = sentences(text)[:MAX_SENTENCES]
        if title and (not pieces or pieces[0] != title):
            pieces = [title, *pieces]
        vectors = None
        if self.embedder is not None and pieces:
            try:
                vectors = self.embedder.embed(pieces, kind="query")
            except ModelError:
                vectors = None
        reading = self.knowledge.read(title, text, pieces, vectors)
        return _Text(tuple(pieces), vectors, reading)

    def _candidates(
        self, text: _Text, wishes: _Text | None, query: Query, mask: np.ndarray
    ) -> np.ndarray:
        """(k,) eligible rows, rising."""
        if len(self.index.vectors) <= self.small:
            return np.flatnonzero(mask)
        rows: set[int] = set()
        for part in (text, wishes):
            if part is None:
                continue
            if part.vectors is not None:
                vector_mask = mask[self.index.owners]
                _, found = self.index.vectors.search(
                    part.vectors[:64], RETRIEVED, eligible=vector_mask
                )
                rows.update(self.index.owners[found[found >= 0]].tolist())
            _, words = self.index.lexical.search(
                " ".join(query_terms(part.pieces)), RETRIEVED, eligible=mask
            )
            rows.update(int(r) for r in words)
            rows.update(r for r in self.knowledge.rows_for(part.reading, RETRIEVED) if mask[r])
        return np.array(sorted(rows), dtype=np.int64)

    def _views(self, text: _Text, rows: np.ndarray) -> Views:
        terms = query_terms(text.pieces)
        lexical = self.index.lexical.scores_of_terms(terms)[rows].astype(np.float64)
        best = float(lexical.max(initial=0.0))
        dense = self._dense(text, rows)
        features = self.knowledge.features(text.reading, rows)
        return Views(
            dense=dense,
            dense_z=self._in_deviations(text, dense),
            # "Never drink coffee at night" has the word, and does not speak for it.
            lexical=lexical / max(best, 1e-9) * (1.0 - features["doubt"]),
            cooking=text.reading.cooking,
            features=features,
        )

    def _dense(self, text: _Text, rows: np.ndarray) -> np.ndarray:
        """(k,) 0.6 * best sentence + 0.4 * mean of the best three; 0 without an encoder."""
        if text.vectors is None or len(rows) == 0:
            return np.zeros(len(rows))
        starts = np.searchsorted(self.index.owners, rows)
        ends = np.searchsorted(self.index.owners, rows + 1)
        positions = np.concatenate([np.arange(s, e) for s, e in zip(starts, ends, strict=True)])
        cosines = self._vectors(positions) @ text.vectors.T
        k = min(3, cosines.shape[1])
        top = -np.partition(-cosines, k - 1, axis=1)[:, :k]
        pooled = 0.6 * top.max(axis=1) + 0.4 * top.mean(axis=1)
        offsets = np.concatenate([[0], np.cumsum(ends - starts)[:-1]])
        return np.asarray(np.maximum.reduceat(pooled, offsets), dtype=np.float64)

    @cached_property
    def _sample(self) -> np.ndarray:
        """(at most 512,) catalogue rows, the same every time: what an unrelated item is like."""
        n = len(self.catalogue)
        if n <= _SAMPLE:
            return np.arange(n)
        return np.sort(np.random.default_rng(0).choice(n, size=_SAMPLE, replace=False))

    def _in_deviations(self, text: _Text, dense: np.ndarray) -> np.ndarray:
        """(k,) cosines in standard deviations over the sample; 0 without an encoder."""
        if text.vectors is None or len(self._sample) < 2:
            return np.zeros(len(dense))
        typical = self._dense(text, self._sample)
        spread = max(float(typical.std()), 1e-6)
        return np.asarray(np.clip((dense - typical.mean()) / spread, -3.0, 5.0))

    def _likeness(self, rows: np.ndarray, like: tuple[ItemId, ...]) -> np.ndarray:
        """(k,) cosine to the nearest of the items pointed at; those themselves get -1."""
        row_by_id = self.knowledge.row_by_id
        wanted = [row_by_id[item_id] for item_id in like if item_id in row_by_id]
        if not wanted:
            return np.zeros(len(rows))
        targets = np.stack([self._mean_vector(row) for row in wanted])
        own = np.stack([self._mean_vector(int(row)) for row in rows])
        likeness = (own @ targets.T).max(axis=1)
        likeness[np.isin(rows, wanted)] = -1.0
        return np.asarray(likeness, dtype=np.float64)

    def _evidence(self, text: _Text, row: int) -> str:
        """The sentence that names the item, else the one nearest to it; never the bare title."""
        named = self.knowledge.naming_sentence(text.reading, row, text.pieces)
        if named:
            return named
        if text.vectors is None or not text.pieces:
            return ""
        first, last = np.searchsorted(self.index.owners, [row, row + 1])
        cosines = (self._vectors(np.arange(first, last)) @ text.vectors.T).max(axis=0)
        topical = self.knowledge.telling_sentence(text.reading, row, text.pieces)
        for i in topical:
            cosines[i] += 0.05
        return text.pieces[int(np.argmax(cosines))]
