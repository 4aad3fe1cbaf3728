"""One item of the catalogue edited in a form: what is checked, what is written, and what stays as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from bot.studio.item_rows import ItemFields, check, rewritten
from data.catalogue import Item, ItemId
from data.importing import read_items
from data.validation import parse_item
from data.vocabulary import Allergen, AllergenState, Diet
from tests.bot.studio_world import TOKEN, Browser, StudioParts, open_studio
from tests.fakes import sample_catalogue

TODAY = date(2026, 10, 1)
MILK_FREE = {Allergen.MILK: AllergenState.FREE_FROM}


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[tuple[Browser, StudioParts]]:
    with open_studio(tmp_path) as opened:
        yield opened


def edit(browser: Browser, item_id: str = "broccoli") -> Browser:
    return browser.open(f"/catalogue/item?id={item_id}")


def item_of(parts: StudioParts, item_id: str = "broccoli") -> Item:
    return parts.engines.current().catalogue.items_by_id[ItemId(item_id)]


# the row


def test_every_item_of_the_samples_goes_through_the_form_unchanged() -> None:
    for item in sample_catalogue():
        assert parse_item(ItemFields.of(item).cells()).record == item


def test_a_label_that_was_read_and_declares_no_diet_is_not_unknown() -> None:
    item = Item(item_id=ItemId("a"), name_en="A", diets=frozenset())

    assert parse_item(ItemFields.of(item).cells()).record == item


def test_a_changed_label_needs_the_day_on_which_it_was_read() -> None:
    before = Item(item_id=ItemId("a"), name_en="A", allergens_checked_on=date(2026, 1, 1))
    fields = ItemFields.of(before)

    without = check(ItemFields(texts=fields.texts, states=MILK_FREE), before, today=TODAY)
    on_the_day = check(
        ItemFields(
            texts={**fields.texts, "allergens_checked_on": "2026-10-01"}, states=MILK_FREE
        ),
        before, today=TODAY,
    )  # fmt: skip

    assert [c.field for c in without.complaints] == ["allergens_checked_on"]
    assert on_the_day.complaints == ()
    assert on_the_day.cleared == (Allergen.MILK,)


def test_a_label_cannot_have_been_read_in_the_future() -> None:
    fields = ItemFields(
        texts={"item_id": "a", "name_en": "A", "allergens_checked_on": "2027-01-01"}
    )

    assert [c.field for c in check(fields, None, today=TODAY).complaints] == [
        "allergens_checked_on"
    ]


def test_more_caution_needs_no_confirmation() -> None:
    before = Item(
        item_id=ItemId("a"), name_en="A", allergens=MILK_FREE, allergens_checked_on=TODAY
    )
    fields = ItemFields(
        texts=ItemFields.of(before).texts, states={Allergen.MILK: AllergenState.MAY_CONTAIN}
    )

    assert check(fields, before, today=TODAY).cleared == ()


# the file


def test_rows_that_nobody_could_read_and_columns_that_nobody_knows_stay(tmp_path: Path) -> None:
    file = tmp_path / "items.csv"
    file.write_text(
        "item_id,name_en,price,shelf\nplum,Plum,9.90,A3\npear,Pear,cheap,B1\nfig,Fig,3,C2\nshort\n"
    )
    before = read_items(file)

    written = tmp_path / "new.jsonl"
    written.write_bytes(rewritten(file, ItemId("fig"), {"item_id": "fig", "name_en": "Figs"}))
    after = read_items(written)

    assert after.records[0] == before.records[0]
    assert after.records[1].name_en == "Figs"
    assert len(after.problems) >= len(before.problems)
    text = written.read_text()
    assert all(word in text for word in ("cheap", "B1", "A3", "short"))


def test_lines_of_a_jsonl_file_stay_byte_for_byte(tmp_path: Path) -> None:
    file = tmp_path / "items.jsonl"
    kept = '{"item_id":"plum", "name_zh":"李子",  "price": 9.90, "extra": [1, {"a": null}]}'
    file.write_text(f'{kept}\n{{"item_id": "fig", "name_en": "Fig"}}\nno json\n', encoding="utf-8")

    text = rewritten(file, ItemId("fig"), None).decode()

    assert text == f"{kept}\nno json\n"


def test_taking_an_item_out_does_not_bring_back_a_second_row_with_its_id(tmp_path: Path) -> None:
    file = tmp_path / "items.csv"
    file.write_text("item_id,name_en\nfig,Fig\nplum,Plum\nfig,An older fig\n")
    written = tmp_path / "new.jsonl"

    written.write_bytes(rewritten(file, ItemId("fig"), None))

    assert [item.item_id for item in read_items(written).records] == ["plum"]


# the page


def test_a_price_is_edited_published_and_rolled_back(
    studio: tuple[Browser, StudioParts],
) -> None:
    browser, parts = studio
    before = item_of(parts)

    edit(browser).press("Save and publish", price="99.50")

    assert "Saved. The new catalogue is in force." in browser.text
    assert str(item_of(parts).price) == "99.50"
    assert len(parts.engines.current().catalogue) == 455
    assert ("studio.catalogue.edit", "broccoli: price") in [r[2:] for r in parts.store.audits()]
    browser.press("roll back now")
    assert item_of(parts) == before


def test_the_merchant_of_an_item_is_edited_like_its_other_fields(
    studio: tuple[Browser, StudioParts],
) -> None:
    browser, parts = studio

    edit(browser).press("Save and publish", merchant="果园小铺")

    assert item_of(parts).merchant == "果园小铺"
    assert 'value="果园小铺"' in edit(browser).markup
    assert parse_item(ItemFields.of(item_of(parts)).cells()).record == item_of(parts)


def test_a_bad_field_is_named_and_nothing_is_saved(studio: tuple[Browser, StudioParts]) -> None:
    browser, parts = studio
    version = parts.engines.current().catalogue.version

    edit(browser).press("Save and publish", price="cheap", buy_url="javascript:alert(1)")

    assert browser.status == 422
    assert "2 fields need another look" in browser.text
    assert "A number such as 12.90" in browser.text
    assert "begins with https://" in browser.text
    assert browser.markup.count('aria-invalid="true"') == 2
    assert 'value="cheap"' in browser.markup
    assert parts.engines.current().catalogue.version == version


def test_less_risk_on_a_label_is_asked_about_once_more(
    studio: tuple[Browser, StudioParts],
) -> None:
    browser, parts = studio
    item = next(i for i in sample_catalogue() if i.allergen_state(Allergen.MILK) == "contains")

    edit(browser, item.item_id).press(
        "Save", allergen_milk="free_from", allergens_checked_on="2026-10-01"
    )
    unsaved = item_of(parts, item.item_id)
    assert "newly free from: milk" in browser.text
    assert unsaved.allergen_state(Allergen.MILK) == "contains"

    browser.press("Save", confirmed="1")
    assert item_of(parts, item.item_id).allergen_state(Allergen.MILK) == "free_from"


def test_what_somebody_else_changed_meanwhile_is_not_written_over(
    studio: tuple[Browser, StudioParts],
) -> None:
    browser, parts = studio
    form, _ = edit(browser).find("Save and publish")
    edit(browser).press("Save and publish", price="1.00")

    answer = browser.client.post(form.action, data={**dict(form.fields), "price": "2.00"})

    assert answer.status_code == 422
    assert "Somebody changed this item" in answer.text
    assert str(item_of(parts).price) == "1.00"


def test_an_item_is_added_and_taken_out_again(studio: tuple[Browser, StudioParts]) -> None:
    browser, parts = studio
    browser.open("/catalogue/item").press(
        "Save and publish", item_id="loquat", name_zh="枇杷", price="12", diet=["vegan"],
        season=["4", "5"],
    )  # fmt: skip
    added = item_of(parts, "loquat")
    assert (added.name_zh, added.season, added.diets) == ("枇杷", {4, 5}, {Diet.VEGAN})
    assert added.allergen_state(Allergen.MILK) == "unknown"

    edit(browser, "loquat").press("take it out")

    assert "loquat" not in parts.engines.current().catalogue.items_by_id
    assert "no longer in the catalogue" in browser.text


def test_a_new_item_cannot_take_the_id_of_another(studio: tuple[Browser, StudioParts]) -> None:
    browser, parts = studio
    before = item_of(parts)

    browser.open("/catalogue/item").press("Save", item_id="broccoli", name_en="Not broccoli")

    assert browser.status == 422
    assert item_of(parts) == before


def test_saving_without_a_change_publishes_nothing(studio: tuple[Browser, StudioParts]) -> None:
    browser, parts = studio

    edit(browser).press("Save and publish")

    assert "nothing was changed" in browser.text
    assert not (parts.settings.state / "studio" / "before").exists()


def test_a_catalogue_of_the_settings_is_shown_but_not_changed(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text(json.dumps({"item_id": "t", "name_en": "Tofu <b>"}) + "\n")
    with open_studio(tmp_path / "state", catalogue=file) as (browser, _):
        edit(browser, "t")

        assert "change it there" in browser.text
        assert "Tofu &lt;b&gt;" in browser.markup
        with pytest.raises(LookupError):
            browser.find("Save")


def test_an_unknown_item_is_not_edited(studio: tuple[Browser, StudioParts]) -> None:
    browser, _ = studio

    assert edit(browser, "long-gone").status == 404


@pytest.mark.parametrize("path", ["/catalogue/item/save", "/catalogue/item/remove"])
def test_strangers_and_foreign_forms_change_nothing(tmp_path: Path, path: str) -> None:
    with open_studio(tmp_path, public=True, telegram_token=TOKEN, admins=frozenset({1})) as (
        browser,
        parts,
    ):
        answer = browser.client.post(path, data={"id": "broccoli", "price": "0"})
        assert answer.status_code == 403
    with open_studio(tmp_path / "own") as (browser, parts):
        answer = browser.client.post(path, data={"id": "broccoli", "token": "0" * 32})
        assert answer.status_code == 403
        assert "broccoli" in parts.engines.current().catalogue.items_by_id
