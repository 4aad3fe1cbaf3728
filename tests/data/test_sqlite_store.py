from __future__ import annotations

import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import StoreError
from data.events import (
    Consent,
    CreatorRule,
    Impression,
    Judgement,
    Placement,
    ProfileFact,
    Reply,
    SlateRecord,
)
from data.sqlite_opening import has_wal_reset_bug
from data.sqlite_rows import from_row, from_text, to_row, to_text
from data.sqlite_store import SqliteEventStore
from data.store import DialogRow, InboxEntry, OutboxEntry

AReply = Callable[..., Reply]

WRITER = """
import sys
from datetime import UTC, datetime
from data.events import Reply, ReplyKind
from data.sqlite_store import SqliteEventStore
from data.store import InboxEntry

store = SqliteEventStore(sys.argv[1])
now = datetime(2026, 11, 24, tzinfo=UTC)
number = 0
while True:
    number += 1
    store.receive(InboxEntry(update_id=str(number), lane="a", payload="{}", received_at=now))
    with store.transaction():
        for part in "ab":
            store.record_reply(
                Reply(reply_id=f"{number}:{part}", at=now, user_key="a", kind=ReplyKind.LIKE)
            )
        store.mark_done(str(number), at=now)
    print(number, flush=True)
"""

moments = st.datetimes(
    min_value=datetime(1970, 1, 2),  # noqa: DTZ001
    max_value=datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
finite = st.floats(allow_nan=False, allow_infinity=False)
plain_json = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
RECORDS = [
    SlateRecord,
    Impression,
    Reply,
    ProfileFact,
    Consent,
    Judgement,
    CreatorRule,
    DialogRow,
    InboxEntry,
    OutboxEntry,
]


def _records(kind: type) -> st.SearchStrategy[object]:
    placements = st.builds(
        Placement,
        item_id=texts,
        position=st.integers(0, 20),
        propensity=finite,
        marginal_propensity=finite,
        score=finite,
        evidence=texts,
    )
    by_annotation = {
        "datetime": moments,
        "datetime | None": st.none() | moments,
        "tuple[Placement, ...]": st.lists(placements, max_size=3).map(tuple),
        "tuple[ItemId, ...]": st.lists(texts, max_size=3).map(tuple),
        "tuple[float, ...]": st.lists(finite, max_size=3).map(tuple),
        "Mapping[str, object]": st.dictionaries(texts, plain_json, max_size=3),
        "Mapping[str, int]": st.dictionaries(texts, st.integers(0, 99), max_size=3),
        "int": st.integers(-(2**62), 2**62),
        "float": finite,
        "str": texts,
        "LessonId | None": st.none() | texts,
        "SlateId | None": st.none() | texts,
        "ItemId | None": st.none() | texts,
    }
    given_fields = {
        name: by_annotation[str(field.type)]
        for name, field in kind.__dataclass_fields__.items()
        if str(field.type) in by_annotation
    }
    return st.builds(kind, **given_fields)


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_a_record_survives_its_row(kind: type) -> None:
    @given(_records(kind))
    def check(record: object) -> None:
        assert from_row(kind, to_row(record)) == record

    check()


@given(moments, moments)
def test_moments_sort_as_text_as_they_do_in_time(one: datetime, other: datetime) -> None:
    assert from_text(to_text(one)) == one
    assert (to_text(one) < to_text(other)) == (one < other)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ((3, 6, 23), False),
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 53, 4), False),
    ],
)
def test_versions_with_the_wal_reset_bug_are_known(
    version: tuple[int, ...], expected: bool
) -> None:
    assert has_wal_reset_bug(version) is expected


def test_the_sqlite_in_use_has_no_wal_reset_bug(sqlite_store: SqliteEventStore) -> None:
    version = sqlite_store._file.sqlite_version

    assert not has_wal_reset_bug(tuple(int(part) for part in version.split(".")))


def test_a_new_file_is_private_and_in_wal_mode(sqlite_store: SqliteEventStore) -> None:
    assert stat.S_IMODE(Path(sqlite_store.path).stat().st_mode) == 0o600
    assert sqlite_store._file.value("PRAGMA journal_mode") == "wal"
    assert sqlite_store._file.value("PRAGMA synchronous") == 2
    assert sqlite_store._file.value("PRAGMA foreign_keys") == 1
    assert sqlite_store._file.value("PRAGMA trusted_schema") == 0


