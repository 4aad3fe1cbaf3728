"""Takes texts among the lessons: the lessons in force plus these, in the state folder."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from bot.studio.state_files import write_whole
from bot.studio.words import Refused
from bot.wiring import Wired, imported_path, read_catalogue
from data.catalogue import Lesson, LessonId

_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A text that shall become a lesson."""

    title: str
    text: str
    course: str = ""

    def lesson(self) -> Lesson:
        """The lesson; its id depends on the text alone, so that the same text is added once."""
        digest = hashlib.sha256(self.text.encode()).hexdigest()[:12]
        return Lesson(
            lesson_id=LessonId(f"own-{digest}"),
            title=self.title.strip(),
            text=self.text,
            course=self.course.strip(),
        )


def keep(wired: Wired, *, title: str, text: str, course: str = "") -> Lesson:
    """Add one lesson and put it into force.

    Raises:
        InvalidInput: the lessons come from a file of the settings, which is not ours to change.
    """
    draft = Draft(title=title, text=text, course=course)
    keep_all(wired, [draft])
    known = wired.engines.current().catalogue.lessons_by_id
    return known.get(draft.lesson().lesson_id, draft.lesson())


def keep_all(wired: Wired, drafts: Sequence[Draft]) -> int:
    """Add lessons and put them into force together; gives how many were new.

    Raises:
        InvalidInput: the lessons come from a file of the settings, which is not ours to change.
    """
    if wired.settings.lessons is not None:
        raise Refused("pairings.fixed_lessons", file=wired.settings.lessons.name)
    with _LOCK:
        catalogue, _ = read_catalogue(wired.settings)
        found = {draft.lesson().lesson_id: draft.lesson() for draft in drafts}
        new = [le for i, le in found.items() if i not in catalogue.lessons_by_id]
        if not new:
            return 0
        target = imported_path(wired.settings, "lessons")
        target.parent.mkdir(parents=True, exist_ok=True)
        lines = [_line(one) for one in (*catalogue.lessons, *new)]
        write_whole(target, "".join(lines).encode())
        for other in target.parent.glob("lessons.*"):
            if other != target:
                other.unlink()
        # A new snapshot is the signal on which every running process reads the catalogue again.
        wired.build_index()
    return len(new)


def _line(lesson: Lesson) -> str:
    fields = {
        "lesson_id": lesson.lesson_id,
        "title": lesson.title,
        "text": lesson.text,
        "course": lesson.course,
        "lang": lesson.lang,
        "domain": lesson.domain,
        "audience": lesson.audience,
        "url": lesson.url,
    }
    return json.dumps(fields, ensure_ascii=False) + "\n"
