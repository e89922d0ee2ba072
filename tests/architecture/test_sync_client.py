"""The blocking client is what the asynchronous one makes of it."""

import inspect

from atoll.client import connection, runs, watches
from atoll.client.sync import connection as sync_connection
from atoll.client.sync import runs as sync_runs
from atoll.client.sync import watches as sync_watches
from tests.architecture.sync_client import generating


def test_the_modules_are_as_they_would_be_written_now():
    made = generating.modules()
    there = {
        path.name: path.read_text()
        for path in generating.SYNC.glob("*.py")
        if path.name not in generating.WRITTEN_BY_HAND
    }
    assert there == made, "write them anew with: python -m tests.architecture.sync_client"


def test_every_noun_and_every_method_has_its_twin():
    assert set(connection.Client.__annotations__) == set(sync_connection.Client.__annotations__)
    for original, twin in ((runs.Runs, sync_runs.Runs), (watches.Watch, sync_watches.Watch)):
        public = {name for name in vars(original) if not name.startswith("_")}
        assert public == {name for name in vars(twin) if not name.startswith("_")}
        for name in public - {"resume_token"}:
            given = inspect.signature(getattr(original, name)).parameters
            assert list(given) == list(inspect.signature(getattr(twin, name)).parameters)
