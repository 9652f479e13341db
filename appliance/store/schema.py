"""The tables, as the migrations that lead to them. The rule: append only; a migration that was shipped never changes.

Each migration is a function of the connection, applied and recorded in one transaction. Usage rows have no foreign
keys: they outlive the keys and providers that they name. `requests.request_id` sorts by time of arrival.
"""

from collections.abc import Callable
from pathlib import Path

import apsw

from appliance.store.faults import NewerSchema, NotOurs

APPLICATION_ID = 0x53544C4E  # "STLN": tells our files from other people's


def _first(connection: apsw.Connection) -> None:
    """Identities, providers, usage, and where the archive and the rows agree."""
    for statement in (
        """CREATE TABLE vault_keys(
            key_id TEXT PRIMARY KEY, salt BLOB NOT NULL, check_value BLOB NOT NULL, created_unix_us INTEGER NOT NULL
        ) STRICT""",
        """CREATE TABLE organisations(
            organisation_id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, start_within TEXT,
            race_slots INTEGER, created_unix_s INTEGER NOT NULL
        ) STRICT""",
        """CREATE TABLE api_keys(
            key_id TEXT PRIMARY KEY, public_id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
            organisation_id TEXT NOT NULL REFERENCES organisations, name TEXT NOT NULL,
            salt BLOB NOT NULL, digest BLOB NOT NULL, created_unix_s INTEGER NOT NULL, expires_unix_s INTEGER,
            revoked_unix_s INTEGER, start_within TEXT, models TEXT, addresses TEXT, priority INTEGER NOT NULL,
            started_at TEXT NOT NULL, rotated_from TEXT REFERENCES api_keys
        ) STRICT""",
        "CREATE INDEX api_keys_by_organisation ON api_keys(organisation_id)",
        """CREATE TABLE providers(
            provider_id TEXT PRIMARY KEY, organisation_id TEXT NOT NULL REFERENCES organisations, name TEXT NOT NULL,
            kind TEXT NOT NULL, base_url TEXT NOT NULL, tiers TEXT NOT NULL, models TEXT, price_as TEXT NOT NULL,
            headers TEXT NOT NULL, stream_options INTEGER NOT NULL, abort_billing TEXT NOT NULL,
            position INTEGER NOT NULL, created_unix_s INTEGER NOT NULL,
            secret_key_id TEXT REFERENCES vault_keys, secret_salt BLOB, secret_nonce BLOB, secret_ciphertext BLOB,
            UNIQUE(organisation_id, name)
        ) STRICT""",
        """CREATE TABLE requests(
            request_id TEXT PRIMARY KEY, organisation_id TEXT NOT NULL, key_id TEXT NOT NULL,
            at_unix_us INTEGER NOT NULL, endpoint TEXT NOT NULL, dialect TEXT NOT NULL, model_asked TEXT NOT NULL,
            model_dispatched TEXT, provider TEXT, base_url TEXT, tier_asked TEXT NOT NULL, tier_sent TEXT,
            tier_served TEXT, reason TEXT, streamed INTEGER NOT NULL, status INTEGER NOT NULL, error_code TEXT,
            error_class TEXT, error_origin TEXT, tokens_input INTEGER, tokens_output INTEGER, tokens_cached INTEGER,
            tokens_cache_write INTEGER, tokens_reasoning INTEGER, tokens_certainty TEXT NOT NULL, cost_nanos INTEGER,
            cost_state TEXT NOT NULL, default_nanos INTEGER, provider_response_id TEXT, to_start_s REAL,
            to_content_s REAL, total_s REAL NOT NULL, overhead_s REAL NOT NULL, received_bytes INTEGER NOT NULL,
            sent_bytes INTEGER NOT NULL, retries INTEGER NOT NULL, window_s REAL, deadline_met INTEGER,
            client_gone INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX requests_by_time ON requests(at_unix_us)",
        """CREATE TABLE attempts(
            request_id TEXT NOT NULL, ordinal INTEGER NOT NULL, provider TEXT NOT NULL, base_url TEXT NOT NULL,
            model TEXT NOT NULL, tier_sent TEXT, tier_served TEXT, start_s REAL NOT NULL, end_s REAL NOT NULL,
            outcome TEXT NOT NULL, cancel_cause TEXT, to_start_s REAL, to_content_s REAL, status INTEGER,
            error_code TEXT, provider_code TEXT, tokens_input INTEGER, tokens_output INTEGER, tokens_cached INTEGER,
            tokens_cache_write INTEGER, tokens_reasoning INTEGER, tokens_certainty TEXT NOT NULL, cost_nanos INTEGER,
            cost_state TEXT NOT NULL, provider_response_id TEXT, retries INTEGER NOT NULL, events INTEGER NOT NULL,
            received_bytes INTEGER NOT NULL, PRIMARY KEY(request_id, ordinal)
        ) STRICT, WITHOUT ROWID""",
        # Where replaying the archive starts, and the begun records below it that had not settled yet.
        "CREATE TABLE archive_position(one INTEGER PRIMARY KEY CHECK(one = 1), segment INTEGER, offset INTEGER) STRICT",
        "INSERT INTO archive_position VALUES(1, 0, 0)",
        "CREATE TABLE open_requests(request_id TEXT PRIMARY KEY, begun BLOB NOT NULL) STRICT",
    ):
        connection.execute(statement)


def _profiles(connection: apsw.Connection) -> None:
    """What a provider's profile says: its name, the credential's header, where each dialect is spoken."""
    for column in (
        "profile TEXT NOT NULL DEFAULT ''",
        "auth TEXT NOT NULL DEFAULT ''",
        "dialects TEXT NOT NULL DEFAULT '[]'",
    ):
        connection.execute(f"ALTER TABLE providers ADD COLUMN {column}")


def _reach_of_providers(connection: apsw.Connection) -> None:
    """Who said which models a provider has, and whether it must be at a public address."""
    connection.execute("ALTER TABLE providers ADD COLUMN model_source TEXT NOT NULL DEFAULT 'provider'")
    connection.execute("ALTER TABLE providers ADD COLUMN public_only INTEGER NOT NULL DEFAULT 0")


def _proxies(connection: apsw.Connection) -> None:
    """The HTTP proxy that a provider is behind."""
    connection.execute("ALTER TABLE providers ADD COLUMN proxy TEXT NOT NULL DEFAULT ''")


def _attribution(connection: apsw.Connection) -> None:
    """Which coding agent asked, for which session; which row of the price list an attempt was priced by."""
    for column in ("client", "session", "agent"):
        connection.execute(f"ALTER TABLE requests ADD COLUMN {column} TEXT")
    connection.execute("ALTER TABLE attempts ADD COLUMN price_row TEXT")


def _names_of_models(connection: apsw.Connection) -> None:
    """An organisation's own names of models."""
    connection.execute("ALTER TABLE organisations ADD COLUMN aliases TEXT NOT NULL DEFAULT '{}'")


def _deadline_engine(connection: apsw.Connection) -> None:
    """Targets and presets; what was expected of a race; what is known of how long attempts take to start."""
    for table, column in (
        ("organisations", "start_target REAL"),
        ("organisations", "finish_within TEXT"),
        ("organisations", "explore INTEGER NOT NULL DEFAULT 1"),
        ("api_keys", "start_target REAL"),
        ("api_keys", "finish_within TEXT"),
        ("api_keys", "preset TEXT"),
        ("api_keys", "ladder TEXT"),
        ("requests", "target REAL"),
        ("requests", "finish_s REAL"),
        ("requests", "finish_met INTEGER"),
        ("requests", "forecast TEXT"),
        ("requests", "preset TEXT"),
        ("requests", "size_class INTEGER NOT NULL DEFAULT 0"),
    ):
        connection.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
    connection.execute(
        """CREATE TABLE presets(
            preset_id TEXT PRIMARY KEY, organisation_id TEXT NOT NULL REFERENCES organisations, name TEXT NOT NULL,
            model TEXT, ladder TEXT, start_within TEXT, start_target REAL, finish_within TEXT,
            UNIQUE(organisation_id, name)
        ) STRICT"""
    )
    connection.execute("CREATE TABLE latency(path TEXT PRIMARY KEY, counts BLOB NOT NULL) STRICT, WITHOUT ROWID")


def _hour_writes(connection: apsw.Connection) -> None:
    """How much of what was written into a provider's cache is kept for an hour, which costs more."""
    for table in ("requests", "attempts"):
        connection.execute(f"ALTER TABLE {table} ADD COLUMN tokens_cache_write_1h INTEGER")


def _purses(connection: apsw.Connection) -> None:
    """What each organisation has left to spend on looking, and what it has spent."""
    connection.execute(
        """CREATE TABLE purses(
            organisation_id TEXT NOT NULL, priced INTEGER NOT NULL, most REAL NOT NULL, holds REAL NOT NULL,
            spent REAL NOT NULL, used REAL NOT NULL, PRIMARY KEY(organisation_id, priced)
        ) STRICT, WITHOUT ROWID"""
    )


MIGRATIONS: tuple[Callable[[apsw.Connection], None], ...] = (
    _first,
    _profiles,
    _reach_of_providers,
    _proxies,
    _attribution,
    _names_of_models,
    _deadline_engine,
    _hour_writes,
    _purses,
)


def check(connection: apsw.Connection, migrations: int = len(MIGRATIONS)) -> int:
    """How many migrations a database has, looking at it only. Raises NewerSchema, NotOurs, apsw.Error."""
    if not connection.execute("SELECT count(*) FROM sqlite_schema").get:
        return 0
    if connection.pragma("application_id") != APPLICATION_ID:
        raise NotOurs("the database file belongs to another program")
    done = int(connection.execute("SELECT coalesce(max(number), 0) FROM migrations").get)
    if done > migrations:
        raise NewerSchema(
            f"the database has schema {done}, this version knows {migrations}: use the newer version, "
            "or restore the copy made before the upgrade"
        )
    return done


def migrate(
    connection: apsw.Connection,
    backups: Path,
    now_unix_us: int,
    migrations: tuple[Callable[[apsw.Connection], None], ...] = MIGRATIONS,
) -> int:
    """Bring the database to the newest schema; the number of migrations applied.

    Before the first of them an existing database is copied into the folder `backups`. Raises NewerSchema, NotOurs,
    apsw.Error; whatever was applied completely stays.
    """
    done = check(connection, len(migrations))
    if done == len(migrations):
        return 0
    if done:
        _back_up(connection, backups / f"schema-{done}-{now_unix_us}.db")
    for number, migration in enumerate(migrations[done:], done + 1):
        with connection:
            if number == 1:
                connection.pragma("application_id", APPLICATION_ID)
                connection.execute(
                    "CREATE TABLE migrations(number INTEGER PRIMARY KEY, what TEXT NOT NULL, applied_unix_us INTEGER"
                    " NOT NULL) STRICT"
                )
            migration(connection)
            connection.execute(
                "INSERT INTO migrations VALUES(?, ?, ?)", (number, migration.__doc__ or migration.__name__, now_unix_us)
            )
    return len(migrations) - done


def _back_up(connection: apsw.Connection, path: Path) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.touch(mode=0o600)
    copy = apsw.Connection(str(path), vfs=connection.open_vfs)
    try:
        with copy.backup("main", connection, "main") as backup:
            backup.step()
    finally:
        copy.close()
