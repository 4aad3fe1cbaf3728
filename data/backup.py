"""Copies of the event store: taken while it runs, verified, put in place in one step; and back.

An erasure that a backup does not know of is kept as a tombstone, in the live store and in a ledger
beside it; a restore carries both over and applies them. So a database that is damaged or gone forgets
nobody's erasure. A disk that is lost as a whole takes the ledger along, unless it was copied away.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from data.erasure_ledger import ErasureLedger, Tombstone
from data.errors import InvalidInput, StoreError
from data.file_lock import sole_use
from data.sqlite_connection import SqliteFile
from data.sqlite_store import SqliteEventStore

_SIDE_FILES = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupReceipt:
    """A backup that was written and read back."""

    path: Path
    n_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreReceipt:
    """What a restore did."""

    path: Path
    safety_copy: Path | None
    """The database as it was before; None when there was none."""
    n_erased: int
    """Rows that went because their person had asked for erasure after the backup."""


def back_up(
    database: Path, target: Path, *, at: datetime, key: str | None = None
) -> BackupReceipt:
    """Write a verified copy of a database that may be in use.

    Args:
        database: The event store.
        target: The new file, or a folder that gets a file named by the moment.
        at: Now.
        key: Passphrase of an encrypted store; the backup has the same.

    Raises:
        InvalidInput: There is no such database, or the target exists already.
        StoreError: The copy cannot be written or does not pass its check.
    """
    if not database.is_file():
        raise InvalidInput(f"{database} does not exist; check ZHIWEI_DATABASE")
    if target.is_dir():
        target = target / f"zhiwei-{_stamp(at)}.db"
    if target.exists():
        raise InvalidInput(f"{target} exists already; choose another name or remove it")
    with _unfinished(target) as unfinished:
        store = SqliteEventStore(database, key=key)
        try:
            store.copy_to(unfinished)
        finally:
            store.close()
        _verify(unfinished, key)
        _put_in_place(unfinished, target)
    return BackupReceipt(path=target, n_bytes=target.stat().st_size)


def restore(
    backup: Path, database: Path, *, at: datetime, key: str | None = None
) -> RestoreReceipt:
    """Put a backup in the place of the database, keeping what was there and who was forgotten.

    Raises:
        InvalidInput: There is no such backup.
        StoreError: The backup is damaged or of a newer version, or the database is in use.
    """
    if not backup.is_file():
        raise InvalidInput(f"{backup} does not exist; expected a file that `zhiwei backup` wrote")
    with sole_use(database), _unfinished(database) as unfinished:
        shutil.copyfile(backup, unfinished)
        _verify(unfinished, key)
        safety_copy, tombstones = _set_aside(database, key, at=at)
        restored = SqliteEventStore(unfinished, key=key)
        try:
            restored.add_tombstones([*tombstones, *ErasureLedger(database).read()])
            n_erased = restored.replay_erasures()
        finally:
            restored.close()
        for suffix in _SIDE_FILES:
            _beside(database, suffix).unlink(missing_ok=True)
        _put_in_place(unfinished, database)
    return RestoreReceipt(path=database, safety_copy=safety_copy, n_erased=n_erased)


def _set_aside(
    database: Path, key: str | None, *, at: datetime
) -> tuple[Path | None, list[Tombstone]]:
    if not database.exists():
        return None, []
    copy = database.with_name(f"{database.name}.before-{_stamp(at)}-{secrets.token_hex(2)}")
    try:
        store = SqliteEventStore(database, key=key, lock=False)
        try:
            tombstones = store.tombstones()
            with _unfinished(copy) as unfinished:
                store.copy_to(unfinished)
                _put_in_place(unfinished, copy)
        finally:
            store.close()
    except StoreError:
        # Damaged, or of another version: we cannot read it, yet somebody may want to try later.
        _copy_raw(database, copy)
        return copy, []
    wal = _beside(database, "-wal")
    if wal.exists() and wal.stat().st_size > 0:
        raise StoreError(
            f"{database} is open in another program, such as a database browser or Litestream; "
            "close it and try again"
        )
    return copy, tombstones


def _copy_raw(database: Path, copy: Path) -> None:
    for suffix in ("", *_SIDE_FILES):
        if _beside(database, suffix).exists():
            shutil.copyfile(_beside(database, suffix), _beside(copy, suffix))
            _beside(copy, suffix).chmod(0o600)


def _verify(path: Path, key: str | None) -> None:
    file = SqliteFile(path, key=key)
    try:
        damages = file.read("PRAGMA integrity_check(5)")
        n_orphans = len(file.read("PRAGMA foreign_key_check"))
    finally:
        file.close()
    if n_orphans or damages != [{"integrity_check": "ok"}]:
        raise StoreError(f"{path} did not pass its check ({damages[0]}); take another backup")


@contextmanager
def _unfinished(target: Path) -> Iterator[Path]:
    """Give a private file beside the target, and leave nothing of it behind."""
    path = target.with_name(f".{target.name}.{secrets.token_hex(4)}.unfinished")
    try:
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            yield path
        except OSError as error:
            raise StoreError(
                f"{target} cannot be written ({error.strerror}); "
                "check the rights of its folder and the free space"
            ) from error
    finally:
        for suffix in ("", *_SIDE_FILES, ".lock"):
            with suppress(OSError):
                _beside(path, suffix).unlink(missing_ok=True)


def _put_in_place(unfinished: Path, target: Path) -> None:
    """Rename after everything has reached the disk, so that a crash leaves the old or the new."""
    _sync(unfinished)
    unfinished.replace(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
