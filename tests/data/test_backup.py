from __future__ import annotations

import stat
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from data.backup import back_up, restore
from data.erasure_ledger import ErasureLedger
from data.errors import InvalidInput, StoreError
from data.events import Reply
from data.sqlite_store import SqliteEventStore

AReply = Callable[..., Reply]


def reply_ids(database: Path) -> list[str]:
    store = SqliteEventStore(database)
    try:
        return [reply.reply_id for reply in store.replies()]
    finally:
        store.close()


def test_a_backup_is_taken_while_the_store_is_in_use(
    sqlite_store: SqliteEventStore, a_reply: AReply, tmp_path: Path, now: datetime
) -> None:
    sqlite_store.record_reply(a_reply("before"))

    receipt = back_up(Path(sqlite_store.path), tmp_path / "copy.db", at=now)
    sqlite_store.record_reply(a_reply("after"))

    assert reply_ids(receipt.path) == ["before"]
    assert receipt.n_bytes > 0
    assert stat.S_IMODE(receipt.path.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if "unfinished" in path.name] == []


def test_a_backup_into_a_folder_is_named_by_the_moment(
    sqlite_store: SqliteEventStore, tmp_path: Path, now: datetime
) -> None:
    assert (
        back_up(Path(sqlite_store.path), tmp_path, at=now).path.name
        == "zhiwei-20261124T090000Z.db"
    )


def test_a_backup_overwrites_nothing(
    sqlite_store: SqliteEventStore, tmp_path: Path, now: datetime
) -> None:
    (tmp_path / "copy.db").write_text("precious")

    with pytest.raises(InvalidInput, match="exists already"):
        back_up(Path(sqlite_store.path), tmp_path / "copy.db", at=now)

    assert (tmp_path / "copy.db").read_text() == "precious"


def test_a_drill_brings_back_what_was_saved_and_keeps_what_was_there(
    database: Path, a_reply: AReply, tmp_path: Path, now: datetime
) -> None:
    store = SqliteEventStore(database)
    store.record_reply(a_reply("saved"))
    saved = back_up(database, tmp_path / "copy.db", at=now).path
    store.record_reply(a_reply("lost"))
    store.close()

    receipt = restore(saved, database, at=now)

    assert reply_ids(database) == ["saved"]
    assert receipt.safety_copy is not None
    assert reply_ids(receipt.safety_copy) == ["saved", "lost"]
    assert stat.S_IMODE(database.stat().st_mode) == 0o600


def test_whoever_was_forgotten_after_the_backup_stays_forgotten(
    database: Path, a_reply: AReply, tmp_path: Path, now: datetime
) -> None:
    store = SqliteEventStore(database)
    store.record_reply(a_reply("of ada"))
    store.record_reply(a_reply("of bob", user_key="bob"))
    saved = back_up(database, tmp_path / "copy.db", at=now).path
    store.forget("ada", at=now + timedelta(hours=1))
    store.close()

    receipt = restore(saved, database, at=now + timedelta(hours=2))

    assert receipt.n_erased == 1
    assert reply_ids(database) == ["of bob"]


@pytest.mark.parametrize("loss", ["damaged", "gone"])
def test_whoever_was_forgotten_stays_forgotten_although_the_database_is_lost(
    database: Path, a_reply: AReply, tmp_path: Path, now: datetime, loss: str
) -> None:
    store = SqliteEventStore(database)
    store.record_reply(a_reply("of ada"))
    store.record_reply(a_reply("of bob", user_key="bob"))
    saved = back_up(database, tmp_path / "copy.db", at=now).path
    store.forget("ada", at=now + timedelta(hours=1))
    store.close()
    for file in database.parent.glob("events.db-*"):
        file.unlink()
    if loss == "damaged":
        database.write_bytes(b"rubbish" * 1000)
    else:
        database.unlink()

    receipt = restore(saved, database, at=now + timedelta(hours=2))

    assert receipt.n_erased == 1
    assert reply_ids(database) == ["of bob"]
    # And the restored database knows it from now on, whatever becomes of the ledger.
    after = SqliteEventStore(database)
    assert len(after.tombstones()) == 1
    after.close()


def test_the_ledger_of_erasures_names_nobody_and_is_private(
    database: Path, a_reply: AReply, now: datetime
) -> None:
    store = SqliteEventStore(database)
    store.record_reply(a_reply("r", user_key="a-very-telling-key"))
    store.forget("a-very-telling-key", at=now)
    store.close()
    ledger = ErasureLedger(database)

    assert len(ledger.read()) == 1
    assert b"telling" not in ledger.path.read_bytes()
    assert stat.S_IMODE(ledger.path.stat().st_mode) == 0o600


