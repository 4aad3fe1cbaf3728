"""The page of what was learned: models, reliability, learning curve, policies; each with table and CSV.

Models and their reliability come from the registry at once. The curve and the comparison read the whole log
and train, which takes a while; so they are worked out when an admin asks, and kept with their date.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

import pandas as pd
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from bot.learning_plots import curve_plot, interval_plot, reliability_plot
from bot.plots import Look
from bot.studio.learning_figures import (
    interval_table,
    models_table,
    reliability_table,
)
from bot.studio.learning_work import FILE, FIXED, Work, registry_of
from bot.studio.state_files import Rows, StateFile
from bot.studio.visit import Visit, to
from bot.studio.words import told_in
from data.csv_safety import Cell, csv_bytes
from data.model_registry import ModelRow, ModelStatus

TABLES = ("models", "reliability", "curve", "comparison")
_SHARES = frozenset({"predicted", "value", "low", "high"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """Everything that the page tells."""

    rows: tuple[ModelRow, ...]
    chosen: ModelRow | None
    """Whose reliability is shown."""
    record: dict[str, object]
    """The last working-out; empty before the first."""
    tables: dict[str, pd.DataFrame]

    @property
    def observed(self) -> float:
        told = self.record.get("observed")
        return float(told) if isinstance(told, (int, float)) else math.nan


def _learned(visit: Visit) -> Learned:
    wired = visit.studio.wired
    rows = registry_of(wired).rows()
    wanted = visit.asked("model", limit=64)
    chosen = next((row for row in rows if row.version == wanted), None)
    chosen = chosen or next((r for r in rows if r.status is ModelStatus.ACTIVE), None)
    chosen = chosen or (rows[-1] if rows else None)
    kept = StateFile(wired.settings.state, FILE).read()
    record = kept[0] if kept else {}
    return Learned(
        rows=rows,
        chosen=chosen,
        record=record,
        tables={
            "models": models_table(rows),
            "reliability": reliability_table(chosen) if chosen else pd.DataFrame(),
            "curve": interval_table(_rows_of(record, "curve"), "n"),
            "comparison": interval_table(_rows_of(record, "policies"), "policy"),
        },
    )


def _rows_of(record: dict[str, object], name: str) -> Rows:
    told = record.get(name)
    return told if isinstance(told, list) else []


async def show(visit: Visit) -> Response:
    learned = await run_in_threadpool(_learned, visit)
    work: Work = visit.studio.remembered(Work)
    visit.audit("figures.learning")
    record, words = learned.record, visit.words
    done = str(record.get("at", ""))
    return visit.page(
        "learning.html",
        rows=learned.rows,
        chosen=learned.chosen,
        tables={name: _told(visit, name, table) for name, table in learned.tables.items()},
        policies=[
            (_policy(visit, str(row["policy"])), row) for row in _rows_of(record, "policies")
        ],
        curve_problem=str(record.get("curve_problem", "")),
        n_slates=record.get("n_slates", 0),
        done=words.shared.day(datetime.fromisoformat(done).date()) if done else "",
        is_going_on=work.is_going_on,
        problem=told_in(work.problem, visit.language) if work.problem else "",
    )


async def work_out(visit: Visit) -> Response:
    work: Work = visit.studio.remembered(Work)
    if work.start(visit.studio.wired, at=visit.at):
        visit.audit("figures.learning.work")
    return to("/figures/learning")


async def plot(visit: Visit) -> Response:
    name = str(visit.request.path_params["name"])
    learned = await run_in_threadpool(_learned, visit)
    if name not in TABLES[1:] or learned.tables[name].empty:
        return visit.refusal("refused.gone", status=404)
    content = await run_in_threadpool(_drawn, visit, name, learned)
    return Response(
        content, media_type="image/png", headers={"Cache-Control": "private, no-cache"}
    )


async def table(visit: Visit) -> Response:
    name = str(visit.request.path_params["name"])
    if name not in TABLES:
        return visit.refusal("refused.gone", status=404)
    frame = (await run_in_threadpool(_learned, visit)).tables[name]
    visit.audit("figures.learning.csv", name)
    rows: list[list[Cell]] = [
        [_label(visit, name, label), *(None if math.isnan(v) else round(v, 6) for v in values)]
        for label, *values in frame.itertuples(name=None)
    ]
    header = [visit.words(f"learned.{name}"), *(_column(visit, name, c) for c in frame.columns)]
    return Response(
        csv_bytes(header, rows),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="zhiwei-{name}.csv"'},
    )


def _label(visit: Visit, name: str, label: object) -> str:
    if name == "comparison":
        return _policy(visit, str(label))
    return f"{label:,.0f}" if isinstance(label, float) else str(label)


def _policy(visit: Visit, name: str) -> str:
    if name in FIXED:
        return visit.words(f"learned.policy_{name.replace('-', '_')}")
    return visit.words("learned.policy_model", version=name)


def _column(visit: Visit, name: str, column: object) -> str:
    key = f"value_{name}" if column == "value" else f"column_{column}"
    return visit.words(f"learned.{key}")


def _told(
    visit: Visit, name: str, frame: pd.DataFrame
) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """The columns and rows in words."""
    is_rate = name in ("reliability", "comparison")

    def cell(column: str, value: float) -> str:
        if math.isnan(value):
            return "–"
        if column in _SHARES:
            return f"{value:.1%}" if is_rate else f"{value:.3f}"
        return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4f}"

    return (
        [_column(visit, name, column) for column in frame.columns],
        [
            (
                _label(visit, name, label),
                [cell(c, float(v)) for c, v in zip(frame.columns, values, strict=True)],
            )
            for label, *values in frame.itertuples(name=None)
        ],
    )


def _drawn(visit: Visit, name: str, learned: Learned) -> bytes:
    words, frame = visit.words, learned.tables[name]
    title = words(f"learned.{name}")
    match name:
        case "reliability":
            look = Look(
                title=title, x_label=words("learned.predicted"), y_label=words("learned.observed")
            )
            return reliability_plot(frame, look)
        case "curve":
            look = Look(title=title, x_label=words("learned.answers"), y_label="AUC")
            return curve_plot(frame, look, chance=0.5)
        case _:
            named = frame.set_axis([_label(visit, name, label) for label in frame.index], axis=0)
            look = Look(title=title, x_label=words("figures.like_rate"))
            return interval_plot(named, look, reference=learned.observed)
