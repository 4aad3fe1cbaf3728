"""The forms of one compiled encoder: for a question of one shape, for any texts, for very many.

OpenVINO prepares every layer anew for another length, and lets all cores wait for each other after
each. So a short text has networks of one shape, and many texts go through one core each. What a
first text needs is compiled at once, the other forms when they are wanted.
"""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.embedding import Vectors

QUESTION_TOKENS = (16, 22)
"""A short text is padded to one of these, and each token more takes 2 % of its time. The sample
messages have up to 16 tokens in 94 % and up to 22 in 99.8 %, prompt and special tokens included;
a network takes 60 MB."""
TOKENS_PER_BATCH = 1024
"""More falls out of a core's cache, less lets cores that share a batch wait for each other."""
MANY_BATCHES = 12
"""So many are worth the 0.3 s and the 150 MB of the form for them: a build, not a lesson of a chat."""

Ids = Sequence[int]
_LATENCY = {"PERFORMANCE_HINT": "LATENCY"}


@cache
def core() -> Any:
    """OpenVINO, imported when it is first wanted: that takes 0.2 s."""
    import openvino

    return openvino.Core()


@cache
def platform_key() -> str:
    """Say on what a check of the compiled form holds: OpenVINO's version, processor, precision."""
    import openvino

    return f"{openvino.__version__}/{platform.machine()}/{precision()}"


def precision() -> str:
    """`bf16` where the processor computes in it, else `f32`."""
    capabilities = core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "bf16" if "BF16" in capabilities else "f32"


