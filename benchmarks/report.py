"""Timing in turns, medians, and the one file of results. Ratios hold within one run only."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).with_name("results.json")


def seconds(call: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def in_turns(
    calls: Mapping[str, Callable[[int], object]], *, rounds: int, repeats: int
) -> dict[str, list[float]]:
    """Time calls in turns, so that a noisy minute of the machine falls on all of them.

    Args:
        calls: Each is called with a running number, to vary its input.
        rounds: How often the turn goes round.
        repeats: Calls of one in a row.

    Returns:
        Seconds of every call, by name.
    """
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds):
        for name, call in calls.items():
            for repeat in range(repeats):
                number = turn * repeats + repeat
                taken[name].append(seconds(lambda call=call, number=number: call(number)))
    return taken


def median(values: list[float]) -> float:
    return statistics.median(values)


def resident_mb() -> float:
    """Memory of this process that is its own, MB; mapped files that can be dropped not counted."""
    return _status_mb("RssAnon")


def peak_resident_mb() -> float:
    """Largest resident memory so far, MB, mapped files included."""
    return _status_mb("VmHWM")


def _status_mb(field: str) -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def show(title: str, rows: list[Mapping[str, Any]]) -> None:
    """Print rows as a table; the columns are the keys of the first."""
    table = Table(title=title)
    for column in rows[0]:
        table.add_column(column, justify="left" if column == "what" else "right")
    for row in rows:
        table.add_row(*(_shown(value) for value in row.values()))
    Console().print(table)


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return str(value)


def record(section: str, content: Mapping[str, Any]) -> None:
    """Merge one section into `results.json`, leaving the others as they are."""
    results = read_results()
    results[section] = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        **content,
    }
    temporary = RESULTS.with_suffix(".tmp")
    text = json.dumps(results, indent=2, ensure_ascii=False, sort_keys=True, allow_nan=False)
    temporary.write_text(text + "\n", encoding="utf-8")
    temporary.replace(RESULTS)


def read_results() -> dict[str, Any]:
    if not RESULTS.is_file():
        return {}
    results: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return results


def machine() -> str:
    """Describe the processor: model, cores, and the instructions that decide encoding speed."""
    model, flags = platform.machine(), ""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
        if line.startswith("flags"):
            flags = line
            break
    kinds = [name for name in ("amx_bf16", "avx512_bf16", "avx512_vnni", "avx2") if name in flags]
    return f"{model}, {os.cpu_count()} cores, {kinds[0] if kinds else 'no vector unit'}"
