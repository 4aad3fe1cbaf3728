"""The serving encoder: a compiled model, `tokenizers` and numpy. Never imports torch.

The folder is written by `index.openvino_export`: the encoder without its word table as OpenVINO
IR, the word table as a memory-mapped f16 array (192 MB on disk of which a process touches only
the rows it needs), the tokenizer, and the settings.
"""

from __future__ import annotations

import json
import os
import platform
import threading
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.errors import ModelError
from index.embedding import Kind, Progress, Vectors, join_windows, unit, windows

SHORT_TOKENS = 64
PAD_SHORT = 8
"""OpenVINO builds a kernel for each new length, so single texts are padded and few lengths occur."""
PAD_LONG = 16
FIXED_TOKENS = 24
"""A question up to this is padded to it and has a network of this one shape: an eighth sooner than
one for all lengths, which prepares its layers anew for each length, and 45 MB more."""
TOKENS_PER_BATCH = 1024
"""More falls out of a core's cache and is slower."""
_LATENCY = {"PERFORMANCE_HINT": "LATENCY"}
BULK_FROM = 512
"""So many texts are worth the bulk form: a stream for each core instead of all cores on one."""


@cache
def _core() -> Any:
    import openvino  # 0.2 s, and only this class wants it

    return openvino.Core()


@cache
def platform_key() -> str:
    """Say on what a check of the compiled form holds: OpenVINO's version, processor, precision."""
    import openvino

    return f"{openvino.__version__}/{platform.machine()}/{precision()}"


def precision() -> str:
    """`bf16` where the processor computes in it, else `f32`."""
    capabilities = _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "bf16" if "BF16" in capabilities else "f32"


