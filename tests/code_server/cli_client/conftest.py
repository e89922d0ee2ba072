"""A scripted host, and commands that are run against it."""

import asyncio
import threading
from collections.abc import Callable, Iterator

import click
import click.testing
import pytest

from tests.code_server.cli_client import scripted_host

Say = Callable[..., click.testing.Result]


@pytest.fixture
def host(request) -> scripted_host.ScriptedHost:
    """A host; a test may say which features it has."""
    made = scripted_host.ScriptedHost()
    made.features = getattr(request, "param", made.features)
    return made


@pytest.fixture
def say(host) -> Iterator[Say]:
    """Runs a command against the scripted host, which serves in a thread of its own."""
    ready, stop = threading.Event(), []
    addresses = []

    async def serve() -> None:
        done = asyncio.Event()
        stop.append((asyncio.get_running_loop(), done))
        async with scripted_host.serving_host(host) as address:
            addresses.append(address)
            ready.set()
            await done.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(10)

    def run(command: click.Command, *arguments: str, **kwargs) -> click.testing.Result:
        runner = click.testing.CliRunner()
        environment = {"ATOLL_HOST": addresses[0], "TZ": "UTC"}
        return runner.invoke(command, list(arguments), env=environment, **kwargs)

    run.address = addresses[0]  # type: ignore[attr-defined]
    yield run
    loop, done = stop[0]
    loop.call_soon_threadsafe(done.set)
    thread.join(10)
