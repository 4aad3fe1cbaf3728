"""The world of a simulation: lessons with their matches, and the policies that are compared.

The recommender is the product's; the oracle and the crowd are yardsticks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from data.catalogue import Catalogue, Item, ItemId, Lesson
from data.errors import InvalidInput
from data.events import Stage, UserKey
from index.matches import Hit, Matcher, Matches, Query
from recommender.constraints import Constraints
from recommender.profile import UserProfile
from recommender.recommend import Recommender
from recommender.scoring import MatchScorer, Scored
from recommender.simulated_people import Population, Weariness, like_probabilities
from recommender.slate import Request

Floats = npt.NDArray[np.float64]

_KEPT_PER_LESSON = 200


class LessonMatches:
    """A `Matcher` that remembers each lesson's hits, so that rounds do not embed again."""

    def __init__(self, matcher: Matcher, catalogue: Catalogue, lessons: Sequence[Lesson]) -> None:
        everything = np.ones(len(catalogue), dtype=bool)
        self.version = matcher.version
        self._matches = {
            lesson.text: matcher.match(
                Query.of(lesson), eligible=everything, top_k=_KEPT_PER_LESSON
            )
            for lesson in lessons
        }
        self._scores = {
            text: {hit.row: hit.score for hit in matches.hits}
            for text, matches in self._matches.items()
        }
        self._cosines = np.asarray(matcher.similarities(np.arange(len(catalogue))))

    def match(self, query: Query, *, eligible: npt.NDArray[Any] | None, top_k: int) -> Matches:
        matches = self._matches[query.text]
        if eligible is None:
            return replace(matches, hits=matches.hits[:top_k])
        hits = tuple(hit for hit in matches.hits if eligible[hit.row])[:top_k]
        return replace(matches, hits=hits)

    def scores(self, lesson: Lesson) -> Mapping[int, float]:
        """Catalogue row -> match score, for the hits that are remembered."""
        return self._scores[lesson.text]

    def similarities(self, rows: npt.NDArray[np.int64]) -> Floats:
        return np.asarray(self._cosines[np.ix_(rows, rows)], dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a simulation needs beside numbers; picklable."""

    catalogue: Catalogue
    lessons: tuple[Lesson, ...]
    matcher: LessonMatches

    @classmethod
    def of(cls, catalogue: Catalogue, matcher: Matcher) -> World:
        """Take the lessons after which something may be offered and something goes with them.

        Raises:
            InvalidInput: there is no such lesson.
        """
        taught = [lesson for lesson in catalogue.lessons if lesson.audience != "minors"]
        matches = LessonMatches(matcher, catalogue, taught)
        everything = np.ones(len(catalogue), dtype=bool)
        lessons = tuple(
            lesson
            for lesson in taught
            if not (m := matches.match(Query.of(lesson), eligible=everything, top_k=10)).is_silent
            and len(m.hits) >= 10
        )
        if not lessons:
            raise InvalidInput(
                "no lesson of this catalogue finds ten items; import lessons and items first"
            )
        return cls(catalogue=catalogue, lessons=lessons, matcher=matches)


@dataclass(frozen=True, kw_only=True)
class RememberingRecommender(Recommender):
    """The product's recommender; its last look at an item is taken once per constraints and day.

    The day counts only where labels do: nothing else that is looked at grows old.
    """

    asserted: set[tuple[ItemId, Constraints, object]] = field(default_factory=set)

    def _assert_allowed(
        self, items: Sequence[Item], constraints: Constraints, *, at: datetime
    ) -> None:
        day = at.date() if constraints.allergens else None
        new = [i for i in items if (i.item_id, constraints, day) not in self.asserted]
        super()._assert_allowed(new, constraints, at=at)
        self.asserted.update((item.item_id, constraints, day) for item in new)


@dataclass(frozen=True, slots=True)
class OracleScorer:
    """Knows what people keep to themselves."""

    population: Population
    weariness: Weariness
    numbers: Mapping[UserKey, int]

    def score(
        self,
        profile: UserProfile,
        request: Request,
        hits: Sequence[Hit],
        items: Sequence[Item],
        *,
        at: datetime,
    ) -> Scored:
        rows = np.array([hit.row for hit in hits], dtype=np.int64)
        match = np.array([hit.score for hit in hits])
        p = like_probabilities(
            self.population, self.weariness, self.numbers[profile.user_key], rows, match
        )
        return Scored(p, Stage.MATCH_ONLY, "oracle")


@dataclass(frozen=True, slots=True)
class PopularityScorer:
    """The crowd's smoothed like rate, for anybody."""

    counts: MatchScorer

    def score(
        self,
        profile: UserProfile,
        request: Request,
        hits: Sequence[Hit],
        items: Sequence[Item],
        *,
        at: datetime,
    ) -> Scored:
        rates = [self.counts.smoothed_like_rate(hit.item_id) for hit in hits]
        return Scored(np.array(rates), Stage.MATCH_ONLY, "popularity")
