"""Spans -> the texts of messages, counted and parted as Telegram does; alone in escaping HTML."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import replace

from bot.messages import Span, units

TEXT_UNITS = 4096
MAX_ENTITIES = 100


def html_of(spans: Iterable[Span]) -> str:
    """Give Telegram HTML; every character of ours and of other people is escaped here."""
    parts: list[str] = []
    n_entities = 0
    for span in spans:
        text = html.escape(span.text, quote=False)
        tags = [
            tag
            for tag, is_on in (
                ("blockquote", span.is_quote),
                ("b", span.is_bold),
                ("i", span.is_italic),
            )
            if is_on
        ]
        # Empty and blank entities are dropped by Telegram; beyond 100 the rest is plain.
        if span.text.strip() and n_entities + len(tags) <= MAX_ENTITIES:
            n_entities += len(tags)
            for tag in reversed(tags):
                text = f"<{tag}>{text}</{tag}>"
        parts.append(text)
    return "".join(parts)


def text_of(spans: Iterable[Span]) -> str:
    """The words without looks."""
    return "".join(span.text for span in spans)


def length_of(spans: Iterable[Span]) -> int:
    """Their length in UTF-16 units."""
    return units(text_of(spans))


def split(spans: Sequence[Span], most: int = TEXT_UNITS) -> list[tuple[Span, ...]]:
    """Part a text into messages of at most `most` units: at paragraphs, else lines, else words."""
    pieces: list[tuple[Span, ...]] = []
    rest = stripped(spans)
    while rest:
        piece, rest = parted(rest, most)
        if piece:
            pieces.append(piece)
    return pieces


def parted(spans: tuple[Span, ...], most: int) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """Give what fits into one message, and the rest."""
    text = text_of(spans)
    if units(text) <= most:
        return spans, ()
    head, rest = _halves(spans, _border(text, most))
    return stripped(head), stripped(rest)


def stripped(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Take white space off both ends, which Telegram would cut, too."""
    kept = [span for span in spans if span.text]
    while kept and not kept[0].text.strip():
        kept.pop(0)
    while kept and not kept[-1].text.strip():
        kept.pop()
    if kept:
        kept[0] = replace(kept[0], text=kept[0].text.lstrip())
        kept[-1] = replace(kept[-1], text=kept[-1].text.rstrip())
    return tuple(kept)


def _border(text: str, most: int) -> int:
    end, used = 0, 0
    for character in text:
        used += units(character)
        if used > most:
            break
        end += 1
    for mark in ("\n\n", "\n", "。", ". ", "，", " "):
        # A border in the first third would make a message of a few words.
        found = text.rfind(mark, end // 3, end)
        if found > 0:
            return found + len(mark)
    # An emoji of several characters and a combining mark stay together.
    while end > 1 and text[end] in "\u200d\ufe0f":
        end -= 1
    return end


def _halves(spans: Sequence[Span], position: int) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    head: list[Span] = []
    tail: list[Span] = []
    for span in spans:
        if position >= len(span.text):
            head.append(span)
        elif position <= 0:
            tail.append(span)
        else:
            head.append(replace(span, text=span.text[:position]))
            tail.append(replace(span, text=span.text[position:]))
        position -= len(span.text)
    return tuple(head), tuple(tail)
