"""Works out the learning curve and the comparison of policies, in a thread of its own, and keeps them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from datetime import datetime

import numpy as np

from bot.learning import evaluate_log_of, read_log
from bot.studio.learning_figures import learning_curve, policy_row
from bot.studio.state_files import StateFile
from bot.studio.words import Refused
from bot.wiring import Wired
from data.errors import InvalidInput, ZhiweiError
from data.model_registry import ModelRegistry, ModelRow, ModelStatus
from data.summary_tables import FEWEST

logger = logging.getLogger(__name__)
FILE = "learning.json"
FIXED = ("logged", "match-only", "popular", "uniform")
"""Policies that need no model."""


class Work:
    """At most one working-out at a time, in a thread of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.problem: ZhiweiError | None = None
        """Why the last one gave nothing."""

    @property
    def is_going_on(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self, wired: Wired, *, at: datetime) -> bool:
        """Begin, unless it is going on already."""
        with self._lock:
            if self.is_going_on:
                return False
            self.problem = None
            self._thread = threading.Thread(
                target=self._run, args=(wired, at), name="learning-figures", daemon=True
            )
            self._thread.start()
            return True

    def wait(self, seconds: float) -> None:
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self, wired: Wired, at: datetime) -> None:
        try:
            record = worked_out(wired, at=at)
            StateFile(wired.settings.state, FILE).change(lambda _: [record])
        except ZhiweiError as error:
            self.problem = error
        except Exception:  # it must end with a word to the admin, whatever went wrong
            logger.exception("the figures of learning could not be worked out")
            self.problem = Refused("learned.went_wrong")


def worked_out(wired: Wired, *, at: datetime) -> dict[str, object]:
    """Give the learning curve and the comparison of policies as JSON values.

    Raises:
        InvalidInput: there are too few answers of people who agreed to learning.
    """
    log = read_log(wired, at=at)
    n_people = len(np.unique(log.users))
    if n_people < FEWEST:
        raise Refused("learned.few_people", people=n_people, least=FEWEST)
    registry = registry_of(wired)
    policies = [
        policy_row(
            name,
            evaluate_log_of(wired, registry, log, name, rng=np.random.default_rng(number)),
            n_slates=len(log),
        )
        for number, name in enumerate((*FIXED, *_compared(registry.rows())))
    ]
    try:
        curve = learning_curve(log, seed=0)
        curve_problem = ""
    except InvalidInput as error:
        curve, curve_problem = [], str(error)
    return {
        "at": at.isoformat(),
        "n_slates": len(log),
        "observed": float(np.nanmean(log.rewards)),
        "curve": curve,
        "curve_problem": curve_problem,
        "policies": policies,
    }


def _compared(rows: Sequence[ModelRow]) -> list[str]:
    """The model that serves and the newest in shadow."""
    active = [row.version for row in rows if row.status is ModelStatus.ACTIVE]
    shadow = [row.version for row in rows if row.status is ModelStatus.SHADOW]
    return [*active, *shadow[-1:]]


def registry_of(wired: Wired) -> ModelRegistry:
    return ModelRegistry(wired.settings.state / "models")
