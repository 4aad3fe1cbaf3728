"""Nearest vectors by cosine, inside a set of eligible rows.

Up to `EXACT_UP_TO` vectors the search is exact. Above, vectors are grouped in lists and kept as
one byte a number, a quarter of the memory: what is coded is the difference from the list's centre,
which on food vectors keeps 99 % of the ten nearest where coding the vectors themselves keeps 97 %.
How many lists a query visits is tuned at build time against exact search.

Eligibility is part of the search, not a filter behind it: a filter that leaves ten rows still
finds ten.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from data.errors import IndexMismatch, SnapshotError
from index.embedding import Progress
from index.exact import Mask, Rows, Vectors, blocks
from index.vector_lists import build_lists, faiss, use_threads
from index.vector_tuning import Tuning, made_queries, spread, tune

EXACT_UP_TO = 100_000
FORMAT = 1

VectorKind = Literal["auto", "flat", "ivf"]
_REPAIR = "run `zhiwei index build` again"
_SPREAD = 0.9
"""A mask that touches so many of the lists is like a random one; else it keeps a corner."""


class VectorIndex:
    """Unit vectors, searched by inner product. Safe to search from several threads."""

    def __init__(self, inner: Any, tuning: Tuning | None = None) -> None:
        """Wrap a FAISS index; use `build` or `load`."""
        self._inner = inner
        self.tuning = tuning or Tuning()

    def __len__(self) -> int:
        return int(self._inner.ntotal)

    @property
    def dim(self) -> int:
        return int(self._inner.d)

    @property
    def kind(self) -> VectorKind:
        return "ivf" if hasattr(self._inner, "nlist") else "flat"

    @property
    def recall(self) -> float:
        """Recall@10 against exact search, measured at build time; 1.0 for an exact index."""
        return self.tuning.recall

    @classmethod
    def build(
        cls,
        vectors: Vectors,
        *,
        kind: VectorKind = "auto",
        target_recall: float = 0.98,
        queries: Vectors | None = None,
        progress: Progress | None = None,
    ) -> VectorIndex:
        """Index unit vectors.

        Args:
            vectors: (n, dim) float32 unit rows; a memory-mapped array is read in blocks, so that
                the build needs a quarter of its bytes and little more.
            kind: `auto` is exact up to `EXACT_UP_TO` rows.
            target_recall: Recall@10 that the number of visited lists is tuned for.
            queries: (n, dim) float32, like those that will come, such as the lessons' passages;
                made from the vectors when None.
            progress: Told of the slow steps.
        """
        if kind == "flat" or (kind == "auto" and len(vectors) <= EXACT_UP_TO):
            flat = faiss().IndexFlatIP(vectors.shape[1])
            for block in blocks(vectors):
                flat.add(block)
            return cls(flat)
        tell = progress or (lambda _what, _done, _total: None)
        use_threads(2)
        built = cls(build_lists(vectors, tell))
        asked = made_queries(vectors) if queries is None else spread(queries)
        built.tuning = tune(
            built._nearest_ten, built._n_lists, vectors, asked, target_recall, tell
        )
        return built

    def search(
        self, queries: Vectors, top_k: int, *, eligible: NDArray[Any] | None = None
    ) -> tuple[Vectors, Rows]:
        """Find the nearest eligible rows of each query.

        Args:
            queries: (n_queries, dim) or (dim,) float32, unit.
            top_k: How many for each, at least 1.
            eligible: (n,) bool mask or row numbers; None means all.

        Returns:
            Cosines in [-1, 1], falling, and row numbers, both (n_queries, top_k). Where fewer rows
            are eligible the rest is row -1 with similarity -inf. Cosines of a `ivf` index are good
            to about 0.001.
        """
        asked = np.ascontiguousarray(np.atleast_2d(queries), dtype=np.float32)
        mask = None if eligible is None else _as_mask(eligible, len(self))
        use_threads(len(asked))
        if self.kind == "flat":
            selector = None if mask is None else _Selector(mask)
            parameters = selector and faiss().SearchParameters(sel=selector.inner)
            similarities, rows = self._inner.search(asked, top_k, params=parameters)
        else:
            distances, rows = self._search_lists(asked, top_k, mask)
            similarities = 1 - distances / 2  # of unit vectors, from squared Euclidean distance
        return _checked(similarities, rows, mask)

    def reconstruct(self, rows: Rows) -> Vectors:
        """Give vectors back: exact for `flat`, to about 0.01 in length for `ivf`."""
        if self.kind == "ivf":
            _ = self._list_of_row  # builds the map from rows to places
        return np.asarray(
            self._inner.reconstruct_batch(np.asarray(rows, dtype=np.int64)), dtype=np.float32
        )

    def save(self, path: Path) -> None:
        """Write `vectors.faiss` and `vectors.json` into the folder `path`, which exists."""
        if self.kind == "ivf":
            # The map from rows to places is made again in a moment; on disk it is 2 % more bytes.
            self._inner.set_direct_map_type(faiss().DirectMap.NoMap)
            self.__dict__.pop("_list_of_row", None)
        faiss().write_index(self._inner, str(path / "vectors.faiss"))
        about = {
            "format": FORMAT,
            "kind": self.kind,
            "n": len(self),
            "dim": self.dim,
            "tuning": asdict(self.tuning),
        }
        (path / "vectors.json").write_text(json.dumps(about, indent=2), encoding="utf-8")

    @classmethod
    def load(cls, path: Path, *, mmap: bool = True) -> VectorIndex:
        """Read what `save` wrote; memory-mapped, processes share the pages.

        Raises:
            IndexMismatch: Another format.
            SnapshotError: A file is missing or broken.
        """
        library = faiss()
        try:
            about = json.loads((path / "vectors.json").read_text(encoding="utf-8"))
            if about["format"] != FORMAT:
                raise IndexMismatch(
                    f"the vectors in {path} have format {about['format']}, this version reads "
                    f"{FORMAT}; {_REPAIR}"
                )
            flags = library.IO_FLAG_MMAP_IFC if mmap else 0
            inner = library.read_index(str(path / "vectors.faiss"), flags)
            loaded = cls(inner, Tuning(**about["tuning"]))
            described = (about["n"], about["dim"], about["kind"])
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise SnapshotError(
                f"the vectors in {path} cannot be read ({error}); {_REPAIR}"
            ) from (error)
        if (len(loaded), loaded.dim, loaded.kind) != described:
            raise SnapshotError(f"{path}/vectors.json describes another file; {_REPAIR}")
        return loaded

    @property
    def _n_lists(self) -> int:
        return int(self._inner.nlist)

    @cached_property
    def _list_of_row(self) -> NDArray[np.int32]:
        inner = self._inner
        inner.make_direct_map()
        # A place is the list's number in the high half and the offset in the low one.
        places = faiss().vector_to_array(inner.direct_map.array)
        return np.asarray(places >> 32, dtype=np.int32)

    def _nearest_ten(self, asked: Vectors, n_lists: int, mask: Mask | None) -> Rows:
        use_threads(len(asked))
        return self._search_lists(asked, 10, mask, n_lists)[1]

    def _search_lists(
        self, asked: Vectors, top_k: int, mask: Mask | None, n_lists: int | None = None
    ) -> tuple[Vectors, Rows]:
        """Visit so many lists, or as many as were found to be enough."""
        if mask is None:
            return self._visit_nearest(
                asked, top_k, n_lists or self.tuning.lists_for(1.0, self._n_lists), None
            )
        selector = _Selector(mask)
        if n_lists is not None:
            return self._visit_nearest(asked, top_k, n_lists, selector)
        eligible_rows = np.flatnonzero(mask)
        per_list = np.bincount(self._list_of_row[eligible_rows], minlength=self._n_lists)
        useful = np.flatnonzero(per_list)
        if len(useful) >= _SPREAD * self._n_lists:
            enough = self.tuning.lists_for(len(eligible_rows) / len(self), self._n_lists)
            if enough < len(useful):
                return self._visit_nearest(asked, top_k, enough, selector)
        # A filter that keeps a corner of the space: from far away the centres do not tell which
        # lists are near, so every list with an eligible row is visited.
        return self._visit(asked, top_k, useful, selector)

    def _visit_nearest(
        self, asked: Vectors, top_k: int, n_lists: int, selector: _Selector | None
    ) -> tuple[Vectors, Rows]:
        parameters = faiss().SearchParametersIVF(
            nprobe=n_lists, sel=None if selector is None else selector.inner
        )
        found: tuple[Vectors, Rows] = self._inner.search(asked, top_k, params=parameters)
        return found

    def _visit(
        self, asked: Vectors, top_k: int, lists: NDArray[np.int64], selector: _Selector
    ) -> tuple[Vectors, Rows]:
        library = faiss()
        distances = np.full((len(asked), top_k), np.inf, dtype=np.float32)
        rows = np.full((len(asked), top_k), -1, dtype=np.int64)
        if not len(lists):
            return distances, rows
        parameters = library.SearchParametersIVF(sel=selector.inner, nprobe=len(lists))
        every = np.ascontiguousarray(np.tile(lists, (len(asked), 1)), dtype=np.int64)
        centre_distances = np.zeros(every.shape, dtype=np.float32)
        self._inner.search_preassigned_c(
            len(asked),
            library.swig_ptr(asked),
            top_k,
            library.swig_ptr(every),
            library.swig_ptr(centre_distances),
            library.swig_ptr(distances),
            library.swig_ptr(rows),
            False,
            parameters,
        )
        return distances, rows


class _Selector:
    """Eligible rows as FAISS wants them. It keeps only a pointer, so the bits live here."""

    def __init__(self, mask: Mask) -> None:
        self._bits = np.packbits(mask, bitorder="little")
        self.inner = faiss().IDSelectorBitmap(len(self._bits), faiss().swig_ptr(self._bits))


def _as_mask(eligible: NDArray[Any], n: int) -> Mask:
    if eligible.dtype == np.bool_:
        if eligible.shape != (n,):
            raise ValueError(f"the eligible mask has shape {eligible.shape}, expected ({n},)")
        return eligible
    mask = np.zeros(n, dtype=bool)
    mask[eligible] = True
    return mask


def _checked(similarities: Vectors, rows: Rows, mask: Mask | None) -> tuple[Vectors, Rows]:
    """FAISS pads with row -1 and an extreme float; make that -inf, and trust no hit unseen."""
    similarities = np.where(rows < 0, np.float32(-np.inf), similarities)
    if mask is not None and not mask[rows[rows >= 0]].all():
        raise AssertionError("the vector index gave a row that is not eligible")
    return similarities, rows
