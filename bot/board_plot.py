"""Several plots as one picture, for a chat in which a page of plots has no place."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from PIL import Image

from bot.glyphs import drawable
from bot.plots import DRAWING, INK, Look, draw_bars, draw_lines, draw_triangle, dress, font, png

ALARM = "#b00020"
_WIDTH, _ROW_HEIGHT, _TITLE_HEIGHT = 9.6, 2.9, 0.4


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
        header = _TITLE_HEIGHT * (2 if alarm else 1)
        height = header + _ROW_HEIGHT * n_rows
        figure = Figure(figsize=(_WIDTH, height), dpi=100, layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(
            n_rows + 1, 2, height_ratios=[header, *[_ROW_HEIGHT] * n_rows], wspace=0.06
        )
        _head(figure.add_subplot(grid[0, :]), title, alarm)
        for place, panel in enumerate(panels):
            _panel(figure.add_subplot(grid[1 + place // 2, place % 2]), panel, nothing)
        return _small(png(figure))


def _small(content: bytes) -> bytes:
    """Few colours are enough for a plot, and a third of the bytes."""
    target = io.BytesIO()
    with Image.open(io.BytesIO(content)) as picture:
        picture.convert("RGB").quantize(96).save(target, format="PNG", optimize=True)
    return target.getvalue()


def _head(axes: Any, title: str, alarm: str) -> None:
    axes.set_axis_off()
    for text, y, size, colour in (
        (title, 0.75 if alarm else 0.5, 14, INK),
        (alarm, 0.2, 13, ALARM),
    ):
        axes.text(
            0.5, y, drawable(text), ha="center", va="center", fontproperties=font(size),
            color=colour, transform=axes.transAxes,
        )  # fmt: skip


def _panel(axes: Any, panel: Panel, nothing: str) -> None:
    frame, look = panel.frame, panel.look
    if not frame.fillna(0).to_numpy(dtype=float).any():
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
    # Room for the numbers at the ends of the bars, and no bar as thick as a wall.
    axes.set_xlim(0, max(float(pd.Series(ends).max()), 1e-9) * 1.25)
    axes.set_ylim(-0.6, max(len(frame), 3) - 0.4)
    axes.locator_params(axis="x", nbins=5)
    if is_share:
        axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= 1])
