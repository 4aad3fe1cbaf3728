"""Text in, ten items out, against peers with the same model. `python -m benchmarks.end_to_end`.

Peers live in `benchmarks/.venv`, made on demand; it sees the packages of the environment that
runs this, so that torch and sentence-transformers are the same ones.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import models
from benchmarks.report import median, record, show
from benchmarks.texts import product_texts, query_texts

HERE = Path(__file__).parent
ROOT = HERE.parent
PEERS = ("txtai==9.14.0", "langchain-community==0.4.2")


def peers_python() -> Path:
    """Make the peers' environment when it is missing, and give its interpreter."""
    home = HERE / ".venv"
    python = home / "bin" / "python"
    if (home / "ready").is_file():
        return python
    venv.create(home, with_pip=True, clear=True)
    site = next((home / "lib").glob("python*/site-packages"))
    (site / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PEERS], check=True)
    (home / "ready").write_text("\n".join(PEERS), encoding="utf-8")
    return python


def run(python: Path, name: str, phase: str, folder: Path, texts: Path) -> dict[str, Any]:
    """Run one phase of one system in a fresh process."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        [
            python,
            str(HERE / "peer.py"),
            name,
            phase,
            str(models.plain_folder()),
            str(folder),
            str(texts),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
    )
    if done.returncode:
        raise SystemExit(f"{name} {phase} failed:\n{done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def main(n_items: int, n_queries: int, rounds: int, *, with_peers: bool) -> None:
    models.served()  # unpacked and compiled before the clock runs
    ours, theirs = Path(sys.executable), peers_python() if with_peers else Path(sys.executable)
    systems = {"zhiwei": ours, "zhiwei, known text": ours, "plain": ours}
    if with_peers:
        systems |= {"txtai": theirs, "langchain": theirs}
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in systems}
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        texts = place / "texts.json"
        content = {"texts": product_texts(n_items), "queries": query_texts(n_queries)}
        texts.write_text(json.dumps(content), encoding="utf-8")
        for turn in range(rounds):
            for name, python in systems.items():
                built: dict[str, Any] = {}
                if "known" not in name and turn == 0:
                    built = run(python, name, "index", place / name, texts)
                folder = place / name.split(",", maxsplit=1)[0]
                found[name].append(built | run(python, name, "serve", folder, texts))
    rows = [_row(name, runs) for name, runs in found.items()]
    reference = found["plain"][0]["answers"]
    for row in rows:
        answers = found[str(row["what"])][0]["answers"]
        row["same top 10"] = float(
            np.mean([len(set(a) & set(b)) / 10 for a, b in zip(answers, reference, strict=True)])
        )
    show(f"{n_items:,} items, {n_queries} queries, median of {rounds} processes", rows)
    ratios = [_ratios(rows[0], row) for row in rows[2:]]
    show("peer / zhiwei", ratios)
    record("end_to_end", {"n_items": n_items, "rows": rows, "ratios": ratios})


def _row(name: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    indexing = [one["index_seconds"] for one in runs if "index_seconds" in one]
    return {
        "what": name,
        "index s": median(indexing) if indexing else None,
        "query p50 ms": median([median(one["query_seconds"]) for one in runs]) * 1e3,
        "query p95 ms": median([float(np.percentile(o["query_seconds"], 95)) for o in runs]) * 1e3,
        "start s": median([one["start_seconds"] for one in runs]),
        "RSS MB": median([one["resident_mb"] for one in runs]),
    }


def _ratios(ours: dict[str, Any], peer: dict[str, Any]) -> dict[str, Any]:
    columns = ("index s", "query p50 ms", "start s", "RSS MB")
    return {"what": peer["what"]} | {column: peer[column] / ours[column] for column in columns}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without-peers", action="store_true")
    arguments = parser.parse_args()
    main(
        arguments.items,
        arguments.queries,
        arguments.rounds,
        with_peers=not arguments.without_peers,
    )
