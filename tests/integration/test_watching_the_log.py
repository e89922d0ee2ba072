"""Watchers see every event once, in the order of ids, however many write and wherever they ask."""

import asyncio

import psycopg
import pytest

from atoll.api.v1 import events_pb2, runs_pb2
from tests.integration import code_location

pytestmark = pytest.mark.postgres


async def runs_of(client, location, count: int) -> list[str]:
    found = []
    for _ in range(count):
        request = runs_pb2.LaunchRunRequest(location_name=location.name, job_name="job")
        await client.runs.LaunchRun(request)
        found.append((await location.next_plan()).run_id)
    return found


def defined(name: str = "x"):
    return code_location.snapshot([code_location.asset(name)], [code_location.job("job", name)])


async def test_a_watch_sees_each_event_of_many_writers_once_and_in_order(mesh):
    first, second = await mesh.host(), await mesh.host()
    clients = [mesh.client(first), mesh.client(second)]
    locations = [
        await mesh.location(host, f"l{number}", defined(f"x{number}"))
        for number, host in enumerate([first, second])
    ]
    runs = [
        (location, run_id)
        for client, location in zip(clients, locations, strict=True)
        for run_id in await runs_of(client, location, 4)
    ]
    watches = [await client.watch().begun() for client in clients]

    async def write(location, run_ids):
        for start in range(1, 401, 20):
            for run_id in run_ids:
                await location.append(code_location.logs(run_id, 20, first_seq=start))

    writing = [
        asyncio.create_task(write(location, [run for each, run in runs if each is location]))
        for location in locations
    ]

    async def read(watch):
        ids, seqs = [], {run_id: [] for _, run_id in runs}
        while any(len(each) < 400 for each in seqs.values()):
            stored = await watch.next()
            ids.append(stored.id)
            if stored.event.WhichOneof("body") == "log_message":
                seqs[stored.event.run_id].append(stored.event.seq)
        return ids, seqs

    for ids, seqs in await asyncio.gather(*(read(watch) for watch in watches)):
        assert ids == sorted(set(ids))
        assert all(each == list(range(1, 401)) for each in seqs.values())
    await asyncio.gather(*writing)


async def test_a_token_of_one_host_resumes_on_another(mesh):
    first, second = await mesh.host(), await mesh.host()
    location = await mesh.location(first, "a", defined())
    client = mesh.client(first)
    (run_id,) = await runs_of(client, location, 1)
    event_filter = events_pb2.EventFilter(run_id=run_id, kinds=["log_message"])
    watch = await client.watch(filter=event_filter).begun()
    await location.append(code_location.logs(run_id, 5))
    assert [(await watch.next()).event.seq for _ in range(5)] == [1, 2, 3, 4, 5]
    await location.append(code_location.logs(run_id, 3, first_seq=6))
    resumed = mesh.client(second).watch(filter=event_filter, resume_token=watch.token)
    assert [(await resumed.next()).event.seq for _ in range(3)] == [6, 7, 8]


async def test_an_asset_can_be_watched(mesh, host, client):
    location = await mesh.location(host, "a", defined())
    watch = await client.watch(
        filter=events_pb2.EventFilter(asset_key=code_location.key("x"))
    ).begun()
    (run_id,) = await runs_of(client, location, 1)
    await location.append(code_location.succeeding(run_id, "x"))
    stored = await watch.next()
    assert stored.event.WhichOneof("body") == "asset_materialization"
    assert stored.location_name == "a"


async def test_pruned_events_are_said_to_be_gone(mesh, host, client, database_url):
    location = await mesh.location(host, "a", defined())
    watch = await client.watch().begun()
    early = watch.token
    (run_id,) = await runs_of(client, location, 1)
    await location.append(code_location.logs(run_id, 10))
    while (await watch.next()).event.seq != 10:
        pass
    await location.append(code_location.logs(run_id, 1, first_seq=11))
    # What pruning leaves behind; a partition is too large to be filled here.
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute(
            "DELETE FROM events WHERE id < (SELECT head FROM log_head)", prepare=False
        )
        await connection.execute("UPDATE log_head SET pruned_through = head - 1")
    error = await client.refused(client.watch(resume_token=early).next())
    assert error.reason == "RESUME_TOKEN_TOO_OLD"
    assert (await client.watch(from_beginning=True).next()).event.seq == 11


async def test_events_come_in_pages(mesh, host, client):
    location = await mesh.location(host, "a", defined())
    (run_id,) = await runs_of(client, location, 1)
    await location.append(code_location.logs(run_id, 25))
    event_filter = events_pb2.EventFilter(run_id=run_id, kinds=["log_message"])
    seqs, token = [], ""
    while True:
        request = events_pb2.ListEventsRequest(filter=event_filter, page_size=10, page_token=token)
        page = await client.events.ListEvents(request)
        seqs.append([each.event.seq for each in page.events])
        token = page.next_page_token
        if not token:
            break
    assert seqs == [list(range(1, 11)), list(range(11, 21)), list(range(21, 26))]


async def test_a_watcher_that_does_not_read_holds_up_nobody(mesh, host, client):
    location = await mesh.location(host, "a", defined())
    (run_id,) = await runs_of(client, location, 1)
    lazy = await client.watch().begun()
    eager = await client.watch().begun()
    events = code_location.logs(run_id, 5000)
    for event in events:
        event.message = "x" * 1000
    await location.append(*(events[start : start + 500] for start in range(0, 5000, 500)))
    while (await eager.next()).event.seq != 5000:
        pass
    while (await lazy.next()).event.seq != 5000:
        pass
