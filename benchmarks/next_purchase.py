"""Next-purchase prediction on the completejourney households: hit@10 and NDCG@10.

    python -m benchmarks.next_purchase ../shared/bench/baskets [--json]

Each household's latest fresh product types (a fifth of them, at least one) are hidden; every
product type that the household has not bought is ranked.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

from recommender.next_purchase import (
    ItemKnnRanker,
    LearnedRanker,
    PopularityRanker,
    Purchases,
    first_days,
    judge_ranking,
    relative_gain,
    split_latest,
)


def read_households(folder: Path) -> Purchases:
    frame = pd.read_csv(folder / "household_fresh_producttype.csv.gz")
    households = pd.factorize(frame["household_id"], sort=True)[0]
    products, names = pd.factorize(frame["product_type"], sort=True)
    first = frame.groupby("product_type")["product_category"].first()
    categories = pd.factorize(first.loc[names], sort=True)[0]
    moments = pd.to_datetime(frame["last"])
    days = (moments - moments.min()).dt.total_seconds().to_numpy() / 86_400
    return Purchases(
        households=households.astype(np.int64),
        products=products.astype(np.int64),
        counts=frame["n"].to_numpy(dtype=np.float64),
        days=days,
        categories=categories.astype(np.int64),
        n_households=int(households.max()) + 1,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    known, hidden = split_latest(read_households(arguments.folder))
    cuts = first_days(hidden, known.n_households, default=float(known.days.max()))
    rankers = {
        "popularity": PopularityRanker(),
        "item_knn": ItemKnnRanker(),
        "learned_profile": LearnedRanker.fit(known, seed=arguments.seed),
    }
    figures = {
        name: judge_ranking(ranker.scores(known, cuts), known, hidden)
        for name, ranker in rankers.items()
    }
    result: dict[str, object] = {
        name: {"hit_at_10": f.hit_at_10, "ndcg_at_10": f.ndcg_at_10} for name, f in figures.items()
    }
    result["n_households"] = len(np.unique(hidden.households))
    rng = np.random.default_rng(arguments.seed)
    for column, name in enumerate(("hit_at_10", "ndcg_at_10")):
        ours = figures["learned_profile"].per_household[:, column]
        best = max(
            (figures[b].per_household[:, column] for b in ("popularity", "item_knn")),
            key=lambda values: float(values.mean()),
        )
        picks = rng.integers(0, len(ours), size=(2_000, len(ours)))
        gains = ours[picks].mean(axis=1) / best[picks].mean(axis=1) - 1
        low, high = np.quantile(gains, [0.025, 0.975])
        result[f"relative_gain_{name}"] = {
            "value": relative_gain(ours.tolist(), best.tolist()),
            "low": float(low),
            "high": float(high),
        }
    print(json.dumps(result, indent=None if arguments.json else 2))


if __name__ == "__main__":
    main()
