"""The event log of a host: pages of it, and a watch that does not end when a connection does."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TypeAlias, cast

import grpc.aio

from atoll.api.v1 import events_pb2 as api_pb2
from atoll.api.v1 import events_pb2_grpc
from atoll.client import calls, errors, watches
from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2

Watch: TypeAlias = watches.Watch[events_pb2.StoredEvent]
"""Every matching event, in order and each once, through lost connections and restarts."""


class Events:
    """Reads and watches the event log."""

    def __init__(self, channel: grpc.aio.Channel, caller: calls.Caller) -> None:
        self._stub = cast(
            "events_pb2_grpc.EventsServiceAsyncStub", events_pb2_grpc.EventsServiceStub(channel)
        )
        self._caller = caller

    def list(
        self,
        query: api_pb2.EventFilter | None = None,
        *,
        after_event_id: int = 0,
        limit: int | None = None,
    ) -> AsyncIterator[events_pb2.StoredEvent]:
        """Yield stored events in the order of the log.

        Args:
            query: Which events; None means all.
            after_event_id: Only events after this position; 0 means from the oldest.
            limit: How many at the most; None means all.
        """

        async def fetch(size: int, token: str) -> tuple[Sequence[events_pb2.StoredEvent], str]:
            request = api_pb2.ListEventsRequest(
                filter=query, page_size=size, page_token=token, after_event_id=after_event_id
            )
            answer = await self._caller.unary(self._stub.ListEvents, request)
            return answer.events, answer.next_page_token

        return calls.paged(fetch, limit)

    def watch(
        self,
        query: api_pb2.EventFilter | None = None,
        *,
        resume_token: str = "",
        from_beginning: bool = False,
        after_event_id: int = 0,
        patience_s: float | None = 60.0,
    ) -> Watch:
        """Return an iterator over matching events that goes on as new ones arrive.

        Args:
            query: Which events; None means all.
            resume_token: Goes on after what the holder of the token has seen; empty begins with
                the next event.
            from_beginning: With no token, begins with the oldest stored event instead.
            after_event_id: With no token, begins after this position instead.
            patience_s: How long the host may be away before the watch gives up; None means for
                ever.
        """
        request = api_pb2.WatchEventsRequest(
            filter=query,
            resume_token=resume_token,
            from_beginning=from_beginning,
            after_event_id=after_event_id,
        )
        stream = watches.Stream(
            self._stub.WatchEvents,
            _events_of,
            self._caller.address,
            begun=_leave_out_beginning,
        )
        return watches.Watch(stream, request, patience_s=patience_s)

    async def wait_for_materialization(
        self,
        asset_key: values_pb2.AssetKey,
        *,
        partition_key: str = "",
        after_event_id: int = 0,
        timeout_s: float | None = None,
    ) -> events_pb2.StoredEvent:
        """Return the next materialization of an asset.

        Args:
            asset_key: The asset.
            partition_key: Only of this partition; empty means of any, or of none.
            after_event_id: The first after this position, which may have happened already; 0 means
                the first that happens from now on.
            timeout_s: How long it may take; None means for ever.

        Raises:
            errors.MaterializationTimeoutError: There was none in time.
        """
        query = api_pb2.EventFilter(
            asset_key=asset_key, partition_key=partition_key, kinds=["asset_materialization"]
        )
        async with self.watch(query, after_event_id=after_event_id, patience_s=None) as watch:
            try:
                return await asyncio.wait_for(watch.__anext__(), timeout_s)
            except asyncio.TimeoutError as error:
                raise errors.MaterializationTimeoutError(
                    "/".join(asset_key.path), partition_key, timeout_s or 0.0
                ) from error


def _events_of(answer: api_pb2.WatchEventsResponse) -> Sequence[events_pb2.StoredEvent]:
    return answer.events


def _leave_out_beginning(request: api_pb2.WatchEventsRequest) -> None:
    request.ClearField("from_beginning")
    request.ClearField("after_event_id")
