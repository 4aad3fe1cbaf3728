"""`python -m tests.faults --runs N`: kill the bot N times under load and check its promises."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
from pathlib import Path

from tests.faults.runner import run_all


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=int(os.environ.get("FAULT_RUNS", "2000")))
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="zhiwei-faults-") as folder:
        tally = asyncio.run(run_all(options.runs, Path(folder), seed=options.seed))
    for problem in tally.problems:
        print(problem)
    print(
        f"seed {options.seed}: {tally.messages} messages, {tally.answers} answered; "
        f"{tally.unclear} answers of Telegram lost on purpose"
    )
    print(tally.line())
    return 1 if tally.problems or tally.lost or tally.promotions_twice else 0


if __name__ == "__main__":
    sys.exit(main())
