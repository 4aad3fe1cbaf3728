"""Drawn cards: an item as a picture, and a whole slate as one. Shapes and colours are our own.

For items without a photo, so that a chat is no wall of text. The words on a card also stand in the
message, since a picture tells a screen reader nothing.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from bot.card_shapes import BANNER, COLOURS, draw_shape, look_of
from bot.glyphs import drawable, font_path
from bot.messages import Card

WIDTH, HEIGHT = 600, 400
SLATE_WIDTH = 800
"""A row of a slate fills the width of a phone, so that its words can be read there."""
MOST_CARDS = 4
_PANEL = 184
_INK, _SOFT, _PAPER = "#1d2320", "#4b5650", "#fffdf8"


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font_path(), size)


def picture_of(cards: Sequence[Card]) -> bytes:
    """Give the picture of a message as PNG: a slate, one item alone, or a plain banner for none."""
    if not cards:
        return banner()
    if len(cards) == 1 and not cards[0].number:
        return item_card(cards[0])
    return slate_card(tuple(cards))


@lru_cache(maxsize=256)
def item_card(card: Card, *, width: int = WIDTH) -> bytes:
    """Give the card of an item as PNG; the height is two thirds of the width."""
    image = _drawn(card)
    if width != WIDTH:
        image = image.resize((width, width * HEIGHT // WIDTH), Image.Resampling.LANCZOS)
    return _png(image)


@lru_cache(maxsize=128)
def slate_card(cards: tuple[Card, ...]) -> bytes:
    """Give up to four items as one PNG, one below the other, numbered as in the message."""
    if not cards:
        raise ValueError("a slate card needs an item")
    rows = [_row(card) for card in cards[:MOST_CARDS]]
    image = Image.new("P", (SLATE_WIDTH, sum(row.height for row in rows)))
    image.putpalette(_palette().getpalette() or [])
    y = 0
    for row in rows:
        image.paste(row, (0, y))
        y += row.height
    return _png(image)


@lru_cache(maxsize=1)
def banner() -> bytes:
    """Give a picture that shows no item, for where a message must have one."""
    colour, shape = BANNER
    image = Image.new("RGB", (SLATE_WIDTH, _PANEL), colour)
    draw_shape(ImageDraw.Draw(image), shape, colour, x=SLATE_WIDTH // 2)
    return _png(_reduced(image))


@lru_cache(maxsize=96)
def _row(card: Card) -> Image.Image:
    """One item of a slate: its look at the left, its words at the right, in the common palette."""
    colour, shape = look_of(card.category)
    left, most = _PANEL + 24, SLATE_WIDTH - _PANEL - 48
    blocks = [
        _Block(card.name, 38, most, most_lines=2, is_bold=True),
        _Block(card.price, 28, most, most_lines=1, shade=_SOFT_SHADE),
        _Block(card.reason, 23, most - 16, most_lines=3, indent=16),
        _Block(card.label, 21, most, most_lines=3, shade=_SOFT_SHADE),
    ]
    height = max(_PANEL, 28 + sum(block.height for block in blocks) + 12)
    image = Image.new("P", (SLATE_WIDTH, height), _PAPER_SHADE)
    image.putpalette(_palette().getpalette() or [])
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 0, _PANEL - 1, height), fill=_shade_of(colour))
    image.paste(_symbol(colour, shape), (_PANEL // 2 - 75, height // 2 - 68))
    if card.number:
        pen.ellipse((10, 10, 54, 54), fill=_PAPER_SHADE)
        number = str(card.number)
        _write(image, 32 - round(_width(number, 28) / 2), 12, number, 28)
    y = 12
    for block in blocks:
        if block.indent and block.lines:
            pen.rectangle((left, y + 4, left + 3, y + block.height - 2), fill=_shade_of(colour))
        for line in block.lines:
            _write(
                image, left + block.indent, y, line, block.size, block.shade,
                is_bold=block.is_bold,
            )  # fmt: skip
            y += block.step
        y += 4
    pen.line((_PANEL, height - 1, SLATE_WIDTH, height - 1), fill=_LINE_SHADE, width=2)
    return image


class _Block:
    """Words of one size, broken into lines."""

    def __init__(
        self, text: str, size: int, width: int, *, most_lines: int,
        shade: int = 0, indent: int = 0, is_bold: bool = False,
    ) -> None:  # fmt: skip
        self.lines = _wrapped(drawable(text), size, width, most=most_lines)
        self.size, self.shade, self.indent, self.is_bold = size, shade, indent, is_bold
        self.step = size + size // 4 + 3
        self.height = len(self.lines) * self.step


def _write(
    image: Image.Image, x: int, y: int, line: str, size: int, shade: int = 0,
    *, is_bold: bool = False,
) -> None:  # fmt: skip
    """Put words on paper from pictures of words: rendering them each time takes most of a slate."""
    at = float(x)
    for piece in _pieces(line):
        word = _word(piece.rstrip(), size, is_bold)
        if word is not None:
            mask, left, top = word
            image.paste(shade, (round(at) + left, y + top), mask)
        at += _width(piece, size)


@lru_cache(maxsize=4096)
def _word(text: str, size: int, is_bold: bool) -> tuple[Image.Image, int, int] | None:
    """The word as a mask, and where it begins; None when there is nothing to see."""
    stroke = 0.6 if is_bold else 0.0
    left, top, right, bottom = (
        round(side) for side in _font(size).getbbox(text, stroke_width=stroke)
    )
    if right <= left or bottom <= top:
        return None
    mask = Image.new("L", (right - left + 2, bottom - top + 2))
    place = (1 - left, 1 - top)
    ImageDraw.Draw(mask).text(place, text, font=_font(size), fill=255, stroke_width=stroke)
    return mask, left - 1, top - 1


@lru_cache(maxsize=8192)
def _width(text: str, size: int) -> float:
    return _font(size).getlength(text)


@lru_cache(maxsize=64)
def _symbol(colour: str, shape: str) -> Image.Image:
    image = Image.new("RGB", (210, 190), colour)
    draw_shape(ImageDraw.Draw(image), shape, colour, x=105)
    return _reduced(image.resize((150, 136), Image.Resampling.LANCZOS))


_RAMP, _TINTS = 16, 5
_PAPER_SHADE, _SOFT_SHADE, _LINE_SHADE = _RAMP - 1, 3, _RAMP - 2


@lru_cache(maxsize=1)
def _palette() -> Image.Image:
    """One palette for every picture, so that rows are pasted together as they are.

    The first 16 shades lead from ink to paper in even steps: words that are blended as numbers of
    shades come out as blended colours. Then 5 tints of each look, from its colour to white.
    """
    colours = [_blend(_INK, _PAPER, step / (_RAMP - 1)) for step in range(_RAMP)]
    for colour in COLOURS:
        colours += [_blend(colour, "#ffffff", step / (_TINTS - 1)) for step in range(_TINTS)]
    image = Image.new("P", (1, 1))
    image.putpalette([part for colour in colours for part in colour])
    return image


def _shade_of(colour: str) -> int:
    return _RAMP + _TINTS * COLOURS.index(colour)


def _blend(first: str, second: str, share: float) -> tuple[int, int, int]:
    a, b = (tuple(int(c[at : at + 2], 16) for at in (1, 3, 5)) for c in (first, second))
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


def _reduced(image: Image.Image) -> Image.Image:
    return image.quantize(palette=_palette(), dither=Image.Dither.NONE)


def _drawn(card: Card) -> Image.Image:
    name, price, label = (drawable(part) for part in (card.name, card.price, card.label))
    colour, shape = look_of(card.category)
    image = Image.new("RGB", (WIDTH, HEIGHT), _PAPER)
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 0, WIDTH, 190), fill=colour)
    draw_shape(pen, shape, colour, x=WIDTH // 2)
    y = 204
    for line in _wrapped(name, 40, WIDTH - 48, most=2):
        pen.text((24, y), line, font=_font(40), fill=_INK)
        y += 50
    pen.text((24, y + 2), price, font=_font(28), fill=_SOFT)
    y += 44
    for line in _wrapped(label, 22, WIDTH - 48, most=max(1, (HEIGHT - y - 6) // 29)):
        pen.text((24, y), line, font=_font(22), fill=_SOFT)
        y += 29
    return image


def _wrapped(text: str, size: int, width: int, *, most: int) -> list[str]:
    """Break between words, or between characters where there are no spaces; the rest is an ellipsis."""
    lines: list[str] = []
    line, used = "", 0.0
    for piece in _pieces(text):
        if line and used + _width(piece.rstrip(), size) > width:
            lines.append(line.rstrip())
            line, used = "", 0.0
        line, used = line + piece, used + _width(piece, size)
        while used > width and _width(line.rstrip(), size) > width and len(line) > 1:
            # A word longer than the card.
            cut = next(n for n in range(len(line), 0, -1) if _width(line[:n], size) <= width)
            lines.append(line[:cut])
            line = line[cut:]
            used = _width(line, size)
    if line.strip():
        lines.append(line.rstrip())
    if len(lines) > most:
        last = lines[most - 1]
        while last and _width(last + "…", size) > width:
            last = last[:-1]
        lines = [*lines[: most - 1], last.rstrip() + "…"]
    return lines


def _pieces(text: str) -> list[str]:
    pieces: list[str] = []
    for character in " ".join(text.split()):
        is_wide = ord(character) > 0x2E80
        if (
            pieces
            and not is_wide
            and not pieces[-1].endswith(" ")
            and ord(pieces[-1][-1]) <= 0x2E80
        ) or (pieces and character in "，。、；：！？）」』”’…,.;:!?)"):
            pieces[-1] += character
        else:
            pieces.append(character)
    return pieces


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    # A higher level takes three times as long to save a fifth.
    image.save(file, "PNG", compress_level=2)
    return file.getvalue()
