"""A zip of a course to its lessons. Nothing is unpacked to disk; each file goes to the guarded parser.

Whoever sends an archive also chooses its names, sizes and number of entries, so none of them is believed:
names are only shown, sizes are stated and then kept while reading, and what is too much is left out with
one line that says why.
"""

from __future__ import annotations

import io
import re
import stat
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath

from bot.lesson_files import (
    LARGEST_BYTES,
    SUFFIXES,
    LessonText,
    UnreadableFile,
    read_lesson_file,
)
from bot.studio.words import Refused, StudioWords
from data.vocabulary import Language

MOST_LESSONS = 100
MOST_ENTRIES = 2_000
MOST_UNPACKED_BYTES = 100 * 1024 * 1024
MOST_RATIO = 200
"""Unpacked to packed, of one entry of more than a million bytes; text seldom exceeds 20."""
LONGEST_LESSON = 40_000
"""Characters that are kept of one lesson, as of a pasted one."""
LONGEST_SECONDS = 90.0
"""For all files together."""
_WORKERS = 2
_RECORD = b"PK\x01\x02"
"""Begins the record of each entry in the directory of an archive."""
_ARCHIVES = frozenset({".zip", ".rar", ".7z", ".gz", ".tar", ".tgz", ".bz2", ".xz"})
_CLUTTER = frozenset({"thumbs.db", "desktop.ini"})

