from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import ModelError
from index import model_folder
from index.cached_embedder import CachedEmbedder
from index.embedding import Embedder, HashingEmbedder, Vectors, open_embedder, windows
from tests.fakes import CountingEmbedder


@pytest.fixture(params=["hashing", "cached", "bundled"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    match request.param:
        case "hashing":
            return HashingEmbedder()
        case "cached":
            return CachedEmbedder(HashingEmbedder())
        case _:
            bundled: Embedder = request.getfixturevalue("bundled_embedder")
            return bundled


def test_vectors_are_unit_rows_of_the_promised_shape(embedder: Embedder) -> None:
    vectors = embedder.embed(["番茄", "tomato", "", "   "], kind="passage")

    assert vectors.shape == (4, embedder.dim)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_no_texts_give_no_rows(embedder: Embedder) -> None:
    assert embedder.embed([], kind="query").shape == (0, embedder.dim)
    assert embedder.count_tokens([]) == []


def test_a_text_has_the_same_vector_alone_and_in_a_crowd(embedder: Embedder) -> None:
    texts = ["石榴", "a much longer text about silk, roads and camels " * 8, "egg", "面"]

    together = embedder.embed(texts, kind="query")
    alone = np.concatenate([embedder.embed([text], kind="query") for text in texts])

    assert (together * alone).sum(axis=1).min() > 0.9995


def test_the_end_of_a_long_text_counts(bundled_embedder: Embedder) -> None:
    long_text = "长征途中红军翻越雪山，吃野菜和皮带。" * 120
    assert bundled_embedder.count_tokens([long_text])[0] > 1000

    plain, with_tail = bundled_embedder.embed(
        [long_text, long_text + "最后他们学会了做番茄炒蛋和红烧肉。" * 20], kind="passage"
    )
    tomato = bundled_embedder.embed(["番茄炒蛋"], kind="query")[0]

    assert with_tail @ tomato > plain @ tomato


def test_query_and_passage_prompts_differ(bundled_embedder: Embedder) -> None:
    as_query = bundled_embedder.embed(["番茄炒蛋"], kind="query")[0]
    as_passage = bundled_embedder.embed(["番茄炒蛋"], kind="passage")[0]

    assert 0.8 < as_query @ as_passage < 0.9999


def test_the_bundled_model_knows_that_tomatoes_are_tomatoes(bundled_embedder: Embedder) -> None:
    names = ["番茄", "牛肉", "bicycle"]
    query = bundled_embedder.embed(["fresh tomatoes for a salad"], kind="query")[0]

    similarities = bundled_embedder.embed(names, kind="passage") @ query

    assert int(np.argmax(similarities)) == 0


def test_threads_that_embed_at_once_get_their_own_vectors(bundled_embedder: Embedder) -> None:
    texts = [f"{i} 斤番茄和{'很' * i}多鸡蛋" for i in range(8)]
    expected = [bundled_embedder.embed([text], kind="query")[0] for text in texts]
    found: dict[int, Vectors] = {}

    def work(number: int) -> None:
        for _ in range(5):
            found[number] = bundled_embedder.embed([texts[number]], kind="query")[0]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == len(texts)
    for number, vector in found.items():
        assert vector @ expected[number] > 0.9995


def test_serving_loads_no_training_library(model_cache: Path, bundled_embedder: Embedder) -> None:
    if "openvino" not in bundled_embedder.name:
        pytest.skip("this processor serves with torch")
    code = (
        "import sys; from pathlib import Path\n"
        "from index.embedding import open_embedder\n"
        "from index import vector, lexical, retrieval, snapshot\n"
        f"e = open_embedder('', Path({str(model_cache)!r}))\n"
        "assert e.embed(['番茄'], kind='query').shape == (1, 384)\n"
        "print([m for m in ('torch', 'transformers', 'sklearn', 'sentence_transformers')"
        " if m in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )

    assert done.stdout.strip() == "[]"


@given(text=st.text(max_size=300), limit=st.integers(min_value=1, max_value=40))
def test_windows_fit_and_lose_nothing(text: str, limit: int) -> None:
    parts = windows(text, lambda part: len(part) <= limit)

    assert "".join(parts) == text
    assert all(len(part) <= limit for part in parts)


def test_windows_cut_at_the_sentence_end_near_the_middle() -> None:
    text = "第一句话讲番茄。第二句讲鸡蛋，很短。第三句。"

    parts = windows(text, lambda part: len(part) <= 18)

    assert parts[0][-1] in "。，"


@settings(max_examples=30)
@given(texts=st.lists(st.text(max_size=20), max_size=12))
def test_the_cache_changes_no_vector(texts: list[str]) -> None:
    plain = HashingEmbedder()
    cached = CachedEmbedder(plain, memory=8)

    for _ in range(2):
        np.testing.assert_array_equal(
            cached.embed(texts, kind="passage"), plain.embed(texts, kind="passage")
        )


def test_a_rebuild_embeds_only_what_changed(tmp_path: Path) -> None:
    texts = [f"item {number}" for number in range(5000)]
    first = CountingEmbedder()
    before = CachedEmbedder(first, tmp_path).embed(texts, kind="passage")
    texts[17], texts[4000] = "changed", "changed too"
    second = CountingEmbedder()

    after = CachedEmbedder(second, tmp_path).embed(texts, kind="passage")

    assert second.asked == ["changed", "changed too"]
    same = [row for row in range(5000) if row not in {17, 4000}]
    np.testing.assert_array_equal(before[same], after[same])


def test_queries_stay_out_of_files_unless_kept(tmp_path: Path) -> None:
    cached = CachedEmbedder(CountingEmbedder(), tmp_path)

    cached.embed(["我对花生过敏"], kind="query")
    assert list(tmp_path.iterdir()) == []

    cached.keep(["lesson of the catalogue"], kind="query")
    reopened = CountingEmbedder()
    CachedEmbedder(reopened, tmp_path).embed(["lesson of the catalogue"], kind="query")
    assert reopened.asked == []


def test_query_and_passage_of_one_text_are_kept_apart(tmp_path: Path) -> None:
    counting = CountingEmbedder()
    cached = CachedEmbedder(counting, tmp_path)

    cached.embed(["番茄"], kind="passage")
    cached.embed(["番茄"], kind="query")

    assert counting.asked == ["番茄", "番茄"]


def test_a_known_query_is_answered_from_memory() -> None:
    counting = CountingEmbedder()
    cached = CachedEmbedder(counting, memory=8)

    for _ in range(3):
        cached.embed(["地中海饮食"], kind="query")

    assert counting.asked == ["地中海饮食"]


def test_a_torn_or_damaged_cache_is_repaired_by_embedding_again(tmp_path: Path) -> None:
    texts = [f"item {number}" for number in range(20)]
    expected = CachedEmbedder(HashingEmbedder(), tmp_path).embed(texts, kind="passage")
    (file,) = tmp_path.iterdir()
    content = bytearray(file.read_bytes())
    content[100:200] = bytes(100)
    file.write_bytes(content[:-700])
    counting = CountingEmbedder()

    found = CachedEmbedder(counting, tmp_path).embed(texts, kind="passage")

    np.testing.assert_array_equal(found, expected)
    assert counting.asked == ["item 0", "item 19"]
    again = CountingEmbedder()
    CachedEmbedder(again, tmp_path).embed(texts, kind="passage")
    assert "item 19" not in again.asked


def test_two_embedders_share_one_cache_file(tmp_path: Path) -> None:
    ours, theirs = CountingEmbedder(), CountingEmbedder()
    one, other = CachedEmbedder(ours, tmp_path), CachedEmbedder(theirs, tmp_path)

    one.embed(["a", "b"], kind="passage")
    other.embed(["b", "c"], kind="passage")
    one.embed([f"{i}" for i in range(2000)] + ["c"], kind="passage")

    assert theirs.asked == ["c"]
    assert "c" not in ours.asked


def test_a_missing_model_folder_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"does not exist.*ZHIWEI_MODEL"):
        open_embedder(str(tmp_path / "absent"), tmp_path / "cache")

    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"modules\.json"):
        open_embedder(str(tmp_path / "empty"), tmp_path / "cache")


def test_the_fingerprint_follows_the_weights_and_not_the_place(tmp_path: Path) -> None:
    for name, weights in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "modules.json").write_text("[]")
        (tmp_path / name / "model.safetensors").write_bytes(weights)

    a, b, c = (model_folder.fingerprint(tmp_path / n, tmp_path / "cache") for n in "abc")

    assert a == b != c
    (tmp_path / "a" / "model.safetensors").write_bytes(b"three")
    assert model_folder.fingerprint(tmp_path / "a", tmp_path / "cache") not in {a, c}
