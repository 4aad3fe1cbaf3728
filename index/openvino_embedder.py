"""The serving encoder: a compiled model, `tokenizers` and numpy. Never imports torch.

The folder is written by `index.openvino_export`: the encoder without its word table as OpenVINO
IR, the word table as a memory-mapped f16 array (192 MB on disk of which a process touches only
the rows it needs), the tokenizer, and the settings.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.errors import ModelError
from index.embedding import Kind, Progress, Vectors, join_windows, unit, windows
from index.openvino_networks import TOKENS_PER_BATCH, Loading, Networks, precision

SHORT_TOKENS = 64
PAD_SHORT = 8
"""OpenVINO builds a kernel for each new length, so single texts are padded and few lengths occur."""
PAD_LONG = 16
TOLD_FROM = 512
"""So many texts take long enough for people to be told how far it is."""


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
        loader = Loading(lambda: _load_tokenizer(folder / "tokenizer.json"))
        try:
            settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
            words: NDArray[np.float16] = np.load(folder / "words.npy", mmap_mode="r")
            self._prompts: dict[str, str] = settings["prompts"]
            self._limit = int(settings["limit"])
            self._dim = int(settings["dim"])
            self._networks = Networks(
                folder / "model.xml", words, pad=int(settings["pad"]), limit=self._limit
            )
            self._tokenizer = loader.result()
        except (OSError, ValueError, RuntimeError) as error:
            message = (
                f"the compiled model in {folder} cannot be read ({error}); "
                "delete that folder, it is written anew at the next start"
            )
            raise ModelError(message) from error

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
            return unit(self._run_one(encoded[0]))
        lengths = np.asarray([len(ids) for ids in encoded])
        order = np.argsort(-lengths, kind="stable")
        batches = []
        done = 0
        while done < len(order):
            width = int(lengths[order[done]])
            batches.append(order[done : done + max(1, TOKENS_PER_BATCH // width)])
            done += len(batches[-1])
        vectors = np.empty((len(encoded), self._dim), dtype=np.float32)
        n_done = 0

        def took(number: int, found: Vectors) -> None:
            nonlocal n_done
            vectors[batches[number]] = found
            n_done += len(found)
            if self._progress is not None and len(encoded) >= TOLD_FROM:
                self._progress("embedding", n_done, len(encoded))

        self._networks.batches([[encoded[n] for n in batch] for batch in batches], took)
        return unit(vectors)

    def _run_one(self, ids: list[int]) -> Vectors:
        if self._networks.is_question(ids):
            return self._networks.question(ids)
        multiple = PAD_SHORT if len(ids) <= SHORT_TOKENS else PAD_LONG
        return self._networks.together(
            [ids], min(self._limit, -(-len(ids) // multiple) * multiple)
        )


def _load_tokenizer(path: Path) -> Any:
    from tokenizers import Tokenizer  # beside openvino's own import

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
