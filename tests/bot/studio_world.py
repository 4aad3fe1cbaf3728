"""A studio over a state folder of its own: real store and index, hashed embeddings, a browser without script."""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from html.parser import HTMLParser
from pathlib import Path

from starlette.responses import Response
from starlette.testclient import TestClient

from bot.buttons import ButtonSigner
from bot.conversation import Conversation
from bot.settings import Settings
from bot.studio.app import build_app
from bot.wiring import Wired
from index import catalogue_index
from index.embedding import Embedder
from index.snapshot import SnapshotFolder
from tests.fakes import (
    NOON,
    FakeClock,
    ScriptedInterpreter,
    build_services,
    hashing,
    sample_catalogue,
)

TOKEN = "1234567:" + "t" * 35


class StudioParts(Wired):
    """The real parts, with hashed embeddings and an interpreter that a test writes down."""

    @cached_property
    def embedder(self) -> Embedder:
        return hashing()

    @cached_property
    def interpreter(self) -> ScriptedInterpreter:
        return ScriptedInterpreter()

    @cached_property
    def conversation(self) -> Conversation:
        services = build_services(
            store=self.store,
            understanding=self.interpreter,
            engine=self.engines.current,
            admins=self.settings.admins,
            creators=self.settings.creators,
        )
        signer = ButtonSigner(self.settings.secret_bytes())
        return Conversation(replace(services, signer=signer))


@dataclass
class Form:
    """A form of a page: what a browser would send when a button of it is pressed."""

    action: str = ""
    method: str = "get"
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str, str]] = field(default_factory=list)
    """(name, value, label) of each button."""
    goes_to: dict[str, str] = field(default_factory=dict)
    """Label -> address, for buttons that have one of their own."""
    words: str = ""


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self._open = False
        self._select = ""
        self._chosen: str | None = None
        self._first: str | None = None
        self._area = ""
        self._area_text = ""
        self._button: tuple[str, str] | None = None
        self._label = ""
        self._own_action = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(
                Form(action=told.get("action", ""), method=told.get("method", "get"))
            )
            self._open = True
        if not self._open:
            return
        form = self.forms[-1]
        if tag == "input" and told.get("name") and told.get("type") != "file":
            is_box = told.get("type") in ("checkbox", "radio")
            if not is_box or "checked" in told:
                form.fields.append((told["name"], told.get("value", "")))
        elif tag == "select":
            self._select, self._chosen, self._first = told.get("name", ""), None, None
        elif tag == "option" and self._select:
            self._first = told.get("value", "") if self._first is None else self._first
            if "selected" in told:
                self._chosen = told.get("value", "")
        elif tag == "textarea":
            self._area, self._area_text = told.get("name", ""), ""
        elif tag == "button":
            self._button = (told.get("name", ""), told.get("value", ""))
            self._label = told.get("aria-label", "")
            self._own_action = told.get("formaction", "")

    def handle_data(self, data: str) -> None:
        if self._area:
            self._area_text += data
        if self._button is not None:
            self._label += " " + data
        if self._open:
            self.forms[-1].words += data

    def handle_endtag(self, tag: str) -> None:
        if not self._open:
            return
        if tag == "select" and self._select:
            value = self._chosen if self._chosen is not None else (self._first or "")
            self.forms[-1].fields.append((self._select, value))
            self._select = ""
        elif tag == "textarea" and self._area:
            self.forms[-1].fields.append((self._area, self._area_text))
            self._area = ""
        elif tag == "button" and self._button is not None:
            label = " ".join(self._label.split())
            self.forms[-1].buttons.append((*self._button, label))
            if self._own_action:
                self.forms[-1].goes_to[label] = self._own_action
            self._button = None
        elif tag == "form":
            self._open = False


def forms_of(markup: str) -> list[Form]:
    reader = _Forms()
    reader.feed(markup)
    return reader.forms


@dataclass
class Browser:
    """Opens pages and presses buttons as a person without JavaScript does."""

    client: TestClient
    page: Response | None = None
    markup: str = ""

    def open(self, path: str, **headers: str) -> Browser:
        return self._keep(self.client.get(path, headers=headers))

    def press(
        self,
        label: str,
        *,
        files: dict[str, tuple[str, bytes]] | None = None,
        headers: dict[str, str] | None = None,
        **values: str | list[str],
    ) -> Browser:
        """Fill in fields by name and press the first button whose label contains `label`."""
        form, button = self.find(label)
        sent: dict[str, list[str]] = {}
        for name, value in form.fields:
            sent.setdefault(name, []).append(value)
        for name, given in values.items():
            sent[name] = given if isinstance(given, list) else [given]
        if button[0]:
            sent[button[0]] = [button[1]]
        if form.method == "get":
            return self._keep(self.client.get(form.action, params=sent))
        action = form.goes_to.get(button[2], form.action)
        answer = self.client.post(action, data=sent, files=files, headers=headers)
        return self._keep(answer)

    def find(self, label: str) -> tuple[Form, tuple[str, str, str]]:
        for form in forms_of(self.markup):
            for button in form.buttons:
                if label in button[2]:
                    return form, button
        labels = [b[2] for form in forms_of(self.markup) for b in form.buttons]
        raise LookupError(f"no button {label!r}; there are {labels[:30]}")

    @property
    def status(self) -> int:
        assert self.page is not None
        return self.page.status_code

    @property
    def text(self) -> str:
        """What a person reads, roughly."""
        return " ".join(re.sub(r"<[^>]+>", " ", self.markup).split())

    def _keep(self, answer: object) -> Browser:
        self.page = answer  # type: ignore[assignment]
        kind = answer.headers.get("content-type", "")  # type: ignore[attr-defined]
        self.markup = answer.text if kind.startswith("text/") else ""  # type: ignore[attr-defined]
        return self


@lru_cache(maxsize=1)
def _built() -> Path:
    """The index of the samples, built once; a studio over the samples starts with a copy."""
    folder = Path(tempfile.mkdtemp(prefix="zhiwei-studio-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    snapshots = SnapshotFolder(folder / "index")
    catalogue_index.build(sample_catalogue(), hashing(), snapshots, at=NOON)
    return folder / "index"


def parts_in(folder: Path, **settings: object) -> StudioParts:
    if "catalogue" not in settings:
        shutil.copytree(_built(), folder / "index", dirs_exist_ok=True)
    told = {"state": folder, "cache": folder / "cache", "secret": "a secret of the tests"}
    return StudioParts(Settings(_env_file=None, **{**told, **settings}))  # type: ignore[arg-type]


@contextmanager
def open_studio(
    folder: Path,
    *,
    public: bool = False,
    clock: FakeClock | None = None,
    parts: StudioParts | None = None,
    **settings: object,
) -> Iterator[tuple[Browser, StudioParts]]:
    parts = parts or parts_in(folder, **settings)
    app = build_app(parts, public=public, clock=clock or FakeClock())
    base = "https://studio.example" if public else "http://127.0.0.1"
    with TestClient(app, base_url=base) as client:
        yield Browser(client), parts
    parts.store.close()
