"""Durable updates in and messages out: the part of the store that never loses a reply."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from data.sqlite_connection import SqliteFile
from data.sqlite_rows import from_row, from_text, storable, text_or_none, to_row, to_text
from data.store import Backlog, InboxEntry, MessageClass, OutboxEntry

LONGEST_ERROR = 500
_OUT = "state IN ('queued', 'sending')"
_IN = "state <> 'done'"
"""What the partial indexes hold. A query that says so reads them; without, it would read every row
that was ever finished, at each look."""


class BoxTables:
    """Inbox and outbox. What is finished keeps its id, for deduplication, and loses its content."""

    _file: SqliteFile

    def receive(self, entry: InboxEntry) -> bool:
        sql = (
            "INSERT INTO inbox (update_id, lane, payload, received_at, attempts) "
            "VALUES (:update_id, :lane, :payload, :received_at, :attempts) "
            "ON CONFLICT (update_id) DO NOTHING"
        )
        return self._file.write(sql, to_row(entry)) > 0

    def pending(self, *, limit: int = 1000) -> list[InboxEntry]:
        return self._inbox("pending", limit)

    def parked(self) -> list[InboxEntry]:
        return self._inbox("parked", -1)

    def mark_done(self, update_id: str, *, at: datetime) -> None:
        self._file.write(
            "UPDATE inbox SET state = 'done', done_at = ?, lane = '', payload = '', error = '' "
            "WHERE update_id = ?",
            (to_text(at), update_id),
        )

    def mark_failed(self, update_id: str, *, error: str, park: bool) -> None:
        self._file.write(
            "UPDATE inbox SET state = ?, attempts = attempts + 1, error = ? "
            "WHERE update_id = ? AND state <> 'done'",
            ("parked" if park else "pending", storable(error[:LONGEST_ERROR]), update_id),
        )

    def queue(self, entries: Iterable[OutboxEntry]) -> int:
        rows = [to_row(entry) for entry in entries]
        if not rows:
            return 0
        return self._file.write_many(
            "INSERT INTO outbox (outbox_id, address, payload, message_class, user_key, created_at, "
            "slate_id, not_before, expires_at, state, attempts, message_id) VALUES (:outbox_id, "
            ":address, :payload, :message_class, :user_key, :created_at, :slate_id, :not_before, "
            ":expires_at, :state, :attempts, :message_id) ON CONFLICT (outbox_id) DO NOTHING",
            rows,
        )

    def outgoing(self, *, at: datetime, limit: int = 100) -> list[OutboxEntry]:
        # The order of the rows, not of their times: a clock may be set back. A promotion with an error
        # was due already and was told to wait; one without waits for its time. What is sorted does
        # not hold the payloads.
        rows = self._file.read(
            f"SELECT outbox.* FROM (SELECT rowid AS place FROM outbox WHERE state = 'queued' AND {_OUT} "
            "AND (message_class <> :promotion OR not_before IS NULL OR not_before <= :at "
            "OR error <> '') "
            "AND (expires_at IS NULL OR expires_at > :at) "
            "ORDER BY message_class = :promotion, rowid LIMIT :limit) AS due "
            "JOIN outbox ON outbox.rowid = due.place "
            "ORDER BY message_class = :promotion, outbox.rowid",
            {"at": to_text(at), "limit": limit, "promotion": MessageClass.PROMOTION.value},
        )
        return [from_row(OutboxEntry, row) for row in rows]

    def mark_sending(self, outbox_id: str) -> None:
        self._file.write(
            "UPDATE outbox SET state = 'sending', attempts = attempts + 1 "
            "WHERE outbox_id = ? AND state IN ('queued', 'unknown')",
            (outbox_id,),
        )

    def mark_sent(self, outbox_id: str, *, at: datetime, message_id: str) -> None:
        self._file.write(
            "UPDATE outbox SET state = 'sent', sent_at = ?, message_id = ?, error = '', "
            "payload = '', address = '', user_key = '' WHERE outbox_id = ?",
            (to_text(at), message_id, outbox_id),
        )

    def mark_unsent(
        self, outbox_id: str, *, state: str, not_before: datetime | None = None, error: str = ""
    ) -> None:
        # What was erased meanwhile stays dead: it has no content that could be sent.
        self._file.write(
            "UPDATE outbox SET state = ?, not_before = ?, error = ? "
            "WHERE outbox_id = ? AND state <> 'sent' AND payload <> ''",
            (state, text_or_none(not_before), storable(error[:LONGEST_ERROR]), outbox_id),
        )

    def recover_outbox(self) -> int:
        with self._file.transaction():
            dropped = self._file.write(
                "UPDATE outbox SET state = 'dead', error = 'crashed while sending' "
                f"WHERE state = 'sending' AND {_OUT} AND message_class = ?",
                (MessageClass.PROMOTION.value,),
            )
            return dropped + self._file.write(
                f"UPDATE outbox SET state = 'queued' WHERE state = 'sending' AND {_OUT}"
            )

    def backlog(self, *, at: datetime) -> Backlog:
        row: dict[str, Any] = self._file.read(
            f"SELECT (SELECT count(*) FROM inbox WHERE state = 'pending' AND {_IN}) AS inbox, "
            f"(SELECT count(*) FROM outbox WHERE state = 'queued' AND {_OUT}) AS outbox, "
            f"(SELECT count(*) FROM inbox WHERE state = 'parked' AND {_IN}) AS parked, "
            "(SELECT min(waiting_since) FROM ("
            "SELECT min(received_at) AS waiting_since FROM inbox "
            f"WHERE state = 'pending' AND {_IN} "
            "UNION ALL SELECT min(max(created_at, coalesce(not_before, created_at))) "
            f"FROM outbox WHERE state = 'queued' AND {_OUT})) AS oldest",
        )[0]
        oldest = row.pop("oldest")
        seconds = (at - from_text(oldest)).total_seconds() if oldest else 0.0
        return Backlog(**row, oldest_seconds=max(0.0, seconds))

    def _inbox(self, state: str, limit: int) -> list[InboxEntry]:
        sql = f"SELECT * FROM inbox WHERE state = ? AND {_IN} ORDER BY rowid LIMIT ?"
        return [from_row(InboxEntry, row) for row in self._file.read(sql, (state, limit))]
