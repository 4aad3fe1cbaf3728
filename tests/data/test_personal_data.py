from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from data.events import (
    Consent,
    ConsentKind,
    CreatorRule,
    FactKind,
    Judgement,
    ProfileFact,
    Reply,
    RuleKind,
    SlateRecord,
)
from data.personal_data import IMPERSONAL_COLUMNS, PERSONAL_TABLES, hashed_key
from data.sqlite_store import SqliteEventStore
from data.store import DialogRow, EventStore, InboxEntry, OutboxEntry

KEY_COLUMNS = {"user_key", "creator", "actor", "lane", "address", "hashed_key"}
Make = Callable[..., Any]


def fill(
    store: EventStore,
    user_key: str,
    now: datetime,
    a_slate: Callable[..., SlateRecord],
    a_reply: Callable[..., Reply],
    an_update: Callable[..., InboxEntry],
    a_message: Callable[..., OutboxEntry],
) -> None:
    """Leave a row about the person in every table that can hold one."""
    address = {"ada": "5001", "bob": "6002"}[user_key]
    slate_id = f"slate-{user_key}"
    store.put_address(user_key, "telegram", address, at=now)
    store.record_slate(a_slate(slate_id, user_key=user_key))
    store.record_delivery(slate_id, at=now)
    store.record_reply(a_reply(f"{user_key}:1", user_key=user_key, text=f"words of {user_key}"))
    store.put_fact(
        ProfileFact(
            fact_id="f", user_key=user_key, at=now, kind=FactKind.DIET, value="vegan", source="x"
        )
    )
    store.record_consent(
        Consent(
            consent_id=f"c-{user_key}",
            user_key=user_key,
            at=now,
            kind=ConsentKind.SEND_TIPS,
            given=True,
            language="en",
            text_version="1",
        )
    )
    store.record_judgement(
        Judgement(
            judgement_id=f"j-{user_key}",
            at=now,
            lesson_id="l",
            item_id="tofu",
            grade=3,
            creator=user_key,
        )
    )
    store.put_rule(
        CreatorRule(
            lesson_id=user_key[:1], item_id="tofu", kind=RuleKind.PIN, at=now, creator=user_key
        )
    )
    store.put_dialog(
        DialogRow(user_key=user_key, state="{}", version=1, expires_at=now + timedelta(hours=1))
    )
    store.receive(an_update(f"u-{user_key}", lane=user_key))
    in_group = f'{{"message":{{"chat":{{"id":-9}},"from":{{"id":{address}}}}}}}'
    store.receive(an_update(f"g-{user_key}", lane="-9", payload=in_group))
    store.receive(an_update(f"t-{user_key}", lane="-9", payload="not json"))
    store.queue([a_message(f"m-{user_key}", user_key=user_key, address=address)])
    store.audit(at=now, actor=user_key, action="pin", detail="tofu")


def test_every_column_that_can_name_a_person_has_its_rules(sqlite_store: SqliteEventStore) -> None:
    found = {
        (row["table_name"], row["column_name"])
        for row in sqlite_store._file.read(
            "SELECT t.name AS table_name, c.name AS column_name FROM sqlite_schema AS t, "
            "pragma_table_info(t.name) AS c WHERE t.type = 'table'"
        )
        if row["column_name"] in KEY_COLUMNS
    }
    covered = {(rules.table, column) for rules in PERSONAL_TABLES for column in rules.columns}

    assert len(found) > 12
    assert found - covered - IMPERSONAL_COLUMNS == set()
    assert covered - found == set()


IMPERSONAL_TABLES = {
    "erasures": "salted hashes only",
    "settings": "the salt; nothing of anybody",
    "safety_violations": "which item was stopped, not for whom",
    "_sqlite_migrations": "which versions of the schema were applied",
}
"""Tables without rules, each with why nobody is in it. A new table goes here or gets its rules."""


def tables(store: SqliteEventStore) -> set[str]:
    rows = store._file.read("SELECT name FROM sqlite_schema WHERE type = 'table'")
    return {str(row["name"]) for row in rows}


def test_every_table_has_rules_or_a_reason_to_need_none(sqlite_store: SqliteEventStore) -> None:
    ruled = {rules.table for rules in PERSONAL_TABLES}

    assert ruled.isdisjoint(IMPERSONAL_TABLES)
    assert tables(sqlite_store) == ruled | IMPERSONAL_TABLES.keys()


