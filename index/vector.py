"""Nearest vectors by cosine, inside a set of eligible rows. The only file that imports FAISS.

Exact up to `EXACT_UP_TO` vectors. Eligibility is part of the search, not a filter behind it: a
filter that leaves ten rows still finds ten.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from data.errors import IndexMismatch, SnapshotError

EXACT_UP_TO = 100_000
FORMAT = 1

VectorKind = Literal["auto", "flat", "ivf"]
Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]


@cache
def _faiss() -> Any:
    import faiss  # 0.13 s

    return faiss


def _use_threads(n_queries: int) -> None:
    """One OpenMP thread for a single query: waking a second costs more than it gives.

    The setting is the calling thread's own, so threads do not disturb each other.
    """
    _faiss().omp_set_num_threads(1 if n_queries == 1 else os.cpu_count() or 1)


class VectorIndex:
    """Unit vectors, searched by inner product."""

    def __init__(self, flat: Any) -> None:
        self._flat = flat
        self.kind: VectorKind = "flat"
        self.recall = 1.0

    def __len__(self) -> int:
        return int(self._flat.ntotal)

    @property
    def dim(self) -> int:
        return int(self._flat.d)

    @classmethod
    def build(
        cls, vectors: Vectors, *, kind: VectorKind = "auto", target_recall: float = 0.98
    ) -> VectorIndex:
        """Index unit vectors, (n, dim) float32."""
        flat = _faiss().IndexFlatIP(vectors.shape[1])
        flat.add(np.ascontiguousarray(vectors, dtype=np.float32))
        return cls(flat)

    def search(
        self, queries: Vectors, top_k: int, *, eligible: NDArray[Any] | None = None
    ) -> tuple[Vectors, Rows]:
        """Find the nearest eligible rows of each query.

        Args:
            queries: (n_queries, dim) or (dim,) float32, unit.
            top_k: How many for each.
            eligible: (n,) bool mask or row numbers; None means all.

        Returns:
            Similarities falling, and row numbers, both (n_queries, top_k). Where fewer rows are
            eligible the rest is row -1 with similarity -inf.
        """
        asked = np.ascontiguousarray(np.atleast_2d(queries), dtype=np.float32)
        mask = None if eligible is None else _as_mask(eligible, len(self))
        _use_threads(len(asked))
        parameters = None if mask is None else _selector_parameters(mask)
        similarities, rows = self._flat.search(asked, top_k, params=parameters)
        return _checked(similarities, rows, mask)

    def save(self, path: Path) -> None:
        """Write two files into the folder `path`, which exists."""
        _faiss().write_index(self._flat, str(path / "vectors.faiss"))
        about = {"format": FORMAT, "kind": self.kind, "n": len(self), "dim": self.dim}
        (path / "vectors.json").write_text(json.dumps(about), encoding="utf-8")

    @classmethod
    def load(cls, path: Path, *, mmap: bool = True) -> VectorIndex:
        """Read what `save` wrote; memory-mapped, so that processes share the pages."""
        faiss = _faiss()
        try:
            about = json.loads((path / "vectors.json").read_text(encoding="utf-8"))
            if about["format"] != FORMAT:
                raise IndexMismatch(
                    f"the vectors in {path} have format {about['format']}, this version reads "
                    f"{FORMAT}; run `zhiwei index build` again"
                )
            flags = faiss.IO_FLAG_MMAP_IFC if mmap else 0
            flat = faiss.read_index(str(path / "vectors.faiss"), flags)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise SnapshotError(
                f"the vectors in {path} cannot be read ({error}); run `zhiwei index build` again"
            ) from error
        return cls(flat)


def _as_mask(eligible: NDArray[Any], n: int) -> NDArray[np.bool_]:
    if eligible.dtype == np.bool_:
        if eligible.shape != (n,):
            message = f"the eligible mask has shape {eligible.shape}, expected ({n},)"
            raise ValueError(message)
        return eligible
    mask = np.zeros(n, dtype=bool)
    mask[eligible] = True
    return mask


def _selector_parameters(mask: NDArray[np.bool_]) -> Any:
    faiss = _faiss()
    bits = np.packbits(mask, bitorder="little")
    selector = faiss.IDSelectorBitmap(len(mask), faiss.swig_ptr(bits))
    parameters = faiss.SearchParameters(sel=selector)
    parameters.bits = bits  # FAISS keeps only a pointer; the array has to live as long
    return parameters


def _checked(
    similarities: Vectors, rows: Rows, mask: NDArray[np.bool_] | None
) -> tuple[Vectors, Rows]:
    """FAISS pads with row -1 and the lowest float; make that -inf, and trust no hit unseen."""
    similarities = np.where(rows < 0, np.float32(-np.inf), similarities)
    if mask is not None and not mask[rows[rows >= 0]].all():
        message = "the vector index gave a row that is not eligible"
        raise AssertionError(message)
    return similarities, rows
