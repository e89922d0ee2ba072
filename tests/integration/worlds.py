"""Two instances to ask the same questions: one in memory, and one of a real host."""

import asyncio
import time
from collections.abc import Iterable, Mapping

import atoll as dg
from atoll._definitions import events as told
from atoll._definitions import failures, runs
from atoll._instance import instance as instances
from atoll._location import relay_backend
from atoll._server import host_link, instance_relay
from atoll._wire import events as event_messages
from atoll.api.v1 import runs_pb2
from tests.integration import code_location

LOCATION = "lake"
JOBS = ("load", "clean")
ASSETS = ("raw/sales", "raw/costs", "report")
TIMEOUT_S = 10.0

STATUSES = {
    "success": dg.RunStatus.SUCCESS,
    "failure": dg.RunStatus.FAILURE,
    "started": dg.RunStatus.STARTED,
}


def events_of(
    run_id: str,
    job_name: str,
    planned: Iterable[tuple[str, str | None]],
    made: Iterable[tuple[str, str | None]],
    end: str,
) -> list[dg.Event]:
    """Return the events of a run: what it plans, what it materializes, how it ends."""
    bodies: list[tuple[dg.EventType, object]] = [
        (dg.EventType.RUN_START, told.RunStartData(build_id="b1", pid=1))
    ]
    for name, partition in planned:
        key = dg.AssetKey(name.split("/"))
        data = told.AssetMaterializationPlannedData(key, partition)
        bodies.append((dg.EventType.ASSET_MATERIALIZATION_PLANNED, data))
    for name, partition in made:
        made_now = dg.AssetMaterialization(
            name.split("/"),
            partition=partition,
            tags={"atoll/code_version": "v1", "atoll/data_version": f"d {partition}"},
        )
        body = (dg.EventType.ASSET_MATERIALIZATION, told.StepMaterializationData(made_now))
        bodies.append(body)
    bodies.append((dg.EventType.LOG_MESSAGE, told.LogMessageData()))
    if end == "failure":
        failure = failures.FailureInfo("Error", "broken")
        bodies.append((dg.EventType.RUN_FAILURE, told.RunFailureData(failure)))
    elif end == "success":
        bodies.append((dg.EventType.RUN_SUCCESS, None))
    return [
        dg.Event(kind, job_name=job_name, event_specific_data=data, run_id=run_id, timestamp=when)
        for kind, data in bodies
        for when in [time.time()]
    ]


class InMemory:
    """An ephemeral instance, and runs recorded in it."""

    def __init__(self) -> None:
        self.instance = instances.Instance.ephemeral()

    def run(
        self,
        job_name: str = "load",
        *,
        planned: Iterable[tuple[str, str | None]] = (),
        made: Iterable[tuple[str, str | None]] = (),
        end: str = "success",
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Have a run happen; return its id."""
        backend = instances.recording_backend(self.instance.backend)
        assert backend is not None
        run = runs.Run(job_name, tags=dict(tags or {}))
        backend.record_run(run.with_status(dg.RunStatus.STARTED))
        for event in events_of(run.run_id, job_name, planned, made, end):
            backend.record_event(event)
        backend.record_run(run.with_status(STATUSES[end]))
        return run.run_id


class OnHost:
    """The instance of a real host, asked as a process of a location asks it."""

    def __init__(self, client, location: code_location.CodeLocation, address: str) -> None:
        self._client = client
        self._location = location
        self._loop = asyncio.get_running_loop()
        self._link = host_link.HostLink(address, location.name, location.server_id)
        self._link.set_registered(location.epoch)
        self._relay = instance_relay.InstanceRelay(self._link)
        self.instance = instances.Instance(relay_backend.RelayBackend(self))

    def ask(self, query, timeout_s: float):
        """Stand in for the socket between a process and its code server."""
        return self._wait(self._relay.answer(query), timeout_s)

    def run(
        self,
        job_name: str = "load",
        *,
        planned: Iterable[tuple[str, str | None]] = (),
        made: Iterable[tuple[str, str | None]] = (),
        end: str = "success",
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Have a run happen; return its id."""
        request = runs_pb2.LaunchRunRequest(
            location_name=self._location.name, job_name=job_name, tags=tags or {}
        )
        return self._wait(self._run(request, planned, made, end), TIMEOUT_S)

    async def close(self) -> None:
        await self._link.close()

    async def _run(self, request, planned, made, end: str) -> str:
        await self._client.runs.LaunchRun(request)
        plan = await self._location.plans.get()
        events = events_of(plan.run_id, plan.job_name, planned, made, end)
        messages = [event_messages.to_message(event) for event in events]
        for seq, message in enumerate(messages, 1):
            message.seq = seq
        await self._location.append(messages)
        return plan.run_id

    def _wait(self, work, timeout_s: float):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)


def defined():
    """Return what the location of the host defines."""
    assets = [code_location.asset(name) for name in ASSETS]
    return code_location.snapshot(assets, [code_location.job(name, *ASSETS) for name in JOBS])
