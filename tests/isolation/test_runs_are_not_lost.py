"""G6: no run is lost or stuck, whatever becomes of its worker and its code server.

Queued runs wait for their location; a dead worker is noticed within seconds and its last words are
kept; a worker outlives its code server; what is canceled ends, however its code takes it.
"""

import contextlib
import os
import pathlib
import signal
from collections.abc import AsyncGenerator, Iterator

import grpc.aio
import psycopg
import pytest
from google.protobuf import duration_pb2

from atoll._rpc import authorization, options
from atoll.api.v1 import runs_pb2
from atoll.events.v1 import events_pb2
from atoll.location.v1 import location_pb2, location_pb2_grpc
from tests.e2e import mesh
from tests.isolation import gates, served

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(120)]

NOTICED_WITHIN_S = 10.0
GRACE_S = 0.5
SOURCE = f"""
import os
import pathlib
import signal
import subprocess
import sys
import atoll as dg
{gates.WAIT}
@dg.asset(name="quick_@name@")
def quick():
    pass

@dg.asset(name="patient_@name@")
def patient(context):
    print("what it said last", file=sys.stderr, flush=True)
    context.log.info("{served.AT_THE_GATE}")
    wait_at("gate")

@dg.asset(name="parent_@name@")
def parent(context):
    # By itself it lives for longer than anybody here waits for its end.
    child = subprocess.Popen(
        [sys.executable, "-c", "import signal; signal.alarm(60); signal.pause()"]
    )
    context.log.info("{served.AT_THE_GATE} with %s", child.pid)
    wait_at("gate")

@dg.asset(name="dying_@name@")
def dying():
    print("what it said last", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGSEGV)

@dg.asset(name="leaving_@name@")
def leaving():
    print("what it said last", file=sys.stderr, flush=True)
    os._exit(3)

@dg.asset(name="swallowing_@name@")
def swallowing(context):
    context.log.info("{served.AT_THE_GATE}")
    while True:
        try:
            wait_at("gate")
        except BaseException:
            context.log.info("swallowed")

@dg.asset(name="deaf_@name@")
def deaf(context):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    context.log.info("{served.AT_THE_GATE}")
    wait_at("gate")

assets = [quick, patient, parent, dying, leaving, swallowing, deaf]
jobs = [dg.define_asset_job(each.key.path[-1].split("_")[0], [each]) for each in assets]
defs = dg.Definitions(assets, jobs=jobs)
"""

SUCCESS = runs_pb2.RUN_STATUS_SUCCESS
FAILURE = runs_pb2.RUN_STATUS_FAILURE
CANCELED = runs_pb2.RUN_STATUS_CANCELED
QUEUED = runs_pb2.RUN_STATUS_QUEUED
STARTING = runs_pb2.RUN_STATUS_STARTING
CANCELING = runs_pb2.RUN_STATUS_CANCELING


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mesh.Mesh]:
    """A mesh to which each test adds a location of its own."""
    with mesh.Mesh(tmp_path_factory.mktemp("runs")) as running:
        running.start()
        yield running


@pytest.fixture
def gate(tmp_path: pathlib.Path) -> Iterator[gates.Gate]:
    with gates.gate(tmp_path) as made:
        yield made


@pytest.fixture
async def location(
    host: mesh.Mesh, tmp_path: pathlib.Path, gate: gates.Gate
) -> AsyncGenerator[served.Location]:
    async with served.location(host, tmp_path, SOURCE) as made:
        await host.serving(made.name)
        yield made


def is_whole(events: list[events_pb2.Event]) -> bool:
    """Whether the events of a worker are numbered without gaps and end with the run's end."""
    produced = [event.seq for event in events if event.seq]
    return produced == list(range(1, len(produced) + 1))


def kinds(events: list[events_pb2.Event]) -> list[str]:
    return [event.WhichOneof("body") for event in events]


