"""Commands on catalogues: index, import, match, understand, evaluate match."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from bot.console import AsJson, err, out, print_json, wired
from bot.wiring import Wired, imported_path
from data.errors import InvalidInput

index_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Build or describe the index."
)
import_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Import items or lessons."
)
evaluate_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Judge matching and policies."
)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(index_app, name="index")
    app.add_typer(import_app, name="import")
    app.add_typer(evaluate_app, name="evaluate")
    app.command()(match)
    app.command()(understand)


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
        n = understand_file(source, out_path, understander=Understander(parts.speech_embedder))
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
