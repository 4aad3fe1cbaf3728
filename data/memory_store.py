"""InMemoryEventStore: the same promises, for tests and the throw-away chat."""

from __future__ import annotations

from data.sqlite_store import SqliteEventStore


class InMemoryEventStore(SqliteEventStore):
    """SQLite without a file: what it promises cannot drift from what the real store does."""

    def __init__(self, *, text_retention_days: int = 90, event_retention_days: int = 730) -> None:
        super().__init__(
            ":memory:",
            text_retention_days=text_retention_days,
            event_retention_days=event_retention_days,
        )
