"""Which predictors exist, and which one serves: a JSON file in the state folder, written atomically."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

from data.errors import InvalidInput, ModelError
from data.file_lock import sole_use


class ModelStatus(StrEnum):
    """Where a model stands."""

    SHADOW = "shadow"
    """Trained, not serving."""
    ACTIVE = "active"
    RETIRED = "retired"
    """Served once; rollback goes back to the one retired last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One model of the registry."""

    version: str
    created_at: str
    file: str
    """Name inside the models folder."""
    sha256: str
    status: ModelStatus = ModelStatus.SHADOW
    changed_at: str = ""
    """When the status changed last."""
    n_labelled: int = 0
    replaced: str = ""
    """The version that served before this one was promoted; empty for match-only."""
    metrics: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


class ModelRegistry:
    """The models folder: `registry.json`, `VERSION.skops`, `VERSION.md`, `VERSION.svg`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def rows(self) -> tuple[ModelRow, ...]:
        """All models, oldest first.

        Raises:
            ModelError: the file is not what we write.
        """
        path = self.folder / "registry.json"
        if not path.exists():
            return ()
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))["models"]
            return tuple(ModelRow(**{**row, "status": ModelStatus(row["status"])}) for row in rows)
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f"{path} cannot be read ({error}); restore it from a backup, or move the folder "
                "away to start again from matching alone"
            ) from error

    def row(self, version: str) -> ModelRow:
        """Find a model by its version or the beginning of it.

        Raises:
            InvalidInput: none or several begin so.
        """
        found = [row for row in self.rows() if version and row.version.startswith(version)]
        if len(found) != 1:
            known = ", ".join(row.version for row in self.rows()) or "none"
            raise InvalidInput(f"{version!r} names {len(found)} models; give one of: {known}")
        return found[0]

    def active(self) -> ModelRow | None:
        return next((row for row in self.rows() if row.status is ModelStatus.ACTIVE), None)

    def content(self, row: ModelRow) -> bytes:
        """Read a model file.

        Raises:
            ModelError: it is missing or not the file that was registered.
        """
        path = self.folder / row.file
        if not path.exists():
            raise ModelError(f"{path} is missing; run `zhiwei train` or `zhiwei models rollback`")
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != row.sha256:
            raise ModelError(
                f"{path} was changed after it was registered; run `zhiwei train` or "
                "`zhiwei models rollback`"
            )
        return content

    def add(self, row: ModelRow, files: Mapping[str, bytes]) -> bool:
        """Write a model's files and its row; False when this very version is known already."""
        with self._locked():
            rows = self.rows()
            if any(known.version == row.version for known in rows):
                return False
            for name, content in files.items():
                _write(self.folder / name, content)
            self._save((*rows, row))
            return True

    def promote(self, version: str, *, at: datetime) -> ModelRow:
        """Let a model serve; the one before it retires."""
        with self._locked():
            chosen = self.row(version)
            before = self.active()
            if before is not None and before.version == chosen.version:
                return chosen
            rows: list[ModelRow] = []
            for row in self.rows():
                if row.version == chosen.version:
                    rows.append(
                        replace(
                            row,
                            status=ModelStatus.ACTIVE,
                            changed_at=at.isoformat(),
                            replaced=before.version if before else "",
                        )
                    )
                elif row.status is ModelStatus.ACTIVE:
                    rows.append(
                        replace(row, status=ModelStatus.RETIRED, changed_at=at.isoformat())
                    )
                else:
                    rows.append(row)
            self._save(tuple(rows))
            return self.row(chosen.version)

    def rollback(self, *, at: datetime) -> ModelRow | None:
        """Go back to what served before the active model; None means matching alone.

        Raises:
            InvalidInput: no model serves.
        """
        with self._locked():
            before = self.active()
            if before is None:
                raise InvalidInput("no model serves; matching alone ranks, nothing to roll back")
            rows = tuple(
                replace(row, status=ModelStatus.RETIRED, changed_at=at.isoformat())
                if row.version == before.version
                else replace(row, status=ModelStatus.ACTIVE, changed_at=at.isoformat())
                if row.version == before.replaced
                else row
                for row in self.rows()
            )
            self._save(rows)
            return self.active()

    def _locked(self) -> AbstractContextManager[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        return sole_use(self.folder / "registry.json")

    def _save(self, rows: tuple[ModelRow, ...]) -> None:
        content = json.dumps(
            {
                "models": [
                    {**asdict(replace(r, metrics={})), "metrics": dict(r.metrics)} for r in rows
                ]
            },
            ensure_ascii=False,
            indent=1,
        )
        _write(self.folder / "registry.json", content.encode())


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, also when the power fails."""
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
