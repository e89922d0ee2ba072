"""The embedded server starts anywhere, ends with its owner, recovers, refuses what is not its."""

# ruff: noqa: ASYNC110, ASYNC240 - these tests look at files and processes; nothing else is on the loop.

import asyncio
import os
import pathlib
import signal
import subprocess
import sys

import psycopg
import pytest

from atoll_storage import embedded, errors

pytestmark = [pytest.mark.postgres, pytest.mark.e2e, pytest.mark.slow]

OWNER = """
import asyncio, pathlib, sys
from atoll_storage import embedded

async def main():
    server = await embedded.EmbeddedPostgres.start(pathlib.Path(sys.argv[1]), durable=False)
    print(server.pid, server.url, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def gone(pid: int) -> None:
    """Wait for the end of a process that is no child of ours."""
    async with asyncio.timeout(20):
        while pathlib.Path(f"/proc/{pid}").exists():
            await asyncio.sleep(0.01)


def rows(url: str) -> int:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT count(*) FROM kept").fetchone()[0]


async def test_data_and_address_survive_a_stop_and_a_kill(tmp_path: pathlib.Path):
    server = await embedded.EmbeddedPostgres.start(tmp_path / "new" / "pg", durable=False)
    url = server.url
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS x")
    await server.stop()
    await server.stop()
    await gone(server.pid)

    server = await embedded.EmbeddedPostgres.start(tmp_path / "new" / "pg", durable=False)
    assert server.url == url
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO kept VALUES (2)")
    os.kill(server.pid, signal.SIGKILL)
    await server.stop()

    server = await embedded.EmbeddedPostgres.start(tmp_path / "new" / "pg", durable=False)
    try:
        assert rows(server.url) == 2
    finally:
        await server.stop()


async def test_it_ends_with_its_owner_and_comes_back_at_once(tmp_path: pathlib.Path):
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, str(tmp_path / "pg"), stdout=asyncio.subprocess.PIPE
    )
    pid, url = (await owner.stdout.readline()).decode().split()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS x")
    owner.kill()
    await owner.wait()
    # No waiting for its end here: the next start does that.
    server = await embedded.EmbeddedPostgres.start(tmp_path / "pg", durable=False)
    try:
        await gone(int(pid))
        assert server.url == url
        assert rows(url) == 1
    finally:
        await server.stop()
    assert "received fast shutdown request" in (tmp_path / "pg" / "server.log").read_text()
    assert "was not properly shut down" not in (tmp_path / "pg" / "server.log").read_text()


async def test_it_ends_when_its_guard_is_killed(tmp_path: pathlib.Path):
    server = await embedded.EmbeddedPostgres.start(tmp_path / "pg", durable=False)
    os.kill(server._guard.pid, signal.SIGKILL)
    await gone(server.pid)
    await server.stop()
    assert "database system is shut down" in (tmp_path / "pg" / "server.log").read_text()


async def test_it_listens_on_no_network_and_lets_nobody_else_in(tmp_path: pathlib.Path):
    server = await embedded.EmbeddedPostgres.start(tmp_path / "pg", durable=False)
    try:
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        socket_dir = pathlib.Path(server.url.partition("host=")[2])
        assert socket_dir.stat().st_mode & 0o077 == 0
        assert socket_dir.stat().st_uid == pathlib.Path(f"/proc/{server.pid}").stat().st_uid != 0
    finally:
        await server.stop()
    assert not socket_dir.exists()


async def test_a_directory_in_use_is_refused(tmp_path: pathlib.Path):
    server = await embedded.EmbeddedPostgres.start(tmp_path / "pg", durable=False)
    try:
        with pytest.raises(errors.DataDirectoryRefused, match=rf"in use .*process {server.pid}\)"):
            await embedded.EmbeddedPostgres.start(tmp_path / "pg", durable=False)
        with psycopg.connect(server.url) as connection:
            connection.execute("SELECT 1")
    finally:
        await server.stop()


async def test_directories_of_others_are_refused_and_left_alone(tmp_path: pathlib.Path):
    start = embedded.EmbeddedPostgres.start
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(errors.DataDirectoryRefused, match="not empty and is no data directory"):
        await start(tmp_path / "mine")
    with pytest.raises(errors.DataDirectoryRefused, match="is no folder"):
        await start(tmp_path / "mine" / "thesis.txt")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "PG_VERSION").write_text("13\n")
    with pytest.raises(errors.DataDirectoryRefused, match=r"made by Postgres 13.*Postgres 18"):
        await start(tmp_path / "old")
    with pytest.raises(errors.DataDirectoryRefused, match="No data directory can be made"):
        await start(pathlib.Path("/proc/nowhere/pg"))
    assert sorted(p.name for p in tmp_path.rglob("*")) == [
        "PG_VERSION",
        "mine",
        "old",
        "thesis.txt",
    ]


async def test_an_empty_folder_will_do(tmp_path: pathlib.Path):
    (tmp_path / "pg").mkdir()
    server = await embedded.EmbeddedPostgres.start(tmp_path / "pg")
    await server.stop()


@pytest.mark.skipif(
    os.geteuid() != 0 or not embedded._is_reachable(pathlib.Path(sys.executable).resolve(), 65534),
    reason="only root can become another user, who must be allowed to run this interpreter",
)
def test_it_starts_for_an_ordinary_user_too(tmp_path_factory: pytest.TempPathFactory):
    home = pathlib.Path("/var/tmp") / f"atoll-test-{os.getpid()}"  # noqa: S108
    home.mkdir(mode=0o700)
    os.chown(home, 65534, 65534)
    try:
        owner = subprocess.Popen(
            [sys.executable, "-c", OWNER, str(home / "pg")],
            stdout=subprocess.PIPE,
            user=65534,
            group=65534,
            extra_groups=[],
            cwd="/",
        )
        with owner, owner.stdout:
            pid = int(owner.stdout.readline().split()[0])
            assert pathlib.Path(f"/proc/{pid}").stat().st_uid == 65534
            owner.terminate()
        asyncio.run(gone(pid))
    finally:
        subprocess.run(["rm", "-rf", home], check=True)
