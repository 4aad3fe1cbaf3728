"""What admins' commands keep and reach beyond one turn. Heavy parts are opened when first used."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from bot.admin_jobs import Jobs
from data.errors import InvalidInput

if TYPE_CHECKING:
    from bot.learning import WhatIf
    from bot.overview import Board
    from bot.wiring import Wired
    from data.model_registry import ModelRegistry, ModelRow
    from data.store import EventStore
    from recommender.live_calibration import Calibration
    from recommender.promotion import Gate


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """What was read and is in force now."""

    n_items: int
    n_lessons: int
    n_problems: int
    index: str


@dataclass(kw_only=True)
class AdminOffice:
    """Jobs, the figures' memory, and the models and catalogue of the deployment."""

    jobs: Jobs = field(default_factory=Jobs)
    """What takes minutes."""
    quick: Jobs = field(default_factory=Jobs)
    """What takes a second or two, so that figures need not wait for a training."""
    parts: Wired | None = None
    """None where nothing is deployed; then there are figures, and no models to train."""

    @cached_property
    def board(self) -> Board:
        """The history behind /stats; its home imports pandas, which takes half a second."""
        from bot.overview import Board

        return Board()

    @cached_property
    def registry(self) -> ModelRegistry | None:
        """The trained models; None where nothing is deployed."""
        if self.parts is None:
            return None
        from data.model_registry import ModelRegistry

        return ModelRegistry(self.parts.settings.state / "models")

    def train(self, *, at: datetime) -> tuple[ModelRow, Gate]:
        """Train, judge and register, as `learning.train_from_store`."""
        from bot.learning import train_from_store

        return train_from_store(self._parts(), self._registry(), seed=0, at=at)

    def judge(self, version: str, *, at: datetime) -> Gate:
        """Ask the promotion gate with today's log, as `learning.judge_model`."""
        from bot.learning import judge_model

        registry = self._registry()
        return judge_model(self._parts(), registry, registry.row(version), at=at)

    def what_if(self, policy: str, *, at: datetime) -> WhatIf | None:
        """Estimate a policy, as `learning.what_if`."""
        from bot.learning import what_if

        return what_if(self._parts(), self._registry(), policy, at=at)

    def calibration(
        self, store: EventStore, period: str, *, at: datetime
    ) -> tuple[str, Calibration | None]:
        """The version of the model in force and how well it promises; empty and None without one.

        Raises:
            ModelError: the model file is missing or damaged.
        """
        active = self.registry.active() if self.registry is not None else None
        if active is None or self.registry is None:
            return "", None
        from bot.learning import calibration_in_force

        frames, _ = self.board.frames(store, period, at=at)
        return active.version, calibration_in_force(store, self.registry, frames, at=at)

    def reload(self) -> Reloaded:
        """Read catalogue and lessons anew and publish their index; a running bot takes it over.

        Raises:
            InvalidInput: a file cannot be read, or has no usable item.
            SnapshotError: the index cannot be written.
        """
        from bot.catalogue_files import read_catalogue

        parts = self._parts()
        catalogue, problems = read_catalogue(parts.settings)
        parts.build_index()
        return Reloaded(
            n_items=len(catalogue),
            n_lessons=len(catalogue.lessons),
            n_problems=len(problems),
            index=parts.snapshots.current().name,
        )

    def _parts(self) -> Wired:
        if self.parts is None:
            raise InvalidInput("nothing is deployed here; expected a state folder")
        return self.parts

    def _registry(self) -> ModelRegistry:
        if self.registry is None:
            raise InvalidInput("there are no models here; expected a state folder")
        return self.registry
