"""CodeLocationService: what the host asks of a code server. No call runs user code here."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any

import grpc.aio

from atoll._rpc import options
from atoll._server import builds, errors, evaluations, runs, state_directory
from atoll._server import drain as drain_module
from atoll._server import settings as server_settings
from atoll.location.v1 import location_pb2, location_pb2_grpc
from atoll.process.v1 import process_pb2

_Context = grpc.aio.ServicerContext[Any, Any]

_EVALUATION_TIMEOUT_DEFAULT_S = 60.0
_EVALUATION_TIMEOUT_MAX_S = 600.0


class CodeLocationServicer(location_pb2_grpc.CodeLocationServiceServicer):
    """Serves one code location.

    Args:
        settings: The settings.
        state: The state directory.
        held_builds: The builds.
        held_runs: The runs.
        drain: How to drain.
        keep_credential: Takes what shows that the code server asks on behalf of a run.
    """

    def __init__(
        self,
        settings: server_settings.Settings,
        state: state_directory.StateDirectory,
        held_builds: builds.Builds,
        held_runs: runs.Runs,
        drain: drain_module.Drain,
        keep_credential: Callable[[location_pb2.RunCredential], None],
    ) -> None:
        self._keep_credential = keep_credential
        self._settings = settings
        self._state = state
        self._builds = held_builds
        self._runs = held_runs
        self._drain = drain

    async def Describe(
        self, request: location_pb2.DescribeRequest, context: _Context
    ) -> location_pb2.DescribeResponse:
        """Return which builds the code server holds and how it is doing."""
        del request, context
        current = self._builds.current
        return location_pb2.DescribeResponse(
            location_name=self._settings.location_name,
            server_id=self._state.server_id,
            current_build=current.info if current is not None else None,
            load_failure=self._builds.load_failure,
            draining_builds=[build.info for build in self._builds.draining],
            draining=self._runs.draining,
            live_run_count=self._runs.live_count,
        )

    async def StreamDefinitions(
        self, request: location_pb2.StreamDefinitionsRequest, context: _Context
    ) -> AsyncGenerator[location_pb2.StreamDefinitionsResponse, None]:
        """Send the snapshot of a build in chunks."""
        del context
        snapshot = self._builds.find(request.build_id).snapshot
        for start in range(0, len(snapshot), options.CHUNK_BYTES):
            chunk = snapshot[start : start + options.CHUNK_BYTES]
            yield location_pb2.StreamDefinitionsResponse(chunk=chunk)

    async def EvaluateSensor(
        self, request: location_pb2.EvaluateSensorRequest, context: _Context
    ) -> location_pb2.EvaluateSensorResponse:
        """Evaluate one sensor once."""
        del context
        evaluated = await self._evaluate(evaluations.of_sensor(request), request)
        return evaluated.response

    async def EvaluateSchedule(
        self, request: location_pb2.EvaluateScheduleRequest, context: _Context
    ) -> location_pb2.EvaluateScheduleResponse:
        """Evaluate one schedule once."""
        del context
        evaluated = await self._evaluate(evaluations.of_schedule(request), request)
        return evaluated.schedule

    async def EvaluateConditions(
        self, request: location_pb2.EvaluateConditionsRequest, context: _Context
    ) -> location_pb2.EvaluateConditionsResponse:
        """Evaluate custom conditions once."""
        del context
        evaluated = await self._evaluate(evaluations.of_conditions(request), request)
        return evaluated.conditions

    async def _evaluate(
        self,
        evaluation: evaluations.Evaluation,
        request: location_pb2.EvaluateSensorRequest
        | location_pb2.EvaluateScheduleRequest
        | location_pb2.EvaluateConditionsRequest,
    ) -> process_pb2.Evaluated:
        timeout_s = _EVALUATION_TIMEOUT_DEFAULT_S
        if request.HasField("timeout"):
            timeout_s = request.timeout.ToTimedelta().total_seconds()
        if timeout_s <= 0:
            raise errors.InvalidTimeoutError(timeout_s)
        return await self._builds.evaluate(evaluation, min(timeout_s, _EVALUATION_TIMEOUT_MAX_S))

    async def StartRun(
        self, request: location_pb2.StartRunRequest, context: _Context
    ) -> location_pb2.StartRunResponse:
        """Accept a run and start its worker."""
        del context
        # Before its worker can ask anything.
        self._keep_credential(request.run_credential)
        build_id = self._runs.accept(request.plan)
        return location_pb2.StartRunResponse(build_id=build_id)

    async def CancelRun(
        self, request: location_pb2.CancelRunRequest, context: _Context
    ) -> location_pb2.CancelRunResponse:
        """Tell the worker of a run to stop."""
        del context
        grace_s = None
        if request.HasField("grace_period"):
            grace_s = max(request.grace_period.ToTimedelta().total_seconds(), 0.0)
        return location_pb2.CancelRunResponse(found=self._runs.cancel(request.run_id, grace_s))

    async def ListRuns(
        self, request: location_pb2.ListRunsRequest, context: _Context
    ) -> location_pb2.ListRunsResponse:
        """Return the runs that the code server holds."""
        del request, context
        return location_pb2.ListRunsResponse(runs=self._runs.held())

    async def Reload(
        self, request: location_pb2.ReloadRequest, context: _Context
    ) -> location_pb2.ReloadResponse:
        """Load the code anew beside the current build."""
        del context
        await self._builds.reload(request.build_id)
        current = self._builds.current
        return location_pb2.ReloadResponse(
            current_build=current.info if current is not None else None,
            load_failure=self._builds.load_failure,
        )

    async def Drain(
        self, request: location_pb2.DrainRequest, context: _Context
    ) -> location_pb2.DrainResponse:
        """Refuse new runs from now on, and stop once the runs have ended."""
        del request, context
        self._drain.begin()
        return location_pb2.DrainResponse(live_run_count=self._runs.live_count)