def test_what_was_written_is_there_after_reopening(database: Path, a_reply: AReply) -> None:
    first = SqliteEventStore(database)
    first.record_reply(a_reply())
    first.close()

    second = SqliteEventStore(database)

    assert second.replies() == [a_reply()]
    second.close()


def test_a_second_process_reads_while_the_first_is_open(
    sqlite_store: SqliteEventStore, a_reply: AReply
) -> None:
    sqlite_store.record_reply(a_reply())
    code = (
        "import sys; from data.sqlite_store import SqliteEventStore; "
        "print(len(SqliteEventStore(sys.argv[1]).replies()))"
    )

    found = subprocess.run(
        [sys.executable, "-c", code, sqlite_store.path], capture_output=True, text=True, check=True
    )

    assert found.stdout.strip() == "1"


def test_a_reader_does_not_wait_for_an_open_transaction(
    sqlite_store: SqliteEventStore, a_reply: AReply
) -> None:
    other = SqliteEventStore(sqlite_store.path)
    with sqlite_store.transaction():
        sqlite_store.record_reply(a_reply())

        assert other.replies() == []
    assert len(other.replies()) == 1
    other.close()


def test_a_writer_that_waits_too_long_says_who_may_be_in_the_way(
    sqlite_store: SqliteEventStore, a_reply: AReply
) -> None:
    impatient = SqliteEventStore(sqlite_store.path, busy_timeout_seconds=0.05)

    with sqlite_store.transaction(), pytest.raises(StoreError, match="locked by another writer"):
        impatient.record_reply(a_reply())

    assert impatient.record_reply(a_reply())
    impatient.close()


def test_a_file_that_is_no_database_is_refused_and_left_alone(database: Path) -> None:
    database.write_text("dear diary " * 1000)

    with pytest.raises(StoreError, match="not a database"):
        SqliteEventStore(database)

    assert database.read_text().startswith("dear diary")


def test_the_database_of_another_program_is_refused_and_left_alone(database: Path) -> None:
    other = sqlite3.connect(database)
    other.execute("CREATE TABLE photos (id)")
    other.commit()

    with pytest.raises(StoreError, match="database of another program"):
        SqliteEventStore(database)

    assert other.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("photos",)]
    other.close()


def test_a_database_of_a_newer_version_asks_for_an_update(database: Path) -> None:
    store = SqliteEventStore(database)
    store._file.write(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) "
        "VALUES ('zhiwei', 'm999_future', '2030-01-01')"
    )
    store.close()

    with pytest.raises(StoreError, match=r"newer version .*m999_future.*update zhiwei"):
        SqliteEventStore(database)


def test_a_folder_in_place_of_the_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        SqliteEventStore(tmp_path)


def test_a_full_disk_loses_nothing_that_was_acknowledged(
    sqlite_store: SqliteEventStore, a_reply: AReply
) -> None:
    sqlite_store.record_reply(a_reply("before"))
    pages = sqlite_store._file.value("PRAGMA page_count")
    with sqlite_store._file._locked():
        sqlite_store._file._writer.execute(f"PRAGMA max_page_count={pages}").fetchall()

    with pytest.raises(StoreError, match=r"disk of .* is full"):
        sqlite_store.record_reply(a_reply("big", text="x" * 100_000))

    assert [reply.reply_id for reply in sqlite_store.replies()] == ["before"]
    assert sqlite_store.check() == []
    with sqlite_store._file._locked():
        sqlite_store._file._writer.execute("PRAGMA max_page_count=1000000").fetchall()
    assert sqlite_store.record_reply(a_reply("after"))


def test_a_key_without_letters_is_refused(database: Path) -> None:
    with pytest.raises(StoreError, match="key is empty"):
        SqliteEventStore(database, key=" ")


@pytest.mark.parametrize("milliseconds", [0, 7, 23])
def test_a_killed_writer_leaves_no_half_transaction_and_loses_nothing_acknowledged(
    database: Path, milliseconds: int
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(database)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        for _ in range(5):
            writer.stdout.readline()
        time.sleep(milliseconds / 1000)
        writer.send_signal(signal.SIGKILL)
        acknowledged = [5, *(int(line) for line in writer.stdout.read().split())][-1]

    store = SqliteEventStore(database)
    replies = {reply.reply_id for reply in store.replies()}
    done = {reply_id.split(":")[0] for reply_id in replies}

    assert replies == {f"{number}:{part}" for number in done for part in "ab"}
    assert len(done) >= acknowledged
    assert {entry.update_id for entry in store.pending()}.isdisjoint(done)
    assert store.check() == []
    store.close()
