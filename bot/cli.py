"""The command line. Every command has examples, `--json` where figures are printed, exit code 2."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from bot import (
    catalogue_commands,
    learning_commands,
    maintenance,
    person_commands,
    stats_commands,
)
from bot.console import AsJson, configure_logging, err, out, print_json, wired
from bot.settings import Settings
from bot.terminal import TerminalChat, typed_lines, utc_now
from bot.wiring import Wired
from data.errors import InvalidInput, SettingsError

# Rich's Markdown help joins the lines of an example; plain text keeps them apart.
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Zhiwei 知味: three fresh foods that go with the lesson you just finished.",
)
NO_TELEGRAM = (
    "No Telegram token is set, so the chat opens here. "
    "For Telegram: ask @BotFather for a token and set ZHIWEI_TELEGRAM_TOKEN."
)


@app.callback()
def options(
    verbose: Annotated[bool, typer.Option("--verbose", help="Log what happens.")] = False,
) -> None:
    configure_logging(verbose=verbose)


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
        language=s.language,
        journal=s.state / "telegram.sent",
        webhook_secret=s.webhook_secret.get_secret_value() if s.webhook_secret else "",
        host=s.host,
        port=s.port,
        health_port=s.health_port,
        is_degraded=lambda: parts.engines.is_degraded,
    )
    parts.office.jobs.tell_interrupted()
    serve = run_webhook if s.webhook_url else run_polling
    err.print("Zhiwei is running; stop it with Ctrl-C.", style="green")
    asyncio.run(
        serve(
            parts.conversation,
            parts.store,
            options_,
            on_ready=lambda runtime: parts.note_bot_name(runtime.bot.username),
        )
    )


@app.command()
def chat(
    script: Annotated[
        Path | None, typer.Option(help="Replay the lines of a file instead of the keyboard.")
    ] = None,
    language: Annotated[str, typer.Option(help="zh or en; default is the terminal's.")] = "",
    person: Annotated[str, typer.Option(help="Name of the profile to chat as.")] = "local",
    lesson: Annotated[
        str, typer.Option(help="Begin with this lesson (its id), as its link does.")
    ] = "",
    at: Annotated[
        str, typer.Option(help="Pretend that it is this moment (ISO), for replays.")
    ] = "",
) -> None:
    """Chat in the terminal. Press a button by typing its number in brackets, like [1].

    Examples:
      zhiwei chat
      zhiwei chat --language zh --script demo.txt
      zhiwei chat --lesson wok-heat
    """
    with wired() as parts:
        _chat(parts, script=script, language=language, person=person, at=at, lesson=lesson)


def _chat(
    parts: Wired,
    *,
    script: Path | None,
    language: str,
    person: str,
    at: str = "",
    lesson: str = "",
) -> None:
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
        terminal.run(script.read_text(encoding="utf-8-sig").splitlines(), lesson=lesson)
    else:
        terminal.run(typed_lines(), lesson=lesson)


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


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Default from ZHIWEI_HOST.")] = "",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Default from ZHIWEI_PORT.")] = 0,
    open_browser: Annotated[bool, typer.Option("--open", help="Open a browser.")] = False,
) -> None:
    """Serve the studio: chat, pairings, catalogue and figures in a browser.

    On a loopback address anybody at this machine may use it; elsewhere it demands sign-in.

    Example:
      zhiwei serve --open
    """
    from bot.studio.server import serve as serve_studio

    with wired() as parts:
        _ready(parts)
        serve_studio(
            parts,
            host=host or parts.settings.host,
            port=port or parts.settings.port,
            open_browser=open_browser,
        )


catalogue_commands.register(app)
learning_commands.register(app, catalogue_commands.evaluate_app)
person_commands.register(app, catalogue_commands.import_app)
stats_commands.register(app)
maintenance.register(app)


def main() -> None:
    """Entry point of `zhiwei`."""
    app()
