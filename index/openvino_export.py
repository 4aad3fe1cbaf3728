"""Compile a sentence-transformers model for the CPU once, and check that it stayed the same.

Imports torch; only the first start with a model comes here.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from index.check_texts import varied_texts
from index.embedding import Kind, Progress, Vectors
from index.openvino_embedder import OpenVinoEmbedder, platform_key
from index.openvino_weights import narrow
from index.sentence_embedder import SentenceEmbedder

logger = logging.getLogger(__name__)

MIN_COSINE = 0.999
MIN_OVERLAP = 0.98
N_CHECK_TEXTS = 60
N_CHECK_QUERIES = 40
N_TIMINGS = 12


def compile_model(folder: Path, compiled: Path, progress: Progress | None = None) -> str | None:
    """Write the compiled form beside its check's record, whole or not at all.

    Args:
        folder: The sentence-transformers folder.
        compiled: Target folder; replaced.
        progress: Told of the three steps.

    Returns:
        Why the compiled form must not be used, or None when it passed.
    """
    compiled.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".compiling-", dir=compiled.parent))
    try:
        refusal, figures = _compile_and_check(folder, temporary, progress)
        record = {"platform": platform_key(), "refusal": refusal, **figures}
        (temporary / "check.json").write_text(json.dumps(record, indent=2), encoding="utf-8")
        if refusal:
            for path in temporary.glob("*"):
                if path.name != "check.json":
                    path.unlink()
        temporary.chmod(0o755)
        shutil.rmtree(compiled, ignore_errors=True)
        temporary.rename(compiled)
    except OSError as error:
        return f"the compiled form cannot be written ({error})"
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return refusal


def _compile_and_check(
    folder: Path, target: Path, progress: Progress | None
) -> tuple[str | None, dict[str, float]]:
    import openvino

    tell = progress or (lambda _what, _done, _total: None)
    tell("compiling the model", 0, 3)
    reference = SentenceEmbedder(str(folder), device="cpu")
    refusal = _unsupported(reference.model)
    if refusal:
        return refusal, {}
    try:
        checked = {"model": _checked(wide_form(reference, folder, target), reference)}
        tell("compiling the model", 1, 3)
        # From the file, whose weights have 16 bits by now: a mixed graph would be written in 32.
        slim = openvino.Core().read_model(target / "model.xml")
        if narrow(slim):
            openvino.save_model(slim, target / "narrow.xml", compress_to_fp16=True)
            checked["narrow"] = _checked(opened(target, "narrow.xml"), reference)
        tell("compiling the model", 2, 3)
        best = _best(checked)
        for suffix in (".xml", ".bin"):
            (target / best).with_suffix(suffix).replace(target / f"model{suffix}")
            (target / "narrow").with_suffix(suffix).unlink(missing_ok=True)
    except Exception as error:
        logger.debug("export failed", exc_info=True)
        return f"the export failed ({type(error).__name__}: {error})", {}
    tell("compiling the model", 3, 3)
    return checked[best].refusal, checked[best].figures


class Embeds(Protocol):
    """What can be timed."""

    def embed(self, texts: Sequence[str], *, kind: Kind) -> Vectors: ...


@dataclass(frozen=True)
class _Checked:
    """One form of the network, written and compared."""

    embedder: OpenVinoEmbedder
    figures: dict[str, float]

    @property
    def refusal(self) -> str | None:
        cosine, overlap = self.figures["min_cosine"], self.figures["top10_overlap"]
        if cosine >= MIN_COSINE and overlap >= MIN_OVERLAP:
            return None
        return (
            f"its vectors differ: cosine {cosine:.5f} (at least {MIN_COSINE}), "
            f"top-10 overlap {overlap:.3f} (at least {MIN_OVERLAP})"
        )


def _checked(embedder: OpenVinoEmbedder, reference: SentenceEmbedder) -> _Checked:
    return _Checked(embedder, compare(reference, embedder))


def _best(checked: Mapping[str, _Checked]) -> str:
    """Name the narrow form where it agrees and is sooner, which depends on the processor."""
    slim, wide = checked.get("narrow"), checked["model"]
    if slim is None or slim.refusal is not None:
        return "model"
    return "narrow" if wide.refusal or is_sooner(slim.embedder, wide.embedder) else "model"


def is_sooner(
    one: Embeds, other: Embeds, *, clock: Callable[[], float] = time.perf_counter
) -> bool:
    """Compare times over a question, a lesson and a handful of products, in turns; medians."""
    texts = varied_texts(N_CHECK_TEXTS)
    calls = (texts[:1], texts[-1:], texts[16:48])
    taken = np.zeros((2, len(calls), N_TIMINGS))
    for turn in range(N_TIMINGS):
        for number, call in enumerate(calls):
            for which, embedder in enumerate((one, other)):
                begin = clock()
                embedder.embed(call, kind="passage")
                taken[which, number, turn] = clock() - begin
    medians = np.median(taken[:, :, 1:], axis=2)  # the first of each builds kernels
    return bool(np.log(medians[0] / medians[1]).sum() < 0)


def compare(reference: SentenceEmbedder, candidate: OpenVinoEmbedder) -> dict[str, float]:
    """Measure agreement on varied texts: smallest cosine, and overlap of the ten nearest.

    A candidate's neighbour also counts when the reference finds it as near as its own tenth, to
    0.0005: the order of ties is no difference of meaning.
    """
    texts = varied_texts(N_CHECK_TEXTS)
    queries = texts[:N_CHECK_QUERIES]
    passages = reference.embed(texts, kind="passage"), candidate.embed(texts, kind="passage")
    asked = reference.embed(queries, kind="query"), candidate.embed(queries, kind="query")
    cosines = [(ours * theirs).sum(axis=1).min() for ours, theirs in (passages, asked)]
    return {
        "min_cosine": float(min(cosines)),
        "top10_overlap": _overlap(asked[0] @ passages[0].T, asked[1] @ passages[1].T),
    }


def _overlap(reference: Vectors, candidate: Vectors) -> float:
    tenth = np.sort(reference, axis=1)[:, -10][:, None]
    found = np.argsort(-candidate, axis=1)[:, :10]
    return float((np.take_along_axis(reference, found, axis=1) >= tenth - 5e-4).mean())


def _unsupported(model: Any) -> str | None:
    if not hasattr(model[0], "auto_model") or not hasattr(model.tokenizer, "backend_tokenizer"):
        return "the model has no transformer with a fast tokenizer"
    if any(getattr(module, "include_prompt", True) is False for module in model):
        return "the model leaves the prompt out of the pooling"
    return None


def _converted(model: Any) -> Any:
    """Give the encoder without its word table as a graph of word vectors and mask."""
    import openvino
    import torch

    hidden = model[0].auto_model.get_input_embeddings().weight.shape[1]
    example = {
        "inputs_embeds": torch.randn(2, 7, hidden),
        "attention_mask": torch.ones(2, 7, dtype=torch.int64),
    }
    shapes = [
        ("inputs_embeds", openvino.PartialShape([-1, -1, hidden]), openvino.Type.f32),
        ("attention_mask", openvino.PartialShape([-1, -1]), openvino.Type.i64),
    ]
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        return openvino.convert_model(_traceable(model), example_input=example, input=shapes)


def wide_form(reference: SentenceEmbedder, folder: Path, target: Path) -> OpenVinoEmbedder:
    """Write the network in 16 bits, the word table, the tokenizer and the settings; open them."""
    import openvino

    model = reference.model
    openvino.save_model(_converted(model), target / "model.xml", compress_to_fp16=True)
    table = model[0].auto_model.get_input_embeddings().weight.detach().numpy()
    np.save(target / "words.npy", table.astype(np.float16))
    model.tokenizer.backend_tokenizer.save(str(target / "tokenizer.json"), pretty=False)
    settings = {
        "prompts": {kind: reference.prompt(kind) for kind in ("query", "passage")},
        "limit": reference.limit,
        "dim": reference.dim,
        "pad": int(model.tokenizer.pad_token_id or 0),
        "source": folder.name,
    }
    (target / "settings.json").write_text(
        json.dumps(settings, indent=2, ensure_ascii=False), encoding="utf-8"
    )
    return opened(target, "model.xml")


def opened(folder: Path, graph: str) -> OpenVinoEmbedder:
    """Open one form of the network that lies in a folder of `wide_form`."""
    return OpenVinoEmbedder(folder, name="candidate", fingerprint="candidate", graph=graph)


def _traceable(model: Any) -> Any:
    """Wrap the model as a function of word vectors and mask, pooling and normalising inside."""
    import torch

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.transformer = model[0].auto_model
            self.rest = torch.nn.ModuleList(list(model)[1:])

        def forward(self, inputs_embeds: Any, attention_mask: Any) -> Any:
            tokens = self.transformer(inputs_embeds=inputs_embeds, attention_mask=attention_mask)
            features = {"token_embeddings": tokens[0], "attention_mask": attention_mask}
            for module in self.rest:
                features = module(features)
            return torch.nn.functional.normalize(features["sentence_embedding"], dim=-1)

    return Network().eval()
