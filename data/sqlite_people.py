"""What a person told us and where they can be reached: the part of the store about people."""

from __future__ import annotations

from datetime import datetime

from data.events import Consent, ConsentKind, FactKind, ProfileFact, UserKey
from data.sqlite_connection import SqliteFile
from data.sqlite_rows import from_row, storable, to_row, to_text
from data.store import DialogRow


class PeopleTables:
    """Facts, consents, dialogs and addresses."""

    _file: SqliteFile

    def put_fact(self, fact: ProfileFact) -> None:
        row = to_row(fact)
        with self._file.transaction():
            self._file.write(
                "DELETE FROM facts WHERE user_key = :user_key "
                "AND (fact_id = :fact_id OR (kind = :kind AND value = :value))",
                row,
            )
            self._file.write(
                "INSERT INTO facts (fact_id, user_key, at, kind, value, source, expires_at) "
                "VALUES (:fact_id, :user_key, :at, :kind, :value, :source, :expires_at)",
                row,
            )

    def facts(self, user_key: UserKey, *, at: datetime) -> list[ProfileFact]:
        rows = self._file.read(
            "SELECT * FROM facts WHERE user_key = ? AND (expires_at IS NULL OR expires_at > ?) "
            "ORDER BY at, rowid",
            (user_key, to_text(at)),
        )
        return [from_row(ProfileFact, row) for row in rows]

    def delete_fact(self, user_key: UserKey, fact_id: str) -> bool:
        sql = "DELETE FROM facts WHERE user_key = ? AND fact_id = ?"
        return self._file.write(sql, (user_key, fact_id)) > 0

    def delete_facts(self, user_key: UserKey, kind: FactKind, value: str | None = None) -> int:
        return self._file.write(
            "DELETE FROM facts WHERE user_key = :user_key AND kind = :kind "
            "AND (:value IS NULL OR value = :value)",
            {
                "user_key": user_key,
                "kind": kind.value,
                "value": None if value is None else storable(value),
            },
        )

    def record_consent(self, consent: Consent) -> bool:
        sql = (
            "INSERT INTO consents (consent_id, user_key, at, kind, given, language, text_version) "
            "VALUES (:consent_id, :user_key, :at, :kind, :given, :language, :text_version) "
            "ON CONFLICT (consent_id) DO NOTHING"
        )
        return self._file.write(sql, to_row(consent)) > 0

    def consents(self, user_key: UserKey) -> list[Consent]:
        sql = "SELECT * FROM consents WHERE user_key = ? ORDER BY at, rowid"
        return [from_row(Consent, row) for row in self._file.read(sql, (user_key,))]

    def consenting_users(self, kind: ConsentKind) -> set[UserKey]:
        _, rows = self._file.read_columns(
            "SELECT user_key FROM (SELECT user_key, given, row_number() OVER "
            "(PARTITION BY user_key ORDER BY at DESC, rowid DESC) AS newest "
            "FROM consents WHERE kind = ?) WHERE newest = 1 AND given = 1",
            (kind.value,),
        )
        return {row[0] for row in rows}

    def dialog(self, user_key: UserKey, *, at: datetime) -> DialogRow | None:
        sql = "SELECT * FROM dialogs WHERE user_key = ? AND expires_at > ?"
        rows = self._file.read(sql, (user_key, to_text(at)))
        return from_row(DialogRow, rows[0]) if rows else None

    def put_dialog(self, row: DialogRow) -> None:
        self._file.write(
            "INSERT INTO dialogs (user_key, state, version, expires_at) "
            "VALUES (:user_key, :state, :version, :expires_at) ON CONFLICT (user_key) DO UPDATE "
            "SET state = :state, version = :version, expires_at = :expires_at",
            to_row(row),
        )

    def put_address(self, user_key: UserKey, channel: str, address: str, *, at: datetime) -> None:
        # Who writes to us can be reached again, whatever an earlier send reported.
        self._file.write(
            "INSERT INTO addresses (user_key, channel, address, at, reachable) "
            "VALUES (?, ?, ?, ?, 1) ON CONFLICT (user_key, channel) DO UPDATE "
            "SET address = excluded.address, at = excluded.at, reachable = 1",
            (user_key, channel, address, to_text(at)),
        )

    def address(self, user_key: UserKey, channel: str) -> str | None:
        sql = "SELECT address FROM addresses WHERE user_key = ? AND channel = ?"
        found: str | None = self._file.value(sql, (user_key, channel))
        return found

    def set_reachable(self, channel: str, address: str, reachable: bool) -> None:
        sql = "UPDATE addresses SET reachable = ? WHERE channel = ? AND address = ?"
        self._file.write(sql, (int(reachable), channel, address))

    def is_reachable(self, channel: str, address: str) -> bool:
        sql = "SELECT min(reachable) FROM addresses WHERE channel = ? AND address = ?"
        return bool(self._file.value(sql, (channel, address)) != 0)

    def move_address(self, channel: str, old: str, new: str) -> int:
        with self._file.transaction():
            self._file.write(
                "UPDATE outbox SET address = ? WHERE address = ? "
                "AND state IN ('queued', 'sending', 'unknown')",
                (new, old),
            )
            sql = (
                "UPDATE addresses SET address = ?, reachable = 1 WHERE channel = ? AND address = ?"
            )
            return self._file.write(sql, (new, channel, old))
