"""The labelled utterances of `data/understanding`. Edge: reads package files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources

from bot.understanding.meaning import Intent
from data.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """One labelled message."""

    text: str
    lang: str
    intent: Intent
    slots: Mapping[str, object]
    group: str
    """Utterances of one template share it, so that no fold has siblings of another."""


def load_utterances(name: str | None = None) -> list[Utterance]:
    """Read one file, or every `utterances_*.jsonl` in the order of their names.

    The held-out sets are read only when they are named.

    Raises:
        InvalidInput: A line is no labelled utterance; the message names it.
    """
    if name is not None:
        return list(_read(name))
    folder = resources.files("data.understanding")
    files = sorted(
        file.name
        for file in folder.iterdir()
        if file.name.startswith("utterances_") and file.name.endswith(".jsonl")
    )
    return [row for file in files for row in _read(file)]


def _read(name: str) -> Iterator[Utterance]:
    content = (resources.files("data.understanding") / name).read_text(encoding="utf-8")
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            row = json.loads(line)
            yield Utterance(
                text=row["text"],
                lang=row["lang"],
                intent=Intent(row["intent"]),
                slots=row["slots"],
                group=row.get("group") or f"{name}:{number}",
            )
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInput(
                f"{name}:{number}: is no labelled utterance ({error});"
                " write text, lang, intent and slots."
            ) from error
