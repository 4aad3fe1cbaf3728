"""The figures page: headline numbers, plots, and under every plot its table and CSV."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from bot.plots import Look, bar_plot, line_plot, triangle_plot
from bot.studio.visit import Visit
from data.catalogue import ItemId, LessonId
from data.csv_safety import Cell, csv_bytes
from data.history import History
from data.summary import FEWEST, Summary, summarise

PERIODS: dict[str, timedelta | None] = {
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
    "all": None,
}
TABLES = ("days", "funnel", "retention", "items", "lessons", "policies")
_FRESH = timedelta(seconds=30)
_MOST = 8


class Board:
    """The history, and the latest summaries for half a minute, so that plots need not count again."""

    def __init__(self) -> None:
        self.history = History()
        self.summaries: OrderedDict[str, tuple[datetime, Summary]] = OrderedDict()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A table in words."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


async def show(visit: Visit) -> Response:
    period = _period(visit)
    summary = await run_in_threadpool(_summary, visit, period)
    visit.audit("figures", period)
    backlog = visit.store.backlog(at=visit.at)
    engine = visit.engine
    length = PERIODS[period]
    return visit.page(
        "figures.html",
        period=period,
        periods=tuple(PERIODS),
        summary=summary,
        percent=percent,
        fewest=FEWEST,
        tables=[_shown(visit, name, summary.tables[name]) for name in TABLES],
        violations=visit.store.safety_violations(since=visit.at - length if length else None),
        unknown=_unknown_share(engine.table.states),
        backlog=backlog,
        policy=f"{engine.recommender.policy.name} {engine.recommender.policy.version}",
        model=engine.model_name,
        version=engine.matcher.version,
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


def _summary(visit: Visit, period: str) -> Summary:
    board: Board = visit.studio.remembered(Board)
    known = board.summaries.get(period)
    if known is not None and timedelta(0) <= visit.at - known[0] < _FRESH:
        return known[1]
    length = PERIODS[period]
    whole = board.history.frames(visit.store, at=visit.at)
    until = visit.at + timedelta(seconds=1)
    frames = whole.between(visit.at - length if length else None, until)
    ids = [item.item_id for item in visit.engine.catalogue]
    summary = summarise(frames, whole, ids, at=visit.at)
    board.summaries[period] = (visit.at, summary)
    while len(board.summaries) > _MOST:
        board.summaries.popitem(last=False)
    return summary


def percent(value: float | None) -> str:
    return f"<{FEWEST}" if value is None or math.isnan(value) else f"{value:.1%}"


def _unknown_share(states: np.ndarray) -> float:
    return float(np.mean((states == 0).any(axis=1))) if len(states) else 0.0


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
