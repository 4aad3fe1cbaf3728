from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.catalogue import Item, ItemId
from data.errors import SnapshotError
from index.catalogue_index import lexical_terms
from index.lexical import K1, B, LexicalIndex, tokenize

TEXTS = [
    "新鲜番茄 适合炒蛋",
    "番茄酱 意大利面好搭档",
    "牛肉 炖萝卜",
    "fresh tomatoes for pasta",
    "Crème fraîche",
    "",
]


def test_chinese_becomes_words_and_character_pairs() -> None:
    terms = tokenize("番茄炒鸡蛋")

    assert "番茄" in terms
    assert {"番茄", "茄炒", "炒鸡", "鸡蛋"} <= set(terms)


def test_traditional_and_full_width_meet_simplified_and_plain() -> None:
    assert tokenize("雞蛋２５０Ｇ") == tokenize("鸡蛋250g")
    assert tokenize("蘿蔔") == tokenize("萝卜")


@pytest.mark.parametrize(
    ("plural", "singular"),
    [
        ("Tomatoes", "tomato"),
        ("cherries", "cherry"),
        ("radishes", "radish"),
        ("peaches", "peach"),
        ("olives", "olive"),
        ("cookies", "cookie"),
        ("loaves", "loaf"),
        ("boxes", "box"),
        ("eggs", "egg"),
    ],
)
def test_english_plurals_meet_their_singular(plural: str, singular: str) -> None:
    assert tokenize(plural) == tokenize(singular)


@pytest.mark.parametrize("word", ["hummus", "asparagus", "couscous", "swiss", "bus", "gas"])
def test_words_that_only_look_plural_stay(word: str) -> None:
    assert tokenize(word) == [word]


def test_accents_do_not_part_words() -> None:
    assert tokenize("crème brûlée") == tokenize("Creme Brulee")


def test_the_text_with_the_rarer_word_comes_first() -> None:
    lexical = LexicalIndex.build(TEXTS)

    scores, rows = lexical.search("番茄和萝卜", 3)

    assert rows.tolist()[0] == 2
    assert set(rows.tolist()) == {0, 1, 2}
    assert scores.tolist() == sorted(scores.tolist(), reverse=True)


def test_scores_are_bm25_worked_by_hand() -> None:
    lexical = LexicalIndex.build(["apple apple pear", "apple", "plum"])

    scores = lexical.scores("apple")

    idf = np.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    mean_length = 5 / 3
    first = idf * 2 * (K1 + 1) / (2 + K1 * (1 - B + B * 3 / mean_length))
    second = idf * 1 * (K1 + 1) / (1 + K1 * (1 - B + B * 1 / mean_length))
    np.testing.assert_allclose(scores, [first, second, 0], rtol=1e-6)


def test_what_shares_no_term_is_not_found() -> None:
    scores, rows = LexicalIndex.build(TEXTS).search("quantum", 5)

    assert len(scores) == len(rows) == 0


def test_only_eligible_rows_are_found_by_mask_or_by_number() -> None:
    lexical = LexicalIndex.build(TEXTS)
    mask = np.array([False, True, False, False, False, False])

    by_mask = lexical.search("番茄", 5, eligible=mask)
    by_number = lexical.search("番茄", 5, eligible=np.array([1]))

    assert by_mask[1].tolist() == by_number[1].tolist() == [1]


def test_an_empty_index_and_an_empty_query_find_nothing() -> None:
    assert LexicalIndex.build([]).search("番茄", 3)[1].tolist() == []
    assert LexicalIndex.build(TEXTS).search("  !? ", 3)[1].tolist() == []
    assert LexicalIndex.build(TEXTS).search("番茄", 0)[1].tolist() == []


words = st.lists(st.sampled_from(["番茄", "egg", "牛肉", "面", "tea", "rice"]), max_size=6)


@given(texts=st.lists(words.map(" ".join), min_size=1, max_size=12), query=words.map(" ".join))
def test_search_is_the_head_of_all_scores(texts: list[str], query: str) -> None:
    lexical = LexicalIndex.build(texts)
    scores = lexical.scores(query)

    found, rows = lexical.search(query, 4)

    expected = sorted(np.flatnonzero(scores), key=lambda row: (-scores[row], row))[:4]
    assert rows.tolist() == expected
    np.testing.assert_array_equal(found, scores[rows])
    assert (scores >= 0).all()


@given(texts=st.lists(words.map(" ".join), max_size=8))
def test_saving_and_loading_changes_nothing(
    texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("lexical")
    lexical = LexicalIndex.build(texts)

    lexical.save(folder)
    again = LexicalIndex.load(folder)

    assert len(again) == len(texts)
    np.testing.assert_array_equal(again.scores("番茄 egg"), lexical.scores("番茄 egg"))


def test_broken_files_are_named_with_the_remedy(tmp_path: Path) -> None:
    LexicalIndex.build(TEXTS).save(tmp_path)
    (tmp_path / "lexical.npz").write_bytes(b"PK nonsense")

    with pytest.raises(SnapshotError, match="zhiwei index build"):
        LexicalIndex.load(tmp_path)

    (tmp_path / "lexical.json").write_text('{"format": 99}')
    with pytest.raises(SnapshotError, match="format 99"):
        LexicalIndex.load(tmp_path)


@pytest.mark.parametrize("n_times", [6, 30, 300])
def test_a_word_repeated_in_a_description_counts_less_than_a_name(n_times: int) -> None:
    plain = Item(item_id=ItemId("plain"), name_en="Tomatoes", description_en="Ripe and red.")
    stuffed = Item(
        item_id=ItemId("stuffed"), name_en="Oat bar", description_en="tomato " * n_times
    )
    others = [Item(item_id=ItemId(str(n)), name_en=f"Item {n}") for n in range(20)]
    lexical = LexicalIndex.build_from_terms(map(lexical_terms, [plain, stuffed, *others]))

    scores = lexical.scores("the tomato")

    assert scores[0] > scores[1] > 0
