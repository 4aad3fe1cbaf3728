"""SqliteEventStore: the event store of one deployment in one SQLite file."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.catalogue import ItemId, LessonId
from data.erasure_ledger import ErasureLedger
from data.events import (
    CreatorRule,
    Impression,
    Judgement,
    Reply,
    RuleKind,
    SlateId,
    SlateRecord,
    UserKey,
)
from data.sqlite_connection import SqliteFile
from data.sqlite_erasure import ErasureTables
from data.sqlite_inbox import BoxTables
from data.sqlite_people import PeopleTables
from data.sqlite_rows import from_row, from_text, storable, to_row, to_text

if TYPE_CHECKING:
    import pandas as pd

    from data.store import EventStore


class SqliteEventStore(PeopleTables, BoxTables, ErasureTables):
    """Keeps every promise of `EventStore` in one SQLite file.

    An acknowledged write survives kill -9 and, on a disk that obeys fsync, a power loss. Several
    processes may use one file (a bot and `zhiwei stats`); it must lie on a local disk.

    Args:
        path: The file, or `:memory:` for a store that ends with the process.
        key: Passphrase; with it the file is encrypted by SQLCipher.
        text_retention_days: How long free text of people is kept.
        event_retention_days: How long slates, impressions, replies and audits are kept.
        busy_timeout_seconds: How long a write waits for another writer.
        lock: False when the caller has `sole_use` of the file already.

    Raises:
        StoreError: The file cannot be opened, is not ours, or was written by a newer version.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        key: str | None = None,
        text_retention_days: int = 90,
        event_retention_days: int = 730,
        busy_timeout_seconds: float = 10.0,
        lock: bool = True,
    ) -> None:
        self._file = SqliteFile(
            path, key=key, busy_timeout_seconds=busy_timeout_seconds, lock=lock
        )
        self._ledger = None if self._file.is_memory else ErasureLedger(Path(path))
        self._text_retention_days = text_retention_days
        self._event_retention_days = event_retention_days

    @property
    def path(self) -> str:
        return self._file.path

    def transaction(self) -> AbstractContextManager[None]:
        return self._file.transaction()

    def record_slate(self, slate: SlateRecord) -> bool:
        return self._file.write(_INSERT_SLATE, to_row(slate)) > 0

    def slate(self, slate_id: SlateId) -> SlateRecord | None:
        rows = self._file.read("SELECT * FROM slates WHERE slate_id = ?", (slate_id,))
        return from_row(SlateRecord, rows[0]) if rows else None

    def slates(
        self,
        *,
        user_key: UserKey | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[SlateRecord]:
        rows = self._file.read(*_between("slates", "at", user_key, since, until))
        return [from_row(SlateRecord, row) for row in rows]

    def count_slates(self) -> int:
        return int(self._file.read("SELECT count(*) AS n FROM slates")[0]["n"])

    def record_delivery(self, slate_id: SlateId, *, at: datetime, message_id: str = "") -> int:
        # Inside one transaction: the slate may be erased between the look and the insert.
        with self._file.transaction():
            slate = self.slate(slate_id)
            if slate is None:
                return 0
            return self._file.write_many(
                _INSERT_IMPRESSION,
                [
                    to_row(
                        Impression(
                            slate_id=slate_id,
                            user_key=slate.user_key,
                            item_id=placement.item_id,
                            position=placement.position,
                            propensity=placement.propensity,
                            marginal_propensity=placement.marginal_propensity,
                            explored=placement.explored,
                            delivered_at=at,
                            message_id=message_id,
                            lesson_id=slate.lesson_id,
                        )
                    )
                    for placement in slate.placements
                ],
            )

    def impressions(
        self,
        *,
        user_key: UserKey | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Impression]:
        rows = self._file.read(*_between("impressions", "delivered_at", user_key, since, until))
        return [from_row(Impression, row) for row in rows]

    def record_reply(self, reply: Reply) -> bool:
        return self._file.write(_INSERT_REPLY, to_row(reply)) > 0

    def replies(
        self,
        *,
        user_key: UserKey | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Reply]:
        rows = self._file.read(*_between("replies", "at", user_key, since, until))
        return [from_row(Reply, row) for row in rows]

    def slates_frame(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> pd.DataFrame:
        return self._frame(*_between("slates", "at", None, since, until, _SLATE_FRAME))

    def impressions_frame(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> pd.DataFrame:
        return self._frame(*_between("impressions", "delivered_at", None, since, until))

    def replies_frame(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> pd.DataFrame:
        return self._frame(*_between("replies", "at", None, since, until, _REPLY_FRAME))

    def record_judgement(self, judgement: Judgement) -> bool:
        return self._file.write(_INSERT_JUDGEMENT, to_row(judgement)) > 0

    def remove_judgement(self, judgement_id: str) -> bool:
        sql = "DELETE FROM judgements WHERE judgement_id = ?"
        return self._file.write(sql, (judgement_id,)) > 0

    def judgements(self) -> list[Judgement]:
        rows = self._file.read("SELECT * FROM judgements ORDER BY at, rowid")
        return [from_row(Judgement, row) for row in rows]

    def put_rule(self, rule: CreatorRule) -> None:
        self._file.write(
            "INSERT INTO rules (lesson_id, item_id, kind, at, creator) "
            "VALUES (:lesson_id, :item_id, :kind, :at, :creator) "
            "ON CONFLICT (lesson_id, item_id, kind) DO UPDATE SET at = :at, creator = :creator",
            to_row(rule),
        )

    def remove_rule(self, lesson_id: LessonId, item_id: ItemId, kind: RuleKind) -> bool:
        sql = "DELETE FROM rules WHERE lesson_id = ? AND item_id = ? AND kind = ?"
        return self._file.write(sql, (lesson_id, item_id, kind.value)) > 0

    def rules(self) -> list[CreatorRule]:
        rows = self._file.read("SELECT * FROM rules ORDER BY at, rowid")
        return [from_row(CreatorRule, row) for row in rows]

    def audit(self, *, at: datetime, actor: str, action: str, detail: str = "") -> None:
        self._file.write(
            "INSERT INTO audits (at, actor, action, detail) VALUES (?, ?, ?, ?)",
            (to_text(at), storable(actor), storable(action), storable(detail)),
        )

    def audits(self, *, limit: int = 100) -> Sequence[tuple[datetime, str, str, str]]:
        _, rows = self._file.read_columns(
            "SELECT at, actor, action, detail FROM audits ORDER BY at DESC, rowid DESC LIMIT ?",
            (limit,),
        )
        return [(from_text(at), actor, action, detail) for at, actor, action, detail in rows]

    def count_safety_violation(self, *, at: datetime, where: str, item_id: ItemId) -> None:
        self._file.write(
            'INSERT INTO safety_violations (at, "where", item_id) VALUES (?, ?, ?)',
            (to_text(at), storable(where), item_id),
        )

    def safety_violations(self, *, since: datetime | None = None) -> int:
        sql = "SELECT count(*) FROM safety_violations WHERE at >= ?"
        return int(self._file.value(sql, ("" if since is None else to_text(since),)))

    def check(self) -> list[str]:
        return self._file.check()

    def copy_to(self, target: Path) -> None:
        """Write a consistent copy of the whole store while it is in use."""
        self._file.copy_to(target)

    def close(self) -> None:
        self._file.close()

    def _frame(self, sql: str, parameters: Sequence[Any]) -> pd.DataFrame:
        # pandas takes half a second to load, which a chat that never asks for figures need not pay.
        from data.frames import frame_of

        return frame_of(*self._file.read_columns(sql, parameters))


def _insert(table: str, kind: type, key: str) -> str:
    columns = [f.name for f in fields(kind)]
    names = ", ".join(f'"{column}"' for column in columns)
    values = ", ".join(f":{column}" for column in columns)
    # Table and columns come from our own dataclasses, never from outside.
    return f"INSERT INTO {table} ({names}) VALUES ({values}) ON CONFLICT ({key}) DO NOTHING"


_INSERT_SLATE = _insert("slates", SlateRecord, "slate_id")
_INSERT_IMPRESSION = _insert("impressions", Impression, "slate_id, position")
_INSERT_REPLY = _insert("replies", Reply, "reply_id")
_INSERT_JUDGEMENT = _insert("judgements", Judgement, "judgement_id")

_SLATE_FRAME = (
    'slate_id, at, user_key, chat_kind, language, lesson_id, "trigger", policy, policy_version, '
    "model_version, catalogue_version, experiment, arm, n_eligible, stage, mode, ope_valid, replaces, "
    "placements = '[]' AS is_silent"
)
_REPLY_FRAME = "reply_id, at, user_key, kind, slate_id, item_id, value, source"


def _between(
    table: str,
    dated_by: str,
    user_key: UserKey | None,
    since: datetime | None,
    until: datetime | None,
    columns: str = "*",
) -> tuple[str, list[Any]]:
    """Build the query for rows of `table`, oldest first, since inclusive, until exclusive."""
    conditions: list[str] = []
    parameters: list[Any] = []
    if user_key is not None:
        conditions.append("user_key = ?")
        parameters.append(user_key)
    if since is not None:
        conditions.append(f"{dated_by} >= ?")
        parameters.append(to_text(since))
    if until is not None:
        conditions.append(f"{dated_by} < ?")
        parameters.append(to_text(until))
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    order = "slate_id, position" if table == "impressions" else "rowid"
    return f"SELECT {columns} FROM {table}{where} ORDER BY {dated_by}, {order}", parameters


if TYPE_CHECKING:

    def _keeps_the_promise(store: SqliteEventStore) -> EventStore:
        return store
