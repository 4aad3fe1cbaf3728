"""No merchant crowds out the others: a bound on the candidates of one merchant, before the draw. Pure.

The bound decides who takes part in a draw, as the filters do, and so it is the same for every seed and
the propensities of the draw stay exact. What takes part is logged; a replay reads that alone.
"""

from __future__ import annotations

import numpy as np

MERCHANT_CAP = 4
"""Candidates of one named merchant among the ten of a draw, while others have any."""
NO_MERCHANT = -1
"""The number of items whose merchant is not known: they are nobody's share, and never held back."""


def within_share(merchants: np.ndarray, *, size: int, most: int = MERCHANT_CAP) -> np.ndarray:
    """Give the candidates that take part: the best, but of each merchant its best `most` only.

    Whoever is alone keeps all. Beside others, a place that is held back goes to the next best of
    somebody else, or stays empty: filling it up again would undo the bound.

    Args:
        merchants: (n,) int64 merchant of each candidate, best candidate first.
        size: Most candidates to give.
        most: Most of one merchant; items of `NO_MERCHANT` are not counted.

    Returns:
        At most `size` positions in `merchants`, rising.
    """
    if len(np.unique(merchants)) <= 1:
        return np.arange(min(size, len(merchants)))
    ranks = _ranks(merchants)
    return np.flatnonzero((ranks < most) | (merchants == NO_MERCHANT))[:size]


def crowding(merchants: np.ndarray, *, size: int, most: int = MERCHANT_CAP) -> np.ndarray:
    """Give the merchants without whose bound there would be `size` candidates, and are not.

    Args:
        merchants: (n,) int64 merchant of each candidate.
        size: How many candidates are wanted.
        most: As for `within_share`.

    Returns:
        (k,) merchant numbers; empty where the bound leaves enough.
    """
    numbers, counts = np.unique(merchants[merchants != NO_MERCHANT], return_counts=True)
    n_free = len(merchants) - int(counts.sum()) + int(np.minimum(counts, most).sum())
    return numbers[counts > most] if n_free < min(size, len(merchants)) else numbers[:0]


def _ranks(merchants: np.ndarray) -> np.ndarray:
    """(n,) how many candidates of the same merchant stand before each."""
    ranks = np.zeros(len(merchants), dtype=np.int64)
    for merchant in np.unique(merchants):
        own = merchants == merchant
        ranks[own] = np.arange(int(own.sum()))
    return ranks
