"""The tables, and how a connection to them is made.

    enrolments ─┬─ bindings          ProductInstanceUri ─▶ key, one active each
                ├─ applications      what lives on the Device
                └─ issuances         the ledger of certificates
    tickets ── ticket_members        who is part of which Composite
    withdrawn_tickets · rejected_tickets · software
    trust · scopes · stopped_keys · seen_crls · crls · inbox · engines
    audit                            append-only, by trigger

WAL lets others read while one writes; ``synchronous=FULL`` makes a commit survive a power cut.
"""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import Final

from registrar.errors import StoreUnavailable

SCHEMA_VERSION: Final = 3
APPLICATION_ID: Final = 0x4F504352
"""Says in the file's header whose database it is: ``OPCR``."""

BUSY_TIMEOUT_S: Final = 10.0
"""How long one connection waits for the write lock of another."""

WAL_RETRY_S: Final = 0.02
"""Between two attempts to switch a new database to WAL."""

STATEMENT_CACHE: Final = 256
"""More than the distinct statements of this room, so that none is ever parsed twice."""

_TABLES: Final = """
CREATE TABLE enrolments (
    id INTEGER PRIMARY KEY,
    url TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    detail TEXT NOT NULL DEFAULT '',
    product_instance_uri TEXT NOT NULL DEFAULT '',
    serial_number TEXT NOT NULL DEFAULT '',
    manufacturer TEXT NOT NULL DEFAULT '',
    model TEXT NOT NULL DEFAULT '',
    software_revision TEXT NOT NULL DEFAULT '',
    software_wanted TEXT NOT NULL DEFAULT '',
    key_digest TEXT NOT NULL DEFAULT '',
    identity_thumbprint TEXT NOT NULL DEFAULT '',
    ticket_digests TEXT NOT NULL DEFAULT '',
    application_id TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    lease_owner TEXT NOT NULL DEFAULT '',
    lease_token INTEGER NOT NULL DEFAULT 0,
    lease_ends INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX enrolments_by_state ON enrolments (state);
CREATE INDEX enrolments_by_uri ON enrolments (product_instance_uri)
    WHERE product_instance_uri != '';
CREATE INDEX enrolments_by_lease ON enrolments (lease_owner) WHERE lease_owner != '';

CREATE TABLE bindings (
    product_instance_uri TEXT PRIMARY KEY,
    enrolment_id INTEGER NOT NULL UNIQUE REFERENCES enrolments (id),
    key_digest TEXT NOT NULL UNIQUE,
    bound INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE applications (
    id INTEGER PRIMARY KEY,
    enrolment_id INTEGER NOT NULL REFERENCES enrolments (id),
    node TEXT NOT NULL,
    application_uri TEXT NOT NULL UNIQUE,
    product_uri TEXT NOT NULL DEFAULT '',
    application_type TEXT NOT NULL DEFAULT '',
    name TEXT NOT NULL DEFAULT '',
    confirmed INTEGER NOT NULL DEFAULT 0,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    UNIQUE (enrolment_id, node)
);

CREATE TABLE issuances (
    id INTEGER PRIMARY KEY,
    enrolment_id INTEGER REFERENCES enrolments (id),
    application_uri TEXT NOT NULL,
    certificate_group TEXT NOT NULL,
    certificate_type TEXT NOT NULL,
    profile TEXT NOT NULL,
    issuer TEXT NOT NULL,
    key_digest TEXT NOT NULL,
    serial TEXT NOT NULL UNIQUE,
    tbs BLOB NOT NULL,
    certificate BLOB,
    state TEXT NOT NULL,
    not_after INTEGER NOT NULL,
    revoked_at INTEGER,
    revocation_reason TEXT NOT NULL DEFAULT '',
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL
);
CREATE UNIQUE INDEX issuances_one_active
    ON issuances (application_uri, enrolment_id, certificate_group, certificate_type)
    WHERE state != 'revoked';
CREATE INDEX issuances_by_enrolment ON issuances (enrolment_id);
CREATE INDEX issuances_by_key ON issuances (key_digest);
CREATE INDEX issuances_revoked ON issuances (issuer, not_after) WHERE state = 'revoked';

CREATE TABLE tickets (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    uri TEXT NOT NULL,
    authority TEXT NOT NULL,
    trust_digest TEXT NOT NULL,
    good_until INTEGER NOT NULL,
    document TEXT NOT NULL,
    evidence TEXT NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL
);
CREATE INDEX tickets_by_uri ON tickets (uri);
CREATE INDEX tickets_by_authority ON tickets (authority);

CREATE TABLE ticket_members (
    member TEXT NOT NULL,
    composite TEXT NOT NULL,
    PRIMARY KEY (member, composite)
) WITHOUT ROWID;

CREATE TABLE withdrawn_tickets (
    digest TEXT PRIMARY KEY,
    trust_digest TEXT NOT NULL,
    document TEXT NOT NULL,
    evidence TEXT NOT NULL
);

CREATE TABLE rejected_tickets (
    id INTEGER PRIMARY KEY,
    uri TEXT NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    digest TEXT NOT NULL,
    at INTEGER NOT NULL,
    UNIQUE (uri, digest, reason)
);

CREATE TABLE trust (
    list TEXT NOT NULL,
    role TEXT NOT NULL,
    kind TEXT NOT NULL,
    digest TEXT NOT NULL,
    der BLOB NOT NULL,
    added INTEGER NOT NULL,
    PRIMARY KEY (list, role, kind, digest)
);

CREATE TABLE scopes (
    list TEXT NOT NULL,
    digest TEXT NOT NULL,
    manufacturer TEXT NOT NULL,
    uri_prefix TEXT NOT NULL,
    until INTEGER,
    count INTEGER,
    PRIMARY KEY (list, digest)
) WITHOUT ROWID;

CREATE TABLE stopped_keys (
    key_digest TEXT PRIMARY KEY,
    subject TEXT NOT NULL,
    at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE seen_crls (
    list TEXT NOT NULL,
    key_digest TEXT NOT NULL,
    number BLOB NOT NULL,
    this_update INTEGER NOT NULL,
    PRIMARY KEY (list, key_digest)
) WITHOUT ROWID;
CREATE TRIGGER seen_crls_never_sink BEFORE UPDATE ON seen_crls
    WHEN (NEW.number, NEW.this_update) < (OLD.number, OLD.this_update)
    BEGIN SELECT RAISE(ABORT, 'CRLNumber strictly grows'); END;
CREATE TRIGGER seen_crls_stay BEFORE DELETE ON seen_crls
    BEGIN SELECT RAISE(ABORT, 'CRLNumber strictly grows'); END;

CREATE TABLE crls (
    issuer TEXT PRIMARY KEY,
    number INTEGER NOT NULL,
    der BLOB,
    next_update INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TRIGGER crls_never_sink BEFORE UPDATE ON crls WHEN NEW.number < OLD.number
    BEGIN SELECT RAISE(ABORT, 'CRLNumber strictly grows'); END;
CREATE TRIGGER crls_stay BEFORE DELETE ON crls
    BEGIN SELECT RAISE(ABORT, 'CRLNumber strictly grows'); END;

CREATE TABLE software (
    product_instance_uri TEXT PRIMARY KEY,
    revision TEXT NOT NULL,
    is_current INTEGER NOT NULL,
    reported INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE inbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    created INTEGER NOT NULL
);

CREATE TABLE engines (
    id TEXT PRIMARY KEY,
    started INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL CHECK (actor != ''),
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    enrolment_id INTEGER,
    event TEXT NOT NULL,
    state_before TEXT NOT NULL,
    state_after TEXT NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX audit_by_enrolment ON audit (enrolment_id) WHERE enrolment_id IS NOT NULL;
CREATE INDEX audit_by_subject ON audit (kind, subject) WHERE enrolment_id IS NULL;
CREATE TRIGGER audit_never_changes BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;
CREATE TRIGGER audit_never_shrinks BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;
"""


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open a connection with the settings every connection of this room has.

    Raises:
        StoreUnavailable: the file cannot be opened, or is no database.
    """
    try:
        connection = sqlite3.connect(
            path,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=STATEMENT_CACHE,
        )
        connection.row_factory = sqlite3.Row
        _use_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        # Without it INSERT OR REPLACE would delete an audit entry past its trigger.
        connection.execute("PRAGMA recursive_triggers = ON")
        if read_only:
            connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{path.name} cannot be opened: {error}") from error
    return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL; only the first to open a new database has to.

    SQLite does not wait for others here, however long the timeout: it would fear a deadlock.
    """
    ends = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorname.startswith("SQLITE_BUSY")
            if not is_busy or time.monotonic() > ends:
                raise
            time.sleep(WAL_RETRY_S)
        else:
            return