Read = Callable[[str, bytes], LessonText]


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseLesson:
    """One file that could be read."""

    name: str
    """Its path inside the archive."""
    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """One file that could not; `key` names the sentence."""

    name: str
    key: str

    def told(self, language: Language) -> str:
        """The fact and the remedy, in one line."""
        return StudioWords(language)(
            self.key, name=self.name, mb=LARGEST_BYTES // (1024 * 1024), most=MOST_LESSONS
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What an archive holds, in the order of its names, numbers counted as numbers."""

    title: str
    lessons: tuple[CourseLesson, ...]
    left_out: tuple[LeftOut, ...] = ()


class UnreadableCourse(Refused):
    """An archive that gives nothing at all; `key` names the sentence."""

    def __init__(self, key: str, name: str) -> None:
        """Take the sentence's key and the archive's name."""
        mb = MOST_UNPACKED_BYTES // (1024 * 1024)
        super().__init__(key, name=name, entries=MOST_ENTRIES, mb=mb)


def read_course(
    name: str,
    content: bytes,
    *,
    read: Read = read_lesson_file,
    monotonic: Callable[[], float] = time.monotonic,
) -> Course:
    """Read every lesson of an archive.

    Args:
        name: Of the uploaded file, for its title and for messages.
        content: The archive; its length is limited by whoever takes uploads.
        read: The parser of one file; raises `UnreadableFile`.
        monotonic: Seconds, for the limit on all files together.

    Raises:
        UnreadableCourse: it is no archive, is damaged, has too many entries, unpacks to too much, or
            no lesson in it can be read.
    """
    shown = _shown(name)
    # Reading the directory takes memory per entry, so entries are counted before.
    if content.count(_RECORD) > 10 * MOST_ENTRIES:
        raise UnreadableCourse("course.entries", shown)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            found, left_out = _contents(archive, shown)
    # zipfile says NotImplementedError of a compression or version that it does not know.
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, OSError, ValueError):
        raise UnreadableCourse("course.broken", shown) from None
    lessons, unread = _parsed(found, read, monotonic)
    if not lessons:
        raise UnreadableCourse("course.empty", shown)
    return Course(
        title=PurePosixPath(shown).stem[:100],
        lessons=tuple(lessons),
        left_out=(*left_out, *unread),
    )


def _contents(
    archive: zipfile.ZipFile, shown: str
) -> tuple[list[tuple[str, bytes]], list[LeftOut]]:
    """The bytes of each lesson file, and what is left out without being looked into."""
    entries = archive.infolist()
    if len(entries) > MOST_ENTRIES:
        raise UnreadableCourse("course.entries", shown)
    if sum(entry.file_size for entry in entries) > MOST_UNPACKED_BYTES:
        raise UnreadableCourse("course.unpacked", shown)
    found: list[tuple[str, bytes]] = []
    left_out: list[LeftOut] = []
    seen: set[str] = set()
    for name, entry in sorted(((_name(e), e) for e in entries), key=lambda p: _natural(p[0])):
        if entry.is_dir() or _is_clutter(name):
            continue
        key = _objection(name, entry, seen, len(found))
        seen.add(name.casefold())
        if not key:
            try:
                with archive.open(entry) as file:
                    found.append((_shown(name), file.read(LARGEST_BYTES + 1)))
                continue
            except (zipfile.BadZipFile, NotImplementedError, OSError, EOFError, ValueError):
                key = "file.broken"
            except RuntimeError:  # how zipfile tells of a password
                key = "file.encrypted"
        left_out.append(LeftOut(name=_shown(name), key=key))
    return found, left_out


def _objection(name: str, entry: zipfile.ZipInfo, seen: set[str], n_found: int) -> str:
    """Why an entry is not read; empty when it may be."""
    path = PurePosixPath(name)
    suffix = path.suffix.casefold()
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name) or "\0" in name:
        return "course.name"
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "course.link"
    if suffix in _ARCHIVES:
        return "course.nested"
    if suffix not in SUFFIXES:
        return "file.kind"
    if name.casefold() in seen:
        return "course.twice"
    if entry.flag_bits & 0x1:
        return "file.encrypted"
    if entry.file_size > LARGEST_BYTES:
        return "file.large"
    if entry.file_size > 1_000_000 and entry.file_size > MOST_RATIO * max(1, entry.compress_size):
        return "file.unpacked"
    return "course.many" if n_found >= MOST_LESSONS else ""


def _parsed(
    found: list[tuple[str, bytes]], read: Read, monotonic: Callable[[], float]
) -> tuple[list[CourseLesson], list[LeftOut]]:
    until = monotonic() + LONGEST_SECONDS

    def one(entry: tuple[str, bytes]) -> CourseLesson | LeftOut:
        name, content = entry
        if monotonic() > until:
            return LeftOut(name=name, key="course.time")
        try:
            told = read(PurePosixPath(name).name, content)
        except UnreadableFile as error:
            return LeftOut(name=name, key=f"file.{error.key}")
        return CourseLesson(name=name, title=told.title, text=told.text[:LONGEST_LESSON])

    with ThreadPoolExecutor(_WORKERS) as workers:
        results = list(workers.map(one, found))
    return (
        [result for result in results if isinstance(result, CourseLesson)],
        [result for result in results if isinstance(result, LeftOut)],
    )


def _name(entry: zipfile.ZipInfo) -> str:
    """The name as its author wrote it; older Chinese packers wrote GB18030 without saying so."""
    name = entry.filename
    if not entry.flag_bits & 0x800:
        try:
            raw = name.encode("cp437")
        except UnicodeEncodeError:
            raw = b""
        for encoding in ("utf-8", "gb18030") if raw and not raw.isascii() else ():
            try:
                name = raw.decode(encoding)
                break
            except UnicodeDecodeError:
                continue
    return name.replace("\\", "/")


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Lesson 2 comes before lesson 10."""
    parts = re.findall(r"[0-9]{1,9}|[^0-9]+|[0-9]+", name.casefold())
    return [(0, int(p), "") if p.isdigit() and len(p) < 10 else (1, 0, p) for p in parts]


def _is_clutter(name: str) -> bool:
    """What computers put into archives by themselves."""
    path = PurePosixPath(name)
    return (
        path.name.startswith((".", "~$"))
        or path.name.casefold() in _CLUTTER
        or "__MACOSX" in path.parts
    ) and ".." not in path.parts


def _shown(name: str) -> str:
    clean = "".join(c for c in name if c.isprintable())
    return (clean if len(clean) <= 80 else f"…{clean[-79:]}") or "file"
