"""The composition root: which catalogue is in force, and what a broken one leaves standing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.settings import Settings
from bot.wiring import EngineRoom, Wired, imported_path, read_catalogue
from data.errors import InvalidInput
from index import catalogue_index
from index.matches import Query
from tests.fakes import CountingEmbedder, hashing


def write_items(path: Path, *names: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"item_id": f"i{n}", "name_en": name} for n, name in enumerate(names)]
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def wired_over(tmp_path: Path, *names: str) -> Wired:
    settings = Settings(
        state=tmp_path / "state", catalogue=write_items(tmp_path / "items.jsonl", *names)
    )
    parts = Wired(settings)
    parts.__dict__["embedder"] = hashing()
    return parts


def test_the_samples_are_in_force_until_something_else_is(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path)
    catalogue, problems = read_catalogue(settings)
    assert len(catalogue) >= 300
    assert not problems
    write_items(imported_path(settings, "items"), "Imported")
    assert [i.name_en for i in read_catalogue(settings)[0]] == ["Imported"]
    named = Settings(state=tmp_path, catalogue=write_items(tmp_path / "mine.jsonl", "Mine"))
    assert [i.name_en for i in read_catalogue(named)[0]] == ["Mine"]


def test_a_catalogue_without_a_usable_item_names_file_and_need(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text('{"price": "1"}\n')
    with pytest.raises(InvalidInput, match=r"items\.jsonl.*item_id"):
        read_catalogue(Settings(state=tmp_path, catalogue=path))


def test_the_index_is_built_when_there_is_none(tmp_path: Path) -> None:
    parts = wired_over(tmp_path, "Pear", "Plum")
    engine = parts.engines.current()
    assert len(engine.catalogue) == 2
    assert engine.model_name == hashing().name
    assert parts.engines.current() is engine


def test_a_newly_published_index_is_picked_up_and_a_broken_one_is_not(tmp_path: Path) -> None:
    parts = wired_over(tmp_path, "Pear", "Plum")
    room = EngineRoom(parts)
    room.current()
    write_items(tmp_path / "items.jsonl", "Pear", "Plum", "Fig")
    parts.build_index()
    assert len(room.current().catalogue) == 3
    snapshot = catalogue_index.build(read_catalogue(parts.settings)[0], hashing(), parts.snapshots)
    broken = next(p for p in snapshot.path.iterdir() if p.name != "manifest.json")
    broken.write_bytes(b"broken")
    assert len(room.current().catalogue) == 3


def test_a_first_answer_embeds_what_was_asked_and_nothing_else(tmp_path: Path) -> None:
    parts = wired_over(tmp_path, "Tomato", "Pear")
    embedder = parts.__dict__["embedder"] = CountingEmbedder()
    engine = parts.engines.current()
    embedder.asked.clear()

    engine.lesson_finder.find("tomato soup")
    query = Query(text="A soup of ripe tomatoes.", title="Tomato soup")
    engine.matcher.match(query, eligible=None, top_k=1)

    assert set(embedder.asked) <= {"tomato soup", "Tomato soup", "A soup of ripe tomatoes."}
