"""Where the services of a host learn that something in Postgres changed, here or elsewhere.

`Changes` holds the host's only LISTEN connection and one `signals.Broadcast` for each kind of
thing. What this host itself writes to the log, storage tells at once after the commit (`stored`),
and what Postgres notifies of that is left out, so that nobody looks twice; what other hosts did,
and what is changed besides the log, Postgres tells. Followers wait on their poke with a limit (some
seconds) as a backstop, and then read the truth from the stores. A listener that lost its connection
pokes them all once it listens again, so that a backstop only ever shortens that time.
"""

import weakref

from atoll_host import services, signals, tails
from atoll_storage import database, notifications, records
from atoll_storage import errors as storage_errors

BACKSTOP_S = 5.0
"""How long a follower waits without a poke before it looks anyway."""

_TOLD_BY_STORAGE = frozenset({notifications.EVENTS, notifications.RUNS})
_STATUS = records.RunStatus
_CLAIMABLE = frozenset(
    {_STATUS.QUEUED.value, *(status.value for status in _STATUS if status.is_final)}
)


class Changes(services.Loop):
    """The broadcasts of one host.

    Attributes:
        events: Set after events were appended to the log.
        runs: Set after runs were queued or ended: there may be something to hand over.
        cancels: Set after runs were asked to stop.
        sensors: Set after a sensor was started, stopped or reset.
        schedules: Set after a schedule was started or stopped.
        backfills: Set after a backfill was made, steered or went on.
        webhooks: Set after a delivery for a webhook sensor was stored.
        subscriptions: Set after a subscription was made or steered.
        pools: Set after slots of pools were given back or granted, or a limit changed.
        locations: Set after a code server registered, changed or went away.
        outputs: Set after this host stored captured output; what others store is found by looking.
        newest_event_id: The highest event id heard of: at least this much is in the log.
        access_version: Raised whenever a token may have been revoked, here or elsewhere.
    """

    def __init__(self, store: database.Database) -> None:
        super().__init__("changes", expected=(storage_errors.StorageUnavailable,))
        self._store = store
        self._tails: weakref.WeakSet[tails.Tail | tails.RunTail] = weakref.WeakSet()
        self.events = signals.Broadcast()
        self.runs = signals.Broadcast()
        self.cancels = signals.Broadcast()
        self.sensors = signals.Broadcast()
        self.schedules = signals.Broadcast()
        self.backfills = signals.Broadcast()
        self.pools = signals.Broadcast()
        self.locations = signals.Broadcast()
        self.subscriptions = signals.Broadcast()
        self.webhooks = signals.Broadcast()
        self._pokes = {
            notifications.SENSORS: self.sensors,
            notifications.SCHEDULES: self.schedules,
            notifications.BACKFILLS: self.backfills,
            notifications.POOLS: self.pools,
            notifications.LOCATIONS: self.locations,
            notifications.SUBSCRIPTIONS: self.subscriptions,
            notifications.WEBHOOKS: self.webhooks,
        }
        self.outputs = signals.Broadcast()
        self.newest_event_id = 0
        self.access_version = 0

    def tail(self) -> tails.Tail:
        """Return what a follower of materializations need not read; keep it while it is wanted."""
        tail = tails.Tail()
        self._tails.add(tail)
        return tail

    def run_tail(self) -> tails.RunTail:
        """Return what a follower of changes of runs need not read; keep it while it is wanted."""
        tail = tails.RunTail()
        self._tails.add(tail)
        return tail

    def stored(self, stored: records.Stored) -> None:
        """Tell the followers what this host has just written to the log."""
        if stored is records.STORED_UNKNOWN:
            self._poke_all()
            return
        self._runs_became({status.value for status in stored.statuses})
        if stored.last_id > stored.after_id:
            for tail in self._tails:
                tail.add(stored)
            self._reaches(stored.last_id)

    def events_stored(self, newest_event_id: int) -> None:
        """Tell the followers of the log that it reaches at least to `newest_event_id`."""
        for tail in self._tails:
            tail.hear(newest_event_id)
        self._reaches(newest_event_id)

    def access_changed(self) -> None:
        """Have tokens that were verified before be looked at again."""
        self.access_version += 1

    async def prepare(self) -> None:
        """Have storage tell what this host stores."""
        self._store.on_stored(self.stored)

    async def run(self) -> None:
        """Turn the notifications of other hosts into pokes."""
        channels = (notifications.EVENTS, notifications.RUNS, notifications.ACCESS, *self._pokes)
        async with self._store.notifications(*channels) as stream:
            self._poke_all()  # what happened while nobody listened
            async for notification in stream:
                self.did_well()
                if not (notification.own and notification.channel in _TOLD_BY_STORAGE):
                    self._take(notification)

    def _take(self, notification: records.Notification) -> None:
        channel = notification.channel
        if channel == notifications.EVENTS and notification.payload.isdecimal():
            self.events_stored(int(notification.payload))
        elif channel == notifications.RUNS:
            self._runs_became(set(notification.payload.split(",")))
        elif channel == notifications.ACCESS:
            self.access_changed()
        elif channel in self._pokes:
            self._pokes[channel].set()
        else:  # the connection was lost for a while
            self._poke_all()

    def _reaches(self, newest_event_id: int) -> None:
        self.newest_event_id = max(self.newest_event_id, newest_event_id)
        self.events.set()

    def _runs_became(self, statuses: set[str]) -> None:
        if statuses & _CLAIMABLE:
            self.runs.set()
        if _STATUS.CANCELING in statuses:
            self.cancels.set()

    def _poke_all(self) -> None:
        for tail in self._tails:
            tail.lose_sight()
        for broadcast in (self.events, self.runs, self.cancels, *self._pokes.values()):
            broadcast.set()
        self.access_changed()
