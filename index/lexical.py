"""BM25 over the words of two languages: exact, in one sparse matrix, loaded without pickle."""

from __future__ import annotations

import json
import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.errors import SnapshotError

K1 = 1.2
B = 0.75
FORMAT = 1

Scores = NDArray[np.float32]
Rows = NDArray[np.int64]

_RUNS = re.compile(r"[\u3400-\u9fff\U00020000-\U000323af]+|[^\W_\u3400-\u9fff]+", re.UNICODE)
_CHINESE = re.compile(r"[\u3400-\u9fff\U00020000-\U000323af]")


def tokenize(text: str) -> list[str]:
    """Cut a text into the terms that BM25 counts.

    Chinese: simplified, words by `rjieba` and, for recall, all character pairs of each run (a
    pair that is itself a word counts twice). Other scripts: lower-cased words with English
    plurals taken off.
    """
    terms: list[str] = []
    for run in _RUNS.findall(normalize(text)):
        if not _CHINESE.match(run):
            terms.append(_singular(run))
            continue
        terms.extend(_cutter().cut(run))
        if len(run) > 1:
            terms.extend(run[i : i + 2] for i in range(len(run) - 1))
    return terms


def normalize(text: str) -> str:
    """NFKC, lower case, simplified characters, accents off Latin letters."""
    folded = unicodedata.normalize("NFKC", text).lower()
    if folded.isascii():
        return folded
    if _CHINESE.search(folded):
        folded = str(_simplifier().convert(folded))
    decomposed = unicodedata.normalize("NFD", folded)
    # Only marks on Latin letters go: in other scripts they are part of the letter.
    bare = re.sub(r"([a-z])[\u0300-\u036f]+", r"\1", decomposed)
    return unicodedata.normalize("NFC", bare)


