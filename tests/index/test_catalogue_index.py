"""Building, loading, sharing and killing: the old or the new index is there, never a broken one."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from bot.engine_room import EngineRoom
from bot.settings import Settings
from bot.wiring import Wired
from data.catalogue import Catalogue
from data.errors import IndexMismatch, SnapshotError
from index import catalogue_index
from index.embedding import HashingEmbedder
from index.lexical import tokenize
from index.matches import Query
from index.snapshot import SnapshotFolder
from index.unsaved_index import build_unsaved
from tests.index.small_worlds import item, shop

ROOT = Path(__file__).parents[2]
N_KILLS = int(os.environ.get("ZHIWEI_BUILD_KILLS", "4"))
"""The nightly run sets 200."""
GRAMS = HashingEmbedder(dim=64)


@pytest.fixture
def folder(tmp_path: Path) -> SnapshotFolder:
    return SnapshotFolder(tmp_path / "index")


def test_an_item_has_one_passage_for_each_language_it_has_a_name_in() -> None:
    both = item("Figs", "无花果", "fruit", description_en="Sweet.", tags=("autumn",))
    one = item("Figs", "", "oil_condiment", description_zh="甜。")

    assert catalogue_index.passages_of(both) == [
        "无花果. fruit. autumn",
        "Figs. Sweet.. fruit. autumn",
    ]
    assert catalogue_index.passages_of(one) == ["Figs. oil condiment"]


def test_names_count_three_times_among_the_words() -> None:
    terms = catalogue_index.lexical_terms(item("Figs", description_en="sweet figs"))

    # In the description it is the same word again, which must not pay.
    assert terms.count(tokenize("figs")[0]) == 3
    assert terms.count("sweet") == 1


def test_what_was_built_is_loaded_alike(folder: SnapshotFolder) -> None:
    catalogue = Catalogue.of(shop())

    snapshot = catalogue_index.build(catalogue, GRAMS, folder)
    loaded = catalogue_index.load(folder.current(), catalogue, GRAMS)

    fresh = build_unsaved(catalogue, GRAMS)
    assert snapshot.manifest.counts == {"items": len(shop()), "vectors": len(fresh.owners)}
    assert loaded.owners.tolist() == fresh.owners.tolist()
    assert loaded.n_items == len(shop())
    assert np.array_equal(loaded.lexical.scores("eggs"), fresh.lexical.scores("eggs"))
    rows = np.arange(len(fresh.owners))
    assert np.allclose(loaded.vectors.reconstruct(rows), fresh.vectors.reconstruct(rows))


def test_progress_is_told_from_nothing_to_all(folder: SnapshotFolder) -> None:
    told: list[tuple[str, int, int]] = []

    catalogue_index.build(
        Catalogue.of(shop()), GRAMS, folder, progress=lambda *step: told.append(step)
    )

    embedding = [step for step in told if step[0] == "embedding items"]
    assert embedding[0][1] == 0
    assert embedding[-1][1] == embedding[-1][2] > len(shop())


def test_an_empty_catalogue_names_the_command_that_fills_it(folder: SnapshotFolder) -> None:
    with pytest.raises(SnapshotError, match="zhiwei import items"):
        catalogue_index.build(Catalogue.of([]), GRAMS, folder)


def test_an_index_of_another_catalogue_or_model_is_refused(folder: SnapshotFolder) -> None:
    catalogue = Catalogue.of(shop())
    snapshot = catalogue_index.build(catalogue, GRAMS, folder)

    with pytest.raises(IndexMismatch, match="zhiwei index build"):
        catalogue_index.load(snapshot, Catalogue.of(shop()[1:]), GRAMS)
    with pytest.raises(IndexMismatch, match="zhiwei index build"):
        catalogue_index.load(snapshot, catalogue, HashingEmbedder(dim=32))


def room(tmp_path: Path) -> tuple[Wired, EngineRoom]:
    settings = Settings(
        state=tmp_path / "state",
        cache=tmp_path / "cache",
        catalogue=tmp_path / "items.csv",
        lessons=tmp_path / "lessons.jsonl",
    )
    wired = Wired(settings)
    wired.__dict__["embedder"] = GRAMS  # the place where the opened encoder is kept
    return wired, EngineRoom(wired)


def sell(tmp_path: Path, *rows: str) -> None:
    """Write the shop's list as a shop does: whole, by one rename."""
    lines = ["item_id,name_en", *(f"{row.lower()},{row}" for row in rows)]
    draft = tmp_path / "items.tmp"
    draft.write_text("\n".join(lines), encoding="utf-8")
    draft.replace(tmp_path / "items.csv")