def test_a_torn_line_of_the_ledger_costs_neither_the_lines_before_nor_the_next(
    database: Path, now: datetime
) -> None:
    ledger = ErasureLedger(database)
    first, second = ("r1", now.isoformat(), "s", "h1"), ("r2", now.isoformat(), "s", "h2")
    ledger.add([first])
    with ledger.path.open("ab") as file:
        file.write(b'["torn", "20')

    ledger.add([first, second])

    assert ledger.read() == [first, second]


def test_who_cannot_be_remembered_as_forgotten_is_not_said_to_be_erased(
    sqlite_store: SqliteEventStore, a_reply: AReply, now: datetime
) -> None:
    sqlite_store.record_reply(a_reply("of ada"))
    ErasureLedger(Path(sqlite_store.path)).path.mkdir()

    with pytest.raises(StoreError, match="erased"):
        sqlite_store.forget("ada", at=now)

    assert [reply.reply_id for reply in sqlite_store.replies()] == ["of ada"]
    assert sqlite_store.tombstones() == []


def test_a_live_store_is_not_replaced(
    sqlite_store: SqliteEventStore, a_reply: AReply, tmp_path: Path, now: datetime
) -> None:
    saved = back_up(Path(sqlite_store.path), tmp_path / "copy.db", at=now).path
    sqlite_store.record_reply(a_reply("live"))

    with pytest.raises(StoreError, match="in use by a running bot"):
        restore(saved, Path(sqlite_store.path), at=now)

    assert [reply.reply_id for reply in sqlite_store.replies()] == ["live"]


def test_stale_log_files_of_a_damaged_database_do_not_reach_the_restored_one(
    database: Path, a_reply: AReply, tmp_path: Path, now: datetime
) -> None:
    store = SqliteEventStore(database)
    store.record_reply(a_reply("saved"))
    saved = back_up(database, tmp_path / "copy.db", at=now).path
    store.close()
    database.write_bytes(b"rubbish" * 1000)
    database.with_name("events.db-wal").write_bytes(b"old log")

    receipt = restore(saved, database, at=now)

    assert reply_ids(database) == ["saved"]
    assert receipt.safety_copy is not None
    assert receipt.safety_copy.read_bytes().startswith(b"rubbish")


def test_a_damaged_backup_leaves_the_database_as_it_is(
    database: Path, a_reply: AReply, tmp_path: Path, now: datetime
) -> None:
    store = SqliteEventStore(database)
    for number in range(300):
        store.record_reply(a_reply(f"r{number}", text="x" * 300))
    saved = back_up(database, tmp_path / "copy.db", at=now).path
    store.close()
    content = bytearray(saved.read_bytes())
    content[len(content) // 2 :] = b"\xff" * (len(content) - len(content) // 2)
    saved.write_bytes(bytes(content))

    with pytest.raises(StoreError):
        restore(saved, database, at=now)

    assert len(reply_ids(database)) == 300


def test_a_restore_onto_a_new_machine_needs_no_old_database(
    sqlite_store: SqliteEventStore, a_reply: AReply, tmp_path: Path, now: datetime
) -> None:
    sqlite_store.record_reply(a_reply("saved"))
    saved = back_up(Path(sqlite_store.path), tmp_path / "copy.db", at=now).path

    receipt = restore(saved, tmp_path / "new.db", at=now)

    assert receipt.safety_copy is None
    assert reply_ids(tmp_path / "new.db") == ["saved"]


def test_a_missing_backup_is_named(database: Path, now: datetime, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"nothing\.db does not exist"):
        restore(tmp_path / "nothing.db", database, at=now)
    with pytest.raises(InvalidInput, match="does not exist"):
        back_up(database, tmp_path / "copy.db", at=now)


def test_an_encrypted_backup_needs_the_key(
    database: Path, a_reply: AReply, tmp_path: Path, now: datetime
) -> None:
    pytest.importorskip("sqlcipher3", reason="the optional encryption is not installed")
    store = SqliteEventStore(database, key="it's a key")
    store.record_reply(a_reply("r", text="unmistakable"))
    saved = back_up(database, tmp_path / "copy.db", at=now, key="it's a key").path
    store.close()

    assert b"unmistakable" not in database.read_bytes() + saved.read_bytes()
    assert not saved.read_bytes().startswith(b"SQLite")
    with pytest.raises(StoreError, match="key may be wrong"):
        SqliteEventStore(saved, key="another")
    with pytest.raises(StoreError, match="ZHIWEI_DATABASE_KEY"):
        SqliteEventStore(saved)
    assert restore(saved, database, at=now, key="it's a key").n_erased == 0
