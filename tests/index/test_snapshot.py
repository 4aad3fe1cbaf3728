from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from data.errors import IndexMismatch, SnapshotError
from index.snapshot import Manifest, SnapshotFolder

ROOT = Path(__file__).parents[2]


def manifest(number: int = 1, fingerprint: str = "weights") -> Manifest:
    return Manifest(
        model_name="test-model",
        model_fingerprint=fingerprint,
        dim=8,
        counts={"items": number},
        catalogue_hash=f"hash-{number}",
        built_at=datetime(2026, 11, 24, 8, tzinfo=UTC),
        recall=0.99,
        extra={"floor": 0.8},
    )


def writer(content: bytes = b"vectors") -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / "vectors.bin").write_bytes(content)
        (folder / "lexical").mkdir()
        (folder / "lexical" / "terms.json").write_text("[]")

    return write


@pytest.fixture
def snapshots(tmp_path: Path) -> SnapshotFolder:
    return SnapshotFolder(tmp_path / "snapshots")


def test_what_was_published_is_current_and_says_what_it_is(snapshots: SnapshotFolder) -> None:
    published = snapshots.publish(writer(), manifest())

    current = snapshots.current()

    assert current == published
    assert current.manifest == manifest()
    assert (current.path / "vectors.bin").read_bytes() == b"vectors"


def test_an_empty_folder_names_the_command_that_fills_it(snapshots: SnapshotFolder) -> None:
    assert not snapshots.exists()
    with pytest.raises(SnapshotError, match="zhiwei index build"):
        snapshots.current()


def test_a_change_is_noticed_once(snapshots: SnapshotFolder) -> None:
    snapshots.publish(writer(), manifest(1))
    reader = SnapshotFolder(snapshots.folder)
    reader.current()
    assert not reader.has_changed()

    snapshots.publish(writer(), manifest(2))

    assert reader.has_changed()
    assert reader.current().manifest.counts == {"items": 2}
    assert not reader.has_changed()


def test_the_last_two_snapshots_are_kept(snapshots: SnapshotFolder) -> None:
    names = [snapshots.publish(writer(), manifest(i)).name for i in range(4)]

    left = {path.name for path in snapshots.folder.iterdir() if path.is_dir()}

    assert left == set(names[-2:])


def test_a_reader_of_the_last_snapshot_can_finish(snapshots: SnapshotFolder) -> None:
    old = snapshots.publish(writer(b"old"), manifest(1))

    snapshots.publish(writer(b"new"), manifest(2))

    assert (old.path / "vectors.bin").read_bytes() == b"old"


def test_a_writer_that_fails_leaves_the_old_snapshot(snapshots: SnapshotFolder) -> None:
    before = snapshots.publish(writer(), manifest(1))

    def fail(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        snapshots.publish(fail, manifest(2))

    assert snapshots.current() == before
    assert [p.name for p in snapshots.folder.iterdir() if p.name.startswith(".building")] == []


@pytest.mark.parametrize("name", ["vectors.bin", "lexical/terms.json"])
def test_every_file_is_verified(snapshots: SnapshotFolder, name: str) -> None:
    path = snapshots.publish(writer(), manifest()).path / name
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)

    with pytest.raises(SnapshotError, match=r"checksum differs.*zhiwei index build"):
        snapshots.current()

    assert snapshots.current(verify=False)


def test_missing_added_and_shortened_files_are_named(snapshots: SnapshotFolder) -> None:
    folder = snapshots.publish(writer(), manifest()).path
    (folder / "vectors.bin").write_bytes(b"v")
    with pytest.raises(SnapshotError, match="has 1 bytes"):
        snapshots.current()

    (folder / "vectors.bin").unlink()
    with pytest.raises(SnapshotError, match=r"vectors\.bin is missing"):
        snapshots.current()

    (folder / "vectors.bin").write_bytes(b"vectors")
    (folder / "extra.bin").write_bytes(b"")
    with pytest.raises(SnapshotError, match="does not belong"):
        snapshots.current()


@pytest.mark.parametrize("written", [0, 2, "1", None])
def test_another_format_is_a_mismatch(snapshots: SnapshotFolder, written: object) -> None:
    path = snapshots.publish(writer(), manifest()).path / "manifest.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"format": written}))

    with pytest.raises(IndexMismatch, match="zhiwei index build"):
        snapshots.current()


