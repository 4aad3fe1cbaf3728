"""Like rates that flow between alike items, for as long as an item's own counts say little."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def item_graph(cosines: Floats, *, n_neighbours: int = 8) -> Floats:
    """Give the symmetric normalised graph of nearest items, D^-1/2 W D^-1/2, zero diagonal.

    Args:
        cosines: (n, n) between items.
        n_neighbours: Links an item; an edge counts when either end has it among its nearest.
    """
    n = len(cosines)
    off = cosines.copy()
    np.fill_diagonal(off, -np.inf)
    k = min(n_neighbours, n - 1)
    weights = np.zeros((n, n))
    if k <= 0:
        return weights
    nearest = np.argpartition(-off, k - 1, axis=1)[:, :k]
    rows = np.arange(n)[:, None]
    weights[rows, nearest] = np.clip(off[rows, nearest], 0.0, None)
    weights = np.maximum(weights, weights.T)
    degrees = np.sqrt(np.maximum(weights.sum(axis=1), 1e-12))
    return np.asarray(weights / np.outer(degrees, degrees))


def spread(
    graph: Floats, rates: Floats, confidence: Floats, *, alpha: float = 0.5, n_steps: int = 30
) -> Floats:
    """Let like rates flow between alike items: known ones hold on, unknown ones follow.

    f <- alpha * S f + (1 - alpha) * y over deviations from the mean, y = confidence * rate.

    Args:
        graph: (n, n) of `item_graph`.
        rates: (n,) observed like rates; any number where confidence is 0.
        confidence: (n,) in [0, 1], such as shown / (shown + 20).
        alpha: Share that comes from neighbours, below 1.
        n_steps: Iterations; the error shrinks by alpha each.

    Returns:
        (n,) smoothed rates in [0, 1].

    Source: Zhou et al. (2004), local and global consistency.
    """
    total = float(confidence.sum())
    mean = float((rates * confidence).sum() / total) if total > 0 else 0.0
    known = np.where(confidence > 0, (rates - mean) * confidence, 0.0)
    flow = known.copy()
    for _ in range(n_steps):
        flow = alpha * (graph @ flow) + (1 - alpha) * known
    # What was observed much is believed more than its neighbourhood.
    return np.clip(mean + confidence * known + (1 - confidence) * flow, 0.0, 1.0)