async def test_queued_runs_wait_for_their_location(location: served.Location) -> None:
    location.mesh.kill(location.name)
    await location.until_away()
    run_ids = [await location.launch("quick") for _ in range(3)]
    for run_id in run_ids:
        run = await location.client.runs.get(run_id)
        assert run.status == QUEUED
        assert location.name in run.waiting_reason
    location.start()
    for run_id in run_ids:
        assert (await location.ended(run_id)).status == SUCCESS
        events = kinds(await location.events(run_id))
        assert (events.count("run_starting"), events.count("run_started")) == (1, 1)


@pytest.mark.parametrize(
    ("job", "how"),
    [("patient", "SIGKILL"), ("dying", "SIGSEGV"), ("leaving", "exit code 3")],
)
async def test_a_dead_worker_is_noticed_and_its_last_words_are_kept(
    location: served.Location, job: str, how: str
) -> None:
    if job == "patient":
        run_id = await location.begin(job)
        (worker,) = location.mesh.run_workers(location.name)
        os.kill(worker, signal.SIGKILL)
    else:
        run_id = await location.launch(job)
    run = await location.ended(run_id, NOTICED_WITHIN_S)
    assert run.status == FAILURE
    assert how in run.failure.message
    assert "what it said last" in run.failure.last_output
    events = await location.events(run_id)
    assert is_whole(events)
    assert kinds(events)[-3:] == ["step_failed", "asset_failed_to_materialize", "run_failed"]
    # And the location goes on.
    assert (await location.run("quick")).status == SUCCESS


async def test_what_a_dead_worker_had_started_ends_with_it(location: served.Location) -> None:
    run_id = await location.launch("parent")
    message = await location.until_said(run_id, served.AT_THE_GATE)
    child = int(message.rpartition(" ")[2])
    (worker,) = location.mesh.run_workers(location.name)
    os.kill(worker, signal.SIGKILL)
    assert (await location.ended(run_id, NOTICED_WITHIN_S)).status == FAILURE
    assert mesh.gone(child)


@pytest.mark.parametrize("ends", ["while it is away", "after its return"])
@pytest.mark.parametrize("how", ["killed", "stopped"])
async def test_a_run_outlives_its_code_server(
    location: served.Location, gate: gates.Gate, how: str, ends: str
) -> None:
    run_id = await location.begin("patient")
    (worker,) = location.mesh.run_workers(location.name)
    if how == "killed":
        location.mesh.kill(location.name)
    else:
        assert location.mesh.terminate(location.name) == 0
    await location.until_away()
    assert location.mesh.run_workers(location.name) == [worker]
    if ends == "while it is away":
        gate.open()
        assert mesh.gone(worker)
        assert (await location.client.runs.get(run_id)).status == runs_pb2.RUN_STATUS_STARTED
        location.start()
    else:
        location.start()
        await location.mesh.serving(location.name)
        assert location.mesh.run_workers(location.name) == [worker]
        gate.open()
    run = await location.ended(run_id)
    assert run.status == SUCCESS, run.failure
    events = await location.events(run_id)
    assert is_whole(events)
    assert kinds(events).count("run_started") == 1
    assert kinds(events)[-1] == "run_succeeded"


async def test_a_worker_that_dies_with_its_code_server_fails_its_run(
    location: served.Location,
) -> None:
    run_id = await location.begin("patient")
    (worker,) = location.mesh.run_workers(location.name)
    location.mesh.kill(location.name)
    os.kill(worker, signal.SIGKILL)
    assert mesh.gone(worker)
    location.start()
    run = await location.ended(run_id)
    assert run.status == FAILURE
    assert "nobody saw how it ended" in run.failure.message
    assert "what it said last" in run.failure.last_output
    assert is_whole(await location.events(run_id))


@contextlib.asynccontextmanager
async def frozen(location: served.Location) -> AsyncGenerator[None]:
    """Have the code server do nothing for a while, as on a machine that is stuck."""
    pid = location.mesh.pid(location.name)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        if location.mesh.is_running(location.name):
            os.kill(pid, signal.SIGCONT)


