"""The reference encoder: any sentence-transformers model, on CPU or GPU. Imports torch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from data.errors import ModelError
from index.embedding import Kind, Progress, Vectors, join_windows, unit, windows

logger = logging.getLogger(__name__)

_DEFAULT_LIMIT = 512


class SentenceEmbedder:
    """Runs a `SentenceTransformer`; prompts come from the model's own configuration."""

    def __init__(
        self,
        model: str,
        *,
        name: str = "",
        fingerprint: str = "",
        progress: Progress | None = None,
        device: str | None = None,
    ) -> None:
        """Load a model.

        Args:
            model: Folder or hub id.
            name: Shown in manifests; the model's own name when empty.
            fingerprint: Of the weights; the name when empty.
            progress: Told after each batch of a bulk call.
            device: As torch names it; None takes a GPU when there is one.

        Raises:
            ModelError: The model cannot be loaded.
        """
        from sentence_transformers import SentenceTransformer  # five seconds
        from transformers.utils import logging as notices

        # Remarks and bars of the library would be the first that somebody sees of us; what matters
        # comes as an error.
        notices.set_verbosity_error()  # type: ignore[no-untyped-call] # untyped library
        notices.disable_progress_bar()  # type: ignore[no-untyped-call] # untyped library
        try:
            self._model: Any = SentenceTransformer(model, device=device)
        except (OSError, ValueError) as error:
            message = (
                f"the model {model!r} cannot be loaded ({error}); set ZHIWEI_MODEL to a "
                "sentence-transformers folder or hub id, or unset it for the bundled model"
            )
            raise ModelError(message) from error
        self._model.eval()
        self._name = f"{name or model}+torch"
        self._fingerprint = fingerprint or model
        self._progress = progress
        self._prompts = {kind: _prompt(self._model, kind) for kind in ("query", "passage")}
        self._limit = int(self._model.max_seq_length or _DEFAULT_LIMIT)

    @property
    def name(self) -> str:
        return self._name

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    @property
    def dim(self) -> int:
        return int(self._model.get_embedding_dimension())

    @property
    def model(self) -> Any:
        """The model itself, for export and training."""
        return self._model

    @property
    def limit(self) -> int:
        """Tokens that the model reads at once, prompt and special tokens included."""
        return self._limit

    def prompt(self, kind: Kind) -> str:
        return self._prompts[kind]

    def embed(self, texts: Sequence[str], *, kind: Kind) -> Vectors:
        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32)
        prompt = self._prompts[kind]
        owners, parts, weights = [], [], []
        for number, (text, length) in enumerate(
            zip(texts, self._lengths([prompt + text for text in texts]), strict=True)
        ):
            pieces = [text] if length <= self._limit else windows(text, self._fits(prompt))
            owners.extend([number] * len(pieces))
            parts.extend(pieces)
            weights.extend([float(max(1, len(piece))) for piece in pieces])
        vectors = self._encode([prompt + part for part in parts])
        if len(parts) == len(texts):
            return vectors
        return join_windows(
            vectors, np.asarray(owners, dtype=np.intp), np.asarray(weights, dtype=np.float32)
        )

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        if not texts:
            return []
        encoded = self._model.tokenizer(
            list(texts), add_special_tokens=False, truncation=False, verbose=False
        )
        return [len(ids) for ids in encoded["input_ids"]]

    def _lengths(self, texts: list[str]) -> list[int]:
        encoded = self._model.tokenizer(texts, truncation=False, verbose=False)
        return [len(ids) for ids in encoded["input_ids"]]

    def _fits(self, prompt: str) -> Any:
        return lambda text: self._lengths([prompt + text])[0] <= self._limit

    def _encode(self, texts: list[str]) -> Vectors:
        batch = 256
        found = []
        for start in range(0, len(texts), batch):
            found.append(
                self._model.encode(
                    texts[start : start + batch],
                    prompt="",
                    show_progress_bar=False,
                    convert_to_numpy=True,
                    normalize_embeddings=True,
                )
            )
            if self._progress is not None and len(texts) > batch:
                self._progress("embedding", min(start + batch, len(texts)), len(texts))
        return unit(np.concatenate(found).astype(np.float32))


def _prompt(model: Any, kind: str) -> str:
    prompts = dict(getattr(model, "prompts", None) or {})
    if kind == "passage":
        return str(prompts.get("passage") or prompts.get("document") or "")
    return str(prompts.get("query") or "")