class LexicalIndex:
    """BM25 with k1 1.2 and b 0.75; scores are >= 0 and comparable within one index only.

    Weights are computed at build time, so a query adds up the columns of its terms:
    idf(t) * tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / mean length), with
    idf(t) = ln(1 + (n - df + 0.5) / (df + 0.5)).

    Source: Robertson and Zaragoza (2009), with Lucene's idf that is never negative.
    """

    def __init__(
        self,
        vocabulary: dict[str, int],
        starts: NDArray[np.int64],
        rows: NDArray[np.int32],
        weights: Scores,
        n_texts: int,
    ) -> None:
        """Take postings: those of term number t lie in starts[t]:starts[t + 1]."""
        self._vocabulary = vocabulary
        self._starts = starts
        self._rows = rows
        self._weights = weights
        self._n_texts = n_texts

    def __len__(self) -> int:
        return self._n_texts

    @classmethod
    def build(cls, texts: Iterable[str]) -> LexicalIndex:
        """Index texts in the order given; their numbers are the rows that `search` gives."""
        return cls.build_from_terms(map(_tokenize_cached, texts))

    @classmethod
    def build_from_terms(cls, texts: Iterable[Sequence[str]]) -> LexicalIndex:
        """Index texts that are already cut into terms."""
        vocabulary: dict[str, int] = {}
        # Flat arrays: a million texts are a few hundred megabytes, not millions of objects.
        terms, counts, sizes, lengths = (array("i") for _ in range(4))
        for text in texts:
            counted = Counter(text)
            terms.extend([vocabulary.setdefault(term, len(vocabulary)) for term in counted])
            counts.extend(counted.values())
            sizes.append(len(counted))
            lengths.append(len(text))
        n_texts = len(sizes)
        term_of, frequency = np.array(terms, dtype=np.int32), np.array(counts, dtype=np.int32)
        row_of = np.repeat(np.arange(n_texts, dtype=np.int32), sizes)
        order = np.argsort(term_of, kind="stable")
        term_of, frequency, row_of = term_of[order], frequency[order], row_of[order]
        document_frequency = np.bincount(term_of, minlength=len(vocabulary))
        starts = np.concatenate([[0], np.cumsum(document_frequency)]).astype(np.int64)
        idf = np.log1p((n_texts - document_frequency + 0.5) / (document_frequency + 0.5))
        relative = np.asarray(lengths, dtype=np.float64) / max(
            1.0, float(np.mean(lengths or array("i", [1])))
        )
        saturation = K1 * (1 - B + B * relative)
        weights = idf[term_of] * frequency * (K1 + 1) / (frequency + saturation[row_of])
        return cls(vocabulary, starts, row_of, weights.astype(np.float32), n_texts)

    def scores(self, text: str) -> Scores:
        """Score every text: (n,) float32, 0 where no term is shared."""
        return self.scores_of_terms(tokenize(text))

    def scores_of_terms(self, terms: Iterable[str]) -> Scores:
        """Score every text for a query that is already cut; a repeated term counts repeatedly."""
        total = np.zeros(self._n_texts, dtype=np.float32)
        for term, times in Counter(terms).items():
            number = self._vocabulary.get(term)
            if number is None:
                continue
            posting = slice(self._starts[number], self._starts[number + 1])
            # A text stands once in a posting list, so fancy addition loses nothing.
            total[self._rows[posting]] += times * self._weights[posting]
        return total

    def search(
        self, text: str, top_k: int, eligible: NDArray[Any] | None = None
    ) -> tuple[Scores, Rows]:
        """Find the best texts that share a term with the query.

        Args:
            text: The query.
            top_k: At most so many are given; fewer when fewer share a term.
            eligible: (n,) bool mask or row numbers; None means all.

        Returns:
            Scores, falling, and row numbers; equal scores in row order.
        """
        scores = self.scores(text)
        if eligible is not None:
            allowed = np.zeros(self._n_texts, dtype=bool)
            allowed[eligible] = True
            scores = np.where(allowed, scores, np.float32(0))
        found = np.flatnonzero(scores)
        if len(found) > top_k > 0:
            floor = np.partition(scores[found], -top_k)[-top_k]
            found = found[scores[found] >= floor]
        best = found[np.argsort(-scores[found], kind="stable")][: max(0, top_k)]
        return scores[best], best

    def save(self, folder: Path) -> None:
        """Write `lexical.npz` and `lexical.json` into an existing folder."""
        np.savez(
            folder / "lexical.npz",
            starts=self._starts,
            rows=self._rows,
            weights=self._weights,
        )
        content = {"format": FORMAT, "n_texts": self._n_texts, "terms": list(self._vocabulary)}
        path = folder / "lexical.json"
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> LexicalIndex:
        """Read what `save` wrote.

        Raises:
            SnapshotError: A file is missing or broken.
        """
        try:
            content = json.loads((folder / "lexical.json").read_text(encoding="utf-8"))
            if content["format"] != FORMAT:
                message = f"format {content['format']}, expected {FORMAT}"
                raise ValueError(message)  # noqa: TRY301 -- one place words the remedy
            with np.load(folder / "lexical.npz", allow_pickle=False) as arrays:
                starts, rows, weights = arrays["starts"], arrays["rows"], arrays["weights"]
            vocabulary = {term: number for number, term in enumerate(content["terms"])}
            whole = len(starts) == len(vocabulary) + 1
            if not (whole and len(rows) == len(weights) == starts[-1]):
                message = "the postings do not fit the terms"
                raise ValueError(message)  # noqa: TRY301
        except (OSError, ValueError, KeyError, EOFError) as error:
            message = (
                f"the lexical index in {folder} cannot be read ({error}); "
                "run `zhiwei index build` again"
            )
            raise SnapshotError(message) from error
        return cls(vocabulary, starts, rows, weights, int(content["n_texts"]))


@lru_cache(maxsize=50_000)
def _tokenize_cached(text: str) -> tuple[str, ...]:
    return tuple(tokenize(text))


@cache
def _cutter() -> Any:
    import rjieba  # loads its dictionary; English catalogues never need it

    return rjieba


@cache
def _simplifier() -> Any:
    import opencc

    return opencc.OpenCC("t2s")


@lru_cache(maxsize=100_000)
def _singular(word: str) -> str:
    """Take an English plural off; words of other languages and short ones stay."""
    if len(word) < 4 or not word.isascii():
        return word
    if word.endswith("ie") and len(word) > 4:
        return f"{word[:-2]}y"  # as "cookies" becomes "cooky"
    if not word.endswith("s"):
        return word
    if word.endswith("ies"):
        return f"{word[:-3]}y" if len(word) > 4 else word[:-1]
    if word.endswith(("ches", "shes", "sses", "xes", "zes", "toes")):
        return word[:-2]
    if word.endswith(("leaves", "loaves")):
        return f"{word[:-3]}f"
    if word.endswith(("ss", "us", "is")):
        return word
    return word[:-1]
