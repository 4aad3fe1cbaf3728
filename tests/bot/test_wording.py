"""Words in the reader's form."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from bot.wording import Words, language_for
from data.catalogue import Item, ItemId
from data.vocabulary import Allergen, AllergenState, Language

EN, ZH = Words(Language.EN), Words(Language.ZH)
FREE = dict.fromkeys(Allergen, AllergenState.FREE_FROM)
ITEM = Item(
    item_id=ItemId("x"), name_zh="梨", name_en="Pear", price=Decimal("9.9"), unit="1 kg",
    allergens=FREE, allergens_checked_on=date(2026, 11, 1),
)  # fmt: skip


def test_prices_dates_and_lists_have_the_readers_form() -> None:
    assert EN.price(ITEM) == "CN¥9.90 / 1 kg"
    assert ZH.price(ITEM) == "¥9.90 / 1 kg"
    assert EN.price(replace(ITEM, unit="")) == "CN¥9.90"
    assert EN.price(replace(ITEM, price=None)) == "price unknown"
    assert EN.day(date(2026, 11, 1)) == "Nov 1, 2026"
    assert ZH.day(date(2026, 11, 1)) == "2026年11月1日"
    assert EN.several(["a", "b", "c"]) == "a, b, and c"
    assert ZH.several(["甲", "乙", "丙"]) == "甲、乙和丙"


def test_the_allergen_line_says_what_is_known_and_promises_nothing() -> None:
    line = EN.allergen_line(ITEM)
    assert "none of the 14 declared" in line
    assert "Nov 1, 2026" in line
    assert "read the label" in line
    mixed = replace(
        ITEM,
        allergens={
            **FREE,
            Allergen.MILK: AllergenState.CONTAINS,
            Allergen.NUTS: AllergenState.MAY_CONTAIN,
            Allergen.SOYBEANS: AllergenState.UNKNOWN,
        },
    )
    line = EN.allergen_line(mixed)
    assert "contains milk" in line
    assert "May contain tree nuts" in line
    assert "Not stated: soy" in line


@pytest.mark.parametrize("checked", [None, date(2026, 11, 1)])
def test_no_label_is_said_to_be_no_label(checked: date | None) -> None:
    bare = replace(ITEM, allergens={}, allergens_checked_on=checked)
    assert "no label data" in EN.allergen_line(bare)
    assert "none of the 14" not in EN.allergen_line(bare)
    known = replace(
        ITEM, allergens={Allergen.MILK: AllergenState.CONTAINS}, allergens_checked_on=None
    )
    assert "contains milk" in EN.allergen_line(known)
    assert "no label data" in EN.allergen_line(known)


def test_plurals_follow_the_number() -> None:
    assert "1 of these is" in EN("slate.some_hidden", n=1)
    assert "2 of these are" in EN("slate.some_hidden", n=2)
    assert "2" in ZH("slate.some_hidden", n=2)


def test_a_sentence_that_does_not_exist_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError, match=r"no\.such"):
        EN("no.such")


def test_an_unknown_category_stands_as_it_is() -> None:
    assert EN.category("fruit") == "fruit"
    assert EN.category("dragonfruit jam") == "dragonfruit jam"


@pytest.mark.parametrize(
    ("code", "language"),
    [
        ("zh-hans", Language.ZH), ("zh_TW", Language.ZH), ("ZH", Language.ZH), ("en-GB", Language.EN),
        ("fr", Language.ZH), ("", Language.ZH),
    ],
)  # fmt: skip
def test_the_clients_tag_chooses_the_language(code: str, language: Language) -> None:
    assert language_for(code, Language.ZH) is language
