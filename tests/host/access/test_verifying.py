"""Tokens are read once and then known, until somebody may have revoked one."""

import datetime as dt

import pytest

from atoll_host import changes as host_changes
from atoll_host import errors
from atoll_host.access import first_token, tokens, verifying
from atoll_storage import database as databases
from atoll_storage import errors as storage_errors


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> dt.datetime:
        return dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, delay_s: float) -> None:
        self.seconds += delay_s


class Store:
    """The real store, how often it was read, and whether it is away."""

    def __init__(self, database: databases.Database) -> None:
        self._store = database.access
        self.reads = 0
        self.is_away = False

    async def check(self, token_id: str):
        self.reads += 1
        if self.is_away:
            raise storage_errors.StorageUnavailable("away")
        return await self._store.check(token_id)

    async def used(self, token_id: str, *, every_s: float) -> None:
        await self._store.used(token_id, every_s=every_s)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(database: databases.Database) -> Store:
    return Store(database)


@pytest.fixture
def changes(database: databases.Database) -> host_changes.Changes:
    return host_changes.Changes(database)


@pytest.fixture
def verifier(store, changes, clock) -> verifying.Verifier:
    return verifying.Verifier(store, changes, clock)


async def test_a_token_is_read_once_and_its_use_is_noted(verifier, store, database):
    token = await first_token.create(database.access, "ci", 60.0)
    for _ in range(5):
        assert (await verifier.caller(token)).name == "ci"
    assert store.reads == 1
    assert (await database.access.get(token.token_id)).last_use_time is not None


async def test_another_secret_is_no_use_of_a_token(verifier, database):
    token = await first_token.create(database.access, "ci", 60.0)
    with pytest.raises(errors.CredentialsInvalid):
        await verifier.caller(tokens.Token(token.token_id, tokens.make().secret))
    assert (await database.access.get(token.token_id)).last_use_time is None
    assert (await verifier.caller(token)).name == "ci"


async def test_what_was_told_is_read_before_a_token_counts_again(verifier, changes, database):
    token = await first_token.create(database.access, "ci", None)
    await verifier.caller(token)
    await database.access.revoke(token.token_id)
    assert (await verifier.caller(token)).name == "ci"  # nobody told
    changes.access_changed()
    with pytest.raises(errors.CredentialsInvalid):
        await verifier.caller(token)


async def test_what_nobody_told_is_found_out_beside_the_calls(verifier, clock, database):
    token = await first_token.create(database.access, "ci", None)
    await verifier.caller(token)
    await database.access.revoke(token.token_id)
    clock.seconds += verifying.FRESH_S
    assert (await verifier.caller(token)).name == "ci"  # begins to read
    await verifier._reading[token.token_id]
    with pytest.raises(errors.CredentialsInvalid):
        await verifier.caller(token)


async def test_a_token_ends_by_the_time_of_the_database_without_being_read(
    verifier, clock, store, database
):
    token = await first_token.create(database.access, "ci", 4.0)
    await verifier.caller(token)
    clock.seconds += 4.0
    with pytest.raises(errors.CredentialsInvalid):
        await verifier.caller(token)
    assert store.reads == 1


async def test_while_storage_is_away_what_was_known_counts(verifier, changes, store, database):
    token = await first_token.create(database.access, "ci", None)
    await verifier.caller(token)
    await database.access.revoke(token.token_id)
    store.is_away = True
    changes.access_changed()
    assert (await verifier.caller(token)).name == "ci"
    with pytest.raises(storage_errors.StorageUnavailable):
        await verifier.caller(tokens.make())
    store.is_away = False
    with pytest.raises(errors.CredentialsInvalid):
        await verifier.caller(token)
