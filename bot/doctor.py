"""`zhiwei doctor`: what a support person would look at first, each with what to do.

Looks only: it builds no index, repairs nothing, and sends nothing but one question to Telegram.
"""

from __future__ import annotations

import shutil
import stat
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.doctor_catalogue import freshness, labels
from bot.doctor_telegram import telegram
from bot.findings import Finding
from bot.settings import Settings
from bot.terminal import utc_now
from bot.wiring import Wired, read_catalogue
from data.database_facts import database_facts
from data.errors import IndexMismatch, SnapshotError, ZhiweiError

LOW_DISK_BYTES = 500_000_000
LONG_WAIT_SECONDS = 300.0
CLOCK_GRACE = timedelta(minutes=5)
OLDEST_SANE = datetime(2026, 11, 1, tzinfo=UTC)
"""This version did not exist before: a clock that says so is wrong."""
LARGE_LOG_BYTES = 200_000_000


Check = Callable[[Wired], Iterator[Finding]]


def examine(parts: Wired, *, at: datetime | None = None) -> list[Finding]:
    """Look at everything; a check that itself fails is a finding, not a crash."""
    now = at or utc_now()
    checks: tuple[tuple[str, Check], ...] = (
        ("database", _database),
        ("backlog", lambda p: _backlog(p, now)),
        ("clock", lambda p: _clock(p, now)),
        ("catalogue", lambda p: _catalogue(p, now)),
        ("model", _model),
        ("index", _index),
        ("secrets", _secrets),
        ("disk", _disk),
        ("telegram", lambda p: telegram(p.settings, now)),
    )
    findings: list[Finding] = []
    for subject, check in checks:
        try:
            findings += check(parts)
        except (ZhiweiError, OSError) as error:
            findings.append(Finding(subject=subject, fact=str(error), is_ok=False))
    return findings


def _database(parts: Wired) -> Iterator[Finding]:
    path = parts.settings.database_path
    if not path.exists():
        yield Finding(
            subject="database", fact=f"{path} does not exist yet; the first start makes it"
        )
        return
    problems = parts.store.check()
    for problem in problems:
        yield Finding(subject="database", fact=problem, is_ok=False)
    facts = database_facts(path, key=_key(parts.settings))
    encrypted = "encrypted" if facts.is_encrypted else "not encrypted"
    yield Finding(
        subject="database",
        fact=(
            f"{path} {'has problems' if problems else 'is sound'}: {facts.n_bytes / 1e6:.1f} MB, "
            f"{encrypted}, SQLite {facts.sqlite_version}, journal mode {facts.journal_mode}"
        ),
        is_ok=not problems,
    )
    if facts.n_log_bytes > LARGE_LOG_BYTES:
        yield Finding(
            subject="database",
            fact=f"the write-ahead log has grown to {facts.n_log_bytes / 1e6:.0f} MB",
            is_ok=False,
            remedy="another program keeps the database open; close it and restart the bot",
        )
    if facts.parked:
        some = ", ".join(f"{update} ({error})" for update, error in facts.parked[:5])
        yield Finding(
            subject="parked",
            fact=f"{len(facts.parked)} updates failed for good: {some}",
            is_ok=False,
            remedy="look for these ids in the log; they are dropped after 14 days",
        )


def _backlog(parts: Wired, now: datetime) -> Iterator[Finding]:
    if not parts.settings.database_path.exists():
        return
    backlog = parts.store.backlog(at=now)
    is_ok = backlog.oldest_seconds < LONG_WAIT_SECONDS
    yield Finding(
        subject="backlog",
        fact=(
            f"inbox {backlog.inbox}, outbox {backlog.outbox}, parked {backlog.parked}, "
            f"oldest {backlog.oldest_seconds:.0f} s"
        ),
        is_ok=is_ok,
        remedy="" if is_ok else "start the bot to work it off; if it runs, see its log",
    )


def _clock(parts: Wired, now: datetime) -> Iterator[Finding]:
    if now < OLDEST_SANE:
        yield Finding(
            subject="clock", fact=f"the clock says {now:%Y-%m-%d}, before this version was made",
            is_ok=False, remedy="set the clock, for example with `timedatectl set-ntp true`",
        )  # fmt: skip
        return
    path = parts.settings.database_path
    newest = database_facts(path, key=_key(parts.settings)).newest if path.exists() else None
    if newest is not None and newest > now + CLOCK_GRACE:
        yield Finding(
            subject="clock",
            fact=f"something was recorded at {newest.isoformat()}, which is still to come",
            is_ok=False,
            remedy="set the clock with `timedatectl set-ntp true`; labels and quiet hours "
            "depend on it",
        )
        return
    yield Finding(subject="clock", fact=f"{now:%Y-%m-%d %H:%M} UTC, zone {time.tzname[0]}")


