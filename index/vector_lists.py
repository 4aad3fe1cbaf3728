"""Group vectors in lists and code them in one byte a number: the index of large catalogues.

This module and `index.vector` alone use FAISS.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import numpy as np

from index.embedding import Progress
from index.exact import BLOCK, Vectors, blocks


@cache
def faiss() -> Any:
    """Import FAISS when it is first needed."""
    import faiss as library  # 0.13 s

    return library


def use_threads(n_tasks: int) -> None:
    """One OpenMP thread for a single query: waking a second costs more than it gives.

    The setting is the calling thread's own, so threads do not disturb each other.
    """
    faiss().omp_set_num_threads(1 if n_tasks == 1 else os.cpu_count() or 1)


def build_lists(vectors: Vectors, tell: Progress) -> Any:
    """Give a FAISS index of (n, dim) unit rows; memory holds a sample and a block of them."""
    n, dim = vectors.shape
    n_lists = 1 << max(4, round(np.log2(8 * np.sqrt(n))))
    rng = np.random.default_rng(0)
    sample_rows = np.sort(rng.permutation(n)[: max(40 * n_lists, 20_000)])
    sample = np.ascontiguousarray(vectors[sample_rows], dtype=np.float32)
    tell("grouping vectors", 0, n)
    quantiser = faiss().IndexFlatL2(dim)
    quantiser.add(_centres_in_two_steps(sample, n_lists))
    inner = faiss().IndexIVFScalarQuantizer(
        quantiser, dim, quantiser.ntotal, faiss().ScalarQuantizer.QT_8bit, faiss().METRIC_L2, True
    )
    quantiser.this.disown()  # the list index owns its quantiser from here on
    inner.own_fields = True
    inner.train(sample)
    for done, block in enumerate(blocks(vectors), start=1):
        inner.add(block)
        tell("grouping vectors", min(done * BLOCK, n), n)
    return inner


def _centres_in_two_steps(sample: Vectors, n_centres: int) -> Vectors:
    """Cluster coarsely, then each cluster by itself: as good here as one k-means, in a tenth."""
    coarse = _clustering(sample, max(1, round(np.sqrt(n_centres))))
    owner = coarse.index.search(sample, 1)[1][:, 0]
    # Many small clusterings: on a busy machine threads that wait for each other cost minutes.
    use_threads(1)
    centres = []
    for cluster in np.unique(owner):
        members = np.ascontiguousarray(sample[owner == cluster])
        n_wanted = max(1, round(n_centres * len(members) / len(sample)))
        centres.append(_clustering(members, min(n_wanted, len(members))).centroids)
    use_threads(2)
    return np.concatenate(centres).astype(np.float32)


def _clustering(sample: Vectors, n_centres: int) -> Any:
    clustering = faiss().Kmeans(
        sample.shape[1],
        n_centres,
        niter=8,
        seed=1,
        min_points_per_centroid=1,
        max_points_per_centroid=1000,
    )
    clustering.train(sample)
    return clustering
