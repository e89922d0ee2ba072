"""What launching and watching need of the registry and of code servers, and nothing more.

`locations.registry.Registry` and `locations.control.ControlClient` have it.
"""

from collections.abc import Mapping
from typing import Protocol

from atoll.location.v1 import location_pb2
from atoll_host import signals
from atoll_storage import records


class RunControl(Protocol):
    """A code server, as far as runs are concerned. Calls raise `errors.LocationError`."""

    async def describe(self) -> location_pb2.DescribeResponse:
        """Return who the code server is and how it is doing."""
        ...

    async def start_run(
        self, plan: location_pb2.RunPlan, credential: location_pb2.RunCredential | None = None
    ) -> location_pb2.StartRunResponse:
        """Hand a run over."""
        ...

    async def cancel_run(self, run_id: str) -> bool:
        """Tell a run's worker to stop; return whether the code server holds the run."""
        ...

    async def list_runs(self) -> list[location_pb2.HeldRun]:
        """Return the runs that the code server holds."""
        ...


class Servers(Protocol):
    """The code servers of the mesh."""

    def reachable(self) -> Mapping[str, records.ServerRecord]:
        """Return the code servers that can be given work, by location."""
        ...

    def control(self, target: str | records.ServerRecord) -> RunControl:
        """Return a client for a code server."""
        ...

    def subscribe(self, poke: signals.Poke | None = None) -> signals.Poke:
        """Return a poke, or the given one, that is set when anything changed."""
        ...
