"""The command line. Every command has examples, `--json` where figures are printed, exit code 2."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from bot.console import configure_logging, err, errors_in_one_line, out, progress_board
from bot.settings import Settings, load_settings
from bot.terminal import TerminalChat, typed_lines, utc_now
from bot.wiring import Wired, imported_path, read_catalogue
from data.errors import InvalidInput, SettingsError

# Rich's Markdown help joins the lines of an example; plain text keeps them apart.
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Zhiwei 知味: three fresh foods that go with the lesson you just finished.",
)
index_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Build or describe the index."
)
import_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Import items or lessons."
)
evaluate_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Judge matching and policies."
)
app.add_typer(index_app, name="index")
app.add_typer(evaluate_app, name="evaluate")
app.add_typer(import_app, name="import")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
NO_TELEGRAM = (
    "No Telegram token is set, so the chat opens here. "
    "For Telegram: ask @BotFather for a token and set ZHIWEI_TELEGRAM_TOKEN."
)


@app.callback()
def options(
    verbose: Annotated[bool, typer.Option("--verbose", help="Log what happens.")] = False,
) -> None:
    configure_logging(verbose=verbose)


@contextmanager
def wired() -> Iterator[Wired]:
    """Settings read, parts joined on demand, progress shown, errors in one line."""
    with errors_in_one_line(), progress_board() as board:
        parts = Wired(load_settings(), tell=board.tell)
        try:
            yield parts
        finally:
            if "store" in parts.__dict__:
                parts.store.close()


def _ready(parts: Wired) -> None:
    """Open everything a first answer needs, so that slow steps show before the chat begins."""
    parts.engines.current()
    _ = parts.conversation


@app.command()
def run() -> None:
    """Run the Telegram bot when a token is set, else chat in the terminal.

    Examples:
      zhiwei run
      ZHIWEI_TELEGRAM_TOKEN=123:abc zhiwei run
    """
    with wired() as parts:
        if parts.settings.telegram_token is None:
            err.print(NO_TELEGRAM, style="yellow")
            _chat(parts, script=None, language="", person="local")
        else:
            _telegram(parts)


@app.command()
def bot() -> None:
    """Run the Telegram bot; needs ZHIWEI_TELEGRAM_TOKEN.

    Example:
      ZHIWEI_TELEGRAM_TOKEN=123:abc ZHIWEI_ADMINS=42 zhiwei bot
    """
    with wired() as parts:
        if parts.settings.telegram_token is None:
            raise SettingsError(
                "ZHIWEI_TELEGRAM_TOKEN is not set; ask @BotFather for a token, "
                "or try `zhiwei chat` without one"
            )
        _telegram(parts)


def _telegram(parts: Wired) -> None:
    from bot.telegram_app import TelegramOptions, run_polling, run_webhook

    s = parts.settings
    token = s.telegram_token
    if token is None:  # the callers looked; this narrows the type
        return
    _ready(parts)
    options_ = TelegramOptions(
        token=token.get_secret_value(),
        api_root=s.telegram_api.rstrip("/"),
        secret=s.secret_bytes(),
        admins=s.admins,
        creators=s.creators,
        webhook_url=s.webhook_url,
        webhook_secret=s.webhook_secret.get_secret_value() if s.webhook_secret else "",
        host=s.host,
        port=s.port,
    )
    serve = run_webhook if s.webhook_url else run_polling
    err.print("Zhiwei is running; stop it with Ctrl-C.", style="green")
    asyncio.run(serve(parts.conversation, parts.store, options_))


@app.command()
def chat(
    script: Annotated[
        Path | None, typer.Option(help="Replay the lines of a file instead of the keyboard.")
    ] = None,
    language: Annotated[str, typer.Option(help="zh or en; default is the terminal's.")] = "",
    person: Annotated[str, typer.Option(help="Name of the profile to chat as.")] = "local",
    at: Annotated[
        str, typer.Option(help="Pretend that it is this moment (ISO), for replays.")
    ] = "",
) -> None:
    """Chat in the terminal. Press a button by typing its number in brackets, like [1].

    Examples:
      zhiwei chat
      zhiwei chat --language zh --script demo.txt
    """
    with wired() as parts:
        _chat(parts, script=script, language=language, person=person, at=at)


def _chat(parts: Wired, *, script: Path | None, language: str, person: str, at: str = "") -> None:
    moment = _moment(at) if at else None
    _ready(parts)
    terminal = TerminalChat(
        conversation=parts.conversation,
        secret=parts.settings.secret_bytes(),
        console=out,
        person=person,
        language_code=language,
        # Who has the terminal of the machine owns the deployment.
        numeric_id=next(iter(sorted(parts.settings.admins)), None),
        echo=script is not None,
        clock=(lambda: moment) if moment else utc_now,
    )
    if script is not None:
        terminal.run(script.read_text(encoding="utf-8-sig").splitlines())
    else:
        terminal.run(typed_lines())


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(
            f"--at {text!r} is no moment; expected something like 2026-11-24T18:00:00+00:00"
        ) from error
    if moment.tzinfo is None:
        raise InvalidInput(f"--at {text!r} has no time zone; add +00:00 for UTC")
    return moment


@index_app.command("build")
def index_build() -> None:
    """Embed and index the catalogue; only what changed is embedded again.

    Example:
      zhiwei index build
    """
    with wired() as parts:
        parts.build_index()
        _print_index(parts, as_json=False)


@index_app.command("info")
def index_info(as_json: AsJson = False) -> None:
    """Describe the index in force.

    Example:
      zhiwei index info --json
    """
    with wired() as parts:
        _print_index(parts, as_json=as_json)


def _print_index(parts: Wired, *, as_json: bool) -> None:
    snapshot = parts.snapshots.current()
    manifest = {**asdict(snapshot.manifest), "snapshot": snapshot.name}
    if as_json:
        print_json(manifest)
        return
    for name, value in manifest.items():
        out.print(Text(f"{name:>18}  {value}"))


def print_json(value: object) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")


@app.command()
def match(
    items: Annotated[Path, typer.Option(help="Items: JSONL, CSV or TSV.")],
    lessons: Annotated[Path, typer.Option(help="Lessons: JSONL, CSV or TSV.")],
    out_path: Annotated[Path, typer.Option("--out", help="Run file to write (TSV).")],
    top_k: Annotated[int, typer.Option(min=1, max=1000, help="Ranks per lesson.")] = 20,
) -> None:
    """Rank the items of any catalogue for any lessons.

    Writes `lesson_id, rank, item_id, score` and `lesson_id, ABSTAIN` for lessons with which
    nothing should be offered.

    Example:
      zhiwei match --items items.jsonl --lessons lessons.jsonl --out run.tsv --top-k 20
    """
    from bot.batch import match_files

    with wired() as parts, tempfile.TemporaryDirectory() as scratch:
        problems = match_files(
            items, lessons, out_path, embedder=parts.embedder, scratch=Path(scratch) / "index",
            top_k=top_k, tell=parts.tell,
        )  # fmt: skip
        for problem in problems:
            err.print(f"warning: {problem}", style="yellow", markup=False)


@app.command()
def understand(
    source: Annotated[Path, typer.Option("--in", help="JSONL with id and text.")],
    out_path: Annotated[Path, typer.Option("--out", help="JSONL with id, intent and slots.")],
) -> None:
    """Tell what messages mean: intent and slots.

    Example:
      zhiwei understand --in utterances.jsonl --out predictions.jsonl
    """
    from bot.batch import understand_file
    from bot.understanding.understand import Understander

    with wired() as parts:
        n = understand_file(source, out_path, understander=Understander(parts.embedder))
        err.print(f"{n} messages understood")


@evaluate_app.command("match")
def evaluate_match_command(
    folder: Annotated[str, typer.Argument(metavar="SET", help="`samples`, or a folder.")],
    lessons: Annotated[str, typer.Option(help="Lessons file without .jsonl.")] = "",
    without: Annotated[
        list[str] | None, typer.Option(help="Leave a part out; may be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Match a judged set and print one row of the ablation table.

    Examples:
      zhiwei evaluate match samples
      zhiwei evaluate match recipes_en --lessons lessons_intro --without topics
    """
    from bot.evaluating import evaluate_match

    with wired() as parts, tempfile.TemporaryDirectory() as scratch:
        figures = evaluate_match(
            folder, embedder=parts.embedder, scratch=Path(scratch) / "index",
            lessons_name=lessons, without=without or (), tell=parts.tell,
        )  # fmt: skip
        if as_json:
            print_json(asdict(figures))
            return
        for name, value in asdict(figures).items():
            shown = f"{value:.3f}" if isinstance(value, float) else str(value)
            out.print(Text(f"{name:>18}  {shown}"))


