"""What dense layers in 8 bits gain and cost in the encoder. `python -m benchmarks.eight_bits`.

The most exact form of static 8 bits that was found, for more and more of the layers: each input channel has
its own range; a channel that outweighs the others is coded in several pieces of its range;
weights are rounded one input after the other, each making up for the errors before it (GPTQ,
Frantar et al. 2022, arXiv:2210.17323). Ranges come from the samples. Speed is told against the form in 16 bits,
agreement against fp32: how many of the ten nearest are kept, strictly counted.

The outputs of the feed-forward part are left out: what they read, mostly near 0 and now and then large, lost the most,
and cutting up its ranges made them slower than in 16 bits. Not a part of `make bench`: six minutes
for a table of docs/matching.md.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import models
from benchmarks.report import in_turns, median, show
from benchmarks.texts import lesson_text, product_texts, query_texts
from data.importing import read_items, read_lessons
from data.samples import sample_path
from index.check_texts import varied_texts
from index.embedding import Embedder, Vectors
from index.openvino_embedder import OpenVinoEmbedder
from index.openvino_networks import core
from index.sentence_embedder import SentenceEmbedder

Floats = NDArray[np.float64]

LEVELS = 255
MARGIN = 1.15
"""A range is so much wider than what was seen: a cut activation costs more than a coarse one."""
OUTWEIGHS = 4.0
"""A channel may weigh so many times the typical one before its range is cut into pieces."""
N_ROWS = 4_000
FEED_FORWARD = ("intermediate.dense",)
PROJECTIONS = ("attention.self.query", "attention.self.key", "attention.self.value")
ATTENTION = (*PROJECTIONS, "attention.output.dense")
FORMS: dict[str, tuple[str, ...]] = {
    "nothing (bf16)": (),
    "inputs of the feed-forward part": FEED_FORWARD,
    "these and the attention": FEED_FORWARD + ATTENTION,
}


@dataclass(frozen=True)
class Dense:
    """A dense layer as the model has it, and what it read."""

    weights: Floats  # (n_outputs, n_inputs)
    bias: Floats  # (n_outputs,)
    seen: Floats  # (n_rows, n_inputs)


@dataclass(frozen=True)
class Grid:
    """How inputs are coded: `lowest` of their channel, and `step` times the code 0..255 of each piece."""

    lowest: Floats  # (n_inputs,)
    channels: NDArray[np.intp]  # (n_pieces,) the input that each piece reads
    begin: Floats  # (n_pieces,) where in the input's range it begins
    step: Floats  # (n_pieces,)

    def codes(self, inputs: Floats) -> Floats:
        scaled = (inputs[:, self.channels] - self.begin) / self.step
        return np.asarray(np.clip(np.rint(scaled), 0, LEVELS))


def grid_of(weights: Floats, seen: Floats) -> Grid:
    """Give each channel its range, and heavy ones several pieces of it, one after the other."""
    low, high = seen.min(axis=0), seen.max(axis=0)
    step = np.maximum((high - low) * MARGIN / LEVELS, 1e-9)
    lowest = (low + high - LEVELS * step) / 2
    weight = step * np.abs(weights).max(axis=0)
    n_pieces = np.ceil(weight / (OUTWEIGHS * np.median(weight))).astype(int).clip(1)
    while n_pieces.sum() % 16:
        n_pieces[np.argmax(weight / n_pieces)] += 1
    later = [(channel, at) for channel, n in enumerate(n_pieces) for at in range(1, n)]
    channels = np.array([*range(len(step)), *(channel for channel, _ in later)])
    places = np.array([0] * len(step) + [at for _, at in later])
    fine = (step / n_pieces)[channels]
    return Grid(lowest, channels, lowest[channels] + LEVELS * fine * places, fine)


def rounded(weights: Floats, codes: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Round weights of codes to -127..127 of a step for each output; errors are made up for.

    Args:
        weights: (n_outputs, n_pieces).
        codes: (n_rows, n_pieces) what they are multiplied with.

    Returns:
        (n_outputs, n_pieces) and the steps, (n_outputs, 1).
    """
    import torch

    steps = np.abs(weights).max(axis=1, keepdims=True) / 127
    centred = torch.from_numpy(codes - codes.mean(axis=0))
    squares = centred.T @ centred
    squares += torch.eye(len(squares)) * squares.diagonal().mean() * 1e-3
    order = squares.diagonal().argsort(descending=True)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(squares[order][:, order]))
    spill = torch.linalg.cholesky(inverse, upper=True).numpy()
    left = weights[:, order.numpy()].copy()
    found = np.zeros(left.shape, dtype=np.int8)
    for one in range(left.shape[1]):
        whole = np.clip(np.rint(left[:, one] / steps[:, 0]), -127, 127)
        error = (left[:, one] - whole * steps[:, 0]) / spill[one, one]
        left[:, one:] -= np.outer(error, spill[one, one:])
        found[:, one] = whole
    return found[:, order.argsort().numpy()], steps


