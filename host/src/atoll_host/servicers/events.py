"""EventsService: reads and follows the event log."""

from collections.abc import AsyncIterator

from atoll.api.v1 import events_pb2, events_pb2_grpc
from atoll_host import errors
from atoll_host.api import pages, watching
from atoll_host.servicers import contexts
from atoll_storage import errors as storage_errors
from atoll_storage import event_log


class EventsServicer(events_pb2_grpc.EventsServiceServicer):
    """Reads the log."""

    def __init__(self, log: event_log.EventLog, watches: watching.Watching) -> None:
        self._event_log = log
        self._watches = watches

    async def ListEvents(
        self, request: events_pb2.ListEventsRequest, context: contexts.Context
    ) -> events_pb2.ListEventsResponse:
        """Return a page of events in the order of the log."""
        page = pages.Page(request)
        query = watching.query_of(request.filter)
        if page.after:
            after_id = page.after_id
        else:
            given = watching.checked_position(request.after_event_id)
            after_id = max(given, await watching.before_oldest(self._event_log))
        try:
            # A list shows what is there; only who follows has to see everything.
            found = await self._event_log.read(
                after_id, limit=page.size + 1, query=query, complete=False
            )
        except storage_errors.Compacted as error:
            raise errors.EventsCompacted(error.oldest_id) from error
        shown, token = page.fitting(found, lambda each: (each.id,))
        return events_pb2.ListEventsResponse(events=shown, next_page_token=token)

    async def WatchEvents(
        self, request: events_pb2.WatchEventsRequest, context: contexts.Context
    ) -> AsyncIterator[events_pb2.WatchEventsResponse]:
        """Send every matching event after a position, and go on as new ones arrive."""
        async for response in self._watches.watch(request):
            yield response
