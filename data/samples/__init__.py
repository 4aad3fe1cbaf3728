"""The small catalogue and lessons that come with the package, written for it."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

from data.catalogue import Catalogue
from data.errors import InvalidInput
from data.importing import read_items, read_lessons


def load_samples() -> Catalogue:
    """Give the shipped items and lessons.

    Raises:
        InvalidInput: A shipped file is missing or has a row that is not as it should be.
    """
    folder = files(__name__)
    with as_file(folder / "catalogue.csv") as path:
        items = read_items(path)
    with as_file(folder / "lessons.jsonl") as path:
        lessons = read_lessons(path)
    for problem in (*items.problems, *lessons.problems):
        raise InvalidInput(f"{problem}; the installation is damaged, so install zhiwei again")
    return Catalogue.of(items.records, lessons.records)


def sample_path(name: str) -> Path:
    """Give the path of a shipped file: `catalogue.csv`, `lessons.jsonl`."""
    return Path(__file__).parent / name
