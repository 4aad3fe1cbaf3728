"""Bridges the moment between Telegram's "sent" and the store's commit.

A line is written to a file as soon as Telegram confirms a send. It outlives the process without
waiting for a disk or for another transaction, so a crash repeats only messages that were on the wire
at that moment. Losing the file costs a repeated message at worst; it holds ids only.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A send that Telegram confirmed."""

    outbox_id: str
    message_id: str
    slate_id: str = ""


class SentJournal:
    """Appends what was sent, and forgets it when the store has it. For one thread.

    Args:
        path: The file; None keeps nothing, for stores in memory.
    """

    def __init__(self, path: Path | None) -> None:
        self._file: int | None = None
        if path is not None:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._open: set[str] = set()

    @property
    def is_kept(self) -> bool:
        """Whether there is a file at all."""
        return self._file is not None

    def left(self) -> list[Sent]:
        """Give what a crash left; a torn or foreign line is passed over."""
        if self._file is None:
            return []
        size = os.fstat(self._file).st_size
        found = []
        for line in os.pread(self._file, size, 0).splitlines():
            try:
                outbox_id, message_id, slate_id = json.loads(line)
            except (ValueError, TypeError):
                continue
            found.append(
                Sent(outbox_id=str(outbox_id), message_id=str(message_id), slate_id=str(slate_id))
            )
        return found

    def note(self, sent: Sent) -> None:
        """Remember a send that the store does not have yet."""
        if self._file is None:
            return
        line = json.dumps([sent.outbox_id, sent.message_id, sent.slate_id]) + "\n"
        try:
            os.write(self._file, line.encode())
        except OSError:
            # A full disk; the commit that follows will say so.
            return
        self._open.add(sent.outbox_id)

    def forget(self, outbox_id: str) -> None:
        """The store has it; an empty journal is an empty file."""
        if self._file is None:
            return
        self._open.discard(outbox_id)
        if not self._open:
            os.ftruncate(self._file, 0)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
