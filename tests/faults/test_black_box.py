"""`zhiwei run` as a process of its own is killed, started again, and has lost nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from tests.fake_telegram.client import RemoteTelegram, running_telegram

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@contextlib.asynccontextmanager
async def running_zhiwei(
    telegram: RemoteTelegram, state: Path, settings: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = os.environ | {
        "ZHIWEI_TELEGRAM_TOKEN": telegram.token,
        "ZHIWEI_TELEGRAM_API": telegram.api_root,
        "ZHIWEI_STATE": str(state),
        "NO_PROXY": "127.0.0.1",
        **(settings or {}),
    }
    with (state / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", "run", cwd=ROOT, env=environment, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_killed_process_answers_everything_after_its_next_start(tmp_path: Path) -> None:
    async with running_telegram() as telegram:
        async with running_zhiwei(telegram, tmp_path) as first:
            await telegram.send_text(7, "/start wok-heat")
            slate = await telegram.wait_replies(7, timeout=240)
            assert slate, (tmp_path / "log").read_text()
            for user_id in range(20, 30):
                await telegram.send_text(user_id, "/help")
            await asyncio.sleep(0.02)
            first.send_signal(signal.SIGKILL)
            await first.wait()
        await telegram.press(7, "Why these?")
        async with running_zhiwei(telegram, tmp_path) as second:
            for user_id in range(20, 30):
                assert await telegram.wait_replies(user_id, timeout=120)
            async with asyncio.timeout(20):
                while "Why these?" in str(await telegram.wait_replies(7)):
                    await asyncio.sleep(0.1)
            second.send_signal(signal.SIGTERM)
            code = await asyncio.wait_for(second.wait(), 20)
        failures = await telegram.ask("GET", "failures")

    assert code == 0
    # The press came while nobody was there to answer it.
    assert [failure for failure in failures if "was answered after" not in failure] == []
    assert telegram.token not in (tmp_path / "log").read_text()


async def test_a_wrong_token_ends_the_program_with_one_line(tmp_path: Path) -> None:
    async with running_telegram() as telegram:
        telegram.token = "123456:not-the-right-one"
        async with running_zhiwei(telegram, tmp_path) as process:
            code = await asyncio.wait_for(process.wait(), 240)

    said = (tmp_path / "log").read_text()
    assert code == 2
    assert "does not know this bot token" in said
    assert "Traceback" not in said
    assert telegram.token not in said
