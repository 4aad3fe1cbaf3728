"""Installs and runs the emulator, with the gateway in front of it, for the length of a test."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.emulator.gateway import Gateway
from tests.emulator.user import EmulatorUser

FOLDER = Path(__file__).parent
VERSION = "4.2.1"
TOKEN = "666:emulated-telegram-token"


class MissingEmulatorError(Exception):
    """The emulator cannot run here; the text says why."""


def installed_or_skip() -> None:
    """Install the emulator once; where that is impossible, skip the test, or fail it in CI."""
    try:
        install()
    except MissingEmulatorError as missing:
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(f"{missing}; CI must run this test", pytrace=False)
        pytest.skip(str(missing))


def install() -> None:
    """Install the pinned version into `node_modules` beside this file, unless it is there.

    Raises:
        MissingEmulatorError: There is no node or npm, or npm failed.
    """
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise MissingEmulatorError(f"{program} is not installed")
    lock_path = Path(tempfile.gettempdir()) / f"zhiwei-emulator-{os.getuid()}.lock"
    with lock_path.open("w") as lock:
        # Two test runs at once would disturb each other's npm.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _installed_version() == VERSION:
            return
        command = ["npm", "install", "--prefix", str(FOLDER), "--no-package-lock"]
        command += ["--no-audit", "--no-fund", "--ignore-scripts"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=180)
        except subprocess.TimeoutExpired:
            raise MissingEmulatorError("npm install took more than 180 seconds") from None
        if done.returncode or _installed_version() != VERSION:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise MissingEmulatorError(f"npm install failed: {last}")


def _installed_version() -> str | None:
    manifest = FOLDER / "node_modules" / "telegram-test-api" / "package.json"
    try:
        return str(json.loads(manifest.read_text())["version"])
    except (OSError, ValueError, KeyError):
        return None


class Emulator:
    """The running pair: where a bot finds it, and its users."""

    def __init__(self, gateway: Gateway, emulator_root: str) -> None:
        self.gateway = gateway
        self.api_root = gateway.api_root
        self.token = TOKEN
        self._emulator_root = emulator_root

    def user(self, user_id: int = 7, *, language_code: str = "en") -> EmulatorUser:
        """Return a user who talks to the bot in a private chat."""
        return EmulatorUser(self.gateway, self._emulator_root, self.token, user_id, language_code)


@contextlib.asynccontextmanager
async def running_emulator() -> AsyncIterator[Emulator]:
    """Run emulator and gateway on free ports; the emulator must be installed."""
    async with _node() as root, aiohttp.ClientSession() as session:
        gateway = Gateway(root, session)
        await gateway.start()
        try:
            yield Emulator(gateway, root)
        finally:
            await gateway.stop()


@contextlib.asynccontextmanager
async def _node() -> AsyncIterator[str]:
    port = _free_port()
    process = await asyncio.create_subprocess_exec(
        "node",
        str(FOLDER / "start.js"),
        str(port),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 20)
        if line.strip() != b"listening":
            raise MissingEmulatorError(f"the emulator did not start on port {port}: {line!r}")
        yield f"http://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.communicate(), 5)
        except TimeoutError:
            process.kill()
            await process.communicate()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
