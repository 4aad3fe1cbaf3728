"""`python -m tests.faults.builds --kills N`: kill `zhiwei index build` N times at random points.

Every build has other rows than the one before. After each kill the index folder must hold the
index of the last published catalogue or of the one that was being built, whole: each checksum is
verified, the parts are opened, and every item's vector is there.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bot.catalogue_files import read_catalogue
from bot.settings import Settings
from bot.wiring import Wired
from data.catalogue import Catalogue
from data.errors import IndexMismatch
from data.samples import sample_path
from index import catalogue_index
from tests.faults.runner import ROOT


def kill_builds(n_kills: int, folder: Path, *, seed: int) -> tuple[int, int, list[str]]:
    """Give how many kills met a running build, how many builds came through, and what was broken."""
    dice = random.Random(seed)
    parts = Wired(Settings(state=folder, catalogue=folder / "catalogue.csv"))
    _write_catalogue(folder, version=0)
    parts.build_index()
    old, _ = read_catalogue(parts.settings)
    usual, n_caught, problems = 0.0, 0, []
    for kill in range(1, n_kills + 1):
        _write_catalogue(folder, version=kill)
        new, _ = read_catalogue(parts.settings)
        builder = subprocess.Popen(
            [sys.executable, "-m", "bot", "index", "build"],
            cwd=ROOT,
            env=os.environ
            | {"ZHIWEI_STATE": str(folder), "ZHIWEI_CATALOGUE": str(folder / "catalogue.csv")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        started = time.monotonic()
        if usual:
            # Half of a build is the program's start, where nothing can break.
            time.sleep(dice.uniform(0.4, 1.05) * usual)
            n_caught += builder.poll() is None
            builder.kill()
        builder.wait()
        usual = usual or time.monotonic() - started
        found = _found(parts, old, new)
        if isinstance(found, str):
            problems.append(f"kill {kill}: {found}")
        else:
            old = found
        if kill % 20 == 0:
            print(f"{kill} kills, {n_caught} within a build, {len(problems)} broken", flush=True)
    return n_caught, n_kills - n_caught, problems


def _write_catalogue(folder: Path, *, version: int) -> None:
    with sample_path("catalogue.csv").open(encoding="utf-8", newline="") as source:
        rows = list(csv.DictReader(source))
    for row in rows[version % 7 :: 7]:
        row["description_en"] += f" Crate {version}."
    with (folder / "catalogue.csv").open("w", encoding="utf-8", newline="") as target:
        writer = csv.DictWriter(target, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _found(parts: Wired, old: Catalogue, new: Catalogue) -> Catalogue | str:
    snapshot = parts.snapshots.current(verify=True)
    for catalogue in (new, old):
        try:
            loaded = catalogue_index.load(snapshot, catalogue, parts.embedder)
        except IndexMismatch:
            continue
        if set(loaded.owners.tolist()) != set(range(len(catalogue.items))):
            return "an item has no vector"
        return catalogue
    return "the index is neither the old nor the new one"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="zhiwei-builds-") as folder:
        n_caught, n_through, problems = kill_builds(options.kills, Path(folder), seed=options.seed)
    for problem in problems:
        print(problem)
    print(
        f"{options.kills} kills: {n_caught} within a build, {n_through} after it, "
        f"{len(problems)} broken indexes"
    )
    return 1 if problems or not n_caught else 0


if __name__ == "__main__":
    sys.exit(main())