def narrow(graph: Any, layers: dict[str, Dense]) -> None:
    """Put these layers of a graph in 8 bits, in place."""
    import openvino
    from openvino import opset13 as op

    def single(values: Floats | float) -> Any:
        return op.constant(np.asarray(values, dtype=np.float32))

    def coded(source: Any, grid: Grid) -> Any:
        scaled = op.add(
            op.multiply(source, single(1 / grid.step)), single(-grid.begin / grid.step)
        )
        bounds = (single(0.0), single(float(LEVELS)))
        return op.fake_quantize(scaled, *bounds, *bounds, LEVELS + 1)

    grids = _grids(layers)
    sources: dict[int, Any] = {}
    for node in graph.get_ordered_ops():
        name = _layer(node)
        if name not in layers:
            continue
        dense, grid = layers[name], grids[name]
        if id(grid) not in sources:
            source = node.input_value(0)
            if len(grid.channels) > len(grid.lowest):
                source = op.gather(source, op.constant(grid.channels), op.constant(np.int64(2)))
            sources[id(grid)] = coded(source, grid)
        codes = grid.codes(dense.seen)
        exact = dense.weights[:, grid.channels] * grid.step
        whole, steps = rounded(exact, codes)
        constant = dense.weights @ grid.lowest + (exact - whole * steps) @ codes.mean(axis=0)
        constant += dense.bias
        scaled = op.multiply(op.convert(op.constant(whole), openvino.Type.f32), single(steps))
        product = op.matmul(sources[id(grid)], scaled, transpose_a=False, transpose_b=True)
        result = op.add(product, single(constant))
        with_bias = next(iter(node.output(0).get_target_inputs())).get_node()
        for user in list(with_bias.output(0).get_target_inputs()):
            user.replace_source_output(result.output(0))
    graph.validate_nodes_and_infer_types()


def _grids(layers: dict[str, Dense]) -> dict[str, Grid]:
    """Give each layer its inputs' grid; query, key and value read the same, so they share one."""
    found: dict[int, Grid] = {}
    for dense in layers.values():
        if id(dense.seen) not in found:
            reading = [one for one in layers.values() if one.seen is dense.seen]
            weights = np.concatenate([one.weights for one in reading])
            found[id(dense.seen)] = grid_of(weights, dense.seen)
    return {name: found[id(dense.seen)] for name, dense in layers.items()}


def _layer(node: Any) -> str:
    found = re.search(r"transformer\.(.+?)/aten::linear", node.get_friendly_name())
    return found[1] if found and node.get_type_name() == "MatMul" else ""


def dense_layers(reference: SentenceEmbedder, texts: Sequence[str]) -> dict[str, Dense]:
    """Give the encoder's dense layers by name, with a sample of what they read of the texts."""
    import torch

    encoder = reference.model[0].auto_model
    modules = {
        name: module
        for name, module in encoder.named_modules()
        if isinstance(module, torch.nn.Linear) and ".layer." in name
    }
    seen: dict[str, list[Any]] = {name: [] for name in modules}

    def watched(name: str) -> Any:
        return lambda _module, inputs: seen[name].append(inputs[0][0].clone())

    hooks = [module.register_forward_pre_hook(watched(name)) for name, module in modules.items()]
    for number, text in enumerate(texts):
        reference.embed([text], kind="query" if number % 3 == 0 else "passage")
    for hook in hooks:
        hook.remove()
    n_rows = len(torch.cat(seen[next(iter(seen))]))
    chosen = np.random.default_rng(0).permutation(n_rows)[:N_ROWS]
    layers: dict[str, Dense] = {}
    for name, module in modules.items():
        rows = torch.cat(seen.pop(name)).double().numpy()
        extremes = np.stack([rows.min(axis=0), rows.max(axis=0)])
        sample = np.concatenate([rows[chosen], extremes])
        if name.endswith(("self.key", "self.value")):
            sample = layers[re.sub(r"(key|value)$", "query", name)].seen
        weights, bias = (x.detach().double().numpy() for x in (module.weight, module.bias))
        layers[name] = Dense(weights, bias, sample)
    return layers


