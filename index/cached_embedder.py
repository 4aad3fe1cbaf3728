"""Vectors kept by text and model: a re-build embeds only what changed, a known lesson is instant.

On disk one append-only file per model fingerprint: records of a 16-byte key and a float32 vector.
A torn last record (power loss, kill) is cut off by the next writer; a damaged vector is noticed
by its length, which is not 1, and embedded again.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from index.embedding import Embedder, Kind, Progress, Vectors

logger = logging.getLogger(__name__)

_KEY_BYTES = 16
_BLOCK = 8192


class CachedEmbedder:
    """An embedder that remembers.

    Passages are remembered on disk, queries only in memory: what people type stays out of files.
    `keep` puts texts of the catalogue on disk in either role.
    """

    def __init__(
        self,
        inner: Embedder,
        folder: Path | None = None,
        *,
        memory: int = 4096,
        progress: Progress | None = None,
    ) -> None:
        """Wrap `inner`.

        Args:
            inner: Embeds what is new.
            folder: Where vectors are kept; None keeps them in memory only.
            memory: Vectors held in memory, the least recently used go first.
            progress: Told after each block of a bulk call.
        """
        self._inner = inner
        self._store = None if folder is None else _Store(folder, inner.fingerprint, inner.dim)
        self._recent: OrderedDict[bytes, Vectors] = OrderedDict()
        self._memory = memory
        self._lock = threading.Lock()
        self._progress = progress

    @property
    def name(self) -> str:
        return self._inner.name

    @property
    def fingerprint(self) -> str:
        return self._inner.fingerprint

    @property
    def dim(self) -> int:
        return self._inner.dim

    @property
    def inner(self) -> Embedder:
        return self._inner

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._inner.count_tokens(texts)

    def embed(self, texts: Sequence[str], *, kind: Kind) -> Vectors:
        return self._embed(texts, kind, on_disk=kind == "passage")

    def keep(self, texts: Sequence[str], *, kind: Kind) -> Vectors:
        """Embed texts that are nobody's private words, and keep them on disk."""
        return self._embed(texts, kind, on_disk=True)

    def _embed(self, texts: Sequence[str], kind: Kind, *, on_disk: bool) -> Vectors:
        vectors = np.empty((len(texts), self.dim), dtype=np.float32)
        for start in range(0, len(texts), _BLOCK):
            block = texts[start : start + _BLOCK]
            vectors[start : start + len(block)] = self._embed_block(block, kind, on_disk=on_disk)
            if self._progress is not None and len(texts) > _BLOCK:
                self._progress("embedding texts", start + len(block), len(texts))
        return vectors

    def _embed_block(self, texts: Sequence[str], kind: Kind, *, on_disk: bool) -> Vectors:
        keys = [_key(text, kind) for text in texts]
        vectors = np.empty((len(texts), self.dim), dtype=np.float32)
        missing = self._from_memory(keys, vectors)
        if missing and self._store is not None:
            found = self._store.read([keys[number] for number in missing], vectors, missing)
            missing = [number for number in missing if number not in found]
        if missing:
            fresh = {keys[number]: texts[number] for number in missing}
            embedded = self._inner.embed(list(fresh.values()), kind=kind)
            row_by_key = dict(zip(fresh, embedded, strict=True))
            for number in missing:
                vectors[number] = row_by_key[keys[number]]
            if on_disk and self._store is not None:
                self._store.append(list(fresh), embedded)
        self._remember(keys, vectors)
        return vectors

    def _from_memory(self, keys: list[bytes], vectors: Vectors) -> list[int]:
        missing = []
        with self._lock:
            for number, key in enumerate(keys):
                known = self._recent.get(key)
                if known is None:
                    missing.append(number)
                    continue
                self._recent.move_to_end(key)
                vectors[number] = known
        return missing

    def _remember(self, keys: list[bytes], vectors: Vectors) -> None:
        # A bulk call would only push out what is really asked for again.
        if len(keys) > self._memory // 4:
            return
        with self._lock:
            for key, vector in zip(keys, vectors, strict=True):
                self._recent[key] = vector.copy()
                self._recent.move_to_end(key)
            while len(self._recent) > self._memory:
                self._recent.popitem(last=False)


class _Store:
    """The file of one model's vectors; readers need no lock, writers take one."""

    def __init__(self, folder: Path, fingerprint: str, dim: int) -> None:
        safe_name = hashlib.sha256(fingerprint.encode()).hexdigest()[:16]
        self._path = folder / f"{safe_name}-{dim}.vectors"
        self._record = np.dtype([("key", f"V{_KEY_BYTES}"), ("vector", "<f4", (dim,))])
        self._rows: dict[bytes, int] = {}
        self._n_read = 0
        self._lock = threading.Lock()

    def read(self, keys: list[bytes], vectors: Vectors, targets: list[int]) -> set[int]:
        """Copy the known vectors to rows `targets` of `vectors`; give the rows that were filled."""
        with self._lock:
            records = self._refresh()
            if records is None:
                return set()
            pairs = [
                (row, target)
                for key, target in zip(keys, targets, strict=True)
                if (row := self._rows.get(key)) is not None
            ]
        if not pairs:
            return set()
        rows, filled = np.asarray(pairs, dtype=np.intp).T
        known = records["vector"][rows]
        intact = np.abs(np.linalg.norm(known, axis=1) - 1) < 1e-3
        vectors[filled[intact]] = known[intact]
        return set(filled[intact].tolist())

    def append(self, keys: list[bytes], vectors: Vectors) -> None:
        records = np.empty(len(keys), dtype=self._record)
        records["key"] = np.frombuffer(b"".join(keys), dtype=f"V{_KEY_BYTES}")
        records["vector"] = vectors
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                torn = file.tell() % self._record.itemsize
                if torn:
                    file.truncate(file.tell() - torn)
                file.write(records.tobytes())
        except OSError as error:
            # A cache that cannot be written costs time, not answers.
            logger.info("embedding cache not written", extra={"reason": str(error)})

    def _refresh(self) -> NDArray[np.void] | None:
        """Map the file and learn the keys that were added since, ours or another process's."""
        try:
            n_records = self._path.stat().st_size // self._record.itemsize
        except OSError:
            return None
        if n_records == 0:
            return None
        if n_records < self._n_read:
            self._rows, self._n_read = {}, 0
        try:
            records: NDArray[np.void] = np.memmap(
                self._path, dtype=self._record, mode="r", shape=(n_records,)
            )
        except (OSError, ValueError):
            # Not readable, not a file, or shortened a moment ago: embed instead.
            return None
        if n_records > self._n_read:
            new = records["key"][self._n_read :].tolist()
            self._rows.update(zip(new, range(self._n_read, n_records), strict=True))
            self._n_read = n_records
        return records


def _key(text: str, kind: Kind) -> bytes:
    return hashlib.blake2b(f"{kind}\0{text}".encode(), digest_size=_KEY_BYTES).digest()
