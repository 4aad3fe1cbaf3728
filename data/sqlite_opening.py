"""How a connection to our SQLite file is opened: driver, key, pragmas, version guard, schema."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlite_utils import Database
from sqlite_utils.utils import sqlite3 as plain_driver

from data.errors import StoreError
from data.sqlite_schema import migrations

logger = logging.getLogger(__name__)


def has_wal_reset_bug(version: tuple[int, ...]) -> bool:
    """Whether that SQLite can damage a WAL database that has several connections.

    3.7.0 to 3.51.2 can, except the maintenance releases 3.44.6 and 3.50.7 and later of their line.
    """
    if version < (3, 7, 0) or version >= (3, 51, 3):
        return False
    fixed_from = {(3, 44): 6, (3, 50): 7}.get((version[0], version[1]))
    return fixed_from is None or version[2] < fixed_from


def driver_for(key: str | None) -> ModuleType:
    if key is None:
        return plain_driver  # type: ignore[no-any-return]
    if not key.strip():
        raise StoreError(
            "The database key is empty, expected a passphrase; set it or leave it out"
        )
    try:
        from sqlcipher3 import dbapi2
    except ImportError as error:
        raise StoreError(
            "A database key is set, but the package that encrypts is missing; "
            "run `pip install sqlcipher3`, or unset ZHIWEI_DATABASE_KEY"
        ) from error
    return dbapi2  # type: ignore[no-any-return]


def set_key(connection: Any, key: str | None) -> None:
    if key is not None:
        # PRAGMA takes no parameters; doubling the quote is SQL's whole escaping.
        quoted = key.replace("'", "''")
        connection.execute(f"PRAGMA key = '{quoted}'").fetchall()


def create_private(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except PermissionError:
        # A file that may only be read can still serve reads.
        if not path.is_file():
            raise StoreError(
                f"{path} cannot be created: no permission; check the folder's owner and rights"
            ) from None
    except OSError as error:
        raise StoreError(
            f"{path} cannot be opened: {error.strerror}; expected a file in a writable folder"
        ) from error


def open_connection(
    driver: ModuleType, path: str, *, key: str | None, busy_timeout_seconds: float
) -> Any:
    """Open one connection with all our pragmas; errors are the driver's own."""
    connection = driver.connect(
        path, timeout=busy_timeout_seconds, isolation_level=None, check_same_thread=False
    )
    try:
        set_key(connection, key)
        for pragma in (
            f"busy_timeout={int(busy_timeout_seconds * 1000)}",
            "synchronous=FULL",
            "foreign_keys=ON",
            "trusted_schema=OFF",
            # What is erased must not stay readable in free pages.
            "secure_delete=ON",
            "temp_store=MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def bring_up_to_date(connection: Any, path: str) -> None:
    """Apply the migrations that are missing.

    Raises:
        StoreError: The file belongs to another program or to a newer version of ours.
    """
    tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    if tables and ("_sqlite_migrations",) not in tables:
        raise StoreError(
            f"{path} is a database of another program: it has the table {tables[0][0]!r} and no "
            "migrations of ours; choose another file by ZHIWEI_DATABASE"
        )
    database = Database(connection, recursive_triggers=False, execute_plugins=False)
    known = {migration.name for migration in migrations._migrations}
    newer = {migration.name for migration in migrations.applied(database)} - known
    if newer:
        raise StoreError(
            f"{path} was written by a newer version (it knows {min(newer)}, we do not); "
            "update zhiwei, or restore a backup from before its update"
        )
    if not migrations.pending(database):
        return
    # Two processes that start at once must not both create the tables; the second one waits.
    connection.execute("BEGIN IMMEDIATE")
    try:
        migrations.apply(database)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def set_journal_mode(connection: Any, path: str, wanted: str, sqlite_version: str) -> None:
    """Change how a file journals.

    Raises:
        StoreError: Another connection or the file system prevents it.
    """
    mode = connection.execute(f"PRAGMA journal_mode={wanted}").fetchone()[0]
    if mode != wanted:
        raise StoreError(
            f"{path} is in journal mode {mode!r} and cannot change to {wanted!r}, "
            f"which SQLite {sqlite_version} needs; close the other programs that use the "
            "file, keep it on a local disk, or run `pip install pysqlite3`"
        )
    if wanted != "wal":
        logger.warning("sqlite without WAL", extra={"sqlite_version": sqlite_version})