async def test_a_run_whose_hand_over_is_in_doubt_runs_once(location: served.Location) -> None:
    async with frozen(location):
        run_id = await location.launch("quick")
        await location.until_status(run_id, STARTING)
        location.mesh.kill(location.name)
    location.start()
    assert (await location.ended(run_id)).status == SUCCESS
    events = await location.events(run_id)
    assert is_whole(events)
    assert kinds(events).count("run_started") == 1


async def test_a_queued_run_is_canceled_at_once(location: served.Location) -> None:
    location.mesh.kill(location.name)
    await location.until_away()
    run_id = await location.launch("quick")
    run = await location.client.runs.cancel(run_id, reason="not needed")
    assert run.status == CANCELED
    location.start()
    await location.mesh.serving(location.name)
    # Whatever was queued after it has run by now, and it has not.
    assert (await location.run("quick")).status == SUCCESS
    assert "run_starting" not in kinds(await location.events(run_id))


@pytest.mark.parametrize("then", ["it wakes up", "it is gone"])
async def test_a_starting_run_is_canceled(location: served.Location, then: str) -> None:
    async with frozen(location):
        run_id = await location.launch("patient")
        await location.until_status(run_id, STARTING)
        assert (await location.client.runs.cancel(run_id)).status == CANCELING
        if then == "it is gone":
            location.mesh.kill(location.name)
    if then == "it is gone":
        location.start()
    assert (await location.ended(run_id)).status == CANCELED
    assert is_whole(await location.events(run_id))


async def test_a_running_run_is_canceled(location: served.Location) -> None:
    run_id = await location.begin("patient")
    assert (await location.client.runs.cancel(run_id)).status == CANCELING
    run = await location.ended(run_id, NOTICED_WITHIN_S)
    assert run.status == CANCELED
    events = await location.events(run_id)
    assert is_whole(events)
    assert kinds(events)[-1] == "run_canceled"


async def cancel_within(location: served.Location, run_id: str, grace_s: float) -> None:
    """Ask the code server to cancel with less patience than the host has."""
    address = (await location.shown()).address
    query = "SELECT control_token FROM servers WHERE location_name = %s"
    assert location.mesh.postgres is not None
    with psycopg.connect(location.mesh.postgres.url) as database:
        [token] = database.execute(query, [location.name]).fetchone()
    async with grpc.aio.insecure_channel(address, options=options.CHANNEL) as channel:
        host = authorization.authorized(channel, token)
        stub = location_pb2_grpc.CodeLocationServiceStub(host)
        grace_period = duration_pb2.Duration(nanos=int(grace_s * 1e9))
        request = location_pb2.CancelRunRequest(run_id=run_id, grace_period=grace_period)
        await stub.CancelRun(request, timeout=options.DEFAULT_DEADLINE_S)


@pytest.mark.parametrize("job", ["swallowing", "deaf"])
async def test_a_run_that_does_not_let_itself_be_canceled_is_killed(
    location: served.Location, job: str
) -> None:
    run_id = await location.begin(job)
    (worker,) = location.mesh.run_workers(location.name)
    assert (await location.client.runs.cancel(run_id)).status == CANCELING
    if job == "swallowing":
        await location.until_said(run_id, "swallowed")
    assert location.mesh.run_workers(location.name) == [worker]
    await cancel_within(location, run_id, GRACE_S)
    run = await location.ended(run_id, NOTICED_WITHIN_S)
    assert run.status == CANCELED
    events = await location.events(run_id)
    assert is_whole(events)
    assert kinds(events)[-1] == "run_canceled"
    assert mesh.gone(worker)


async def test_a_run_is_canceled_through_a_restart_of_its_code_server(
    location: served.Location,
) -> None:
    run_id = await location.begin("deaf")
    location.mesh.kill(location.name)
    await location.until_away()
    assert (await location.client.runs.cancel(run_id)).status == CANCELING
    location.start()
    await location.mesh.serving(location.name)
    await cancel_within(location, run_id, GRACE_S)
    assert (await location.ended(run_id)).status == CANCELED
