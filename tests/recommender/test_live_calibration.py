"""What was promised against what came."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from data.catalogue import ItemId
from data.events import Placement, SlateId, SlateRecord, UserKey
from recommender.features import FEATURE_VERSION
from recommender.live_calibration import calibration_of, live_calibration
from tests.fakes import NOON


@dataclass(frozen=True)
class FirstFeature:
    """Promises the first feature, less a tenth for each position."""

    version: str = "v"

    def predict(self, features: np.ndarray, positions: np.ndarray | None = None) -> np.ndarray:
        at = np.zeros(len(features)) if positions is None else positions
        return np.asarray(features[:, 0] - 0.1 * at, dtype=np.float64)


def a_slate(
    number: int, promised: tuple[float, ...], *, version: str = FEATURE_VERSION
) -> SlateRecord:
    ids = [f"item-{n}" for n in range(len(promised))]
    return SlateRecord(
        slate_id=SlateId(f"slate-{number}"), at=NOON, user_key=UserKey("u"),
        placements=tuple(
            Placement(item_id=ItemId(i), position=n, propensity=0.5, marginal_propensity=0.5)
            for n, i in enumerate(ids)
        ),
        context={"features": {"version": version, "item_ids": ids, "rows": [[p] for p in promised]}},
    )  # fmt: skip


def test_gap_and_error_agree_with_a_hand_worked_example() -> None:
    # Ten people, promised 0.3 each, three like it; ten promised 0.8, six like it.
    predicted = np.array([0.3] * 10 + [0.8] * 10)
    observed = np.array([1.0] * 3 + [0.0] * 7 + [1.0] * 6 + [0.0] * 4)
    found = calibration_of(predicted, observed, np.arange(20), rng=np.random.default_rng(0))

    assert found.gap.value == pytest.approx(0.55 - 0.45)
    assert (found.n, found.n_users) == (20, 20)
    # Ten bins of two rows each, in this order: 1 1, 1 0, then three times 0 0 against 0.3; three
    # times 1 1, then twice 0 0 against 0.8.
    by_hand = (0.7 + 0.2 + 3 * 0.3 + 3 * 0.2 + 2 * 0.8) / 10
    assert found.error.value == pytest.approx(by_hand)
    assert found.gap.low is not None
    assert found.gap.low < 0.1


def test_placements_are_compared_with_their_position_and_their_own_answer() -> None:
    slates = [a_slate(1, (0.5, 0.4)), a_slate(2, (0.5, 0.4))]
    shown = {
        (SlateId("slate-1"), 0): (True, 1),
        (SlateId("slate-1"), 1): (False, 1),
        (SlateId("slate-2"), 0): (False, 2),
        # The second placement of slate 2 still waits for its window.
    }

    found = live_calibration(slates, shown, FirstFeature(), rng=np.random.default_rng(0))

    assert found is not None
    assert (found.n, found.n_users) == (3, 2)
    # 0.5, 0.4 - 0.1, 0.5 promised; one of three came.
    assert found.gap.value == pytest.approx(1.3 / 3 - 1 / 3)


def test_slates_with_other_features_and_nothing_at_all_say_nothing() -> None:
    shown = {(SlateId("slate-1"), 0): (True, 1)}
    rng = np.random.default_rng(0)

    assert (
        live_calibration([a_slate(1, (0.5,), version="old")], shown, FirstFeature(), rng=rng)
        is None
    )
    assert live_calibration([], {}, FirstFeature(), rng=rng) is None


def test_a_well_calibrated_model_has_a_gap_around_nothing() -> None:
    rng = np.random.default_rng(3)
    promised = rng.uniform(0.1, 0.6, 4_000)
    came = (rng.random(4_000) < promised).astype(float)

    found = calibration_of(promised, came, np.repeat(np.arange(500), 8), rng=rng)

    assert found.gap.low is not None
    assert found.gap.high is not None
    assert found.error.value is not None
    # Five standard errors of a mean of 4 000 yes or no are 0.04.
    assert abs(found.gap.value or 0.0) < 0.04
    assert found.gap.low < (found.gap.value or 0.0) < found.gap.high
    assert found.error.value < 0.05
