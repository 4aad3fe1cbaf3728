"""A million items: bytes, memory, recall, latency, filters. `python -m benchmarks.million`."""

from __future__ import annotations

import argparse
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import models
from benchmarks.report import median, peak_resident_mb, record, resident_mb, seconds, show
from benchmarks.texts import grown_vectors, product_texts, query_texts
from index.exact import blocks, exact_neighbours, overlap
from index.vector import VectorIndex

SHARES = (1.0, 0.1, 0.01, 0.001)


class PeakMemory:
    """Samples this process's own memory while a block runs."""

    def __enter__(self) -> PeakMemory:
        self.before = self.peak = resident_mb()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.05):
            self.peak = max(self.peak, resident_mb())


def real_vectors(n_texts: int, n_queries: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Embed made-up products and queries with the bundled model."""
    embedder = models.served()
    return (
        embedder.embed(product_texts(n_texts), kind="passage"),
        embedder.embed(query_texts(n_queries), kind="query"),
    )


def write_vectors(path: Path, real: NDArray[np.float32], n_items: int) -> NDArray[np.float32]:
    """Grow `n_items` vectors into a file and map it, so that memory holds a block at a time."""
    written = np.lib.format.open_memmap(
        path, mode="w+", dtype=np.float32, shape=(n_items, real.shape[1])
    )
    start = 0
    for block in grown_vectors(real, n_items):
        written[start : start + len(block)] = block
        start += len(block)
    written.flush()
    del written
    mapped: NDArray[np.float32] = np.load(path, mmap_mode="r")
    return mapped


def _filters(
    vectors: NDArray[np.float32], rng: np.random.Generator
) -> Iterator[tuple[str, NDArray[np.bool_] | None]]:
    """Masks of several selectivities: rows at random, and rows that lie towards one side.

    Season, category and price go along with what an item is, so their rows lie together.
    """
    choice = rng.random(len(vectors))
    for share in SHARES if len(vectors) >= 10_000 else SHARES[:1]:
        yield f"{share:.1%} eligible", None if share == 1 else choice < share
    if len(vectors) < 10_000:
        return
    side = rng.normal(size=vectors.shape[1]).astype(np.float32)
    leaning = np.concatenate([block @ side for block in blocks(vectors)])
    leaning = leaning + rng.normal(scale=float(leaning.std()), size=leaning.shape)
    for share in (0.5, 0.1, 0.01):
        yield f"{share:.1%} eligible, to one side", leaning > np.quantile(leaning, 1 - share)


def measure(
    n_items: int, folder: Path, real: NDArray[np.float32], queries: NDArray[np.float32]
) -> dict[str, Any]:
    """Build, save, map and search an index of `n_items`; check it against exact search."""
    vectors = write_vectors(folder / "vectors.npy", real, n_items)
    with PeakMemory() as memory:
        built: list[VectorIndex] = []
        build_seconds = seconds(lambda: built.append(VectorIndex.build(vectors)))
    built[0].save(folder)
    recall_at_build = built.pop().recall
    code_bytes = (folder / "vectors.faiss").stat().st_size
    opened: list[VectorIndex] = []
    load_seconds = seconds(lambda: opened.append(VectorIndex.load(folder)))
    vector_index = opened[0]
    rng = np.random.default_rng(0)
    rows = []
    for name, mask in _filters(vectors, rng):
        truth = exact_neighbours(vectors, queries, 10, mask)
        vector_index.search(queries[:1], 10, eligible=mask)
        found = np.empty_like(truth)
        taken = []
        for number, query in enumerate(queries):
            answer: list[NDArray[np.int64]] = []
            taken.append(
                seconds(
                    lambda query=query, mask=mask, answer=answer: answer.append(
                        vector_index.search(query, 10, eligible=mask)[1]
                    )
                )
            )
            found[number] = answer[0][0]
        assert mask is None or mask[found[found >= 0]].all()
        rows.append(
            {
                "what": name,
                "recall@10": overlap(found, truth),
                "p50 ms": median(taken) * 1e3,
                "p95 ms": float(np.percentile(taken, 95)) * 1e3,
            }
        )
    return {
        "n_items": n_items,
        "kind": vector_index.kind,
        "recall_at_build": recall_at_build,
        "build_seconds": build_seconds,
        "build_memory_mb": memory.peak - memory.before,
        "load_ms": load_seconds * 1e3,
        "bytes_share_of_fp32": code_bytes / vectors.nbytes,
        "rows": rows,
    }


def main(n_items: int, n_queries: int) -> None:
    real, queries = real_vectors(10_000, n_queries)
    with tempfile.TemporaryDirectory() as name:
        content = measure(n_items, Path(name), real, queries)
    show(f"{n_items:,} items, {n_queries} real queries, one at a time", content["rows"])
    summary = {key: value for key, value in content.items() if key != "rows"}
    show("build", [{"what": key, "value": value} for key, value in summary.items()])
    content["peak_resident_mb"] = peak_resident_mb()
    record("million", content)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=200)
    arguments = parser.parse_args()
    main(arguments.items, arguments.queries)
