"""A few events are inserted and many are copied: the rows are the same, whatever they hold."""

import psycopg
import pytest

from atoll.events.v1 import events_pb2
from atoll_storage import log_writer
from atoll_storage.database import Database
from tests.storage import support

pytestmark = pytest.mark.postgres

_ROWS = (
    "SELECT kind, timestamp, location_name, asset_key, partition, check_name, step_key, payload, "
    "stored_time "
    "FROM events ORDER BY id"
)
_STATES = "SELECT asset_key, materialization_id, location_name, payload FROM asset_state ORDER BY 1"


def odd_events() -> list[events_pb2.Event]:
    """Events with every kind of trouble, none of them of a run."""
    plain = support.event("", 0)
    plain.timestamp.FromDatetime(support.SOME_TIME)
    early, late, broken = (support.event("", 0) for _ in range(3))
    early.timestamp.seconds = -62_135_596_800
    late.timestamp.seconds, late.timestamp.nanos = 253_402_300_798, 999_999_999
    broken.timestamp.seconds, broken.timestamp.nanos = 2**62, -5
    nul = support.event("", 0, message="a\0b")
    nul.step_key = "st\0ep"
    odd_part = support.materialization("", 0, "x\0", "y", partition="p\0")
    long_key = support.materialization("", 0, "k" * 2000)
    keyless = support.event("", 0, "asset_materialization")
    observation = support.event("", 0, "asset_observation")
    observation.asset_observation.asset_key.path.append("ä€😀")
    check = support.event("", 0, "asset_check_evaluation")
    check.asset_check_evaluation.asset_key.path.append("x")
    check.asset_check_evaluation.check_name = "n\0" * 400
    check.asset_check_evaluation.partition = "p\0"
    planned = support.event("", 0, "asset_check_evaluation_planned")
    planned.asset_check_evaluation_planned.check_name = "c"
    empty = events_pb2.Event()
    odd = [plain, early, late, broken, nul, odd_part, long_key, keyless, observation, empty]
    return [*odd, check, planned]


async def rows_of(database: Database, url: str, at_once: int) -> tuple[list[tuple], list[tuple]]:
    """Store the odd events so many at a time; return the rows of the log and of assets."""
    events = odd_events() * 2
    for start in range(0, len(events), at_once):
        await database.events.append_host_events(events[start : start + at_once], "a")
    async with await psycopg.AsyncConnection.connect(url) as connection:
        rows = await (await connection.execute(_ROWS)).fetchall()
        states = await (await connection.execute(_STATES)).fetchall()
    assert all(row[-1] is not None for row in rows)
    return [row[:-1] for row in rows], states


async def test_few_and_many_events_are_stored_alike(
    database: Database, database_url: str, own_database_url: str
):
    few, few_states = await rows_of(database, database_url, at_once=1)
    other = await Database.connect(own_database_url)
    try:
        many, many_states = await rows_of(other, own_database_url, at_once=24)
    finally:
        await other.close()
    assert log_writer.INSERTED_MAX < 20
    assert few == many
    assert few_states == many_states
    assert len(few_states) == 2


async def test_many_assets_at_once_are_remembered_as_few_are(database: Database):
    keys = [(f"asset {number}",) for number in range(3 * log_writer.INSERTED_MAX)]
    for _ in range(2):
        events = [support.materialization("", 0, *key) for key in keys]
        await database.events.append_host_events(events, "a")
    latest = await database.events.latest_materializations(keys)
    assert sorted(each.id for each in latest) == list(range(len(keys) + 1, 2 * len(keys) + 1))
