"""From texts to unit vectors: what an embedder promises, long texts, caches, and how to open one.

Knows no model library: `index.sentence_embedder` and `index.openvino_embedder` do, and are
imported only when `open_embedder` needs them, so that serving never loads torch.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from data.errors import ModelError

logger = logging.getLogger(__name__)

Kind = Literal["query", "passage"]
Backend = Literal["auto", "openvino", "torch"]
Vectors = NDArray[np.float32]
Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done and how much there is."""


@runtime_checkable
class Embedder(Protocol):
    """Maps texts to unit vectors. Safe to call from several threads."""

    @property
    def name(self) -> str:
        """For people and manifests: model, weights and how they are run."""
        ...

    @property
    def fingerprint(self) -> str:
        """Equal fingerprints mean vectors that may be mixed (cosine >= 0.999 for a same text).

        It names the weights, not the backend: the compiled and the torch form of one model share
        snapshots and caches, because the compiled one is accepted only after that check.
        """
        ...

    @property
    def dim(self) -> int: ...

    def embed(self, texts: Sequence[str], *, kind: Kind) -> Vectors:
        """Embed texts in their role; no text is cut.

        A text that is longer than the model reads is split at sentence ends into windows that
        fit, and its vector is the mean of theirs, weighted by length and normalised again.

        Returns:
            (n_texts, dim) float32, rows of length 1.
        """
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the model's tokens, without prompt and special tokens."""
        ...


_BREAK = re.compile(r"(?<=[。！？!?；;\n])|(?<=[.,，、：:])\s|\s")


def windows(text: str, fits: Callable[[str], bool]) -> list[str]:
    """Split a text into the fewest halves of halves that fit, nothing lost between them.

    Each cut is the sentence end, comma or blank nearest to the middle, or the middle itself.
    Joining the windows gives the text back.
    """
    if len(text) < 2 or fits(text):
        return [text]
    middle = len(text) // 2
    cuts = [m.end() for m in _BREAK.finditer(text, len(text) // 4, 3 * len(text) // 4)]
    cut = min(cuts, key=lambda at: abs(at - middle), default=middle)
    if not 0 < cut < len(text):
        cut = middle
    return [*windows(text[:cut], fits), *windows(text[cut:], fits)]


def unit(vectors: Vectors) -> Vectors:
    """Scale rows to length 1; a zero row stays zero."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Vectors = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return scaled


def join_windows(
    vectors: Vectors, owners: NDArray[np.intp], weights: NDArray[np.float32]
) -> Vectors:
    """Average the windows of each text, by weight, and normalise.

    Args:
        vectors: (n_windows, dim) unit rows.
        owners: (n_windows,) number of the text that each window belongs to, all of 0..n-1.
        weights: (n_windows,) positive, the windows' lengths in tokens.
    """
    joined = np.zeros((int(owners.max(initial=-1)) + 1, vectors.shape[1]), dtype=np.float32)
    np.add.at(joined, owners, vectors * weights[:, None])
    return unit(joined)


class HashingEmbedder:
    """Hashed character n-grams: deterministic, no files, no model; for fast tests.

    Texts that share words or characters are near; it knows nothing of meaning.
    """

    def __init__(self, dim: int = 256) -> None:
        self._dim = dim

    @property
    def name(self) -> str:
        return f"hashing-{self._dim}"

    @property
    def fingerprint(self) -> str:
        return f"hashing-1-{self._dim}"

    @property
    def dim(self) -> int:
        return self._dim

    def embed(self, texts: Sequence[str], *, kind: Kind) -> Vectors:
        vectors = np.zeros((len(texts), self._dim), dtype=np.float32)
        for row, text in enumerate(texts):
            for gram in self._grams(text):
                digest = hashlib.blake2b(gram.encode(), digest_size=8).digest()
                value = int.from_bytes(digest, "little")
                vectors[row, (value >> 1) % self._dim] += 1.0 if value & 1 else -1.0
        empty = ~vectors.any(axis=1)
        vectors[empty, 0] = 1.0
        return unit(vectors)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(self._grams(text)) for text in texts]

    @staticmethod
    def _grams(text: str) -> list[str]:
        folded = unicodedata.normalize("NFKC", text).lower()
        words = re.findall(r"[a-z0-9]+|[^\W\da-z_]+", folded)
        grams: list[str] = []
        for word in words:
            grams.append(word)
            size = 3 if word.isascii() else 1
            grams.extend(word[i : i + size] for i in range(len(word) - size + 1))
            if not word.isascii():
                grams.extend(word[i : i + 2] for i in range(len(word) - 1))
        return grams


def open_embedder(
    model: str,
    cache_folder: Path,
    *,
    backend: Backend = "auto",
    progress: Progress | None = None,
) -> Embedder:
    """Open a model for serving and indexing, with its cache.

    Args:
        model: Empty for the bundled model; else a folder or a hub id that sentence-transformers
            reads.
        cache_folder: Where models are unpacked, compiled and their vectors kept. After a first
            start it may be read-only.
        backend: `auto` takes the compiled form when it passes its check, and torch otherwise;
            `openvino` insists; `torch` is for GPUs and training.
        progress: Told of slow steps.

    Raises:
        ModelError: The model cannot be found or loaded, or `openvino` was asked for and refused.
    """
    from index.cached_embedder import CachedEmbedder  # it imports this module

    inner = _open_plain(model, cache_folder, backend, progress)
    return CachedEmbedder(inner, cache_folder / "embeddings", progress=progress)


def _open_plain(
    model: str, cache_folder: Path, backend: Backend, progress: Progress | None
) -> Embedder:
    if progress is not None:
        progress("opening the model", 0, 1)
    folder, name, fingerprint = _locate(model, cache_folder)
    if backend != "torch":
        compiled = cache_folder / "openvino" / fingerprint
        refusal = _compile_refusal(folder, compiled, progress)
        if refusal is None:
            from index.openvino_embedder import OpenVinoEmbedder

            return OpenVinoEmbedder(
                compiled, name=name, fingerprint=fingerprint, progress=progress
            )
        if backend == "openvino":
            message = (
                f"the compiled form of {name} was refused: {refusal}; "
                "set ZHIWEI_BACKEND=torch, or install openvino for this processor"
            )
            raise ModelError(message)
        logger.warning("running %s with torch, which is slower: %s", name, refusal)
    from index.sentence_embedder import SentenceEmbedder  # imports torch

    return SentenceEmbedder(str(folder), name=name, fingerprint=fingerprint, progress=progress)


def _locate(model: str, cache_folder: Path) -> tuple[Path, str, str]:
    from index import bundled_model, model_folder  # either is needed, not both

    if model:
        folder = model_folder.resolve(model)
        fingerprint = model_folder.fingerprint(folder, cache_folder)
        return folder, f"{model}@{fingerprint}", fingerprint
    folder, fingerprint = bundled_model.unpack(cache_folder)
    return folder, f"bundled:{bundled_model.NAME}@{fingerprint}", fingerprint


def _compile_refusal(folder: Path, compiled: Path, progress: Progress | None) -> str | None:
    """Compile once; say why the compiled form may not be used, or None when it may."""
    try:
        from index.openvino_networks import platform_key  # optional package
    except ImportError as error:
        return f"openvino is not installed ({error})"
    record_path = compiled / "check.json"
    try:
        record = json.loads(record_path.read_text(encoding="utf-8"))
        if record["platform"] == platform_key():
            return str(record["refusal"]) if record["refusal"] else None
    except (OSError, ValueError, KeyError):
        pass
    from index.openvino_export import compile_model  # imports torch, once

    return compile_model(folder, compiled, progress)
