"""The product as a process: without its model, with a damaged or half-written index, on a full disk.

Each ends on the rung below, which `/stats` and the metrics show, and gets well by itself.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
from pathlib import Path

import pytest

from bot.engine_room import NO_ENCODER
from bot.settings import default_cache
from tests.fake_telegram.client import RemoteTelegram, running_telegram
from tests.faults.test_black_box import running_zhiwei
from tests.faults.test_troubles import free_port, metric, until_metric
from tests.faults.trouble import FULL, trouble_in

pytestmark = pytest.mark.slow

ADMIN, LEARNER = 1, 7
NEWCOMERS = itertools.count(1000)
START = 240.0
"""Seconds until a first answer on a slow machine that unpacks the model first."""


def settings(port: int, **more: str) -> dict[str, str]:
    return {
        "ZHIWEI_ADMINS": str(ADMIN),
        "ZHIWEI_HEALTH_PORT": str(port),
        "ZHIWEI_RETRY_SECONDS": "1",
        **more,
    }


async def says(telegram: RemoteTelegram, user_id: int, text: str) -> str:
    """Let somebody write, and give the answer as JSON."""
    await telegram.ask("POST", "person", user_id=user_id, language_code="en")
    before = await telegram.ask("GET", "messages", chat_id=user_id)
    last = max((message["message_id"] for message in before), default=0)
    await telegram.send_text(user_id, text)
    answer = await telegram.wait_replies(user_id, after=last, timeout=START)
    assert answer, f"no answer to {text!r}"
    return json.dumps(answer, ensure_ascii=False)


async def stats(telegram: RemoteTelegram, wanted: str) -> str:
    """Let the admin ask for `/stats`, and give the answer, which says what is wanted.

    It may come in several messages, and the first one is edited when the figures are there.
    """
    await telegram.ask("POST", "person", user_id=ADMIN, language_code="en")
    before = await telegram.ask("GET", "messages", chat_id=ADMIN)
    last = max((message["message_id"] for message in before), default=0)
    await telegram.send_text(ADMIN, "/stats")
    async with asyncio.timeout(START):
        while True:
            found = await telegram.ask("GET", "messages", chat_id=ADMIN, after=last)
            if wanted in (said := json.dumps(found, ensure_ascii=False)):
                return said
            await asyncio.sleep(0.1)


async def offered(telegram: RemoteTelegram) -> None:
    """Let somebody new ask for a lesson, since one person may not ask often; items must come."""
    slate = await says(telegram, next(NEWCOMERS), "/start wok-heat")
    assert "Why these?" in slate, slate


def snapshot(state: Path) -> Path:
    folder = state / "index"
    return folder / (folder / "current").read_text().strip()


def damage(file: Path) -> None:
    """Turn every byte of the second half over, in place."""
    content = bytearray(file.read_bytes())
    half = len(content) // 2
    content[half:] = bytes(byte ^ 0xFF for byte in content[half:])
    with file.open("r+b") as opened:
        opened.write(content)


async def test_without_its_model_words_answer_and_it_is_taken_up_when_it_is_back(
    tmp_path: Path,
) -> None:
    model, port = tmp_path / "model", free_port()
    state = tmp_path / "state"
    state.mkdir()
    more = settings(port, ZHIWEI_MODEL=str(model))
    async with running_telegram() as telegram, running_zhiwei(telegram, state, more) as bot:
        await offered(telegram)
        await stats(telegram, NO_ENCODER)
        await until_metric(port, "zhiwei_degraded", 1)
        model.symlink_to(unpacked_model())
        async with asyncio.timeout(START):
            while await metric(port, "zhiwei_degraded") != 0:
                await offered(telegram)
                await asyncio.sleep(0.5)
        afterwards = await stats(telegram, snapshot(state).name)
        bot.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(bot.wait(), 60)

    assert NO_ENCODER not in afterwards
    assert code == 0
    assert "Traceback" not in (state / "log").read_text()


def unpacked_model() -> Path:
    """The bundled model's folder, which a first start of any test unpacked into the cache."""
    cache = Path(os.environ.get("ZHIWEI_CACHE", default_cache()))
    return cache / "multilingual-e5-small"


async def test_a_damaged_or_half_written_index_changes_no_answer_and_is_written_anew(
    tmp_path: Path,
) -> None:
    port = free_port()
    async with running_telegram() as telegram:
        async with running_zhiwei(telegram, tmp_path, settings(port)) as bot:
            await offered(telegram)
            first = snapshot(tmp_path)

            # Damaged while it is in use: memory holds what was verified at the start.
            for name in ("vectors.faiss", "owners.npy", "lexical.npz"):
                damage(first / name)
            await offered(telegram)
            await stats(telegram, first.name)
            await until_metric(port, "zhiwei_degraded", 0)

            # A builder is killed, and the pointer names a folder that is not there.
            leave_half_a_build(first)
            (tmp_path / "index" / "current").write_text("20200101T000000-deadbeef\n")
            await offered(telegram)
            async with asyncio.timeout(START):
                while snapshot(tmp_path).name.startswith("2020"):
                    await offered(telegram)
                    await asyncio.sleep(0.5)
            second = snapshot(tmp_path)
            await until_metric(port, "zhiwei_degraded", 0)
            await stats(telegram, second.name)
            bot.send_signal(signal.SIGKILL)
            await bot.wait()

        # Damaged at the start.
        damage(second / "vectors.faiss")
        async with running_zhiwei(telegram, tmp_path, settings(port)) as bot:
            await offered(telegram)
            third = snapshot(tmp_path)
            afterwards = await stats(telegram, third.name)
            bot.send_signal(signal.SIGTERM)
            code = await asyncio.wait_for(bot.wait(), 60)

    assert len({first.name, second.name, third.name}) == 3
    assert NO_ENCODER not in afterwards
    assert not list((tmp_path / "index").glob(".building-*"))
    assert code == 0


def leave_half_a_build(finished: Path) -> None:
    """Leave what a builder leaves that is killed half-way: a folder with half of a file in it."""
    unfinished = finished.parent / ".building-killed"
    unfinished.mkdir()
    content = (finished / "vectors.faiss").read_bytes()
    (unfinished / "vectors.faiss").write_bytes(content[: len(content) // 2])


async def test_on_a_full_disk_advice_in_an_emergency_still_comes_and_nothing_is_lost(
    tmp_path: Path,
) -> None:
    state, port = tmp_path / "state", free_port()
    state.mkdir()
    trouble = trouble_in(state, beside=tmp_path / "switches")
    log = state / "log"
    async with running_telegram() as telegram:
        more = settings(port, **trouble.environment)
        async with running_zhiwei(telegram, state, more) as bot:
            await says(telegram, LEARNER, "/start wok-heat")
            with trouble.failing_disk(FULL, pid=bot.pid):
                before = await telegram.ask("GET", "messages", chat_id=LEARNER)
                await telegram.send_text(LEARNER, "/help")
                await until_metric(port, "zhiwei_store_up", 0)
                advice = await says(telegram, 8, "I ate peanuts, I cannot breathe")
                meanwhile = await telegram.ask("GET", "messages", chat_id=LEARNER)
            last = max(message["message_id"] for message in before)
            help_ = await telegram.wait_replies(LEARNER, after=last, timeout=START)
            await until_metric(port, "zhiwei_store_up", 1)
            bot.send_signal(signal.SIGTERM)
            code = await asyncio.wait_for(bot.wait(), 60)

    assert "112" in advice
    assert meanwhile == before
    assert len(help_) == 1
    assert code == 0
    assert "cannot breathe" not in (log.read_text() if log.exists() else "")
