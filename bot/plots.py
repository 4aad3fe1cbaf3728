"""Frames to PNG bytes with matplotlib; the font is ours, so Chinese is never boxes.

`learning_plots` and `board_plot` draw on the same canvas; no other file knows matplotlib.

Every plot also exists as a table, since a picture tells a screen reader nothing.
"""

from __future__ import annotations

import io
import threading
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from bot.glyphs import drawable, font_path

LEAF, INK, GRID = "#1f6f43", "#1d2320", "#cfd4cd"
COLOURS = ("#1f6f43", "#b5651d", "#3a6ea5", "#8a3b63", "#6b6b2f", "#444444")
MARKERS = ("o", "s", "^", "D", "v", "x")
# matplotlib's text layout keeps global caches that are not made for threads.
DRAWING = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The words on a plot and its size in inches."""

    title: str = ""
    x_label: str = ""
    y_label: str = ""
    is_share: bool = False
    """Values in [0, 1] that are written as percent."""
    width: float = 7.5
    height: float = 3.4


def line_plot(frame: pd.DataFrame, look: Look) -> bytes:
    """Draw each column over the index (moments or numbers); a gap is a value that is not told."""
    with DRAWING:
        figure, axes = canvas(look)
        draw_lines(axes, frame)
        figure.autofmt_xdate(rotation=30)
        return finished(figure, axes, look)


def bar_plot(frame: pd.DataFrame, look: Look) -> bytes:
    """Draw horizontal bars of column `value`; with `low` and `high` also the interval."""
    with DRAWING:
        look = replace(look, height=max(1.8, 0.8 + 0.36 * len(frame)))
        figure, axes = canvas(look)
        draw_bars(axes, frame)
        return finished(figure, axes, look, percent_axis="x")


def triangle_plot(frame: pd.DataFrame, look: Look) -> bytes:
    """Draw shares in [0, 1] as a grid of shades with the percentage written in each cell."""
    with DRAWING:
        look = replace(look, is_share=False, height=max(2.0, 1.1 + 0.34 * len(frame)))
        figure, axes = canvas(look)
        draw_triangle(axes, frame)
        return finished(figure, axes, look, has_grid=False, percent_axis="")


def draw_lines(axes: Any, frame: pd.DataFrame) -> None:
    """Draw each column over the index."""
    for place, name in enumerate(frame.columns):
        values = pd.to_numeric(frame[name], errors="coerce")
        axes.plot(
            frame.index.to_numpy(), values.to_numpy(dtype=float),
            color=COLOURS[place % len(COLOURS)], marker=MARKERS[place % len(MARKERS)],
            markersize=3.5, linewidth=1.6, label=drawable(str(name)),
        )  # fmt: skip
    if len(frame.columns) > 1:
        axes.legend(prop=font(9), frameon=False)
    axes.set_ylim(bottom=0)


def draw_bars(axes: Any, frame: pd.DataFrame) -> None:
    """Draw column `value` as horizontal bars, the first on top, with the interval if there is one."""
    places = np.arange(len(frame))[::-1]
    values = frame["value"].to_numpy(dtype=float)
    axes.barh(places, np.nan_to_num(values), color=LEAF, height=0.62)
    if {"low", "high"} <= set(frame.columns) and len(frame):
        low, high = (frame[name].to_numpy(dtype=float) for name in ("low", "high"))
        reach = np.nan_to_num(np.array([values - low, high - values])).clip(min=0)
        axes.errorbar(np.nan_to_num(values), places, xerr=reach, fmt="none", ecolor=INK, capsize=3)
    axes.set_yticks(places, [drawable(str(name))[:40] for name in frame.index])
    axes.set_xlim(left=0)


def draw_triangle(axes: Any, frame: pd.DataFrame) -> None:
    """Draw shares as a grid; what is not told stays white."""
    shares = frame.to_numpy(dtype=float)
    axes.imshow(np.ma.masked_invalid(shares), cmap="Greens", vmin=0, vmax=1, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        if not np.isnan(share):
            axes.text(
                column, row, f"{share:.0%}", ha="center", va="center",
                color="white" if share > 0.6 else INK, fontproperties=font(8),
            )  # fmt: skip
    axes.set_xticks(range(frame.shape[1]), [drawable(str(c)) for c in frame.columns])
    axes.set_yticks(range(len(frame)), [drawable(str(i)) for i in frame.index])


def font(size: float) -> FontProperties:
    """Our font, for what matplotlib writes by itself."""
    return FontProperties(fname=str(font_path()), size=size)


def canvas(look: Look) -> tuple[Figure, Any]:
    """A figure and its axes; hold `DRAWING` while you use them."""
    figure = Figure(figsize=(look.width, look.height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def finished(
    figure: Figure, axes: Any, look: Look, *, has_grid: bool = True, percent_axis: str = "y"
) -> bytes:
    """Dress the only plot of a picture and give its bytes."""
    dress(axes, look, has_grid=has_grid, percent_axis=percent_axis)
    return png(figure)


def dress(axes: Any, look: Look, *, has_grid: bool = True, percent_axis: str = "y") -> None:
    """Write titles and labels in our font; `percent_axis` is x, y or empty."""
    if look.is_share and percent_axis:
        axis = axes.yaxis if percent_axis == "y" else axes.xaxis
        axis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_title(drawable(look.title), fontproperties=font(12), color=INK)
    axes.set_xlabel(drawable(look.x_label), fontproperties=font(10))
    axes.set_ylabel(drawable(look.y_label), fontproperties=font(10))
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_fontproperties(font(9))
    axes.spines[["top", "right"]].set_visible(False)
    if has_grid:
        axes.grid(visible=True, color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)


def png(figure: Figure) -> bytes:
    """Give the picture as PNG."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()
