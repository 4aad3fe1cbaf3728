"""Encoder: ours against sentence-transformers' default, in turns. `python -m benchmarks.encoder`."""

from __future__ import annotations

import argparse

import numpy as np

from benchmarks import models
from benchmarks.report import in_turns, median, record, show
from benchmarks.texts import lesson_text, product_texts, query_texts


def main(rounds: int) -> None:
    ours, plain = models.served(), models.sentence_transformer()
    texts = {
        "20 tokens": _of_length(ours, query_texts(400), 15, 27),
        "400 tokens": _of_length(ours, [lesson_text(14 + n % 12, n) for n in range(80)], 370, 430),
    }
    short = product_texts(128 * rounds)
    long = [lesson_text(20, n) for n in range(8 * rounds)]
    rows = []
    for name, pool in texts.items():
        taken = in_turns(
            {
                "ours": lambda i, pool=pool: ours.embed([pool[i % len(pool)]], kind="query"),
                "plain": lambda i, pool=pool: plain.encode(
                    pool[i % len(pool)], prompt_name="query", show_progress_bar=False
                ),
            },
            rounds=rounds,
            repeats=12 if name == "20 tokens" else 4,
        )
        a, b = median(taken["ours"]) * 1e3, median(taken["plain"]) * 1e3
        rows.append({"what": f"one query, {name}, ms", "zhiwei": a, "peer": b, "ratio": b / a})
    for name, pool, size in (("short texts", short, 128), ("long texts", long, 8)):
        taken = in_turns(
            {
                "ours": lambda i, pool=pool, size=size: ours.embed(
                    pool[i * size : (i + 1) * size], kind="passage"
                ),
                "plain": lambda i, pool=pool, size=size: plain.encode(
                    pool[i * size : (i + 1) * size],
                    prompt_name="passage",
                    show_progress_bar=False,
                ),
            },
            rounds=rounds,
            repeats=1,
        )
        a, b = size / median(taken["ours"]), size / median(taken["plain"])
        rows.append({"what": f"{name}, texts/s", "zhiwei": a, "peer": b, "ratio": a / b})
    rows.append(_machine_limit())
    agreement = _agreement(ours, plain)
    show(f"{ours.name} against sentence-transformers fp32; cosine >= {agreement:.5f}", rows)
    record("encoder", {"rows": rows, "min_cosine": agreement, "backend": ours.name})


def _machine_limit() -> dict[str, object]:
    """The same product in both precisions: what bf16 can gain on this machine at most.

    The shape is the widest of the model, at the number of tokens of a bulk batch. Where the
    processor has no matrix unit for bf16, this ratio bounds every ratio of throughput above.
    """
    import torch
    from torch.nn.functional import linear

    operands = {
        str(kind): (torch.randn(1024, 384).to(kind), torch.randn(1536, 384).to(kind))
        for kind in (torch.float32, torch.bfloat16)
    }
    taken = in_turns(
        {name: lambda _, pair=pair: linear(*pair) for name, pair in operands.items()},
        rounds=9,
        repeats=10,
    )
    n_operations = 2 * 1024 * 384 * 1536
    slow, fast = (
        n_operations / median(taken[str(k)]) / 1e9 for k in (torch.float32, torch.bfloat16)
    )
    return {
        "what": "this machine: matrix product, bf16 to fp32, GFLOP/s",
        "zhiwei": fast,
        "peer": slow,
        "ratio": fast / slow,
    }


def _of_length(ours: models.Embedder, pool: list[str], at_least: int, at_most: int) -> list[str]:
    counts = ours.count_tokens(pool)
    chosen = [t for t, n in zip(pool, counts, strict=True) if at_least <= n <= at_most]
    if len(chosen) < 5:
        raise SystemExit(f"only {len(chosen)} texts of {at_least}-{at_most} tokens")
    return chosen


def _agreement(ours: models.Embedder, plain: object) -> float:
    texts = product_texts(100) + [lesson_text(3, n) for n in range(20)]
    reference = plain.encode(texts, prompt_name="passage", show_progress_bar=False)  # type: ignore[attr-defined] # the library is untyped
    return float(np.min((ours.embed(texts, kind="passage") * reference).sum(axis=1)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    main(parser.parse_args().rounds)
