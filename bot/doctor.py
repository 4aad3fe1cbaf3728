"""`zhiwei doctor`: what a support person would look at first, each with what to do.

Looks only: it builds no index, repairs nothing, and sends nothing but one question to Telegram.
"""

from __future__ import annotations

import asyncio
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from bot.redaction import redact
from bot.settings import Settings
from bot.terminal import utc_now
from bot.wiring import Wired, read_catalogue
from data.catalogue import Catalogue
from data.database_facts import database_facts
from data.errors import IndexMismatch, SnapshotError, ZhiweiError
from data.vocabulary import Allergen, AllergenState
from recommender.safety import is_label_fresh

LOW_DISK_BYTES = 500_000_000
LONG_WAIT_SECONDS = 300.0
CLOCK_GRACE = timedelta(minutes=5)
OLDEST_SANE = datetime(2026, 11, 1, tzinfo=UTC)
"""This version did not exist before: a clock that says so is wrong."""
TELEGRAM_SECONDS = 8.0
LARGE_LOG_BYTES = 200_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at."""

    subject: str
    fact: str
    is_ok: bool = True
    remedy: str = ""


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
        ("telegram", _telegram),
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
    yield from _freshness(catalogue, now)
    yield from _labels(catalogue, now)


def _freshness(catalogue: Catalogue, now: datetime) -> Iterator[Finding]:
    today = now.date()
    gone = sum(
        item.stock == 0 or (item.available_until is not None and item.available_until < today)
        for item in catalogue
    )
    is_ok = gone * 4 <= len(catalogue)
    yield Finding(
        subject="freshness",
        fact=f"{gone} of {len(catalogue)} items are sold out or over",
        is_ok=is_ok,
        remedy="" if is_ok else "import the shop's current list: `zhiwei import items FILE`",
    )


def _labels(catalogue: Catalogue, now: datetime) -> Iterator[Finding]:
    stale = sum(not is_label_fresh(item, at=now) for item in catalogue)
    ahead = sum(
        item.allergens_checked_on is not None
        and item.allergens_checked_on > now.date() + timedelta(days=1)
        for item in catalogue
    )
    is_ok = stale * 2 <= len(catalogue) and not ahead
    future = f", {ahead} with a check still to come" if ahead else ""
    yield Finding(
        subject="labels",
        fact=f"{stale} of {len(catalogue)} items without a label check within a year{future}",
        is_ok=is_ok,
        remedy="set allergens_checked_on; such items are hidden from people with allergies"
        if stale
        else "",
    )
    unknown = np.mean(
        [
            any(item.allergen_state(a) is AllergenState.UNKNOWN for a in Allergen)
            for item in catalogue
        ]
    )
    yield Finding(
        subject="allergens", fact=f"{unknown:.0%} of items have an unknown allergen",
        is_ok=bool(unknown < 0.5),
        remedy="complete the allergens column" if unknown >= 0.5 else "",
    )  # fmt: skip


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


def _telegram(parts: Wired) -> Iterator[Finding]:
    s = parts.settings
    if s.telegram_token is None:
        yield Finding(subject="telegram", fact="no token is set; the terminal chat is used")
        return
    token = s.telegram_token.get_secret_value()
    if not s.admins:
        yield Finding(
            subject="telegram", fact="no admin is set, so nobody hears of parked updates",
            remedy="set ZHIWEI_ADMINS to your numeric user id",
        )  # fmt: skip
    try:
        yield from asyncio.run(_ask_telegram(s, token, utc_now()))
    except Exception as error:  # whatever the network does is a finding
        fact = redact(f"{s.telegram_api} gave no answer: {error or type(error).__name__}", [token])
        yield Finding(
            subject="telegram",
            fact=fact,
            is_ok=False,
            remedy="check the token, the network and ZHIWEI_TELEGRAM_API",
        )


async def _ask_telegram(s: Settings, token: str, now: datetime) -> list[Finding]:
    from telegram import Bot
    from telegram.request import HTTPXRequest

    root = s.telegram_api.rstrip("/")
    is_local = urlsplit(root).hostname in ("127.0.0.1", "localhost", "::1")
    request = HTTPXRequest(
        connect_timeout=TELEGRAM_SECONDS,
        read_timeout=TELEGRAM_SECONDS,
        httpx_kwargs={"trust_env": False} if is_local else {},
    )
    async with asyncio.timeout(3 * TELEGRAM_SECONDS), request:
        bot = Bot(token, base_url=f"{root}/bot", request=request)
        me = await bot.get_me()
        hook = await bot.get_webhook_info()
    findings = [Finding(subject="telegram", fact=f"the token belongs to @{me.username}")]
    wanted = s.webhook_url
    if hook.url != wanted:
        told = f"Telegram posts to {hook.url}" if hook.url else "Telegram has no webhook"
        ours = f"ZHIWEI_WEBHOOK_URL is {wanted}" if wanted else "ZHIWEI_WEBHOOK_URL is not set"
        # A poller removes a webhook at its start, so only an unknown address is a trouble.
        findings.append(
            Finding(
                subject="webhook", fact=f"{told}, {ours}", is_ok=not hook.url or not wanted,
                remedy="restart the bot, and see whether another one uses this token",
            )
        )  # fmt: skip
    failed_at = hook.last_error_date
    if hook.url and failed_at is not None and now - failed_at < timedelta(hours=1):
        findings.append(
            Finding(
                subject="webhook",
                fact=f"Telegram failed to post at {failed_at:%H:%M} UTC: {hook.last_error_message}",
                is_ok=False,
                remedy="check the certificate, the address and the proxy in front of the bot",
            )
        )
    findings.append(
        Finding(
            subject="webhook",
            fact=f"{hook.pending_update_count} updates wait at Telegram",
            is_ok=hook.pending_update_count < 100,
            remedy="" if hook.pending_update_count < 100 else "start the bot",
        )
    )
    return findings


def _key(settings: Settings) -> str | None:
    return settings.database_key.get_secret_value() if settings.database_key else None
