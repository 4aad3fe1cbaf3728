"""predict(U, P): the probability that this person likes this candidate, calibrated.

scikit-learn is imported only when a model is fitted or loaded; a deployment without a learned
model serves without it. Model files are skops, never pickle.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from data.errors import ModelError
from recommender.features import FEATURE_VERSION, FEATURES
from recommender.forest import MOST_ROWS, Forest

Floats = npt.NDArray[np.float64]

SERVING_POSITION = 0
"""Every candidate is judged as if it stood first; position explains the log, not the taste."""
BOOSTING_FROM_ROWS = 5_000
ISOTONIC_FROM_ROWS = 1_000
_FORMAT = "zhiwei-predictor-1"
_TRUSTED = (
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.utils._bunch.Bunch",
)
_EPSILON = 1e-4


class RewardPredictor(Protocol):
    """Probability of a like within the reward window."""

    @property
    def version(self) -> str: ...

    def predict(
        self, features: npt.NDArray[np.float32], positions: npt.NDArray[np.int64] | None = None
    ) -> Floats:
        """Give (n,) probabilities for (n, len(FEATURES)) rows, as if each stood first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameters:
    """What is searched; the fields of the other family are ignored."""

    family: str = "logistic"
    """`logistic`, or `boosting`: boosted trees averaged with a logistic model."""
    penalty: float = 1.0
    """Inverse strength of the logistic model's L2 penalty, alone or beside trees."""
    learning_rate: float = 0.08
    n_iterations: int = 120
    n_leaves: int = 15
    l2: float = 1.0
    min_leaf: int = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedPredictor:
    """A fitted and calibrated model."""

    model: Any
    """scikit-learn classifier over features and position."""
    calibrator: Any
    """Isotonic or sigmoid map of the model's probability; None leaves it as it is."""
    hyperparameters: Hyperparameters
    version: str = ""
    facts: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """What the model card says; JSON values."""
    _forest: Forest | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # One column more than the features: the position.
        trees = _parts(self.model).get("trees", self.model)
        forest = Forest.of(trees, n_columns=len(FEATURES) + 1)
        object.__setattr__(self, "_forest", forest)

    def predict(
        self, features: npt.NDArray[np.float32], positions: npt.NDArray[np.int64] | None = None
    ) -> Floats:
        if len(features) == 0:
            return np.zeros(0)
        if positions is None:
            positions = np.full(len(features), SERVING_POSITION, dtype=np.int64)
        rows = with_position(features, positions)
        return calibrated(self.calibrator, self._raw(rows))

    def _raw(self, rows: npt.NDArray[np.float32]) -> Floats:
        if self._forest is None or len(rows) > MOST_ROWS:
            return np.asarray(self.model.predict_proba(rows)[:, 1], dtype=np.float64)
        trees = self._forest.predict(rows)
        linear = _parts(self.model).get("linear")
        return trees if linear is None else (linear.predict_proba(rows)[:, 1] + trees) / 2


def _parts(model: Any) -> Mapping[str, Any]:
    """The fitted models that are averaged; none where one model stands alone."""
    return getattr(model, "named_estimators_", {})


