"""The intent model: a linear softmax over embedding, n-grams and cues. Plain arrays at serving time.

Trained by `bot.understanding.train`; one file, `model.npz`, holds only numbers and names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bot.understanding.cues import CUE_NAMES, cue_vector
from bot.understanding.grams import gram_matrix
from bot.understanding.meaning import Intent
from bot.understanding.text import Text
from data.errors import ModelError

Floats = NDArray[np.float32]

FORMAT = 1
MODEL_FILE = "model.npz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scales:
    """How much each block of features weighs against the regularisation."""

    embedding: float = 0.2
    grams: float = 2.0
    cues: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """From texts and embeddings to the columns of the model; fitted once, in training."""

    mean: Floats
    """(dim,) mean of the training embeddings."""
    spread: Floats
    """(dim,) standard deviation of the training embeddings."""
    gram_names: tuple[str, ...]
    gram_weights: Floats
    """(n_grams,) inverse document frequencies."""
    scales: Scales
    columns: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        columns = {name: column for column, name in enumerate(self.gram_names)}
        object.__setattr__(self, "columns", columns)

    def matrix(self, texts: Sequence[Text], embeddings: Floats) -> Floats:
        """Give (n_texts, dim + n_grams + n_cues) float32."""
        cues = np.vstack([cue_vector(text) for text in texts])
        scaled = (embeddings - self.mean) / self.spread
        return np.hstack(
            [
                scaled * self.scales.embedding,
                gram_matrix(texts, self.columns, self.gram_weights) * self.scales.grams,
                cues * self.scales.cues,
            ]
        ).astype(np.float32)


class IntentModel:
    """Gives the probability of each intent."""

    def __init__(
        self,
        *,
        features: Features,
        weights: Floats,
        bias: Floats,
        temperature: float,
        labels: Sequence[str],
    ) -> None:
        self._features = features
        self._weights = weights
        self._bias = bias
        self._temperature = temperature
        self.intents = tuple(Intent(label) for label in labels)

    @property
    def dim(self) -> int:
        """Length of the embeddings that it was trained with."""
        return int(self._features.mean.shape[0])

    def probabilities(self, texts: Sequence[Text], embeddings: Floats) -> Floats:
        """Give (n_texts, n_intents) float32, rows that sum to 1, columns as `self.intents`.

        Args:
            texts: Folded messages.
            embeddings: (n_texts, dim) float32 unit rows, encoded as queries.
        """
        logits = self._features.matrix(texts, embeddings) @ self._weights + self._bias
        logits /= self._temperature
        logits -= logits.max(axis=1, keepdims=True)
        odds = np.exp(logits)
        shares: Floats = odds / odds.sum(axis=1, keepdims=True)
        return shares

    def at_temperature(self, temperature: float) -> IntentModel:
        """The same model, its probabilities sharpened (below 1) or softened (above 1)."""
        return IntentModel(
            features=self._features,
            weights=self._weights,
            bias=self._bias,
            temperature=temperature,
            labels=self.intents,
        )

    def save(self, path: Path) -> None:
        """Write everything as one compressed file without pickles."""
        scales = self._features.scales
        np.savez_compressed(
            path,
            format=np.array(FORMAT),
            mean=self._features.mean,
            spread=self._features.spread,
            gram_names=np.array("\n".join(self._features.gram_names)),
            gram_weights=self._features.gram_weights.astype(np.float16),
            scales=np.array([scales.embedding, scales.grams, scales.cues]),
            weights=self._weights.astype(np.float16),
            bias=self._bias,
            temperature=np.array(self._temperature),
            labels=np.array("\n".join(self.intents)),
            cues=np.array("\n".join(CUE_NAMES)),
        )


def load_model(source: Path | Traversable | None = None) -> IntentModel:
    """Read the model; without a source the one that lies in this package.

    Raises:
        ModelError: The file is missing, or was trained with other cues than the code computes.
    """
    source = source or resources.files("bot.understanding") / MODEL_FILE
    remedy = "run `python -m bot.understanding.train` again"
    try:
        with source.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            parts = {name: stored[name] for name in stored.files}
    except (OSError, ValueError) as error:
        raise ModelError(
            f"the intent model {source} cannot be read ({error}); {remedy}"
        ) from error
    if int(parts["format"]) != FORMAT or str(parts["cues"]).split("\n") != list(CUE_NAMES):
        raise ModelError(f"the intent model {source} was trained with other cues; {remedy}")
    embedding, gram, cue = (float(scale) for scale in parts["scales"])
    features = Features(
        mean=parts["mean"],
        spread=parts["spread"],
        gram_names=tuple(str(parts["gram_names"]).split("\n")),
        gram_weights=parts["gram_weights"].astype(np.float32),
        scales=Scales(embedding=embedding, grams=gram, cues=cue),
    )
    return IntentModel(
        features=features,
        weights=parts["weights"].astype(np.float32),
        bias=parts["bias"],
        temperature=float(parts["temperature"]),
        labels=str(parts["labels"]).split("\n"),
    )
