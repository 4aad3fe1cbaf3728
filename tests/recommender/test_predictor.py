from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from data.errors import InvalidInput, ModelError
from recommender import predictor as module
from recommender.features import FEATURES
from recommender.predictor import (
    Hyperparameters,
    LearnedPredictor,
    calibrated,
    dump,
    fit_calibrator,
    load,
    new_model,
    with_position,
)
from recommender.training import train
from tests.recommender.learning_world import a_log


def fitted(family: str, seed: int = 1) -> tuple[LearnedPredictor, np.ndarray]:
    rows = a_log(600).impressions()
    h = Hyperparameters(family=family, n_iterations=15)
    x = with_position(rows.features, rows.positions)
    model = new_model(h, seed=seed).fit(x, rows.labels.astype(int))
    calibrator = fit_calibrator(model.predict_proba(x)[:, 1], rows.labels)
    return LearnedPredictor(model=model, calibrator=calibrator, hyperparameters=h), rows.features


@pytest.mark.parametrize("family", ["logistic", "boosting"])
def test_a_loaded_model_predicts_what_the_saved_one_did(family: str) -> None:
    predictor, features = fitted(family)

    again = load(dump(predictor), version="v1")

    np.testing.assert_array_equal(again.predict(features), predictor.predict(features))
    assert again.version == "v1"


@pytest.mark.parametrize("family", ["logistic", "boosting"])
def test_the_same_rows_and_seed_give_the_same_bytes(family: str) -> None:
    assert dump(fitted(family)[0]) == dump(fitted(family)[0])


def test_training_twice_gives_the_same_file_and_another_seed_another_split_of_work() -> None:
    log = a_log(1_200)

    first, second = train(log, seed=5), train(log, seed=5)

    assert first.content == second.content
    assert first.predictor.version == second.predictor.version


def test_predictions_are_probabilities_at_the_first_position() -> None:
    predictor, features = fitted("logistic")

    p = predictor.predict(features)

    assert ((p >= 0) & (p <= 1)).all()
    first = predictor.predict(features, np.zeros(len(features), dtype=np.int64))
    np.testing.assert_array_equal(p, first)
    assert predictor.predict(np.zeros((0, len(FEATURES)), dtype=np.float32)).shape == (0,)


def test_few_rows_get_a_sigmoid_and_many_an_isotonic_map() -> None:
    rng = np.random.default_rng(0)
    raw = rng.random(2_000)
    labels = (rng.random(2_000) < raw / 2).astype(float)  # overconfident by a factor of two

    few, many = fit_calibrator(raw[:900], labels[:900]), fit_calibrator(raw, labels)

    assert type(few).__name__ == "LogisticRegression"
    assert type(many).__name__ == "IsotonicRegression"
    for calibrator in (few, many):
        assert calibrated(calibrator, raw).mean() == pytest.approx(labels.mean(), abs=0.03)
    assert fit_calibrator(raw[:10], np.zeros(10)) is None


def test_calibration_keeps_the_order() -> None:
    rng = np.random.default_rng(1)
    raw = rng.random(3_000)
    calibrator = fit_calibrator(raw, (rng.random(3_000) < raw).astype(float))
    grid = np.linspace(0.05, 0.95, 200)

    assert (np.diff(calibrated(calibrator, grid)) > 0).all()


def test_a_file_with_types_that_we_never_write_is_refused() -> None:
    from collections import OrderedDict

    from skops import io as skops_io

    class Foreign(OrderedDict):  # type: ignore[type-arg]
        pass

    Foreign.__qualname__ = "Foreign"
    sys.modules[__name__].Foreign = Foreign  # type: ignore[attr-defined]

    with pytest.raises(ModelError, match="never write"):
        load(skops_io.dumps({"model": Foreign(), "facts": "{}"}), version="bad")


def test_a_broken_file_is_a_clear_error() -> None:
    content = dump(fitted("logistic")[0])

    with pytest.raises(ModelError, match="zhiwei train"):
        load(content[: len(content) // 2], version="cut")


def test_a_model_of_other_features_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = dump(fitted("logistic")[0])
    monkeypatch.setattr(module, "FEATURE_VERSION", "00000000")

    with pytest.raises(ModelError, match="trained on features"):
        load(content, version="old")


def test_model_files_hold_no_pickle() -> None:
    with zipfile.ZipFile(io.BytesIO(dump(fitted("boosting")[0]))) as archive:
        names = archive.namelist()
        json.loads(archive.read("schema.json"))

    assert {Path(name).suffix for name in names} <= {".json", ".npy"}


def test_serving_without_a_model_does_not_import_scikit_learn() -> None:
    code = (
        "import sys, recommender.learned_scorer, recommender.recommend, recommender.promotion; "
        "sys.exit(any(name.split('.')[0] in {'sklearn', 'skops'} for name in sys.modules))"
    )

    done = subprocess.run(  # our own interpreter, fixed words
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False
    )

    assert done.returncode == 0


def test_too_few_answers_are_no_training(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="500"):
        train(a_log(100), seed=1)
