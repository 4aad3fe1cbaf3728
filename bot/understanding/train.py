"""Train the intent model from the labelled utterances: `python -m bot.understanding.train`.

Deterministic: the same utterances and the same embedder give the same file. The only module here
that needs scikit-learn.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from bot.understanding.grams import inverse_frequencies
from bot.understanding.intents import MODEL_FILE, Features, Floats, IntentModel, Neighbours, Scales
from bot.understanding.text import Text, fold
from bot.understanding.training_data import Utterance, load_utterances
from index.embedding import Embedder, open_embedder

logger = logging.getLogger(__name__)

LEAST_TEXTS_WITH_A_GRAM = 3
INVERSE_REGULARISATION = 1.0
N_FOLDS = 5


def fit_features(texts: Sequence[Text], embeddings: Floats, scales: Scales) -> Features:
    """Fit the parts of the features that depend on the training texts."""
    frequencies = inverse_frequencies(texts, least=LEAST_TEXTS_WITH_A_GRAM)
    return Features(
        mean=embeddings.mean(axis=0),
        spread=embeddings.std(axis=0) + 1e-6,
        gram_names=tuple(frequencies),
        gram_weights=np.array(list(frequencies.values()), dtype=np.float32),
        scales=scales,
    )


def fit(
    utterances: Sequence[Utterance], embeddings: Floats, *, scales: Scales | None = None
) -> IntentModel:
    """Fit multinomial logistic regression with an L2 penalty, and keep the examples beside it.

    Grammar-made utterances weigh less, so that a template with many fillings counts as a few
    sentences and not as many.

    Args:
        utterances: Labelled messages.
        embeddings: (n_utterances, dim) float32 unit rows, encoded as queries.
        scales: Weight of the feature blocks.
    """
    texts = [fold(utterance.text) for utterance in utterances]
    features = fit_features(texts, embeddings, scales or Scales())
    regression = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=400)
    regression.fit(
        csr_matrix(features.matrix(texts, embeddings)),
        [str(utterance.intent) for utterance in utterances],
        sample_weight=sample_weights(utterances),
    )
    columns = {label: column for column, label in enumerate(regression.classes_)}
    labels = np.array([columns[str(utterance.intent)] for utterance in utterances])
    return IntentModel(
        features=features,
        weights=regression.coef_.T.astype(np.float32),
        bias=regression.intercept_.astype(np.float32),
        temperature=1.0,
        labels=[str(label) for label in regression.classes_],
        neighbours=Neighbours.of(
            embeddings, features.mean, labels, sample_weights(utterances).astype(np.float32)
        ),
    )


def sample_weights(utterances: Sequence[Utterance]) -> NDArray[np.float64]:
    """Give each group of siblings the weight of the square root of its size."""
    sizes: dict[str, int] = {}
    for utterance in utterances:
        sizes[utterance.group] = sizes.get(utterance.group, 0) + 1
    return np.array([sizes[utterance.group] ** -0.5 for utterance in utterances])


def out_of_fold(
    utterances: Sequence[Utterance], embeddings: Floats, *, scales: Scales | None = None
) -> Floats:
    """Give (n_utterances, n_intents) probabilities by models that saw no sibling of the row."""
    groups = [utterance.group for utterance in utterances]
    folds = GroupKFold(n_splits=N_FOLDS, shuffle=True, random_state=0)
    shares: Floats | None = None
    for seen, unseen in folds.split(embeddings, groups=groups):
        model = fit([utterances[i] for i in seen], embeddings[seen], scales=scales)
        texts = [fold(utterances[i].text) for i in unseen]
        found = model.probabilities(texts, embeddings[unseen])
        if shares is None:
            shares = np.zeros((len(utterances), found.shape[1]), dtype=np.float32)
        shares[unseen] = found
    assert shares is not None
    return shares


def best_temperature(shares: Floats, truth: NDArray[np.intp]) -> float:
    """Give the temperature that makes out-of-fold probabilities most likely (Guo et al. 2017)."""
    logits = np.log(np.maximum(shares, 1e-12))

    def loss(temperature: float) -> float:
        scaled = logits / temperature
        scaled = scaled - scaled.max(axis=1, keepdims=True)
        total = np.log(np.exp(scaled).sum(axis=1))
        return float(np.mean(total - scaled[np.arange(len(truth)), truth]))

    found = minimize_scalar(loss, bounds=(0.2, 3.0), method="bounded")
    return float(round(found.x, 3))


def train(embedder: Embedder, path: Path) -> float:
    """Train on all utterances and write the model; give the out-of-fold accuracy.

    The accuracy counts every group of siblings as one.
    """
    utterances = load_utterances()
    embeddings = embedder.embed(
        [fold(utterance.text).folded for utterance in utterances], kind="query"
    )
    model = fit(utterances, embeddings)
    shares = out_of_fold(utterances, embeddings)
    order = {intent: column for column, intent in enumerate(model.intents)}
    truth = np.array([order[utterance.intent] for utterance in utterances])
    calibrated = model.at_temperature(best_temperature(shares, truth))
    calibrated.save(path)
    weights = sample_weights(utterances) ** 2
    return float(np.average(shares.argmax(axis=1) == truth, weights=weights))


def main(arguments: Sequence[str] | None = None) -> None:
    """Read options, train, and say how good the model is."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description="Train the intent model.")
    here = Path(__file__).with_name(MODEL_FILE)
    parser.add_argument("--out", type=Path, default=here, help="where to write the model")
    parser.add_argument(
        "--cache", type=Path, default=Path("state/models"), help="for the embedder"
    )
    parser.add_argument("--model", default="", help="embedding model; empty for the bundled one")
    options = parser.parse_args(arguments)
    accuracy = train(open_embedder(options.model, options.cache), options.out)
    logger.info("out-of-fold accuracy %.4f; wrote %s", accuracy, options.out)


if __name__ == "__main__":
    main()
