"""`python -m tests.faults.load`: a crowd writes to the bot, and a bare echo bot is the measure.

Two figures: how many simple commands a second pass through Zhiwei and through an echo bot made with
the same library, and what a steady crowd of 50 messages a second sees. The fake Telegram, the bot
and this program are processes of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

from tests.fake_telegram.client import RemoteTelegram, running_telegram

ROOT = Path(__file__).parents[2]
SIMPLE = ("/help", "/privacy", "/lessons")
MIXED = (*SIMPLE, "/start", "/me", "/why", "I just finished a lesson about tomatoes", "cheaper")


def echo(api_root: str, token: str) -> None:
    """Run the bare echo bot."""
    from telegram import Update
    from telegram.ext import ApplicationBuilder, ContextTypes, MessageHandler, filters

    async def answer(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        assert update.message is not None
        await update.message.reply_text(update.message.text or "")

    bot = (
        ApplicationBuilder().token(token).base_url(f"{api_root}/bot").concurrent_updates(4).build()
    )
    bot.add_handler(MessageHandler(filters.TEXT, answer))
    bot.run_polling(timeout=5)


def zhiwei(api_root: str, token: str, database: Path, *, is_real: bool) -> None:
    """Run Zhiwei over a database file; `is_real` with the bundled model and understanding."""
    from bot.telegram_app import TelegramOptions, run_polling
    from data.sqlite_store import SqliteEventStore
    from tests import fakes

    store = SqliteEventStore(database)
    build = fakes.real_conversation if is_real else fakes.build_conversation
    conversation = build(store=store)
    options = TelegramOptions(
        token=token,
        secret=fakes.SECRET,
        api_root=api_root,
        quotas=None,
        poll_seconds=5,
        registers_menu=False,
        journal=database.with_suffix(".sent"),
    )
    asyncio.run(run_polling(conversation, store, options))


@asynccontextmanager
async def running(kind: str, telegram: RemoteTelegram, folder: Path) -> AsyncIterator[int]:
    """Run a bot of a kind until the block ends; gives its process id."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.faults.load",
        "--run",
        kind,
        "--api",
        telegram.api_root,
        "--token",
        telegram.token,
        "--database",
        str(folder / f"{kind}-{time.monotonic_ns()}.db"),
        cwd=ROOT,
        env=os.environ | {"NO_PROXY": "127.0.0.1"},
    )
    try:
        await telegram.send_text(1, "/help")
        if not await telegram.wait_replies(1, timeout=180):
            raise RuntimeError(f"the {kind} bot did not answer")
        yield process.pid
    finally:
        process.terminate()
        await process.wait()


async def throughput(kind: str, folder: Path, *, n_messages: int) -> dict[str, float]:
    """Give how many simple commands a second a bot answers when they all come at once.

    The processor time of each tells the same where other programs take the machine.
    """
    async with running_telegram() as telegram, running(kind, telegram, folder) as pid:
        before = (await telegram.stats())["answered"]
        await telegram.ask(
            "POST", "load", rate=5000, seconds=n_messages / 5000, zipf=0.0, texts=["/help"]
        )
        started, used = time.monotonic(), cpu_seconds(pid)
        while (await telegram.stats())["answered"] < before + n_messages:
            if time.monotonic() - started > 120:
                raise RuntimeError(f"the {kind} bot did not answer everything in 120 s")
            await asyncio.sleep(0.05)
        return {
            "per_second": n_messages / (time.monotonic() - started),
            "cpu_ms": 1000 * (cpu_seconds(pid) - used) / n_messages,
        }


async def steady(
    kind: str, folder: Path, *, rate: float, seconds: float, texts: tuple[str, ...]
) -> dict[str, Any]:
    """Give what a steady crowd of 500 people saw, and how memory and backlog went."""
    async with running_telegram() as telegram, running(kind, telegram, folder) as pid:
        await telegram.ask(
            "POST", "load", rate=rate, seconds=seconds, texts=list(texts), presses=0.3
        )
        memory: list[float] = []
        backlog: list[int] = []
        while not (stats := await telegram.stats())["loads"][0]["is_done"]:
            memory.append(resident_megabytes(pid))
            backlog.append(stats["unanswered"])
            await asyncio.sleep(min(5.0, seconds / 12))
        await asyncio.sleep(2)
        stats = await telegram.stats()
        third = max(1, len(memory) // 3)
        return {
            "messages": stats["loads"][0]["sent"],
            "unanswered": stats["unanswered"],
            "p50": stats["latency_p50"],
            "p95": stats["latency_p95"],
            "max": stats["latency_max"],
            "backlog_first_third": max(backlog[:third]),
            "backlog_last_third": max(backlog[-third:]),
            "megabytes_after_a_third": memory[third - 1],
            "megabytes_at_the_end": memory[-1],
            "megabytes": [round(one) for one in memory[:: max(1, len(memory) // 20)]],
            # People press the same button twice, and nothing changes; the bot knows that answer.
            "failures": Counter(
                failure
                for failure in await telegram.ask("GET", "failures")
                if "message is not modified" not in failure
            ),
        }


def cpu_seconds(pid: int) -> float:
    """Give the processor time that a process used so far."""
    parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def resident_megabytes(pid: int) -> float:
    """Give the resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Carry out the whole measurement."""
    with tempfile.TemporaryDirectory(prefix="zhiwei-load-") as name:
        folder = Path(name)
        figures: dict[str, Any] = {}
        runs: dict[str, list[dict[str, float]]] = {"echo": [], "zhiwei": []}
        # In turns, so that what else the machine does strikes both.
        for _ in range(options.rounds):
            for kind, done in runs.items():
                done.append(await throughput(kind, folder, n_messages=options.messages))
        for kind, done in runs.items():
            figures[kind] = {name: median(one[name] for one in done) for name in done[0]}
        figures["share_of_echo"] = figures["zhiwei"]["per_second"] / figures["echo"]["per_second"]
        figures["steady"] = await steady(
            options.kind,
            folder,
            rate=options.rate,
            seconds=options.seconds,
            texts=MIXED if options.kind == "real" else SIMPLE,
        )
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kind", choices=["zhiwei", "real"], default="real")
    parser.add_argument("--run", default="", help=argparse.SUPPRESS)
    parser.add_argument("--api", default="", help=argparse.SUPPRESS)
    parser.add_argument("--token", default="", help=argparse.SUPPRESS)
    parser.add_argument("--database", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run == "echo":
        echo(options.api, options.token)
    elif options.run:
        zhiwei(options.api, options.token, options.database, is_real=options.run == "real")
    else:
        print(json.dumps(asyncio.run(measure(options)), indent=2))


if __name__ == "__main__":
    main()
