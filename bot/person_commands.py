"""Commands about people: profile, replay of a slate, import of behaviour."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from bot.buttons import user_key_for
from bot.console import AsJson, err, out, print_json, wired
from bot.wiring import Wired
from data.errors import InvalidInput
from data.events import ConsentKind, SlateId, UserKey


def register(app: typer.Typer, import_app: typer.Typer) -> None:
    """Mount the commands of this file."""
    app.command("profile")(profile_command)
    app.command("replay")(replay_command)
    import_app.command("behaviour")(import_behaviour)


def profile_command(
    user: Annotated[str, typer.Argument(help="User key (32 hex digits), or CHANNEL:ID.")],
    language: Annotated[str, typer.Option(help="zh or en.")] = "en",
    as_json: AsJson = False,
) -> None:
    """Print what is known of a person, as they may see it themselves.

    Examples:
      zhiwei profile telegram:12345
      zhiwei profile 0123456789abcdef0123456789abcdef --language zh
    """
    from bot.person_figures import describe_profile, profile_figures

    with wired() as parts:
        key = _user_key(parts, user)
        figures = profile_figures(parts, key, at=_now())
        if as_json:
            print_json(figures)
            return
        for line in describe_profile(figures, language=language):
            out.print(Text(line))


def _user_key(parts: Wired, user: str) -> UserKey:
    channel, colon, number = user.partition(":")
    if colon:
        return user_key_for(parts.settings.secret_bytes(), channel, number)
    if len(user) != 32 or set(user) - set("0123456789abcdef"):
        raise InvalidInput(
            f"{user!r} is no user key; expected 32 hex digits, or a channel and id such as "
            "telegram:12345"
        )
    return UserKey(user)


def replay_command(
    slate_id: Annotated[str, typer.Argument(help="Id of a past slate.")],
    as_json: AsJson = False,
) -> None:
    """Draw a past slate again from its row, and say whether it is the same byte for byte.

    Example:
      zhiwei replay Ab3dEf6hIj9kLm0n
    """
    from bot.wiring import read_catalogue
    from recommender.replay import replay

    with wired() as parts:
        slate = parts.store.slate(SlateId(slate_id))
        if slate is None:
            raise InvalidInput(f"no slate {slate_id!r} is stored; it may have been erased")
        catalogue, _ = read_catalogue(parts.settings)
        now = {"catalogue_version": catalogue.version}
        snapshot = _snapshot_name(parts)
        if snapshot:
            now["index_version"] = snapshot
        found = replay(slate, in_force=now)
        if as_json:
            print_json(
                {
                    "slate_id": slate_id,
                    "equal": found.is_equal,
                    "gone": list(found.gone),
                    "placements": json.loads(found.replayed),
                }
            )
        else:
            digest = hashlib.sha256(found.replayed).hexdigest()[:16]
            same = "the same, byte for byte" if found.is_equal else "NOT the same"
            out.print(f"slate {slate_id}: {same} ({digest})")
            for version in found.gone:
                out.print(Text(f"  not in force any more: {version}"))
        if not found.is_equal:
            raise typer.Exit(1)


def _snapshot_name(parts: Wired) -> str:
    from data.errors import SnapshotError

    try:
        return parts.snapshots.current().name
    except SnapshotError:
        return ""


def import_behaviour(
    file: Annotated[Path, typer.Argument(help="CSV, TSV or JSONL.")],
    channel: Annotated[str, typer.Option(help="Channel whose ids stand in `user`.")] = "telegram",
    as_json: AsJson = False,
) -> None:
    """Import browsing, purchases, searches and reviews: user, time, kind, item|lesson|text, value.

    Only rows of people who agreed that we learn from their answers are kept.

    Example:
      zhiwei import behaviour november.csv --channel telegram
    """
    from data.behaviour import read_behaviour, replies_of

    with wired() as parts:
        found = read_behaviour(file, now=_now())
        for problem in found.problems:
            err.print(f"problem: {problem}", style="yellow", markup=False)
        secret = parts.settings.secret_bytes()
        consenting = parts.store.consenting_users(ConsentKind.LEARN_FROM_ANSWERS)
        counts = {"rows": len(found.records), "new": 0, "known": 0, "without_consent": 0}
        with parts.store.transaction():
            for behaviour in found.records:
                key = user_key_for(secret, channel, behaviour.user)
                if key not in consenting:
                    counts["without_consent"] += 1
                    continue
                fresh = [parts.store.record_reply(r) for r in replies_of(behaviour, key)]
                counts["new" if any(fresh) else "known"] += 1
        counts["problems"] = len(found.problems)
        if as_json:
            print_json(counts)
        else:
            out.print(
                f"{counts['new']} acts imported, {counts['known']} known already, "
                f"{counts['without_consent']} of people without consent left out, "
                f"{counts['problems']} problems"
            )
        if not found.records:
            raise InvalidInput(f"{file} has no usable row, so nothing was imported")


def _now() -> datetime:
    return datetime.now(UTC)