@contextmanager
def forms(layers: dict[str, Dense]) -> Iterator[dict[str, OpenVinoEmbedder]]:
    """Open the compiled encoder with more and more of its layers in 8 bits."""
    import openvino

    served = models.served()
    compiled = models.cache_folder() / "openvino" / served.fingerprint
    with tempfile.TemporaryDirectory() as name:
        opened = {}
        for number, (form, endings) in enumerate(FORMS.items()):
            folder = Path(name) / str(number)
            folder.mkdir()
            for other in ("words.npy", "tokenizer.json", "settings.json"):
                (folder / other).symlink_to(compiled / other)
            graph = core().read_model(compiled / "model.xml")
            narrow(graph, {n: d for n, d in layers.items() if n.endswith(endings)})
            openvino.save_model(graph, folder / "model.xml", compress_to_fp16=False)
            opened[form] = OpenVinoEmbedder(folder, name=form, fingerprint=form)
        yield opened


def main() -> None:
    reference = SentenceEmbedder(str(models.plain_folder()), device="cpu")
    items = read_items(sample_path("catalogue.csv")).records
    lessons = read_lessons(sample_path("lessons.jsonl")).records
    described = [text for i in items for text in (i.description_zh, i.description_en) if text]
    sentences = [line for lesson in lessons for line in re.split(r"(?<=[。.!?])\s*", lesson.text)]
    sentences = [line for line in sentences if len(line) > 8]
    layers = dense_layers(
        reference, described[::4] + sentences[::6] + varied_texts(60) + query_texts(40)
    )
    sets = {
        "sentences": (sentences[1::8], sentences[3::2]),
        "alike": (query_texts(120), product_texts(6_000)),
    }
    with forms(layers) as embedders:
        rows: list[Mapping[str, Any]] = []
        speeds = _speed(embedders)
        nearest = {name: _vectors(reference, texts) for name, texts in sets.items()}
        for form, embedder in embedders.items():
            found = {name: _vectors(embedder, texts) for name, texts in sets.items()}
            kept = {f"kept: {name}": _kept(found[name], nearest[name]) for name in sets}
            cosine = min(_cosine(found[name], nearest[name]) for name in sets)
            rows.append({"8 bits": form} | speeds[form] | kept | {"least cosine": f"{cosine:.4f}"})
    show("speed as a ratio to bf16; share of the ten nearest of fp32 that is kept", rows)


def _speed(embedders: dict[str, OpenVinoEmbedder]) -> dict[str, dict[str, Any]]:
    work: dict[str, tuple[Sequence[str], int]] = {
        "question": (query_texts(1), 12),
        "400 tokens": ([lesson_text(16, 0)], 4),
        "short": (product_texts(128), 2),
        "long": ([lesson_text(20, n) for n in range(8)], 2),
    }
    found: dict[str, dict[str, Any]] = {form: {} for form in embedders}
    for name, (texts, repeats) in work.items():
        calls = {form: partial(_embedded, embedder, texts) for form, embedder in embedders.items()}
        taken = in_turns(calls, rounds=9, repeats=repeats)
        times = {form: median(values) for form, values in taken.items()}
        for form, time in times.items():
            found[form][name] = next(iter(times.values())) / time
    return found


def _embedded(embedder: Embedder, texts: Sequence[str], _number: int) -> None:
    embedder.embed(texts, kind="query")


def _vectors(embedder: Embedder, texts: tuple[list[str], list[str]]) -> tuple[Vectors, Vectors]:
    return embedder.embed(texts[0], kind="query"), embedder.embed(texts[1], kind="passage")


def _kept(ours: tuple[Vectors, Vectors], true: tuple[Vectors, Vectors]) -> float:
    found, wanted = (np.argsort(-(q @ p.T), axis=1)[:, :10] for q, p in (ours, true))
    return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, wanted, strict=True)]))


def _cosine(ours: tuple[Vectors, Vectors], true: tuple[Vectors, Vectors]) -> float:
    return min(float((a * b).sum(axis=1).min()) for a, b in zip(ours, true, strict=True))


if __name__ == "__main__":
    main()
