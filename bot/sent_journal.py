"""Bridges the moments that the store cannot: between a request, Telegram's "sent", and the commit.

A line is written before a send goes out, and another one as soon as Telegram confirmed it. They
outlive the process without waiting for a disk or for another transaction; so a crash repeats only
messages that were on the wire at that moment, and the next start knows which these are. Losing the
file costs a repeated message at worst; it holds ids only.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

LARGEST_BYTES = 256 * 1024
"""A journal that never gets empty, since somebody always waits, is written anew at this size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A send that Telegram confirmed."""

    outbox_id: str
    message_id: str
    slate_id: str = ""


class SentJournal:
    """Appends what is being sent and what was, and forgets it when the store has it. For one thread.

    Args:
        path: The file; None keeps nothing, for stores in memory.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: int | None = None
        if path is not None:
            self._file = _open(path)
        self._open: dict[str, bytes] = {}
        """The last line of each message that the store does not have yet."""
        self._n_bytes = 0
        self._is_torn = False
        """The last line is not whole, so the next one must not follow it directly."""

    def left(self) -> list[Sent]:
        """Give the confirmed sends that a crash left; a torn or foreign line is passed over."""
        return [
            Sent(outbox_id=line[0], message_id=line[1], slate_id=line[2])
            for line in self._lines()
            if len(line) == 3
        ]

    def unclear(self) -> list[str]:
        """Give the messages that were on the wire at a crash: nobody knows whether they arrived."""
        last: dict[str, int] = {}
        for line in self._lines():
            last[line[0]] = len(line)
        return [outbox_id for outbox_id, n_parts in last.items() if n_parts == 1]

    def begin(self, outbox_id: str) -> bool:
        """Remember that a send goes out now; False when the disk refused to."""
        return self._file is None or self._write(outbox_id, [outbox_id])

    def note(self, sent: Sent) -> bool:
        """Remember a send that the store does not have yet; True when a crash cannot repeat it."""
        line = [sent.outbox_id, sent.message_id, sent.slate_id]
        return self._file is not None and self._write(sent.outbox_id, line)

    def forget(self, outbox_id: str) -> None:
        """The store has it, or it was not sent; an empty journal is an empty file."""
        if self._file is None:
            return
        last = self._open.pop(outbox_id, b"")
        if self._open and last and last == _line([outbox_id]):
            # Begun and not sent, which the lines that stay must not hide.
            self._append([outbox_id, "not sent"])
        with contextlib.suppress(OSError):
            if not self._open:
                os.ftruncate(self._file, 0)
                self._n_bytes, self._is_torn = 0, False
            elif self._n_bytes > LARGEST_BYTES:
                self._write_anew()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _lines(self) -> list[list[str]]:
        if self._file is None:
            return []
        lines = []
        for raw in os.pread(self._file, os.fstat(self._file).st_size, 0).splitlines():
            try:
                line = json.loads(raw)
            except ValueError:
                continue
            if isinstance(line, list) and len(line) in (1, 2, 3):
                lines.append([str(part) for part in line])
        return lines

    def _write(self, outbox_id: str, line: list[str]) -> bool:
        is_written = self._append(line)
        if is_written or outbox_id in self._open:
            self._open[outbox_id] = _line(line)
        return is_written

    def _append(self, line: list[str]) -> bool:
        assert self._file is not None
        whole = (b"\n" if self._is_torn else b"") + _line(line)
        n_written = 0
        # A full disk; whoever asked must know, and the commit that follows will say so.
        with contextlib.suppress(OSError):
            n_written = os.write(self._file, whole)
        self._n_bytes += n_written
        self._is_torn = n_written < len(whole) and (n_written > 0 or self._is_torn)
        return n_written == len(whole)

    def _write_anew(self) -> None:
        assert self._path is not None
        assert self._file is not None
        fresh = self._path.with_name(self._path.name + ".new")
        fresh.unlink(missing_ok=True)
        file = _open(fresh)
        try:
            whole = b"".join(self._open.values())
            fits = os.write(file, whole) == len(whole)
            if fits:
                fresh.replace(self._path)
        except OSError:
            os.close(file)
            raise
        if not fits:
            os.close(file)
            return
        os.close(self._file)
        self._file = file
        self._n_bytes, self._is_torn = len(whole), False


def _line(parts: list[str]) -> bytes:
    return json.dumps(parts).encode() + b"\n"


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
