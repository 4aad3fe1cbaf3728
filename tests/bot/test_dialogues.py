"""Dialogues as tests: each file of `tests/dialogues/` is replayed with the real model and understanding.

A line begins with its mark:

    # a note                     > what the person says; /command or [label] for a button
    < must appear in this turn   < /regular expression/      ! must not appear in this turn

Expectations of one turn are looked for in order, across its messages and button labels. The file
name begins with the client's language: `zh_...` or `en_...`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.fakes import Person, real_conversation

FOLDER = Path(__file__).parent.parent / "dialogues"
FILES = sorted(FOLDER.glob("*.txt"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_dialogue_goes_as_written(path: Path) -> None:
    person = Person(real_conversation(), language=path.stem[:2], name=path.stem)
    said, position = "", 0
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        mark, _, content = line.strip().partition(" ")
        place = f"{path.name}:{number}"
        match mark:
            case ">":
                said, position = _turn(person, content), 0
            case "<":
                found = _find(content, said, position)
                assert found is not None, f"{place}: no {content!r} after {position} in:\n{said}"
                position = found
            case "!":
                assert _find(content, said, 0) is None, f"{place}: {content!r} is in:\n{said}"
            case _:
                assert not mark or mark.startswith("#"), f"{place}: what is {line!r}?"


def _turn(person: Person, content: str) -> str:
    if content.startswith("["):
        person.presses(content.strip("[]"))
    elif content.startswith("/"):
        person.command(content)
    else:
        person.says(content)
    assert person.text.strip(), f"no answer to {content!r}"
    labels = "\n".join(f"[{label}]" for label in person.labels)
    return f"{person.text}\n{labels}"


def _find(wanted: str, said: str, position: int) -> int | None:
    """The end of the next occurrence from `position` on, or None."""
    if len(wanted) > 2 and wanted.startswith("/") and wanted.endswith("/"):
        match = re.compile(wanted[1:-1], re.DOTALL | re.IGNORECASE).search(said, position)
        return match.end() if match else None
    start = said.find(wanted, position)
    return None if start < 0 else start + len(wanted)


def test_there_are_dialogues_enough_in_both_languages() -> None:
    languages = [path.stem[:2] for path in FILES]
    assert languages.count("zh") >= 20
    assert languages.count("en") >= 20
