"""What an event tells of itself is what the statements find: queries answer alike in both."""

import itertools

import pytest

from atoll.events.v1 import events_pb2
from atoll_storage import event_matching, records
from atoll_storage.database import Database
from tests.storage import support

pytestmark = pytest.mark.postgres


def events(run_id: str) -> list[events_pb2.Event]:
    made = [
        support.event(run_id, 1, "run_started"),
        support.event(run_id, 2, "log_message", step_key="load"),
        support.materialization(run_id, 3, "lake", "raw"),
        support.materialization(run_id, 4, "lake", "raw", partition="p"),
        support.materialization(run_id, 5, *["long"] * 200),
        support.event(run_id, 6, "asset_observation", step_key="load"),
    ]
    made[-1].asset_observation.asset_key.path.extend(["lake", "raw"])
    made[-1].asset_observation.partition = "q"
    return made


async def test_every_combination_of_conditions_finds_the_same(database: Database):
    runs = [await support.started_run(database, name) for name in ("a", "b")]
    for run in runs:
        batch = support.batch(events(run.run_id), run.location_name)
        await database.events.append([batch])
    everything = await support.stored(database)
    known = [event_matching.Known.of(each) for each in everything]
    choices = itertools.product(
        (None, runs[0].run_id),
        (None, "b"),
        (None, ("lake", "raw"), ("long",) * 200),
        ((), ("asset_materialization",), ("log_message", "asset_observation")),
        ((), ("p",)),
        (None, "load"),
    )
    names = ("run_id", "location_name", "asset_key", "kinds", "partitions", "step_key")
    found = 0
    for values in choices:
        query = records.EventQuery(**dict(zip(names, values, strict=True)))
        assert event_matching.answers(query)
        stored = await database.events.read(0, limit=1000, query=query)
        assert [each.stored.id for each in known if each.is_of(query)] == [
            each.id for each in stored
        ], query
        found += len(stored)
    assert found


def test_what_an_event_alone_cannot_answer_is_said():
    assert not event_matching.answers(records.EventQuery(job_names=("j",)))
    assert not event_matching.answers(records.EventQuery(after_time=support.SOME_TIME))
