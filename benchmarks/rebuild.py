"""Build an index of 10 000 items, change 1 %, build again. `python -m benchmarks.rebuild`.

A build is what a catalogue needs: vectors, lexical index, snapshot with checksums, synced and
switched. Each runs in a fresh process; its clock starts when the model is open.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import models
from benchmarks.report import median, record, show
from benchmarks.texts import product_texts
from index.cached_embedder import CachedEmbedder
from index.lexical import LexicalIndex
from index.snapshot import Manifest, SnapshotFolder
from index.vector import VectorIndex

ROOT = Path(__file__).parents[1]


def build(texts: list[str], state: Path) -> float:
    """Build and publish; give the seconds it took."""
    embedder = CachedEmbedder(models.served(), state / "embeddings")
    start = time.perf_counter()

    def write(folder: Path) -> Manifest:
        vector_index = VectorIndex.build(embedder.embed(texts, kind="passage"))
        vector_index.save(folder)
        LexicalIndex.build(texts).save(folder)
        return Manifest(
            model_name=embedder.name,
            model_fingerprint=embedder.fingerprint,
            dim=embedder.dim,
            counts={"items": len(texts)},
            catalogue_hash=str(hash(tuple(texts))),
            built_at=datetime.now(UTC),
            recall=vector_index.recall,
        )

    SnapshotFolder(state / "snapshots").publish_with(write)
    return time.perf_counter() - start


def in_process(texts_file: Path, state: Path) -> float:
    """Build in a fresh process, so that only the disk remembers the build before."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.rebuild", "--build", str(texts_file), str(state)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    return float(done.stdout.strip().splitlines()[-1])


def main(n_items: int, rounds: int) -> None:
    models.served()
    texts = product_texts(n_items)
    changed = list(texts)
    for number in range(0, n_items, 100):
        changed[number] = f"新到 {changed[number]}"
    first, again = [], []
    with tempfile.TemporaryDirectory() as temporary:
        for turn in range(rounds):
            state = Path(temporary) / str(turn)
            state.mkdir()
            before, after = state / "before.json", state / "after.json"
            before.write_text(json.dumps(texts), encoding="utf-8")
            after.write_text(json.dumps(changed), encoding="utf-8")
            first.append(in_process(before, state))
            again.append(in_process(after, state))
    ratio = median([a / b for a, b in zip(first, again, strict=True)])
    rows = [
        {"what": "first build, s", "value": median(first)},
        {"what": "1 % changed, s", "value": median(again)},
        {"what": "ratio", "value": ratio},
    ]
    show(f"{n_items:,} items", rows)
    record("rebuild", {"n_items": n_items, "rows": rows, "first": first, "again": again})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--build", nargs=2, type=Path, help="used by the benchmark itself")
    arguments = parser.parse_args()
    if arguments.build:
        texts_path, state_path = arguments.build
        print(build(json.loads(texts_path.read_text(encoding="utf-8")), state_path))
    else:
        main(arguments.items, arguments.rounds)
