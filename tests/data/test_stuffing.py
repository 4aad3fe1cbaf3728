from __future__ import annotations

import pytest

from data.importing import read_items
from data.samples import sample_path
from data.stuffing import stuffed_word
from data.validation import parse_item


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tomato tomato Tomato tomato, tomato tomato best tomato", ("tomato", 7)),
        ("番茄番茄番茄，番茄！番茄 番茄", ("番茄", 6)),
        ("Buy apples: " + "apple pie and the apple cake, " * 4, ("apple", 8)),
    ],
)
def test_a_text_that_repeats_a_word_to_be_found_by_it_is_seen(
    text: str, expected: tuple[str, int]
) -> None:
    assert stuffed_word(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Crisp apples from old trees; an apple a day, and an apple for the teacher.",
        "新疆阿克苏苹果，脆甜多汁；苹果要冷藏，切开的苹果尽快吃完。",
        "the and the and the and the and the and the",
        "5 5 5 5 5 5 5 5",
    ],
)
def test_prose_is_no_stuffing(text: str) -> None:
    assert stuffed_word(text) is None


def test_a_stuffed_row_is_kept_whole_and_reported() -> None:
    stuffed = "walnut " * 9
    parsed = parse_item({"item_id": "x", "name_en": "Cake", "description_en": stuffed})

    assert parsed.record is not None
    # Its words may be what gives an allergen away.
    assert "walnut" in parsed.record.description_en
    (complaint,) = parsed.complaints
    assert complaint.field == "description_en"
    assert complaint.expected == "prose; it has the word walnut 9 times"


def test_the_samples_are_prose() -> None:
    assert read_items(sample_path("catalogue.csv")).problems == ()
