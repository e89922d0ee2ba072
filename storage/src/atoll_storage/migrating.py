"""Bringing the schema up to date with the packaged Alembic migrations, and telling whether it is.

Called by `database`. What must not come in: the content of a migration.
"""

import pathlib

import sqlalchemy as sa
from alembic import command, config, script
from alembic.runtime import migration
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll_storage import errors, locks

_FOLDER = pathlib.Path(__file__).with_name("migrations")


def _settings() -> config.Config:
    settings = config.Config()
    # Percent signs are special to configparser, which Alembic keeps the option in.
    settings.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    return settings


def known_revisions() -> list[str]:
    """Return the revisions that this release knows, oldest first."""
    folder = script.ScriptDirectory.from_config(_settings())
    return [revision.revision for revision in reversed(list(folder.walk_revisions()))]


async def stored_revision(connection: sa_asyncio.AsyncConnection) -> str | None:
    """Return the revision of the database, None for one without a schema."""
    return await connection.run_sync(
        lambda sync: migration.MigrationContext.configure(sync).get_current_revision()
    )


async def refuse_newer(connection: sa_asyncio.AsyncConnection) -> None:
    """Raise DatabaseRefused when the schema is of a release that this one does not know."""
    stored, known = await stored_revision(connection), known_revisions()
    if stored is not None and stored not in known:
        raise errors.DatabaseRefused(
            f"The database has schema revision {stored!r}, which is newer than this release knows "
            f"(its newest is {known[-1]!r}). Upgrade this host; schemas go forward only."
        )


async def upgrade(connection: sa_asyncio.AsyncConnection) -> None:
    """Apply what is missing in the transaction of `connection`; others that do the same wait."""
    await connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
    await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(locks.MIGRATION)))
    await refuse_newer(connection)

    def run(sync: sa.Connection) -> None:
        settings = _settings()
        settings.attributes["connection"] = sync
        command.upgrade(settings, "head")

    await connection.run_sync(run)
