"""Who was forgotten, kept beside the database, so that a restore forgets them again.

It does so also when the database is lost, and with it every tombstone newer than the backup. One
line of JSON for each erasure, only ever appended to, with a salted hash and a moment: it recognises a
person's key and names nobody. Copy the file away as often as you like.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable
from pathlib import Path

from data.errors import StoreError

Tombstone = tuple[str, str, str, str]
"""Receipt id, moment as ISO text in UTC, salt, hashed key."""
SUFFIX = ".erased"


class ErasureLedger:
    """The tombstones of one database, in a file of their own.

    Args:
        database: The event store; the file lies beside it.
    """

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(database.name + SUFFIX)

    def read(self) -> list[Tombstone]:
        """Give all tombstones; a line that a crash tore is passed over.

        Raises:
            StoreError: The file is there and cannot be read.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(
                f"{self.path} cannot be read ({error.strerror}); it says who must stay forgotten, "
                "so put it right before you restore"
            ) from error
        found = []
        for line in content.splitlines():
            try:
                parts = json.loads(line)
            except ValueError:
                continue
            if isinstance(parts, list) and len(parts) == 4:
                receipt_id, at, salt, hashed = (str(part) for part in parts)
                found.append((receipt_id, at, salt, hashed))
        return found

    def add(self, tombstones: Iterable[Tombstone]) -> None:
        """Append those that are missing; when this returns, they are on disk.

        Raises:
            StoreError: They cannot be written.
        """
        known = {receipt_id for receipt_id, *_ in self.read()}
        lines = [json.dumps(each) + "\n" for each in tombstones if each[0] not in known]
        if not lines:
            return
        try:
            self._append("".join(lines).encode())
        except OSError as error:
            raise StoreError(
                f"{self.path} cannot be written ({error.strerror}), so nobody was erased; "
                "check the rights of its folder and the free space"
            ) from error

    def _append(self, content: bytes) -> None:
        is_new = not self.path.exists()
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            size = os.fstat(file).st_size
            if size and os.pread(file, 1, size - 1) != b"\n":
                content = b"\n" + content
            if os.write(file, content) < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file)
        finally:
            os.close(file)
        if is_new:
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
