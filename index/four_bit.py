"""Weights that lie on a 4-bit grid, kept in 4 bits: the same numbers in a quarter of the bytes.

The bundled model was published with weights of 4 bits in blocks of 32 that share a scale (Q4_0), so
writing them that way again loses nothing. OpenVINO then multiplies them with activations that it
rounds to 8 bits a block as it goes, which processors without a matrix unit do faster than bf16.
Whether the vectors stay the same, and whether it is faster here, is measured when a model is compiled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 32
SETTINGS = {"DYNAMIC_QUANTIZATION_GROUP_SIZE": str(BLOCK)}
"""How OpenVINO has to be asked to round the activations."""
_LOWEST, _HIGHEST = -8, 7
_ROUNDING, _LEAST = 2.0**-10, 2.0**-24
"""Weights come through f16, which rounds each to half a unit in its eleventh bit, or its last."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A matrix as whole numbers times a scale for each block of its columns."""

    numbers: NDArray[np.int8]
    """(rows, blocks, 32), from -8 to 7."""
    scales: NDArray[np.float32]
    """(rows, blocks, 1)."""


def grid_of(weights: NDArray[np.float32]) -> Grid | None:
    """Give the grid on which a (rows, columns) matrix lies, or None when it lies on none.

    A block's largest number is -8 times its scale, as Q4_0 defines the scale.
    """
    rows, columns = weights.shape
    if columns % BLOCK:
        return None
    blocks = weights.reshape(rows, columns // BLOCK, BLOCK)
    largest = np.abs(blocks).argmax(axis=-1)[..., None]
    scales = np.take_along_axis(blocks, largest, axis=-1) / _LOWEST
    scales[scales == 0] = 1.0
    numbers = np.rint(blocks / scales)
    is_on_grid = np.abs(numbers * scales - blocks) <= np.maximum(
        _ROUNDING * np.abs(blocks), _LEAST
    )
    if not is_on_grid.all() or numbers.max() > _HIGHEST:
        return None
    return Grid(numbers.astype(np.int8), scales.astype(np.float32))


def narrow(network: Any) -> bool:
    """Put 4-bit weights into an OpenVINO network, in place; False when any weight is off the grid."""
    found = []
    for node in network.get_ordered_ops():
        weights = _constant_weights(node)
        if weights is None:
            continue
        grid = grid_of(weights)
        if grid is None:
            return False
        found.append((node, grid))
    for node, grid in found:
        _replace(node, grid)
    return bool(found)


def _constant_weights(node: Any) -> NDArray[np.float32] | None:
    """Give the (outputs, inputs) weights of a product with a constant, else None."""
    if node.get_type_name() != "MatMul":
        return None
    source = node.input_value(1).get_node()
    if source.get_type_name() == "Convert":
        source = source.input_value(0).get_node()
    if source.get_type_name() != "Constant":
        return None
    weights = np.asarray(source.get_data(), dtype=np.float32)
    if weights.ndim != 2:
        return None
    return weights if node.get_attributes()["transpose_b"] else np.ascontiguousarray(weights.T)


def _replace(node: Any, grid: Grid) -> None:
    import openvino
    from openvino import opset13

    kind = openvino.Type.u4
    shape = openvino.Shape(list(grid.numbers.shape))
    raised = (grid.numbers - _LOWEST).astype(np.uint8).ravel().tolist()
    numbers = opset13.convert(openvino.op.Constant(kind, shape, raised), "f16")
    zero = opset13.convert(openvino.op.Constant(kind, openvino.Shape([1]), [-_LOWEST]), "f16")
    scales = opset13.constant(grid.scales.astype(np.float16))
    weights = opset13.multiply(opset13.subtract(numbers, zero), scales)
    rows, n_blocks, _ = grid.numbers.shape
    flat = opset13.constant(np.array([rows, n_blocks * BLOCK], dtype=np.int64))
    weights = opset13.convert(opset13.reshape(weights, flat, special_zero=False), "f32")
    product = opset13.matmul(
        node.input_value(0), weights, node.get_attributes()["transpose_a"], True
    )
    product.set_friendly_name(node.get_friendly_name())
    for target in node.output(0).get_target_inputs():
        target.replace_source_output(product.output(0))
