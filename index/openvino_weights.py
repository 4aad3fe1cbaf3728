"""Give an OpenVINO graph its dense layers in the 4 bits that their weights already lie on.

OpenVINO then also rounds what such a layer reads to 8 bits, in the same blocks. On a processor
without a matrix unit that makes a question sooner. It costs agreement, least in the layers that write
into the residual stream, so only these are narrow: `docs/matching.md` has both for every choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 32
"""Weights to one scale, along the inputs; as the bundled model packs them."""
_LOWEST, _HIGHEST = -8, 7
_LAYERS = (".output.dense",)
"""In the names of a BERT's layers: the output of the attention and of the feed-forward part."""


def narrow(graph: Any, *, layers: Sequence[str] = _LAYERS) -> int:
    """Replace weights on a 4-bit grid in place; their values stay the same.

    Args:
        graph: An `openvino.Model` with weights of 32 or 16 bits.
        layers: Parts of names; the others are left alone.

    Returns:
        How many layers were replaced: 0 for a model that was never packed in 4 bits.
    """
    n_layers = 0
    for node in graph.get_ordered_ops():
        name = node.get_friendly_name()
        if node.get_type_name() != "MatMul" or not any(layer in name for layer in layers):
            continue
        weights = _constant(node.input_value(1).get_node())
        found = None if weights is None else on_grid(weights)
        if found is not None:
            node.input(1).replace_source_output(_unpacked(*found).output(0))
            n_layers += 1
    graph.validate_nodes_and_infer_types()
    return n_layers


def _constant(node: Any) -> NDArray[np.float32] | None:
    while node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    if node.get_type_name() != "Constant":
        return None
    values = np.asarray(node.get_data(), dtype=np.float32)
    return values if values.ndim == 2 and values.shape[1] % BLOCK == 0 else None


def on_grid(weights: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float16]] | None:
    """Give the steps and scales of weights that lie on a grid of 16 steps, or None.

    A block's largest weight lies at -8 steps, as llama.cpp's Q4_0 lays it.

    Args:
        weights: (n_outputs, n_inputs), a multiple of `BLOCK` inputs.

    Returns:
        (n_outputs, n_blocks, BLOCK) in -8..7 and (n_outputs, n_blocks, 1).
    """
    blocks = weights.reshape(len(weights), -1, BLOCK)
    largest = np.abs(blocks).argmax(axis=2)[:, :, None]
    scales = np.take_along_axis(blocks, largest, axis=2) / _LOWEST
    steps = np.rint(blocks / np.where(scales == 0, 1, scales))
    if steps.min(initial=0) < _LOWEST or steps.max(initial=0) > _HIGHEST:
        return None
    # Half a thousandth: what 16-bit floats lose of a weight.
    if (np.abs(steps * scales - blocks) > 5e-4 * np.abs(scales * _LOWEST)).any():
        return None
    return steps.astype(np.int8), scales.astype(np.float16)


def _unpacked(steps: NDArray[np.int8], scales: NDArray[np.float16]) -> Any:
    import openvino
    from openvino import opset13

    packed = openvino.Tensor(openvino.Type.i4, openvino.Shape(steps.shape))
    nibbles = (steps.reshape(-1) & 0x0F).astype(np.uint8)
    packed.data[:] = nibbles[0::2] | (nibbles[1::2] << 4)
    wide = opset13.multiply(
        opset13.convert(opset13.constant(packed), "f16"),
        opset13.constant(scales, dtype=np.float16),
    )
    shape = opset13.constant(np.array([len(steps), -1], dtype=np.int64))
    return opset13.convert(opset13.reshape(wide, shape, special_zero=False), "f32")
