"""SQLCipher: what lies on disk is unreadable without the key, and the key can be changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from data.errors import InvalidInput, StoreError
from data.events import Reply, UserKey
from data.rekeying import HEADER, is_encrypted, rekey
from data.sqlite_store import SqliteEventStore

KEY = "a passphrase with 'quotes' and 汉字"
OTHER = 'another "passphrase"'
AReply = Callable[..., Reply]

pytest.importorskip("sqlcipher3", reason="the optional package sqlcipher3 is not installed")


def write(database: Path, key: str | None, reply: Reply) -> None:
    store = SqliteEventStore(database, key=key)
    store.record_reply(reply)
    store.close()


def texts(database: Path, key: str | None) -> list[str]:
    store = SqliteEventStore(database, key=key)
    try:
        return [reply.text for reply in store.replies(user_key=UserKey("ada"))]
    finally:
        store.close()


def test_without_a_key_the_file_is_a_plain_database(database: Path, a_reply: AReply) -> None:
    write(database, None, a_reply(text="我对花生过敏"))

    assert database.read_bytes().startswith(HEADER)
    assert not is_encrypted(database)


def test_with_a_key_neither_header_nor_words_are_on_disk(database: Path, a_reply: AReply) -> None:
    store = SqliteEventStore(database, key=KEY)
    store.record_reply(a_reply(text="a very private remark about peanuts"))

    on_disk = b"".join(path.read_bytes() for path in database.parent.iterdir() if path.is_file())
    store.close()

    assert is_encrypted(database)
    assert HEADER not in on_disk
    assert b"private remark" not in on_disk
    assert b"CREATE TABLE" not in on_disk
    assert texts(database, KEY) == ["a very private remark about peanuts"]


@pytest.mark.parametrize("key", ["wrong", None, KEY + " "], ids=["wrong", "none", "blank behind"])
def test_another_key_is_a_clear_error_that_shows_no_key(
    database: Path, a_reply: AReply, key: str | None
) -> None:
    write(database, KEY, a_reply())

    with pytest.raises(StoreError, match=r"key|ZHIWEI_DATABASE_KEY") as caught:
        SqliteEventStore(database, key=key)

    assert KEY not in str(caught.value)
    assert "wrong" not in str(caught.value).replace("may be wrong", "")


def test_a_key_on_a_plain_file_is_a_clear_error(database: Path, a_reply: AReply) -> None:
    write(database, None, a_reply())

    with pytest.raises(StoreError, match="not encrypted"):
        SqliteEventStore(database, key=KEY)


@pytest.mark.parametrize(
    ("old", "new"),
    [(None, KEY), (KEY, OTHER), (OTHER, None)],
    ids=["encrypt", "change", "decrypt"],
)
def test_a_database_under_a_new_key_holds_the_same_and_refuses_the_old_one(
    database: Path, a_reply: AReply, old: str | None, new: str | None
) -> None:
    store = SqliteEventStore(database, key=old)
    for number in range(50):
        store.record_reply(a_reply(f"tg:{number}", text=f"words {number}"))
    store.close()

    rekey(database, old_key=old, new_key=new)

    assert sorted(texts(database, new)) == sorted(f"words {number}" for number in range(50))
    assert is_encrypted(database) is (new is not None)
    with pytest.raises(StoreError):
        SqliteEventStore(database, key=old)
    assert {path.name for path in database.parent.iterdir()} <= {
        database.name, f"{database.name}.lock", f"{database.name}-wal", f"{database.name}-shm",
    }  # fmt: skip


def test_erasures_and_their_salt_survive_a_new_key(database: Path, a_reply: AReply) -> None:
    store = SqliteEventStore(database, key=KEY)
    store.record_reply(a_reply())
    store.forget(UserKey("ada"), at=a_reply().at)
    before = store.tombstones()
    store.close()

    rekey(database, old_key=KEY, new_key=OTHER)

    store = SqliteEventStore(database, key=OTHER)
    assert store.tombstones() == before
    assert store.check() == []
    store.close()


def test_a_wrong_old_key_leaves_the_database_as_it_is(database: Path, a_reply: AReply) -> None:
    write(database, KEY, a_reply(text="kept"))
    before = database.read_bytes()

    with pytest.raises(StoreError):
        rekey(database, old_key="wrong", new_key=OTHER)

    assert database.read_bytes() == before
    assert texts(database, KEY) == ["kept"]


def test_a_database_in_use_gets_no_new_key(database: Path, a_reply: AReply) -> None:
    store = SqliteEventStore(database, key=KEY)

    with pytest.raises(StoreError, match="in use"):
        rekey(database, old_key=KEY, new_key=OTHER)

    store.record_reply(a_reply(text="kept"))
    store.close()
    assert texts(database, KEY) == ["kept"]


def test_the_same_key_and_an_empty_one_are_refused(database: Path, a_reply: AReply) -> None:
    write(database, KEY, a_reply())

    with pytest.raises(InvalidInput, match="nothing would change"):
        rekey(database, old_key=KEY, new_key=KEY)
    with pytest.raises(InvalidInput, match="empty"):
        rekey(database, old_key=KEY, new_key=" ")
    with pytest.raises(InvalidInput, match="does not exist"):
        rekey(database.with_name("none.db"), old_key=KEY, new_key=OTHER)
