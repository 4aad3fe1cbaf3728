"""Merging rankings. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def reciprocal_rank_fusion(rankings: Sequence[Sequence[int]], *, k: int = 60) -> dict[int, float]:
    """Merge rankings whose scores cannot be compared.

    score(row) = sum over rankings of 1 / (k + rank), rank from 1; a row that a ranking lacks gets
    nothing from it, and one that it repeats counts at its best rank. Does not depend on the order
    of the rankings.

    Returns:
        Scores by row, best first; rows of equal score in rising order.

    Raises:
        ValueError: `k` is negative.

    Source: Cormack, Clarke and Buettcher (2009).
    """
    if k < 0:
        message = f"k is {k}; expected 0 or more"
        raise ValueError(message)
    shares: dict[int, list[float]] = {}
    for ranking in rankings:
        for rank, row in enumerate(dict.fromkeys(ranking), start=1):
            shares.setdefault(row, []).append(1.0 / (k + rank))
    # Adding in sorted order makes the sum the same float whatever the order of the rankings.
    scores = {row: sum(sorted(parts)) for row, parts in shares.items()}
    return dict(sorted(scores.items(), key=lambda pair: (-pair[1], pair[0])))
