"""Deep-link payloads for lessons: at most 64 characters of [A-Za-z0-9_-], no personal data."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from data.catalogue import Lesson, LessonId

MAX_PAYLOAD = 64
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,36}")
_PREFIXES = ("", "lesson_", "lesson-", "l_", "l-")


def payload_for(lesson_id: LessonId) -> str:
    """Give the payload: the id itself where it fits, else a digest of it.

    36 characters at most, so that it also fits into a signed button.
    """
    if _PLAIN.fullmatch(lesson_id):
        return lesson_id
    return "h" + hashlib.sha256(lesson_id.encode()).hexdigest()[:20]


def lesson_for(payload: str, lessons: Iterable[Lesson]) -> LessonId | None:
    """Give the lesson that a payload names, or None; a `lesson_` before the id is understood."""
    if len(payload) > MAX_PAYLOAD:
        return None
    known = {lesson.lesson_id for lesson in lessons}
    for prefix in _PREFIXES:
        bare = LessonId(payload.removeprefix(prefix))
        if payload.startswith(prefix) and bare in known:
            return bare
    return next((i for i in known if payload_for(i) == payload), None)
