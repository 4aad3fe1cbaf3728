"""Lesson files to text: .txt .md .html .srt .vtt .docx .pdf, parsed in a process of their own.

A file from outside may be built to use up memory or time. So the parser runs apart, with limits that the
operating system keeps, and all that comes back is text or the name of a problem.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bot.studio.words import StudioWords
from data.errors import InvalidInput
from data.vocabulary import Language

LARGEST_BYTES = 10 * 1024 * 1024
SUFFIXES = (".txt", ".md", ".html", ".htm", ".srt", ".vtt", ".docx", ".pdf")
LONGEST_TEXT = 200_000
"""Characters that are kept of one file."""
TIMEOUT_SECONDS = 20.0
_PARSER = Path(__file__).with_name("lesson_parsing.py")
_KNOWN = frozenset(
    {"broken", "empty", "encrypted", "pages", "unpacked", "not_text", "mismatch", "resources"}
)


@dataclass(frozen=True, slots=True)
class LessonText:
    """What a file says."""

    title: str
    """Its own title or first heading, else the file's name without its ending."""
    text: str
    is_cut: bool = False
    """Whether it was longer than `LONGEST_TEXT`."""


class UnreadableFile(InvalidInput):
    """A file that gives no text; `key` names the sentence for people."""

    def __init__(self, key: str, name: str) -> None:
        self.key = key
        self.name = name
        super().__init__(self.told(Language.EN))

    def told(self, language: Language) -> str:
        """The fact and the remedy, in one line."""
        return StudioWords(language)(
            f"file.{self.key}", name=self.name, mb=LARGEST_BYTES // (1024 * 1024)
        )


def read_lesson_file(
    name: str, content: bytes, *, timeout_seconds: float = TIMEOUT_SECONDS
) -> LessonText:
    """Give the text of a lesson file.

    Raises:
        UnreadableFile: it is too large, of another kind, broken, encrypted, empty, or built to use up
            time or memory.
    """
    shown = "".join(c for c in name if c.isprintable())[:80] or "file"
    suffix = Path(shown.casefold()).suffix
    if suffix not in SUFFIXES:
        raise UnreadableFile("kind", shown)
    if len(content) > LARGEST_BYTES:
        raise UnreadableFile("large", shown)
    if not content.strip():
        raise UnreadableFile("empty", shown)
    try:
        # -I: nothing of the surroundings is imported; the parser needs the standard library and pypdf.
        done = subprocess.run(  # noqa: S603  our own file, fixed arguments
            [sys.executable, "-I", str(_PARSER), suffix],
            input=content,
            capture_output=True,
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UnreadableFile("resources", shown) from None
    return _understood(done, shown)


def _understood(done: subprocess.CompletedProcess[bytes], name: str) -> LessonText:
    try:
        told = json.loads(done.stdout)
    except ValueError:
        # Killed by a limit, so that not even a problem could be named.
        raise UnreadableFile("resources" if done.returncode else "broken", name) from None
    problem = str(told.get("problem", ""))
    if problem:
        raise UnreadableFile(problem if problem in _KNOWN else "broken", name)
    text = str(told.get("text", "")).strip()
    if not text:
        raise UnreadableFile("empty", name)
    title = str(told.get("title", "")).strip() or Path(name).stem
    return LessonText(title[:200], text[:LONGEST_TEXT], len(text) > LONGEST_TEXT)
