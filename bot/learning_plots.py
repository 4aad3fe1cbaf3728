"""Plots of what was learned: honest probabilities, more data, and policies side by side."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from bot.glyphs import drawable
from bot.plots import COLOURS, DRAWING, GRID, INK, LEAF, Look, canvas, finished, font


def reliability_plot(frame: pd.DataFrame, look: Look) -> bytes:
    """Draw `predicted` (x) against `value` with its interval `low` to `high` (y); the diagonal is honest."""
    with DRAWING:
        figure, axes = canvas(replace(look, width=4.8, height=4.6))
        predicted = frame["predicted"].to_numpy(dtype=float)
        top = float(np.nanmax([*predicted, *frame["high"], 0.05])) * 1.05
        axes.plot([0, top], [0, top], color=GRID, linestyle="--", linewidth=1.4)
        axes.errorbar(
            predicted, frame["value"].to_numpy(dtype=float), yerr=_reach(frame), fmt="o-",
            color=LEAF, ecolor=INK, capsize=3, linewidth=1.4, markersize=5,
        )  # fmt: skip
        axes.set_xlim(0, top)
        axes.set_ylim(0, top)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        return finished(figure, axes, replace(look, is_share=True))


def curve_plot(frame: pd.DataFrame, look: Look, *, chance: float) -> bytes:
    """Draw `value` with its band `low` to `high` over the number in the index; `chance` is the floor."""
    with DRAWING:
        figure, axes = canvas(look)
        n = frame.index.to_numpy(dtype=float)
        low, high = (frame[name].to_numpy(dtype=float) for name in ("low", "high"))
        axes.fill_between(n, low, high, color=LEAF, alpha=0.18, linewidth=0)
        axes.plot(n, frame["value"].to_numpy(dtype=float), color=LEAF, marker="o", linewidth=1.6)
        axes.axhline(chance, color=COLOURS[1], linestyle="--", linewidth=1.2)
        axes.set_xlim(left=0)
        return finished(figure, axes, look)


def interval_plot(frame: pd.DataFrame, look: Look, *, reference: float) -> bytes:
    """Draw `value` and its interval `low` to `high` a row, and a line at `reference`; NaN rows stay empty."""
    with DRAWING:
        figure, axes = canvas(replace(look, height=max(1.9, 0.9 + 0.4 * len(frame))))
        places = np.arange(len(frame))[::-1]
        values = frame["value"].to_numpy(dtype=float)
        is_told = ~np.isnan(values)
        axes.axvline(reference, color=COLOURS[1], linestyle="--", linewidth=1.2)
        axes.errorbar(
            values[is_told], places[is_told], xerr=_reach(frame)[:, is_told], fmt="o",
            color=LEAF, ecolor=INK, capsize=4, markersize=6,
        )  # fmt: skip
        axes.set_yticks(places, [drawable(str(name))[:40] for name in frame.index])
        axes.set_ylim(-0.6, len(frame) - 0.4)
        for label in axes.get_yticklabels():
            label.set_fontproperties(font(9))
        return finished(figure, axes, replace(look, is_share=True), percent_axis="x")


def _reach(frame: pd.DataFrame) -> np.ndarray:
    """(2, n) how far the interval reaches below and above the value."""
    value, low, high = (frame[name].to_numpy(dtype=float) for name in ("value", "low", "high"))
    return np.asarray(np.nan_to_num(np.array([value - low, high - value])).clip(min=0))
