"""Fixtures of the index tests: the real bundled model, unpacked and compiled once a machine."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from index.embedding import Embedder, open_embedder


@pytest.fixture(scope="session")
def model_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zhiwei"


@pytest.fixture(scope="session")
def bundled_embedder(model_cache: Path) -> Embedder:
    """The bundled model as it serves: compiled where that passed its check."""
    from index.cached_embedder import CachedEmbedder

    opened = open_embedder("", model_cache)
    assert isinstance(opened, CachedEmbedder)
    return opened.inner


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20261124)


def unit_vectors(rng: np.random.Generator, n: int, dim: int) -> NDArray[np.float32]:
    vectors = rng.normal(size=(n, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
