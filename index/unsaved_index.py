"""An index that lives in memory only: for the day when the disk or the encoder is gone."""

from __future__ import annotations

import numpy as np

from data.catalogue import Catalogue
from index.catalogue_index import CatalogueIndex, lexical_terms, passages_of
from index.embedding import Embedder
from index.lexical import LexicalIndex
from index.vector import VectorIndex


def build_unsaved(catalogue: Catalogue, embedder: Embedder) -> CatalogueIndex:
    """Index a catalogue without writing a file.

    Args:
        catalogue: At least one item.
        embedder: With a stand-in such as `HashingEmbedder` the vectors still tell which items are
            alike, which the choice of three different ones needs; they say nothing of lessons.

    Raises:
        ModelError: The embedder failed.
    """
    texts: list[str] = []
    owners: list[int] = []
    for row, item in enumerate(catalogue.items):
        versions = passages_of(item)
        texts += versions
        owners += [row] * len(versions)
    return CatalogueIndex(
        vectors=VectorIndex.build(embedder.embed(texts, kind="passage")),
        owners=np.asarray(owners, dtype=np.int64),
        lexical=LexicalIndex.build_from_terms(lexical_terms(item) for item in catalogue),
        catalogue_version=catalogue.version,
        version=f"unsaved-{embedder.name}",
    )
