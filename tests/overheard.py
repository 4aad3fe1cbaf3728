"""What people say in the running test, and what our code and its libraries log meanwhile.

People of `tests.fakes` and of the fake Telegram tell it here; `conftest.py` compares after each test.
"""

from __future__ import annotations

import logging
import re
from collections import deque

SHORTEST = 12
"""Characters; shorter texts, such as a command, stand in log lines by chance."""
OURS = frozenset(
    {"bot", "data", "index", "recommender", "telegram", "httpx", "httpcore", "aiohttp", "uvicorn"}
)
TOKEN = re.compile(r"\d{4,}(?::|%3[Aa])[A-Za-z0-9_-]{18,}")

_said: deque[str] = deque(maxlen=20_000)


def note(text: object) -> None:
    """Remember that somebody said this."""
    if isinstance(text, str) and len(text.strip()) >= SHORTEST:
        _said.append(text.strip())


def forget_all() -> None:
    """Begin another test."""
    _said.clear()


class Ear(logging.Handler):
    """Keeps what is logged by our packages and the libraries that see what people say."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: deque[str] = deque(maxlen=20_000)

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.split(".")[0] in OURS:
            self.lines.append(self.format(record))

    def leaks(self) -> list[str]:
        """Give the lines that hold a token or what somebody said."""
        whole = "\n".join(self.lines)
        told = {text for text in set(_said) if text in whole}
        return [
            line[:300]
            for line in self.lines
            if TOKEN.search(line) or any(text in line for text in told)
        ]
