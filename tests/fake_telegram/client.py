"""The fake Telegram as a process of its own, driven over its control routes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from tests.fake_telegram.state import Json

_ROOT = Path(__file__).parents[2]


class RemoteTelegram:
    """A fake Telegram in another process; `ask` reaches every route of `control.py`."""

    def __init__(self, api_root: str, token: str, session: aiohttp.ClientSession) -> None:
        self.api_root = api_root
        self.token = token
        self._session = session

    async def ask(self, verb: str, name: str, **asked: Any) -> Any:
        """Call a control route and return its answer.

        Raises:
            LookupError: The server could not do it; the sentence says why.
        """
        where = f"{self.api_root}/control/{name}"
        if verb == "GET":
            query = {key: str(value) for key, value in asked.items()}
            request = self._session.get(where, params=query)
        else:
            request = self._session.request(verb, where, json=asked)
        async with request as response:
            answer = await response.json()
            if response.status != 200:
                raise LookupError(answer["error"])
            return answer

    async def send_text(self, user_id: int, text: str) -> Json:
        """Let a person write, and return the update."""
        update: Json = await self.ask("POST", "text", user_id=user_id, text=text)
        return update

    async def press(self, user_id: int, label: str) -> str:
        """Let a person press a button of the last keyboard, and return the callback's id."""
        answer = await self.ask("POST", "press", user_id=user_id, label=label)
        return str(answer["id"])

    async def wait_replies(
        self, user_id: int, *, after: int = 0, timeout: float = 5
    ) -> list[Json]:
        """Return the bot's messages with a greater id; an empty list when none came in time."""
        found: list[Json] = await self.ask(
            "GET", "wait", chat_id=user_id, after=after, timeout=timeout
        )
        return found

    async def fault(self, **fields: Any) -> None:
        """Let something go wrong; the fields are those of `faults.Fault`."""
        await self.ask("POST", "faults", **fields)

    async def stats(self) -> Json:
        """Return counters, latencies and backlog."""
        found: Json = await self.ask("GET", "stats")
        return found


@contextlib.asynccontextmanager
async def running_telegram(*arguments: str) -> AsyncIterator[RemoteTelegram]:
    """Start a server process on a free port and end it afterwards.

    Args:
        arguments: Further command line arguments of `tests.fake_telegram.server`.

    Raises:
        TimeoutError: It did not start within 20 seconds.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.fake_telegram.server",
        "--end-with-stdin",
        *arguments,
        cwd=_ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 20)
        said = json.loads(line)
        async with aiohttp.ClientSession() as session:
            yield RemoteTelegram(said["api_root"], said["token"], session)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.communicate(), 5)
        except TimeoutError:
            process.kill()
            await process.communicate()
