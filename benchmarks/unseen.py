"""Does matching hold on lessons that nobody tuned to? `python -m benchmarks.unseen`.

120 lessons of our own (`unseen_lessons.jsonl`), half Chinese, half English, judged over the sample
catalogue before anything was mended: 46 of them are best left silent, the others list items with
grades 1 to 3, and most name what would embarrass or harm. A hash of the id splits them into `look`,
whose failures may be read, and `sealed`, which is only ever scored in total.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks import models
from benchmarks.report import show
from bot.batch import matcher_for
from data.catalogue import Catalogue, Item, ItemId, Lesson, LessonId
from data.importing import read_items
from data.samples import sample_path
from index.evaluation import MatchFigures, judge, ndcg
from index.matches import Matches, Query
from index.matching import HybridMatcher

LESSONS = Path(__file__).with_name("unseen_lessons.jsonl")
Half = Literal["look", "sealed", "both"]
TOP = 3

HARM_GROUPS: Mapping[str, frozenset[str]] = {
    "alcohol": frozenset({"junmai-sake", "craft-wheat-beer", "rioja-red-wine",
                          "sweet-fermented-rice-laozao", "shaoxing-cooking-wine", "mirin-hon"}),
    "caffeine": frozenset({"longjing-green-tea", "song-style-whisked-tea", "uji-matcha",
                           "tieguanyin-oolong", "dahongpao-rock-tea", "puer-ripe-cake",
                           "keemun-black-tea", "jasmine-tea-fuzhou", "white-peony-fuding",
                           "darjeeling-first-flush", "masala-chai-blend", "yunnan-coffee-beans",
                           "ethiopian-coffee-beans"}),
    "nuts": frozenset({"almonds-raw", "walnuts-yunnan", "pistachios-roasted", "cashews-roasted",
                       "hazelnuts-piedmont", "pecans-plain", "macadamias-shelled",
                       "peanuts-red-skin", "pine-nuts", "brazil-nuts", "alpine-trail-mix"}),
    "rawfish": frozenset({"gravlax-plate", "salmon-roe-ikura", "smoked-salmon-slices",
                          "oysters-rushan", "sea-urchin-roe"}),
    "saltysnack": frozenset({"potato-crisps-thick", "popcorn-sea-salt", "beef-jerky-sichuan",
                             "spicy-gluten-latiao", "rice-crackers-senbei"}),
}  # fmt: skip
"""What a judgement means by these words, besides item ids and categories of the catalogue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnseenLesson:
    """A lesson with our judgement of it."""

    lesson: Lesson
    language: str
    kind: str
    is_silent: bool
    grades: Mapping[ItemId, int]
    bad: Collection[str]
    """Item ids, categories, or keys of `HARM_GROUPS`."""

    @property
    def half(self) -> Half:
        """Decided by the id alone, so that no judgement can move a lesson over."""
        digest = hashlib.sha256(self.lesson.lesson_id.encode()).digest()
        return "look" if digest[0] % 2 == 0 else "sealed"

    def harms(self, item: Item) -> bool:
        named = {str(item.item_id), item.category}
        named |= {group for group, ids in HARM_GROUPS.items() if item.item_id in ids}
        return bool(named & set(self.bad))


@dataclass(frozen=True)
class Answers:
    """What a matcher said to each lesson."""

    catalogue: Catalogue
    lessons: Sequence[UnseenLesson]
    matches: Mapping[LessonId, Matches]

    @cached_property
    def _items(self) -> Mapping[ItemId, Item]:
        return {item.item_id: item for item in self.catalogue.items}

    def judgements(self, unseen: UnseenLesson) -> dict[ItemId, int]:
        """The grades, and -1 for all that would harm."""
        harmful = {x.item_id: -1 for x in self.catalogue.items if unseen.harms(x)}
        return {**unseen.grades, **harmful}

    def figures(self, lessons: Iterable[UnseenLesson]) -> MatchFigures:
        chosen = list(lessons)
        ids = [unseen.lesson.lesson_id for unseen in chosen]
        return judge(
            {x: [hit.item_id for hit in self.matches[x].hits] for x in ids},
            {x for x in ids if self.matches[x].is_silent},
            {unseen.lesson.lesson_id: self.judgements(unseen) for unseen in chosen},
            silent={x.lesson.lesson_id for x in chosen if x.is_silent},
        )

    def margins(self, *, is_silent: bool) -> list[float]:
        """How far the third item is from the floor in log-odds, rising; negative is silence.

        A lesson without a floor, because it speaks of food, counts as far above it.
        """
        found = (
            self.matches[x.lesson.lesson_id] for x in self.lessons if x.is_silent is is_silent
        )
        return sorted(_margin(matches) for matches in found)

    def failures(self) -> list[UnseenLesson]:
        """Lessons that were answered wrongly, left alone wrongly, or without a good item."""
        return [unseen for unseen in self.lessons if self.complaint(unseen)]

    def complaint(self, unseen: UnseenLesson) -> str:
        """What is wrong with an answer, in a few words; empty when nothing is."""
        matches = self.matches[unseen.lesson.lesson_id]
        top = [hit.item_id for hit in matches.hits[:TOP]]
        if unseen.is_silent:
            return "" if matches.is_silent else "should be silent"
        if matches.is_silent:
            return "silent without a reason"
        harmful = [item for item in top if unseen.harms(self._items[item])]
        if harmful:
            return f"harmful: {', '.join(harmful)}"
        if max((unseen.grades.get(item, 0) for item in top), default=0) < TOP:
            return f"no item of grade 3 (nDCG@3 {ndcg(top, unseen.grades, TOP, True):.2f})"
        return ""


