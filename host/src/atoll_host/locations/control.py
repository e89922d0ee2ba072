"""What the host asks of a code server, typed and with a deadline on every call.

`Channels` keeps one connection for each address; `ControlClient` wraps `CodeLocationService` on it.
What a call raises tells the one thing that callers must know: whether the code server refused
(`LocationRefused`) or nobody knows (`LocationUnavailable`).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Generator
from typing import cast

import grpc
import grpc.aio

from atoll._rpc import authorization, options, reasons, serving, tls
from atoll._rpc import errors as rpc_errors
from atoll.location.v1 import location_pb2, location_pb2_grpc
from atoll_host import errors
from atoll_host.locations import dialing

RELOAD_TIMEOUT_S = 310.0
"""A little more than what a code server gives a load."""

_EVALUATION_MARGIN_S = 5.0
"""What a code server may need beyond the tick's own deadline to kill the evaluator and answer."""

_REPLACED_GRACE_S = RELOAD_TIMEOUT_S
"""How long the calls on a connection with old certificates may go on."""

# After these nobody knows whether the code server did what it was asked.
_UNKNOWN_OUTCOMES = (
    rpc_errors.UnavailableError,
    rpc_errors.DeadlineExceededError,
    rpc_errors.CanceledError,
    rpc_errors.InternalError,
)