def test_a_running_bot_takes_up_a_new_snapshot_without_a_failed_request(tmp_path: Path) -> None:
    (tmp_path / "lessons.jsonl").write_text(
        '{"lesson_id": "a", "title": "Eggs", "text": "Eggs."}\n', encoding="utf-8"
    )
    sell(tmp_path, "Eggs", "Figs", "Kale")
    wired, engines = room(tmp_path)
    engines.current()
    stop, failures, answers = threading.Event(), [], set()

    def ask() -> None:
        while not stop.is_set():
            try:
                engine = engines.current()
                found = engine.matcher.match(
                    Query(text="Eggs and figs.", is_lesson=False), eligible=None, top_k=9
                )
                answers.add((engine.matcher.version, len(found.hits)))
            except Exception as error:  # any failure is what we look for
                failures.append(error)
                return

    people = [threading.Thread(target=ask) for _ in range(3)]
    for person in people:
        person.start()
    for n_more in range(1, 4):
        sell(tmp_path, "Eggs", "Figs", "Kale", *["Oats", "Rice", "Corn"][:n_more])
        wired.build_index()
        deadline = time.monotonic() + 30
        newest = (wired.snapshots.current().name, 3 + n_more)
        while newest not in answers and not failures and time.monotonic() < deadline:
            time.sleep(0.01)
        assert newest in answers or failures
    stop.set()
    for person in people:
        person.join()

    final = engines.current()
    assert failures == []
    assert len(final.catalogue) == 6
    assert final.matcher.version == wired.snapshots.current().name


def test_a_broken_new_snapshot_leaves_the_old_one_in_force(tmp_path: Path) -> None:
    (tmp_path / "lessons.jsonl").write_text(
        '{"lesson_id": "a", "title": "Eggs", "text": "Eggs."}\n', encoding="utf-8"
    )
    sell(tmp_path, "Eggs", "Figs", "Kale")
    wired, engines = room(tmp_path)
    before = engines.current()

    sell(tmp_path, "Eggs", "Figs", "Kale", "Oats")
    wired.build_index()
    owners = wired.snapshots.current().path / "owners.npy"
    owners.write_bytes(owners.read_bytes()[:-1] + b"?")

    assert engines.current() is before


READER = """
import sys
from pathlib import Path
from data.catalogue import Catalogue
from index import catalogue_index
from index.embedding import HashingEmbedder
from index.snapshot import SnapshotFolder
from tests.index.small_worlds import shop
loaded = catalogue_index.load(
    SnapshotFolder(Path(sys.argv[1])).current(), Catalogue.of(shop()), HashingEmbedder(dim=64)
)
scores, rows = loaded.lexical.search("eggs", 1)
print(loaded.version, int(rows[0]))
"""


def test_two_processes_read_one_folder_that_nobody_may_write(folder: SnapshotFolder) -> None:
    built = catalogue_index.build(Catalogue.of(shop()), GRAMS, folder)
    before = sorted(str(path) for path in folder.folder.rglob("*"))
    for path in [*folder.folder.rglob("*"), folder.folder]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}

    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, str(folder.folder)],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [reader.communicate(timeout=120)[0].strip() for reader in readers]
    folder.folder.chmod(0o755)
    for path in folder.folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)

    assert said == [f"{built.name} 1"] * 2
    assert sorted(str(path) for path in folder.folder.rglob("*")) == before


BUILDER = """
import sys
from pathlib import Path
from data.catalogue import Catalogue
from index import catalogue_index
from index.embedding import HashingEmbedder
from index.snapshot import SnapshotFolder
from tests.index.small_worlds import shop
folder, catalogue = SnapshotFolder(Path(sys.argv[1])), Catalogue.of(shop())
print("ready", flush=True)
while True:
    print(catalogue_index.build(catalogue, HashingEmbedder(dim=64), folder).name, flush=True)
"""


def test_a_kill_at_any_point_of_a_build_leaves_a_whole_index(folder: SnapshotFolder) -> None:
    catalogue = Catalogue.of(shop())
    catalogue_index.build(catalogue, GRAMS, folder)
    dice = random.Random(20261124)
    seen = {folder.current().name}

    for kill in range(N_KILLS):
        builder = subprocess.Popen(
            [sys.executable, "-c", BUILDER, str(folder.folder)],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert builder.stdout is not None
        assert builder.stdout.readline() == "ready\n"
        if kill % 2:  # so that slow machines make progress as well
            builder.stdout.readline()
        time.sleep(dice.uniform(0.0, 0.25))
        builder.kill()
        builder.communicate()

        loaded = catalogue_index.load(folder.current(), catalogue, GRAMS)
        assert loaded.n_items == len(shop())
        seen.add(loaded.version)

    # The kills fell into real work: some builds came through between them.
    assert len(seen) > 1
