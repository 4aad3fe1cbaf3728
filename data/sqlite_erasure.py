"""Export, erasure and retention, driven by the one list in `personal_data`."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from data.erasure_ledger import ErasureLedger, Tombstone
from data.events import UserKey
from data.personal_data import PERSONAL_TABLES, Erasure, PersonalTable, hashed_key
from data.sqlite_connection import SqliteFile
from data.sqlite_rows import to_text
from data.store import ErasureReceipt

ID_RETENTION = timedelta(hours=48)
"""Telegram repeats an update for at most 24 hours; twice that is a margin."""
PARKED_RETENTION = timedelta(days=14)

_JSON_COLUMNS = frozenset({"placements", "context", "candidates", "scores", "filters"})

_ERASE = {
    ("inbox", Erasure.EMPTY): "UPDATE inbox SET lane = '', payload = '', error = '', "
    "done_at = coalesce(done_at, :at), state = 'done'",
    ("outbox", Erasure.EMPTY): "UPDATE outbox SET user_key = '', address = '', payload = '', "
    "slate_id = NULL, error = '', state = CASE state WHEN 'sent' THEN 'sent' ELSE 'dead' END",
    ("judgements", Erasure.ANONYMISE): "UPDATE judgements SET creator = ''",
    ("rules", Erasure.ANONYMISE): "UPDATE rules SET creator = ''",
    ("audits", Erasure.ANONYMISE): "UPDATE audits SET actor = '', detail = ''",
}


class ErasureTables:
    """What the store owes to a person, and what time takes by itself."""

    _file: SqliteFile
    _ledger: ErasureLedger | None
    """None for a store in memory, which no backup outlives."""
    _text_retention_days: int
    _event_retention_days: int

    def export(self, user_key: UserKey) -> dict[str, list[dict[str, object]]]:
        with self._file.transaction():
            return {
                rules.table: [_readable(row) for row in self._rows_of(rules, user_key)]
                for rules in PERSONAL_TABLES
            }

    def forget(self, user_key: UserKey, *, at: datetime) -> ErasureReceipt:
        receipt_id = secrets.token_hex(8)
        with self._file.transaction():
            salt = self._file.value("SELECT value FROM settings WHERE name = 'erasure_salt'")
            removed = self._erase(user_key, at=to_text(at))
            self._file.write(
                "INSERT INTO erasures (receipt_id, at, salt, hashed_key) VALUES (?, ?, ?, ?)",
                (receipt_id, to_text(at), salt, hashed_key(salt, user_key)),
            )
            if self._ledger is not None:
                # Before the commit: rather a tombstone without an erasure than the reverse.
                self._ledger.add(self.tombstones())
        self._file.shrink_log()
        return ErasureReceipt(receipt_id=receipt_id, at=at, removed=tuple(removed))

    def replay_erasures(self) -> int:
        """Erase again whatever is older than its person's erasure; what came later stays."""
        with self._file.transaction():
            erased_at: dict[tuple[str, str], str] = {
                (row["salt"], row["hashed_key"]): row["at"]
                for row in self._file.read("SELECT * FROM erasures ORDER BY at")
            }
            salts = {salt for salt, _ in erased_at}
            n_removed = 0
            for user_key in self._all_user_keys() if salts else ():
                moments = [erased_at.get((salt, hashed_key(salt, user_key))) for salt in salts]
                latest = max((at for at in moments if at), default=None)
                if latest is not None:
                    removed = self._erase(user_key, at=latest, only_older=True)
                    n_removed += sum(count for _, count in removed)
        if n_removed:
            self._file.shrink_log()
        return n_removed

    def tombstones(self) -> list[Tombstone]:
        """Give (receipt id, moment, salt, hashed key) of every erasure, for another copy."""
        _, rows = self._file.read_columns("SELECT receipt_id, at, salt, hashed_key FROM erasures")
        return [(str(a), str(b), str(c), str(d)) for a, b, c, d in rows]

    def add_tombstones(self, tombstones: Iterable[Tombstone]) -> int:
        """Take over tombstones of another copy; gives how many were new."""
        return self._file.write_many(
            "INSERT INTO erasures (receipt_id, at, salt, hashed_key) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (receipt_id) DO NOTHING",
            list(tombstones),
        )

    def newest_before(self, at: datetime) -> datetime | None:
        newest = self._file.value(
            "SELECT max(at) FROM (SELECT max(at) AS at FROM slates WHERE at < :at "
            "UNION ALL SELECT max(at) FROM replies WHERE at < :at "
            "UNION ALL SELECT max(received_at) FROM inbox WHERE received_at < :at)",
            {"at": to_text(at)},
        )
        return None if newest is None else datetime.fromisoformat(newest)

    def expire(self, *, at: datetime) -> int:
        moments = {
            "now": to_text(at),
            "texts": to_text(at - timedelta(days=self._text_retention_days)),
            "events": to_text(at - timedelta(days=self._event_retention_days)),
            "ids": to_text(at - ID_RETENTION),
            "parked": to_text(at - PARKED_RETENTION),
        }
        with self._file.transaction():
            return sum(self._file.write(sql, moments) for sql in _EXPIRE)

    def _rows_of(self, rules: PersonalTable, user_key: UserKey) -> list[dict[str, Any]]:
        sql = f"SELECT * FROM {rules.table} WHERE {rules.owned_by}"
        return self._file.read(sql, {"user_key": user_key})

    def _erase(
        self, user_key: UserKey, *, at: str, only_older: bool = False
    ) -> list[tuple[str, int]]:
        removed = []
        for rules in PERSONAL_TABLES:
            default = f"DELETE FROM {rules.table}"
            sql = _ERASE.get((rules.table, rules.erasure), default) + f" WHERE {rules.owned_by}"
            if only_older:
                sql += f" AND coalesce({rules.dated_by}, '') <= :at"
            removed.append((rules.table, self._file.write(sql, {"user_key": user_key, "at": at})))
        return removed

    def _all_user_keys(self) -> list[UserKey]:
        owners = [
            f"SELECT {column} AS owner FROM {rules.table}"
            for rules in PERSONAL_TABLES
            for column in rules.columns
        ]
        _, rows = self._file.read_columns(" UNION ".join(owners))
        return [row[0] for row in rows if row[0]]


_EXPIRE = (
    "UPDATE replies SET text = '' WHERE text <> '' AND at < :texts",
    "UPDATE slates SET \"query\" = '' WHERE \"query\" <> '' AND at < :texts",
    "DELETE FROM impressions WHERE delivered_at < :events",
    # A slate may have been delivered long after it was made; its impressions refer to it.
    "DELETE FROM slates WHERE at < :events "
    "AND NOT EXISTS (SELECT 1 FROM impressions i WHERE i.slate_id = slates.slate_id)",
    "DELETE FROM replies WHERE at < :events",
    "DELETE FROM audits WHERE at < :events",
    "DELETE FROM facts WHERE expires_at <= :now",
    "DELETE FROM dialogs WHERE expires_at <= :now",
    "DELETE FROM inbox WHERE state = 'done' AND done_at < :ids",
    "DELETE FROM inbox WHERE state = 'parked' AND received_at < :parked",
    "UPDATE outbox SET state = 'dead' WHERE state = 'queued' AND expires_at <= :now",
    "DELETE FROM outbox WHERE state IN ('sent', 'unknown', 'dead') "
    "AND coalesce(sent_at, created_at) < :ids",
)


def _readable(row: dict[str, Any]) -> dict[str, object]:
    return {
        name: json.loads(value) if name in _JSON_COLUMNS else value for name, value in row.items()
    }
