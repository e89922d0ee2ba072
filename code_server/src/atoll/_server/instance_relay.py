"""Relays what user code asks of the instance to the host, and the answer back.

An InstanceQuery arrives on the socket of an evaluator or a run worker; the same question goes to
the host's InstanceService. A run reads what it wrote: its question goes on once the host has
acknowledged the events that the run wrote before it. A host that is away is waited for a while,
since user code has no better idea. Nothing is kept.
"""

from __future__ import annotations

import asyncio
import time

import grpc
import grpc.aio

from atoll._rpc import errors as rpc_errors
from atoll._rpc import options, reasons
from atoll._server import feeds, host_link, hub, run_credentials, services
from atoll.mesh.v1 import instance_pb2
from atoll.process.v1 import process_pb2

# Who asks asks again; a question must be answered well within its `relay.ANSWER_TIMEOUT_S`.
_AWAY_MAX_S = 5.0
_AT_ONCE_MAX = 32


class InstanceRelay(services.Service):
    """Answers instance queries.

    Args:
        link: The connection to the host.
        credentials: What shows on behalf of which run is asked; None where nothing does.
    """

    def __init__(
        self, link: host_link.HostLink, credentials: run_credentials.RunCredentials | None = None
    ) -> None:
        self._link = link
        self._credentials = credentials
        self._places = asyncio.Semaphore(_AT_ONCE_MAX)
        self._tasks = services.TaskSet("instance relay")

    async def start(self) -> None:
        """Do nothing: queries come by themselves."""

    async def stop(self) -> None:
        """Leave what is asked unanswered."""
        await self._tasks.cancel()

    def ask(
        self,
        connection: hub.Connection,
        query: process_pb2.InstanceQuery,
        feed: feeds.Feed | None = None,
    ) -> None:
        """Answer a query on the connection that it came on.

        Args:
            connection: The connection.
            query: The query.
            feed: The events of the run that asks; None where no run does.
        """
        self._tasks.spawn(self._relay(connection, query, feed), name="query")

    async def _relay(
        self,
        connection: hub.Connection,
        query: process_pb2.InstanceQuery,
        feed: feeds.Feed | None,
    ) -> None:
        # Before it takes a place: a run with much to send delays nobody else's questions.
        run_id = "" if feed is None else feed.run_id
        answer = None if feed is None else await self._await_events(query.written_seq, feed)
        if answer is None and query.HasField("acquire_slots"):
            # It waits for long, and there are as many as runs with a step that needs a slot.
            answer = await self.answer(query, run_id)
        elif answer is None:
            async with self._places:
                answer = await self.answer(query, run_id)
        answer.query_id = query.query_id
        try:
            await connection.send(process_pb2.ServerMessage(instance_answer=answer))
        except ConnectionError:
            # Who asked is gone.
            return

    async def _await_events(self, seq: int, feed: feeds.Feed) -> process_pb2.InstanceAnswer | None:
        """Wait until the host has the events that a run wrote; return a refusal if not."""
        if await feed.wait_acknowledged(seq, _AWAY_MAX_S):
            return None
        return _refusal(
            reasons.HOST_UNAVAILABLE,
            f"The host at {self._link.address} has not stored the events that the run wrote before "
            f"it asked: it has confirmed {feed.acknowledged_seq} of {seq}, and an answer without "
            "the others would be out of date. Is the host running and reachable from the code "
            "server? Try again later.",
        )

    async def answer(
        self, query: process_pb2.InstanceQuery, run_id: str = ""
    ) -> process_pb2.InstanceAnswer:
        """Return what the host answers, or why it does not.

        Args:
            query: The question.
            run_id: The run that asks; empty where none does.
        """
        give_up_s = time.monotonic() + _AWAY_MAX_S
        renewed = False
        backoff = services.Backoff()
        while True:
            try:
                return await self._ask_host(query, run_id)
            except grpc.aio.AioRpcError as error:
                if not renewed and await self._renew(error, run_id):
                    renewed = True
                    continue
                if query.HasField("report_asset_event"):
                    self._note_refusal(error, query.report_asset_event.epoch)
                away = error.code() == grpc.StatusCode.UNAVAILABLE
                if not away or time.monotonic() >= give_up_s:
                    problem = rpc_errors.from_call(error, peer=self._link.address)
                    reason = reasons.HOST_UNAVAILABLE if away else problem.reason
                    return _refusal(reason, problem.message)
            await backoff.wait()

    async def _renew(self, error: grpc.aio.AioRpcError, run_id: str) -> bool:
        """Get another credential for a run whose own one was refused; say whether to ask again."""
        problem = rpc_errors.from_call(error, peer=self._link.address)
        if self._credentials is None or problem.reason != reasons.RUN_CREDENTIAL_INVALID:
            return False
        try:
            await self._credentials.renew([run_id])
        except grpc.aio.AioRpcError:
            return False
        return bool(self._credentials.metadata(run_id))

    async def _ask_host(
        self, query: process_pb2.InstanceQuery, run_id: str
    ) -> process_pb2.InstanceAnswer:
        name = query.WhichOneof("query")
        if name is None:
            return _refusal(reasons.UNSUPPORTED, "This code server does not know the question.")
        request = getattr(query, name)
        if name == "report_asset_event":
            self._sign(request)
        # The rpc of a question is called as the question; so is the field of its answer.
        method = getattr(self._link.instance, _RPC_NAMES[name])
        shown = () if self._credentials is None else self._credentials.metadata(run_id)
        answer = await method(request, timeout=options.DEFAULT_DEADLINE_S, metadata=shown)
        return process_pb2.InstanceAnswer(**{name: answer})

    def _note_refusal(self, error: grpc.aio.AioRpcError, epoch: int) -> None:
        """Have the session registered anew where its epoch was refused; who asks asks again."""
        problem = rpc_errors.from_call(error, peer=self._link.address)
        if problem.reason == reasons.STALE_EPOCH:
            self._link.report_stale(epoch)

    def _sign(self, request: instance_pb2.ReportAssetEventRequest) -> None:
        """Say which location reports: its processes cannot, so none speaks for another."""
        request.location_name = self._link.location_name
        request.server_id = self._link.server_id
        request.epoch = self._link.epoch


_RPC_NAMES = {
    field.name: "".join(part.capitalize() for part in field.name.split("_"))
    for field in process_pb2.InstanceQuery.DESCRIPTOR.oneofs_by_name["query"].fields
}


def _refusal(reason: str, message: str) -> process_pb2.InstanceAnswer:
    error = process_pb2.InstanceError(reason=reason, message=message)
    return process_pb2.InstanceAnswer(error=error)
