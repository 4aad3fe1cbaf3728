"""The figures as one picture: days, rates with their intervals, the funnel, who came back."""

from __future__ import annotations

import math

import pandas as pd

from bot.board_plot import Panel, PanelKind, board_plot
from bot.overview import Overview
from bot.plots import Look
from bot.wording import Words
from data.engagement import Measure

RATES = ("like_rate", "satisfaction", "clicked", "bought", "returned", "coverage")


def picture_of(words: Words, found: Overview, heading: str) -> bytes:
    """Draw the figures of an overview as PNG; the same stand in the words of the message."""
    tables = found.summary.tables
    days = tables["days"][["people", "slates"]]
    days = days.set_axis([words("plot.people"), words("plot.slates")], axis=1)
    funnel = tables["funnel"]["n"].rename("value").to_frame()
    funnel.index = pd.Index([words(f"plot.{step}") for step in funnel.index])
    panels = [
        Panel(kind=PanelKind.LINES, frame=days, look=Look(title=words("plot.days"))),
        Panel(
            kind=PanelKind.BARS,
            frame=_rates(words, found),
            look=Look(title=words("plot.rates"), is_share=True),
        ),
        Panel(kind=PanelKind.BARS, frame=funnel, look=Look(title=words("plot.funnel"))),
        Panel(
            kind=PanelKind.TRIANGLE,
            frame=_triangle(tables["retention"]),
            look=Look(title=words("plot.retention"), x_label=words("plot.weeks_later")),
        ),
    ]
    if found.subject is not None:
        panels = panels[:3]
    n = found.safety_violations
    return board_plot(
        panels,
        title=heading,
        alarm=words("plot.unsafe", count=n) if n else "",
        nothing=words("plot.nothing"),
    )


def _rates(words: Words, found: Overview) -> pd.DataFrame:
    measures: dict[str, Measure] = {
        words(f"stats.{name}"): getattr(found.summary, name) for name in RATES
    }
    rows = [
        tuple(math.nan if number is None else number for number in (m.value, m.low, m.high))
        for m in measures.values()
    ]
    told = pd.DataFrame(rows, index=pd.Index(list(measures)), columns=["value", "low", "high"])
    return told[told["value"].notna()]


def _triangle(retention: pd.DataFrame) -> pd.DataFrame:
    weeks = retention.drop(columns="size", errors="ignore").tail(8)
    weeks = weeks[[c for c in weeks.columns if int(c) <= 8]].astype(float)
    return weeks.set_axis([str(c) for c in weeks.columns], axis=1)
