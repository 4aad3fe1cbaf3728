"""Drawn cards: every category, any words, small files, and nothing that the message does not say."""

from __future__ import annotations

import io
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from PIL import Image

from bot.cards import HEIGHT, SLATE_WIDTH, WIDTH, banner, item_card, picture_of, slate_card
from bot.glyphs import drawable, missing_glyphs
from bot.messages import Card
from bot.picturing import card_of
from data.catalogue import Item, ItemId
from data.vocabulary import FOOD_CATEGORIES, Language
from tests.fakes import sample_catalogue

LONG_SENTENCE = "The wok has to be so hot that the greens hiss as long as they are in it. " * 3


def image_of(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")


def slate(language: Language, n: int = 3, reason: str = "") -> tuple[Card, ...]:
    items = sample_catalogue().items[:n]
    return tuple(
        card_of(item, language, number=number, reason=reason)
        for number, item in enumerate(items, start=1)
    )


@pytest.mark.parametrize("language", Language)
def test_every_category_has_a_card_with_name_and_price(language: Language) -> None:
    pictures = set()
    for category in (*FOOD_CATEGORIES, "", "tyres"):
        item = Item(item_id=ItemId("x"), name_zh="土豆", name_en="Potato", category=category)
        content = item_card(card_of(item, language))
        assert image_of(content).size == (WIDTH, HEIGHT)
        pictures.add(content)

    assert len(pictures) == len(FOOD_CATEGORIES) + 1  # the two unknown ones share a look


def test_a_card_changes_with_name_price_and_label() -> None:
    plain = Item(item_id=ItemId("x"), name_en="Plum")
    other = Item(item_id=ItemId("x"), name_en="Pear")
    priced = Item(item_id=ItemId("x"), name_en="Plum", price=Decimal("3.20"))

    cards = {item_card(card_of(item, Language.EN)) for item in (plain, other, priced)}

    assert len(cards) == 3


@pytest.mark.parametrize(
    "name", ["很" * 200, "W" * 300, "a b " * 100, "🍅🍅", "؟ العربية", "x\n\ty"],
    ids=["long zh", "one long word", "many words", "emoji", "another script", "white space"],
)  # fmt: skip
def test_any_name_fits_on_a_card(name: str) -> None:
    item = Item(item_id=ItemId("x"), name_en=name)

    picture = np.asarray(image_of(item_card(card_of(item, Language.EN))))
    row = np.asarray(image_of(slate_card((card_of(item, Language.EN, number=1),))))

    assert (picture[:, -10:] == picture[195:200, -10:].reshape(-1, 3)[0]).mean() > 0.4
    assert picture.shape == (HEIGHT, WIDTH, 3)
    # The margin at the right stays paper, down to the line between two items.
    assert (row[:-2, -8:] == row[0, -1]).all()


def test_a_slate_has_a_row_for_each_item_one_below_the_other() -> None:
    cards = slate(Language.ZH)

    whole = np.asarray(image_of(slate_card(cards)))
    rows = [np.asarray(image_of(slate_card((card,)))) for card in cards]

    assert whole.shape[1] == SLATE_WIDTH
    assert np.array_equal(whole, np.concatenate(rows))
    with pytest.raises(ValueError, match="needs an item"):
        slate_card(())


def test_a_row_tells_number_price_label_and_reason() -> None:
    card = slate(Language.EN, 1, reason="Greens need great heat.")[0]
    drawn = slate_card((card,))

    for change in (
        {"number": 2},
        {"price": "¥1.00"},
        {"label": "contains fish"},
        {"reason": "Another sentence."},
        {"name": "Another name"},
        {"category": "fish"},
    ):
        assert slate_card((replace(card, **change),)) != drawn


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("n", [1, 3, 4])
def test_a_slate_s_picture_is_small_and_has_sides_that_chats_take(
    language: Language, n: int
) -> None:
    content = slate_card(slate(language, n, reason=LONG_SENTENCE))
    width, height = image_of(content).size

    assert len(content) < 60_000
    assert width + height <= 10_000
    assert max(width, height) / min(width, height) <= 20


def test_the_sample_catalogue_needs_no_glyph_that_the_font_lacks() -> None:
    for language in Language:
        for item in sample_catalogue():
            card = card_of(item, language)
            shown = card.name + card.price + card.label
            assert missing_glyphs(shown) == frozenset(), item.item_id
            assert drawable(shown) == shown.replace("\n", "")


def test_no_cards_are_a_banner_that_shows_no_item_and_one_without_number_stands_alone() -> None:
    alone = card_of(sample_catalogue().items[0], Language.EN)

    assert picture_of(()) == banner()
    assert picture_of((alone,)) == item_card(alone)
    assert picture_of((replace(alone, number=1),)) == slate_card((replace(alone, number=1),))
    assert len(banner()) < 5_000
