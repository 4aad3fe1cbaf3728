from __future__ import annotations

import json
import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from data.errors import ModelError
from index import bundled_model
from index.check_texts import varied_texts
from index.embedding import Embedder, Vectors, open_embedder
from index.openvino_embedder import OpenVinoEmbedder
from index.openvino_networks import MANY_BATCHES, TOKENS_PER_BATCH, platform_key


@pytest.fixture
def cache_with_model(tmp_path: Path, model_cache: Path, bundled_embedder: Embedder) -> Path:
    """A cache folder of its own that borrows the unpacked model."""
    (tmp_path / bundled_model.NAME).symlink_to(model_cache / bundled_model.NAME)
    return tmp_path


def refuse(cache: Path, fingerprint: str) -> None:
    compiled = cache / "openvino" / fingerprint
    compiled.mkdir(parents=True)
    record = {"platform": platform_key(), "refusal": "its vectors differ: cosine 0.9"}
    (compiled / "check.json").write_text(json.dumps(record))


def test_what_serves_here_passed_its_check(model_cache: Path, bundled_embedder: Embedder) -> None:
    if "openvino" not in bundled_embedder.name:
        pytest.skip("this processor serves with torch")
    path = model_cache / "openvino" / bundled_embedder.fingerprint / "check.json"

    record = json.loads(path.read_text())

    assert record["refusal"] is None
    assert record["min_cosine"] >= 0.999
    assert record["top10_overlap"] >= 0.98


def test_a_refused_compiled_form_is_not_served(
    cache_with_model: Path, bundled_embedder: Embedder
) -> None:
    refuse(cache_with_model, bundled_embedder.fingerprint)

    with pytest.raises(ModelError, match=r"refused.*cosine 0\.9.*ZHIWEI_BACKEND=torch"):
        open_embedder("", cache_with_model, backend="openvino")


def test_torch_steps_in_with_a_warning(
    cache_with_model: Path, bundled_embedder: Embedder, caplog: pytest.LogCaptureFixture
) -> None:
    refuse(cache_with_model, bundled_embedder.fingerprint)
    texts = varied_texts(8)

    with caplog.at_level(logging.WARNING, logger="index.embedding"):
        embedder = open_embedder("", cache_with_model)

    assert embedder.name.endswith("+torch")
    assert embedder.fingerprint == bundled_embedder.fingerprint
    assert "its vectors differ" in caplog.text
    cosines = embedder.embed(texts, kind="query") * bundled_embedder.embed(texts, kind="query")
    assert cosines.sum(axis=1).min() >= 0.999


def serving(cache: Path, model_cache: Path, bundled_embedder: Embedder) -> OpenVinoEmbedder:
    """A compiled encoder of its own, whose folder may be broken."""
    if "openvino" not in bundled_embedder.name:
        pytest.skip("this processor serves with torch")
    folder = cache / "form"
    shutil.copytree(model_cache / "openvino" / bundled_embedder.fingerprint, folder)
    return OpenVinoEmbedder(folder, name="form", fingerprint="form")


def test_a_question_has_one_vector_however_often_and_from_wherever_it_is_asked(
    tmp_path: Path, model_cache: Path, bundled_embedder: Embedder
) -> None:
    embedder = serving(tmp_path, model_cache, bundled_embedder)
    questions = ["番茄配什么好？", "what goes with tomatoes?"]
    together = embedder.embed(questions, kind="query")

    def ask(number: int) -> Vectors:
        return embedder.embed([questions[number % 2]], kind="query")[0]

    with ThreadPoolExecutor(4) as pool:
        asked = list(pool.map(ask, range(16)))

    for number, vector in enumerate(asked):
        assert float(vector @ together[number % 2]) > 0.9995


