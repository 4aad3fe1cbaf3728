"""What admins' commands keep and reach beyond one turn. Heavy parts are opened when first used."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from bot.admin_jobs import Jobs

if TYPE_CHECKING:
    from bot.overview import Board
    from bot.wiring import Wired
    from data.model_registry import ModelRegistry


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
