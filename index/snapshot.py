"""Builds of the index on disk: whole, verified, switched by one rename.

    folder/
    ├── current              one line: the name of the snapshot in force
    ├── 20261124T080000-1a2b3c4d/
    │   ├── manifest.json    format, model, dimension, counts, sha256 and size of every file
    │   └── ...              whatever the writer put there
    └── ...                  the one before it, for readers that still have it open

A build happens in a hidden folder, every file and folder is synced, then it is renamed and the
pointer replaced, so a kill at any moment leaves the old or the new snapshot in force. Readers
write nothing: many processes can share a read-only folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from data.errors import IndexMismatch, SnapshotError

FORMAT = 1
"""Raise when a reader of today could not read what a writer of tomorrow writes."""
REPAIR = "run `zhiwei index build`"
KEPT = 2

_MANIFEST = "manifest.json"
_POINTER = "current"
_NAME = re.compile(r"\d{8}T\d{6}-[0-9a-f]{8}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a snapshot says of itself."""

    model_name: str
    model_fingerprint: str
    dim: int
    counts: Mapping[str, int]
    """For people: items, lessons, passages, vectors ..."""
    catalogue_hash: str
    built_at: datetime
    recall: float = 1.0
    """Recall@10 of the vector index against exact search, measured at build time."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """JSON of the writer's own: settings, floors, versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One verified build."""

    path: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        return self.path.name

    @classmethod
    def load(cls, path: Path, *, verify: bool = True) -> Snapshot:
        """Open a snapshot and check it.

        Args:
            path: Its folder.
            verify: Also hash every file; without, only names and sizes are compared.

        Raises:
            IndexMismatch: It has another format.
            SnapshotError: It is missing, or a file is missing, added, or differs.
        """
        content = _read_manifest(path)
        _check_files(path, content["files"], verify=verify)
        return cls(path=path, manifest=_manifest(path, content))

    def require(self, *, model_fingerprint: str, dim: int, model_name: str = "") -> None:
        """Refuse to be searched with another model than it was built with.

        Raises:
            IndexMismatch: Model or dimension differ.
        """
        if self.manifest.dim != dim:
            raise IndexMismatch(
                f"the index {self.path} has vectors of {self.manifest.dim} numbers, but the model "
                f"{model_name or model_fingerprint} gives {dim}; {REPAIR} with this model, or set "
                f"ZHIWEI_MODEL to {self.manifest.model_name}"
            )
        if self.manifest.model_fingerprint != model_fingerprint:
            raise IndexMismatch(
                f"the index {self.path} was built with {self.manifest.model_name}, but the model "
                f"in use is {model_name or model_fingerprint}; {REPAIR} with this model"
            )


