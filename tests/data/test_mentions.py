from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.mentions import MentionScanner, has_han, normalised, singular


def found(phrases: list[str], text: str) -> list[str]:
    return [mention.phrase for mention in MentionScanner(phrases).find(text)]


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("tomatoes and a TOMATO", ["tomato", "tomato"]),
        ("an eggplant", []),
        ("egg-white", ["egg"]),
        ("spring onions", ["spring onion"]),
        ("spring rain on onions", ["onion"]),
        ("西红柿和番茄", ["西红柿", "番茄"]),
        ("小番茄很甜", ["小番茄"]),
        ("ｔｏｍａｔｏ", ["tomato"]),
        ("tomato番茄", ["tomato", "番茄"]),
        ("", []),
    ],
)
def test_the_longest_phrase_is_found_in_both_scripts(text: str, phrases: list[str]) -> None:
    known = ["tomato", "egg", "onion", "spring onion", "番茄", "小番茄", "西红柿"]

    assert found(known, text) == phrases


def test_the_phrase_comes_back_as_it_was_given() -> None:
    assert found(["Crème Brûlée", "Silk Road"], "the silk roads, a CRÈME BRÛLÉE") == [
        "Silk Road",
        "Crème Brûlée",
    ]


def test_an_empty_phrase_is_never_found() -> None:
    assert found(["", "  ", "!!"], "anything at all !!") == []


@pytest.mark.parametrize(
    ("plural", "one"),
    [
        ("tomatoes", "tomato"), ("berries", "berry"), ("leaves", "leaf"), ("dishes", "dish"),
        ("figs", "fig"), ("peas", "pea"), ("asparagus", "asparagus"), ("molasses", "molass"),
        ("watercress", "watercress"), ("bus", "bus"), ("couscous", "couscous"),
    ],
)  # fmt: skip
def test_regular_plurals_are_taken_off(plural: str, one: str) -> None:
    assert singular(plural) == one


alphabet = "ab 番茄蛋,。"
phrases_of = st.lists(st.text(alphabet=alphabet, min_size=1, max_size=4), max_size=6)


@given(phrases=phrases_of, text=st.text(alphabet=alphabet, max_size=40))
def test_mentions_are_in_order_apart_and_where_they_say(phrases: list[str], text: str) -> None:
    mentions = MentionScanner(phrases).find(text)

    folded = normalised(text)
    end = 0
    for mention in mentions:
        assert mention.phrase in phrases
        assert end <= mention.start < mention.end <= len(folded)
        if has_han(mention.phrase):
            wanted = normalised(mention.phrase).strip()
            assert folded[mention.start : mention.end] == wanted
        end = mention.end


@given(
    phrase=st.text(alphabet="番茄蛋", min_size=1, max_size=4),
    around=st.text(alphabet="x。", max_size=5),
)
def test_a_chinese_phrase_is_found_wherever_it_stands(phrase: str, around: str) -> None:
    assert found([phrase], around + phrase + around) == [phrase]
