"""The index of one catalogue: vectors and words of every item, on disk as one snapshot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from data.catalogue import Catalogue, Item
from data.errors import IndexMismatch, SnapshotError
from index.embedding import Embedder
from index.lexical import LexicalIndex, tokenize
from index.snapshot import Manifest, Snapshot, SnapshotFolder
from index.vector import VectorIndex

Progress = Callable[[str, int, int], None]
_BLOCK = 4_096
LARGEST_IN_MEMORY = 512 * 1024 * 1024
"""Bytes of vectors: 350 000 of 384 numbers."""


@dataclass(frozen=True)
class CatalogueIndex:
    """Vectors of every language version of every item, and BM25 over all its words."""

    vectors: VectorIndex
    owners: np.ndarray
    """(n_vectors,) int64: the catalogue row of each vector; rising."""
    lexical: LexicalIndex
    catalogue_version: str
    version: str
    """Name of the snapshot, for logs."""

    @property
    def n_items(self) -> int:
        return len(self.lexical)


def passages_of(item: Item) -> list[str]:
    """One text per language in which the item has a name: name, category, description, tags."""
    versions = (
        (item.name_zh, item.description_zh),
        (item.name_en, item.description_en),
    )
    category = item.category.replace("_", " ")
    tags = ", ".join(item.tags)
    return [
        ". ".join(part for part in (name, description, category, tags) if part)
        for name, description in versions
        if name
    ]


def lexical_terms(item: Item) -> list[str]:
    """Terms for BM25: names count three times, descriptions and tags once.

    However often a text says a word, it is one word: to repeat it must not pay.
    """
    names = tokenize(f"{item.name_zh} {item.name_en}")
    rest = tokenize(
        " ".join(
            (item.description_zh, item.description_en, item.category.replace("_", " "), *item.tags)
        )
    )
    return [*dict.fromkeys(names), *dict.fromkeys(names), *dict.fromkeys((*names, *rest))]


def build(
    catalogue: Catalogue,
    embedder: Embedder,
    folder: SnapshotFolder,
    *,
    at: datetime | None = None,
    progress: Progress | None = None,
) -> Snapshot:
    """Embed, index and publish; texts embedded before come from the embedder's cache.

    Raises:
        SnapshotError: the catalogue is empty, or the folder cannot be written.
    """
    if not catalogue.items:
        raise SnapshotError(
            "the catalogue has no items, so there is nothing to index; "
            "import some with `zhiwei import items FILE`"
        )
    tell = progress or (lambda _what, _done, _total: None)
    texts: list[str] = []
    owners: list[int] = []
    for row, item in enumerate(catalogue.items):
        versions = passages_of(item)
        texts.extend(versions)
        owners.extend([row] * len(versions))
    vectors = _embed(texts, embedder, tell)
    vector_index = VectorIndex.build(vectors, progress=progress)
    tell("indexing words", 0, len(catalogue))
    lexical = LexicalIndex.build_from_terms(lexical_terms(item) for item in catalogue)
    tell("indexing words", len(catalogue), len(catalogue))

    def write(path: Path) -> None:
        vector_index.save(path)
        lexical.save(path)
        np.save(path / "owners.npy", np.asarray(owners, dtype=np.int64), allow_pickle=False)

    manifest = Manifest(
        model_name=embedder.name,
        model_fingerprint=embedder.fingerprint,
        dim=embedder.dim,
        counts={"items": len(catalogue), "vectors": len(texts)},
        catalogue_hash=catalogue.version,
        built_at=at or datetime.now(UTC),
        recall=vector_index.recall,
    )
    return folder.publish(write, manifest)


def _embed(texts: Sequence[str], embedder: Embedder, tell: Progress) -> np.ndarray:
    keep = getattr(embedder, "keep", embedder.embed)
    vectors = np.empty((len(texts), embedder.dim), dtype=np.float32)
    for start in range(0, len(texts), _BLOCK):
        tell("embedding items", start, len(texts))
        block = texts[start : start + _BLOCK]
        vectors[start : start + len(block)] = keep(block, kind="passage")
    tell("embedding items", len(texts), len(texts))
    return vectors


def load(snapshot: Snapshot, catalogue: Catalogue, embedder: Embedder | None) -> CatalogueIndex:
    """Open a verified snapshot for this catalogue and model.

    Raises:
        IndexMismatch: it belongs to another model or catalogue.
        SnapshotError: a file is broken.
    """
    if embedder is not None:
        snapshot.require(
            model_fingerprint=embedder.fingerprint, dim=embedder.dim, model_name=embedder.name
        )
    if snapshot.manifest.catalogue_hash != catalogue.version:
        raise IndexMismatch(
            f"the index {snapshot.path.name} belongs to another version of the catalogue "
            f"({snapshot.manifest.catalogue_hash}, now {catalogue.version}); "
            "run `zhiwei index build`"
        )
    try:
        owners = np.load(snapshot.path / "owners.npy", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise SnapshotError(
            f"{snapshot.path.name}/owners.npy cannot be read ({error}); run `zhiwei index build`"
        ) from error
    return CatalogueIndex(
        vectors=VectorIndex.load(snapshot.path, mmap=_is_large(snapshot.path)),
        owners=owners,
        lexical=LexicalIndex.load(snapshot.path),
        catalogue_version=catalogue.version,
        version=snapshot.name,
    )


def _is_large(folder: Path) -> bool:
    """Whether the vectors are worth mapping.

    What is mapped changes with the file: bytes that somebody damages later change the answers, and
    a file that somebody cuts ends the process. So only what memory should not hold twice is mapped.
    """
    return sum(path.stat().st_size for path in folder.glob("vectors.*")) > LARGEST_IN_MEMORY