class SnapshotFolder:
    """The folder of snapshots: its current one, and publishing a next one."""

    def __init__(self, folder: Path) -> None:
        """Remember the folder; it need not exist before the first `publish`."""
        self.folder = folder
        self._seen = self._pointer_state()

    def current(self, *, verify: bool = True) -> Snapshot:
        """Load the snapshot in force, and remember that it was seen.

        Raises:
            IndexMismatch: It has another format.
            SnapshotError: There is none, or it is broken.
        """
        # A publisher may switch and prune while we read: then the pointer names another one.
        for _ in range(3):
            state = self._pointer_state()
            name = self._current_name()
            try:
                snapshot = Snapshot.load(self.folder / name, verify=verify)
            except SnapshotError:
                if self._current_name() == name:
                    raise
                continue
            self._seen = state
            return snapshot
        raise SnapshotError(f"{self.folder} changed three times while it was read; try again")

    def exists(self) -> bool:
        """Say whether there is a snapshot in force, without checking it."""
        return (self.folder / _POINTER).is_file()

    def has_changed(self) -> bool:
        """Say whether another snapshot came into force since `current`; costs one stat."""
        return self._pointer_state() != self._seen

    def publish(self, write: Callable[[Path], None], manifest: Manifest) -> Snapshot:
        """Write a new snapshot and put it into force.

        Args:
            write: Fills the empty folder it is given; may make sub-folders.
            manifest: Described by the caller; checksums and format are added here.

        Raises:
            SnapshotError: The folder cannot be written.
        """
        with self._writing() as temporary:
            write(temporary)
            return self._commit(temporary, manifest)

    def publish_with(self, write: Callable[[Path], Manifest]) -> Snapshot:
        """As `publish`, for writers that know recall and counts only when they have written."""
        with self._writing() as temporary:
            return self._commit(temporary, write(temporary))

    @contextmanager
    def _writing(self) -> Iterator[Path]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / ".lock").open("a")
        except OSError as error:
            raise SnapshotError(
                f"cannot write snapshots in {self.folder} ({error.strerror}); "
                "give a folder that can be written with ZHIWEI_STATE"
            ) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # We hold the lock, so what is being built here belongs to a build that was killed.
            for leftover in self.folder.glob(".building-*"):
                shutil.rmtree(leftover, ignore_errors=True)
            temporary = Path(tempfile.mkdtemp(prefix=".building-", dir=self.folder))
            try:
                temporary.chmod(0o755)
                yield temporary
            finally:
                shutil.rmtree(temporary, ignore_errors=True)

    def _commit(self, temporary: Path, manifest: Manifest) -> Snapshot:
        files = _checksums(temporary)
        content = {
            "format": FORMAT,
            "model": {
                "name": manifest.model_name,
                "fingerprint": manifest.model_fingerprint,
                "dim": manifest.dim,
            },
            "counts": dict(manifest.counts),
            "catalogue_hash": manifest.catalogue_hash,
            "built_at": manifest.built_at.astimezone(UTC).isoformat(),
            "recall": manifest.recall,
            "extra": dict(manifest.extra),
            "files": files,
        }
        text = json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True)
        (temporary / _MANIFEST).write_text(text, encoding="utf-8")
        _sync_tree(temporary)
        stamp = manifest.built_at.astimezone(UTC).strftime("%Y%m%dT%H%M%S")
        digest = hashlib.sha256(text.encode() + os.urandom(8)).hexdigest()[:8]
        target = self.folder / f"{stamp}-{digest}"
        temporary.rename(target)
        _sync(self.folder)
        self._point_to(target.name)
        self._prune(target.name)
        return Snapshot(path=target, manifest=_manifest(target, content))

    def _point_to(self, name: str) -> None:
        pointer = self.folder / f".{_POINTER}.new"
        with pointer.open("w", encoding="utf-8") as file:
            file.write(f"{name}\n")
            file.flush()
            os.fsync(file.fileno())
        pointer.replace(self.folder / _POINTER)
        _sync(self.folder)

    def _prune(self, current: str) -> None:
        names = sorted(
            (path for path in self.folder.iterdir() if _NAME.fullmatch(path.name)),
            key=lambda path: path.stat().st_mtime_ns,
            reverse=True,
        )
        others = [path for path in names if path.name != current]
        for path in others[KEPT - 1 :]:
            shutil.rmtree(path, ignore_errors=True)

    def _current_name(self) -> str:
        pointer = self.folder / _POINTER
        try:
            name = pointer.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SnapshotError(f"there is no index in {self.folder}; {REPAIR}") from error
        if not _NAME.fullmatch(name):
            raise SnapshotError(f"{pointer} names {name[:80]!r}, which is no snapshot; {REPAIR}")
        return name

    def _pointer_state(self) -> tuple[int, int, int] | None:
        try:
            state = (self.folder / _POINTER).stat()
        except OSError:
            return None
        return state.st_ino, state.st_mtime_ns, state.st_size


def _read_manifest(path: Path) -> dict[str, Any]:
    manifest = path / _MANIFEST
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
    except OSError as error:
        raise SnapshotError(f"{manifest} cannot be read ({error.strerror}); {REPAIR}") from error
    except ValueError as error:
        raise SnapshotError(f"{manifest} is not JSON ({error}); {REPAIR}") from error
    written = content.get("format") if isinstance(content, dict) else None
    if written != FORMAT:
        raise IndexMismatch(
            f"the index {path} has format {written!r}, this version reads {FORMAT}; {REPAIR}"
        )
    return dict(content)


def _manifest(path: Path, content: Mapping[str, Any]) -> Manifest:
    try:
        return Manifest(
            model_name=str(content["model"]["name"]),
            model_fingerprint=str(content["model"]["fingerprint"]),
            dim=int(content["model"]["dim"]),
            counts={str(name): int(n) for name, n in content["counts"].items()},
            catalogue_hash=str(content["catalogue_hash"]),
            built_at=datetime.fromisoformat(content["built_at"]),
            recall=float(content["recall"]),
            extra=dict(content["extra"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SnapshotError(f"{path / _MANIFEST} lacks or misstates {error}; {REPAIR}") from error


def _check_files(path: Path, files: object, *, verify: bool) -> None:
    if not isinstance(files, dict):
        raise SnapshotError(f"{path / _MANIFEST} lists no files; {REPAIR}")
    present = {name for name in _file_names(path) if name != _MANIFEST}
    for name in sorted(present - files.keys()):
        raise SnapshotError(f"{path / name} does not belong to this index; {REPAIR}")
    for name, expected in files.items():
        place = path / name
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise SnapshotError(f"{path / _MANIFEST} names {name!r}, outside it; {REPAIR}")
        if name not in present:
            raise SnapshotError(f"{place} is missing; {REPAIR}")
        size = place.stat().st_size
        if size != expected["bytes"]:
            raise SnapshotError(
                f"{place} has {size} bytes, its manifest says {expected['bytes']}; {REPAIR}"
            )
        if verify and _sha256(place) != expected["sha256"]:
            raise SnapshotError(f"{place} is damaged: its checksum differs; {REPAIR}")


def _checksums(folder: Path) -> dict[str, dict[str, Any]]:
    return {
        name: {"sha256": _sha256(folder / name), "bytes": (folder / name).stat().st_size}
        for name in _file_names(folder)
    }


def _file_names(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
