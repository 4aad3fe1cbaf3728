"""Ranking scores that go from match-only to learned by degrees, and why a person gets an item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from data.catalogue import Item, ItemId
from data.events import Stage
from index.matches import Hit
from recommender.features import Background, feature_matrix, logged_features
from recommender.predictor import RewardPredictor
from recommender.profile import UserProfile
from recommender.scoring import MatchScorer, Scored, unproven
from recommender.slate import Request

HALF_WAY = 500.0
"""Labelled impressions at which the learned ranking has half the say."""
LEARNED_FROM = 0.9


def learned_weight(n_labelled: int) -> float:
    """Give the weight of the prediction against the match, n / (n + 500)."""
    return n_labelled / (n_labelled + HALF_WAY)


def stage_of(weight: float) -> Stage:
    """Name the regime of a weight."""
    if weight <= 0:
        return Stage.MATCH_ONLY
    return Stage.LEARNED if weight >= LEARNED_FROM else Stage.BLENDED


def blend(
    match: npt.NDArray[np.float64], predicted: npt.NDArray[np.float64], weight: float
) -> npt.NDArray[np.float64]:
    """Mix two scales: both are taken in standard deviations over the candidates.

    Args:
        match: (n,) match scores.
        predicted: (n,) predicted rewards.
        weight: Of the prediction, in [0, 1].
    """
    if weight <= 0:
        return match
    return (1 - weight) * _standard(match) + weight * _standard(predicted)


def _standard(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    spread = float(values.std()) if len(values) else 0.0
    centred = values - values.mean() if len(values) else values
    return np.asarray(centred / spread if spread > 1e-9 else centred * 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedScorer:
    """A `Scorer`. Without a predictor it ranks as matching does, and logs what training needs."""

    background: Background
    match: MatchScorer = field(default_factory=MatchScorer)
    predictor: RewardPredictor | None = None
    n_labelled: int = 0
    pool_size: int = 10
    """Candidates whose features are logged: as many as the policy draws from."""

    @property
    def weight(self) -> float:
        return learned_weight(self.n_labelled) if self.predictor is not None else 0.0

    def score(
        self,
        profile: UserProfile,
        request: Request,
        hits: Sequence[Hit],
        items: Sequence[Item],
        *,
        at: datetime,
    ) -> Scored:
        base = self.match.score(profile, request, hits, items, at=at)
        features = feature_matrix(profile, hits, items, at=at, background=self.background)
        scores = base.scores
        if self.predictor is not None and len(hits):
            scores = blend(base.scores, self.predictor.predict(features), self.weight)
        version = self.predictor.version if self.predictor is not None else base.model_version
        return Scored(
            scores=scores,
            stage=stage_of(self.weight),
            model_version=version,
            features=logged_features(
                features, [hit.item_id for hit in hits], scores, n=self.pool_size
            ),
            unproven=unproven(hits, self.background.impressions),
        )


class ReasonKind(StrEnum):
    """What of a person's own past speaks for an item."""

    SAME_ITEM = "same_item"
    STATED = "stated"
    TAG = "tag"
    CATEGORY = "category"


@dataclass(frozen=True, slots=True, kw_only=True)
class TasteReason:
    """One reason: "you liked `what` `n_liked` times"."""

    kind: ReasonKind
    what: str
    n_liked: int
    examples: tuple[ItemId, ...] = ()
    """Items that were liked and share it, in the order of their ids."""


def taste_reasons(
    profile: UserProfile, item: Item, background: Background, *, n: int = 2
) -> list[TasteReason]:
    """Give what the person liked that this item shares, the most telling first.

    Only what the person did or said themselves; never what the crowd did.
    """
    by_id = background.catalogue.items_by_id
    liked = [by_id[i] for i in profile.liked if i in by_id]
    reasons: list[TasteReason] = []
    if item.item_id in profile.liked:
        reasons.append(TasteReason(kind=ReasonKind.SAME_ITEM, what=str(item.item_id), n_liked=1))
    stated = sorted(profile.preferences & {item.category, *item.tags})
    reasons += [TasteReason(kind=ReasonKind.STATED, what=word, n_liked=0) for word in stated]
    others = [other for other in liked if other.item_id != item.item_id]
    tags = {tag: [o.item_id for o in others if tag in o.tags] for tag in item.tags}
    shared = sorted(((len(ids), tag) for tag, ids in tags.items() if ids), reverse=True)
    reasons += [
        TasteReason(kind=ReasonKind.TAG, what=tag, n_liked=count, examples=tuple(tags[tag]))
        for count, tag in shared[:1]
    ]
    alike = tuple(o.item_id for o in others if item.category and o.category == item.category)
    if alike:
        reasons.append(
            TasteReason(
                kind=ReasonKind.CATEGORY, what=item.category, n_liked=len(alike), examples=alike
            )
        )
    return reasons[:n]