class Loading:
    """Runs one call in a thread; `result` waits and raises what it raised."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._outcome: Any = None
        self._error: Exception | None = None
        self._call = call
        # No daemon: what ends while OpenVINO compiles would end with a crash.
        self._thread = threading.Thread(target=self._work)
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


class Networks:
    """Runs token numbers through the compiled encoder. Safe to call from several threads."""

    def __init__(self, model: Path, words: NDArray[np.float16], *, pad: int, limit: int) -> None:
        """Read the graph and compile what a first question or a first passage needs.

        Args:
            model: The `.xml` of an encoder of word vectors and mask.
            words: (n_words, width) the word table; may be memory-mapped.
            pad: Number of the padding word.
            limit: The most tokens that the encoder reads.

        Raises:
            RuntimeError: The file is missing or broken.
        """
        self._words = words
        self._pad = pad
        # Read once: the weights are mapped from the file, and every form shares them.
        self._graph = core().read_model(model)
        self._lock = threading.Lock()
        self._mine = threading.local()
        self._widths = [width for width in QUESTION_TOKENS if width <= limit]
        self._n_asked = dict.fromkeys(self._widths, 0)
        self._questions: dict[int, _Question] = {}
        self._bulk: Any = None
        # A question does not wait for this one, and a passage not for the others.
        self._any = Loading(lambda: self._compiled(_LATENCY))
        if self._widths:
            self._questions[self._widths[-1]] = self._question(self._widths[-1])
        else:
            self._any.result()

    def is_question(self, ids: Ids) -> bool:
        """Say whether one text is short enough for a network of one shape."""
        return bool(self._widths) and len(ids) <= self._widths[-1]

    def question(self, ids: Ids) -> Vectors:
        """Embed one short text: (1, dim)."""
        wanted = next(width for width in self._widths if len(ids) <= width)
        with self._lock:
            self._n_asked[wanted] += 1
            # For one question alone, the 0.3 s of compiling are too much: the widest does as well.
            if wanted not in self._questions and self._n_asked[wanted] > 1:
                self._questions[wanted] = self._question(wanted)
            form = self._questions.get(wanted) or self._questions[self._widths[-1]]
        return form.run(self._words[list(ids)])

    def together(self, texts: Sequence[Ids], width: int) -> Vectors:
        """Embed some texts at once on all cores, padded to `width` tokens: (n_texts, dim)."""
        if not hasattr(self._mine, "request"):
            # A thread's own: one request cannot be used by two at a time.
            self._mine.request = self._any.result().create_infer_request()
        found = self._mine.request.infer(list(self._inputs(texts, width)), share_inputs=True)[0]
        return np.array(found, dtype=np.float32)

    def batches(
        self, batches: Sequence[Sequence[Ids]], took: Callable[[int, Vectors], None]
    ) -> None:
        """Embed batches; many of them one on each core, a sixth faster than all cores on each.

        Args:
            batches: Token numbers of some texts each.
            took: Called with a batch's number and its (n_texts, dim) vectors; by one thread at a
                time, which may be another one.
        """
        if len(batches) < MANY_BATCHES:
            for number, texts in enumerate(batches):
                took(number, self.together(texts, max(map(len, texts))))
            return
        import openvino  # loaded long ago

        with self._lock:
            if self._bulk is None:
                n_streams = str(os.cpu_count() or 1)
                self._bulk = self._compiled(
                    {"NUM_STREAMS": n_streams, "INFERENCE_NUM_THREADS": n_streams}
                )
        one_at_a_time = threading.Lock()

        def finished(request: Any, number: int) -> None:
            with one_at_a_time:
                took(number, np.array(request.get_output_tensor(0).data, dtype=np.float32))

        queue = openvino.AsyncInferQueue(self._bulk)
        queue.set_callback(finished)
        for number, texts in enumerate(batches):
            queue.start_async(list(self._inputs(texts, max(map(len, texts)))), userdata=number)
        queue.wait_all()

    def _question(self, n_tokens: int) -> _Question:
        graph = self._graph.clone()
        graph.reshape({0: [1, n_tokens, self._words.shape[1]], 1: [1, n_tokens]})
        return _Question(self._compiled(_LATENCY, graph), n_tokens, self._words[self._pad])

    def _compiled(self, settings: dict[str, str], graph: Any = None) -> Any:
        return core().compile_model(
            graph or self._graph, "CPU", settings | {"INFERENCE_PRECISION_HINT": precision()}
        )

    def _inputs(self, texts: Sequence[Ids], width: int) -> tuple[Vectors, NDArray[np.int64]]:
        ids = np.full((len(texts), width), self._pad, dtype=np.int64)
        mask = np.zeros((len(texts), width), dtype=np.int64)
        for row, one in enumerate(texts):
            ids[row, : len(one)] = one
            mask[row, : len(one)] = 1
        return self._words[ids].astype(np.float32), mask


class _Question:
    """A network for one text of up to `n_tokens`; each thread has a request and fills its inputs."""

    def __init__(self, network: Any, n_tokens: int, padding: NDArray[np.float16]) -> None:
        self._network = network
        self._n_tokens = n_tokens
        self._padding = padding.astype(np.float32)
        self._mine = threading.local()

    def run(self, words: NDArray[np.float16]) -> Vectors:
        """Embed a text of (n_words, width) word vectors: (1, dim)."""
        if not hasattr(self._mine, "request"):
            self._open()
        mine, n_words = self._mine, len(words)
        mine.words[0, :n_words] = words
        mine.words[0, n_words:] = self._padding
        mine.mask[0, :n_words] = 1
        mine.mask[0, n_words:] = 0
        mine.request.start_async()
        mine.request.wait()
        return np.array(mine.request.get_output_tensor(0).data, dtype=np.float32)

    def _open(self) -> None:
        """Give this thread a request whose inputs are arrays of ours: a twentieth sooner."""
        import openvino  # loaded long ago

        mine = self._mine
        mine.words = np.empty((1, self._n_tokens, len(self._padding)), dtype=np.float32)
        mine.mask = np.empty((1, self._n_tokens), dtype=np.int64)
        request = self._network.create_infer_request()
        request.set_input_tensor(0, openvino.Tensor(mine.words, shared_memory=True))
        request.set_input_tensor(1, openvino.Tensor(mine.mask, shared_memory=True))
        mine.request = request
