"""Who sells an item: read from a file, unknown where nothing says so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from data.catalogue import Catalogue, Item, ItemId, content_hash
from data.errors import IndexMismatch
from data.importing import read_items
from index import catalogue_index
from index.snapshot import SnapshotFolder
from tests.fakes import NOON, hashing

PEAR = Item(item_id=ItemId("pear"), name_en="Pear")


def test_a_table_and_json_lines_may_name_the_merchant(tmp_path: Path) -> None:
    table, lines = tmp_path / "items.csv", tmp_path / "items.jsonl"
    table.write_text("item_id,name,Merchant\np1,Pear, 果园 小铺 \np2,Plum,\n", encoding="utf-8")
    rows = (
        {"item_id": "p1", "name": "Pear", "merchant": "Orchard"},
        {"item_id": "p2", "name": "x"},
    )
    lines.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert [item.merchant for item in read_items(table).records] == ["果园 小铺", ""]
    assert [item.merchant for item in read_items(lines).records] == ["Orchard", ""]
    assert not read_items(table).notes


@pytest.mark.parametrize("column", ["brand", "vendor", "manufacturer"])
def test_who_makes_it_is_not_taken_for_who_sells_it(tmp_path: Path, column: str) -> None:
    table = tmp_path / "items.csv"
    table.write_text(f"item_id,name,{column}\np1,Pear,Big Fruit\n", encoding="utf-8")
    found = read_items(table)
    assert found.records[0].merchant == ""
    assert column in found.notes[0]


def test_a_name_too_long_to_show_is_reported(tmp_path: Path) -> None:
    table = tmp_path / "items.csv"
    table.write_text(f"item_id,name,merchant\np1,Pear,{'x' * 121}\n", encoding="utf-8")
    found = read_items(table)
    assert not found.records
    assert found.problems[0].field == "merchant"


def test_another_merchant_makes_another_catalogue_and_none_the_one_it_was() -> None:
    sold = replace(PEAR, merchant="Orchard")
    assert len({content_hash([i]) for i in (PEAR, sold, replace(PEAR, merchant="Farm"))}) == 3
    # As counted before items had merchants: an index of that time still fits its catalogue.
    assert content_hash([PEAR]) == "e755eed164ee8f2e"


def test_an_index_of_a_catalogue_without_merchants_loads_and_one_with_others_says_what_to_do(
    tmp_path: Path,
) -> None:
    catalogue = Catalogue.of([PEAR, replace(PEAR, item_id=ItemId("plum"), merchant="Farm")])
    built = catalogue_index.build(catalogue, hashing(), SnapshotFolder(tmp_path), at=NOON)
    again = Catalogue.of(catalogue.items)
    assert catalogue_index.load(built, again, hashing()).catalogue_version == catalogue.version
    moved = Catalogue.of(replace(item, merchant="Other") for item in catalogue)
    with pytest.raises(IndexMismatch, match="zhiwei index build"):
        catalogue_index.load(built, moved, hashing())
