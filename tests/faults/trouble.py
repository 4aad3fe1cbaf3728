"""Trouble that is switched on and off while a bot runs: a disk that fails, a clock that jumps.

The switches lie in a small shared file. The bot's clock reads its offset there; a library that is
preloaded into the bot (`faulty_disk.c`) reads there which calls on its folder shall fail, and lets
them fail with the errno of a full or broken disk. Without a C compiler a limit on the size of files
takes its place: the kernel then refuses to let them grow.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import resource
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

_SOURCE = Path(__file__).with_name("faulty_disk.c")
_DISK = struct.Struct("=iiii")
_CLOCK = struct.Struct("=d")
_CLOCK_AT = 64
_BYTES = 4096
CONTROL = "FAULTY_DISK_CONTROL"
FOLDER = "FAULTY_DISK_FOLDER"

WRITES, SYNCS, READS = 1, 2, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFault:
    """What goes wrong with a disk."""

    error: int
    kinds: int

    @property
    def name(self) -> str:
        return errno.errorcode[self.error]


FULL = DiskFault(error=errno.ENOSPC, kinds=WRITES)
BROKEN = DiskFault(error=errno.EIO, kinds=WRITES | SYNCS)
UNSYNCED = DiskFault(error=errno.EIO, kinds=SYNCS)
UNREADABLE = DiskFault(error=errno.EIO, kinds=WRITES | SYNCS | READS)


class Trouble:
    """The switches of one folder.

    Args:
        control: The shared file; made when it is missing.
        folder: Only its files are struck.
        library: The preloaded one; None when it could not be compiled.
    """

    def __init__(self, control: Path, folder: Path, library: Path | None) -> None:
        self._folder = folder.resolve()
        self._control = control
        self._library = library
        with control.open("a+b") as file:
            file.truncate(_BYTES)
            self._map = mmap.mmap(file.fileno(), _BYTES)

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to be struck."""
        found = {CONTROL: str(self._control), FOLDER: str(self._folder)}
        if self._library is not None:
            found["LD_PRELOAD"] = str(self._library)
        return found

    @property
    def n_struck(self) -> int:
        """How many calls failed so far."""
        return int(_DISK.unpack_from(self._map)[3])

    @contextlib.contextmanager
    def failing_disk(self, fault: DiskFault, *, pid: int, after: int = 0) -> Iterator[None]:
        """Let the disk of a process fail within the block, once `after` calls went well."""
        if self._library is None:
            with _no_file_may_grow(pid):
                yield
            return
        self._set(fault.error, fault.kinds, after)
        try:
            yield
        finally:
            self._set(0, 0, 0)

    def set_clock(self, offset: timedelta) -> None:
        """Let the bot's clock go wrong by so much from now on."""
        _CLOCK.pack_into(self._map, _CLOCK_AT, offset.total_seconds())

    def _set(self, error: int, kinds: int, after: int) -> None:
        # The error last: who sees it sees the rest.
        _DISK.pack_into(self._map, 0, 0, kinds, after, self.n_struck)
        _DISK.pack_into(self._map, 0, error, kinds, after, self.n_struck)


@contextlib.contextmanager
def _no_file_may_grow(pid: int) -> Iterator[None]:
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, most))
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))


class ShiftedClock:
    """The wall clock, wrong by what the switches say."""

    def __init__(self, control: Path) -> None:
        with control.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _BYTES)

    def __call__(self) -> datetime:
        (seconds,) = _CLOCK.unpack_from(self._map, _CLOCK_AT)
        return datetime.now(UTC) + timedelta(seconds=seconds)


def clock_from_environment() -> ShiftedClock:
    """Give the clock of a process that was started in the environment of a `Trouble`."""
    return ShiftedClock(Path(os.environ[CONTROL]))


def compiled(folder: Path) -> Path | None:
    """Give the library that fails on command, or None where nothing can compile or preload it."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    library = folder / "faulty_disk.so"
    done = subprocess.run(
        [compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(_SOURCE), "-ldl"],
        capture_output=True,
        check=False,
    )
    return library if done.returncode == 0 else None


def trouble_in(folder: Path, *, beside: Path) -> Trouble:
    """Give the switches for the files of `folder`; its own files lie `beside` it."""
    beside.mkdir(parents=True, exist_ok=True)
    return Trouble(beside / "control", folder, compiled(beside))
