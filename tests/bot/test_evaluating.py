from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.evaluating import PARTS, evaluate_match
from data.errors import InvalidInput
from index.embedding import HashingEmbedder
from index.evaluation import MatchFigures

GRAMS = HashingEmbedder(dim=64)


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    """A set in which eggs are right for one lesson, and silence for the other."""
    folder = tmp_path / "set"
    folder.mkdir()
    items = [("eggs", "Eggs"), ("wine", "Red Wine"), ("kale", "Kale"), ("figs", "Figs")]
    lessons = [
        ("omelette", "Omelette", "Whisk the eggs. Salt the eggs."),
        ("bonds", "Bond duration", "When yields rise, bond prices fall."),
    ]
    write_lines(folder / "items.jsonl", [{"item_id": i, "name_en": n} for i, n in items])
    rows = [{"lesson_id": i, "title": t, "text": x} for i, t, x in lessons]
    write_lines(folder / "lessons_full.jsonl", rows)
    write_lines(folder / "lessons_intro.jsonl", [row | {"text": "Bonds."} for row in rows[1:]])
    (folder / "qrels.tsv").write_text("lesson_id\titem_id\tgrade\nomelette\teggs\t2\n")
    (folder / "bad.tsv").write_text("omelette\twine\tnot at breakfast\n")
    (folder / "abstain.txt").write_text("bonds\n")
    return folder


def write_lines(path: Path, rows: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def figures(folder: Path | str, tmp_path: Path, **choices: object) -> MatchFigures:
    return evaluate_match(
        str(folder),
        embedder=GRAMS,
        scratch=tmp_path / "index",
        **choices,  # type: ignore[arg-type]
    )


def test_a_set_with_one_right_answer_is_judged_right(judged: Path, tmp_path: Path) -> None:
    found = figures(judged, tmp_path)

    assert found.lessons == 1
    assert found.ndcg_at_3 == 1.0
    assert found.best_in_top_3 == 1.0
    assert (found.rightly_silent, found.wrongly_silent) == (1.0, 0.0)


def test_another_file_of_lessons_can_be_asked_for(judged: Path, tmp_path: Path) -> None:
    found = figures(judged, tmp_path, lessons_name="lessons_intro")

    assert found.ndcg_at_3 == 0.0


@pytest.mark.parametrize("part", PARTS)
def test_any_part_can_be_left_out(judged: Path, tmp_path: Path, part: str) -> None:
    assert figures(judged, tmp_path, without=[part]).lessons == 1


def test_what_is_left_out_is_missed(judged: Path, tmp_path: Path) -> None:
    nothing = [part for part in PARTS if part != "staples"]

    whole, bare = figures(judged, tmp_path), figures(judged, tmp_path, without=nothing)

    assert bare.ndcg_at_10 <= whole.ndcg_at_10


def test_an_unknown_part_is_named_with_the_known_ones(judged: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"'luck' is no part.*lexical"):
        figures(judged, tmp_path, without=["luck"])


@pytest.mark.parametrize("name", ["items.jsonl", "qrels.tsv"])
def test_a_missing_file_is_named(judged: Path, tmp_path: Path, name: str) -> None:
    (judged / name).unlink()

    with pytest.raises(InvalidInput, match=name):
        figures(judged, tmp_path)


def test_a_folder_without_lessons_is_named(judged: Path, tmp_path: Path) -> None:
    for path in judged.glob("lessons*"):
        path.unlink()

    with pytest.raises(InvalidInput, match="lessons"):
        figures(judged, tmp_path)


def test_the_shipped_samples_are_judged_by_their_name(tmp_path: Path) -> None:
    found = figures("samples", tmp_path)

    assert found.lessons == 86
    # Hashed letters know no meaning: words and food knowledge alone come this far.
    assert found.ndcg_at_3 > 0.35
    assert found.wrongly_silent <= 0.05
