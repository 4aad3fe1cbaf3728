"""What the command line shows: progress with times, tables, errors in one line."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from bot.json_values import finite
from bot.redaction import install_redaction
from bot.settings import load_settings
from bot.wiring import Wired
from data.errors import ZhiweiError

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


class ProgressBoard:
    """One bar per slow step on a terminal; one line per finished step elsewhere."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=err
        )
        self._tasks: dict[str, TaskID] = {}
        self._started: dict[str, float] = {}
        self._is_live = err.is_terminal

    def tell(self, what: str, done: int, total: int) -> None:
        """Show how far a step is; `done == total` ends it."""
        self._started.setdefault(what, time.monotonic())
        if self._is_live:
            if what not in self._tasks:
                self._progress.start()
                self._tasks[what] = self._progress.add_task(what, total=max(total, 1))
            task = self._tasks[what]
            self._progress.update(task, completed=done, total=max(total, 1))
        if done >= total > 0:
            seconds = time.monotonic() - self._started.pop(what)
            if not self._is_live and seconds > 0.5:
                err.print(f"{what}: {seconds:.1f} s")

    def stop(self) -> None:
        if self._is_live:
            self._progress.stop()


@contextmanager
def progress_board() -> Iterator[ProgressBoard]:
    board = ProgressBoard()
    try:
        yield board
    finally:
        board.stop()


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """What we know how to explain ends with exit code 2 and one line, without a traceback."""
    try:
        yield
    except ZhiweiError as error:
        err.print(f"error: {error}", style="red", markup=False)
        raise typer.Exit(2) from None
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        name = error.filename or ""
        err.print(f"error: {name}: {error.strerror}; check the path", style="red", markup=False)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


@contextmanager
def wired() -> Iterator[Wired]:
    """Settings read, parts joined on demand, progress shown, errors in one line."""
    with errors_in_one_line(), progress_board() as board:
        parts = Wired(load_settings(), tell=board.tell)
        try:
            yield parts
        finally:
            if "store" in parts.__dict__:
                parts.store.close()


def print_json(value: object) -> None:
    """One JSON document on standard output; NaN becomes null."""
    sys.stdout.write(json.dumps(finite(value), ensure_ascii=False, default=str) + "\n")


def configure_logging(*, verbose: bool) -> None:
    """Log to standard error, never tokens; httpx would print the token with each request."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    install_redaction([])
