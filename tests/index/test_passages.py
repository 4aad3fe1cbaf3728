from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.passages import passages, sentences


def words(pieces: Sequence[str]) -> list[int]:
    return [len(piece.split()) for piece in pieces]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two words! Three?", ["One.", "Two words!", "Three?"]),
        ("先烤南瓜。再炒核桃！趁热吃？", ["先烤南瓜。", "再炒核桃！", "趁热吃？"]),
        ("他说：“先吃。”然后走了出去。", ["他说：“先吃。”", "然后走了出去。"]),
        ("Bake at 3.5 bar. Then rest it.", ["Bake at 3.5 bar.", "Then rest it."]),
        ("Dr. Smith and Mrs. Jones ate. They left.", ["Dr. Smith and Mrs. Jones ate.", "They left."]),
        ("line one\nline two", ["line one", "line two"]),
        ("no end", ["no end"]),
        ("", []),
        (" \n ", []),
        ("www.example.com is a page. Yes it is.", ["www.example.com is a page.", "Yes it is."]),
    ],
)  # fmt: skip
def test_sentences_end_where_a_reader_ends_them(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


texts = st.text(alphabet='ab 。！？；.!?;\n"”)番茄3', max_size=80)


@given(texts)
def test_no_character_is_dropped(text: str) -> None:
    whole = re.sub(r"\s", "", text)

    assert re.sub(r"\s", "", "".join(sentences(text))) == whole


@given(texts)
def test_every_sentence_stands_in_the_text_word_for_word(text: str) -> None:
    assert all(piece and piece in text for piece in sentences(text))


@given(lengths=st.lists(st.integers(1, 60), max_size=25))
def test_passages_cover_all_sentences_in_order_within_the_limit(lengths: list[int]) -> None:
    pieces = [" ".join([f"w{number}"] * length) for number, length in enumerate(lengths)]

    joined = passages(pieces, words, target=30, limit=50)

    order = [int(w[1:]) for passage in joined for w in dict.fromkeys(passage.split())]
    assert set(order) == set(range(len(pieces)))
    for passage in joined:
        inside = list(dict.fromkeys(passage.split()))
        assert inside == sorted(inside, key=lambda w: int(w[1:]))
        assert len(passage.split()) <= 50 or len(inside) == 1


def test_neighbouring_passages_share_a_sentence() -> None:
    pieces = [f"s{n} " * 9 + "end" for n in range(6)]

    joined = passages(pieces, words, target=20, limit=30)

    assert all(set(one.split()) & set(other.split()) - {"end"} for one, other in pairwise(joined))
