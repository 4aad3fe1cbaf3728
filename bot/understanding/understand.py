"""From a message to its meaning: intent model, slots, and what safety needs to know."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from bot.understanding.allergies import find_allergies
from bot.understanding.intents import Floats, IntentModel, load_model
from bot.understanding.lexicon import find_foods
from bot.understanding.meaning import Intent, Meaning
from bot.understanding.slots import find_slots
from bot.understanding.text import Text, fold
from data.errors import ModelError
from index.embedding import Embedder

_OPT_OUT = re.compile(r"\W*(?:td|退订|unsubscribe|stop|stopall|opt[- ]?out)\W*")
_NOTHING = re.compile(r"[\W_\d]*")
_RULE_CONFIDENCE = 0.99
_SURE = 0.6
"""Below it, a message that seems to lift an allergy is asked about."""


class Understander:
    """Understands messages in Chinese, English and both; safe to call from several threads."""

    def __init__(self, embedder: Embedder, *, model: IntentModel | None = None) -> None:
        """Take an embedder, and a model other than the packaged one if wanted.

        Raises:
            ModelError: The model was trained with embeddings of another length.
        """
        self._embedder = embedder
        self._model = model or load_model()
        if embedder.dim != self._model.dim:
            raise ModelError(
                f"{embedder.name} gives vectors of length {embedder.dim}, but the intent model was"
                f" trained with {self._model.dim}; use the bundled embedder, or train again with"
                " `python -m bot.understanding.train --model ...`"
            )

    def understand(self, text: str) -> Meaning:
        """Give what one message means."""
        return self.understand_all([text])[0]

    def understand_all(self, texts: Sequence[str]) -> list[Meaning]:
        """Give what each message means; the encoder sees all of them at once."""
        if not texts:
            return []
        folded = [fold(text) for text in texts]
        embeddings = self._embedder.embed([text.folded for text in folded], kind="query")
        return self.understand_encoded(folded, embeddings)

    def understand_encoded(self, texts: Sequence[Text], embeddings: Floats) -> list[Meaning]:
        """The same for messages that are folded and encoded already.

        Args:
            texts: Folded messages.
            embeddings: (n_texts, dim) float32 unit rows of the folded texts, encoded as queries.
        """
        shares = self._model.probabilities(texts, embeddings)
        return [self._meaning(text, row) for text, row in zip(texts, shares, strict=True)]

    def _meaning(self, text: Text, shares: Floats) -> Meaning:
        allergies = find_allergies(text, find_foods(text))
        best = int(np.argmax(shares))
        intent, confidence = self._model.intents[best], float(shares[best])
        ruled = _by_rule(text)
        if ruled is not None:
            intent, confidence = ruled, _RULE_CONFIDENCE
        slots = find_slots(text, intent)
        speaks = allergies.is_certain or (allergies.is_possible and bool(find_foods(text)))
        is_settled = (
            intent is Intent.SET_CONSTRAINT and allergies.is_certain and "allergens" in slots
        ) or (intent is Intent.UNSET_CONSTRAINT and confidence >= _SURE)
        maybe = speaks and not is_settled
        mapped = not maybe and "allergens" in slots
        named = tuple(text.original[hit.start : hit.end] for hit in find_foods(text))
        words = allergies.words if mapped or allergies.is_certain else named
        return Meaning(
            intent=intent,
            slots=MappingProxyType(slots),
            confidence=min(max(confidence, 0.0), 1.0),
            is_emergency=allergies.is_emergency,
            maybe_allergy=maybe,
            allergy_words=words if speaks else (),
        )


def _by_rule(text: Text) -> Intent | None:
    """The few messages that need no model."""
    if _OPT_OUT.fullmatch(text.folded):
        return Intent.PAUSE
    if _NOTHING.fullmatch(text.folded) and not re.search(
        r"[1-3\U0001f300-\U0001faff☀-➿]", text.folded
    ):
        return Intent.OUT_OF_SCOPE
    return None


def understand_rows(
    rows: Iterable[Mapping[str, object]], understander: Understander
) -> list[dict[str, object]]:
    """From rows with `id` and `text` to rows with `id`, `intent` and `slots`, in order."""
    rows = list(rows)
    meanings = understander.understand_all([str(row["text"]) for row in rows])
    return [
        {"id": row["id"], "intent": str(meaning.intent), "slots": dict(meaning.slots)}
        for row, meaning in zip(rows, meanings, strict=True)
    ]