def test_after_an_erasure_no_cell_of_any_table_holds_anything_of_the_person(
    sqlite_store: SqliteEventStore,
    now: datetime,
    a_slate: Make,
    a_reply: Make,
    an_update: Make,
    a_message: Make,
) -> None:
    for user_key in ("ada", "bob"):
        fill(sqlite_store, user_key, now, a_slate, a_reply, an_update, a_message)

    def cells_with(words: tuple[str, ...]) -> set[tuple[str, str]]:
        # Random salts are hexadecimal and may spell a name by chance.
        alone = re.compile(rf"(?<![0-9a-f])(?:{'|'.join(words)})(?![0-9a-f])")
        found = set()
        for table in tables(sqlite_store):
            for row in sqlite_store._file.read(f'SELECT * FROM "{table}"'):
                for column, value in row.items():
                    # Ids of updates and messages stay, so that repeats are still recognised.
                    if column in {"update_id", "outbox_id", "judgement_id"}:
                        continue
                    if alone.search(str(value)):
                        found.add((table, column))
        return found

    before = cells_with(("ada", "5001"))
    sqlite_store.forget("ada", at=now)

    assert {table for table, _ in before} >= {r.table for r in PERSONAL_TABLES} - {"audits"}
    assert cells_with(("ada", "5001")) == set()
    assert cells_with(("bob", "6002"))


def test_every_rule_says_how_long_rows_stay() -> None:
    assert [rules.table for rules in PERSONAL_TABLES if not rules.retention] == []


def test_an_erased_person_is_in_no_table_any_more(
    store: EventStore,
    now: datetime,
    a_slate: Make,
    a_reply: Make,
    an_update: Make,
    a_message: Make,
) -> None:
    for user_key in ("ada", "bob"):
        fill(store, user_key, now, a_slate, a_reply, an_update, a_message)
    before = store.export("bob")
    assert all(rows for rows in store.export("ada").values()), "the test must fill every table"

    receipt = store.forget("ada", at=now)

    assert dict(receipt.removed)["impressions"] == 3
    assert all(count > 0 for _, count in receipt.removed)
    assert all(rows == [] for rows in store.export("ada").values())
    assert store.export("bob") == before
    assert len(store.judgements()) == 2
    assert store.consents("ada") == []
    assert store.address("ada", "telegram") is None


def test_an_erased_update_is_still_recognised_and_an_erased_message_never_sent(
    store: EventStore, now: datetime, a_message: Make, an_update: Make
) -> None:
    store.receive(an_update("1"))
    store.queue([a_message("1:0")])

    store.forget("ada", at=now)

    assert store.pending() == []
    assert not store.receive(an_update("1"))
    assert store.outgoing(at=now) == []
    store.mark_unsent("1:0", state="queued")
    assert store.outgoing(at=now) == []


def test_a_shared_group_is_not_erased_with_one_of_its_members(
    store: EventStore, now: datetime, a_message: Make
) -> None:
    store.put_address("ada", "telegram", "-9", at=now)
    store.put_address("bob", "telegram", "-9", at=now)
    store.queue([a_message("m", user_key="bob", address="-9")])

    store.forget("ada", at=now)

    assert [entry.outbox_id for entry in store.outgoing(at=now)] == ["m"]


def test_replaying_erasures_spares_whoever_came_back(
    store: EventStore, now: datetime, a_reply: Make
) -> None:
    later = now + timedelta(days=1)
    store.forget("ada", at=now)
    store.record_reply(a_reply("old", at=now - timedelta(days=1)))
    store.record_reply(a_reply("new", at=later))
    store.put_address("ada", "telegram", "5001", at=later)
    store.put_dialog(
        DialogRow(user_key="ada", state="{}", version=1, expires_at=later + timedelta(hours=1))
    )

    assert store.replay_erasures() == 1

    assert [reply.reply_id for reply in store.replies()] == ["new"]
    assert store.dialog("ada", at=later) is not None


def test_a_tombstone_does_not_name_the_person(
    sqlite_store: SqliteEventStore, now: datetime
) -> None:
    # A name that no hexadecimal digest can spell by chance.
    sqlite_store.forget("tom", at=now)

    [(receipt_id, _, salt, hashed)] = sqlite_store.tombstones()

    assert "tom" not in receipt_id + salt + hashed
    assert hashed == hashed_key(salt, "tom") != hashed_key("other salt", "tom")


def test_erased_words_are_not_left_in_the_file(
    sqlite_store: SqliteEventStore, now: datetime, a_reply: Make
) -> None:
    for number in range(50):
        sqlite_store.record_reply(a_reply(f"r{number}", text=f"unmistakable-words-{number}"))

    sqlite_store.forget("ada", at=now)

    files = [Path(sqlite_store.path + suffix) for suffix in ("", "-wal")]
    left = b"".join(file.read_bytes() for file in files if file.exists())
    assert len(left) > 4096
    assert b"unmistakable" not in left
