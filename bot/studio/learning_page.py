"""The page of what was learned: models, reliability, learning curve, policies; each with table and CSV.

Models and their reliability come from the registry at once. The curve and the comparison read the whole log
and train, which takes a while; so they are worked out when an admin asks, and kept with their date.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from bot.learning import evaluate_log_of, read_log
from bot.learning_plots import curve_plot, interval_plot, reliability_plot
from bot.plots import Look
from bot.studio.learning_figures import (
    interval_table,
    learning_curve,
    models_table,
    policy_row,
    reliability_table,
)
from bot.studio.state_files import Rows, StateFile
from bot.studio.visit import Visit, to
from bot.studio.words import Refused, told_in
from bot.wiring import Wired
from data.csv_safety import Cell, csv_bytes
from data.errors import InvalidInput, ZhiweiError
from data.model_registry import ModelRegistry, ModelRow, ModelStatus
from data.summary_tables import FEWEST

logger = logging.getLogger(__name__)
FILE = "learning.json"
TABLES = ("models", "reliability", "curve", "comparison")
_FIXED = ("logged", "match-only", "popular", "uniform")
_SHARES = frozenset({"predicted", "value", "low", "high"})


class Work:
    """At most one working-out at a time, in a thread of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.problem: ZhiweiError | None = None
        """Why the last one gave nothing."""

    @property
    def is_going_on(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self, wired: Wired, *, at: datetime) -> bool:
        """Begin, unless it is going on already."""
        with self._lock:
            if self.is_going_on:
                return False
            self.problem = None
            self._thread = threading.Thread(
                target=self._run, args=(wired, at), name="learning-figures", daemon=True
            )
            self._thread.start()
            return True

    def wait(self, seconds: float) -> None:
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self, wired: Wired, at: datetime) -> None:
        try:
            record = worked_out(wired, at=at)
            StateFile(wired.settings.state, FILE).change(lambda _: [record])
        except ZhiweiError as error:
            self.problem = error
        except Exception:  # it must end with a word to the admin, whatever went wrong
            logger.exception("the figures of learning could not be worked out")
            self.problem = Refused("learned.went_wrong")


def worked_out(wired: Wired, *, at: datetime) -> dict[str, object]:
    """Give the learning curve and the comparison of policies as JSON values.

    Raises:
        InvalidInput: there are too few answers of people who agreed to learning.
    """
    log = read_log(wired, at=at)
    n_people = len(np.unique(log.users))
    if n_people < FEWEST:
        raise Refused("learned.few_people", people=n_people, least=FEWEST)
    registry = _registry(wired)
    policies = [
        policy_row(
            name,
            evaluate_log_of(wired, registry, log, name, rng=np.random.default_rng(number)),
            n_slates=len(log),
        )
        for number, name in enumerate((*_FIXED, *_compared(registry.rows())))
    ]
    try:
        curve = learning_curve(log, seed=0)
        curve_problem = ""
    except InvalidInput as error:
        curve, curve_problem = [], str(error)
    return {
        "at": at.isoformat(),
        "n_slates": len(log),
        "observed": float(np.nanmean(log.rewards)),
        "curve": curve,
        "curve_problem": curve_problem,
        "policies": policies,
    }


def _compared(rows: Sequence[ModelRow]) -> list[str]:
    """The model that serves and the newest in shadow."""
    active = [row.version for row in rows if row.status is ModelStatus.ACTIVE]
    shadow = [row.version for row in rows if row.status is ModelStatus.SHADOW]
    return [*active, *shadow[-1:]]


def _registry(wired: Wired) -> ModelRegistry:
    return ModelRegistry(wired.settings.state / "models")


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
    rows = _registry(wired).rows()
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
    if name in _FIXED:
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
