"""Nearest vectors by cosine, inside a set of eligible rows. The only file that imports FAISS.

Up to `EXACT_UP_TO` vectors the search is exact. Above, vectors are grouped in lists and kept as
one byte a number, a quarter of the memory: what is coded is the difference from the list's centre,
which on food vectors keeps 99 % of the ten nearest where coding the vectors themselves keeps 97 %.
How many lists a query visits is tuned at build time against exact search.

Eligibility is part of the search, not a filter behind it: a filter that leaves ten rows still
finds ten.
"""

from __future__ import annotations

import json
import os
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from data.errors import IndexMismatch, SnapshotError
from index.embedding import Progress

EXACT_UP_TO = 100_000
FORMAT = 1

VectorKind = Literal["auto", "flat", "ivf"]
Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]

_REPAIR = "run `zhiwei index build` again"
_BLOCK = 50_000
_N_TUNING_QUERIES = 256
_SHARES = (1.0, 0.5, 0.2, 0.1, 0.05)
"""Shares of eligible rows for which the number of lists is tuned, with rows chosen at random."""
_SPREAD = 0.9
"""A mask that touches so many of the lists is like a random one; else it keeps a corner."""
_ASIDE = 0.4
_SAFETY_MARGIN = 0.005
"""Tuning aims so much above the target, because other queries than the tuning ones come."""


@cache
def _faiss() -> Any:
    import faiss  # 0.13 s

    return faiss


