"""The first token: one for all hosts that start, and readable by its owner only."""

import asyncio

import pytest

from atoll_host import errors
from atoll_host.access import callers, first_token, tokens, verifying
from atoll_storage import database as databases


async def test_of_hosts_that_start_together_one_makes_the_first_token(
    database: databases.Database, tmp_path
):
    folders = [tmp_path / name for name in ("a", "b", "c")]
    made = await asyncio.gather(
        *(first_token.ensure(database.access, folder) for folder in folders)
    )
    (path,) = [each for each in made if each is not None]
    assert [each for each in folders if (each / first_token.FILE_NAME).exists()] == [path.parent]
    token = tokens.parse(path.read_text().strip())
    checked = await database.access.check(token.token_id)
    assert token.matches(checked.record.digest)
    caller = verifying.caller_of(checked.record)
    assert caller.grants == (callers.Grant(callers.Role.ADMIN),)
    assert (await first_token.ensure(database.access, tmp_path)) is None


async def test_a_file_of_a_database_before_is_replaced(database: databases.Database, tmp_path):
    file = tmp_path / first_token.FILE_NAME
    file.write_text("old")
    file.chmod(0o644)
    assert await first_token.ensure(database.access, tmp_path) == file
    assert tokens.parse(file.read_text().strip()) is not None
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]


async def test_a_file_that_cannot_be_written_ends_the_start_and_makes_no_token(
    database: databases.Database, tmp_path
):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(errors.StartError, match="cannot be written"):
        await first_token.ensure(database.access, tmp_path / "file" / "data")
    assert await first_token.ensure(database.access, tmp_path) is not None
