"""The browser tests need Debian's chromium and chromedriver; without them they are skipped, saying so."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bot.studio_world import StudioParts
from tests.browser.server import browser_path, chromium, studio


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    is_there = bool(browser_path() and shutil.which("chromedriver"))
    if is_there or os.environ.get("ZHIWEI_REQUIRE_BROWSER"):
        return
    skip = pytest.mark.skip(
        reason="chromium and chromium-driver are not installed (Debian packages)"
    )
    for item in items:
        if here in item.path.parents:
            item.add_marker(skip)


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def page(driver: Any, tmp_path: Path) -> Iterator[tuple[Any, str, StudioParts]]:
    """A fresh studio, and the module's browser without cookies."""
    with studio(tmp_path) as (address, parts):
        driver.get(f"{address}/sign-in")
        driver.delete_all_cookies()
        driver.get_log("browser")  # what an earlier test left there is not ours
        yield driver, address, parts
        driver.get("about:blank")
