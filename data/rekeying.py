"""Give a database another key: encrypt it, change the passphrase, or decrypt it.

The whole database is written anew under the new key, read back, and put in place by one rename. So
a crash leaves the old file under the old key or the new one under the new key, and no page is ever
half one and half the other.
"""

from __future__ import annotations

import os
import secrets
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from data.errors import InvalidInput, StoreError
from data.file_lock import sole_use
from data.sqlite_errors import error_sentence
from data.sqlite_opening import set_key
from data.sqlite_store import SqliteEventStore

HEADER = b"SQLite format 3\x00"
_SIDE_FILES = ("-wal", "-shm", "-journal")


def is_encrypted(database: Path) -> bool:
    """Whether the file does not begin as a readable SQLite database does; an empty one is not."""
    with database.open("rb") as file:
        start = file.read(len(HEADER))
    return bool(start) and start != HEADER


def rekey(database: Path, *, old_key: str | None, new_key: str | None) -> None:
    """Put the database under another key; None stands for no encryption.

    Backups keep the key they were taken with.

    Raises:
        InvalidInput: There is no such database, or nothing would change.
        StoreError: The old key is wrong, the database is in use, or the copy cannot be written.
    """
    if not database.is_file():
        raise InvalidInput(f"{database} does not exist; check ZHIWEI_DATABASE")
    if old_key == new_key:
        raise InvalidInput("the new key is the old one, so nothing would change")
    if new_key is not None and not new_key.strip():
        raise InvalidInput("the new key is empty; expected a passphrase")
    driver = _driver()
    unfinished = database.with_name(f".{database.name}.{secrets.token_hex(4)}.rekeying")
    with sole_use(database):
        # Opening it brings the schema up to date, folds the log in, and proves the old key.
        SqliteEventStore(database, key=old_key, lock=False).close()
        try:
            os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            _export(driver, database, unfinished, old_key=old_key, new_key=new_key)
            _compare(driver, database, unfinished, old_key=old_key, new_key=new_key)
            _sync(unfinished)
            for suffix in _SIDE_FILES:
                database.with_name(database.name + suffix).unlink(missing_ok=True)
            unfinished.replace(database)
            _sync(database.parent)
        except OSError as error:
            raise StoreError(
                f"{database} cannot be written anew ({error.strerror}); it is as it was. "
                "Check the rights of its folder and the free space"
            ) from error
        finally:
            for suffix in ("", *_SIDE_FILES):
                with suppress(OSError):
                    unfinished.with_name(unfinished.name + suffix).unlink(missing_ok=True)


def _driver() -> Any:
    try:
        from sqlcipher3 import dbapi2
    except ImportError as error:
        raise StoreError(
            "the package that encrypts is missing; run `pip install sqlcipher3` and try again"
        ) from error
    return dbapi2


def _export(
    driver: Any, database: Path, target: Path, *, old_key: str | None, new_key: str | None
) -> None:
    with closing(driver.connect(str(database), isolation_level=None)) as connection:
        try:
            set_key(connection, old_key)
            connection.execute(
                "ATTACH DATABASE ? AS fresh KEY ?", (str(target), new_key or "")
            ).fetchall()
            connection.execute("SELECT sqlcipher_export('fresh')").fetchall()
            connection.execute("DETACH DATABASE fresh").fetchall()
        except driver.Error as error:
            raise StoreError(
                error_sentence(str(database), error, has_key=old_key is not None)
            ) from error


def _compare(
    driver: Any, database: Path, target: Path, *, old_key: str | None, new_key: str | None
) -> None:
    try:
        before = _counts(driver, database, old_key)
        after = _counts(driver, target, new_key)
    except driver.Error as error:
        raise StoreError(
            f"the copy under the new key cannot be read back ({error}); {database} is as it was"
        ) from error
    if before != after:
        raise StoreError(
            f"the copy under the new key differs from {database}, which is as it was; "
            "check the disk and try again"
        )


def _counts(driver: Any, path: Path, key: str | None) -> dict[str, int]:
    with closing(driver.connect(str(path), isolation_level=None)) as connection:
        set_key(connection, key)
        damages = connection.execute("PRAGMA integrity_check(3)").fetchall()
        tables = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        ).fetchall()
        # Names of our own schema; an identifier cannot be a parameter.
        counts = {
            str(name): int(connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0])
            for (name,) in tables
        }
        return counts | {f"damage: {row[0]}": 1 for row in damages if row[0] != "ok"}


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
