"""What can go wrong in storage.

    StorageError
    ├── StorageUnavailable     cannot be reached, or no answer in time: try again
    ├── DatabaseRefused        must not be used: bad URL, credentials, version, schema
    ├── InvalidValue           a value that Postgres cannot store
    ├── StaleTick              the sensor's state moved since the tick began
    ├── StaleEvaluation        a target of conditions, or its sensor, moved since the round began
    ├── UnknownSensor          nobody ever told storage of this sensor
    ├── StaleScheduleTick      the schedule's state moved since the tick began
    ├── UnknownSchedule        nobody ever told storage of this schedule
    ├── StaleBackfill          the backfill moved since it was read
    ├── UnknownBackfill        there is no such backfill
    ├── Compacted              the events asked for were pruned
    ├── StaleEpoch             the session was replaced by a newer one
    ├── RunFenced              the run is bound to another code server
    ├── UnknownParent          the run that a new one runs again is gone
    └── DataDirectoryRefused   the embedded server cannot use this data directory

The driver's error is always the `__cause__`, never the message.
"""


class StorageError(Exception):
    """Anything that storage raises on purpose."""


class StorageUnavailable(StorageError):
    """The database cannot be reached, or did not answer in time. Trying again later may succeed.

    Nothing is known about the operation that raised it: it may have been stored or not. Operations
    are idempotent so that repeating them is safe.
    """


class DatabaseRefused(StorageError):
    """The database must not be used as it is. The message says what to do."""


class InvalidValue(StorageError):
    """A value cannot be stored, such as a text that holds a NUL character."""


class UnknownParent(StorageError):
    """The run that a new one runs again is gone; nothing was stored.

    Attributes:
        run_id: The run that is gone.
    """

    def __init__(self, run_id: str) -> None:
        super().__init__(f"Run {run_id} is gone, so it cannot be run again. Launch a new run.")
        self.run_id = run_id


class StaleTick(StorageError):
    """A tick was decided on a state of the sensor that is not the newest; nothing of it was stored.

    Attributes:
        location_name: The location of the sensor.
        sensor_name: The sensor.
    """

    def __init__(self, location_name: str, sensor_name: str, reason: str) -> None:
        super().__init__(
            f"The tick of sensor {sensor_name!r} of location {location_name!r} is stale: {reason}. "
            "Read the sensor's state and evaluate it again."
        )
        self.location_name = location_name
        self.sensor_name = sensor_name


class StaleEvaluation(StorageError):
    """A round of evaluations of conditions was decided on what is old by now.

    Nothing of it was stored.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The evaluation of conditions is stale: {reason}. Read the states and evaluate again."
        )


class UnknownSensor(StorageError):
    """A sensor has no state yet.

    Attributes:
        location_name: The location that was named.
        sensor_name: The sensor that was named.
    """

    def __init__(self, location_name: str, sensor_name: str) -> None:
        super().__init__(
            f"Location {location_name!r} has no sensor {sensor_name!r}. "
            "Its code server must have registered with the definition first."
        )
        self.location_name = location_name
        self.sensor_name = sensor_name


class StaleScheduleTick(StorageError):
    """A tick was decided on a state of the schedule that is not the newest; nothing was stored.

    Attributes:
        location_name: The location of the schedule.
        schedule_name: The schedule.
    """

    def __init__(self, location_name: str, schedule_name: str, reason: str) -> None:
        super().__init__(
            f"The tick of schedule {schedule_name!r} of location {location_name!r} is stale: "
            f"{reason}. Read the schedule's state and decide again."
        )
        self.location_name = location_name
        self.schedule_name = schedule_name


class UnknownSchedule(StorageError):
    """A schedule has no state yet.

    Attributes:
        location_name: The location that was named.
        schedule_name: The schedule that was named.
    """

    def __init__(self, location_name: str, schedule_name: str) -> None:
        super().__init__(
            f"Location {location_name!r} has no schedule {schedule_name!r}. "
            "Its code server must have registered with the definition first."
        )
        self.location_name = location_name
        self.schedule_name = schedule_name


class StaleBackfill(StorageError):
    """Something was decided on a state of a backfill that is not the newest; nothing was stored.

    Attributes:
        backfill_id: The backfill.
    """

    def __init__(self, backfill_id: str, expected: int, current: int) -> None:
        super().__init__(
            f"Backfill {backfill_id!r} moved on: version {expected} was decided on, and it is at "
            f"{current} now. Read it and decide again."
        )
        self.backfill_id = backfill_id


class UnknownBackfill(StorageError):
    """There is no such backfill.

    Attributes:
        backfill_id: What was asked for.
    """

    def __init__(self, backfill_id: str) -> None:
        super().__init__(f"There is no backfill {backfill_id!r}. List the backfills.")
        self.backfill_id = backfill_id


class Compacted(StorageError):
    """The events right after the position asked for were pruned.

    Attributes:
        after_id: The position that was asked for.
        oldest_id: The smallest id from which the log is complete.
    """

    def __init__(self, after_id: int, oldest_id: int) -> None:
        super().__init__(
            f"The log no longer holds the events after id {after_id}: it begins with id "
            f"{oldest_id}. "
            f"List again, and go on after id {oldest_id - 1}."
        )
        self.after_id = after_id
        self.oldest_id = oldest_id


class StaleEpoch(StorageError):
    """A code server spoke for a session that a newer registration replaced.

    Attributes:
        epoch: The epoch that was given.
        current_epoch: The newest one; 0 when the server never registered.
    """

    def __init__(self, location_name: str, server_id: str, epoch: int, current_epoch: int) -> None:
        super().__init__(
            f"Epoch {epoch} of code server {server_id!r} of location {location_name!r} is stale "
            f"(the current one is {current_epoch}). Register again."
        )
        self.epoch = epoch
        self.current_epoch = current_epoch


class RunFenced(StorageError):
    """A run is bound to another code server, or to none.

    Attributes:
        run_id: The run.
        reason: Why, in words.
    """

    def __init__(self, run_id: str, reason: str) -> None:
        super().__init__(f"Run {run_id!r} takes nothing from this code server: {reason}.")
        self.run_id = run_id
        self.reason = reason


class DataDirectoryRefused(StorageError):
    """The embedded server cannot use a data directory. The message says why and what to do."""
