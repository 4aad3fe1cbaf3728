"""Write the README's table from `results.json`: `python -m benchmarks.table [README.md]`.

Replaces what stands between `<!-- benchmarks -->` and `<!-- /benchmarks -->`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmarks.report import read_results

START, END = "<!-- benchmarks -->", "<!-- /benchmarks -->"


def render(results: dict[str, Any]) -> str:
    """Give the table in Markdown; only of what was measured."""
    lines = ["| what | zhiwei | peer | ratio |", "|---|---:|---:|---:|"]
    lines += _encoder(results.get("encoder"))
    lines += _end_to_end(results.get("end_to_end"))
    lines += _rebuild(results.get("rebuild"))
    lines += _million(results.get("million"))
    machines = sorted({section["machine"] for section in results.values() if "machine" in section})
    lines += ["", f"Medians of interleaved runs on {'; '.join(machines) or 'no machine yet'}."]
    return "\n".join(lines)


def _encoder(section: dict[str, Any] | None) -> list[str]:
    if section is None:
        return []
    return [
        f"| encoder: {row['what']} (peer: sentence-transformers fp32) "
        f"| {_n(row['zhiwei'])} | {_n(row['peer'])} | **{row['ratio']:.1f}x** |"
        for row in section["rows"]
    ]


def _end_to_end(section: dict[str, Any] | None) -> list[str]:
    if section is None:
        return []
    rows = {row["what"]: row for row in section["rows"]}
    ours, lines = rows["zhiwei"], []
    for name in ("txtai", "langchain", "plain"):
        if name not in rows:
            continue
        peer = rows[name]
        for column in ("query p50 ms", "index s", "start s", "RSS MB"):
            ratio = peer[column] / ours[column]
            lines.append(
                f"| {section['n_items']:,} items: {column} (peer: {name}) "
                f"| {_n(ours[column])} | {_n(peer[column])} | **{ratio:.1f}x** |"
            )
    known = rows.get("zhiwei, known text")
    if known:
        lines.append(f"| known text: query p50 ms | {_n(known['query p50 ms'])} | | |")
    return lines


def _rebuild(section: dict[str, Any] | None) -> list[str]:
    if section is None:
        return []
    first, again, ratio = (row["value"] for row in section["rows"])
    return [
        f"| re-build of {section['n_items']:,} items with 1 % changed, s (peer: first build) "
        f"| {_n(again)} | {_n(first)} | **{ratio:.0f}x** |"
    ]


def _million(section: dict[str, Any] | None) -> list[str]:
    if section is None:
        return []
    n_items = f"{section['n_items']:,} items"
    lines = [
        f"| {n_items}, {row['what']}: recall@10 / p50 ms "
        f"| {row['recall@10']:.3f} / {_n(row['p50 ms'])} | | |"
        for row in section["rows"]
    ]
    share = section["bytes_share_of_fp32"]
    lines.append(f"| {n_items}: bytes, of fp32 | {share:.1%} | 100 % | |")
    lines.append(
        f"| {n_items}: build s / own memory MB "
        f"| {_n(section['build_seconds'])} / {_n(section['build_memory_mb'])} | | |"
    )
    return lines


def _n(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def main(readme: Path) -> None:
    table = render(read_results())
    text = readme.read_text(encoding="utf-8")
    if text.count(START) != 1 or text.count(END) != 1:
        raise SystemExit(f"{readme} needs one {START} and one {END}; found none or several")
    before, rest = text.split(START)
    _, after = rest.split(END)
    readme.write_text(f"{before}{START}\n{table}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("readme", type=Path, nargs="?", default=Path("README.md"))
    main(parser.parse_args().readme)