def test_old_formats_load_or_are_a_mismatch() -> None:
    for folder in sorted((Path(__file__).parent / "snapshots").iterdir()):
        if folder.name.startswith("format-1"):
            assert SnapshotFolder(folder).current().manifest.counts == {"items": 2}
        else:
            with pytest.raises(IndexMismatch, match="zhiwei index build"):
                SnapshotFolder(folder).current()


@pytest.mark.parametrize(
    "change",
    [{"files": None}, {"counts": None}, {"model": {}}, {"built_at": "yesterday"}],
    ids=["files", "counts", "model", "time"],
)
def test_an_incomplete_manifest_is_an_error_not_a_crash(
    snapshots: SnapshotFolder, change: dict[str, object]
) -> None:
    path = snapshots.publish(writer(), manifest()).path / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))

    with pytest.raises(SnapshotError, match="zhiwei index build"):
        snapshots.current()


def test_a_manifest_cannot_point_outside(snapshots: SnapshotFolder) -> None:
    path = snapshots.publish(writer(), manifest()).path / "manifest.json"
    content = json.loads(path.read_text())
    content["files"]["../../current"] = {"sha256": "", "bytes": 0}
    path.write_text(json.dumps(content))

    with pytest.raises(SnapshotError, match="outside"):
        snapshots.current()


@pytest.mark.parametrize("pointer", ["", "../../etc", "20261124T080000-00000000"])
def test_a_broken_pointer_is_named(snapshots: SnapshotFolder, pointer: str) -> None:
    snapshots.publish(writer(), manifest())
    (snapshots.folder / "current").write_text(pointer)

    with pytest.raises(SnapshotError, match="zhiwei index build"):
        snapshots.current()


def test_another_model_or_dimension_is_a_mismatch(snapshots: SnapshotFolder) -> None:
    snapshot = snapshots.publish(writer(), manifest())

    snapshot.require(model_fingerprint="weights", dim=8)
    with pytest.raises(IndexMismatch, match=r"test-model.*other-model.*zhiwei index build"):
        snapshot.require(model_fingerprint="other", dim=8, model_name="other-model")
    with pytest.raises(IndexMismatch, match="vectors of 8 numbers"):
        snapshot.require(model_fingerprint="weights", dim=9)


def test_two_readers_share_a_folder_that_nobody_may_write(snapshots: SnapshotFolder) -> None:
    published = snapshots.publish(writer(), manifest())
    places = [snapshots.folder, *snapshots.folder.rglob("*")]
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in places}
    for path in places:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        first, second = SnapshotFolder(snapshots.folder), SnapshotFolder(snapshots.folder)

        assert first.current() == second.current() == published
        assert not first.has_changed()

        # As root the mode bits stop nobody, so also look that nothing was touched.
        after = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in places}
        assert after == before
        assert sorted(snapshots.folder.rglob("*")) == sorted(set(places) - {snapshots.folder})
    finally:
        for path in places:
            path.chmod(0o755)


def test_a_place_where_nothing_can_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(SnapshotError, match="ZHIWEI_STATE"):
        SnapshotFolder(tmp_path / "file" / "snapshots").publish(writer(), manifest())


def test_a_kill_at_any_moment_leaves_the_old_or_the_new_snapshot(tmp_path: Path) -> None:
    """Set ZHIWEI_KILLS=200 for the long form."""
    folder = tmp_path / "snapshots"
    moments = random.Random(7)
    n_kills = int(os.environ.get("ZHIWEI_KILLS", "16"))
    last = 0
    for kill in range(n_kills):
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("publish_forever.py")), str(folder)],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        assert process.stdout is not None
        if kill % 2 == 0:
            last = int(process.stdout.readline())
        time.sleep(moments.uniform(0, 0.12))
        process.kill()
        last = max([last, *map(int, process.stdout.read().split())])
        process.wait()
        process.stdout.close()

        current = SnapshotFolder(folder).current()

        # The one announced last, or the one that the kill caught after its switch.
        number = current.manifest.counts["number"]
        assert number in {last, last + 1}
        last = number
        for part in range(4):
            payload = (current.path / "lexical" / f"part-{part}").read_bytes()
            assert payload == str(number).encode() * 20_000
    # Every second kill waits for a publish, so that slow machines make progress as well.
    assert last >= n_kills // 2

    left = SnapshotFolder(folder).publish(writer(), manifest(9))

    assert SnapshotFolder(folder).current() == left
    assert [p.name for p in folder.iterdir() if p.name.startswith(".building")] == []
