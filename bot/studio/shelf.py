"""The catalogue file in force, the uploaded candidate, and the file before: three places in the state folder."""

from __future__ import annotations

import hashlib
import re
import tempfile
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from bot.studio.item_rows import ensure_others_stay, rewritten
from bot.studio.state_files import newest, write_whole
from bot.studio.words import Refused
from bot.wiring import Wired, imported_path
from data.catalogue import Item, ItemId, content_hash
from data.errors import ZhiweiError
from data.importing import Import, read_items
from data.samples import sample_path

_SUFFIXES = (".csv", ".tsv", ".jsonl")
_DIGEST = re.compile(r"[0-9a-f]{16}")
_KEPT_UPLOADS = 5
_LOCK = threading.Lock()
SAMPLES = "samples"
"""Stands for the shipped catalogue where a file before is remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One item that another file would change."""

    item: Item
    fields: tuple[tuple[str, str, str], ...]
    """(field, before, after)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What another file would do to the catalogue in force."""

    added: tuple[Item, ...]
    removed: tuple[Item, ...]
    changed: tuple[Change, ...]
    n_same: int

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.removed or self.changed)


def difference(before: Iterable[Item], after: Iterable[Item]) -> Difference:
    """Compare by item id. The order of the rows does not count."""
    old = {item.item_id: item for item in before}
    new = {item.item_id: item for item in after}
    changed = [
        Change(item=new[i], fields=_changed(old[i], new[i]))
        for i in new
        if i in old and old[i] != new[i]
    ]
    return Difference(
        added=tuple(item for i, item in new.items() if i not in old),
        removed=tuple(item for i, item in old.items() if i not in new),
        changed=tuple(changed),
        n_same=sum(i in old and old[i] == new[i] for i in new),
    )


def _changed(old: Item, new: Item) -> tuple[tuple[str, str, str], ...]:
    pairs = ((f.name, getattr(old, f.name), getattr(new, f.name)) for f in fields(Item))
    return tuple((name, _told(a), _told(b)) for name, a, b in pairs if a != b)


def _told(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, frozenset):
        return ", ".join(sorted(map(str, value)))
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if hasattr(value, "items"):
        return ", ".join(sorted(f"{k}={v}" for k, v in value.items()))
    return str(value)


class Shelf:
    """Uploads, publishes and rolls back items files of one deployment."""

    def __init__(self, wired: Wired) -> None:
        self._wired = wired
        self._folder = wired.settings.state / "studio"

    def look(self, name: str, content: bytes) -> tuple[str, Import[Item]]:
        """Read an uploaded file without putting it into force; gives a digest to publish it by.

        Raises:
            InvalidInput: it cannot be read at all.
        """
        suffix = Path(name).suffix.lower()
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / name
            path.write_bytes(content)
            found = read_items(path)
        digest = hashlib.sha256(content).hexdigest()[:16]
        uploads = self._folder / "uploads"
        uploads.mkdir(parents=True, exist_ok=True)
        write_whole(uploads / f"{digest}{suffix}", content)
        newest(uploads, _KEPT_UPLOADS)
        return digest, found

    def upload(self, digest: str) -> Path:
        """The uploaded file of that digest.

        Raises:
            InvalidInput: it was not uploaded here, or long ago.
        """
        if _DIGEST.fullmatch(digest):
            for suffix in _SUFFIXES:
                path = self._folder / "uploads" / f"{digest}{suffix}"
                if path.exists():
                    return path
        raise Refused("catalogue.upload_gone")

    def publish(self, digest: str) -> int:
        """Put an uploaded file into force; gives the number of items. All or nothing."""
        path = self.upload(digest)
        found = read_items(path)
        if not found.records:
            raise Refused("catalogue.none_usable")
        with _LOCK:
            self._swap(path.read_bytes(), path.suffix)
        return len(found.records)

    def rewrite(
        self, item_id: ItemId, cells: Mapping[str, object] | None, *, expected: str
    ) -> None:
        """Put a catalogue with one row replaced, added or (with `cells` None) taken out into force.

        Args:
            item_id: Whose row.
            cells: The row as an import would read it.
            expected: Hash of the item as whoever edits it saw it; empty for a new one.

        Raises:
            InvalidInput: somebody changed the item meanwhile, the row is not usable, or another row
                would change with it; nothing was written.
        """
        with _LOCK:
            present = self._present() or sample_path("catalogue.csv")
            before = read_items(present).records
            item = next((item for item in before if item.item_id == item_id), None)
            if (content_hash([item]) if item else "") != expected:
                raise Refused("edit.changed_meanwhile")
            content = rewritten(present, item_id, cells)
            after = self._read(content).records
            ensure_others_stay(before, after, item_id)
            if (cells is None) is any(item.item_id == item_id for item in after) or not after:
                raise Refused("edit.nothing_left")
            self._swap(content, ".jsonl")

    def _read(self, content: bytes) -> Import[Item]:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "items.jsonl"
            path.write_bytes(content)
            return read_items(path)

    def before(self) -> Path | None:
        """The file that a rollback would bring back."""
        folder = self._folder / "before"
        return next(iter(sorted(folder.glob("items*"))), None) if folder.exists() else None

    def roll_back(self) -> None:
        """Put the file before into force again; a second time brings back the present one.

        Raises:
            InvalidInput: nothing was published here yet.
        """
        with _LOCK:
            path = self.before()
            if path is None:
                raise Refused("catalogue.no_before")
            is_samples = path.suffix == f".{SAMPLES}"
            self._swap(None if is_samples else path.read_bytes(), path.suffix)

    def _swap(self, content: bytes | None, suffix: str) -> None:
        settings = self._wired.settings
        if settings.catalogue is not None:
            raise Refused("edit.fixed", file=settings.catalogue.name)
        present = self._present()
        kept = (present.suffix, present.read_bytes()) if present else (f".{SAMPLES}", b"")
        self._place(content, suffix)
        try:
            self._wired.build_index()
        except (ZhiweiError, OSError):
            self._place(None if kept[0] == f".{SAMPLES}" else kept[1], kept[0])
            raise
        folder = self._folder / "before"
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("items*"):
            old.unlink()
        write_whole(folder / f"items{kept[0]}", kept[1])

    def _present(self) -> Path | None:
        settings = self._wired.settings
        paths = [imported_path(settings, "items", s) for s in (".jsonl", ".csv", ".tsv")]
        return next((path for path in paths if path.exists()), None)

    def _place(self, content: bytes | None, suffix: str) -> None:
        """Make this the only items file; None leaves the samples."""
        target = imported_path(self._wired.settings, "items", suffix)
        target.parent.mkdir(parents=True, exist_ok=True)
        if content is not None:
            write_whole(target, content)
        for old in target.parent.glob("items.*"):
            if content is None or old != target:
                old.unlink()