class OpenVinoEmbedder:
    """Embeds with the compiled encoder on the CPU."""

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        fingerprint: str,
        progress: Progress | None = None,
    ) -> None:
        """Load the tokenizer and the network, at the same time.

        Raises:
            ModelError: A file of the folder is missing or broken.
        """
        self._name = f"{name}+openvino-{precision()}"
        self._fingerprint = fingerprint
        self._progress = progress
        loader = _Loading(lambda: _load_tokenizer(folder / "tokenizer.json"))
        try:
            settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
            self._words: NDArray[np.float16] = np.load(folder / "words.npy", mmap_mode="r")
            # Read once: its weights are mapped from the file, and every network shares them.
            self._graph = _core().read_model(folder / "model.xml")
            self._network = self._compile(_LATENCY)
            self._tokenizer = loader.result()
        except (OSError, ValueError, RuntimeError) as error:
            message = (
                f"the compiled model in {folder} cannot be read ({error}); "
                "delete that folder, it is written anew at the next start"
            )
            raise ModelError(message) from error
        self._prompts: dict[str, str] = settings["prompts"]
        self._limit = int(settings["limit"])
        self._dim = int(settings["dim"])
        self._pad = int(settings["pad"])
        self._requests = threading.local()
        self._fixed: Any = None
        self._n_questions = 0
        self._fixed_lock = threading.Lock()
        self._bulk: Any = None
        self._bulk_lock = threading.Lock()

    @property
    def name(self) -> str:
        return self._name

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    @property
    def dim(self) -> int:
        return self._dim

    def embed(self, texts: Sequence[str], *, kind: Kind) -> Vectors:
        if not texts:
            return np.zeros((0, self._dim), dtype=np.float32)
        prompt = self._prompts[kind]
        encoded = self._ids([prompt + text for text in texts])
        if max(map(len, encoded)) <= self._limit:
            return self._run(encoded)
        owners: list[int] = []
        parts: list[list[int]] = []
        for number, (text, ids) in enumerate(zip(texts, encoded, strict=True)):
            pieces = [ids]
            if len(ids) > self._limit:
                split = windows(text, lambda part: self._length(prompt + part) <= self._limit)
                pieces = self._ids([prompt + part for part in split])
            owners.extend([number] * len(pieces))
            parts.extend(pieces)
        weights = np.asarray([len(ids) for ids in parts], dtype=np.float32)
        return join_windows(self._run(parts), np.asarray(owners, dtype=np.intp), weights)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        encoded = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [len(one.ids) for one in encoded]

    def _ids(self, texts: list[str]) -> list[list[int]]:
        if len(texts) == 1:
            return [self._tokenizer.encode(texts[0]).ids]
        return [one.ids for one in self._tokenizer.encode_batch_fast(texts)]

    def _length(self, text: str) -> int:
        return len(self._tokenizer.encode(text).ids)

    def _run(self, encoded: list[list[int]]) -> Vectors:
        if len(encoded) == 1:
            n_tokens = len(encoded[0])
            if n_tokens <= FIXED_TOKENS <= self._limit:
                return self._infer(encoded, FIXED_TOKENS, network=self._fixed_network())
            multiple = PAD_SHORT if n_tokens <= SHORT_TOKENS else PAD_LONG
            return self._infer(encoded, min(self._limit, -(-n_tokens // multiple) * multiple))
        lengths = np.asarray([len(ids) for ids in encoded])
        order = np.argsort(-lengths, kind="stable")
        batches = []
        done = 0
        while done < len(order):
            width = int(lengths[order[done]])
            batches.append(order[done : done + max(1, TOKENS_PER_BATCH // width)])
            done += len(batches[-1])
        if len(encoded) >= BULK_FROM and len(batches) > 1:
            return self._run_bulk(encoded, batches)
        vectors = np.empty((len(encoded), self._dim), dtype=np.float32)
        for batch in batches:
            ids = [encoded[number] for number in batch]
            vectors[batch] = self._infer(ids, len(ids[0]))
        return vectors

    def _run_bulk(self, encoded: list[list[int]], batches: list[NDArray[np.intp]]) -> Vectors:
        """Run a batch on each core at a time; a fifth faster than all cores on one batch."""
        import openvino  # loaded long ago

        vectors = np.empty((len(encoded), self._dim), dtype=np.float32)

        def collect(request: Any, batch: NDArray[np.intp]) -> None:
            vectors[batch] = unit(np.array(request.get_output_tensor(0).data, dtype=np.float32))

        with self._bulk_lock:
            if self._bulk is None:
                n_streams = os.cpu_count() or 1
                self._bulk = self._compile(
                    {"NUM_STREAMS": str(n_streams), "INFERENCE_NUM_THREADS": str(n_streams)}
                )
            queue = openvino.AsyncInferQueue(self._bulk)
        queue.set_callback(collect)
        done = 0
        for batch in batches:
            ids = [encoded[number] for number in batch]
            queue.start_async(list(self._inputs(ids, len(ids[0]))), userdata=batch)
            done += len(batch)
            if self._progress is not None:
                self._progress("embedding", done, len(encoded))
        queue.wait_all()
        return vectors

    def _fixed_network(self) -> Any:
        """The network of one shape from the second question on; for one alone 0.4 s is too much."""
        with self._fixed_lock:
            self._n_questions += 1
            if self._fixed is None and self._n_questions > 1:
                self._fixed = self._compile(_LATENCY, n_tokens=FIXED_TOKENS)
            return self._fixed or self._network

    def _infer(self, encoded: list[list[int]], width: int, *, network: Any = None) -> Vectors:
        request = self._request(network or self._network)
        found = request.infer(list(self._inputs(encoded, width)), share_inputs=True)[0]
        return unit(np.array(found, dtype=np.float32))

    def _inputs(self, encoded: list[list[int]], width: int) -> tuple[Vectors, NDArray[np.int64]]:
        ids = np.full((len(encoded), width), self._pad, dtype=np.int64)
        mask = np.zeros((len(encoded), width), dtype=np.int64)
        for row, one in enumerate(encoded):
            ids[row, : len(one)] = one
            mask[row, : len(one)] = 1
        return self._words[ids].astype(np.float32), mask

    def _compile(self, settings: dict[str, str], *, n_tokens: int | None = None) -> Any:
        """Compile for any texts, or for one text of so many tokens."""
        graph = self._graph
        if n_tokens is not None:
            graph = graph.clone()
            graph.reshape({0: [1, n_tokens, self._words.shape[1]], 1: [1, n_tokens]})
        return _core().compile_model(
            graph, "CPU", settings | {"INFERENCE_PRECISION_HINT": precision()}
        )

    def _request(self, network: Any) -> Any:
        """Give this thread's own request: one cannot be used by two at a time."""
        requests: dict[int, Any] = self._requests.__dict__.setdefault("by_network", {})
        if id(network) not in requests:
            requests[id(network)] = network.create_infer_request()
        return requests[id(network)]


def _load_tokenizer(path: Path) -> Any:
    from tokenizers import Tokenizer  # beside openvino's own import

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


class _Loading:
    """Runs one call in a thread; `result` waits and raises what it raised."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._outcome: Any = None
        self._error: Exception | None = None
        self._call = call
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def result(self) -> Any:
        self._thread.join()
        if self._error is not None:
            message = str(self._error)
            raise OSError(message) from self._error
        return self._outcome

    def _work(self) -> None:
        try:
            self._outcome = self._call()
        except Exception as error:
            self._error = error
