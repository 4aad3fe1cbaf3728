"""Plots and cards: right glyphs, right sizes, no crash on empty or odd frames."""

from __future__ import annotations

import io
import math
import warnings

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bot.cards import HEIGHT, WIDTH, CardWords, item_card, slate_card
from bot.glyphs import drawable, font_path, missing_glyphs
from bot.plots import Look, bar_plot, line_plot, triangle_plot
from bot.studio.words import studio_sentences
from bot.wording import sentences
from data.catalogue import Item, ItemId
from data.vocabulary import FOOD_CATEGORIES, Language
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


@pytest.mark.parametrize("language", Language)
def test_every_category_has_a_card_with_name_and_price(language: Language) -> None:
    pictures = set()
    for category in (*FOOD_CATEGORIES, "", "tyres"):
        item = Item(item_id=ItemId("x"), name_zh="土豆", name_en="Potato", category=category)
        content = item_card(CardWords.of(item, language))
        assert _image(content).size == (WIDTH, HEIGHT)
        pictures.add(content)

    assert len(pictures) == len(FOOD_CATEGORIES) + 1  # the two unknown ones share a look


def test_a_card_changes_with_name_price_and_label() -> None:
    from decimal import Decimal

    plain = Item(item_id=ItemId("x"), name_en="Plum")
    other = Item(item_id=ItemId("x"), name_en="Pear")
    priced = Item(item_id=ItemId("x"), name_en="Plum", price=Decimal("3.20"))

    cards = {item_card(CardWords.of(item, Language.EN)) for item in (plain, other, priced)}

    assert len(cards) == 3


@pytest.mark.parametrize(
    "name", ["很" * 200, "W" * 300, "a b " * 100, "🍅🍅", "؟ العربية", "x\n\ty"],
    ids=["long zh", "one long word", "many words", "emoji", "another script", "white space"],
)  # fmt: skip
def test_any_name_fits_on_a_card(name: str) -> None:
    item = Item(item_id=ItemId("x"), name_en=name)

    picture = np.asarray(_image(item_card(CardWords.of(item, Language.EN))))

    assert (picture[:, -10:] == picture[195:200, -10:].reshape(-1, 3)[0]).mean() > 0.4
    assert picture.shape == (HEIGHT, WIDTH, 3)


def test_a_slate_is_one_picture_with_a_card_per_item() -> None:
    items = sample_catalogue().items[:3]

    picture = _image(slate_card(items, Language.ZH))

    assert picture.size == (1200, 266)
    with pytest.raises(ValueError, match="needs an item"):
        slate_card([], Language.ZH)


def test_the_font_lies_in_a_package_not_on_the_system() -> None:
    assert "zhplot" in font_path().parts
