"""A call's parameters, from query, form, multipart or JSON, typed where a method asks."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import BodyPartReader, web

from tests.fake_telegram.refusal import bad_request


@dataclass(slots=True, kw_only=True)
class Upload:
    """A file inside a multipart body."""

    name: str
    mime: str
    content: bytes


@dataclass(slots=True, kw_only=True)
class Parameters:
    """What the bot sent. Values of a form are text; those of a JSON body have their types."""

    values: dict[str, Any] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)

    def text(self, name: str) -> str | None:
        """Return a parameter as text, or None if it is missing."""
        value = self.values.get(name)
        return None if value is None else str(value)

    def integer(self, name: str, otherwise: int = 0) -> int:
        """Return a whole number."""
        value = self.values.get(name)
        if value is None or value == "":
            return otherwise
        try:
            return int(value)
        except (TypeError, ValueError):
            raise bad_request(f'invalid parameter "{name}": expected an Integer') from None

    def flag(self, name: str) -> bool:
        """Return a yes-or-no parameter; missing is no."""
        return str(self.values.get(name, "")).lower() in ("true", "1")

    def structure(self, name: str) -> Any:
        """Return a parameter that is declared as JSON, or None if it is missing."""
        value = self.values.get(name)
        if not isinstance(value, str):
            return value
        if not value:
            return None
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            raise bad_request(f"can't parse {name.replace('_', ' ')} JSON object") from None

    def entities(self, name: str) -> list[dict[str, Any]]:
        """Return explicit entities."""
        return self.structure(name) or []

    def recorded(self) -> dict[str, Any]:
        """Return what a test reads later: JSON decoded where it is JSON, files by name and size."""
        shown: dict[str, Any] = {}
        for name, value in self.values.items():
            shown[name] = value
            if isinstance(value, str) and value[:1] in ("{", "[") and name in _STRUCTURES:
                try:
                    shown[name] = json.loads(value)
                except json.JSONDecodeError:
                    shown[name] = value
        for name, upload in self.uploads.items():
            shown[name] = f"<{upload.name}, {upload.mime}, {len(upload.content)} bytes>"
        if str(shown.get("chat_id", "")).lstrip("-").isdigit():
            shown["chat_id"] = int(shown["chat_id"])
        return shown


_STRUCTURES = frozenset(
    {
        "allowed_updates",
        "caption_entities",
        "commands",
        "entities",
        "link_preview_options",
        "media",
        "menu_button",
        "message_ids",
        "prices",
        "reaction",
        "reply_markup",
        "reply_parameters",
        "scope",
    }
)


async def read_parameters(request: web.Request) -> Parameters:
    """Read every way in which the Bot API accepts parameters.

    Raises:
        RefusalError: The body is not UTF-8, or is no JSON although it says so.
    """
    parameters = Parameters(values=dict(request.query))
    kind = request.content_type
    try:
        if kind == "application/json":
            body = await request.read()
            sent = json.loads(body) if body else {}
            if not isinstance(sent, dict):
                raise bad_request("object expected as parameters")
            parameters.values |= sent
        elif kind == "multipart/form-data":
            await _read_multipart(request, parameters)
        elif request.method == "POST":
            parameters.values |= {
                name: str(value) for name, value in (await request.post()).items()
            }
    except UnicodeDecodeError:
        raise bad_request("strings must be encoded in UTF-8") from None
    except json.JSONDecodeError:
        raise bad_request("can't parse JSON object") from None
    for name in ("text", "caption"):
        value = parameters.values.get(name)
        if isinstance(value, str) and any(0xD800 <= ord(c) < 0xE000 for c in value):
            raise bad_request("strings must be encoded in UTF-8")
    return parameters


async def _read_multipart(request: web.Request, parameters: Parameters) -> None:
    reader = await request.multipart()
    while (part := await reader.next()) is not None:
        if not isinstance(part, BodyPartReader) or part.name is None:
            continue
        content = bytes(await part.read(decode=False))
        if part.filename is None:
            parameters.values[part.name] = content.decode()
        else:
            mime = part.headers.get("Content-Type", "application/octet-stream")
            parameters.uploads[part.name] = Upload(name=part.filename, mime=mime, content=content)
