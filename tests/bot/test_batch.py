from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.batch import match_files, matcher_for, run_lines, understand_file
from bot.understanding.meaning import Intent
from data.catalogue import Lesson, LessonId
from data.errors import InvalidInput
from index.embedding import HashingEmbedder
from tests.fakes import ScriptedInterpreter
from tests.index.small_worlds import shop

GRAMS = HashingEmbedder(dim=64)


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    items = write(
        tmp_path / "items.jsonl",
        {"item_id": "eggs", "name_en": "Eggs"},
        {"item_id": "figs", "name": "无花果"},
        {"item_id": "kale", "name_en": "Kale"},
        {"item_id": "oil", "name_en": "Olive Oil"},
    )
    lessons = write(
        tmp_path / "lessons.jsonl",
        {"lesson_id": "one", "title": "Eggs", "text": "Boil the eggs. Peel the eggs."},
        {"lesson_id": "bonds", "title": "Bonds", "text": "Yields rise and bond prices fall."},
    )
    return items, lessons, tmp_path / "run.tsv"


def test_a_run_has_ranks_from_one_and_says_where_to_be_silent(tmp_path: Path) -> None:
    items, lessons, out = files(tmp_path)

    problems = match_files(
        items, lessons, out, embedder=GRAMS, scratch=tmp_path / "index", top_k=3
    )

    rows = [line.split("\t") for line in out.read_text(encoding="utf-8").splitlines()]
    assert problems == ()
    assert [row[1] for row in rows if row[0] == "one"] == ["1", "2", "3"]
    assert rows[0][:3] == ["one", "1", "eggs"]
    assert [row[1] for row in rows if row[0] == "bonds"] == ["1", "2", "3", "ABSTAIN"]
    scores = [float(row[3]) for row in rows if row[0] == "one"]
    assert scores == sorted(scores, reverse=True)


def test_rows_that_cannot_be_used_are_reported_and_the_others_matched(tmp_path: Path) -> None:
    items, lessons, out = files(tmp_path)
    with items.open("a", encoding="utf-8") as file:
        file.write('{"item_id": "nameless"}\n')

    problems = match_files(items, lessons, out, embedder=GRAMS, scratch=tmp_path / "index")

    assert len(problems) == 1
    assert "nameless" not in out.read_text(encoding="utf-8")


def test_a_catalogue_without_a_usable_item_is_refused(tmp_path: Path) -> None:
    _, lessons, out = files(tmp_path)
    empty = write(tmp_path / "empty.jsonl", {"item_id": "nameless"})

    with pytest.raises(InvalidInput, match="no usable item"):
        match_files(empty, lessons, out, embedder=GRAMS, scratch=tmp_path / "index")


def test_progress_reaches_the_number_of_lessons(tmp_path: Path) -> None:
    items, lessons, out = files(tmp_path)
    told: list[tuple[str, int, int]] = []

    match_files(
        items, lessons, out, embedder=GRAMS, scratch=tmp_path / "index",
        tell=lambda *step: told.append(step),
    )  # fmt: skip

    assert told[-1] == ("matching lessons", 2, 2)


def test_the_same_lesson_gives_the_same_lines_again(tmp_path: Path) -> None:
    matcher = matcher_for(shop(), embedder=GRAMS, scratch=tmp_path)
    lesson = Lesson(lesson_id=LessonId("a"), title="Eggs", text="Eggs and figs.")

    assert run_lines(matcher, lesson, 5) == run_lines(matcher, lesson, 5)


class Scripted(ScriptedInterpreter):
    """Stands where the trained understanding stands."""


def test_messages_are_understood_line_by_line(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", {"id": "1", "text": "cheaper"}, {"id": 2, "text": "?"})
    interpreter = Scripted()
    interpreter.means("cheaper", Intent.CRITIQUE, price="lower")

    n = understand_file(source, tmp_path / "out.jsonl", understander=interpreter)  # type: ignore[arg-type]

    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert n == 2
    assert rows[0] == {"id": "1", "intent": str(Intent.CRITIQUE), "slots": {"price": "lower"}}
    assert [row["id"] for row in rows] == ["1", "2"]


@pytest.mark.parametrize("line", ["not json", '{"id": "1"}', "[1]"])
def test_a_line_that_is_no_message_is_named(tmp_path: Path, line: str) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text(f'{{"id": "1", "text": "x"}}\n{line}\n', encoding="utf-8")

    with pytest.raises(InvalidInput, match="line 2"):
        understand_file(source, tmp_path / "out.jsonl", understander=Scripted())  # type: ignore[arg-type]
