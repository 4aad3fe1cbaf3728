"""Subjects are heard by their sense; what sounds like silence needs better items."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from data.topic_knowledge import Topic, load_topics
from index.embedding import HashingEmbedder
from index.fusion import Fusion
from index.knowledge import Reading
from index.subjects import SubjectSense, subject_lines

NUMBERS = {topic.topic_id: number for number, topic in enumerate(load_topics())}


@pytest.fixture(scope="module")
def sense() -> SubjectSense:
    return SubjectSense.of(HashingEmbedder())


def vectors(*texts: str) -> np.ndarray:
    return HashingEmbedder().embed(texts, kind="query")


def topic(topic_id: str) -> Topic:
    return load_topics()[NUMBERS[topic_id]]


def reading(**changed: object) -> Reading:
    plain = Reading(
        active={}, pieces_by_food={}, pieces_by_topic={}, topics={}, against={},
        is_chinese=False, cooking=0.0, silence=0.0,
    )  # fmt: skip
    return replace(plain, **changed)  # type: ignore[arg-type]


def test_a_subject_is_described_without_its_foods() -> None:
    zh, en = subject_lines(topic("passover"))

    assert "逾越节" in zh
    assert "Passover" in en
    assert "石榴" not in zh
    assert "pomegranate" not in en.lower()


def test_what_silent_subjects_say_of_food_is_no_part_of_them() -> None:
    for known in load_topics():
        if known.is_silent:
            zh, en = subject_lines(known)
            assert "食物" not in zh, known.topic_id
            assert "nothing to eat" not in en, known.topic_id


def test_a_text_is_nearest_to_the_subject_whose_words_it_uses(sense: SubjectSense) -> None:
    heard = sense.strengths(vectors(*subject_lines(topic("vikings"))))

    assert max(heard, key=lambda number: heard[number]) == NUMBERS["vikings"]
    assert all(0.0 <= strength <= 1.0 for strength in heard.values())


def test_texts_of_silent_subjects_lie_on_the_silent_side(sense: SubjectSense) -> None:
    silent, others = (
        [
            sense.silence(vectors(*subject_lines(known)))
            for known in load_topics()
            if known.is_silent is is_silent
        ]
        for is_silent in (True, False)
    )

    assert np.median(silent) > np.percentile(others, 90)


def test_no_sentence_says_nothing(sense: SubjectSense) -> None:
    none = np.zeros((0, HashingEmbedder().dim), dtype=np.float32)

    assert sense.strengths(none) == {}
    assert sense.silence(none) == 0.0


def test_the_floor_rises_with_the_sound_of_silence_and_never_falls() -> None:
    fusion = Fusion()

    floors = [fusion.floor(reading(tact=t), is_lesson=True) for t in (-0.3, 0.0, 0.2, 0.4)]

    assert floors[0] == floors[1] == pytest.approx(fusion.lesson_floor)
    assert floors[1] < floors[2] < floors[3] < 0.5


def test_a_pie_in_the_title_of_a_lesson_on_charts_does_not_make_it_one_on_food() -> None:
    fusion = Fusion()

    plain, charts = (
        fusion.floor(reading(cooking=0.2, tact=tact), is_lesson=True) for tact in (0.0, 0.4)
    )

    assert plain == 0.0
    assert charts > fusion.lesson_floor


def test_four_named_foods_are_answered_whatever_it_sounds_like() -> None:
    foods = dict.fromkeys(("tea", "rice", "egg", "salt"), (0,))

    floor = Fusion().floor(reading(tact=0.5, silence=0.9, pieces_by_food=foods), is_lesson=True)

    assert floor == 0.0