def _catalogue(parts: Wired, now: datetime) -> Iterator[Finding]:
    catalogue, problems = read_catalogue(parts.settings)
    yield Finding(
        subject="catalogue",
        fact=(
            f"{len(catalogue)} items, {len(catalogue.lessons)} lessons, {len(problems)} problems, "
            f"version {catalogue.version}"
        ),
        is_ok=not problems,
        remedy=f"first: {problems[0]}" if problems else "",
    )
    yield from freshness(catalogue, now)
    yield from labels(catalogue, now)


def _model(parts: Wired) -> Iterator[Finding]:
    try:
        embedder = parts.embedder
        embedder.embed(["知味"], kind="query")
    except Exception as error:  # the model libraries raise whatever they like
        yield Finding(
            subject="model",
            fact=f"{error} ({type(error).__name__})",
            is_ok=False,
            remedy="until then items are found by words only; unset ZHIWEI_MODEL for the bundled "
            f"model, or delete the cache {parts.settings.cache}",
        )
        return
    yield Finding(subject="model", fact=f"{embedder.name}, {embedder.dim} numbers a vector")


def _index(parts: Wired) -> Iterator[Finding]:
    snapshots = parts.snapshots
    if not snapshots.exists():
        yield Finding(subject="index", fact="there is none yet; the first start builds it")
        return
    remedy = "run `zhiwei index build`; until then the bot builds one at its start"
    try:
        snapshot = snapshots.current()
        catalogue, _ = read_catalogue(parts.settings)
        manifest = snapshot.manifest
        if manifest.catalogue_hash != catalogue.version:
            raise IndexMismatch(
                f"{snapshot.name} was built for catalogue {manifest.catalogue_hash}, "
                f"in force is {catalogue.version}"
            )
        try:
            embedder = parts.embedder
        except Exception:  # the model has its own finding
            embedder = None
        if embedder is not None:
            snapshot.require(
                model_fingerprint=embedder.fingerprint, dim=embedder.dim, model_name=embedder.name
            )
    except SnapshotError as error:
        yield Finding(subject="index", fact=str(error), is_ok=False, remedy=remedy)
        return
    counts = ", ".join(f"{n} {name}" for name, n in manifest.counts.items())
    yield Finding(
        subject="index",
        fact=(
            f"{snapshot.name} is whole: {counts}, {manifest.model_name}, recall "
            f"{manifest.recall:.3f}, built {manifest.built_at:%Y-%m-%d %H:%M}"
        ),
    )
    for leftover in sorted(snapshots.folder.glob(".building-*")):
        yield Finding(
            subject="index",
            fact=f"{leftover.name} was left by a build that was killed, or is being built now",
        )


def _secrets(parts: Wired) -> Iterator[Finding]:
    s = parts.settings
    files = [s.state / "secret", s.database_path]
    # Backups set aside and logs of the database hold the same.
    files += sorted(s.database_path.parent.glob(f"{s.database_path.name}*"))
    files.append(Path(".env"))
    open_ones = [path for path in dict.fromkeys(files) if _is_open_to_others(path)]
    for path in open_ones:
        yield Finding(
            subject="secrets", fact=f"{path} can be read by other users of this machine",
            is_ok=False, remedy=f"chmod 600 {path}",
        )  # fmt: skip
    if not open_ones:
        yield Finding(
            subject="secrets", fact="secret and database can be read by their owner only"
        )
    if s.database_key is not None and s.secret is None:
        yield Finding(
            subject="secrets",
            fact="the database is encrypted, but the secret of the pseudonyms lies beside it",
            remedy="set ZHIWEI_SECRET to the content of the file and delete the file",
        )


def _is_open_to_others(path: Path) -> bool:
    try:
        return path.is_file() and bool(stat.S_IMODE(path.stat().st_mode) & 0o077)
    except OSError:
        return False


def _disk(parts: Wired) -> Iterator[Finding]:
    for name, folder in (("state", parts.settings.state), ("cache", parts.settings.cache)):
        existing = next((f for f in (folder, *folder.parents) if f.is_dir()), Path("/"))
        free = shutil.disk_usage(existing).free
        is_ok = free > LOW_DISK_BYTES
        yield Finding(
            subject="disk",
            fact=f"{free / 1e9:.1f} GB free for the {name} folder {folder}",
            is_ok=is_ok,
            remedy="" if is_ok else "free some space; with a full disk nothing can be stored",
        )


def _key(settings: Settings) -> str | None:
    return settings.database_key.get_secret_value() if settings.database_key else None


__all__ = ["Check", "Finding", "examine"]
