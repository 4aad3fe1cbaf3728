"""What comes in and what goes out, in words that no transport owns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from data.catalogue import ItemId
from data.events import SlateId, UserKey
from data.store import MessageClass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who wrote, as far as the core may know."""

    user_key: UserKey
    numeric_id: int | None = None
    """For the allow-lists of admins and creators only; never stored."""
    language_code: str = ""
    """What the client says, e.g. `zh-hans`; empty when unknown."""
    chat_kind: str = "private"
    """`private` or `group`."""
    channel: str = "terminal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """Something that a person did."""

    incoming_id: str
    """Unique for good, e.g. `tg:8812`; a repeat is recognised by it."""
    sender: Sender
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TextMessage(Incoming):
    """Free text."""

    text: str
    quoted: str = ""
    """The message that this one answers, if any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Incoming):
    """`/name argument`."""

    name: str
    argument: str = ""
    quoted: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ButtonPress(Incoming):
    """A button under one of our messages."""

    payload: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMessage(Incoming):
    """An uploaded file."""

    file_name: str
    content: bytes
    caption: str = ""
    problem: str = ""
    """Why there is no content: `large`, `unavailable`; empty when there is, or nobody asked."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of text with one look. Never markup: adapters escape it."""

    text: str
    is_bold: bool = False
    is_italic: bool = False
    is_quote: bool = False
    """A quotation of the lesson, set off as a block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """Something to press: an action of ours, or a link."""

    label: str
    payload: str = ""
    """At most 64 bytes; signed."""
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One item of a drawn picture: exactly words that stand in the message, too."""

    name: str
    number: int = 0
    """What people call it in a slate: 1, 2, 3; 0 for an item alone."""
    category: str = ""
    """Chooses shape and colour."""
    price: str = ""
    label: str = ""
    """What the label says about allergens."""
    reason: str = ""
    """The sentence that it goes with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """PNG or JPEG bytes, a link to a picture, or cards that the channel draws when it sends."""

    content: bytes = b""
    url: str = ""
    alternative: str = ""
    """The same in words, for the terminal and for screen readers."""
    cards: tuple[Card, ...] = ()
    """At most four. Drawn after the last check, so a message that is held back shows none."""
    caption: tuple[Span, ...] = ()
    """The message's words for under the picture, where they must be shorter than elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file for the person."""

    file_name: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One message of ours, or an edit of the one whose button was pressed."""

    spans: tuple[Span, ...] = ()
    buttons: tuple[tuple[Button, ...], ...] = ()
    """Rows of buttons."""
    picture: Picture | None = None
    document: Document | None = None
    is_edit: bool = False
    """Put it in the place of the message whose button was pressed."""
    notice: str = ""
    """A short line over the screen that answers the press itself."""
    slate_id: SlateId | None = None
    """Delivery of this message makes the slate's impressions facts."""
    item_ids: tuple[ItemId, ...] = ()
    """Items that the message shows; the last check before sending reads them."""
    message_class: MessageClass = MessageClass.ANSWER
    is_private: bool = False
    """Holds personal data: never sent into a group."""

    @property
    def text(self) -> str:
        """The words without looks."""
        return "".join(span.text for span in self.spans)


@dataclass(frozen=True, slots=True)
class Rich:
    """Builds spans line by line."""

    spans: list[Span] = field(default_factory=list)

    def add(self, text: str, *, bold: bool = False, italic: bool = False) -> Rich:
        self.spans.append(Span(text, is_bold=bold, is_italic=italic))
        return self

    def line(self, text: str = "", *, bold: bool = False, italic: bool = False) -> Rich:
        return self.add(text + "\n", bold=bold, italic=italic)

    def quote(self, text: str) -> Rich:
        self.spans.append(Span(text, is_quote=True))
        self.spans.append(Span("\n"))
        return self

    def done(self) -> tuple[Span, ...]:
        """The spans, without white space at the end."""
        spans = list(self.spans)
        while spans and not spans[-1].text.strip():
            spans.pop()
        if spans:
            last = spans[-1]
            spans[-1] = Span(last.text.rstrip(), last.is_bold, last.is_italic, last.is_quote)
        return tuple(spans)


CAPTION_UNITS = 1024
"""Words under a picture, in the narrowest channel that shows pictures."""


def units(text: str) -> int:
    """Give the length that chat programs count: UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, most: int) -> str:
    """Shorten to so many units with an ellipsis, between characters."""
    if units(text) <= most:
        return text
    kept, used = [], 1
    for character in text:
        used += units(character)
        if used > most:
            break
        kept.append(character)
    return "".join(kept).rstrip() + "…"


def plain(text: str) -> tuple[Span, ...]:
    """One plain span."""
    return (Span(text),)


def as_rows(buttons: Iterable[Button], per_row: int) -> tuple[tuple[Button, ...], ...]:
    """Lay buttons out in rows."""
    every = list(buttons)
    return tuple(tuple(every[i : i + per_row]) for i in range(0, len(every), per_row))
