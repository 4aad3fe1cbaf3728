"""From hits to ranking scores: matching alone at first, then the learned predictor by degrees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Protocol

import numpy as np

from data.catalogue import Item, ItemId
from data.events import Stage
from index.matches import Hit
from recommender.profile import UserProfile
from recommender.slate import Request

PRIOR_IMPRESSIONS = 20.0
"""Weight of the catalogue's mean like rate against an item's own counts."""
PROVEN_FROM = int(PRIOR_IMPRESSIONS)
"""Impressions from which an item's own counts outweigh the prior."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Ranking scores of one request, and how they came about."""

    scores: np.ndarray
    """(n_hits,) float64."""
    stage: Stage
    model_version: str
    features: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    """What was served, JSON values only; logged with the slate."""
    unproven: np.ndarray | None = None
    """(n_hits,) bool: shown fewer than `PROVEN_FROM` times; None when nobody counts."""


class Scorer(Protocol):
    """Turns hits into ranking scores for one person now."""

    def score(
        self,
        profile: UserProfile,
        request: Request,
        hits: Sequence[Hit],
        items: Sequence[Item],
        *,
        at: datetime,
    ) -> Scored: ...


@dataclass(frozen=True, slots=True)
class MatchScorer:
    """Cold start: match score, lifted a little by smoothed popularity and the person's own taste."""

    impressions: Mapping[ItemId, int] = field(default_factory=lambda: MappingProxyType({}))
    likes: Mapping[ItemId, int] = field(default_factory=lambda: MappingProxyType({}))
    popularity_weight: float = 0.3
    taste_weight: float = 0.08

    def score(
        self,
        profile: UserProfile,
        request: Request,
        hits: Sequence[Hit],
        items: Sequence[Item],
        *,
        at: datetime,
    ) -> Scored:
        mean = self.mean_like_rate
        taste = category_taste(profile, items)
        scores = np.array(
            [
                hit.score
                + self.popularity_weight * (self.smoothed_like_rate(hit.item_id) - mean)
                + self.taste_weight * taste[i]
                for i, hit in enumerate(hits)
            ],
            dtype=np.float64,
        )
        return Scored(
            scores, Stage.MATCH_ONLY, "match-only", unproven=unproven(hits, self.impressions)
        )

    @property
    def mean_like_rate(self) -> float:
        shown = sum(self.impressions.values())
        return (sum(self.likes.values()) + 1.0) / (shown + 5.0)

    def smoothed_like_rate(self, item_id: ItemId) -> float:
        """(likes + w * mean) / (impressions + w), w = 20 impressions."""
        w = PRIOR_IMPRESSIONS
        return (self.likes.get(item_id, 0) + w * self.mean_like_rate) / (
            self.impressions.get(item_id, 0) + w
        )


def unproven(hits: Sequence[Hit], impressions: Mapping[ItemId, int]) -> np.ndarray | None:
    """Give (n_hits,) bool: which hits were shown too seldom to have proved themselves.

    None where no impression is counted at all: then nobody is a newcomer among old hands.
    """
    if not impressions:
        return None
    return np.array([impressions.get(hit.item_id, 0) < PROVEN_FROM for hit in hits], dtype=bool)


def category_taste(profile: UserProfile, items: Sequence[Item]) -> list[float]:
    """How the person's stated preferences speak for each item, in {0, 1}."""
    return [
        float(item.category in profile.preferences or bool(profile.preferences & set(item.tags)))
        for item in items
    ]
