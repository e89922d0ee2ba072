"""Relays what user code asks of the instance to the host, and the answer back.

An InstanceQuery arrives on the socket of an evaluator or a run worker; the same question goes to
the host's InstanceService. A host that is away is waited for a while, since user code has no better
idea. Nothing is kept.
"""

from __future__ import annotations

import asyncio
import time

import grpc
import grpc.aio

from atoll._rpc import errors as rpc_errors
from atoll._rpc import options, reasons
from atoll._server import host_link, hub, services
from atoll.process.v1 import process_pb2

# Who asks asks again; a question must be answered well within its `relay.ANSWER_TIMEOUT_S`.
_AWAY_MAX_S = 5.0
_AT_ONCE_MAX = 32


class InstanceRelay(services.Service):
    """Answers instance queries.

    Args:
        link: The connection to the host.
    """

    def __init__(self, link: host_link.HostLink) -> None:
        self._link = link
        self._places = asyncio.Semaphore(_AT_ONCE_MAX)
        self._tasks = services.TaskSet("instance relay")

    async def start(self) -> None:
        """Do nothing: queries come by themselves."""

    async def stop(self) -> None:
        """Leave what is asked unanswered."""
        await self._tasks.cancel()

    def ask(self, connection: hub.Connection, query: process_pb2.InstanceQuery) -> None:
        """Answer a query on the connection that it came on."""
        self._tasks.spawn(self._relay(connection, query), name="query")

    async def _relay(self, connection: hub.Connection, query: process_pb2.InstanceQuery) -> None:
        async with self._places:
            answer = await self._answer(query)
        answer.query_id = query.query_id
        try:
            await connection.send(process_pb2.ServerMessage(instance_answer=answer))
        except ConnectionError:
            # Who asked is gone.
            return

    async def _answer(self, query: process_pb2.InstanceQuery) -> process_pb2.InstanceAnswer:
        give_up_s = time.monotonic() + _AWAY_MAX_S
        backoff = services.Backoff()
        while True:
            try:
                return await self._ask_host(query)
            except grpc.aio.AioRpcError as error:
                away = error.code() == grpc.StatusCode.UNAVAILABLE
                if not away or time.monotonic() >= give_up_s:
                    problem = rpc_errors.from_call(error, peer=self._link.address)
                    reason = reasons.HOST_UNAVAILABLE if away else problem.reason
                    return _refusal(reason, problem.message)
            await backoff.wait()

    async def _ask_host(self, query: process_pb2.InstanceQuery) -> process_pb2.InstanceAnswer:
        instance, timeout_s = self._link.instance, options.DEFAULT_DEADLINE_S
        kind = query.WhichOneof("query")
        if kind == "get_latest_materializations":
            latest = await instance.GetLatestMaterializations(
                query.get_latest_materializations, timeout=timeout_s
            )
            return process_pb2.InstanceAnswer(get_latest_materializations=latest)
        if kind == "list_asset_events":
            events = await instance.ListAssetEvents(query.list_asset_events, timeout=timeout_s)
            return process_pb2.InstanceAnswer(list_asset_events=events)
        if kind == "get_run":
            run = await instance.GetRun(query.get_run, timeout=timeout_s)
            return process_pb2.InstanceAnswer(get_run=run)
        return _refusal(reasons.UNSUPPORTED, "This code server does not know the question.")


def _refusal(reason: str, message: str) -> process_pb2.InstanceAnswer:
    error = process_pb2.InstanceError(reason=reason, message=message)
    return process_pb2.InstanceAnswer(error=error)
