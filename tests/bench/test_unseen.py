"""The judged lessons of our own are sound; what the matcher makes of them is measured, not tested."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.unseen import HARM_GROUPS, LESSONS, Answers, UnseenLesson, read_lessons
from data.catalogue import Catalogue, Item, ItemId, Lesson, LessonId
from data.samples import load_samples
from index.matches import Hit, Matches


def judged(*, is_silent: bool = False, bad: tuple[str, ...] = ()) -> UnseenLesson:
    return UnseenLesson(
        lesson=Lesson(lesson_id=LessonId("a"), title="", text=""),
        language="en",
        kind="history",
        is_silent=is_silent,
        grades={} if is_silent else {ItemId("fig"): 3, ItemId("date"): 2},
        bad=bad,
    )


def answers(unseen: UnseenLesson, *item_ids: str, is_silent: bool = False) -> Answers:
    items = [
        Item(item_id=ItemId(name), name_en=name, category=category)
        for name, category in (("fig", "fruit"), ("date", "fruit"), ("ham", "pork"))
    ]
    hits = tuple(
        Hit(item_id=ItemId(x), row=0, score=0.5, dense=0.0, lexical=0.0, knowledge=0.0)
        for x in item_ids
    )
    matches = Matches(hits=hits, floor=0.1, is_silent=is_silent)
    return Answers(Catalogue.of(items), [unseen], {unseen.lesson.lesson_id: matches})


def test_there_are_sixty_lessons_of_each_language_and_both_halves_have_both_sorts() -> None:
    lessons = read_lessons(LESSONS)

    assert Counter(x.language for x in lessons) == {"zh": 60, "en": 60}
    assert len({x.lesson.lesson_id for x in lessons}) == len(lessons)
    for half in ("look", "sealed"):
        assert {x.is_silent for x in lessons if x.half == half} == {True, False}


def test_judgements_name_items_of_the_sample_catalogue() -> None:
    items = load_samples().items
    ids = {item.item_id for item in items}
    words = {*ids, *(item.category for item in items), *HARM_GROUPS}

    assert frozenset().union(*HARM_GROUPS.values()) <= ids
    for unseen in read_lessons(LESSONS):
        assert unseen.grades.keys() <= ids, unseen.lesson.lesson_id
        assert set(unseen.bad) <= words, unseen.lesson.lesson_id
        assert set(unseen.grades.values()) <= {1, 2, 3}
        assert bool(unseen.grades) is not unseen.is_silent, unseen.lesson.lesson_id


@pytest.mark.parametrize(
    ("unseen", "found", "complaint"),
    [
        (judged(), answers(judged(), "fig", "date"), ""),
        (judged(), answers(judged(), "date"), "no item of grade 3"),
        (judged(bad=("pork",)), answers(judged(bad=("pork",)), "fig", "ham"), "harmful: ham"),
        (judged(), answers(judged(), "fig", is_silent=True), "silent without a reason"),
        (judged(is_silent=True), answers(judged(is_silent=True), "fig"), "should be silent"),
        (judged(is_silent=True), answers(judged(is_silent=True), is_silent=True), ""),
    ],
    ids=["good", "middling", "harm", "wrong-silence", "tactless", "right-silence"],
)
def test_a_failure_is_called_by_its_name(
    unseen: UnseenLesson, found: Answers, complaint: str
) -> None:
    said = found.complaint(unseen)

    assert said.startswith(complaint) if complaint else said == ""


def test_harm_counts_by_category_even_where_the_item_was_graded() -> None:
    unseen = judged(bad=("fruit",))

    assert answers(unseen, "fig").figures([unseen]).harmful_in_top_3 == 1
