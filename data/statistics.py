"""The figures of /stats from records, each rate with its interval. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from data.events import Impression, Mode, Reply, ReplyKind, SlateRecord

_LIKED = frozenset({ReplyKind.LIKE, ReplyKind.SAVE, ReplyKind.PURCHASE})


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with its 95 % Wilson interval; all zero when n is 0."""

    value: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, successes: int, n: int, z: float = 1.959964) -> Rate:
        """Wilson (1927): centre and half width of the score interval."""
        if n == 0:
            return cls(0.0, 0.0, 0.0, 0)
        p = successes / n
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return cls(p, max(0.0, centre - half), min(1.0, centre + half), n)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What an admin asks first."""

    n_users: int
    n_lessons: int
    n_slates: int
    n_silent: int
    n_degraded: int
    n_impressions: int
    n_clicks: int
    n_purchases: int
    like_rate: Rate
    """Impressions with a like, save or purchase."""
    satisfaction: Rate
    """likes / (likes + dislikes)."""
    coverage: float
    """Share of the catalogue that was shown at all."""
    exposure_gini: float
    safety_violations: int


def figures(
    *,
    slates: Sequence[SlateRecord],
    impressions: Sequence[Impression],
    replies: Sequence[Reply],
    n_items: int,
    safety_violations: int,
) -> Figures:
    """Count. Undone replies do not count."""
    undone = {r.value for r in replies if r.kind is ReplyKind.UNDO}
    standing = [r for r in replies if r.reply_id not in undone]
    shown = {(i.slate_id, i.item_id) for i in impressions}
    liked = {(r.slate_id, r.item_id) for r in standing if r.kind in _LIKED} & shown
    disliked = {
        (r.slate_id, r.item_id) for r in standing if r.kind in (ReplyKind.DISLIKE, ReplyKind.NEVER)
    }
    exposure = Counter(i.item_id for i in impressions)
    return Figures(
        n_users=len({s.user_key for s in slates} | {r.user_key for r in replies}),
        n_lessons=len({s.lesson_id for s in slates if s.lesson_id}),
        n_slates=len(slates),
        n_silent=sum(not s.placements for s in slates),
        n_degraded=sum(s.mode is not Mode.FULL for s in slates),
        n_impressions=len(impressions),
        n_clicks=sum(r.kind is ReplyKind.CLICK for r in standing),
        n_purchases=sum(r.kind is ReplyKind.PURCHASE for r in standing),
        like_rate=Rate.of(len(liked), len(shown)),
        satisfaction=Rate.of(len(liked), len(liked) + len(disliked - liked)),
        coverage=len(exposure) / n_items if n_items else 0.0,
        exposure_gini=gini([*exposure.values(), *[0] * max(n_items - len(exposure), 0)]),
        safety_violations=safety_violations,
    )


def gini(values: Iterable[float]) -> float:
    """0 when all are equal, towards 1 when one has everything.

    G = sum_i (2 i - n - 1) x_i / (n sum x), x sorted ascending, i from 1.
    """
    ordered = sorted(values)
    n, total = len(ordered), sum(ordered)
    if n == 0 or total == 0:
        return 0.0
    return sum((2 * i - n - 1) * x for i, x in enumerate(ordered, start=1)) / (n * total)
