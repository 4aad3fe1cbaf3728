"""`python -m benchmarks [NAME ...]`: run the benchmarks one after the other, then write the table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

NAMES = (
    "encoder",
    "end_to_end",
    "rebuild",
    "million",
    "growth",
    "understanding",
    "evidence",
    "studio",
)
README = Path(__file__).parent.parent / "README.md"


def main(names: list[str]) -> int:
    """Run each in a process of its own, so that none profits from another's warm caches."""
    unknown = set(names) - set(NAMES)
    if unknown:
        print(f"unknown benchmark {sorted(unknown)[0]!r}; expected {', '.join(NAMES)}")
        return 2
    for name in names or NAMES:
        print(f"== {name}", flush=True)
        done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False)
        if done.returncode:
            return done.returncode
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.table", str(README)], check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
