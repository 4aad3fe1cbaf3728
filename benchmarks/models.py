"""The two forms of the bundled model that the benchmarks compare."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from index import bundled_model
from index.cached_embedder import CachedEmbedder
from index.embedding import Embedder, open_embedder


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zhiwei"


def served() -> Embedder:
    """Open the model as it serves, without the cache of vectors."""
    opened = open_embedder("", cache_folder())
    assert isinstance(opened, CachedEmbedder)
    return opened.inner


def plain_folder() -> Path:
    """Find the sentence-transformers folder that peers load."""
    return bundled_model.unpack(cache_folder())[0]


def sentence_transformer() -> Any:
    """Open the model as sentence-transformers does by default: fp32 on the CPU."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(plain_folder()), device="cpu")
