"""How long one message takes to be understood, beyond its encoding: `python -m benchmarks.understanding`."""

from __future__ import annotations

import statistics
import time

from benchmarks.report import record
from bot.settings import Settings
from bot.understanding.text import fold
from bot.understanding.training_data import load_utterances
from bot.understanding.understand import Understander
from index.embedding import open_embedder

LIMIT_MS = 25.0


def main() -> None:
    """Print median and 95th percentile over the held-out messages, one at a time, three rounds."""
    embedder = open_embedder("", Settings().cache)
    understander = Understander(embedder)
    texts = [row.text for row in load_utterances("second_held_out.jsonl")]
    vectors = embedder.embed(texts, kind="query")
    understander.understand_encoded([fold(text) for text in texts[:5]], vectors[:5])
    milliseconds: list[float] = []
    for _ in range(3):
        for i, text in enumerate(texts):
            started = time.perf_counter()
            understander.understand_encoded([fold(text)], vectors[i : i + 1])
            milliseconds.append((time.perf_counter() - started) * 1000)
    p50 = statistics.median(milliseconds)
    p95 = statistics.quantiles(milliseconds, n=20)[-1]
    print(
        f"{len(texts)} messages, 3 rounds: p50 {p50:.1f} ms, p95 {p95:.1f} ms (limit {LIMIT_MS} ms)"
    )
    record("understanding", {"p50_ms": round(p50, 2), "p95_ms": round(p95, 2)})


if __name__ == "__main__":
    main()