@import_app.command("items")
def import_items(file: Annotated[Path, typer.Argument(help="CSV, TSV or JSONL.")]) -> None:
    """Check a catalogue, put it into force and build its index.

    Example:
      zhiwei import items catalogue.csv
    """
    from data.importing import read_items

    with wired() as parts:
        _take_over(parts, file, "items", read_items(file))
        parts.build_index()
        _print_index(parts, as_json=False)


@import_app.command("lessons")
def import_lessons(file: Annotated[Path, typer.Argument(help="CSV, TSV or JSONL.")]) -> None:
    """Check lessons and put them into force.

    Example:
      zhiwei import lessons lessons.jsonl
    """
    from data.importing import read_lessons

    with wired() as parts:
        _take_over(parts, file, "lessons", read_lessons(file))


def _take_over(parts: Wired, file: Path, kind: str, found: object) -> None:
    """Keep the file as it came; every start reads and checks it again."""
    from data.importing import Import

    if not isinstance(found, Import):
        raise TypeError(kind)
    for problem in found.problems:
        err.print(f"problem: {problem}", style="yellow", markup=False)
    if not found.records:
        raise InvalidInput(f"{file} has no usable row, so nothing was changed")
    target = imported_path(parts.settings, kind, file.suffix.lower())
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.new")
    temporary.write_bytes(file.read_bytes())
    for old in target.parent.glob(f"{kind}.*"):
        old.unlink()
    temporary.replace(target)
    out.print(f"{len(found.records)} {kind} in force, {len(found.problems)} problems")


