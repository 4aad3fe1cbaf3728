"""A studio on a free port of this machine, and a real browser before it."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette

from bot.glyphs import font_path
from bot.studio.app import build_app
from tests.bot.studio_world import StudioParts, parts_in
from tests.fakes import FakeClock


def browser_path() -> str:
    """Debian's chromium, or an empty string."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or ""


@contextmanager
def served(app: Starlette) -> Iterator[str]:
    """Serve in a thread; gives the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", ws="none")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started:
        if time.monotonic() > until:
            raise TimeoutError("the studio did not start within 20 seconds")
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


@contextmanager
def studio(folder: Path, **settings: object) -> Iterator[tuple[str, StudioParts]]:
    parts = parts_in(folder, **settings)
    with served(build_app(parts, public=False, clock=FakeClock())) as address:
        yield address, parts
    parts.store.close()


@contextmanager
def chromium(*, width: int = 1280, height: int = 900, language: str = "en") -> Iterator[Any]:
    """A headless browser of that size and language."""
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = browser_path()
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--hide-scrollbars", "--force-prefers-reduced-motion", f"--window-size={width},{height}", f"--lang={language}",
    ):  # fmt: skip
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"intl.accept_languages": language})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # A machine without Chinese fonts shows boxes; the font of our pictures serves the browser too.
    with tempfile.TemporaryDirectory() as folder:
        fonts = Path(folder) / "fonts.conf"
        fonts.write_text(
            '<?xml version="1.0"?><fontconfig><include ignore_missing="yes">/etc/fonts/fonts.conf'
            f"</include><dir>{font_path().parent}</dir><cachedir>{folder}</cachedir></fontconfig>"
        )
        service = Service(
            shutil.which("chromedriver"), env={**os.environ, "FONTCONFIG_FILE": str(fonts)}
        )
        driver = webdriver.Chrome(options=options, service=service)
        yield from _opened(driver, width, height)


def _opened(driver: Any, width: int, height: int) -> Iterator[Any]:
    driver.set_page_load_timeout(30)
    if (
        width < 500
    ):  # the window of a headless browser is never that narrow; the page's metrics are
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 2, "mobile": True},
        )
    try:
        yield driver
    finally:
        driver.quit()
