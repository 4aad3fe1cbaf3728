"""Domain records to SQLite rows and back: `from_row(type, to_row(record)) == record`. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from data.events import (
    Consent,
    ConsentKind,
    CreatorRule,
    FactKind,
    Impression,
    Judgement,
    Mode,
    Placement,
    ProfileFact,
    Reply,
    ReplyKind,
    RuleKind,
    SlateRecord,
    Stage,
)
from data.store import DialogRow, InboxEntry, MessageClass, OutboxEntry

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Row = dict[str, Any]
"""Column -> value that SQLite stores as it is."""

Record = TypeVar("Record", bound="DataclassInstance")


def to_text(at: datetime) -> str:
    """Give a UTC moment as text whose alphabetical order is the order in time.

    Raises:
        ValueError: The moment has no time zone.
    """
    if at.tzinfo is None:
        msg = f"{at.isoformat()} has no time zone, expected an aware moment such as utc_now()"
        raise ValueError(msg)
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def from_text(text: str) -> datetime:
    """Give back the moment that `to_text` wrote."""
    return datetime.fromisoformat(text)


def text_or_none(at: datetime | None) -> str | None:
    return None if at is None else to_text(at)


def to_row(record: DataclassInstance) -> Row:
    """Give one value per field, in the order of the fields."""
    return {f.name: _encode(f.name, getattr(record, f.name)) for f in fields(record)}


def from_row(kind: type[Record], row: Mapping[str, Any]) -> Record:
    """Build the record that `to_row` described; columns of no field are ignored."""
    decoders = _DECODERS_BY_TYPE[kind]
    return kind(**{name: decode(row[name]) for name, decode in decoders.items()})


def storable(text: str) -> str:
    """Replace lone surrogates, which a chat client can send and UTF-8 cannot hold, by `?`."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _encode(name: str, value: object) -> object:
    match value:
        case None | float():
            return value
        case bool():
            return int(value)
        case int():
            # A seed may have 128 bits; SQLite's integers have 64.
            return str(value) if name == "seed" else value
        case StrEnum():
            return value.value
        case str():
            return storable(value)
        case datetime():
            return to_text(value)
        case _ if name == "placements":
            assert isinstance(value, tuple)
            return _json([asdict(placement) for placement in value])
        case Mapping():
            return _json(dict(value))
        case tuple():
            return _json(list(value))
        case _:
            msg = f"{name} is a {type(value).__name__}, which no column can hold"
            raise TypeError(msg)


def _json(value: object) -> str:
    return storable(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _same(value: Any) -> Any:
    return value


def _moment_or_none(value: str | None) -> datetime | None:
    return None if value is None else from_text(value)


def _mapping(value: str) -> Mapping[str, Any]:
    return MappingProxyType(json.loads(value))


def _tuple(value: str) -> tuple[Any, ...]:
    return tuple(json.loads(value))


def _placements(value: str) -> tuple[Placement, ...]:
    return tuple(Placement(**placement) for placement in json.loads(value))


_DECODERS: Mapping[str, Callable[[Any], Any]] = {
    "datetime": from_text,
    "datetime | None": _moment_or_none,
    "bool": bool,
    "Mapping[str, object]": _mapping,
    "Mapping[str, int]": _mapping,
    "tuple[Placement, ...]": _placements,
    "tuple[ItemId, ...]": _tuple,
    "tuple[float, ...]": _tuple,
    "ReplyKind": ReplyKind,
    "FactKind": FactKind,
    "ConsentKind": ConsentKind,
    "RuleKind": RuleKind,
    "Stage": Stage,
    "Mode": Mode,
    "MessageClass": MessageClass,
}
"""By the annotation of the field, as written; what is not listed is stored as it is."""


def _decoders(kind: type[DataclassInstance]) -> dict[str, Callable[[Any], Any]]:
    return {
        f.name: int if f.name == "seed" else _DECODERS.get(str(f.type), _same)
        for f in fields(kind)
    }


_DECODERS_BY_TYPE: Mapping[type, Mapping[str, Callable[[Any], Any]]] = {
    kind: _decoders(kind)
    for kind in (
        SlateRecord,
        Impression,
        Reply,
        ProfileFact,
        Consent,
        Judgement,
        CreatorRule,
        DialogRow,
        InboxEntry,
        OutboxEntry,
    )
}
