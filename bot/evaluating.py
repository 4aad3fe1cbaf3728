"""`zhiwei evaluate match SET`: one row of the ablation table of docs/matching.md."""

from __future__ import annotations

import csv
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from bot.batch import Tell, matcher_for
from data.catalogue import ItemId, LessonId
from data.errors import InvalidInput
from data.importing import read_items, read_lessons
from data.samples import sample_path
from index.embedding import Embedder
from index.evaluation import MatchFigures, judge
from index.fusion import WEIGHTS, Fusion
from index.knowledge import KnowledgeIndex
from index.matches import Query

SAMPLES = "samples"
PARTS = ("dense", "lexical", "mentions", "dishes", "topics", "staples", "objections")
"""What can be left out: each is a view or a source of knowledge."""
_VIEWS_OF = {
    "dense": ("dense",),
    "lexical": ("lexical",),
    "mentions": ("title", "text"),
    "dishes": ("dish", "pattern"),
    "topics": ("topic",),
    "staples": ("staple",),
    "objections": ("doubt",),
}


def evaluate_match(
    folder: str,
    *,
    embedder: Embedder,
    scratch: Path,
    lessons_name: str = "",
    without: Collection[str] = (),
    tell: Tell | None = None,
) -> MatchFigures:
    """Match all lessons of a judged set and judge the rankings.

    Args:
        folder: `samples`, or a folder with items.jsonl, lessons*.jsonl, qrels.tsv and perhaps
            bad.tsv and abstain.txt.
        embedder: for items and lessons.
        scratch: an empty folder for the index.
        lessons_name: which lessons file when there are several, e.g. `lessons_intro`.
        without: parts of `PARTS` to leave out.
        tell: told of the slow steps.

    Raises:
        InvalidInput: a file is missing, or a part is unknown.
    """
    unknown = set(without) - set(PARTS)
    if unknown:
        raise InvalidInput(
            f"{sorted(unknown)[0]!r} is no part; expected one of {', '.join(PARTS)}"
        )
    items_path, lessons_path, qrels, bad, silent_path = _files(folder, lessons_name)
    items, lessons = read_items(items_path).records, read_lessons(lessons_path).records
    matcher = matcher_for(items, embedder=embedder, scratch=scratch, tell=tell)
    left_out = {view for part in without for view in _VIEWS_OF[part]}
    weights = {view: 0.0 if view in left_out else w for view, w in WEIGHTS.items()}
    knowledge = KnowledgeIndex(
        matcher.catalogue, embedder, objects="objections" not in without,
        use_topics="topics" not in without,
    )  # fmt: skip
    matcher = replace(matcher, fusion=Fusion(weights=weights), knowledge=knowledge)
    rankings: dict[LessonId, list[ItemId]] = {}
    abstained: set[LessonId] = set()
    for lesson in lessons:
        matches = matcher.match(Query.of(lesson), eligible=None, top_k=20)
        rankings[lesson.lesson_id] = [hit.item_id for hit in matches.hits]
        if matches.is_silent:
            abstained.add(lesson.lesson_id)
    silent = (
        set(silent_path.read_text(encoding="utf-8").split()) if silent_path.exists() else set()
    )
    return judge(rankings, abstained, _grades(qrels, bad), silent={LessonId(x) for x in silent})


def _files(folder: str, lessons_name: str) -> tuple[Path, Path, Path, Path, Path]:
    if folder == SAMPLES:
        return (
            sample_path("catalogue.csv"),
            sample_path("lessons.jsonl"),
            sample_path("judgements.tsv"),
            sample_path("none.tsv"),
            sample_path("silent.txt"),
        )
    path = Path(folder)
    found = sorted(path.glob("lessons*.jsonl"))
    lessons = (
        path / f"{lessons_name}.jsonl" if lessons_name else (found or [path / "lessons.jsonl"])[0]
    )
    for needed in (path / "items.jsonl", lessons, path / "qrels.tsv"):
        if not needed.exists():
            raise InvalidInput(
                f"{needed} is missing; a set has items.jsonl, lessons*.jsonl and qrels.tsv"
            )
    return (
        path / "items.jsonl",
        lessons,
        path / "qrels.tsv",
        path / "bad.tsv",
        path / "abstain.txt",
    )


def _grades(qrels: Path, bad: Path) -> dict[LessonId, dict[ItemId, int]]:
    grades: dict[LessonId, dict[ItemId, int]] = {}
    for path, fixed in ((qrels, None), (bad, -1)):
        if not path.exists():
            continue
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.reader(file, delimiter="\t"):
                if len(row) >= 3 and row[0] != "lesson_id":
                    grade = int(row[2]) if fixed is None else fixed
                    grades.setdefault(LessonId(row[0]), {})[ItemId(row[1])] = grade
    return grades
