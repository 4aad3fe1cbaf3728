"""The figures page: headline numbers, plots, and under every plot its table and CSV."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from bot.overview import PERIODS, Board, Overview, State, overview
from bot.plots import Look, bar_plot, line_plot, triangle_plot
from bot.studio.visit import Visit
from data.catalogue import ItemId, LessonId
from data.csv_safety import Cell, csv_bytes
from data.summary import Summary
from data.summary_tables import FEWEST

TABLES = ("days", "funnel", "retention", "returning", "items", "lessons", "policies")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A table in words."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


async def show(visit: Visit) -> Response:
    period = _period(visit)
    found = await run_in_threadpool(_overview, visit, period)
    visit.audit("figures", period)
    summary = found.summary
    return visit.page(
        "figures.html",
        period=period,
        periods=tuple(PERIODS),
        summary=summary,
        percent=percent,
        number=number,
        fewest=FEWEST,
        tables=[_shown(visit, name, summary.tables[name]) for name in TABLES],
        violations=found.safety_violations,
        unknown=found.unknown_allergens,
        backlog=found.backlog,
        policy=found.policy,
        model=found.encoder,
        version=found.index,
    )


async def plot(visit: Visit) -> Response:
    name, period = str(visit.request.path_params["name"]), _period(visit)
    if name not in TABLES:
        return visit.refusal("refused.gone", status=404)
    summary = await run_in_threadpool(_summary, visit, period)
    content = await run_in_threadpool(_drawn, visit, name, summary.tables[name])
    return Response(
        content, media_type="image/png", headers={"Cache-Control": "private, max-age=30"}
    )


async def table(visit: Visit) -> Response:
    name, period = str(visit.request.path_params["name"]), _period(visit)
    if name not in TABLES:
        return visit.refusal("refused.gone", status=404)
    summary = await run_in_threadpool(_summary, visit, period)
    visit.audit("figures.csv", f"{name} {period}")
    frame = _named(visit, name, summary.tables[name])
    rows = [[label, *map(_plain, values)] for label, values in _rows(frame)]
    return Response(
        csv_bytes(["", *map(str, frame.columns)], rows),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="zhiwei-{name}-{period}.csv"'},
    )


def _period(visit: Visit) -> str:
    period = visit.asked("period", "30d")
    return period if period in PERIODS else "30d"


def _overview(visit: Visit, period: str) -> Overview:
    return overview(
        visit.studio.remembered(Board), visit.store, State.of(visit.engine), period, at=visit.at
    )


def _summary(visit: Visit, period: str) -> Summary:
    board: Board = visit.studio.remembered(Board)
    return board.summary(visit.store, State.of(visit.engine), period, at=visit.at)


def percent(value: float | None) -> str:
    return f"<{FEWEST}" if value is None or math.isnan(value) else f"{value:.1%}"


def number(value: float | None) -> str:
    return f"<{FEWEST}" if value is None or math.isnan(value) else f"{value:.2f}"


def _named(visit: Visit, name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """The table with people's words in place of ids and keys."""
    words, catalogue = visit.words, visit.engine.catalogue
    labels: list[str]
    match name:
        case "items":
            found = [catalogue.items_by_id.get(ItemId(str(i))) for i in frame.index]
            labels = [
                words.shared.name(item) if item else str(key)
                for item, key in zip(found, frame.index, strict=True)
            ]
        case "lessons":
            lessons = [catalogue.lessons_by_id.get(LessonId(str(i))) for i in frame.index]
            labels = [
                lesson.title if lesson else str(key)
                for lesson, key in zip(lessons, frame.index, strict=True)
            ]
        case "funnel":
            labels = [words(f"figures.step_{step}") for step in frame.index]
        case "returning":
            labels = [words("figures.week", n=int(week)) for week in frame.index]
        case "days":
            labels = [day.date().isoformat() for day in frame.index]
        case _:
            labels = [str(label) for label in frame.index]
    columns = [
        words("figures.week", n=int(c)) if c.isdigit() else words(f"figures.column_{c}")
        for c in map(str, frame.columns)
    ]
    return frame.set_axis(labels, axis=0).set_axis(columns, axis=1)


def _rows(frame: pd.DataFrame) -> list[tuple[str, tuple[object, ...]]]:
    return [(str(row[0]), tuple(row[1:])) for row in frame.itertuples(name=None)]


def _plain(value: object) -> Cell:
    if isinstance(value, (int, float, np.number)):
        number = float(value)
        if math.isnan(number):
            return f"<{FEWEST}"
        return int(number) if number.is_integer() else round(number, 4)
    return str(value)


def _shown(visit: Visit, name: str, frame: pd.DataFrame) -> Shown:
    shares = {"value", "low", "high"}
    is_share = [c in shares or c.isdigit() for c in map(str, frame.columns)]
    rows = [
        (label, *(_told(v, is_share=s) for v, s in zip(values, is_share, strict=True)))
        for label, values in _rows(_named(visit, name, frame))
    ]
    named = _named(visit, name, frame)
    if name == "days":
        rows = rows[::-1]
    return Shown(name=name, columns=tuple(map(str, named.columns)), rows=tuple(rows))


def _told(value: object, *, is_share: bool) -> str:
    number = float(value) if isinstance(value, (int, float, np.number)) else math.nan
    if math.isnan(number):
        return "" if is_share else f"<{FEWEST}"
    return f"{number:.1%}" if is_share else f"{number:,.0f}"


def _drawn(visit: Visit, name: str, frame: pd.DataFrame) -> bytes:
    words = visit.words
    title = words(f"figures.{name}")
    named = _named(visit, name, frame)
    match name:
        case "days":
            named.index = pd.Index(pd.to_datetime(named.index))
            return line_plot(named, Look(title=title))
        case "retention":
            weeks = named.iloc[:, 1:].astype(float)
            return triangle_plot(weeks, Look(title=title))
        case _:
            bars = frame.set_axis(named.index, axis=0)
            return bar_plot(bars[_bars(frame.columns)].head(15), Look(title=title, is_share=True))


def _bars(columns: Iterable[str]) -> list[str]:
    return [c for c in ("value", "low", "high") if c in set(columns)]
