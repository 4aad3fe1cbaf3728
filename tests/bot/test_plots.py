"""Plots: right glyphs, right sizes, no crash on empty or odd frames."""

from __future__ import annotations

import io
import math
import warnings

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bot.glyphs import drawable, font_path, missing_glyphs
from bot.plots import Look, bar_plot, line_plot, triangle_plot
from bot.studio.words import studio_sentences
from bot.wording import sentences
from data.vocabulary import Language
from tests.fakes import sample_catalogue

DAYS = pd.date_range("2026-11-01", periods=5, tz="UTC")


def _image(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")


def test_the_font_has_every_character_that_a_figure_can_show() -> None:
    shown = "".join(
        text
        for language in Language
        for message in studio_sentences(language)
        if str(message.id).startswith(("figures.", "('figures."))
        for text in ([message.string] if isinstance(message.string, str) else message.string)
    )

    assert len(shown) > 500
    assert missing_glyphs(shown) == frozenset()


def test_the_font_has_every_character_of_the_catalogue_and_of_labels() -> None:
    names = "".join(item.name_zh + item.name_en + item.unit for item in sample_catalogue())
    labels = "".join(
        str(message.string)
        for language in Language
        for message in sentences(language)
        if str(message.id).startswith(("allergen", "price"))
    )

    assert missing_glyphs(names + labels) == frozenset()


def test_what_the_font_lacks_is_named_and_left_out() -> None:
    assert missing_glyphs("知味 🍅") == frozenset("🍅")
    assert drawable("知味🍅") == "知味"


def test_chinese_titles_draw_without_a_missing_glyph_warning() -> None:
    frame = pd.DataFrame({"人数": [5, 6, math.nan, 8, 9]}, index=DAYS)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        content = line_plot(frame, Look(title="每日情况（UTC）🍅", y_label="人数"))

    assert _image(content).size[0] > 600


def test_different_chinese_titles_look_different() -> None:
    frame = pd.DataFrame({"a": [1.0, 2, 3, 4, 5]}, index=DAYS)

    titles = ("留存", "喜欢")
    one, other = (np.asarray(_image(line_plot(frame, Look(title=t)))) for t in titles)

    assert one.shape == other.shape
    assert not np.array_equal(one[:40], other[:40])  # two boxes would look alike


def test_bars_take_intervals_and_values_that_are_not_told() -> None:
    frame = pd.DataFrame(
        {"value": [0.4, math.nan], "low": [0.3, math.nan], "high": [0.5, math.nan]},
        index=["番茄", "Tofu"],
    )

    assert _image(bar_plot(frame, Look(title="x", is_share=True))).size[0] > 600


def test_a_retention_triangle_leaves_open_weeks_white() -> None:
    frame = pd.DataFrame([[1.0, 0.5], [1.0, math.nan]], index=["2026-11-02", "2026-11-09"])

    picture = np.asarray(_image(triangle_plot(frame, Look(title="留存"))))

    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 10


@pytest.mark.parametrize("draw", [line_plot, bar_plot], ids=["line", "bar"])
def test_an_empty_frame_is_an_empty_plot(draw: object) -> None:
    frame = pd.DataFrame({"value": []})

    assert draw(frame, Look(title="x")).startswith(b"\x89PNG")  # type: ignore[operator]


def test_the_font_lies_in_a_package_not_on_the_system() -> None:
    assert "zhplot" in font_path().parts