def main(half: Half, *, as_json: bool) -> None:
    lessons = [x for x in read_lessons(LESSONS) if half in (x.half, "both")]
    with tempfile.TemporaryDirectory() as scratch:
        items = read_items(sample_path("catalogue.csv")).records
        matcher = matcher_for(items, embedder=models.served(), scratch=Path(scratch))
        answers = ask(matcher, lessons)
        rows = table(answers, by_kind=half == "look")
        if as_json:
            print(json.dumps({"half": half, "rows": rows, "margins": _margins(answers)}))
            return
        show(f"unseen lessons, {half}", rows)
        show("margin to the floor, log-odds", _margins(answers))
        if half == "look":
            for unseen in answers.failures():
                _print_failure(matcher, answers, unseen)


def read_lessons(path: Path) -> list[UnseenLesson]:
    """Read the judged lessons, one JSON object a line."""
    return [_lesson(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def ask(matcher: HybridMatcher, lessons: Sequence[UnseenLesson]) -> Answers:
    matches = {
        x.lesson.lesson_id: matcher.match(Query.of(x.lesson), eligible=None, top_k=10)
        for x in lessons
    }
    return Answers(matcher.catalogue, lessons, matches)


def table(answers: Answers, *, by_kind: bool) -> list[Mapping[str, Any]]:
    """One row for all lessons, one a language and, if wished, one a kind."""
    parts: dict[str, list[UnseenLesson]] = {"all": list(answers.lessons)}
    for unseen in answers.lessons:
        parts.setdefault(unseen.language, []).append(unseen)
    for unseen in sorted(answers.lessons if by_kind else (), key=lambda x: x.kind):
        parts.setdefault(unseen.kind, []).append(unseen)
    return [_row(name, answers.figures(part), part) for name, part in parts.items()]


def _row(name: str, figures: MatchFigures, part: Sequence[UnseenLesson]) -> Mapping[str, Any]:
    silent = sum(unseen.is_silent for unseen in part)
    values = asdict(figures)
    judged = bool(values.pop("lessons"))
    values.pop("ndcg_at_10")
    shown = {
        key: value
        if key == "harmful_in_top_3" or (silent if key == "rightly_silent" else judged)
        else None
        for key, value in values.items()
    }
    return {"what": name, "judged": figures.lessons, "silent": silent, **shown}


def _margin(matches: Matches) -> float:
    if len(matches.hits) < TOP:
        return -20.0
    third, floor = (
        np.clip((matches.hits[TOP - 1].score, matches.floor), 1e-9, 1.0 - 1e-9)
    ).tolist()
    return float(np.log(third / (1.0 - third)) - np.log(floor / (1.0 - floor)))


def _margins(answers: Answers) -> list[Mapping[str, Any]]:
    return [
        {
            "what": name,
            **{f"{share} %": float(np.percentile(margins, share)) for share in (0, 10, 25, 50, 75, 90, 100)},
        }
        for name, is_silent in (("silence is right", True), ("an answer is right", False))
        if (margins := answers.margins(is_silent=is_silent))
    ]  # fmt: skip


def _print_failure(matcher: HybridMatcher, answers: Answers, unseen: UnseenLesson) -> None:
    query, matches = Query.of(unseen.lesson), answers.matches[unseen.lesson.lesson_id]
    print(f"\n{unseen.lesson.lesson_id}: {answers.complaint(unseen)} (floor {matches.floor:.2f})")
    reading = matcher._read(query.title, query.text)[0].reading
    topics = sorted(reading.topics.items(), key=lambda pair: -pair[1])[:6]
    print("  subjects:", ", ".join(f"{topic} {strength:.2f}" for topic, strength in topics))
    for hit in matches.hits[:TOP]:
        parts = matcher.explain(query, hit.item_id)
        spoke = ", ".join(
            f"{name} {value:+.2f}" for name, value in parts.items() if abs(value) > 0.05
        )
        print(f"  {hit.score:.3f} {hit.item_id} [{unseen.grades.get(hit.item_id, 0)}]: {spoke}")


def _lesson(row: Mapping[str, Any]) -> UnseenLesson:
    lesson = Lesson(lesson_id=LessonId(row["id"]), title=row["title"], text=row["text"])
    return UnseenLesson(
        lesson=lesson,
        language=row["language"],
        kind=row["kind"],
        is_silent=row["silent"],
        grades={ItemId(item): grade for item, grade in row["grades"].items()},
        bad=tuple(row["bad"]),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--half", choices=("look", "sealed", "both"), default="both")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    main(arguments.half, as_json=arguments.json)
