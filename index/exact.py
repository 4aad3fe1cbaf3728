"""Exact neighbours, block by block: the truth that an approximate index is measured against."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]

BLOCK = 50_000


def blocks(vectors: Vectors) -> Iterator[Vectors]:
    """Read rows in blocks, so that a memory-mapped array is never whole in memory."""
    for start in range(0, len(vectors), BLOCK):
        yield np.ascontiguousarray(vectors[start : start + BLOCK], dtype=np.float32)


def exact_neighbours(
    vectors: Vectors, queries: Vectors, top_k: int, mask: Mask | None = None
) -> Rows:
    """Find the true nearest rows, block by block: (n_queries, top_k), nearest first."""
    best = np.full((len(queries), top_k), -np.inf, dtype=np.float32)
    best_rows = np.full((len(queries), top_k), -1, dtype=np.int64)
    for number, block in enumerate(blocks(vectors)):
        start = number * BLOCK
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
