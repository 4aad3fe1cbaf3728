"""What a category of food looks like on a card: a colour, and a simple shape of our own."""

from __future__ import annotations

import math

from PIL import ImageDraw

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
_OTHER = ("#6b7a72", "tag")
"""What is no food that we know, such as the things of another trade."""
BANNER = (_OTHER[0], "bowl")
"""The look of a picture that shows no item."""

COLOURS = tuple(dict.fromkeys(colour for colour, _ in (*_LOOKS.values(), _OTHER)))


def look_of(category: str) -> tuple[str, str]:
    """Give colour and shape of a category; those that we do not know share a look."""
    return _LOOKS.get(category, _OTHER)


def draw_shape(pen: ImageDraw.ImageDraw, shape: str, colour: str, *, x: int) -> None:
    """Draw a simple white shape, 210 wide and 190 high, round `x` on a panel of that colour."""
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
        case "tag":
            pen.polygon(
                [
                    (x - 80, y),
                    (x - 38, y - 52),
                    (x + 84, y - 52),
                    (x + 84, y + 52),
                    (x - 38, y + 52),
                ],
                fill=w,
            )
            pen.ellipse((x - 48, y - 11, x - 26, y + 11), fill=colour)
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
