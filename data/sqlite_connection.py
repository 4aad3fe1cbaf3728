"""One SQLite file, opened soundly: pragmas, version guard, one writer, many readers, clear errors.

Writes go through one connection behind a re-entrant lock. Reads of other threads take a connection
from a pool, so that a chart over the whole log never waits for a writer, nor a writer for it; a
thread inside its own transaction reads through the writer and sees what it wrote.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlite_utils import Database
from sqlite_utils.utils import sqlite3 as plain_driver

from data.errors import StoreError
from data.sqlite_errors import busy_sentence, error_sentence
from data.sqlite_schema import migrations

logger = logging.getLogger(__name__)

MEMORY = ":memory:"

Parameters = Sequence[Any] | Mapping[str, Any]


def has_wal_reset_bug(version: tuple[int, ...]) -> bool:
    """Whether that SQLite can damage a WAL database that has several connections.

    3.7.0 to 3.51.2 can, except the maintenance releases 3.44.6 and 3.50.7 and later of their line.
    """
    if version < (3, 7, 0) or version >= (3, 51, 3):
        return False
    fixed_from = {(3, 44): 6, (3, 50): 7}.get((version[0], version[1]))
    return fixed_from is None or version[2] < fixed_from


class SqliteFile:
    """Connections to one database file, brought to the newest schema.

    Args:
        path: The file, created with mode 0600 where it is missing, or `:memory:`.
        key: Passphrase of an encrypted file; needs the optional package `sqlcipher3`.
        busy_timeout_seconds: How long a write waits for another process or thread.

    Raises:
        StoreError: The file cannot be opened, is not ours, or was written by a newer version.
    """

    def __init__(
        self, path: Path | str, *, key: str | None = None, busy_timeout_seconds: float = 10.0
    ) -> None:
        self.path = str(path)
        self._key = key
        self._busy_timeout_seconds = busy_timeout_seconds
        self._driver = _driver(key)
        version = tuple(int(part) for part in self._driver.sqlite_version.split("."))
        # Without WAL the bug cannot strike: slower, and a reader may wait for a writer, but sound.
        self.journal_mode = "truncate" if has_wal_reset_bug(version) else "wal"
        self.sqlite_version: str = self._driver.sqlite_version
        self._write_lock = threading.RLock()
        self._pool_lock = threading.Lock()
        self._depth = 0
        self._owner: int | None = None
        """The thread whose transaction is open."""
        self._idle_readers: list[Any] = []
        self._is_closed = False
        if not self.is_memory:
            _create_private(Path(self.path))
        self._writer = self._connect()
        try:
            with self._errors():
                self._prepare()
        except BaseException:
            self._writer.close()
            raise

    @property
    def is_memory(self) -> bool:
        return self.path == MEMORY

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything inside together, or nothing; an inner block is a savepoint.

        An inner block that fails takes back its own writes only, so the outer one may go on.
        """
        with self._locked(), self._errors():
            outermost = self._depth == 0
            savepoint = f"nested_{self._depth}"
            self._writer.execute("BEGIN IMMEDIATE" if outermost else f"SAVEPOINT {savepoint}")
            self._depth += 1
            self._owner = threading.get_ident()
            try:
                yield
                self._writer.execute("COMMIT" if outermost else f"RELEASE {savepoint}")
            except BaseException:
                # A full disk may have rolled everything back already.
                if self._writer.in_transaction:
                    if outermost:
                        self._writer.execute("ROLLBACK")
                    else:
                        self._writer.execute(f"ROLLBACK TO {savepoint}")
                        self._writer.execute(f"RELEASE {savepoint}")
                raise
            finally:
                self._depth -= 1
                if outermost:
                    self._owner = None

    def write(self, sql: str, parameters: Parameters = ()) -> int:
        """Run one statement that changes rows, and give how many it changed."""
        with self._locked(), self._errors():
            return max(0, int(self._writer.execute(sql, parameters).rowcount))

    def write_many(self, sql: str, rows: Sequence[Parameters]) -> int:
        """Run one statement for each of the rows, and give how many rows it changed."""
        with self.transaction():
            return max(0, int(self._writer.executemany(sql, rows).rowcount))

    def read(self, sql: str, parameters: Parameters = ()) -> list[dict[str, Any]]:
        """Give all rows of a query, each by column name."""
        columns, rows = self.read_columns(sql, parameters)
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def read_columns(
        self, sql: str, parameters: Parameters = ()
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Give the column names and all rows of a query."""
        with self._reader() as connection, self._errors():
            cursor = connection.execute(sql, parameters)
            return [column[0] for column in cursor.description], cursor.fetchall()

    def value(self, sql: str, parameters: Parameters = ()) -> Any:
        """Give the first column of the first row, None where there is no row."""
        _, rows = self.read_columns(sql, parameters)
        return rows[0][0] if rows else None

    def copy_to(self, target: Path) -> None:
        """Write a consistent copy while the store is in use; an encrypted file stays encrypted."""
        copy = self._driver.connect(str(target))
        try:
            with self._errors():
                _set_key(copy, self._key)
                # Small steps let writers of other processes in between.
                with self._reader() as source:
                    source.backup(copy, pages=1024)
                # A backup carries no -wal file; so it must not ask for one.
                copy.execute("PRAGMA journal_mode=DELETE")
        finally:
            copy.close()

    def shrink_log(self) -> None:
        """Fold the write-ahead log into the file, so that erased rows do not live on in it."""
        if self.journal_mode == "wal" and not self.is_memory and self._depth == 0:
            with self._locked(), self._errors():
                self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def check(self) -> list[str]:
        """Give a sentence for each problem of the file or of the SQLite that reads it."""
        problems = []
        _, rows = self.read_columns("PRAGMA quick_check(20)")
        problems += [f"{self.path} is damaged: {row[0]}" for row in rows if row[0] != "ok"]
        _, rows = self.read_columns("PRAGMA foreign_key_check")
        if rows:
            problems.append(f"{len(rows)} rows of {self.path} refer to rows that are missing")
        if self.journal_mode != "wal":
            problems.append(
                f"SQLite {self.sqlite_version} can damage a database in WAL mode, so {self.path} "
                "runs in a slower mode; run `pip install pysqlite3` and restart"
            )
        elif not self.is_memory and self.value("PRAGMA journal_mode") != "wal":
            problems.append(
                f"{self.path} is not in WAL mode; restart, and keep it on a local disk"
            )
        return problems

    def close(self) -> None:
        """Close all connections; closing again does nothing."""
        with self._locked():
            if self._is_closed:
                return
            self._is_closed = True
            with self._pool_lock:
                readers, self._idle_readers = self._idle_readers, []
            for connection in (*readers, self._writer):
                connection.close()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if not self._write_lock.acquire(timeout=self._busy_timeout_seconds):
            raise StoreError(busy_sentence(self.path))
        try:
            yield
        finally:
            self._write_lock.release()

    @contextmanager
    def _reader(self) -> Iterator[Any]:
        if self.is_memory or self._owner == threading.get_ident():
            with self._locked():
                yield self._writer
            return
        with self._pool_lock:
            if self._is_closed:
                raise StoreError(f"{self.path} is closed already; open a new store")
            connection = self._idle_readers.pop() if self._idle_readers else None
        if connection is None:
            with self._errors():
                connection = self._connect()
        try:
            yield connection
        finally:
            self._give_back(connection)

    def _give_back(self, connection: Any) -> None:
        with self._pool_lock:
            if self._is_closed:
                connection.close()
            else:
                self._idle_readers.append(connection)

    def _connect(self) -> Any:
        with self._errors():
            connection = self._driver.connect(
                self.path,
                timeout=self._busy_timeout_seconds,
                isolation_level=None,
                check_same_thread=False,
            )
            _set_key(connection, self._key)
            for pragma in (
                f"busy_timeout={int(self._busy_timeout_seconds * 1000)}",
                "synchronous=FULL",
                "foreign_keys=ON",
                "trusted_schema=OFF",
                # What is erased must not stay readable in free pages.
                "secure_delete=ON",
                "temp_store=MEMORY",
            ):
                connection.execute(f"PRAGMA {pragma}").fetchall()
            return connection

    def _prepare(self) -> None:
        tables = self._writer.execute("SELECT name FROM sqlite_schema").fetchall()
        if tables and ("_sqlite_migrations",) not in tables:
            raise StoreError(
                f"{self.path} is a database of another program: it has the table "
                f"{tables[0][0]!r} and no migrations of ours; choose another file by ZHIWEI_DATABASE"
            )
        database = Database(self._writer, recursive_triggers=False, execute_plugins=False)
        known = {migration.name for migration in migrations._migrations}
        newer = {migration.name for migration in migrations.applied(database)} - known
        if newer:
            raise StoreError(
                f"{self.path} was written by a newer version (it knows {min(newer)}, we do not); "
                "update zhiwei, or restore a backup from before its update"
            )
        if not self.is_memory:
            self._set_journal_mode()
        if migrations.pending(database):
            migrations.apply(database)

    def _set_journal_mode(self) -> None:
        mode = self._writer.execute(f"PRAGMA journal_mode={self.journal_mode}").fetchone()[0]
        if mode == self.journal_mode:
            if mode != "wal":
                logger.warning("sqlite without WAL", extra={"sqlite_version": self.sqlite_version})
            return
        raise StoreError(
            f"{self.path} is in journal mode {mode!r} and cannot change to {self.journal_mode!r}, "
            f"which SQLite {self.sqlite_version} needs; close the other programs that use the "
            "file, keep it on a local disk, or run `pip install pysqlite3`"
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except self._driver.Error as error:
            raise StoreError(
                error_sentence(self.path, error, has_key=self._key is not None)
            ) from error


def _driver(key: str | None) -> ModuleType:
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


def _set_key(connection: Any, key: str | None) -> None:
    if key is not None:
        # PRAGMA takes no parameters; doubling the quote is SQL's whole escaping.
        quoted = key.replace("'", "''")
        connection.execute(f"PRAGMA key = '{quoted}'").fetchall()


def _create_private(path: Path) -> None:
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
