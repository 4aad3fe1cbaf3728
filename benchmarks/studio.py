"""Times of the studio's two heavy pages, through the whole application: `python -m benchmarks.studio`.

- Pairing preview of a 400-token lesson that was not seen before, sample catalogue, bundled model.
- Figures page over 200 000 impressions: the first look of the process, then looks after new events came.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

from starlette.testclient import TestClient

from bot.settings import Settings
from bot.studio.app import build_app
from bot.studio.visit import utc_now
from bot.wiring import Wired
from tests.browser.history import invent

WORDS = [
    "soak",
    "grind",
    "simmer",
    "season",
    "taste",
    "market",
    "morning",
    "kitchen",
    "bowl",
    "steam",
    "broth",
    "rice",
    "ginger",
    "spring",
    "onion",
    "mushroom",
    "memory",
    "grandmother",
    "river",
    "harvest",
    "bean",
    "curd",
    "vinegar",
    "sesame",
    "patience",
    "heat",
    "salt",
]


def text_of(n_words: int, seed: int) -> str:
    """About 400 tokens in sentences of ten words; another text for each seed."""
    picked = [WORDS[(seed * 7 + i * (3 + seed % 11)) % len(WORDS)] for i in range(n_words)]
    lines = [" ".join(picked[i : i + 10]).capitalize() for i in range(0, n_words, 10)]
    return ". ".join(lines) + f". Lesson {seed}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--impressions", type=int, default=200_000)
    parser.add_argument("--previews", type=int, default=20)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as state:
        # The argument is pydantic-settings' own, which its types do not know.
        parts = Wired(Settings(_env_file=None, state=Path(state)))  # type: ignore[call-arg]
        result = {
            "cpus": os.cpu_count(),
            "load_1m": os.getloadavg()[0],
            "python": platform.python_version(),
            **pairings(parts, told.previews),
            **figures(parts, told.impressions),
        }
        parts.store.close()
    print(json.dumps(result, indent=1))


def pairings(parts: Wired, n: int) -> dict[str, object]:
    app = build_app(parts, public=False)
    times = []
    with TestClient(app, base_url="http://127.0.0.1") as client:
        markup = client.get("/pairings").text
        token = markup.split('name="token" value="')[1][:32]
        for seed in range(n + 2):
            form = {"token": token, "text": text_of(290, seed)}
            began = time.perf_counter()
            answer = client.post("/pairings/preview", data=form, headers={"hx-request": "true"})
            times.append(1000 * (time.perf_counter() - began))
            assert answer.status_code == 200
            assert 'class="ranked"' in answer.text
    n_tokens = parts.embedder.count_tokens([text_of(290, 1)])[0]
    return {"pairing_tokens": int(n_tokens), **spread("pairing_ms", times[2:])}


def figures(parts: Wired, n_impressions: int) -> dict[str, object]:
    invent(
        parts.store, parts.engines.current().catalogue,
        until=utc_now(), n_slates=n_impressions // 3 + 1,
    )  # fmt: skip
    now = [utc_now()]

    def clock() -> datetime:
        return now[0]

    times = []
    with TestClient(
        build_app(parts, public=False, clock=clock), base_url="http://127.0.0.1"
    ) as client:
        for _ in range(12):
            began = time.perf_counter()
            answer = client.get("/figures?period=all")
            times.append(1000 * (time.perf_counter() - began))
            assert answer.status_code == 200
            now[0] += timedelta(minutes=1)  # past the half minute for which a summary is kept
    return {
        "impressions": len(parts.store.impressions_frame()),
        "figures_first_ms": round(times[0], 1),
        **spread("figures_ms", times[1:]),
    }


def spread(name: str, times: list[float]) -> dict[str, object]:
    ordered = sorted(times)
    return {
        f"{name}_median": round(statistics.median(ordered), 1),
        f"{name}_worst": round(ordered[-1], 1),
        f"{name}_n": len(ordered),
    }


if __name__ == "__main__":
    main()
