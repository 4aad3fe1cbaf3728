"""One system of the end-to-end comparison, in its own process: `peer.py SYSTEM index|serve ...`.

Imports happen inside, after the clock has started, so that a system pays for its own libraries
only. Prints one JSON line.
"""

from __future__ import annotations

import json
import sys
import time

STARTED = time.perf_counter()

from pathlib import Path  # noqa: E402 -- the clock starts before any import
from typing import Any, Protocol  # noqa: E402


class System(Protocol):
    def build(self, texts: list[str], folder: Path) -> None: ...
    def open(self, folder: Path) -> None: ...
    def ask(self, text: str) -> list[int]: ...


class Zhiwei:
    """Our encoder and vector index, without our cache of known texts."""

    def __init__(self, model: str) -> None:
        from benchmarks.models import served

        self._embedder = served()

    def build(self, texts: list[str], folder: Path) -> None:
        from index.vector import VectorIndex

        VectorIndex.build(self._embedder.embed(texts, kind="passage")).save(folder)

    def open(self, folder: Path) -> None:
        from index.vector import VectorIndex

        self._vectors = VectorIndex.load(folder)

    def ask(self, text: str) -> list[int]:
        vector = self._embedder.embed([text], kind="query")
        rows: list[int] = self._vectors.search(vector, 10)[1][0].tolist()
        return rows


class ZhiweiKnown(Zhiwei):
    """The same, with the cache that serves texts seen before."""

    def __init__(self, model: str) -> None:
        from index.cached_embedder import CachedEmbedder

        super().__init__(model)
        self._embedder = CachedEmbedder(self._embedder)


class Plain:
    """sentence-transformers and FAISS, as one writes them by hand."""

    def __init__(self, model: str) -> None:
        import faiss
        from sentence_transformers import SentenceTransformer

        self._faiss: Any = faiss
        self._model: Any = SentenceTransformer(model, device="cpu")

    def build(self, texts: list[str], folder: Path) -> None:
        vectors = self._model.encode(texts, prompt_name="passage", show_progress_bar=False)
        flat = self._faiss.IndexFlatIP(vectors.shape[1])
        flat.add(vectors)
        self._faiss.write_index(flat, str(folder / "plain.faiss"))

    def open(self, folder: Path) -> None:
        self._flat = self._faiss.read_index(str(folder / "plain.faiss"))

    def ask(self, text: str) -> list[int]:
        vector = self._model.encode([text], prompt_name="query", show_progress_bar=False)
        rows: list[int] = self._flat.search(vector, 10)[1][0].tolist()
        return rows


class Txtai:
    def __init__(self, model: str) -> None:
        from txtai import Embeddings

        self._embeddings: Any = Embeddings(
            path=model, instructions={"query": "query: ", "data": "passage: "}, gpu=False
        )

    def build(self, texts: list[str], folder: Path) -> None:
        self._embeddings.index((number, text, None) for number, text in enumerate(texts))
        self._embeddings.save(str(folder / "txtai"))

    def open(self, folder: Path) -> None:
        self._embeddings.load(str(folder / "txtai"))

    def ask(self, text: str) -> list[int]:
        return [int(row) for row, _ in self._embeddings.search(text, 10)]


class LangChain:
    """LangChain's FAISS store over sentence-transformers."""

    def __init__(self, model: str) -> None:
        from langchain_core.embeddings import Embeddings
        from sentence_transformers import SentenceTransformer

        encoder: Any = SentenceTransformer(model, device="cpu")

        class Encoder(Embeddings):  # type: ignore[misc] # untyped where the peers are not installed
            def embed_documents(self, texts: list[str]) -> list[list[float]]:
                found = encoder.encode(texts, prompt_name="passage", show_progress_bar=False)
                vectors: list[list[float]] = found.tolist()
                return vectors

            def embed_query(self, text: str) -> list[float]:
                vector: list[float] = encoder.encode(
                    text, prompt_name="query", show_progress_bar=False
                ).tolist()
                return vector

        self._encoder = Encoder()

    def build(self, texts: list[str], folder: Path) -> None:
        from langchain_community.vectorstores import FAISS

        rows = [{"row": number} for number in range(len(texts))]
        store = FAISS.from_texts(texts, self._encoder, metadatas=rows)
        store.save_local(str(folder / "langchain"))

    def open(self, folder: Path) -> None:
        from langchain_community.vectorstores import FAISS

        self._store = FAISS.load_local(
            str(folder / "langchain"), self._encoder, allow_dangerous_deserialization=True
        )

    def ask(self, text: str) -> list[int]:
        return [hit.metadata["row"] for hit in self._store.similarity_search(text, k=10)]


SYSTEMS = {
    "zhiwei": Zhiwei,
    "zhiwei, known text": ZhiweiKnown,
    "plain": Plain,
    "txtai": Txtai,
    "langchain": LangChain,
}


def main(name: str, phase: str, model: str, folder: Path, texts_file: Path) -> None:
    content = json.loads(texts_file.read_text(encoding="utf-8"))
    system: System = SYSTEMS[name](model)
    if phase == "index":
        system.build(content["texts"][:64], folder)
        start = time.perf_counter()
        system.build(content["texts"], folder)
        print(json.dumps({"index_seconds": time.perf_counter() - start}))
        return
    system.open(folder)
    first = system.ask(content["queries"][0])
    to_first_answer = time.perf_counter() - STARTED
    taken, answers = [], [first]
    if "known" in name:
        for query in content["queries"]:
            system.ask(query)
    for query in content["queries"][1:]:
        start = time.perf_counter()
        answers.append(system.ask(query))
        taken.append(time.perf_counter() - start)
    print(
        json.dumps(
            {
                "start_seconds": to_first_answer,
                "query_seconds": taken,
                "resident_mb": _peak_mb(),
                "answers": answers,
            }
        )
    )


def _peak_mb() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]), Path(sys.argv[5]))
