"""Commands for whoever runs Zhiwei: restore, forget, expire, rekey."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from bot.buttons import user_key_for
from bot.console import errors_in_one_line, out
from bot.settings import Settings, load_settings
from bot.terminal import utc_now
from bot.wiring import Wired
from data.backup import restore as restore_backup
from data.errors import InvalidInput, SettingsError
from data.events import UserKey
from data.rekeying import rekey as rekey_database

_USER_KEY = re.compile(r"[0-9a-f]{32}")
_PERSON = re.compile(r"(?:(?P<channel>[a-z]+):)?(?P<name>[^:\s]+)")

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


class NewKey(BaseSettings):
    """The key to change to; from the environment, so that it stands in no shell history."""

    model_config = SettingsConfigDict(env_prefix="ZHIWEI_", env_file=".env", extra="ignore")

    new_database_key: SecretStr | None = None


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(restore)
    app.command()(forget)
    app.command()(expire)
    app.command()(rekey)


def restore(
    backup: Annotated[Path, typer.Argument(help="File that `zhiwei backup` wrote.")],
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Put a backup in the place of the database; refuses while a bot is running.

    The database that was there is kept beside it, and whoever asked for erasure after the backup
    was taken is erased again.

    Example:
      zhiwei restore zhiwei-backup.db --yes
    """
    with errors_in_one_line():
        settings = load_settings()
        database = settings.database_path
        if not backup.is_file():
            raise InvalidInput(f"{backup} does not exist; expected a file of `zhiwei backup`")
        _confirm(f"Replace {database} by {backup}?", yes)
        database.parent.mkdir(parents=True, exist_ok=True)
        receipt = restore_backup(backup, database, at=utc_now(), key=_key(settings))
        if as_json:
            _print_json(
                {
                    "database": str(receipt.path),
                    "safety_copy": str(receipt.safety_copy) if receipt.safety_copy else None,
                    "n_erased": receipt.n_erased,
                }
            )
            return
        out.print(f"restored {receipt.path}", markup=False)
        if receipt.safety_copy is not None:
            out.print(
                f"what was there before: {receipt.safety_copy} (holds personal data; delete it "
                "when the restored database is good)",
                markup=False,
            )
        if receipt.n_erased:
            out.print(f"erased again for people who had asked for it: {receipt.n_erased} rows")


def forget(
    user: Annotated[str, typer.Argument(help="A user key, a Telegram user id, or CHANNEL:ID.")],
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Erase everything about one person, as /forget does, and print the receipt.

    Examples:
      zhiwei forget 4711 --yes
      zhiwei forget terminal:local --yes
    """
    with errors_in_one_line():
        settings = load_settings()
        _require_database(settings)
        key = user_key_of(user, settings.secret_bytes())
        _confirm("Erase everything about this person? There is no way back.", yes)
        parts = Wired(settings)
        try:
            receipt = parts.store.forget(key, at=utc_now())
        finally:
            parts.store.close()
        removed = {table: rows for table, rows in receipt.removed if rows}
        if as_json:
            _print_json(
                {
                    "receipt_id": receipt.receipt_id,
                    "at": receipt.at.isoformat(),
                    "removed": removed,
                }
            )
            return
        out.print(f"receipt {receipt.receipt_id}")
        for table, rows in removed.items():
            out.print(f"  {table}: {rows}")
        if not removed:
            out.print("  nothing was stored about this person")


def user_key_of(text: str, secret: bytes) -> UserKey:
    """Give the pseudonym that is meant.

    Args:
        text: 32 hex digits, a Telegram user id, or `channel:id`.
        secret: The deployment's.

    Raises:
        InvalidInput: It is none of them.
    """
    text = text.strip()
    if _USER_KEY.fullmatch(text):
        return UserKey(text)
    match = _PERSON.fullmatch(text)
    if match is None or (match["channel"] is None and not text.isdecimal()):
        raise InvalidInput(
            f"{text!r} names nobody; expected a user key (32 hex digits, see /mydata), a numeric "
            "Telegram user id, or CHANNEL:ID such as terminal:local"
        )
    return user_key_for(secret, match["channel"] or "telegram", match["name"])


def expire(as_json: AsJson = False) -> None:
    """Apply the retention rules now: old texts, events, finished updates, expired facts.

    A running bot does the same once a day; this is for a machine where none runs.

    Example:
      zhiwei expire
    """
    with errors_in_one_line():
        settings = load_settings()
        _require_database(settings)
        parts = Wired(settings)
        try:
            n = parts.store.expire(at=utc_now())
        finally:
            parts.store.close()
        if as_json:
            _print_json({"expired": n})
        else:
            out.print(f"{n} rows or texts had reached their age and are gone")


def rekey(
    decrypt: Annotated[
        bool, typer.Option("--decrypt", help="Store without encryption from now on.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Encrypt the database, or change its key; stop the bot first.

    The old key is ZHIWEI_DATABASE_KEY, the new one ZHIWEI_NEW_DATABASE_KEY; without the latter it
    is asked for. Afterwards set ZHIWEI_DATABASE_KEY to the new key. Backups keep their old key.

    Examples:
      ZHIWEI_NEW_DATABASE_KEY=... zhiwei rekey --yes
      zhiwei rekey --decrypt
    """
    with errors_in_one_line():
        settings = load_settings()
        _require_database(settings)
        new_key = None if decrypt else _new_key()
        _confirm(f"Write {settings.database_path} anew under another key?", yes)
        rekey_database(settings.database_path, old_key=_key(settings), new_key=new_key)
        if decrypt:
            out.print("the database is not encrypted any more; unset ZHIWEI_DATABASE_KEY")
        else:
            out.print("the database has the new key; set ZHIWEI_DATABASE_KEY to it now")


def _new_key() -> str:
    try:
        key = NewKey().new_database_key
    except ValidationError as error:
        raise SettingsError("ZHIWEI_NEW_DATABASE_KEY cannot be read") from error
    if key is not None:
        return key.get_secret_value()
    if not sys.stdin.isatty():
        raise SettingsError(
            "ZHIWEI_NEW_DATABASE_KEY is not set, and there is nobody to ask; set it"
        )
    return str(typer.prompt("New key", hide_input=True, confirmation_prompt=True))


def _key(settings: Settings) -> str | None:
    return settings.database_key.get_secret_value() if settings.database_key else None


def _require_database(settings: Settings) -> None:
    if not settings.database_path.is_file():
        raise InvalidInput(f"{settings.database_path} does not exist, so there is nothing to do")


def _confirm(question: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidInput("there is nobody to ask; add --yes if you are sure")
    if not typer.confirm(question):
        raise typer.Exit(1)


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