def test_a_text_has_one_vector_alone_and_among_others_of_any_length(
    tmp_path: Path, model_cache: Path, bundled_embedder: Embedder
) -> None:
    """Lengths for each network of one shape, for the one of any length, and for many batches."""
    embedder = serving(tmp_path, model_cache, bundled_embedder)
    lengths = (1, 2, 8, 9, 14, 15, 16, 30, 200, 480)
    texts = [" ".join([word] + ["of"] * (n - 1)) for word in ("the", "to", "and") for n in lengths]
    assert tuple(embedder.count_tokens(texts)) == lengths * 3

    together = embedder.embed(texts, kind="query")
    alone = np.concatenate([embedder.embed([text], kind="query") for text in texts])

    cosines = alone @ together.T
    assert cosines.diagonal().min() > 0.9995
    assert np.abs(cosines - together @ together.T).max() < 0.005


def test_threads_may_embed_many_texts_at_the_same_time(
    tmp_path: Path, model_cache: Path, bundled_embedder: Embedder
) -> None:
    embedder = serving(tmp_path, model_cache, bundled_embedder)
    n_texts = MANY_BATCHES * TOKENS_PER_BATCH // 400
    texts = [f"lesson {number}" + " pears" * 220 for number in range(n_texts)]
    assert min(embedder.count_tokens(texts)) > 400

    with ThreadPoolExecutor(3) as pool:
        first, *others = pool.map(lambda _: embedder.embed(texts, kind="passage"), range(3))

    for other in others:
        assert float((first * other).sum(axis=1).min()) > 0.9995
    alone = [embedder.embed([texts[number]], kind="passage")[0] for number in (0, n_texts - 1)]
    assert float(first[0] @ alone[0]) > 0.9995
    assert float(first[-1] @ alone[1]) > 0.9995
    assert float(first[0] @ alone[1]) < min(float(first[0] @ alone[0]), 0.9995)


def test_an_open_encoder_outlives_its_folder(
    tmp_path: Path, model_cache: Path, bundled_embedder: Embedder
) -> None:
    embedder = serving(tmp_path, model_cache, bundled_embedder)
    first = embedder.embed(["a pear"], kind="query")

    shutil.rmtree(tmp_path / "form")

    assert float((embedder.embed(["a pear"], kind="query") * first).sum()) > 0.9999


def test_a_broken_compiled_folder_names_the_remedy(
    cache_with_model: Path, model_cache: Path, bundled_embedder: Embedder
) -> None:
    if "openvino" not in bundled_embedder.name:
        pytest.skip("this processor serves with torch")
    compiled = cache_with_model / "openvino" / bundled_embedder.fingerprint
    shutil.copytree(
        model_cache / "openvino" / bundled_embedder.fingerprint,
        compiled,
        ignore=shutil.ignore_patterns("words.npy"),
    )

    with pytest.raises(ModelError, match="delete that folder"):
        open_embedder("", cache_with_model)


def test_any_sentence_transformers_folder_can_be_used(tmp_path: Path) -> None:
    """A tiny random model, saved as people save theirs, and then opened by its folder."""
    folder = tiny_model(tmp_path / "tiny")

    compiled = open_embedder(str(folder), tmp_path / "cache")
    plain = open_embedder(str(folder), tmp_path / "cache", backend="torch")

    assert compiled.fingerprint == plain.fingerprint
    assert compiled.dim == plain.dim == 32
    texts = ["red apple", "green pear tart", "salt " * 300]
    ours, theirs = (one.embed(texts, kind="query") for one in (compiled, plain))
    assert (ours * theirs).sum(axis=1).min() >= 0.999
    assert compiled.count_tokens(texts) == plain.count_tokens(texts) == [2, 3, 300]


def tiny_model(folder: Path) -> Path:
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "green", "apple", "pear", "tart", "salt"]
    tokenizer = Tokenizer(
        models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=64,
    )
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder / "raw")
    fast.save_pretrained(folder / "raw")
    transformer = Transformer(str(folder / "raw"), max_seq_length=64)
    SentenceTransformer(modules=[transformer, Pooling(32)], device="cpu").save(str(folder / "st"))
    return folder / "st"
