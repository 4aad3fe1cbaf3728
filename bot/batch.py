"""Batch work on files: `zhiwei match` and `zhiwei understand`, on any catalogue."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from bot.understanding.understand import Understander
from data.catalogue import Catalogue, Item, Lesson
from data.errors import InvalidInput
from data.importing import Problem, read_items, read_lessons
from index import catalogue_index
from index.embedding import Embedder
from index.knowledge import KnowledgeIndex
from index.matches import Query
from index.matching import HybridMatcher
from index.snapshot import SnapshotFolder

Tell = Callable[[str, int, int], None]


def match_files(
    items_path: Path,
    lessons_path: Path,
    out: Path,
    *,
    embedder: Embedder,
    scratch: Path,
    top_k: int = 20,
    tell: Tell | None = None,
) -> tuple[Problem, ...]:
    """Write the run file of `lessons_path` over the items of `items_path`.

    Lines: lesson_id, rank from 1, item_id, score; then `lesson_id ABSTAIN` where nothing should
    be offered. The ranks stand there all the same, so that a run can be judged.

    Returns:
        The rows that could not be used; the others were.

    Raises:
        InvalidInput: no usable item or lesson.
    """
    items = read_items(items_path)
    lessons = read_lessons(lessons_path)
    if not items.records:
        raise InvalidInput(f"{items_path} has no usable item; each needs item_id and a name")
    matcher = matcher_for(items.records, embedder=embedder, scratch=scratch, tell=tell)
    lines: list[str] = []
    for number, lesson in enumerate(lessons.records):
        if tell is not None:
            tell("matching lessons", number, len(lessons.records))
        lines += run_lines(matcher, lesson, top_k)
    if tell is not None:
        tell("matching lessons", len(lessons.records), len(lessons.records))
    out.write_text("".join(lines), encoding="utf-8")
    return (*items.problems, *lessons.problems)


def matcher_for(
    items: Iterable[Item], *, embedder: Embedder, scratch: Path, tell: Tell | None = None
) -> HybridMatcher:
    """Index some items in a scratch folder and give their matcher."""
    catalogue = Catalogue.of(items)
    folder = SnapshotFolder(scratch)
    snapshot = catalogue_index.build(catalogue, embedder, folder, progress=tell)
    return HybridMatcher(
        catalogue=catalogue,
        index=catalogue_index.load(snapshot, catalogue, embedder),
        embedder=embedder,
        knowledge=KnowledgeIndex(catalogue, embedder),
    )


def run_lines(matcher: HybridMatcher, lesson: Lesson, top_k: int) -> list[str]:
    """The lines of one lesson."""
    matches = matcher.match(Query.of(lesson), eligible=None, top_k=top_k)
    lines = [
        f"{lesson.lesson_id}\t{rank}\t{hit.item_id}\t{hit.score:.6f}\n"
        for rank, hit in enumerate(matches.hits, start=1)
    ]
    if matches.is_silent:
        lines.append(f"{lesson.lesson_id}\tABSTAIN\n")
    return lines


def understand_file(source: Path, out: Path, *, understander: Understander) -> int:
    """Read `{id, text}` lines and write `{id, intent, slots}` lines; gives how many.

    Raises:
        InvalidInput: a line is not such an object; it is named.
    """
    rows: list[tuple[str, str]] = []
    with source.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                rows.append(_row(line, f"{source}, line {number}"))
    meanings = understander.understand_all([text for _, text in rows])
    with out.open("w", encoding="utf-8") as file:
        for (row_id, _), meaning in zip(rows, meanings, strict=True):
            found = {"id": row_id, "intent": str(meaning.intent), "slots": dict(meaning.slots)}
            file.write(json.dumps(found, ensure_ascii=False) + "\n")
    return len(rows)


def _row(line: str, place: str) -> tuple[str, str]:
    try:
        row = json.loads(line)
        return str(row["id"]), str(row["text"])
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(
            f'{place}: got {line.strip()[:60]!r}, expected an object such as {{"id": "1", '
            '"text": "something cheaper"}'
        ) from error