@app.command()
def stats(
    period: Annotated[str, typer.Argument(help="7d, 30d or all.")] = "30d",
    as_json: AsJson = False,
) -> None:
    """Print reach, like rate with interval, coverage and safety.

    Examples:
      zhiwei stats
      zhiwei stats 7d --json
    """
    from bot.admin import PERIODS, gather

    with wired() as parts:
        if period not in PERIODS:
            raise InvalidInput(f"{period!r} is no period; expected one of {', '.join(PERIODS)}")
        length: timedelta | None = PERIODS[period]
        until = utc_now()
        catalogue, _ = read_catalogue(parts.settings)
        figures = gather(
            parts.store,
            n_items=len(catalogue),
            since=until - length if length else None,
            until=until,
        )
        if as_json:
            print_json(asdict(figures))
            return
        table = Table("figure", "value")
        for name, value in asdict(figures).items():
            shown = (
                f"{value['value']:.1%} ({value['low']:.1%} to {value['high']:.1%}, n={value['n']})"
                if isinstance(value, dict)
                else f"{value:.3f}"
                if isinstance(value, float)
                else str(value)
            )
            table.add_row(name.replace("_", " "), shown)
        out.print(table)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check what a support person would check, and say what to do.

    Example:
      zhiwei doctor
    """
    from bot.doctor import examine

    with wired() as parts:
        findings = examine(parts)
        if as_json:
            print_json([asdict(finding) for finding in findings])
        else:
            for finding in findings:
                mark = "ok " if finding.is_ok else "BAD"
                out.print(Text(f"{mark} {finding.subject}: {finding.fact}"))
                if finding.remedy:
                    out.print(Text(f"    -> {finding.remedy}"))
        if not all(finding.is_ok for finding in findings):
            raise typer.Exit(1)


@app.command()
def backup(target: Annotated[Path, typer.Argument(help="File to write.")]) -> None:
    """Copy the database while the bot runs; verified and atomic.

    Example:
      zhiwei backup zhiwei-backup.db
    """
    from data.backup import back_up

    with wired() as parts:
        settings: Settings = parts.settings
        if not settings.database_path.exists():
            raise InvalidInput(f"{settings.database_path} does not exist yet; nothing to back up")
        key = settings.database_key.get_secret_value() if settings.database_key else None
        back_up(settings.database_path, target, at=utc_now(), key=key)
        out.print(f"backed up to {target}")


def main() -> None:
    """Entry point of `zhiwei`."""
    app()
