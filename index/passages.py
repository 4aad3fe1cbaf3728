"""Cut a text into sentences and passages. Nothing is dropped: the pieces join to the whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_ENDS = re.compile(
    r"[^。！？!?；;\n.]*(?:\.(?=\d)[^。！？!?；;\n.]*|\.(?![\s”’\")\]]|$)[^。！？!?；;\n.]*)*"
    r"(?:[。！？!?；;]+|\.+|\n+|$)[”’\"）)\]」』]*\s*"
)
_ABBREVIATION = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|St|vs|etc|e\.g|i\.e|No|c|ca|approx)\.\s*$")
MINIMUM_CHARACTERS = 4


def sentences(text: str) -> list[str]:
    """Give the sentences in order, stripped; very short scraps join the sentence before."""
    pieces: list[str] = []
    for match in _ENDS.finditer(text):
        piece = match.group()
        if not piece:
            continue
        if (
            pieces
            and (_ABBREVIATION.search(pieces[-1]) or len(piece.strip()) < MINIMUM_CHARACTERS)
            and "\n" not in pieces[-1][-1:]
        ):
            pieces[-1] += piece
        else:
            pieces.append(piece)
    return [piece.strip() for piece in pieces if piece.strip()]


def passages(
    pieces: Sequence[str],
    count_tokens: Callable[[Sequence[str]], Sequence[int]],
    *,
    target: int = 150,
    limit: int = 200,
    overlap: int = 1,
) -> list[str]:
    """Join sentences into passages of about `target` tokens, never beyond `limit` if avoidable.

    Consecutive passages share `overlap` sentences. A sentence longer than `limit` is a passage of its
    own; the embedder reads long texts in windows, so that nothing is cut.
    """
    if not pieces:
        return []
    lengths = list(count_tokens(pieces))
    result: list[str] = []
    start = 0
    while start < len(pieces):
        end, total = start, 0
        while end < len(pieces) and (end == start or total + lengths[end] <= limit):
            total += lengths[end]
            end += 1
            if total >= target:
                break
        result.append(" ".join(pieces[start:end]))
        if end >= len(pieces):
            break
        start = max(end - overlap, start + 1)
    return result
