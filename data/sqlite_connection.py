"""One SQLite file, opened soundly: pragmas, version guard, one writer, many readers, clear errors.

Writes go through one connection behind a re-entrant lock. Reads of other threads take a connection
from a pool, so that a chart over the whole log never waits for a writer, nor a writer for it; a
thread inside its own transaction reads through the writer and sees what it wrote.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data.errors import StoreError
from data.file_lock import FileLock
from data.sqlite_errors import busy_sentence, error_sentence
from data.sqlite_opening import (
    bring_up_to_date,
    create_private,
    driver_for,
    has_wal_reset_bug,
    open_connection,
    set_journal_mode,
    set_key,
)

MEMORY = ":memory:"

Parameters = Sequence[Any] | Mapping[str, Any]


class SqliteFile:
    """Connections to one database file, brought to the newest schema.

    Args:
        path: The file, created with mode 0600 where it is missing, or `:memory:`.
        key: Passphrase of an encrypted file; needs the optional package `sqlcipher3`.
        busy_timeout_seconds: How long a write waits for another process or thread.
        lock: False when the caller has `sole_use` of the file already.

    Raises:
        StoreError: The file cannot be opened, is not ours, or was written by a newer version.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        key: str | None = None,
        busy_timeout_seconds: float = 10.0,
        lock: bool = True,
    ) -> None:
        self.path = str(path)
        self._key = key
        self._busy_timeout_seconds = busy_timeout_seconds
        self._driver = driver_for(key)
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
        self._file_lock: FileLock | None = None
        if not self.is_memory:
            create_private(Path(self.path))
            if lock:
                self._file_lock = FileLock(Path(self.path), exclusive=False)
        try:
            self._writer = self._connect()
        except BaseException:
            self._release()
            raise
        try:
            with self._errors():
                # The other program's file must be refused before anything in it is changed.
                bring_up_to_date(self._writer, self.path)
                if not self.is_memory:
                    set_journal_mode(
                        self._writer, self.path, self.journal_mode, self.sqlite_version
                    )
        except BaseException:
            self._writer.close()
            self._release()
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
                set_key(copy, self._key)
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
            self._release()

    def _release(self) -> None:
        if self._file_lock is not None:
            self._file_lock.release()

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
            return open_connection(
                self._driver,
                self.path,
                key=self._key,
                busy_timeout_seconds=self._busy_timeout_seconds,
            )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except self._driver.Error as error:
            raise StoreError(
                error_sentence(self.path, error, has_key=self._key is not None)
            ) from error
