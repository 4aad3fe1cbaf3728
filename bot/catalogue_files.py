"""Which catalogue is in force: the settings' files, else what was imported, else the samples."""

from __future__ import annotations

from pathlib import Path

from bot.settings import Settings
from data.catalogue import Catalogue
from data.errors import InvalidInput
from data.importing import Problem, read_items, read_lessons
from data.samples import sample_path


def read_catalogue(settings: Settings) -> tuple[Catalogue, tuple[Problem, ...]]:
    """The catalogue in force: settings, else what was imported, else the samples.

    Raises:
        InvalidInput: a file cannot be read, or has no usable item.
    """
    items_file = settings.catalogue or _imported(settings, "items") or sample_path("catalogue.csv")
    lessons_file = (
        settings.lessons or _imported(settings, "lessons") or sample_path("lessons.jsonl")
    )
    items = read_items(items_file)
    lessons = read_lessons(lessons_file)
    if not items.records:
        raise InvalidInput(
            f"{items_file} has no usable item; each row needs item_id and name_zh or name_en"
        )
    return Catalogue.of(items.records, lessons.records), (*items.problems, *lessons.problems)


def imported_path(settings: Settings, kind: str, suffix: str = ".jsonl") -> Path:
    """Where `zhiwei import` keeps a file of `kind` (items, lessons)."""
    return settings.state / "catalogue" / f"{kind}{suffix}"


def _imported(settings: Settings, kind: str) -> Path | None:
    for suffix in (".jsonl", ".csv", ".tsv"):
        path = imported_path(settings, kind, suffix)
        if path.exists():
            return path
    return None
