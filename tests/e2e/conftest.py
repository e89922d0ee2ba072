"""One running mesh for all tests that leave it as it was, and fresh ones for the others."""

import asyncio
import pathlib
from collections.abc import Iterator

import pytest

from tests.e2e import mesh
from tests.e2e import releases as releases_of


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give one release to whoever says nothing: so tests of a file share the meshes of others."""
    marks = metafunc.definition.iter_markers("parametrize")
    if "releases" in metafunc.fixturenames and not any("releases" in m.args[0] for m in marks):
        metafunc.parametrize("releases", releases_of.COMBINATIONS[:1], indirect=True)


@pytest.fixture(scope="session")
def releases(request: pytest.FixtureRequest) -> releases_of.Releases:
    """What runs the host and the locations: one release, unless the test asks for combinations."""
    return releases_of.combination(request.param)


@pytest.fixture(scope="session")
def two_locations(
    tmp_path_factory: pytest.TempPathFactory, releases: releases_of.Releases
) -> Iterator[mesh.Mesh]:
    """`up` materializes numbers, `down` adds them up by itself."""
    with mesh.Mesh(tmp_path_factory.mktemp("mesh"), releases=releases) as running:
        running.add("up", mesh.CODE / "upstream.py", options=("--build-id", "up-1"))
        running.add("down", mesh.CODE / "downstream.py", options=("--build-id", "down-1"))
        running.start()
        asyncio.run(running.serving("up", "down"))
        yield running


@pytest.fixture
def fresh_mesh(tmp_path: pathlib.Path, releases: releases_of.Releases) -> Iterator[mesh.Mesh]:
    """A mesh in which nothing runs yet."""
    with mesh.Mesh(tmp_path, releases=releases) as running:
        yield running