class ControlClient:
    """Asks one code server. Cheap to make and to keep; connections are looked up for each call."""

    def __init__(self, channels: "Channels", *, location_name: str, target: dialing.Target) -> None:
        self._channels = channels
        self._location_name = location_name
        self._target = target
        self._address = target.address

    @property
    def _stub(self) -> "location_pb2_grpc.CodeLocationServiceAsyncStub":
        return self._channels.stub(self._target)

    async def describe(
        self, *, timeout_s: float = options.DEFAULT_DEADLINE_S
    ) -> location_pb2.DescribeResponse:
        """Return which builds the code server holds and how it is doing.

        Raises:
            errors.LocationError: It does not answer, or refused.
        """
        with self._mapped():
            return await self._stub.Describe(location_pb2.DescribeRequest(), timeout=timeout_s)

    async def stream_definitions(self, build_id: str, *, timeout_s: float) -> AsyncIterator[bytes]:
        """Yield the encoded snapshot of a build in pieces.

        Raises:
            errors.LocationError: It does not answer, or refused.
        """
        with self._mapped():
            call = self._stub.StreamDefinitions(
                location_pb2.StreamDefinitionsRequest(build_id=build_id), timeout=timeout_s
            )
            try:
                async for response in call:
                    yield response.chunk
            finally:
                call.cancel()

    async def evaluate_sensor(
        self, request: location_pb2.EvaluateSensorRequest
    ) -> location_pb2.EvaluateSensorResponse:
        """Evaluate a sensor once, within the request's `timeout` and a margin.

        Raises:
            errors.LocationError: It does not answer, or refused.
        """
        timeout_s = request.timeout.ToNanoseconds() / 1e9 + _EVALUATION_MARGIN_S
        with self._mapped():
            return await self._stub.EvaluateSensor(request, timeout=timeout_s)

    async def evaluate_conditions(
        self, request: location_pb2.EvaluateConditionsRequest
    ) -> location_pb2.EvaluateConditionsResponse:
        """Evaluate custom conditions once, within the request's `timeout` and a margin.

        Raises:
            errors.LocationError: It does not answer, or refused.
        """
        timeout_s = request.timeout.ToNanoseconds() / 1e9 + _EVALUATION_MARGIN_S
        with self._mapped():
            return await self._stub.EvaluateConditions(request, timeout=timeout_s)

    async def evaluate_schedule(
        self, request: location_pb2.EvaluateScheduleRequest
    ) -> location_pb2.EvaluateScheduleResponse:
        """Evaluate a schedule once, within the request's `timeout` and a margin.

        Raises:
            errors.LocationError: It does not answer, or refused; with the reason UNSUPPORTED where
                it is of a release without schedules.
        """
        timeout_s = request.timeout.ToNanoseconds() / 1e9 + _EVALUATION_MARGIN_S
        with self._mapped():
            return await self._stub.EvaluateSchedule(request, timeout=timeout_s)

    async def start_run(
        self,
        plan: location_pb2.RunPlan,
        credential: location_pb2.RunCredential | None = None,
        *,
        timeout_s: float = options.DEFAULT_DEADLINE_S,
    ) -> location_pb2.StartRunResponse:
        """Hand a run over; repeating it for the same run and attempt changes nothing.

        Args:
            plan: The run.
            credential: By what the code server shows that it asks on behalf of the run.
            timeout_s: How long the answer may take.

        Raises:
            errors.LocationUnavailable: Nobody knows whether the run was accepted.
            errors.LocationRefused: It was not; `reason` tells why.
        """
        with self._mapped():
            request = location_pb2.StartRunRequest(plan=plan, run_credential=credential)
            return await self._stub.StartRun(request, timeout=timeout_s)

    async def cancel_run(
        self, run_id: str, *, timeout_s: float = options.DEFAULT_DEADLINE_S
    ) -> bool:
        """Tell the worker of a run to stop; return whether the code server holds the run.

        Raises:
            errors.LocationError: It does not answer, or refused.
        """
        with self._mapped():
            response = await self._stub.CancelRun(
                location_pb2.CancelRunRequest(run_id=run_id), timeout=timeout_s
            )
        return response.found

    async def list_runs(
        self, *, timeout_s: float = options.DEFAULT_DEADLINE_S
    ) -> list[location_pb2.HeldRun]:
        """Return the runs that the code server holds.

        Raises:
            errors.LocationError: It does not answer, or refused.
        """
        with self._mapped():
            response = await self._stub.ListRuns(location_pb2.ListRunsRequest(), timeout=timeout_s)
        return list(response.runs)

    async def reload(
        self, build_id: str = "", *, timeout_s: float = RELOAD_TIMEOUT_S
    ) -> location_pb2.ReloadResponse:
        """Make the code server load its code anew.

        Args:
            build_id: The id of the new build; empty lets the code server generate one.
            timeout_s: How long the load may take.

        Raises:
            errors.LocationError: It does not answer, or refused. A failed load is an answer.
        """
        with self._mapped():
            return await self._stub.Reload(
                location_pb2.ReloadRequest(build_id=build_id), timeout=timeout_s
            )

    @contextlib.contextmanager
    def _mapped(self) -> Generator[None]:
        try:
            yield
        except rpc_errors.RpcError as error:
            raise self._typed(error) from error
        except grpc.aio.AioRpcError as error:
            failed = rpc_errors.from_call(
                error,
                peer=dialing.plain(self._address),
                secured=dialing.is_secured(self._address),
            )
            raise self._typed(failed) from error
        except (grpc.aio.UsageError, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            # Nobody cancelled the caller: the connection was closed under the call.
            closed = rpc_errors.UnavailableError(f"The connection to {self._address} was closed.")
            raise self._typed(closed) from error

    def _typed(self, error: rpc_errors.RpcError) -> errors.LocationError:
        # A status that Atoll does not use tells nothing about the outcome either.
        unknown = isinstance(error, _UNKNOWN_OUTCOMES) or type(error) is rpc_errors.RpcError
        kind = errors.LocationUnavailable if unknown else errors.LocationRefused
        return kind(
            f"Location {self._location_name!r}: {error.message}",
            location_name=self._location_name,
            reason=error.reason,
        )


class Channels:
    """One connection for each address of a code server; unused ones are closed.

    Addresses are as `dialing` has them. Once the certificates of this host have changed, the next
    call makes a new connection.
    """

    def __init__(self, secured: tls.ClientTls | None = None) -> None:
        """Make one without connections.

        Args:
            secured: What code servers that speak TLS are dialed with; None where they cannot be.
        """
        self._secured = secured
        self._generations: dict[str, int] = {}
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._stubs: dict[str, tuple[str, location_pb2_grpc.CodeLocationServiceAsyncStub]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def client(self, location_name: str, target: dialing.Target) -> ControlClient:
        """Return a client for a code server."""
        return ControlClient(self, location_name=location_name, target=target)

    def stub(self, target: dialing.Target) -> "location_pb2_grpc.CodeLocationServiceAsyncStub":
        """Return a stub on the connection to an address, which is made when there is none."""
        address = target.address
        generation = self._generation(address)
        if address in self._channels and self._generations[address] != generation:
            self._retire(address, _REPLACED_GRACE_S)
        if address not in self._channels:
            secured = self._secured if dialing.is_secured(address) else None
            self._channels[address] = serving.channel(dialing.plain(address), secured)
            self._generations[address] = generation
        control_token, stub = self._stubs.get(address, ("", None))
        # One that starts anew at the same address has another token.
        if stub is None or control_token != target.control_token:
            channel = authorization.authorized(self._channels[address], target.control_token)
            stub = cast(
                "location_pb2_grpc.CodeLocationServiceAsyncStub",
                location_pb2_grpc.CodeLocationServiceStub(channel),
            )
            self._stubs[address] = target.control_token, stub
        return stub

    def keep(self, addresses: Collection[str], *, grace_s: float = 30.0) -> None:
        """Close the connections to all other addresses, after their calls had `grace_s` to end."""
        for address in [known for known in self._channels if known not in addresses]:
            self._retire(address, grace_s)

    def _generation(self, address: str) -> int:
        if not dialing.is_secured(address):
            return 0
        if self._secured is None:
            raise rpc_errors.FailedPreconditionError(
                f"The code server at {dialing.plain(address)} speaks TLS, and this host knows no "
                "authority to verify it by. Name one as locations_ca in [tls] of its settings.",
                reason=reasons.TLS_FAILED,
            )
        return self._secured.generation

    def _retire(self, address: str, grace_s: float) -> None:
        self._stubs.pop(address, None)
        task = asyncio.create_task(self._channels.pop(address).close(grace_s))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close every connection at once."""
        channels = list(self._channels.values())
        self._channels.clear()
        self._stubs.clear()
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*(channel.close() for channel in channels), return_exceptions=True)
        await asyncio.gather(*self._closing, return_exceptions=True)
