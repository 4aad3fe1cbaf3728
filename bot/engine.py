"""What one catalogue snapshot needs to answer: swapped as a whole when a new one is published."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from data.catalogue import Catalogue
from index.lessons import LessonFinder
from index.matches import Matcher
from recommender.candidates import CatalogueTable
from recommender.recommend import Recommender


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Catalogue, matcher and recommender that belong together."""

    catalogue: Catalogue
    table: CatalogueTable
    matcher: Matcher
    recommender: Recommender
    lesson_finder: LessonFinder
    model_name: str


EngineSource = Callable[[], Engine]
"""Gives the engine in force; cheap to call once a turn."""
