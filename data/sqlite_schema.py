"""The tables of the event store, as named migrations. A released migration is never edited."""

from __future__ import annotations

from typing import Any

from sqlite_utils import Migrations

migrations = Migrations("zhiwei")

_FIRST_TABLES = """
CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE slates (
    slate_id TEXT PRIMARY KEY,
    at TEXT NOT NULL,
    user_key TEXT NOT NULL,
    placements TEXT NOT NULL,
    chat_kind TEXT NOT NULL,
    language TEXT NOT NULL,
    lesson_id TEXT,
    "query" TEXT NOT NULL,
    "trigger" TEXT NOT NULL,
    context TEXT NOT NULL,
    policy TEXT NOT NULL,
    policy_version TEXT NOT NULL,
    model_version TEXT NOT NULL,
    catalogue_version TEXT NOT NULL,
    index_version TEXT NOT NULL,
    experiment TEXT NOT NULL,
    arm TEXT NOT NULL,
    candidates TEXT NOT NULL,
    scores TEXT NOT NULL,
    n_eligible INTEGER NOT NULL,
    exploration_rate REAL NOT NULL,
    temperature REAL NOT NULL,
    seed TEXT NOT NULL,
    filters TEXT NOT NULL,
    stage TEXT NOT NULL,
    mode TEXT NOT NULL,
    ope_valid INTEGER NOT NULL,
    replaces TEXT
) STRICT;
CREATE INDEX slates_by_user ON slates (user_key, at);
CREATE INDEX slates_by_time ON slates (at);

CREATE TABLE impressions (
    slate_id TEXT NOT NULL REFERENCES slates (slate_id),
    user_key TEXT NOT NULL,
    item_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    propensity REAL NOT NULL,
    marginal_propensity REAL NOT NULL,
    explored INTEGER NOT NULL,
    delivered_at TEXT NOT NULL,
    message_id TEXT NOT NULL,
    lesson_id TEXT,
    PRIMARY KEY (slate_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX impressions_by_user ON impressions (user_key, delivered_at);
CREATE INDEX impressions_by_time ON impressions (delivered_at);

CREATE TABLE replies (
    reply_id TEXT PRIMARY KEY,
    at TEXT NOT NULL,
    user_key TEXT NOT NULL,
    kind TEXT NOT NULL,
    slate_id TEXT,
    item_id TEXT,
    value TEXT NOT NULL,
    text TEXT NOT NULL,
    source TEXT NOT NULL
) STRICT;
CREATE INDEX replies_by_user ON replies (user_key, at);
CREATE INDEX replies_by_time ON replies (at);
CREATE INDEX replies_with_text ON replies (at) WHERE text <> '';

CREATE TABLE facts (
    fact_id TEXT NOT NULL,
    user_key TEXT NOT NULL,
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    source TEXT NOT NULL,
    expires_at TEXT,
    PRIMARY KEY (user_key, fact_id),
    UNIQUE (user_key, kind, value)
) STRICT;

CREATE TABLE consents (
    consent_id TEXT PRIMARY KEY,
    user_key TEXT NOT NULL,
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    given INTEGER NOT NULL,
    language TEXT NOT NULL,
    text_version TEXT NOT NULL
) STRICT;
CREATE INDEX consents_by_user ON consents (user_key, kind, at);

CREATE TABLE judgements (
    judgement_id TEXT PRIMARY KEY,
    at TEXT NOT NULL,
    lesson_id TEXT NOT NULL,
    item_id TEXT NOT NULL,
    grade INTEGER NOT NULL,
    creator TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;

CREATE TABLE rules (
    lesson_id TEXT NOT NULL,
    item_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    at TEXT NOT NULL,
    creator TEXT NOT NULL,
    PRIMARY KEY (lesson_id, item_id, kind)
) STRICT;

CREATE TABLE dialogs (
    user_key TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    version INTEGER NOT NULL,
    expires_at TEXT NOT NULL
) STRICT;

CREATE TABLE addresses (
    user_key TEXT NOT NULL,
    channel TEXT NOT NULL,
    address TEXT NOT NULL,
    at TEXT NOT NULL,
    reachable INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (user_key, channel)
) STRICT;
CREATE INDEX addresses_by_address ON addresses (channel, address);

CREATE TABLE inbox (
    update_id TEXT PRIMARY KEY,
    lane TEXT NOT NULL,
    payload TEXT NOT NULL,
    received_at TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'parked', 'done')),
    error TEXT NOT NULL DEFAULT '',
    done_at TEXT
) STRICT;
CREATE INDEX inbox_waiting ON inbox (state, received_at) WHERE state <> 'done';
CREATE INDEX inbox_done ON inbox (done_at) WHERE state = 'done';

CREATE TABLE outbox (
    outbox_id TEXT PRIMARY KEY,
    address TEXT NOT NULL,
    payload TEXT NOT NULL,
    message_class TEXT NOT NULL,
    user_key TEXT NOT NULL,
    created_at TEXT NOT NULL,
    slate_id TEXT,
    not_before TEXT,
    expires_at TEXT,
    state TEXT NOT NULL CHECK (state IN ('queued', 'sending', 'sent', 'unknown', 'dead')),
    attempts INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    error TEXT NOT NULL DEFAULT '',
    sent_at TEXT
) STRICT;
CREATE INDEX outbox_waiting ON outbox (state, created_at) WHERE state IN ('queued', 'sending');
CREATE INDEX outbox_by_address ON outbox (address) WHERE state IN ('queued', 'sending');
CREATE INDEX outbox_by_user ON outbox (user_key);
CREATE INDEX outbox_by_time ON outbox (created_at);

CREATE TABLE erasures (
    receipt_id TEXT PRIMARY KEY,
    at TEXT NOT NULL,
    salt TEXT NOT NULL,
    hashed_key TEXT NOT NULL
) STRICT;

CREATE TABLE audits (
    at TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX audits_by_time ON audits (at);

CREATE TABLE safety_violations (
    at TEXT NOT NULL,
    "where" TEXT NOT NULL,
    item_id TEXT NOT NULL
) STRICT;

INSERT INTO settings (name, value) VALUES ('erasure_salt', lower(hex(randomblob(16))));
"""


@migrations()  # type: ignore[untyped-decorator]
def m001_first_tables(db: Any) -> None:
    # One statement at a time: executescript would commit the migration's transaction.
    for statement in _FIRST_TABLES.split(";\n"):
        if statement.strip():
            db.conn.execute(statement)
