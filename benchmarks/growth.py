"""1k, 10k, 100k and 1M items in one plot. `python -m benchmarks.growth`."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.million import measure, real_vectors
from benchmarks.report import record, show

PLOT = Path(__file__).with_name("growth.png")


def main(sizes: list[int], n_queries: int) -> None:
    real, queries = real_vectors(10_000, n_queries)
    found = []
    for n_items in sizes:
        with tempfile.TemporaryDirectory() as name:
            found.append(measure(n_items, Path(name), real, queries))
    rows = [
        {
            "what": f"{one['n_items']:,}",
            "kind": one["kind"],
            "recall@10": one["rows"][0]["recall@10"],
            "p50 ms": one["rows"][0]["p50 ms"],
            "build s": one["build_seconds"],
            "load ms": one["load_ms"],
            "bytes of fp32": one["bytes_share_of_fp32"],
        }
        for one in found
    ]
    show("growth", rows)
    if found[-1]["n_items"] >= 1_000_000:
        show("filters at the largest size", found[-1]["rows"])
        record("million", found[-1])
    draw(found, PLOT)
    record("growth", {"rows": rows})


def draw(found: list[dict[str, Any]], path: Path) -> None:
    """Plot query time by size, without and with filters, and build time beside it."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (queries, builds) = plt.subplots(1, 2, figsize=(10, 4), constrained_layout=True)
    sizes = [one["n_items"] for one in found]
    for number, label in enumerate(("all eligible", "10 %", "1 %", "0.1 %")):
        points = [
            (one["n_items"], one["rows"][number]["p50 ms"])
            for one in found
            if number < len(one["rows"])
        ]
        queries.plot(*zip(*points, strict=True), marker="o", label=label)
    queries.axhline(2, color="grey", linestyle=":", label="2 ms")
    queries.set(xscale="log", yscale="log", xlabel="items", ylabel="ms", title="One query, median")
    queries.legend()
    builds.plot(sizes, [one["build_seconds"] for one in found], marker="o", color="tab:green")
    builds.set(xscale="log", yscale="log", xlabel="items", ylabel="s", title="Build of the index")
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000]
    )
    parser.add_argument("--queries", type=int, default=200)
    arguments = parser.parse_args()
    main(arguments.sizes, arguments.queries)
