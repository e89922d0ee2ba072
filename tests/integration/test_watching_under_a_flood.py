"""Twenty watchers of a flood, slow ones and fast ones, over two hosts, reconnecting at random."""

import asyncio
import random

import grpc.aio
import pytest

from atoll.api.v1 import events_pb2, runs_pb2
from atoll_host.api import feeds
from tests.integration import code_location

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

FAST, SLOW = 10, 10
EVENTS = 6_000
BATCH = 200
TIMEOUT_S = 120.0


class Watcher:
    """Watches one run, and loses its connection now and then."""

    def __init__(self, clients, run_id: str, seed: int, *, gate: asyncio.Semaphore | None) -> None:
        self._clients = clients
        self._filter = events_pb2.EventFilter(run_id=run_id, kinds=["log_message"])
        self._random = random.Random(seed)
        self._gate = gate
        self._token = ""
        self.seqs: list[int] = []
        self.connections = 0

    async def begin(self) -> None:
        """Fix where the watch begins."""
        call = self._connect()
        self._take(await call.read())
        call.cancel()

    async def run(self) -> None:
        """Read until everything was seen."""
        while len(self.seqs) < EVENTS:
            call = self._connect()
            for _ in range(self._random.randint(1, 12)):
                if self._gate is not None:
                    # A slow reader lets the flood go ahead before it takes the next answer.
                    await self._gate.acquire()
                self._take(await call.read())
                if len(self.seqs) >= EVENTS:
                    break
            call.cancel()

    def _connect(self):
        self.connections += 1
        request = events_pb2.WatchEventsRequest(filter=self._filter, resume_token=self._token)
        return self._random.choice(self._clients).events.WatchEvents(request)

    def _take(self, answer) -> None:
        assert answer is not grpc.aio.EOF
        self.seqs += [each.event.seq for each in answer.events]
        self._token = answer.resume_token


async def test_no_watcher_misses_or_repeats_an_event(mesh):
    first, second = await mesh.host(), await mesh.host()
    clients = [mesh.client(first), mesh.client(second)]
    defined = code_location.snapshot(jobs=[code_location.job("job")])
    location = await mesh.location(first, "a", defined)
    request = runs_pb2.LaunchRunRequest(location_name="a", job_name="job")
    run_id = (await clients[0].runs.LaunchRun(request)).run.run_id
    await location.next_plan()
    gates = [asyncio.Semaphore(0) for _ in range(SLOW)]
    watchers = [
        *(Watcher(clients, run_id, seed, gate=None) for seed in range(FAST)),
        *(Watcher(clients, run_id, 100 + n, gate=gate) for n, gate in enumerate(gates)),
    ]
    await asyncio.gather(*(watcher.begin() for watcher in watchers))

    async def flood() -> None:
        for begin in range(1, EVENTS + 1, BATCH):
            await location.append(code_location.logs(run_id, BATCH, first_seq=begin))
            for gate in gates:
                gate.release()
            for host in (first, second):
                kept = host.parts.feed
                assert kept.kept_events <= feeds.KEPT_EVENTS_MAX + feeds.PIECE_EVENTS_MAX
        # From here on the slow ones may catch up.
        for gate in gates:
            for _ in range(100 * EVENTS):
                gate.release()

    async with asyncio.timeout(TIMEOUT_S), asyncio.TaskGroup() as group:
        for watcher in watchers:
            group.create_task(watcher.run())
        group.create_task(flood())
    expected = list(range(1, EVENTS + 1))
    assert all(watcher.seqs == expected for watcher in watchers)
    assert sum(watcher.connections for watcher in watchers) > 2 * len(watchers)
