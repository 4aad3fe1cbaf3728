"""What the creators' tools of the chat keep at hand between two presses. In memory only.

All of it can be made again from the catalogue and the store, save texts that somebody pasted.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime

from bot.coverage import Maps
from bot.engine import Engine
from bot.unsure_pairs import Pair, UnsurePairs, measure
from data.catalogue import Catalogue, Item, ItemId, Lesson, LessonId
from data.events import UserKey

HANDLE_CHARACTERS = 10
_MOST_CHARACTERS = 4_000_000
_MOST_TEXTS = 200
_MOST_PEOPLE = 200


def handle_of(name: str) -> str:
    """Ten characters of [A-Za-z0-9_-] that stand for an id or a text in a button.

    Two ids and a grade must fit into 64 signed bytes, and ids may be of any length. 60 bits of
    SHA-256: a million ids collide with probability 4e-7.
    """
    digest = hashlib.sha256(name.encode("utf-8", "replace")).digest()
    return base64.urlsafe_b64encode(digest).decode()[:HANDLE_CHARACTERS]


def named(handle: str, names: Iterable[str]) -> str | None:
    """The one of a few names that a handle stands for."""
    return next((name for name in names if handle_of(name) == handle), None)


class CreatorsDesk:
    """One for each running conversation; safe to use from several threads."""

    def __init__(self) -> None:
        self.maps = Maps()
        self.rounds: OrderedDict[UserKey, tuple[Pair, ...]] = OrderedDict()
        """Who judges, and the pairs of their round in order."""
        self._skipped: dict[UserKey, set[Pair]] = {}
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._handles: tuple[Catalogue, dict[str, ItemId], dict[str, LessonId]] | None = None
        self._unsure: tuple[tuple[object, ...], UnsurePairs] | None = None
        self._lock = threading.Lock()
        self._measuring = threading.Lock()

    def keep_text(self, text: str) -> str:
        """Keep a pasted text for the buttons under its preview; gives its handle."""
        handle = handle_of(text)
        with self._lock:
            self._texts[handle] = text
            self._texts.move_to_end(handle)
            while len(self._texts) > 1 and (
                len(self._texts) > _MOST_TEXTS
                or sum(map(len, self._texts.values())) > _MOST_CHARACTERS
            ):
                self._texts.popitem(last=False)
        return handle

    def text(self, handle: str) -> str | None:
        """A text that was kept; None after a restart, or when many came after it."""
        return self._texts.get(handle)

    def item(self, catalogue: Catalogue, handle: str) -> Item | None:
        """The item that a handle stands for, while the catalogue has it."""
        item_id = self._names(catalogue)[0].get(handle)
        return catalogue.items_by_id[item_id] if item_id is not None else None

    def lesson(self, catalogue: Catalogue, handle: str) -> Lesson | None:
        lesson_id = self._names(catalogue)[1].get(handle)
        return catalogue.lessons_by_id[lesson_id] if lesson_id is not None else None

    def _names(self, catalogue: Catalogue) -> tuple[dict[str, ItemId], dict[str, LessonId]]:
        known = self._handles
        if known is None or known[0] is not catalogue:
            known = (
                catalogue,
                {handle_of(item.item_id): item.item_id for item in catalogue.items},
                {handle_of(lesson.lesson_id): lesson.lesson_id for lesson in catalogue.lessons},
            )
            self._handles = known
        return known[1], known[2]

    def unsure(self, engine: Engine, *, at: datetime) -> UnsurePairs:
        """The pairs worth asking about; measured once for an index, its lessons and a day."""
        lessons = tuple(lesson.lesson_id for lesson in engine.catalogue.lessons)
        key = (engine.matcher.version, lessons, at.date())
        # Who comes while another one measures waits for the same result.
        with self._measuring:
            if self._unsure is None or self._unsure[0] != key:
                self._unsure = (key, measure(engine, at=at))
            return self._unsure[1]

    def begin(self, user_key: UserKey, pairs: tuple[Pair, ...]) -> None:
        """Remember somebody's round; the oldest one of many is forgotten."""
        with self._lock:
            self.rounds[user_key] = pairs
            self.rounds.move_to_end(user_key)
            while len(self.rounds) > _MOST_PEOPLE:
                forgotten, _ = self.rounds.popitem(last=False)
                self._skipped.pop(forgotten, None)

    def skip(self, user_key: UserKey, pair: Pair) -> None:
        """Not now: the pair comes again when nothing else is left, or after a restart."""
        with self._lock:
            self._skipped.setdefault(user_key, set()).add(pair)

    def skipped(self, user_key: UserKey) -> frozenset[Pair]:
        return frozenset(self._skipped.get(user_key, ()))

    def forget(self, user_key: UserKey) -> None:
        """Drop what is kept under somebody's key."""
        with self._lock:
            self.rounds.pop(user_key, None)
            self._skipped.pop(user_key, None)

    def forget_skips(self, user_key: UserKey) -> None:
        with self._lock:
            self._skipped.pop(user_key, None)
