"""Pictures of every page for the documentation: `python -m tests.browser.screenshots [FOLDER]`.

Chinese and English, desktop and phone width. The bundled model and the samples are used, and a made-up
history of made-up people, so that the figures have something to show.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image
from selenium.webdriver.common.by import By

from bot.settings import Settings
from bot.studio.app import build_app
from bot.studio.visit import utc_now
from bot.wiring import Wired
from tests.browser.history import invent
from tests.browser.server import chromium, served

PAGES = {
    "chat": "/chat?lesson=wok-heat",
    "pairings": "/pairings?lesson=wok-heat",
    "catalogue": "/catalogue",
    "figures": "/figures?period=90d",
    "people": "/people",
    "coverage": "/coverage?course=*",
    "item": "/catalogue/item?id=bok-choy-shanghai",
    "learning": "/figures/learning",
    "golden": "/golden",
}
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}


def shrink(file: Path) -> None:
    """Pages have few colours; 128 of them look the same at a third of the bytes."""
    with Image.open(file) as picture:
        small = picture.convert("RGB").quantize(128, dither=Image.Dither.NONE)
    small.save(file, optimize=True)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as state:
        # The argument is pydantic-settings' own, which its types do not know.
        parts = Wired(Settings(_env_file=None, state=Path(state)))  # type: ignore[call-arg]
        parts.engines.current()
        _ = parts.conversation
        invent(parts.store, parts.engines.current().catalogue, until=utc_now(), n_slates=1_500)
        with served(build_app(parts, public=False)) as address:
            for size, (width, height) in SIZES.items():
                for language in ("zh", "en"):
                    with chromium(width=width, height=height, language=language) as driver:
                        driver.set_page_load_timeout(
                            180
                        )  # the first coverage map reads every lesson
                        for name, path in PAGES.items():
                            driver.get(f"{address}/language/{language}?next=/sign-in")
                            driver.get(f"{address}{path}")
                            for image in driver.find_elements(By.TAG_NAME, "img"):
                                driver.execute_script("arguments[0].loading = 'eager'", image)
                            driver.set_script_timeout(20)
                            driver.execute_async_script(
                                "const done = arguments[0];"
                                "Promise.all([...document.images].map(i => i.decode().catch(() => 0)))"
                                ".then(() => { scrollTo(0, 0); done(); })"
                            )
                            file = folder / f"{name}-{language}-{size}.png"
                            driver.save_screenshot(str(file))
                            shrink(file)
                            sys.stdout.write(f"{file}\n")
        parts.store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/pictures"))
