"""Numbered SQL files, applied once and forward only, however many processes start them at the same time.

Each service's schema gets the files of `shared/migrations` (tables of the mechanisms) and then its own. Which are
applied stands in the schema itself (`_yoyo_migration`), so a service can tell whether its schema is new enough.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

import asyncpg
import psycopg
import yoyo
from psycopg import sql

from shared.config import WrongSetting
from shared.db import Conn

MECHANISMS = Path(__file__).parent / "migrations"
IDENTITY = Path(__file__).parent / "identity" / "migrations"

ADVISORY_LOCK = 0x41525049
"""One run of migrations at a time per database; the others wait and find nothing to do."""


class SchemaTooOld(Exception):
    """The schema lacks migrations that this code needs; the message says which and what to run."""


def apply(dsn: str, services: dict[str, Path], logins: dict[str, str]) -> int:
    """Bring every schema up to date, create the services' roles; returns how many files were applied.

    `services` maps a service to its folder of migrations, `logins` a service to the password of its role
    (a service without one gets a role that cannot log in and is assumed with SET ROLE).
    """
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("select pg_advisory_lock(%s)", (ADVISORY_LOCK,))
        applied = _apply_to(dsn, conn, "identity", [IDENTITY])
        for service, folder in services.items():
            _ensure_role(conn, service, logins.get(service))
            applied += _apply_to(dsn, conn, service, [MECHANISMS, folder])
    return applied


def _apply_to(dsn: str, conn: "psycopg.Connection[tuple[object, ...]]", schema: str, folders: list[Path]) -> int:
    conn.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(schema)))
    if schema != "identity":
        _grant(conn, schema)
    backend = yoyo.get_backend(_yoyo_uri(dsn, schema))
    try:
        backend.break_lock()  # whoever held it is dead: the lock above is ours
        migrations = yoyo.read_migrations(*(str(folder) for folder in folders))
        pending = backend.to_apply(migrations)
        for migration in pending:
            # yoyo's own way takes several transactions and a lock that a killed run leaves behind: here a file is
            # applied and marked in one, and the lock above goes with its connection
            with backend.transaction():
                migration.process_steps(backend, "apply")
                backend.mark_one(migration, log=False)
        return len(pending)
    finally:
        backend.connection.close()


def _ensure_role(conn: "psycopg.Connection[tuple[object, ...]]", service: str, password: str | None) -> None:
    role = sql.Identifier(role_of(service))
    if not conn.execute("select 1 from pg_roles where rolname = %s", (role_of(service),)).fetchone():
        # roles belong to the cluster: the migrate of another database may be faster
        with suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
            conn.execute(sql.SQL("create role {} nologin").format(role))
    if password:
        conn.execute(sql.SQL("alter role {} login password {}").format(role, sql.Literal(password)))
    conn.execute(sql.SQL("grant {} to current_user").format(role))
    database = sql.Identifier(conn.info.dbname)
    path = sql.SQL("alter role {} in database {} set search_path = {}, identity")
    conn.execute(path.format(role, database, sql.Identifier(service)))
    conn.execute(sql.SQL("grant usage on schema identity to {}").format(role))
    conn.execute(sql.SQL("grant select on all tables in schema identity to {}").format(role))


def _grant(conn: "psycopg.Connection[tuple[object, ...]]", service: str) -> None:
    """The service's role works on all tables of its own schema, made later too, and owns none."""
    for statement in (
        "grant usage on schema {schema} to {role}",
        "alter default privileges in schema {schema} grant select, insert, update, delete on tables to {role}",
        "alter default privileges in schema {schema} grant usage, select on sequences to {role}",
        "alter default privileges in schema {schema} grant execute on functions to {role}",
    ):
        names = {"schema": sql.Identifier(service), "role": sql.Identifier(role_of(service))}
        conn.execute(sql.SQL(statement).format(**names))


def role_of(service: str) -> str:
    """The PostgreSQL role of a service."""
    return f"arpilot_{service}"


def password_of(dsn: str | None) -> str | None:
    """The password that a service's own DSN names, with which `migrate` lets its role log in."""
    return unquote(password) if dsn and (password := urlsplit(dsn).password) else None


def _yoyo_uri(dsn: str, schema: str) -> str:
    parts = urlsplit(dsn)
    if parts.scheme not in {"postgresql", "postgres"}:
        raise WrongSetting("ARPILOT_DATABASE_URL is wrong: it must begin with postgresql://.")
    query = [*parse_qsl(parts.query), ("schema", schema)]
    return urlunsplit(parts._replace(scheme="postgresql+psycopg", query=urlencode(query, quote_via=quote)))


async def require(conn: Conn, service: str, folder: Path) -> None:
    """Raise SchemaTooOld unless every migration that this code ships has been applied to the service's schema."""
    missing = await pending(conn, service, folder)
    if missing:
        raise SchemaTooOld(f"The schema {service} lacks {', '.join(missing)}: run `arpilot migrate` first.")


async def pending(conn: Conn, service: str, folder: Path) -> list[str]:
    """The ids of the migrations that are shipped but not applied, in order."""
    needed = [path.stem for path in _files([IDENTITY] if service == "identity" else [MECHANISMS, folder])]
    try:
        rows = await conn.fetch(f'select migration_id from "{service}"._yoyo_migration')
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        return needed
    applied = {row["migration_id"] for row in rows}
    return [name for name in needed if name not in applied]


def _files(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(folder.glob("*.sql"))
