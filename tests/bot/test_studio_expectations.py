"""Every complaint of an import has Chinese words in the studio."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bot.studio.expectations import expected_in
from data.importing import read_items
from data.vocabulary import Language
from tests.bot.studio_world import open_studio

BAD = (
    {"item_id": "a b", "name_en": "x"},
    {"item_id": "a1"},
    {"item_id": "a2", "name_en": "x" * 300},
    {"item_id": "a3", "name_en": ["x"]},
    {"item_id": "a4", "name_en": "x", "tags": 5, "season": "soon", "stock": "many"},
    {"item_id": "a5", "name_en": "x", "tags": "[broken"},
    {"item_id": "a6", "name_en": "x", "price": "cheap", "currency": "gold"},
    {"item_id": "a7", "name_en": "x", "price_usd": "5 EUR"},
    {"item_id": "a8", "name_en": "x", "price": "5 EUR", "currency": "USD"},
    {"item_id": "a9", "name_en": "x", "available_from": "soon", "sponsored": "perhaps"},
    {
        "item_id": "b1",
        "name_en": "x",
        "available_from": "2026-02-02",
        "available_until": "2026-01-01",
    },
    {"item_id": "b2", "name_en": "x", "buy_url": "javascript:1", "audience": "cats"},
    {"item_id": "b3", "name_en": "x", "diets": "sunlight", "category": "gadget"},
    {"item_id": "b4", "name_en": "x", "allergens": "dust=contains"},
    {"item_id": "b5", "name_en": "x", "allergens": "milk=perhaps"},
    {"item_id": "b6", "name_en": "x", "allergens": "milk=contains;milk=free_from"},
    {"item_id": "same", "name_en": "x"},
    {"item_id": "same", "name_en": "y"},
)


def expectations(folder: Path) -> list[str]:
    lines = "\n".join(json.dumps(row) for row in BAD)
    (folder / "a.jsonl").write_text(f'{lines}\nno json\n{{"item_id": "k", "item_id": "l"}}\n[]\n')
    (folder / "b.csv").write_bytes(b'item_id,name_en\nshort\nz,"open\n')
    (folder / "c.csv").write_bytes("item_id,name_en\nz,梨\ny,李\nw,".encode() + b"\xff\xff\n")
    return [
        p.expected
        for name in ("a.jsonl", "b.csv", "c.csv")
        for p in read_items(folder / name).problems
    ]


def test_every_complaint_has_chinese_words(tmp_path: Path) -> None:
    found = expectations(tmp_path)

    assert len(set(found)) >= 26
    for expected in found:
        told = expected_in(Language.ZH, expected)
        assert re.search(r"[\u4e00-\u9fff]", told), expected
        assert expected_in(Language.EN, expected) == expected


@pytest.mark.parametrize("expected", ["", "something that nobody wrote"])
def test_what_is_not_known_stays_as_it_is(expected: str) -> None:
    assert expected_in(Language.ZH, expected) == expected


def test_the_page_and_the_download_speak_chinese(tmp_path: Path) -> None:
    with open_studio(tmp_path) as (browser, _):
        browser.open("/language/zh?next=/catalogue")
        browser.press(
            "查看会有哪些变化",
            files={"file": ("a.csv", b"item_id,name_en,price\na,A,cheap\nb,B,1\n")},
        )

        assert "应为数字，例如 12.90" in browser.text
        address = re.search(r"/catalogue/problems/[0-9a-f]{16}", browser.markup)
        assert address is not None
        assert "应为数字" in browser.client.get(address[0]).text
