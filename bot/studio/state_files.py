"""Small JSON lists in the state folder, written whole and in one step."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bot.studio.words import Refused

Rows = list[dict[str, Any]]
_LOCK = threading.Lock()


class StateFile:
    """A list of records that people may read and edit by hand while nobody serves."""

    def __init__(self, state: Path, name: str) -> None:
        self._path = state / "studio" / name

    def read(self) -> Rows:
        """Give the records; an absent file has none.

        Raises:
            InvalidInput: somebody edited it into something else.
        """
        try:
            rows = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return []
        except ValueError:
            raise Refused("studio.no_json", file=self._path.name) from None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise Refused("studio.no_json", file=self._path.name)
        return rows

    def change(self, how: Callable[[Rows], Rows]) -> Rows:
        """Replace the records by what `how` makes of them, and give those."""
        with _LOCK:
            rows = how(self.read())
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(
                self._path, (json.dumps(rows, ensure_ascii=False, indent=1) + "\n").encode()
            )
        return rows


def write_whole(path: Path, content: bytes) -> None:
    """Put a file in place in one step: readers see the old one or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.new")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def newest(folder: Path, n: int) -> None:
    """Keep only the `n` files of a folder that were written last."""
    files = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in files[n:]:
        old.unlink(missing_ok=True)