def _use_threads(n_tasks: int) -> None:
    """One OpenMP thread for a single query: waking a second costs more than it gives.

    The setting is the calling thread's own, so threads do not disturb each other.
    """
    _faiss().omp_set_num_threads(1 if n_tasks == 1 else os.cpu_count() or 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What the build measured; written beside the vectors."""

    recall: float = 1.0
    """Recall@10 against exact search over all rows, on the harder half of the tuning queries."""
    lists_by_share: dict[str, int] = field(default_factory=dict)
    """Lists to visit when at least this share of the rows is eligible."""
    recall_by_share: dict[str, float] = field(default_factory=dict)


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
            flat = _faiss().IndexFlatIP(vectors.shape[1])
            for block in _blocks(vectors):
                flat.add(block)
            return cls(flat)
        tell = progress or (lambda _what, _done, _total: None)
        _use_threads(2)
        built = cls(_build_lists(vectors, tell))
        asked = _tuning_queries(vectors) if queries is None else _spread(queries)
        built.tuning = _tune(built, vectors, asked, target_recall, tell)
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
        _use_threads(len(asked))
        if self.kind == "flat":
            parameters = None if mask is None else _flat_parameters(mask)
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
            self._inner.set_direct_map_type(_faiss().DirectMap.NoMap)
            self.__dict__.pop("_list_of_row", None)
        _faiss().write_index(self._inner, str(path / "vectors.faiss"))
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
        faiss = _faiss()
        try:
            about = json.loads((path / "vectors.json").read_text(encoding="utf-8"))
            if about["format"] != FORMAT:
                raise IndexMismatch(
                    f"the vectors in {path} have format {about['format']}, this version reads "
                    f"{FORMAT}; {_REPAIR}"
                )
            flags = faiss.IO_FLAG_MMAP_IFC if mmap else 0
            inner = faiss.read_index(str(path / "vectors.faiss"), flags)
            loaded = cls(inner, Tuning(**about["tuning"]))
            described = (about["n"], about["dim"], about["kind"])
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise SnapshotError(
                f"the vectors in {path} cannot be read ({error}); {_REPAIR}"
            ) from (error)
        if (len(loaded), loaded.dim, loaded.kind) != described:
            raise SnapshotError(f"{path}/vectors.json describes another file; {_REPAIR}")
        return loaded

    @cached_property
    def _list_of_row(self) -> NDArray[np.int32]:
        inner = self._inner
        inner.make_direct_map()
        # A place is the list's number in the high half and the offset in the low one.
        places = _faiss().vector_to_array(inner.direct_map.array)
        return np.asarray(places >> 32, dtype=np.int32)

    @cached_property
    def _centres(self) -> tuple[Vectors, Vectors]:
        """Centres, transposed, and their squared lengths."""
        quantiser = self._inner.quantizer
        centres = np.asarray(quantiser.reconstruct_n(0, quantiser.ntotal), dtype=np.float32)
        return np.ascontiguousarray(centres.T), (centres**2).sum(axis=1)

    def _search_lists(self, asked: Vectors, top_k: int, mask: Mask | None) -> tuple[Vectors, Rows]:
        faiss = _faiss()
        if mask is None:
            n_lists = self.tuning.lists_by_share.get("1.0", self._inner.nlist)
            parameters = faiss.SearchParametersIVF(nprobe=n_lists)
            found: tuple[Vectors, Rows] = self._inner.search(asked, top_k, params=parameters)
            return found
        # Only lists that hold an eligible row are visited, and all of them when the filter keeps a
        # corner of the space: from far away the centres do not tell which of them are near.
        eligible_rows = np.flatnonzero(mask)
        per_list = np.bincount(self._list_of_row[eligible_rows], minlength=self._inner.nlist)
        useful = np.flatnonzero(per_list)
        n_lists = len(useful)
        if n_lists >= _SPREAD * self._inner.nlist:
            n_lists = min(n_lists, self._lists_for(len(eligible_rows) / len(self)))
        if n_lists == 0:
            shape = (len(asked), top_k)
            return np.full(shape, np.inf, dtype=np.float32), np.full(shape, -1, dtype=np.int64)
        if n_lists == len(useful):
            return self._visit(asked, top_k, np.tile(useful, (len(asked), 1)), mask)
        centres, squares = self._centres
        near = (squares - 2 * (asked @ centres))[:, useful]
        order = np.argpartition(near, n_lists - 1, axis=1)[:, :n_lists]
        return self._visit(asked, top_k, useful[order], mask)

    def _visit(
        self, asked: Vectors, top_k: int, lists: NDArray[np.int64], mask: Mask
    ) -> tuple[Vectors, Rows]:
        faiss = _faiss()
        bits = np.packbits(mask, bitorder="little")
        selector = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))
        parameters = faiss.SearchParametersIVF(sel=selector, nprobe=lists.shape[1])
        centre_distances = np.zeros(lists.shape, dtype=np.float32)
        distances = np.empty((len(asked), top_k), dtype=np.float32)
        rows = np.empty((len(asked), top_k), dtype=np.int64)
        lists = np.ascontiguousarray(lists, dtype=np.int64)
        self._inner.search_preassigned_c(
            len(asked),
            faiss.swig_ptr(asked),
            top_k,
            faiss.swig_ptr(lists),
            faiss.swig_ptr(centre_distances),
            faiss.swig_ptr(distances),
            faiss.swig_ptr(rows),
            False,
            parameters,
        )
        return distances, rows

    def _lists_for(self, share: float) -> int:
        """Twice what a random mask needs, since real ones are less even; all for small shares."""
        every = int(self._inner.nlist)
        tuned = [
            lists
            for at_least, lists in self.tuning.lists_by_share.items()
            if share >= 0.9 * float(at_least)
        ]
        return min(every, 2 * min(tuned, default=every))


def _as_mask(eligible: NDArray[Any], n: int) -> Mask:
    if eligible.dtype == np.bool_:
        if eligible.shape != (n,):
            raise ValueError(f"the eligible mask has shape {eligible.shape}, expected ({n},)")
        return eligible
    mask = np.zeros(n, dtype=bool)
    mask[eligible] = True
    return mask


def _flat_parameters(mask: Mask) -> Any:
    faiss = _faiss()
    bits = np.packbits(mask, bitorder="little")
    selector = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))
    parameters = faiss.SearchParameters(sel=selector)
    parameters.bits = bits  # FAISS keeps only a pointer; the array has to live as long
    return parameters


def _checked(similarities: Vectors, rows: Rows, mask: Mask | None) -> tuple[Vectors, Rows]:
    """FAISS pads with row -1 and an extreme float; make that -inf, and trust no hit unseen."""
    similarities = np.where(rows < 0, np.float32(-np.inf), similarities)
    if mask is not None and not mask[rows[rows >= 0]].all():
        raise AssertionError("the vector index gave a row that is not eligible")
    return similarities, rows


def _blocks(vectors: Vectors) -> Iterator[Vectors]:
    for start in range(0, len(vectors), _BLOCK):
        yield np.ascontiguousarray(vectors[start : start + _BLOCK], dtype=np.float32)


def _build_lists(vectors: Vectors, tell: Progress) -> Any:
    faiss = _faiss()
    n, dim = vectors.shape
    n_lists = 1 << max(4, round(np.log2(8 * np.sqrt(n))))
    rng = np.random.default_rng(0)
    sample_rows = np.sort(rng.permutation(n)[: max(40 * n_lists, 20_000)])
    sample = np.ascontiguousarray(vectors[sample_rows], dtype=np.float32)
    tell("grouping vectors", 0, n)
    quantiser = faiss.IndexFlatL2(dim)
    quantiser.add(_centres_in_two_steps(sample, n_lists))
    inner = faiss.IndexIVFScalarQuantizer(
        quantiser, dim, quantiser.ntotal, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_L2, True
    )
    quantiser.this.disown()  # the list index owns its quantiser from here on
    inner.own_fields = True
    inner.train(sample)
    for done, block in enumerate(_blocks(vectors), start=1):
        inner.add(block)
        tell("grouping vectors", min(done * _BLOCK, n), n)
    return inner


def _centres_in_two_steps(sample: Vectors, n_centres: int) -> Vectors:
    """Cluster coarsely, then each cluster by itself: as good here as one k-means, in a tenth."""
    coarse = _clustering(sample, max(1, round(np.sqrt(n_centres))))
    owner = coarse.index.search(sample, 1)[1][:, 0]
    # Many small clusterings: on a busy machine threads that wait for each other cost minutes.
    _use_threads(1)
    centres = []
    for cluster in np.unique(owner):
        members = np.ascontiguousarray(sample[owner == cluster])
        n_wanted = max(1, round(n_centres * len(members) / len(sample)))
        centres.append(_clustering(members, min(n_wanted, len(members))).centroids)
    _use_threads(2)
    return np.concatenate(centres).astype(np.float32)


def _clustering(sample: Vectors, n_centres: int) -> Any:
    clustering = _faiss().Kmeans(
        sample.shape[1],
        n_centres,
        niter=8,
        seed=1,
        min_points_per_centroid=1,
        max_points_per_centroid=1000,
    )
    clustering.train(sample)
    return clustering


def _spread(queries: Vectors) -> Vectors:
    step = max(1, len(queries) // _N_TUNING_QUERIES)
    return np.ascontiguousarray(queries[::step][:_N_TUNING_QUERIES], dtype=np.float32)


def _tuning_queries(vectors: Vectors) -> Vectors:
    """Make queries for a build that was given none: half near a row, half as texts of people are.

    Those lie beside the items' cloud, all on one side of it, as the two prompts of the encoder
    make them: half-way between two rows, moved by one common vector, with noise.
    """
    rng = np.random.default_rng(1)
    half = _N_TUNING_QUERIES // 2
    first, second = rng.integers(len(vectors), size=(2, _N_TUNING_QUERIES))
    share = np.zeros((_N_TUNING_QUERIES, 1), dtype=np.float32)
    share[half:] = 0.5
    dim = vectors.shape[1]
    directions = rng.normal(size=(_N_TUNING_QUERIES, dim)).astype(np.float32)
    mixed = vectors[first] * (1 - share) + vectors[second] * share
    mixed += directions * np.float32(0.15 / np.sqrt(dim))
    aside = rng.normal(size=(1, dim)).astype(np.float32)
    mixed[half:] += aside * np.float32(_ASIDE / np.sqrt(dim))
    made: Vectors = mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
    return made


def _tune(
    built: VectorIndex, vectors: Vectors, queries: Vectors, target: float, tell: Progress
) -> Tuning:
    rng = np.random.default_rng(2)
    choice = rng.random(len(vectors))
    every = int(built._inner.nlist)
    # A fine ladder: a step too far costs every later query its share.
    steps = sorted({min(every, round(8 * 2 ** (i / 8))) for i in range(8 * 14)})
    lists_by_share: dict[str, int] = {}
    recall_by_share: dict[str, float] = {}
    for number, share in enumerate(_SHARES):
        tell("measuring recall", number, len(_SHARES))
        mask = None if share == 1 else choice < share
        truth = exact_neighbours(vectors, queries, 10, mask)
        # Codes of one byte have a ceiling that visiting more lists does not lift.
        ceiling = _recall_with(built, share, every, queries, mask, truth)
        wanted = min(target + _SAFETY_MARGIN, ceiling - 0.002)
        first = bisect_left(
            steps[:-1],
            wanted,
            key=lambda n: _recall_with(built, share, n, queries, mask, truth),
        )
        recall = _recall_with(built, share, steps[first], queries, mask, truth)
        lists_by_share[str(share)], recall_by_share[str(share)] = steps[first], round(recall, 4)
    tell("measuring recall", len(_SHARES), len(_SHARES))
    return Tuning(
        recall=recall_by_share["1.0"],
        lists_by_share=lists_by_share,
        recall_by_share=recall_by_share,
    )


def _recall_with(
    built: VectorIndex,
    share: float,
    n_lists: int,
    queries: Vectors,
    mask: Mask | None,
    truth: Rows,
) -> float:
    built.tuning = Tuning(lists_by_share={str(share): n_lists})
    _, found = built.search(queries, 10, eligible=mask)
    half = len(queries) // 2
    return min(overlap(found[:half], truth[:half]), overlap(found[half:], truth[half:]))


def exact_neighbours(
    vectors: Vectors, queries: Vectors, top_k: int, mask: Mask | None = None
) -> Rows:
    """Find the true nearest rows, block by block: (n_queries, top_k), nearest first."""
    best = np.full((len(queries), top_k), -np.inf, dtype=np.float32)
    best_rows = np.full((len(queries), top_k), -1, dtype=np.int64)
    for number, block in enumerate(_blocks(vectors)):
        start = number * _BLOCK
        rows = np.arange(start, start + len(block))
        if mask is not None:
            chosen = mask[start : start + len(block)]
            block, rows = block[chosen], rows[chosen]
        similar = np.concatenate([best, queries @ block.T], axis=1)
        all_rows = np.concatenate([best_rows, np.broadcast_to(rows, (len(queries), len(rows)))], 1)
        top = (
            np.argsort(-similar, axis=1, kind="stable")[:, :top_k]
            if len(rows) < 4 * top_k
            else (_top(similar, top_k))
        )
        best = np.take_along_axis(similar, top, axis=1)
        best_rows = np.take_along_axis(all_rows, top, axis=1)
    return best_rows


def _top(similar: Vectors, top_k: int) -> Rows:
    some = np.argpartition(-similar, top_k, axis=1)[:, :top_k]
    order = np.argsort(-np.take_along_axis(similar, some, axis=1), axis=1, kind="stable")
    return np.asarray(np.take_along_axis(some, order, axis=1), dtype=np.int64)


def overlap(found: Rows, truth: Rows) -> float:
    """Share of the true neighbours that were found, over all queries; padding does not count."""
    hits = sum(
        len(set(ours.tolist()) & set(theirs.tolist()) - {-1})
        for ours, theirs in zip(found, truth, strict=True)
    )
    return hits / max(1, int((truth >= 0).sum()))
