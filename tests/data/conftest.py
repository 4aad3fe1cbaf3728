from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from data.events import Placement, Reply, ReplyKind, SlateRecord
from data.memory_store import InMemoryEventStore
from data.sqlite_store import SqliteEventStore
from data.store import EventStore, InboxEntry, MessageClass, OutboxEntry

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, database: Path) -> Iterator[EventStore]:
    if request.param == "postgres":
        url = os.environ.get("TEST_DATABASE_URL")
        pytest.skip(
            "there is no Postgres store yet" if url else "TEST_DATABASE_URL names no Postgres"
        )
    opened: EventStore = (
        InMemoryEventStore() if request.param == "memory" else SqliteEventStore(database)
    )
    yield opened
    opened.close()


@pytest.fixture
def sqlite_store(database: Path) -> Iterator[SqliteEventStore]:
    opened = SqliteEventStore(database)
    yield opened
    opened.close()


@pytest.fixture
def a_slate() -> Callable[..., SlateRecord]:
    def build(slate_id: str = "slate-0000000001", **changes: Any) -> SlateRecord:
        placements = tuple(
            Placement(
                item_id=item_id,
                position=position,
                propensity=0.5,
                marginal_propensity=0.25,
                evidence="豆腐要先焯水。",
            )
            for position, item_id in enumerate(("tofu", "leek", "pear"))
        )
        fields = {"at": NOW, "user_key": "ada", "placements": placements, **changes}
        return SlateRecord(slate_id=slate_id, **fields)

    return build


@pytest.fixture
def a_reply() -> Callable[..., Reply]:
    def build(reply_id: str = "tg:1", **changes: Any) -> Reply:
        fields = {
            "at": NOW,
            "user_key": "ada",
            "kind": ReplyKind.LIKE,
            "slate_id": "slate-0000000001",
            "item_id": "tofu",
            **changes,
        }
        return Reply(reply_id=reply_id, **fields)

    return build


@pytest.fixture
def an_update() -> Callable[..., InboxEntry]:
    def build(update_id: str = "1", **changes: Any) -> InboxEntry:
        fields = {"lane": "ada", "payload": '{"text": "hi"}', "received_at": NOW, **changes}
        return InboxEntry(update_id=update_id, **fields)

    return build


@pytest.fixture
def a_message() -> Callable[..., OutboxEntry]:
    def build(outbox_id: str = "1:0", **changes: Any) -> OutboxEntry:
        fields = {
            "address": "5001",
            "payload": '{"text": "hello"}',
            "message_class": MessageClass.ANSWER,
            "user_key": "ada",
            "created_at": NOW,
            **changes,
        }
        return OutboxEntry(outbox_id=outbox_id, **fields)

    return build
