"""Compile a sentence-transformers model for the CPU once, and check that it stayed the same.

Where there are several forms, the fastest on this machine of those that passed is kept.

Imports torch; only the first start with a model comes here.
"""

from __future__ import annotations

import json
import logging
import shutil
import statistics
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from index import four_bit
from index.check_texts import varied_texts
from index.embedding import Progress, Vectors
from index.openvino_embedder import OpenVinoEmbedder, platform_key, precision
from index.sentence_embedder import SentenceEmbedder

logger = logging.getLogger(__name__)

MIN_COSINE = 0.999
MIN_OVERLAP = 0.98
N_CHECK_TEXTS = 60
N_CHECK_QUERIES = 40
N_TIMED, N_ROUNDS = 12, 8


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
    tell = progress or (lambda _what, _done, _total: None)
    tell("compiling the model", 0, 3)
    reference = SentenceEmbedder(str(folder), device="cpu")
    refusal = _unsupported(reference.model)
    if refusal:
        return refusal, {}
    try:
        forms = _export(reference, folder, target)
        tell("compiling the model", 1, 3)
        checked = [_checked(reference, target, form) for form in forms]
    except Exception as error:
        logger.debug("export failed", exc_info=True)
        return f"the export failed ({type(error).__name__}: {error})", {}
    passed = [each for each in checked if each.refusal is None]
    if not passed:
        return checked[0].refusal, checked[0].figures
    chosen = min(_timed(passed), key=lambda each: each.figures["query_ms"])
    chosen.form.put(target)
    for form in forms:
        if form is not chosen.form:
            form.drop(target)
    tell("compiling the model", 3, 3)
    return None, chosen.figures


@dataclass(frozen=True, slots=True)
class _Form:
    """One way to compile the network."""

    name: str
    graph: str
    asked: Mapping[str, str]

    def put(self, target: Path) -> None:
        """Make it the form that is loaded."""
        path = target / "settings.json"
        settings = json.loads(path.read_text(encoding="utf-8"))
        settings |= {"form": self.name, "graph": self.graph, "compile": dict(self.asked)}
        path.write_text(json.dumps(settings, indent=2, ensure_ascii=False), encoding="utf-8")

    def drop(self, target: Path) -> None:
        for suffix in (".xml", ".bin"):
            (target / self.graph).with_suffix(suffix).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Checked:
    form: _Form
    embedder: OpenVinoEmbedder
    figures: dict[str, float]
    refusal: str | None


def _checked(reference: SentenceEmbedder, target: Path, form: _Form) -> _Checked:
    form.put(target)
    candidate = OpenVinoEmbedder(target, name="candidate", fingerprint="candidate")
    figures = compare(reference, candidate)
    refusal = None
    if figures["min_cosine"] < MIN_COSINE or figures["top10_overlap"] < MIN_OVERLAP:
        refusal = (
            f"its vectors differ: cosine {figures['min_cosine']:.5f} (at least {MIN_COSINE}), "
            f"top-10 overlap {figures['top10_overlap']:.3f} (at least {MIN_OVERLAP})"
        )
    return _Checked(form, candidate, figures, refusal)


def _timed(checked: Sequence[_Checked]) -> list[_Checked]:
    """Add the median milliseconds of a short question, asked of all forms in turns."""
    texts = varied_texts(N_CHECK_QUERIES)[:N_TIMED]
    taken: list[list[float]] = [[] for _ in checked]
    # The first round builds the kernels.
    for number in range(N_ROUNDS + 1):
        for text in texts:
            for each, times in zip(checked, taken, strict=True):
                started = time.perf_counter()
                each.embedder.embed([text], kind="query")
                if number:
                    times.append(time.perf_counter() - started)
    return [
        replace(each, figures=each.figures | {"query_ms": statistics.median(times) * 1e3})
        for each, times in zip(checked, taken, strict=True)
    ]


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


def _export(reference: SentenceEmbedder, folder: Path, target: Path) -> list[_Form]:
    """Write the network, and a 4-bit one where its weights allow; give the forms to choose from."""
    import openvino
    import torch

    model = reference.model
    transformer = model[0].auto_model
    table = transformer.get_input_embeddings().weight.detach().numpy()
    words = table.astype(np.float16)
    np.save(target / "words.npy", words)
    network = _traceable(model)
    hidden = table.shape[1]
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
        converted = openvino.convert_model(network, example_input=example, input=shapes)
    openvino.save_model(converted, target / "model.xml", compress_to_fp16=True)
    forms = [_Form(precision(), "model.xml", {})]
    narrowed = openvino.Core().read_model(target / "model.xml")
    if four_bit.narrow(narrowed):
        openvino.save_model(narrowed, target / "narrow.xml", compress_to_fp16=False)
        forms.append(_Form(f"{precision()}-w4a8", "narrow.xml", four_bit.SETTINGS))
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
    return forms


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
