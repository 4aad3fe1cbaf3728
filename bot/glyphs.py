"""The font of our pictures: Noto Sans SC (OFL), found by its path in the package `zhplot`.

The package is not imported, since importing it changes matplotlib for everybody in the process.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import metadata
from pathlib import Path

from data.errors import SettingsError

_NAME = "NotoSansSC-Regular.ttf"


@lru_cache(maxsize=1)
def font_path() -> Path:
    """Give the font file.

    Raises:
        SettingsError: the package that brings it is not installed.
    """
    try:
        files = metadata.files("zhplot") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == _NAME:
            return Path(str(file.locate()))
    raise SettingsError(f"{_NAME} is missing; install zhiwei again (it comes with zhplot)")


@lru_cache(maxsize=1)
def _covered() -> frozenset[int]:
    from fontTools.ttLib import TTFont  # type: ignore[import-untyped]

    with TTFont(font_path(), lazy=True) as font:
        return frozenset(font.getBestCmap() or {})


def drawable(text: str) -> str:
    """Leave out what the font cannot draw (emoji, rare scripts), so that no box appears."""
    return "".join(c for c in text if ord(c) in _covered())


def missing_glyphs(text: str) -> frozenset[str]:
    """Give the characters that would be drawn as an empty box; white space is never drawn."""
    return frozenset(c for c in text if not c.isspace() and ord(c) not in _covered())
