"""Who uses a database: everyone shares a lock, a restore needs it alone. Held until the file closes.

The lock lies beside the database, not in it, so that it also guards one that is damaged. The
kernel drops it when a process dies, however it dies.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data.errors import StoreError

if sys.platform != "win32":
    import fcntl


class FileLock:
    """A lock on `<path>.lock`, shared or exclusive."""

    def __init__(self, path: Path, *, exclusive: bool) -> None:
        """Take the lock at once or not at all.

        Raises:
            StoreError: Somebody else holds it in a way that excludes us.
        """
        self._descriptor: int | None = None
        try:
            descriptor = os.open(
                path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600
            )
        except OSError:
            # A folder that may only be read: nothing there can be replaced either.
            return
        if sys.platform != "win32":
            try:
                kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
                raise StoreError(
                    f"{path} is in use by a running bot or command; stop it and try again"
                    if exclusive
                    else f"{path} is being restored; wait until that has ended"
                ) from None
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back; doing so again does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


@contextmanager
def sole_use(path: Path) -> Iterator[None]:
    """Keep everybody else away from a database file.

    Raises:
        StoreError: It is in use.
    """
    lock = FileLock(path, exclusive=True)
    try:
        yield
    finally:
        lock.release()
