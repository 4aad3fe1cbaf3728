"""The one list of all tables that hold something of a person, and how each is exported and erased.

Whoever adds a table with a user key adds it here; a test walks the schema and insists.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum


class Erasure(StrEnum):
    """What /forget does with a person's rows in a table."""

    DELETE = "delete"
    """The rows go."""
    EMPTY = "empty"
    """The row stays as a bare id, so that a repeated delivery is still recognised."""
    ANONYMISE = "anonymise"
    """The row stays without the person: it is work done for the course, not about its author."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalTable:
    """One table's rules. SQL fragments know the parameter :user_key."""

    table: str
    columns: tuple[str, ...]
    """The columns that can name a person."""
    owned_by: str
    """SQL condition: the row belongs to :user_key."""
    dated_by: str
    """SQL expression: when the row came; decides whether an old tombstone still reaches it."""
    erasure: Erasure
    retention: str
    """For people: how long the rows stay when nobody asks for erasure."""


_ADDRESSES = (
    "(SELECT address FROM addresses WHERE user_key = :user_key "
    "EXCEPT SELECT address FROM addresses WHERE user_key <> :user_key)"
)
"""A shared address, such as a group's, belongs to nobody alone."""
_INBOX_OWNER = (
    # In a group the lane is the chat; so the update itself is searched for the person's id.
    f"(lane = :user_key OR lane IN {_ADDRESSES} OR CASE WHEN json_valid(payload) THEN EXISTS ("
    "SELECT 1 FROM json_tree(inbox.payload) AS node WHERE node.atom = :user_key "
    f"OR (node.key = 'id' AND CAST(node.atom AS TEXT) IN {_ADDRESSES})) END)"
)
_LAST_SEEN = "(SELECT max(a.at) FROM addresses a WHERE a.user_key = {table}.user_key)"

PERSONAL_TABLES: tuple[PersonalTable, ...] = (
    PersonalTable(
        table="impressions",
        columns=("user_key",),
        owned_by="user_key = :user_key",
        dated_by="delivered_at",
        erasure=Erasure.DELETE,
        retention="event_retention_days",
    ),
    PersonalTable(
        table="slates",
        columns=("user_key",),
        owned_by="user_key = :user_key",
        dated_by="at",
        erasure=Erasure.DELETE,
        retention="event_retention_days; the words of a query text_retention_days",
    ),
    PersonalTable(
        table="replies",
        columns=("user_key",),
        owned_by="user_key = :user_key",
        dated_by="at",
        erasure=Erasure.DELETE,
        retention="event_retention_days; free text text_retention_days",
    ),
    PersonalTable(
        table="facts",
        columns=("user_key",),
        owned_by="user_key = :user_key",
        dated_by="at",
        erasure=Erasure.DELETE,
        retention="until its expiry, or until the person deletes it",
    ),
    PersonalTable(
        table="consents",
        columns=("user_key",),
        owned_by="user_key = :user_key",
        dated_by="at",
        erasure=Erasure.DELETE,
        retention="as long as the person is with us, as proof of what was agreed",
    ),
    PersonalTable(
        table="dialogs",
        columns=("user_key",),
        owned_by="user_key = :user_key",
        dated_by=_LAST_SEEN.format(table="dialogs"),
        erasure=Erasure.DELETE,
        retention="until its expiry",
    ),
    PersonalTable(
        table="inbox",
        columns=("lane",),
        owned_by=_INBOX_OWNER,
        dated_by="received_at",
        erasure=Erasure.EMPTY,
        retention="content until it is answered, the bare id for 48 hours after; parked 14 days",
    ),
    PersonalTable(
        table="outbox",
        columns=("user_key", "address"),
        owned_by=f"(user_key = :user_key OR address IN {_ADDRESSES})",
        dated_by="created_at",
        erasure=Erasure.EMPTY,
        retention="content until it is sent, the bare id for 48 hours after",
    ),
    PersonalTable(
        table="judgements",
        columns=("creator",),
        owned_by="creator = :user_key",
        dated_by="at",
        erasure=Erasure.ANONYMISE,
        retention="as long as the catalogue is used",
    ),
    PersonalTable(
        table="rules",
        columns=("creator",),
        owned_by="creator = :user_key",
        dated_by="at",
        erasure=Erasure.ANONYMISE,
        retention="as long as the rule holds",
    ),
    PersonalTable(
        table="audits",
        columns=("actor",),
        owned_by="actor = :user_key",
        dated_by="at",
        erasure=Erasure.ANONYMISE,
        retention="event_retention_days",
    ),
    # Last, because the rules above look up the person's addresses here.
    PersonalTable(
        table="addresses",
        columns=("user_key", "address"),
        owned_by="user_key = :user_key",
        dated_by="at",
        erasure=Erasure.DELETE,
        retention="until /forget",
    ),
)
"""In the order in which they are erased: rows before the rows that they refer to."""

IMPERSONAL_COLUMNS: frozenset[tuple[str, str]] = frozenset({("erasures", "hashed_key")})
"""Columns that look as if they named a person but cannot be turned back into one."""


def hashed_key(salt: str, user_key: str) -> str:
    """Give what a tombstone keeps of a person: enough to recognise the key, not to know it."""
    return hashlib.sha256(f"{salt}:{user_key}".encode()).hexdigest()
