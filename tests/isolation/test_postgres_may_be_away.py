"""G9: while Postgres is away work goes on where it can, and afterwards nothing is missing.

Runs that are under way when it goes end while it is away; what they did arrives when it is back,
and leads to what it always leads to. It goes in three ways: it stops answering without a word, it
is shut down, and it crashes.
"""

import asyncio
import contextlib
import functools
import os
import pathlib
import signal
from collections.abc import Callable, Iterator

import pytest

from atoll.api.v1 import runs_pb2
from atoll.client import connection, errors, runs
from atoll_storage import errors as storage_errors
from tests.chaos import verification
from tests.e2e import mesh
from tests.isolation import gates, inspection

LEASE_TTL_S = 1.5
# Longer than a lease, so that nothing is as it was; a minute shows the same, and takes a minute.
AWAY_S = float(os.environ.get("ATOLL_TEST_AWAY_S", "3"))
PATIENCE_S = 1.5
RUNS = 3
LOCATIONS = pathlib.Path(__file__).with_name("locations")
SOURCE = f"""
import pathlib
import atoll as dg
{gates.WAIT}
@dg.asset
def numbers(context):
    wait_at("gate")

make_numbers = dg.define_asset_job("make_numbers", [numbers])
defs = dg.Definitions([numbers], jobs=[make_numbers])
"""
# What a caller may be told while there is no storage: that, or that there was no answer in time.
TOLD = (errors.UnavailableError, errors.DeadlineExceededError)

Away = Callable[[mesh.Mesh], contextlib.AbstractContextManager[None]]

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(120 + AWAY_S)]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mesh.Mesh]:
    folder = tmp_path_factory.mktemp("away")
    options = ("--lease-ttl", str(LEASE_TTL_S))
    with mesh.Mesh(folder, durable=True, host_options=options) as made:
        (folder / "source").mkdir()
        (folder / "source" / "definitions.py").write_text(SOURCE)
        made.add("source", folder / "source" / "definitions.py")
        made.add("sink", LOCATIONS / "sink.py")
        made.start()
        asyncio.run(made.serving("source", "sink"))
        yield made


@contextlib.contextmanager
def silent(running: mesh.Mesh) -> Iterator[None]:
    """Stopped in the middle of whatever it does; its connections stay."""
    assert running.postgres is not None
    # The postmaster first: what it starts otherwise is not stopped.
    os.kill(running.postgres.pid, signal.SIGSTOP)
    pids = inspection.family(running.postgres.pid)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def shut_down(running: mesh.Mesh) -> Iterator[None]:
    running.stop_postgres()
    try:
        yield
    finally:
        running.start_postgres()


@contextlib.contextmanager
def crashed(running: mesh.Mesh) -> Iterator[None]:
    assert running.postgres is not None
    os.kill(running.postgres.pid, signal.SIGKILL)
    with contextlib.suppress(storage_errors.StorageError):
        running.stop_postgres()
    running.postgres = None
    try:
        yield
    finally:
        running.start_postgres()


@pytest.mark.parametrize("away", [silent, shut_down, crashed])
async def test_what_happens_meanwhile_is_there_afterwards(running: mesh.Mesh, away: Away) -> None:
    before = findings(running).materializations
    with gates.gate(running.locations["source"].code.parent) as gate:
        workers = await begin_runs(running)
        late = runs.Launch("make_numbers", "source")
        with away(running):
            for _ in workers:
                gate.open()
            assert mesh.gone(*workers)
            with pytest.raises(errors.RpcError) as refused:
                async with connection.connect(running.address, deadline_s=PATIENCE_S) as client:
                    await client.runs.launch(late)
            assert isinstance(refused.value, TOLD), refused.value
            await asyncio.sleep(AWAY_S)
            for name in ("host", "source", "sink"):
                assert running.is_running(name)

        async def launched(client: connection.Client) -> str:
            return (await client.runs.launch(late)).run_id

        # Whether the first attempt was stored after all or not, it is one run.
        await running.until(launched)
        gate.open()

        async def all_well(_: connection.Client) -> bool:
            found = findings(running)
            return found.materializations >= before + RUNS + 1 and not found.violations

        await running.until(all_well)
    found = findings(running)
    assert found.materializations == found.sensor_runs == before + RUNS + 1
    assert set(found.runs_by_status) == {"SUCCESS"}


async def begin_runs(running: mesh.Mesh) -> list[int]:
    """Launch some runs and return their workers, once all of them are at the gate."""
    async with running.client() as client:
        launch = functools.partial(runs.Launch, "make_numbers", "source")
        run_ids = [(await client.runs.launch(launch())).run_id for _ in range(RUNS)]

    async def started(client: connection.Client) -> bool:
        found = [(await client.runs.get(run_id)).status for run_id in run_ids]
        return set(found) == {runs_pb2.RUN_STATUS_STARTED}

    await running.until(started)
    return running.run_workers("source")


def findings(running: mesh.Mesh) -> verification.Findings:
    assert running.postgres is not None
    expected = verification.Expected(watched_asset="numbers", sensor_name="on_numbers")
    return verification.examine(running.postgres.url, expected)
