"""What a support person wants to know of a database file, looked up without changing it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from data.sqlite_connection import SqliteFile
from data.sqlite_rows import from_text

_NEWEST = (
    "SELECT max(at) FROM (SELECT max(at) AS at FROM slates UNION ALL SELECT max(at) FROM replies "
    "UNION ALL SELECT max(received_at) FROM inbox UNION ALL SELECT max(delivered_at) FROM "
    "impressions UNION ALL SELECT max(at) FROM consents)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseFacts:
    """One event store as it lies on the disk."""

    sqlite_version: str
    journal_mode: str
    is_encrypted: bool
    n_bytes: int
    n_log_bytes: int
    """Size of the write-ahead log."""
    newest: datetime | None
    """The latest moment that anything was recorded."""
    parked: tuple[tuple[str, str], ...]
    """(update id, kind of error) of updates that failed for good, oldest first, at most 20."""


def database_facts(database: Path, *, key: str | None = None) -> DatabaseFacts:
    """Look at a database.

    Raises:
        StoreError: It cannot be opened or read.
    """
    with closing(SqliteFile(database, key=key)) as file:
        newest = file.value(_NEWEST)
        parked = file.read(
            "SELECT update_id, error FROM inbox WHERE state = 'parked' "
            "ORDER BY received_at LIMIT 20"
        )
        log = database.with_name(f"{database.name}-wal")
        return DatabaseFacts(
            sqlite_version=file.sqlite_version,
            journal_mode=str(file.value("PRAGMA journal_mode")),
            is_encrypted=key is not None,
            n_bytes=database.stat().st_size,
            n_log_bytes=log.stat().st_size if log.exists() else 0,
            newest=from_text(newest) if newest else None,
            parked=tuple((str(row["update_id"]), str(row["error"])) for row in parked),
        )
