"""Where the services of a host learn that something in Postgres changed, here or elsewhere.

`Changes` holds the host's only LISTEN connection and one `signals.Broadcast` for each kind of
thing. A service that changes something sets the broadcast itself right after its commit, which
costs nothing and is at once; the notification of Postgres does the same on every other host.
Followers wait on their poke with a limit (a second or so) as a backstop, and then read the truth
from the stores.
"""

from atoll_host import services, signals
from atoll_storage import database, notifications
from atoll_storage import errors as storage_errors

BACKSTOP_S = 1.0
"""How long a follower waits without a poke before it looks anyway."""


class Changes(services.Loop):
    """The broadcasts of one host.

    Attributes:
        events: Set after events were appended to the log.
        runs: Set after runs were queued, claimed, or ended.
        sensors: Set after a sensor was started, stopped or evaluated.
        locations: Set after a code server registered, changed or went away.
        newest_event_id: The highest event id heard of: at least this much is in the log.
    """

    def __init__(self, store: database.Database) -> None:
        super().__init__("changes", expected=(storage_errors.StorageUnavailable,))
        self._store = store
        self.events = signals.Broadcast()
        self.runs = signals.Broadcast()
        self.sensors = signals.Broadcast()
        self.locations = signals.Broadcast()
        self.newest_event_id = 0
        self._by_channel = {
            notifications.EVENTS: self.events,
            notifications.RUNS: self.runs,
            notifications.SENSORS: self.sensors,
            notifications.LOCATIONS: self.locations,
        }

    def events_stored(self, newest_event_id: int) -> None:
        """Tell the followers of the log that it reaches at least to `newest_event_id`."""
        self.newest_event_id = max(self.newest_event_id, newest_event_id)
        self.events.set()

    async def run(self) -> None:
        """Turn the notifications of Postgres into pokes."""
        async with self._store.notifications(*self._by_channel) as stream:
            self._poke_all()  # what happened while nobody listened
            async for notification in stream:
                self.did_well()
                broadcast = self._by_channel.get(notification.channel)
                if broadcast is None:  # the connection was lost for a while
                    self._poke_all()
                elif broadcast is self.events and notification.payload.isdecimal():
                    self.events_stored(int(notification.payload))
                else:
                    broadcast.set()

    def _poke_all(self) -> None:
        for broadcast in self._by_channel.values():
            broadcast.set()
