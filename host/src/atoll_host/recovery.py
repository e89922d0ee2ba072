"""Makes a token for an admin straight in the database, for whoever locked everybody out.

Called by the command `atoll host create-token`. Whoever can reach the database holds everything
anyway.
"""

import asyncio
import pathlib

import click

from atoll_host import host as hosts
from atoll_host.access import first_token
from atoll_storage import database, embedded
from atoll_storage import errors as storage_errors

_NAME = "recovery"
_LIFETIME_S = 86_400.0


def main(database_url: str, data_dir: pathlib.Path, file: pathlib.Path) -> None:
    """Make a token and write it to a file.

    Args:
        database_url: The database; empty means the embedded one.
        data_dir: Where the embedded one is.
        file: Where the token goes.

    Raises:
        click.ClickException: The database cannot be used, or the file not be written.
    """
    folder = data_dir / hosts.POSTGRES_DIR_NAME
    if not database_url and not folder.is_dir():
        raise click.ClickException(
            f"There is no embedded Postgres in {folder}. Name the data directory of the host with "
            "--data-dir, or its database with ATOLL_DATABASE_URL."
        )
    try:
        asyncio.run(_create(database_url, folder, file))
    except (storage_errors.StorageError, OSError) as error:
        raise click.ClickException(str(error)) from error


async def _create(database_url: str, folder: pathlib.Path, file: pathlib.Path) -> None:
    server = None
    if not database_url:
        server = await embedded.EmbeddedPostgres.start(folder)
        database_url = server.url
    try:
        store = await database.Database.connect(database_url, pool_size=2)
        try:
            await store.migrate()
            first_token.write(file, await first_token.create(store.access, _NAME, _LIFETIME_S))
        finally:
            await store.close()
    finally:
        if server is not None:
            await server.stop()
