"""What tests of the bot through Telegram stand on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from data.sqlite_store import SqliteEventStore
from tests.fake_telegram.server import FakeTelegram


@pytest.fixture
async def telegram() -> AsyncIterator[FakeTelegram]:
    """A Telegram of our own; fails the test afterwards when the bot broke its rules."""
    async with FakeTelegram() as server:
        yield server
        server.check()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteEventStore]:
    """A store in a file, as threads of the bot share it."""
    opened = SqliteEventStore(tmp_path / "zhiwei.db")
    yield opened
    opened.close()
