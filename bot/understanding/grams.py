"""Words and character n-grams of a message, weighted by rarity; one code for training and use. Pure."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bot.understanding.text import Text

_TOKEN = re.compile(r"[a-z0-9']+|[\u3400-\u9fff]+|[?!？！]")


def grams(text: Text) -> list[str]:
    """Give the n-grams: Latin words, pairs and their parts; Chinese characters by 1, 2 and 3."""
    found: list[str] = []
    words: list[str] = []
    for token in _TOKEN.findall(text.folded):
        if re.match(r"[\u3400-\u9fff]", token):
            run = f"<{token}>"
            found.extend(run[i : i + n] for n in (1, 2, 3) for i in range(len(run) - n + 1))
            words.append("#")
        else:
            token = re.sub(r"\d+", "0", token)
            words.append(token)
            found.append(f"w:{token}")
            padded = f"<{token}>"
            found.extend(padded[i : i + 4] for i in range(len(padded) - 3))
    found.extend(f"w:{first} {second}" for first, second in itertools.pairwise(words))
    found.extend(f"w:{a} {b} {c}" for a, b, c in zip(words, words[1:], words[2:], strict=False))
    if words:
        found.append(f"^{words[0]}")
    return found


def inverse_frequencies(texts: Iterable[Text], *, least: int) -> dict[str, float]:
    """Give log((1 + n) / (1 + df)) + 1 of every n-gram in at least `least` texts, sorted by name."""
    counts: Counter[str] = Counter()
    n_texts = 0
    for text in texts:
        counts.update(set(grams(text)))
        n_texts += 1
    return {
        gram: math.log((1 + n_texts) / (1 + count)) + 1
        for gram, count in sorted(counts.items())
        if count >= least
    }


def gram_matrix(
    texts: Sequence[Text], columns: Mapping[str, int], weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Give (n_texts, n_grams) float32: (1 + log count) * weight, rows of length 1 or 0."""
    matrix = np.zeros((len(texts), len(columns)), dtype=np.float32)
    for row, text in enumerate(texts):
        for gram, count in Counter(grams(text)).items():
            column = columns.get(gram)
            if column is not None:
                matrix[row, column] = (1 + math.log(count)) * weights[column]
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = matrix / np.maximum(lengths, 1e-9)
    return scaled