def with_position(
    features: npt.NDArray[np.float32], positions: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Add the last column, the 0-based position."""
    return np.column_stack([features, positions]).astype(np.float32)


def new_model(hyperparameters: Hyperparameters, *, seed: int) -> Any:
    """Give an unfitted scikit-learn classifier."""
    from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    linear = make_pipeline(
        StandardScaler(), LogisticRegression(C=hyperparameters.penalty, max_iter=500)
    )
    if hyperparameters.family != "boosting":
        return linear
    trees = HistGradientBoostingClassifier(
        learning_rate=hyperparameters.learning_rate,
        max_iter=hyperparameters.n_iterations,
        max_leaf_nodes=hyperparameters.n_leaves,
        l2_regularization=hyperparameters.l2,
        min_samples_leaf=hyperparameters.min_leaf,
        early_stopping=False,
        random_state=seed,
    )
    # Trees fit better what was shown; the linear model goes on sensibly to what hardly was, and a
    # policy chooses among both.
    return VotingClassifier([("linear", linear), ("trees", trees)], voting="soft")


def fit_calibrator(raw: Floats, labels: Floats) -> Any:
    """Fit a sigmoid under 1 000 rows, an isotonic map from there; None when one class is missing.

    Args:
        raw: (n,) probabilities of a model that has not seen these rows.
        labels: (n,) 0 or 1.
    """
    if len(raw) == 0 or labels.min() == labels.max():
        return None
    if len(raw) < ISOTONIC_FROM_ROWS:
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=1e3).fit(_logit(raw)[:, None], labels)
    from sklearn.isotonic import IsotonicRegression

    return IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(raw, labels)


def calibrated(calibrator: Any, raw: Floats) -> Floats:
    """Apply a calibrator of `fit_calibrator`."""
    if calibrator is None:
        return np.asarray(raw, dtype=np.float64)
    if hasattr(calibrator, "predict_proba"):
        return np.asarray(calibrator.predict_proba(_logit(raw)[:, None])[:, 1], dtype=np.float64)
    # scikit-learn's own predict checks more than it computes, half a millisecond a request.
    steps = np.asarray(np.interp(raw, calibrator.X_thresholds_, calibrator.y_thresholds_))
    # Isotonic steps tie many candidates; a trace of the raw order keeps the ranking.
    return np.clip(steps + 1e-3 * (raw - 0.5), _EPSILON, 1 - _EPSILON)


def _logit(p: Floats) -> Floats:
    clipped = np.clip(p, _EPSILON, 1 - _EPSILON)
    return np.asarray(np.log(clipped / (1 - clipped)), dtype=np.float64)


def dump(predictor: LearnedPredictor) -> bytes:
    """Write a model file; equal models give equal bytes."""
    from skops import io as skops_io

    content = skops_io.dumps(
        {
            "model": predictor.model,
            "calibrator": predictor.calibrator,
            "facts": json.dumps(
                {
                    "format": _FORMAT,
                    "features": list(FEATURES),
                    "feature_version": FEATURE_VERSION,
                    "hyperparameters": asdict(predictor.hyperparameters),
                    "card": dict(predictor.facts),
                },
                sort_keys=True,
            ),
        }
    )
    return _without_addresses(content)


def _without_addresses(content: bytes) -> bytes:
    """Number the objects in order; skops names them by memory address and stamps the time."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        schema = archive.read("schema.json").decode()
        parts = {name: archive.read(name) for name in archive.namelist() if name != "schema.json"}
    numbers: dict[str, str] = {}

    def renamed(found: re.Match[str]) -> str:
        return found[1] + numbers.setdefault(found[2], str(len(numbers) + 1)) + found[3]

    schema = re.sub(r'("__id__": |"file": ")(\d+)(\b)', renamed, schema)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in sorted(
            ((numbers.get(name.split(".")[0], name.split(".")[0]), name) for name in parts),
            key=lambda pair: (len(pair[0]), pair[0]),
        ):
            suffix = part.partition(".")[2]
            _add(archive, f"{name}.{suffix}" if suffix else name, parts[part])
        _add(archive, "schema.json", schema.encode())
    return target.getvalue()


def _add(archive: zipfile.ZipFile, name: str, part: bytes) -> None:
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, part)


def load(content: bytes, *, version: str) -> LearnedPredictor:
    """Read a model file.

    Raises:
        ModelError: it is none, holds types that we do not write, or was trained on other features.
    """
    from skops import io as skops_io

    try:
        _refuse_foreign_types(skops_io.get_untrusted_types(data=content), version)
        parts = skops_io.loads(content, trusted=list(_TRUSTED))
        facts = json.loads(parts["facts"])
        found = facts["feature_version"]
        hyperparameters = Hyperparameters(**facts["hyperparameters"])
    except ModelError:
        raise
    except Exception as error:  # skops raises whatever the broken part raises
        raise ModelError(
            f"model {version} cannot be read ({type(error).__name__}); run `zhiwei train` again"
        ) from error
    if found != FEATURE_VERSION:
        raise ModelError(
            f"model {version} was trained on features {found}, this version serves "
            f"{FEATURE_VERSION}; run `zhiwei train` again"
        )
    return LearnedPredictor(
        model=parts["model"],
        calibrator=parts["calibrator"],
        hyperparameters=hyperparameters,
        version=version,
        facts=MappingProxyType(facts["card"]),
    )


def _refuse_foreign_types(found: list[str], version: str) -> None:
    foreign = sorted(set(found) - set(_TRUSTED))
    if foreign:
        raise ModelError(
            f"model {version} holds types that we never write ({', '.join(foreign[:3])}); "
            "do not use it, run `zhiwei train`"
        )
