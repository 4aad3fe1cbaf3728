"""Compile a sentence-transformers model for the CPU once, and check that it stayed the same.

Imports torch; only the first start with a model comes here.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from index.check_texts import varied_texts
from index.embedding import Progress, Vectors
from index.openvino_embedder import OpenVinoEmbedder
from index.openvino_networks import platform_key
from index.sentence_embedder import SentenceEmbedder

logger = logging.getLogger(__name__)

MIN_COSINE = 0.999
MIN_OVERLAP = 0.98
N_CHECK_TEXTS = 60
N_CHECK_QUERIES = 40


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
        _export(reference, folder, target)
        tell("compiling the model", 1, 3)
        candidate = OpenVinoEmbedder(target, name="candidate", fingerprint="candidate")
        figures = compare(reference, candidate)
    except Exception as error:
        logger.debug("export failed", exc_info=True)
        return f"the export failed ({type(error).__name__}: {error})", {}
    tell("compiling the model", 3, 3)
    if figures["min_cosine"] < MIN_COSINE or figures["top10_overlap"] < MIN_OVERLAP:
        refusal = (
            f"its vectors differ: cosine {figures['min_cosine']:.5f} (at least {MIN_COSINE}), "
            f"top-10 overlap {figures['top10_overlap']:.3f} (at least {MIN_OVERLAP})"
        )
    return refusal, figures


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


def _export(reference: SentenceEmbedder, folder: Path, target: Path) -> None:
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
