"""One running mesh for all tests that leave it as it was, and fresh ones for the others."""

import asyncio
import pathlib
from collections.abc import Iterator

import pytest

from tests.e2e import mesh


@pytest.fixture(scope="session")
def two_locations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mesh.Mesh]:
    """`up` materializes numbers, `down` adds them up by itself."""
    with mesh.Mesh(tmp_path_factory.mktemp("mesh")) as running:
        running.add("up", mesh.CODE / "upstream.py", options=("--build-id", "up-1"))
        running.add("down", mesh.CODE / "downstream.py", options=("--build-id", "down-1"))
        running.start()
        asyncio.run(running.serving("up", "down"))
        yield running


@pytest.fixture
def fresh_mesh(tmp_path: pathlib.Path) -> Iterator[mesh.Mesh]:
    """A mesh in which nothing runs yet."""
    with mesh.Mesh(tmp_path) as running:
        yield running
