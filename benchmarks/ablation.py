"""What each part of matching is worth on each set: `python -m benchmarks.ablation`.

All rows of the table in docs/matching.md, printed as it stands there. One row of one set is
`zhiwei evaluate match SET --without PART`; this embeds each text once for all rows.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import track

from benchmarks import models
from bot.evaluating import PARTS, SAMPLES, evaluate_match
from index.cached_embedder import CachedEmbedder
from index.evaluation import MatchFigures

COLUMNS = {
    "zh full": ("recipes_zh", "lessons_full"),
    "zh blurb": ("recipes_zh", "lessons_intro"),
    "en full": ("recipes_en", "lessons_full"),
    "en blurb": ("recipes_en", "lessons_intro"),
    "samples": (SAMPLES, ""),
    "pairings": ("pairings", ""),
}
OF_PAIRINGS = ("nDCG@3", "best in top 3", "harmful", "silent right/wrong")


def main(bench: Path) -> None:
    embedder = CachedEmbedder(models.served(), memory=200_000)
    out = Console(highlight=False, soft_wrap=True)
    out.print("| without | " + " | ".join([*COLUMNS, *OF_PAIRINGS]) + " |")
    out.print("|---" * (1 + len(COLUMNS) + len(OF_PAIRINGS)) + "|")
    for part in ("nothing", *PARTS):
        found: dict[str, MatchFigures] = {}
        for column in track(COLUMNS, part, console=Console(stderr=True), transient=True):
            name, lessons = COLUMNS[column]
            with tempfile.TemporaryDirectory() as scratch:
                found[column] = evaluate_match(
                    name if name == SAMPLES else str(bench / name),
                    embedder=embedder,
                    scratch=Path(scratch) / "index",
                    lessons_name=lessons,
                    without=[part] if part in PARTS else [],
                )
        figures = [f"{one.ndcg_at_10:.3f}" for one in found.values()]
        out.print(f"| {part} | " + " | ".join(figures + _of_pairings(found["pairings"])) + " |")


def _of_pairings(found: MatchFigures) -> list[str]:
    return [
        f"{found.ndcg_at_3:.3f}",
        f"{found.best_in_top_3:.3f}",
        str(found.harmful_in_top_3),
        f"{found.rightly_silent:.2f}/{found.wrongly_silent:.2f}",
    ]


if __name__ == "__main__":
    default = os.environ.get("ZHIWEI_BENCH") or Path(__file__).parents[2] / "shared" / "bench"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bench", type=Path, default=Path(default))
    main(parser.parse_args().bench)
