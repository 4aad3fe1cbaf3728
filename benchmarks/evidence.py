"""Is the quoted sentence the one that matters? `python -m benchmarks.evidence`.

On the recipe sets, for each of the first ten hits whose name, or a name of whose food, stands in the
text: does the quoted sentence contain one?
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import models
from benchmarks.report import show
from bot.batch import matcher_for
from data.catalogue import Item, Lesson
from data.food_knowledge import load_foods
from data.importing import read_items, read_lessons
from data.mentions import MentionScanner
from index.knowledge import MAIN_LINK
from index.lexical import normalize
from index.matches import Query
from index.matching import HybridMatcher

SETS = (
    ("recipes_zh", "lessons_full"),
    ("recipes_zh", "lessons_intro"),
    ("recipes_en", "lessons_full"),
    ("recipes_en", "lessons_intro"),
)
REQUIRED = 0.90


def main(bench: Path) -> None:
    rows: list[Mapping[str, Any]] = []
    for name, lessons_name in SETS:
        items = read_items(bench / name / "items.jsonl").records
        lessons = read_lessons(bench / name / f"{lessons_name}.jsonl").records
        with tempfile.TemporaryDirectory() as scratch:
            matcher = matcher_for(items, embedder=models.served(), scratch=Path(scratch))
            judged = [fits for lesson in lessons for fits in quoted(matcher, lesson)]
        share = sum(judged) / max(len(judged), 1)
        rows.append(
            {"what": f"{name} {lessons_name}", "hits": len(judged), "share": share,
             "required": REQUIRED}
        )  # fmt: skip
    show("evidence", rows)


def quoted(matcher: HybridMatcher, lesson: Lesson) -> Iterator[bool]:
    """For each hit that the text names: whether the quoted sentence names it."""
    for hit in matcher.match(Query.of(lesson), eligible=None, top_k=10).hits:
        scanner = names_of(matcher, matcher.catalogue.items[hit.row], hit.row)
        if scanner.find(normalize(f"{lesson.title}\n{lesson.text}")):
            yield bool(scanner.find(normalize(hit.evidence)))


def names_of(matcher: HybridMatcher, item: Item, row: int) -> MentionScanner:
    """Finds the item's own names and those of the food that it is."""
    foods = load_foods()
    names = {name for name in (item.name_zh, item.name_en) if name}
    for food, link in matcher.knowledge.links[row].items():
        if link == MAIN_LINK:
            names |= {*foods[food].zh, *foods[food].en}
    return MentionScanner(sorted(names))


if __name__ == "__main__":
    default = os.environ.get("ZHIWEI_BENCH") or Path(__file__).parents[2] / "shared" / "bench"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bench", type=Path, default=Path(default))
    main(parser.parse_args().bench)
