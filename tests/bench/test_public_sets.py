"""The floors that matching must hold on judged sets that nobody here wrote the truth for.

The sets lie outside the project, in `../shared/bench` or where ZHIWEI_BENCH says.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot.batch import match_files
from bot.evaluating import evaluate_match
from data.importing import read_items, read_lessons
from index.embedding import Embedder, open_embedder
from index.evaluation import MatchFigures

ROOT = Path(__file__).parents[2]
BENCH = Path(os.environ.get("ZHIWEI_BENCH") or ROOT.parent / "shared" / "bench")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BENCH.is_dir(), reason=f"the judged sets are not at {BENCH}"),
]


@pytest.fixture(scope="module")
def encoder() -> Embedder:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zhiwei"
    return open_embedder("", cache)


@pytest.mark.parametrize(
    ("name", "lessons", "floor"),
    [
        ("recipes_zh", "lessons_full", 0.88),
        ("recipes_zh", "lessons_intro", 0.68),
        ("recipes_en", "lessons_full", 0.77),
        ("recipes_en", "lessons_intro", 0.44),
    ],
)
def test_recipes_find_their_ingredients(
    encoder: Embedder, tmp_path: Path, name: str, lessons: str, floor: float
) -> None:
    figures = evaluate_match(
        str(BENCH / name), embedder=encoder, scratch=tmp_path, lessons_name=lessons
    )

    assert figures.ndcg_at_10 >= floor


@pytest.fixture(scope="module")
def pairings(encoder: Embedder, tmp_path_factory: pytest.TempPathFactory) -> MatchFigures:
    return evaluate_match(
        str(BENCH / "pairings"), embedder=encoder, scratch=tmp_path_factory.mktemp("pairings")
    )


def test_lessons_of_all_subjects_find_what_a_creator_would_choose(pairings: MatchFigures) -> None:
    assert pairings.ndcg_at_3 >= 0.55
    assert pairings.best_in_top_3 >= 0.75


def test_no_lesson_is_shown_a_harmful_item(pairings: MatchFigures) -> None:
    assert pairings.harmful_in_top_3 == 0


def test_silence_falls_where_it_is_right(pairings: MatchFigures) -> None:
    assert pairings.rightly_silent >= 0.8
    assert pairings.wrongly_silent <= 0.05


def test_the_sets_own_scorer_reads_the_run_and_agrees(
    encoder: Embedder, tmp_path: Path, pairings: MatchFigures
) -> None:
    run = tmp_path / "run.tsv"

    problems = match_files(
        BENCH / "pairings" / "items.jsonl",
        BENCH / "pairings" / "lessons.jsonl",
        run,
        embedder=encoder,
        scratch=tmp_path / "index",
    )
    scored = subprocess.run(
        [sys.executable, str(BENCH / "score.py"), str(BENCH / "pairings"), str(run), "--json"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert all(problem.row_kept for problem in problems)
    theirs = json.loads(scored.stdout)
    assert theirs["ndcg@3"] == pytest.approx(pairings.ndcg_at_3, abs=1e-3)
    assert theirs["best_in_top3"] == pytest.approx(pairings.best_in_top_3, abs=1e-3)
    assert theirs["bad_in_top3"] == pairings.harmful_in_top_3
    assert len(read_items(BENCH / "pairings" / "items.jsonl").records) == 320
    assert read_lessons(BENCH / "pairings" / "lessons.jsonl").problems == ()
