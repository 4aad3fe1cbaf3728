"""Promises of the repository as a whole: words, imports, commands, and nothing of one machine."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest
import typer
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from bot import admin, telegram_menu
from bot.cli import app
from bot.wording import sentences
from data.vocabulary import Allergen, Diet, Language
from recommender.constraints import HiddenReason
from tests.fakes import Person, build_conversation, sample_catalogue

ROOT = Path(__file__).parent.parent
PACKAGES = ("data", "index", "recommender", "bot")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def tracked_files() -> list[Path]:
    """Files under version control; without git, the sources."""
    found = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if found.returncode != 0:
        return SOURCES
    return [ROOT / name for name in found.stdout.split("\0") if name and (ROOT / name).is_file()]


def keys_in_code() -> Iterator[tuple[str, Path]]:
    """Every literal sentence key that the code says."""
    callers = {"words", "Words", "button", "_say", "say"}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = (
                node.func.attr
                if isinstance(node.func, ast.Attribute)
                else getattr(node.func, "id", "")
            )
            first = node.args[0]
            if name not in callers or not isinstance(first, ast.Constant):
                continue
            if isinstance(first.value, str) and re.fullmatch(r"[a-z_]+\.[a-z_.]+", first.value):
                yield first.value, path


def texts_of(catalog: Catalog, key: str) -> list[str]:
    message = catalog.get(key)
    string = message.string if message is not None else ""
    return list(string) if isinstance(string, (tuple, list)) else [str(string)]


def places_in(texts: list[str]) -> set[str]:
    return {name for text in texts for _, name, _, _ in Formatter().parse(text) if name}


CATALOGS = ("zhiwei", "studio")


def catalog_of(language: Language, name: str) -> Catalog:
    folder = {Language.ZH: "zh_Hans", Language.EN: "en"}[language]
    path = ROOT / "bot" / "locale" / folder / "LC_MESSAGES" / f"{name}.po"
    with path.open("rb") as file:
        return read_po(file, locale=folder)


def keys_of(catalog: Catalog) -> set[str]:
    return {m.id if isinstance(m.id, str) else m.id[0] for m in catalog if m.id}


@pytest.mark.parametrize("language", list(Language))
def test_every_sentence_that_the_code_says_exists(language: Language) -> None:
    known = {key for name in CATALOGS for key in keys_of(catalog_of(language, name))}
    said = list(keys_in_code())
    assert len(said) > 100
    assert not {(key, path.name) for key, path in said if key not in known}


@pytest.mark.parametrize("name", CATALOGS)
def test_both_languages_say_the_same_things_about_the_same_places(name: str) -> None:
    chinese, english = catalog_of(Language.ZH, name), catalog_of(Language.EN, name)
    assert keys_of(chinese) == keys_of(english)
    for key in keys_of(english):
        zh, en = texts_of(chinese, key), texts_of(english, key)
        assert all(text.strip() for text in (*zh, *en)), key
        assert places_in(zh) == places_in(en), key


@pytest.mark.parametrize("language", list(Language))
def test_closed_vocabularies_have_words(language: Language) -> None:
    catalog = sentences(language)
    for key in (
        *(f"allergen.{a}" for a in Allergen),
        *(f"diet.{d}" for d in Diet),
        *(f"hidden.{reason}" for reason in HiddenReason),
        *(f"category.{c}" for c in {i.category for i in sample_catalogue()}),
    ):
        assert texts_of(catalog, key)[0].strip(), key


def test_no_sentence_for_people_promises_safety_or_health() -> None:
    promises = re.compile(
        r"\bsafe\b|\bcures?\b|\btreats? (?!this)|\bprevents?\b|安全|治疗|预防|降血压",
        re.IGNORECASE,
    )
    for language in Language:
        for message in sentences(language):
            # Admins are told of "safety violations"; people are promised nothing.
            is_for_people = bool(message.id) and not str(message.id).startswith("stats.")
            for text in texts_of(sentences(language), str(message.id)) if is_for_people else ():
                assert not promises.search(text), text


def test_nothing_is_pickled() -> None:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {n.split(".")[0] for n in names} & {
                "pickle",
                "cPickle",
                "dill",
                "joblib",
                "cloudpickle",
            }, path


def test_no_path_of_one_machine_is_in_the_tree() -> None:
    local = re.compile(r"(?:^|[\s\"'(=:])/(?:work|farm|root|home/[a-z]+)/[\w.-]+")
    for path in tracked_files():
        if path.suffix in {
            ".py",
            ".md",
            ".toml",
            ".txt",
            ".yml",
            ".yaml",
            ".json",
            ".jsonl",
            ".csv",
            ".tsv",
            ".po",
        }:
            found = local.search(path.read_text(encoding="utf-8", errors="replace"))
            assert found is None, (path, found)


def test_imports_obey_the_contracts() -> None:
    found = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout


def commands_of(group: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, command in getattr(group, "commands", {}).items():
        if getattr(command, "commands", None):
            yield from commands_of(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def test_every_command_has_help_and_stands_in_the_readme() -> None:
    readme = (
        (ROOT / "README.md").read_text(encoding="utf-8") if (ROOT / "README.md").exists() else ""
    )
    for name, command in commands_of(typer.main.get_command(app)):
        assert (getattr(command, "help", "") or "").strip(), name
        if "zhiwei" in readme and len(readme) > 2_000:
            group, _, rest = name.partition(" ")
            assert re.search(rf"zhiwei {group}\b[^\n]*{rest}", readme), name


@pytest.mark.parametrize("name", sorted(telegram_menu.KNOWN))
def test_every_command_of_the_menu_is_handled(name: str) -> None:
    person = Person(build_conversation(admins=[1], creators=[1]), numeric_id=1)
    person.command(name)
    assert "I don't know the command" not in person.text
    assert person.text.strip()


def test_every_command_that_is_handled_stands_in_the_menu() -> None:
    source = (ROOT / "bot" / "conversation.py").read_text(encoding="utf-8")
    tree = ast.parse(source)
    handler = next(
        n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == "_command"
    )
    handled = {
        pattern.value.value
        for node in ast.walk(handler)
        if isinstance(node, ast.match_case)
        for pattern in ast.walk(node.pattern)
        if isinstance(pattern, ast.MatchValue) and isinstance(pattern.value, ast.Constant)
    }
    assert handled | admin.COMMANDS == telegram_menu.KNOWN
