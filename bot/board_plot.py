"""Several plots as one picture, for a chat in which a page of plots has no place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from bot.glyphs import drawable
from bot.plots import DRAWING, INK, Look, draw_bars, draw_lines, draw_triangle, dress, font, png

_ALARM = "#b00020"
_WIDTH, _ROW_HEIGHT, _TITLE_HEIGHT = 9.6, 2.9, 0.5


class PanelKind(StrEnum):
    """How a panel is drawn."""

    LINES = "lines"
    BARS = "bars"
    TRIANGLE = "triangle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One plot among others; of its look the size does not count."""

    kind: PanelKind
    frame: pd.DataFrame
    look: Look


def board_plot(
    panels: Sequence[Panel], *, title: str, alarm: str = "", nothing: str = "-"
) -> bytes:
    """Draw plots two in a row, as PNG.

    Args:
        panels: One to six.
        title: Above everything.
        alarm: A second line above everything, in red; empty when all is well.
        nothing: Stands in a panel that has nothing to show.
    """
    with DRAWING:
        n_rows = math.ceil(len(panels) / 2)
        height = _TITLE_HEIGHT * (2 if alarm else 1) + _ROW_HEIGHT * n_rows
        figure = Figure(figsize=(_WIDTH, height), dpi=100, layout="constrained")
        FigureCanvasAgg(figure)
        # The empty second line of the title keeps the room for the alarm, which has its own colour.
        figure.suptitle(
            drawable(title) + ("\n" if alarm else ""), fontproperties=font(14), color=INK
        )
        if alarm:
            figure.text(
                0.5, 1 - _TITLE_HEIGHT / height, drawable(alarm), ha="center", va="top",
                fontproperties=font(13), color=_ALARM, fontweight="bold",
            )  # fmt: skip
        every = figure.subplots(n_rows, 2, squeeze=False).ravel()
        for axes, panel in zip(every, panels, strict=False):
            _panel(axes, panel, nothing)
        for axes in every[len(panels) :]:
            axes.set_axis_off()
        return png(figure)


def _panel(axes: Any, panel: Panel, nothing: str) -> None:
    frame, look = panel.frame, panel.look
    if frame.isna().to_numpy().all():
        axes.set_axis_off()
        axes.text(
            0.5, 0.5, drawable(nothing), ha="center", va="center", fontproperties=font(10),
            color=INK, transform=axes.transAxes,
        )  # fmt: skip
        axes.set_title(drawable(look.title), fontproperties=font(12), color=INK)
        return
    match panel.kind:
        case PanelKind.LINES:
            draw_lines(axes, frame)
            if isinstance(frame.index, pd.DatetimeIndex):
                _short_dates(axes)
            dress(axes, look)
        case PanelKind.BARS:
            draw_bars(axes, frame)
            _write_values(axes, frame, is_share=look.is_share)
            dress(axes, look, percent_axis="x")
        case PanelKind.TRIANGLE:
            draw_triangle(axes, frame)
            dress(axes, look, has_grid=False, percent_axis="")


def _short_dates(axes: Any) -> None:
    locator = AutoDateLocator(maxticks=6)
    axes.xaxis.set_major_locator(locator)
    # Numbers only: names of months would be English, whatever the reader's language.
    axes.xaxis.set_major_formatter(
        ConciseDateFormatter(
            locator, formats=["%Y", "%Y-%m", "%m-%d", "%H:%M", "%H:%M", "%S"],
            zero_formats=["", "%Y", "%Y-%m", "%m-%d", "%H:%M", "%H:%M"], show_offset=False,
        )
    )  # fmt: skip


def _write_values(axes: Any, frame: pd.DataFrame, *, is_share: bool) -> None:
    values = frame["value"].to_numpy(dtype=float)
    ends = frame["high"].to_numpy(dtype=float) if "high" in frame else values
    for row, (value, end) in enumerate(zip(values, ends, strict=True)):
        if not math.isnan(value):
            axes.annotate(
                f"{value:.1%}" if is_share else f"{value:,.0f}", (end, len(frame) - 1 - row),
                xytext=(5, 0), textcoords="offset points", va="center", fontproperties=font(9),
            )  # fmt: skip
    # Room for the numbers at the ends of the bars.
    axes.set_xlim(0, max(float(pd.Series(ends).max()), 1e-9) * 1.25)