def create_file(path: Path) -> None:
    """Make an empty file that only its owner may read, unless there is one already.

    Raises:
        StoreUnavailable: the folder is missing or not writable.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StoreUnavailable(f"{path.name} cannot be made: {error}") from error


def prepare(connection: sqlite3.Connection) -> None:
    """Make the tables in an empty database, or check whose and how old a filled one is.

    Safe when several processes do it at once.

    Raises:
        StoreUnavailable: it is the database of something else, or of a newer version.
    """
    try:
        if _version(connection) == (APPLICATION_ID, SCHEMA_VERSION):
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            _create(connection)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise StoreUnavailable(f"the database cannot be prepared: {error}") from error


def _version(connection: sqlite3.Connection) -> tuple[int, int]:
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    return owner, connection.execute("PRAGMA user_version").fetchone()[0]


def _create(connection: sqlite3.Connection) -> None:
    version = _version(connection)
    if version == (APPLICATION_ID, SCHEMA_VERSION):
        return
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if version != (0, 0) or tables:
        raise StoreUnavailable(
            f"the database has owner {version[0]:#x} and schema version {version[1]}, "
            f"not {APPLICATION_ID:#x} and {SCHEMA_VERSION}",
            next_action="Use the release of the Registrar that made it, or make a new site.",
        )
    for statement in _statements(_TABLES):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _statements(script: str) -> list[str]:
    """Split ``script``; ``executescript`` would commit the transaction it runs in."""
    statements: list[str] = []
    current = ""
    for line in script.splitlines(keepends=True):
        current += line
        if sqlite3.complete_statement(current):
            statements.append(current)
            current = ""
    return statements
