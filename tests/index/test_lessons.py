from __future__ import annotations

import pytest

from data.catalogue import Lesson, LessonId
from index.embedding import HashingEmbedder
from index.lessons import LessonFinder


def finder() -> LessonFinder:
    titles = [
        ("med-diet", "地中海饮食到底吃什么", "吃得明白"),
        ("silk-road", "The Silk Road: Seeds on the Move", "World history"),
        ("sourdough", "Sourdough: Reading the Dough", "Baking"),
        ("sourdough-2", "Sourdough: Shaping the Loaf", "Baking"),
        ("sleep", "睡意是怎么攒起来的", "睡眠课"),
    ]
    lessons = tuple(
        Lesson(lesson_id=LessonId(i), title=title, text="...", course=course)
        for i, title, course in titles
    )
    return LessonFinder(lessons, HashingEmbedder(dim=64))


@pytest.mark.parametrize(
    ("said", "lesson_id"),
    [
        ("med-diet", "med-diet"),
        ("地中海饮食到底吃什么", "med-diet"),
        ("「地中海饮食到底吃什么」", "med-diet"),
        ("我刚学完地中海饮食到底吃什么这一课", "med-diet"),
        ("THE SILK ROAD: SEEDS ON THE MOVE", "silk-road"),
        ("silk road", "silk-road"),
        ("reading the dough", "sourdough"),
    ],
)
def test_a_lesson_is_found_by_id_title_and_part_of_it(said: str, lesson_id: str) -> None:
    lessons = finder()

    sure = lessons.sure(lessons.find(said))

    assert sure is not None
    assert sure.lesson_id == lesson_id


def test_two_lessons_that_fit_alike_are_asked_about() -> None:
    lessons = finder()

    found = lessons.find("the baking lesson on sourdough")

    assert {f.lesson.lesson_id for f in found[:2]} == {"sourdough", "sourdough-2"}
    assert lessons.sure(found) is None


@pytest.mark.parametrize("said", ["", "  ", "。。", "“”"])
def test_empty_words_mean_no_lesson(said: str) -> None:
    assert finder().find(said) == []


def test_no_lessons_means_none_found() -> None:
    assert LessonFinder((), HashingEmbedder(dim=64)).find("anything") == []


def test_scores_fall_lie_in_the_unit_interval_and_are_not_too_many() -> None:
    found = finder().find("Sourdough: Reading the Dough", top_k=2)

    scores = [f.score for f in found]
    assert len(found) <= 2
    assert scores == sorted(scores, reverse=True)
    assert all(0.0 <= score <= 1.0 for score in scores)
