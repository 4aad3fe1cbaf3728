"""The command line: help everywhere, one clear line and exit code 2 on bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.cli import app
from bot.settings import default_cache

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def _fresh_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = default_cache()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZHIWEI_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("ZHIWEI_CACHE", str(cache))
    monkeypatch.delenv("ZHIWEI_TELEGRAM_TOKEN", raising=False)


def write_lines(path: Path, *rows: dict[str, object]) -> Path:
    path.write_text(
        "\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8"
    )
    return path


def test_help_names_the_commands() -> None:
    result = RUNNER.invoke(app, ["--help"])
    assert result.exit_code == 0
    for command in ("run", "chat", "match", "understand", "stats", "doctor"):
        assert command in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["match", "--items", "nowhere.jsonl", "--lessons", "nowhere.jsonl", "--out", "run.tsv"],
        ["understand", "--in", "nowhere.jsonl", "--out", "out.jsonl"],
        ["import", "items", "nowhere.csv"],
        ["chat", "--script", "nowhere.txt"],
    ],
)
def test_a_missing_file_is_one_clear_line_and_exit_code_2(arguments: list[str]) -> None:
    result = RUNNER.invoke(app, arguments)
    assert result.exit_code == 2
    assert "nowhere" in result.output
    assert "Traceback" not in result.output


def test_a_setting_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZHIWEI_LANGUAGE", "fr")
    result = RUNNER.invoke(app, ["stats"])
    assert result.exit_code == 2
    assert "ZHIWEI_LANGUAGE" in result.output


def test_match_writes_ranks_from_one_for_every_lesson(tmp_path: Path) -> None:
    items = write_lines(
        tmp_path / "items.jsonl",
        {"item_id": "a", "name": "sourdough bread"},
        {"item_id": "b", "name": "番茄"},
        {"item_id": "c", "name": "salmon fillet"},
    )
    lessons = write_lines(
        tmp_path / "lessons.jsonl",
        {"lesson_id": "l1", "title": "Baking bread", "text": "Knead the dough and bake bread."},
        {"lesson_id": "l2", "title": "番茄炒蛋", "text": "番茄切块，下锅翻炒。"},
    )
    out = tmp_path / "run.tsv"
    result = RUNNER.invoke(
        app, ["match", "--items", str(items), "--lessons", str(lessons), "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    rows = [line.split("\t") for line in out.read_text().splitlines()]
    ranked = [row for row in rows if len(row) == 4]
    assert {row[0] for row in rows} == {"l1", "l2"}
    first = {row[0]: row[2] for row in ranked if row[1] == "1"}
    assert first == {"l1": "a", "l2": "b"}
    for lesson in ("l1", "l2"):
        scores = [float(row[3]) for row in ranked if row[0] == lesson]
        assert scores == sorted(scores, reverse=True)


def test_understand_writes_intent_and_slots(tmp_path: Path) -> None:
    texts = write_lines(
        tmp_path / "in.jsonl",
        {"id": "1", "text": "I'm allergic to peanuts"},
        {"id": "2", "text": "便宜点"},
    )
    out = tmp_path / "out.jsonl"
    result = RUNNER.invoke(app, ["understand", "--in", str(texts), "--out", str(out)])
    assert result.exit_code == 0, result.output
    one, two = (json.loads(line) for line in out.read_text().splitlines())
    assert (one["id"], one["intent"]) == ("1", "set_constraint")
    assert one["slots"]["allergens"] == ["peanuts"]
    assert (two["id"], two["intent"]) == ("2", "critique")


def test_a_script_is_replayed_and_the_end_of_input_ends_it(tmp_path: Path) -> None:
    items = write_lines(
        tmp_path / "items.jsonl",
        *({"item_id": f"i{n}", "name_en": name} for n, name in enumerate(("Pear", "Plum", "Fig"))),
    )
    script = tmp_path / "script.txt"
    script.write_text("/help\n/lessons\n", encoding="utf-8")
    result = RUNNER.invoke(
        app,
        ["chat", "--language", "en", "--script", str(script)],
        env={"ZHIWEI_CATALOGUE": str(items)},
    )
    assert result.exit_code == 0, result.output
    assert "What I can do" in result.output


def test_figures_come_as_json_from_an_empty_store() -> None:
    result = RUNNER.invoke(app, ["stats", "7d", "--json"])

    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert (found["period"], found["n_slates"], found["safety_violations"]) == ("7d", 0, 0)
    assert found["like_rate"] == {"value": None, "low": None, "high": None, "n": 0}
    assert {"satisfaction", "clicked", "bought", "returned", "coverage", "exposure_gini",
            "similarity", "calibration", "unknown_allergens", "backlog", "policy"} <= set(found)  # fmt: skip
    assert set(found["tables"]) >= {"days", "funnel", "retention", "returning"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["5d"], "expected one of 7d, 30d, 90d, all"),
        (["--lesson", "nothing"], "no lesson 'nothing'"),
        (["--lesson", "a", "--item", "b"], "not both"),
        (["--language", "fr"], "expected zh or en"),
    ],
)
def test_figures_that_nobody_can_give_are_refused_in_one_line(
    arguments: list[str], said: str
) -> None:
    result = RUNNER.invoke(app, ["stats", *arguments])

    assert result.exit_code == 2
    assert said in result.output
    assert "Traceback" not in result.output


def test_figures_are_told_in_both_languages() -> None:
    en = RUNNER.invoke(app, ["stats", "all"])
    zh = RUNNER.invoke(app, ["stats", "all", "--language", "zh"])

    assert "Like rate: nothing yet" in en.output
    assert "喜欢率：暂无" in zh.output
