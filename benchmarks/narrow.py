"""What 4-bit layers cost and gain, and a network of one shape. `python -m benchmarks.narrow`.

Three forms of the compiled encoder against the model in fp32: how many of the ten nearest each keeps,
strictly counted, and how long a question takes. Not a part of `make bench`: two minutes for a table
of docs/matching.md.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks import models
from benchmarks.report import in_turns, median, show
from benchmarks.texts import product_texts, query_texts
from index.embedding import Embedder
from index.openvino_embedder import FIXED_TOKENS, OpenVinoEmbedder
from index.openvino_export import opened, wide_form
from index.openvino_weights import narrow
from index.sentence_embedder import SentenceEmbedder

N_ITEMS, N_QUESTIONS = 6_000, 120
FORMS: dict[str, tuple[str, ...]] = {
    "nothing (bf16)": (),
    "outputs of attention and feed-forward part": (".output.dense",),
    "these and what goes into the feed-forward part": (".output.dense", ".intermediate.dense"),
    "these and the attention's projections": (
        ".output.dense",
        ".intermediate.dense",
        ".attention.self.",
    ),
}


def main() -> None:
    import openvino

    reference = SentenceEmbedder(str(models.plain_folder()), device="cpu")
    items, questions = product_texts(N_ITEMS), query_texts(N_QUESTIONS)
    short = [q for q in questions if reference.count_tokens([q])[0] <= FIXED_TOKENS - 6][:12]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wide_form(reference, models.plain_folder(), folder)
        forms = {}
        for number, (form, layers) in enumerate(FORMS.items()):
            graph = openvino.Core().read_model(folder / "model.xml")
            narrow(graph, layers=layers)
            openvino.save_model(graph, folder / f"{number}.xml", compress_to_fp16=True)
            forms[form] = opened(folder, f"{number}.xml")
        rows = _times(forms, short)
        nearest = _nearest(reference, items, questions)
        for row, embedder in zip(rows, forms.values(), strict=True):
            found = _nearest(embedder, items, questions)
            kept = [len(set(a) & set(b)) / 10 for a, b in zip(nearest, found, strict=True)]
            row["kept"] = float(np.mean(kept))
    show(f"{N_QUESTIONS} questions, {N_ITEMS:,} items", rows)


def _times(forms: dict[str, OpenVinoEmbedder], short: list[str]) -> list[dict[str, object]]:
    """One question at a time in the network of one shape; in turns."""
    taken = in_turns(
        {
            form: lambda i, embedder=embedder: embedder.embed(
                [short[i % len(short)]], kind="query"
            )
            for form, embedder in forms.items()
        },
        rounds=16,
        repeats=12,
    )
    return [{"narrow": form, "question ms": median(taken[form]) * 1e3} for form in forms]


def _nearest(embedder: Embedder, items: list[str], questions: list[str]) -> np.ndarray:
    cosines = embedder.embed(questions, kind="query") @ embedder.embed(items, kind="passage").T
    return np.argsort(-cosines, axis=1)[:, :10]


if __name__ == "__main__":
    main()
