"""The intent model: a linear softmax over many features, mixed with nearest neighbours. Plain arrays.

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

FORMAT = 2
MODEL_FILE = "model.npz"
N_NEAREST = 10
SHARPNESS = 8.0
NEIGHBOUR_SHARE = 0.35
"""How much the neighbours count beside the linear part; chosen on hand-written utterances."""
QUANTUM = 320.0
"""Steps of the stored vectors per unit; components of unit vectors of this length stay below 0.4."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scales:
    """How much each block of features weighs against the regularisation."""

    embedding: float = 0.1
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """The training utterances as examples: near ones vote for their intents.

    The linear part knows words; the neighbours know paraphrases. Mixed they beat either.
    """

    vectors: NDArray[np.int8]
    """(n_utterances, dim) centred unit embeddings times `QUANTUM`, rounded."""
    labels: NDArray[np.uint8]
    """(n_utterances,) column of the intent of each."""
    weights: Floats
    """(n_utterances,) how much each vote counts; siblings of one template count less."""

    @classmethod
    def of(
        cls, embeddings: Floats, mean: Floats, labels: NDArray[np.intp], weights: Floats
    ) -> Neighbours:
        """Keep the training embeddings, one byte a number."""
        vectors = np.rint(_centred(embeddings, mean) * QUANTUM).clip(-127, 127).astype(np.int8)
        return cls(vectors=vectors, labels=labels.astype(np.uint8), weights=weights)

    def votes(self, similarities: Floats, n_labels: int) -> Floats:
        """Give (n_texts, n_labels) float32 shares of the votes of the nearest utterances.

        Args:
            similarities: (n_texts, n_utterances) cosines around the mean.
            n_labels: How many intents there are.
        """
        n_near = min(N_NEAREST, len(self.labels))
        shares = np.zeros((len(similarities), n_labels), dtype=np.float32)
        for row, near in enumerate(np.argsort(-similarities, axis=1, kind="stable")[:, :n_near]):
            votes = np.exp(SHARPNESS * similarities[row, near]) * self.weights[near]
            np.add.at(shares[row], self.labels[near], votes / votes.sum())
        return shares


def _centred(embeddings: Floats, mean: Floats) -> Floats:
    """Unit vectors around the mean: e5 vectors all point into one narrow cone."""
    moved = embeddings - mean
    unit: Floats = moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-9)
    return unit


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
        neighbours: Neighbours,
    ) -> None:
        self._features = features
        self._weights = weights
        self._bias = bias
        self._temperature = temperature
        self._neighbours = neighbours
        self._examples = neighbours.vectors.astype(np.float32).T / QUANTUM
        self.intents = tuple(Intent(label) for label in labels)

    @property
    def dim(self) -> int:
        """Length of the embeddings that it was trained with."""
        return int(self._features.mean.shape[0])

    def probabilities(self, texts: Sequence[Text], embeddings: Floats) -> Floats:
        """Give (n_texts, n_intents) float32, rows that sum to 1, columns as `self.intents`.

        Args:
            texts: Folded messages.
            embeddings: (n_texts, dim) float32 unit rows, of the folded texts, encoded as queries.
        """
        logits = self._features.matrix(texts, embeddings) @ self._weights + self._bias
        similarities = _centred(embeddings, self._features.mean) @ self._examples
        votes = self._neighbours.votes(similarities, len(self.intents))
        shares = (1 - NEIGHBOUR_SHARE) * _softmax(logits) + NEIGHBOUR_SHARE * votes
        return _softmax((np.log(np.maximum(shares, 1e-6)) / self._temperature).astype(np.float32))

    def at_temperature(self, temperature: float) -> IntentModel:
        """The same model, its probabilities sharpened (below 1) or softened (above 1)."""
        return IntentModel(
            features=self._features,
            weights=self._weights,
            bias=self._bias,
            temperature=temperature,
            labels=self.intents,
            neighbours=self._neighbours,
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
            neighbour_vectors=self._neighbours.vectors,
            neighbour_labels=self._neighbours.labels,
            neighbour_weights=self._neighbours.weights,
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
        neighbours=Neighbours(
            vectors=parts["neighbour_vectors"],
            labels=parts["neighbour_labels"],
            weights=parts["neighbour_weights"],
        ),
    )


def _softmax(logits: Floats) -> Floats:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Floats = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares
