"""A disk that fails, a database that is locked, a clock that jumps, while the bot runs.

Nothing is lost or doubled, the metrics say that the store is down, and the bot gets well by itself.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from data.sqlite_store import SqliteEventStore
from tests.fake_telegram.people import Person
from tests.fake_telegram.server import FakeTelegram
from tests.faults.runner import locked, nursery
from tests.faults.trouble import (
    BROKEN,
    FULL,
    UNREADABLE,
    UNSYNCED,
    DiskFault,
    Trouble,
    trouble_in,
)

PATIENCE = 60.0
"""Seconds; a busy machine is no failure."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def metric(port: int, name: str) -> float | None:
    """A figure of the running bot; None while it does not answer."""
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/metrics") as response,
        ):
            found = re.search(rf"(?m)^{name} (\S+)$", await response.text())
    except aiohttp.ClientError:
        return None
    return float(found[1]) if found else None


async def until_metric(port: int, name: str, value: float) -> None:
    async with asyncio.timeout(PATIENCE):
        while await metric(port, name) != value:
            await asyncio.sleep(0.05)


async def answered(person: Person, texts: list[str]) -> list[str]:
    """Wait until each text was answered, and give all answers in order."""
    async with asyncio.timeout(PATIENCE):
        while True:
            heard = [str(m["text"]).removeprefix("echo ") for m in person.bot_messages()]
            if set(texts) <= set(heard):
                return heard
            await asyncio.sleep(0.05)


OUTAGES: dict[str, DiskFault | None] = {
    "ENOSPC": FULL,
    "EIO": BROKEN,
    "EIO at fsync": UNSYNCED,
    "EIO at reading, too": UNREADABLE,
    "SQLITE_BUSY": None,
    "ENOSPC again": FULL,
}


async def test_while_the_disk_fails_messages_wait_and_afterwards_all_are_answered_once_in_order(
    tmp_path: Path,
) -> None:
    def outages(trouble: Trouble, pid: int) -> Iterator[AbstractContextManager[None]]:
        for fault in OUTAGES.values():
            lock = locked(tmp_path / "databases" / "b")
            yield trouble.failing_disk(fault, pid=pid) if fault else lock

    await _through(outages, list(OUTAGES), tmp_path)


async def test_without_a_compiler_the_kernel_itself_refuses_to_let_files_grow(
    tmp_path: Path,
) -> None:
    def outages(trouble: Trouble, pid: int) -> Iterator[AbstractContextManager[None]]:
        yield Trouble(tmp_path / "unused", tmp_path, None).failing_disk(FULL, pid=pid)

    await _through(outages, ["EFBIG"], tmp_path)


async def _through(
    outages: Callable[[Trouble, int], Iterator[AbstractContextManager[None]]],
    names: list[str],
    folder: Path,
) -> None:
    """Send five messages in each outage; they are answered when it is over, by the same process."""
    port = free_port()
    database = folder / "databases" / "b"
    sent = ["text before"]
    async with nursery(folder) as nurse, FakeTelegram(answer_within=3600) as telegram:
        person = telegram.person(7)
        pid = await nurse.start(telegram, database, health_port=port)
        person.send_text("text before")
        assert await answered(person, sent) == sent
        for name, outage in zip(names, outages(nurse.trouble, pid), strict=True):
            await until_metric(port, "zhiwei_store_up", 1)
            with outage:
                during = [f"text {name}-{n}" for n in range(5)]
                for text in during:
                    person.send_text(text)
                await until_metric(port, "zhiwei_store_up", 0)
                heard = [str(m["text"]).removeprefix("echo ") for m in person.bot_messages()]
                assert heard == sent, name
            sent += during
            assert await answered(person, sent) == sent, name
        await until_metric(port, "zhiwei_store_up", 1)
        died = nurse.died_by_itself(pid)
        code = await nurse.kill(pid, how=signal.SIGTERM)
    store = SqliteEventStore(database)
    stored = [reply.value for reply in store.replies()]
    problems = store.check()
    store.close()

    assert sorted(stored) == sorted(sent)
    assert (died, code, problems) == (False, 0, [])


async def test_when_the_clock_jumps_nothing_is_lost_doubled_or_erased(tmp_path: Path) -> None:
    shifts = [0, 5, -5, 30, 0, -30, 800 * 24, 0, -400 * 24, 0]
    slates = [f"slate jump-{n}" for n in range(2 * len(shifts))]
    async with nursery(tmp_path) as nurse, FakeTelegram(answer_within=3600) as telegram:
        person = telegram.person(7)
        pid = await nurse.start(telegram, tmp_path / "databases" / "b")
        for n, shift in enumerate(shifts):
            # The first of two is on its way when the clock jumps.
            person.send_text(slates[2 * n])
            nurse.trouble.set_clock(timedelta(hours=shift))
            person.send_text(slates[2 * n + 1])
            await answered(person, [slates[2 * n + 1]])
        # Telegram may deliver again for a day.
        for update in list(telegram.state.recent_updates):
            telegram.redeliver(update)
        person.send_text("text last")
        heard = await answered(person, ["text last"])
        code = await nurse.kill(pid, how=signal.SIGTERM)
    store = SqliteEventStore(tmp_path / "databases" / "b")
    stored = [reply.value for reply in store.replies()]
    impressions = [impression.slate_id for impression in store.impressions()]
    store.close()

    assert heard == [*slates, "text last"]
    assert sorted(stored) == sorted([*slates, "text last"])
    assert sorted(impressions) == sorted(f"slate-jump-{n}" for n in range(len(slates)))
    assert code == 0


def test_the_faulty_disk_strikes_only_its_folder_and_only_on_command(tmp_path: Path) -> None:
    trouble = trouble_in(tmp_path / "in", beside=tmp_path / "switches")
    if "LD_PRELOAD" not in trouble.environment:
        pytest.skip("there is no C compiler; the kernel's limit takes its place")
    (tmp_path / "in").mkdir()
    script = (
        "import sys\n"
        "for place in sys.argv[1:]:\n"
        "    try:\n"
        "        with open(place, 'wb', buffering=0) as file: file.write(b'x')\n"
        "    except OSError as error: print(error.errno, end=' ')\n"
        "    else: print('ok', end=' ')\n"
    )

    def run() -> str:
        return subprocess.run(
            [sys.executable, "-c", script, tmp_path / "in" / "a", tmp_path / "b"],
            env=os.environ | trouble.environment, capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip

    healthy = run()
    with trouble.failing_disk(FULL, pid=os.getpid()):
        full = run()
    with trouble.failing_disk(BROKEN, pid=os.getpid(), after=1):
        broken_later = run()
    after = run()

    assert (healthy, full, broken_later, after) == (
        "ok ok",
        f"{errno.ENOSPC} ok",
        "ok ok",
        "ok ok",
    )
    assert trouble.n_struck == 1
