"""recommend(U): the same inputs give the same slate, and everything needed to judge it is logged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from data.catalogue import Catalogue, ItemId, LessonId
from data.errors import SafetyViolation
from data.events import CreatorRule, Mode, RuleKind, SlateId, UserKey
from data.vocabulary import Allergen
from index.matches import Hit, Matches, Query
from recommender.candidates import CatalogueTable
from recommender.constraints import Constraints, HiddenReason
from recommender.profile import UserProfile
from recommender.recommend import Recommender
from recommender.slate import Request, Slate
from tests.fakes import NOON, sample_catalogue

CATALOGUE = Catalogue.of(sample_catalogue().items[:60], sample_catalogue().lessons[:3])
LESSON = CATALOGUE.lessons[0]
ANN = UserProfile(user_key=UserKey("ann"))


class FallingScores:
    """Every eligible item, in the order of the catalogue, with falling scores."""

    version = "test-index"

    def __init__(self, floor: float = 0.0, *, ignores_eligibility: bool = False) -> None:
        self._floor = floor
        self._ignores = ignores_eligibility
        self.queries: list[Query] = []

    def match(self, query: Query, *, eligible: np.ndarray | None, top_k: int) -> Matches:
        self.queries.append(query)
        n = len(CATALOGUE)
        rows = np.arange(n) if eligible is None or self._ignores else np.flatnonzero(eligible)
        hits = tuple(
            Hit(
                item_id=CATALOGUE.items[row].item_id, row=int(row), score=1.0 - rank / n, dense=0.5,
                lexical=0.1, knowledge=0.2, evidence=f"sentence {row}",
            )
            for rank, row in enumerate(rows[:top_k])
        )  # fmt: skip
        is_silent = not hits or hits[0].score < self._floor
        return Matches(hits=hits, floor=self._floor, is_silent=is_silent)

    def similarities(self, rows: np.ndarray) -> np.ndarray:
        return np.eye(len(rows))


def recommender(matcher: FallingScores | None = None) -> Recommender:
    return Recommender(table=CatalogueTable(CATALOGUE), matcher=matcher or FallingScores())


def choose(
    request: Request | None = None,
    *,
    seed: int = 1,
    by: Recommender | None = None,
    **choices: object,
) -> Slate:
    return (by or recommender()).recommend(
        ANN, request or Request(lesson=LESSON), at=NOON, seed=seed, slate_id=SlateId("s"), **choices  # type: ignore[arg-type]
    )  # fmt: skip


def test_the_same_inputs_and_seed_give_the_same_slate() -> None:
    assert choose(seed=5).record == choose(seed=5).record
    drawn = {tuple(item.item_id for item in choose(seed=seed).items) for seed in range(20)}
    assert len(drawn) > 1


def test_the_record_says_how_the_slate_came_about() -> None:
    record = choose().record
    assert len(record.placements) == 3
    assert [p.position for p in record.placements] == [0, 1, 2]
    assert all(0 < p.propensity <= 1 for p in record.placements)
    assert all(0 < p.marginal_propensity <= 1 for p in record.placements)
    assert len(record.candidates) == len(record.scores) == 10
    assert {p.item_id for p in record.placements} <= set(record.candidates)
    assert record.lesson_id == LESSON.lesson_id
    assert record.index_version == "test-index"
    assert record.catalogue_version == CATALOGUE.version
    assert record.mode is Mode.FULL
    assert record.ope_valid
    assert record.exploration_rate > 0
    assert record.placements[0].evidence.startswith("sentence ")


def test_items_below_the_floor_are_worse_than_silence() -> None:
    slate = choose(by=recommender(FallingScores(floor=2.0)))
    assert slate.is_empty
    assert slate.is_silent
    assert not slate.record.ope_valid


def test_who_asks_for_more_like_this_gets_neighbours_below_the_floor_too() -> None:
    like = Request(lesson=LESSON, like=(CATALOGUE.items[0].item_id,))
    assert not choose(like, by=recommender(FallingScores(floor=2.0))).is_empty


def test_what_was_shown_already_does_not_come_again() -> None:
    first = {item.item_id for item in choose().items}
    second = choose(Request(lesson=LESSON, without=frozenset(first)))
    assert not first & {item.item_id for item in second.items}


def test_a_pin_comes_first_with_certainty_and_out_of_the_estimates() -> None:
    pinned = CATALOGUE.items[40].item_id
    pin = CreatorRule(
        lesson_id=LESSON.lesson_id,
        item_id=pinned,
        kind=RuleKind.PIN,
        at=NOON,
        creator=ANN.user_key,
    )
    slate = choose(creator_rules=[pin])
    assert slate.items[0].item_id == pinned
    assert slate.record.placements[0].propensity == 1.0
    assert not slate.record.ope_valid
    assert len({item.item_id for item in slate.items}) == 3
    elsewhere = replace(pin, lesson_id=LessonId("other"))
    assert choose(creator_rules=[elsewhere]).record.ope_valid


def test_a_pin_never_brings_back_what_must_not_be_shown() -> None:
    forbidden, allergen = next(
        (i, a) for i in CATALOGUE for a in Allergen if i.allergen_state(a) == "contains"
    )
    pin = CreatorRule(
        lesson_id=LESSON.lesson_id, item_id=forbidden.item_id, kind=RuleKind.PIN, at=NOON,
        creator=ANN.user_key,
    )  # fmt: skip
    wishes = Constraints(allergens=frozenset({allergen}))
    slate = choose(Request(lesson=LESSON, wishes=wishes), creator_rules=[pin])
    assert forbidden.item_id not in {item.item_id for item in slate.items}


def test_a_matcher_that_ignores_the_filter_is_caught_and_nothing_is_returned() -> None:
    items = [
        replace(i, allergens={}, item_id=ItemId(f"bad{n}")) for n, i in enumerate(CATALOGUE.items)
    ]
    bad = Catalogue.of(items)

    class Blind(FallingScores):
        def match(self, query: Query, *, eligible: np.ndarray | None, top_k: int) -> Matches:
            hits = tuple(
                Hit(item_id=i.item_id, row=row, score=0.9, dense=0.9, lexical=0.0, knowledge=0.0)
                for row, i in enumerate(bad.items[:top_k])
            )
            return Matches(hits=hits, floor=0.0, is_silent=False)

    class OneGood(CatalogueTable):
        """Lets one row through, so that the matcher is asked at all."""

    good = replace(CATALOGUE.items[0], item_id=ItemId("good"))
    table = OneGood(Catalogue.of([*items, good]))
    wishes = Constraints(allergens=frozenset({Allergen.MILK}))
    with pytest.raises(SafetyViolation, match="passed the filter"):
        Recommender(table=table, matcher=Blind()).recommend(
            ANN, Request(text="x", wishes=wishes), at=NOON, seed=1, slate_id=SlateId("s")
        )


def test_nothing_eligible_is_an_empty_slate_that_says_why() -> None:
    slate = choose(Request(lesson=replace(LESSON, audience="minors")))
    assert slate.is_empty
    assert not slate.is_silent
    assert slate.hidden == {HiddenReason.AUDIENCE: len(CATALOGUE)}


def test_the_query_carries_lesson_wishes_and_likes() -> None:
    matcher = FallingScores()
    by = recommender(matcher)
    choose(Request(lesson=LESSON, words="sour"), by=by)
    choose(Request(text="pears", words="sour"), by=by)
    lesson, words = matcher.queries
    assert (lesson.text, lesson.wishes, lesson.is_lesson) == (LESSON.text, "sour", True)
    assert (words.text, words.wishes, words.is_lesson) == ("pears", "sour", False)
