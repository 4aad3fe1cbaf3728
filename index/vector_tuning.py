"""How many lists a query must visit: measured at build time against exact search."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from index.embedding import Progress
from index.exact import Mask, Rows, Vectors, exact_neighbours, overlap

N_QUERIES = 256
SHARES = (1.0, 0.5, 0.2, 0.1, 0.05)
"""Shares of eligible rows for which the number of lists is tuned, with rows chosen at random."""
_ASIDE = 0.4
_SAFETY_MARGIN = 0.005
"""Tuning aims so much above the target, because other queries than the tuning ones come."""
_STEPS = tuple(round(8 * 2 ** (i / 8)) for i in range(8 * 14))
"""A fine ladder: a step too far costs every later query its share."""

Visit = Callable[[Vectors, int, Mask | None], Rows]
"""Search that visits so many lists for each query and gives the ten nearest eligible rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What the build measured; written beside the vectors."""

    recall: float = 1.0
    """Recall@10 against exact search over all rows, on the harder half of the tuning queries."""
    lists_by_share: dict[str, int] = field(default_factory=dict)
    """Lists to visit when at least this share of the rows is eligible."""
    recall_by_share: dict[str, float] = field(default_factory=dict)

    def lists_for(self, share: float, n_lists: int) -> int:
        """Lists to visit when this share of the rows is eligible; all of them for small shares.

        With a filter it is twice what rows chosen at random need, since real filters are less even.
        """
        if share == 1:
            return self.lists_by_share.get("1.0", n_lists)
        tuned = [
            float(at_least) for at_least in self.lists_by_share if share >= 0.9 * float(at_least)
        ]
        if not tuned:
            return n_lists
        return min(n_lists, 2 * self.lists_by_share[str(max(tuned))])


def tune(
    visit: Visit, n_lists: int, vectors: Vectors, queries: Vectors, target: float, tell: Progress
) -> Tuning:
    """Find the fewest lists that reach the target recall@10, for each share of eligible rows.

    Args:
        visit: Searches the index under construction.
        n_lists: How many lists there are.
        vectors: (n, dim) float32, the rows themselves.
        queries: (n_queries, dim) float32; of two halves, the harder one counts.
        target: Recall@10 in [0, 1].
        tell: Told of each share.
    """
    rng = np.random.default_rng(2)
    choice = rng.random(len(vectors))
    steps = sorted({min(n_lists, step) for step in (*_STEPS, n_lists)})
    lists_by_share: dict[str, int] = {}
    recall_by_share: dict[str, float] = {}
    for number, share in enumerate(SHARES):
        tell("measuring recall", number, len(SHARES))
        mask = None if share == 1 else choice < share
        truth = exact_neighbours(vectors, queries, 10, mask)

        def recall(n: int, mask: Mask | None = mask, truth: Rows = truth) -> float:
            found = visit(queries, n, mask)
            half = len(queries) // 2
            return min(overlap(found[:half], truth[:half]), overlap(found[half:], truth[half:]))

        # Codes of one byte have a ceiling that visiting more lists does not lift.
        wanted = min(target + _SAFETY_MARGIN, recall(n_lists) - 0.002)
        enough = steps[bisect_left(steps[:-1], wanted, key=recall)]
        lists_by_share[str(share)] = enough
        recall_by_share[str(share)] = round(recall(enough), 4)
    tell("measuring recall", len(SHARES), len(SHARES))
    return Tuning(
        recall=recall_by_share["1.0"],
        lists_by_share=lists_by_share,
        recall_by_share=recall_by_share,
    )


def spread(queries: Vectors) -> Vectors:
    """Choose as many of the given queries as tuning uses, evenly."""
    step = max(1, len(queries) // N_QUERIES)
    return np.ascontiguousarray(queries[::step][:N_QUERIES], dtype=np.float32)


def made_queries(vectors: Vectors) -> Vectors:
    """Make queries for a build that was given none: half near a row, half as texts of people are.

    Those lie beside the items' cloud, all on one side of it, as the two prompts of the encoder
    make them: half-way between two rows, moved by one common vector, with noise.
    """
    rng = np.random.default_rng(1)
    half = N_QUERIES // 2
    first, second = rng.integers(len(vectors), size=(2, N_QUERIES))
    share = np.zeros((N_QUERIES, 1), dtype=np.float32)
    share[half:] = 0.5
    dim = vectors.shape[1]
    directions = rng.normal(size=(N_QUERIES, dim)).astype(np.float32)
    mixed = vectors[first] * (1 - share) + vectors[second] * share
    mixed += directions * np.float32(0.15 / np.sqrt(dim))
    aside = rng.normal(size=(1, dim)).astype(np.float32)
    mixed[half:] += aside * np.float32(_ASIDE / np.sqrt(dim))
    made: Vectors = mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
    return made
