"""Drawn cards: an item as a picture, and a whole slate as one. Shapes and colours are our own.

For items without a photo, so that a chat is no wall of text. The words on a card also stand in the
message, since a picture tells a screen reader nothing.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from bot.glyphs import drawable, font_path
from bot.messages import Card

WIDTH, HEIGHT = 600, 400
SLATE_WIDTH = 800
"""A row of a slate fills the width of a phone, so that its words can be read there."""
MOST_CARDS = 4
_PANEL = 184
_INK, _SOFT, _PAPER, _LINE = "#1d2320", "#4b5650", "#fffdf8", "#e6e2d8"

_LOOKS: dict[str, tuple[str, str]] = {
    "vegetable": ("#4c9a5b", "leaf"), "fruit": ("#e2703a", "ball"), "mushroom": ("#a98467", "cap"),
    "herb_spice": ("#6a994e", "leaf"), "fish": ("#4a86b8", "fish"), "shellfish": ("#d9767b", "shell"),
    "pork": ("#d48a8a", "steak"), "beef": ("#a4433f", "steak"), "lamb": ("#b06a5b", "steak"),
    "poultry": ("#d9a05b", "drum"), "egg": ("#e9c46a", "egg"), "dairy": ("#7fa8c9", "bottle"),
    "grain": ("#cfa349", "grain"), "bread": ("#bf8040", "loaf"), "noodle": ("#d6a85c", "bowl"),
    "bean": ("#8a6f3e", "bean"), "soy": ("#b7a36a", "cube"), "nut": ("#96633a", "bean"),
    "oil_condiment": ("#8f7a1f", "bottle"), "tea_drink": ("#5b8f7b", "cup"),
    "snack": ("#c9693f", "bag"), "sweet": ("#c76b98", "ball"), "frozen": ("#6d9dc5", "flake"),
    "ready_to_eat": ("#7a7f52", "bowl"),
}  # fmt: skip
_OTHER = ("#6b7a72", "bowl")


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
    colour, shape = _OTHER
    image = Image.new("RGB", (SLATE_WIDTH, _PANEL), colour)
    _shape(ImageDraw.Draw(image), shape, colour, x=SLATE_WIDTH // 2)
    return _png(_reduced(image))


@lru_cache(maxsize=96)
def _row(card: Card) -> Image.Image:
    """One item of a slate: its look at the left, its words at the right, in the common palette."""
    colour, shape = _LOOKS.get(card.category, _OTHER)
    left, most = _PANEL + 24, SLATE_WIDTH - _PANEL - 48
    blocks = [
        (_wrapped(drawable(card.name), 38, most, most=2), 38, _INK, 47),
        (_wrapped(drawable(card.price), 28, most, most=1), 28, _SOFT, 37),
        (_wrapped(drawable(card.reason), 23, most - 16, most=3), 23, _INK, 31),
        (_wrapped(drawable(card.label), 21, most, most=3), 21, _SOFT, 28),
    ]
    n_quoted = len(blocks[2][0])
    height = max(_PANEL, 28 + sum(len(lines) * step for lines, _, _, step in blocks) + 12)
    image = Image.new("RGB", (SLATE_WIDTH, height), _PAPER)
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 0, _PANEL - 1, height), fill=colour)
    image.paste(_symbol(colour, shape), (_PANEL // 2 - 75, height // 2 - 68))
    if card.number:
        pen.ellipse((10, 10, 54, 54), fill=_PAPER)
        pen.text((32, 32), str(card.number), font=_font(28), fill=_INK, anchor="mm")
    y = 12
    for lines, size, fill, step in blocks:
        is_reason = size == 23
        if is_reason and n_quoted:
            pen.rectangle((left, y + 4, left + 3, y + n_quoted * step + 2), fill=colour)
        for line in lines:
            is_name = size == 38
            pen.text(
                (left + 16 * is_reason, y), line, font=_font(size), fill=fill,
                stroke_width=0.6 if is_name else 0,
            )  # fmt: skip
            y += step
        y += 4
    pen.line((_PANEL, height - 1, SLATE_WIDTH, height - 1), fill=_LINE, width=2)
    return _reduced(image)


@lru_cache(maxsize=64)
def _symbol(colour: str, shape: str) -> Image.Image:
    image = Image.new("RGB", (210, 190), colour)
    _shape(ImageDraw.Draw(image), shape, colour, x=105)
    return image.resize((150, 136), Image.Resampling.LANCZOS)


@lru_cache(maxsize=1)
def _palette() -> Image.Image:
    """One palette for every picture: pasting rows together then needs no search for colours."""
    colours = [_blend(_INK, _PAPER, step / 23) for step in range(24)]
    colours += [_blend(_SOFT, _PAPER, step / 15) for step in range(16)]
    colours += [_blend(_INK, "#ffffff", 0.0), _blend(_LINE, _LINE, 0.0)]
    for colour, _ in dict.fromkeys((*_LOOKS.values(), _OTHER)):
        colours += [_blend(colour, "#ffffff", step / 4) for step in range(5)]
    colours = list(dict.fromkeys(colours))
    image = Image.new("P", (1, 1))
    image.putpalette([part for colour in colours for part in colour])
    return image


def _blend(first: str, second: str, share: float) -> tuple[int, int, int]:
    a, b = (tuple(int(c[at : at + 2], 16) for at in (1, 3, 5)) for c in (first, second))
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


def _reduced(image: Image.Image) -> Image.Image:
    return image.quantize(palette=_palette(), dither=Image.Dither.NONE)


def _drawn(card: Card) -> Image.Image:
    name, price, label = (drawable(part) for part in (card.name, card.price, card.label))
    colour, shape = _LOOKS.get(card.category, _OTHER)
    image = Image.new("RGB", (WIDTH, HEIGHT), _PAPER)
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 0, WIDTH, 190), fill=colour)
    _shape(pen, shape, colour)
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
    font = _font(size)
    lines: list[str] = []
    line = ""
    for piece in _pieces(text):
        if line and font.getlength((line + piece).rstrip()) > width:
            lines.append(line.rstrip())
            line = piece.lstrip()
        else:
            line += piece
        while (
            font.getlength(line.rstrip()) > width and len(line) > 1
        ):  # a word longer than the card
            cut = next(n for n in range(len(line), 0, -1) if font.getlength(line[:n]) <= width)
            lines.append(line[:cut])
            line = line[cut:]
    if line.strip():
        lines.append(line.rstrip())
    if len(lines) > most:
        last = lines[most - 1]
        while last and font.getlength(last + "…") > width:
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


def _shape(pen: ImageDraw.ImageDraw, shape: str, colour: str, *, x: int = WIDTH // 2) -> None:
    """One simple white shape in the middle of the coloured panel, 210 wide and 190 high."""
    y, w = 95, "#ffffff"
    match shape:
        case "leaf":
            pen.pieslice((x - 95, y - 95, x + 95, y + 95), 290, 430, fill=w)
            pen.pieslice((x - 35, y - 95, x + 155, y + 95), 110, 250, fill=w)
            pen.line((x - 70, y + 70, x + 62, y - 42), fill=w, width=6)
        case "ball":
            pen.ellipse((x - 60, y - 50, x + 60, y + 70), fill=w)
            pen.line((x, y - 48, x + 14, y - 80), fill=w, width=8)
        case "cap":
            pen.pieslice((x - 80, y - 70, x + 80, y + 70), 180, 360, fill=w)
            pen.rounded_rectangle((x - 24, y - 4, x + 24, y + 70), 16, fill=w)
        case "fish":
            pen.ellipse((x - 90, y - 42, x + 60, y + 42), fill=w)
            pen.polygon([(x + 45, y), (x + 105, y - 45), (x + 105, y + 45)], fill=w)
            pen.ellipse((x - 64, y - 14, x - 50, y), fill=colour)
        case "shell":
            pen.pieslice((x - 80, y - 60, x + 80, y + 100), 180, 360, fill=w)
            for k in range(-2, 3):
                pen.line((x, y + 20, x + 34 * k, y - 52 + 6 * abs(k)), fill=colour, width=4)
        case "steak":
            pen.rounded_rectangle((x - 90, y - 48, x + 90, y + 52), 48, fill=w)
            pen.ellipse((x + 28, y - 20, x + 62, y + 14), fill=colour)
        case "drum":
            pen.ellipse((x - 80, y - 55, x + 30, y + 45), fill=w)
            pen.line((x + 5, y + 20, x + 80, y + 60), fill=w, width=18)
            pen.ellipse((x + 68, y + 42, x + 98, y + 72), fill=w)
        case "egg":
            pen.ellipse((x - 52, y - 70, x + 52, y + 70), fill=w)
        case "bottle":
            pen.rounded_rectangle((x - 36, y - 30, x + 36, y + 76), 14, fill=w)
            pen.rectangle((x - 14, y - 72, x + 14, y - 20), fill=w)
            pen.rectangle((x - 36, y + 6, x + 36, y + 40), fill=colour)
        case "grain":
            pen.line((x, y + 78, x, y - 60), fill=w, width=6)
            for k in range(4):
                top = y - 50 + 30 * k
                pen.ellipse((x - 44, top - 4, x - 6, top + 22), fill=w)
                pen.ellipse((x + 6, top - 4, x + 44, top + 22), fill=w)
            pen.ellipse((x - 13, y - 86, x + 13, y - 46), fill=w)
        case "loaf":
            pen.rounded_rectangle((x - 95, y - 40, x + 95, y + 55), 44, fill=w)
            for k in (-1, 0, 1):
                pen.line((x + 46 * k - 12, y - 22, x + 46 * k + 12, y + 14), fill=colour, width=7)
        case "bean":
            pen.ellipse((x - 80, y - 38, x, y + 42), fill=w)
            pen.ellipse((x - 8, y - 52, x + 76, y + 30), fill=w)
        case "cube":
            pen.polygon([(x, y - 72), (x + 74, y - 34), (x, y + 4), (x - 74, y - 34)], fill=w)
            pen.polygon(
                [(x - 74, y - 24), (x - 5, y + 12), (x - 5, y + 82), (x - 74, y + 44)], fill=w
            )
            pen.polygon(
                [(x + 74, y - 24), (x + 5, y + 12), (x + 5, y + 82), (x + 74, y + 44)], fill=w
            )
        case "cup":
            pen.rounded_rectangle((x - 62, y - 34, x + 50, y + 66), 22, fill=w)
            pen.arc((x + 30, y - 18, x + 90, y + 42), 270, 90, fill=w, width=12)
        case "bag":
            pen.polygon(
                [(x - 58, y - 72), (x + 58, y - 72), (x + 70, y + 76), (x - 70, y + 76)], fill=w
            )
            pen.line((x - 60, y - 50, x + 60, y - 50), fill=colour, width=5)
        case "flake":
            for k in range(3):
                dx, dy = 72 * math.cos(math.pi * k / 3), 72 * math.sin(math.pi * k / 3)
                pen.line((x - dx, y - dy, x + dx, y + dy), fill=w, width=11)
        case _:
            pen.pieslice((x - 92, y - 82, x + 92, y + 82), 0, 180, fill=w)
            pen.rectangle((x - 104, y - 8, x + 104, y + 6), fill=w)
            for k in (-1, 1):
                pen.arc(
                    (x + 34 * k - 14, y - 66, x + 34 * k + 14, y - 22), 90, 270, fill=w, width=7
                )


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", optimize=False)
    return file.getvalue()
