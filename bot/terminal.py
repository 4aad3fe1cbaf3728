"""The same conversation in a terminal, and from a script for tests and demonstrations."""

from __future__ import annotations

import itertools
import locale
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rich.console import Console
from rich.text import Text

from bot.buttons import user_key_for
from bot.conversation import Conversation
from bot.messages import Button, ButtonPress, Command, Incoming, Reply, Sender, TextMessage

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class TerminalChat:
    """Reads lines, shows messages; buttons are pressed by typing `[` number `]` or just its number."""

    conversation: Conversation
    secret: bytes
    console: Console
    person: str = "local"
    language_code: str = ""
    numeric_id: int | None = None
    clock: Clock = utc_now
    echo: bool = False
    """Print what was read, for scripts."""
    _buttons: list[Button] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _run: str = field(default_factory=lambda: uuid.uuid4().hex[:8])

    def run(self, lines: Iterable[str], *, lesson: str = "") -> None:
        """Greet, or open a lesson; answer every line, end at the end of input."""
        self._handle(self._incoming(f"/start {lesson}".rstrip()))
        for line in lines:
            text = line.rstrip("\r\n")
            if not text.strip():
                continue
            if text.strip() in {"/quit", "/exit"}:
                break
            if self.echo:
                self.console.print(Text(f"> {text}", style="bold"))
            self._handle(self._incoming(text))

    def _incoming(self, text: str) -> Incoming:
        sender = Sender(
            user_key=user_key_for(self.secret, "terminal", self.person),
            numeric_id=self.numeric_id,
            language_code=self.language_code or system_language(),
            channel="terminal",
        )
        incoming_id = f"t:{self._run}:{next(self._numbers)}"
        at = self.clock()
        button = self._pressed(text)
        if button is not None:
            return ButtonPress(
                incoming_id=incoming_id, sender=sender, at=at, payload=button.payload
            )
        if text.startswith("/"):
            name, _, argument = text[1:].partition(" ")
            return Command(
                incoming_id=incoming_id, sender=sender, at=at, name=name, argument=argument
            )
        return TextMessage(incoming_id=incoming_id, sender=sender, at=at, text=text)

    def _pressed(self, text: str) -> Button | None:
        bare = text.strip()
        if bare.startswith("[") and bare.endswith("]"):
            inside = bare[1:-1].strip()
            if inside.isdecimal() and 1 <= int(inside) <= len(self._buttons):
                return self._buttons[int(inside) - 1]
            return next((b for b in self._buttons if b.label == inside), None)
        return None

    def _handle(self, incoming: Incoming) -> None:
        replies = self.conversation.handle(incoming)
        if any(reply.buttons for reply in replies):
            self._buttons = []
        for reply in replies:
            checked = self.conversation.checked(reply, incoming)
            self._show(checked)
            self.conversation.delivered(checked, at=incoming.at)

    def _show(self, reply: Reply) -> None:
        if reply.notice:
            self.console.print(Text(f"({reply.notice})", style="dim"))
        if reply.spans:
            text = Text()
            for span in reply.spans:
                style = "bold" if span.is_bold else "italic" if span.is_italic else ""
                text.append(span.text, style="cyan" if span.is_quote else style)
            self.console.print(text)
        if reply.picture is not None and reply.picture.content:
            # Drawn cards only repeat the words above; a plot or a QR code is worth its name.
            self.console.print(Text(f"[{reply.picture.alternative}]", style="dim"))
        if reply.document is not None:
            self.console.print(Text(reply.document.content.decode("utf-8", "replace")))
        for row in reply.buttons:
            labels: list[str] = []
            for button in row:
                if button.url:
                    labels.append(f"{button.label}: {button.url}")
                else:
                    self._buttons.append(button)
                    labels.append(f"[{len(self._buttons)}] {button.label}")
            self.console.print(Text("  " + "   ".join(labels), style="green"))
        self.console.print()


def system_language() -> str:
    """The language of the terminal, as a client would say it."""
    code = locale.getlocale()[0] or ""
    return code.replace("_", "-")


def typed_lines(prompt: str = "> ") -> Iterator[str]:
    """Lines from the keyboard, or from a pipe, until the end of input."""
    while True:
        if sys.stdin.isatty():
            try:
                yield input(prompt)
            except EOFError:
                return
        else:
            line = sys.stdin.readline()
            if not line:
                return
            yield line
