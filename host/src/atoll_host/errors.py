"""What can go wrong in the host, apart from storage's own errors (`atoll_storage.errors`).

The tree; `servicers.serving` holds the one table that turns it into gRPC statuses:

    HostError
    ├── SettingsError            a setting is malformed or out of bounds
    ├── SettingsFileError        a file of settings cannot be read, or something in it is wrong
    ├── StartError               the host cannot start
    ├── InvalidRequest           the request itself is wrong
    │   ├── InvalidRunConfig     run configuration that does not fit the job
    │   └── InvalidPageToken     a page token that the host did not make for this call
    ├── NotFound                 what the request names is not there
    │   ├── UnknownLocation, UnknownBuild, UnknownJob, UnknownAsset, UnknownCheck, UnknownSensor,
    │   │   UnknownSchedule, UnknownTick, UnknownRun, UnknownBackfill, UnknownPool,
    │   │   UnknownCondition, UnknownEvaluation, UnknownToken, UnknownSubscription,
    │   │   UnknownDelivery
    ├── SubscriptionExists       the name of a subscription is taken
    ├── RequestIdReused          a request id came back with another request
    ├── RunNotEnded              what is asked for takes a run that has ended
    ├── RunNeeded                a run cannot be deleted, because something needs it
    ├── EventsCompacted          the events that a watch would resume with are pruned
    ├── PolicyForbids            the host's policy does not allow it
    ├── Unauthenticated          nobody knows who calls
    │   ├── CredentialsMissing   the call came without credentials
    │   ├── CredentialsInvalid   those that came with it are not valid
    │   └── RunCredentialInvalid that of the run on whose behalf it is made does not count
    ├── NotAllowed               the caller does not hold the role that the call needs
    ├── Stopping                 the host is stopping
    └── LocationError            a code location did not do what the host asked
        ├── LocationUnavailable  no answer: nobody knows whether it was done
        └── LocationRefused      a definite refusal: it was not done

Messages say what was wrong, with which value, and what to do. Public attributes go to the caller as
metadata.
"""

import pathlib
from collections.abc import Sequence


class HostError(Exception):
    """The base of the host's errors."""


class SettingsError(HostError):
    """A setting is malformed or out of bounds."""

    def __init__(self, message: str, *, setting: str) -> None:
        super().__init__(message)
        self.setting = setting


class SettingsFileError(HostError):
    """A file of settings cannot be read, or something in it is wrong.

    Attributes:
        path: The file.
        problems: Everything that is wrong with it.
    """

    def __init__(self, path: pathlib.Path, problems: Sequence[str]) -> None:
        told = (
            [f"{path}: {problems[0]}"]
            if len(problems) == 1
            else [
                f"{path} has {len(problems)} mistakes:",
                *(f"  {problem}" for problem in problems),
            ]
        )
        super().__init__("\n".join(told))
        self.path = path
        self.problems = tuple(problems)


class StartError(HostError):
    """The host cannot start."""


class InvalidRequest(HostError):
    """The request itself is wrong; repeating it does not help."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class InvalidRunConfig(InvalidRequest):
    """Run configuration does not fit the schema of the job.

    Attributes:
        path: Where in the configuration, such as `ops.load.config.limit`.
    """

    def __init__(self, message: str, *, job_name: str, path: str) -> None:
        super().__init__(message, field="run_config")
        self.job_name = job_name
        self.path = path


class InvalidPageToken(InvalidRequest):
    """The page token is none that the host made for this call with these arguments."""

    def __init__(self) -> None:
        super().__init__(
            "The page token is none that this call returned for these arguments. Pass "
            "next_page_token of the answer before unchanged, with the same filters, or begin "
            "without a token.",
            field="page_token",
        )


class NotFound(HostError):
    """What the request names is not there."""


class UnknownLocation(NotFound):
    """No code location of that name ever registered."""

    def __init__(self, location_name: str) -> None:
        super().__init__(
            f"No code location named {location_name!r} ever registered with this host. List the "
            "locations, or start its code server."
        )
        self.location_name = location_name


class UnknownBuild(NotFound):
    """No such build of a location is known, or not what it defines."""

    def __init__(self, message: str, *, location_name: str, build_id: str) -> None:
        super().__init__(message)
        self.location_name = location_name
        self.build_id = build_id


class UnknownJob(NotFound):
    """No such job, or not where it was looked for."""

    def __init__(self, message: str, *, job_name: str, location_name: str = "") -> None:
        super().__init__(message)
        self.job_name = job_name
        self.location_name = location_name


class UnknownAsset(NotFound):
    """No such asset, or not where it was looked for."""

    def __init__(self, message: str, *, asset_key: str, location_name: str = "") -> None:
        super().__init__(message)
        self.asset_key = asset_key
        self.location_name = location_name


class UnknownCheck(NotFound):
    """No location defines such a check."""

    def __init__(self, message: str, *, asset_key: str, check_name: str) -> None:
        super().__init__(message)
        self.asset_key = asset_key
        self.check_name = check_name


class UnknownSchedule(NotFound):
    """The location defines no such schedule."""

    def __init__(self, location_name: str, schedule_name: str) -> None:
        super().__init__(
            f"Location {location_name!r} defines no schedule {schedule_name!r}. List its schedules."
        )
        self.location_name = location_name
        self.schedule_name = schedule_name


class UnknownSensor(NotFound):
    """The location defines no such sensor."""

    def __init__(self, location_name: str, sensor_name: str) -> None:
        super().__init__(
            f"Location {location_name!r} defines no sensor {sensor_name!r}. List its sensors."
        )
        self.location_name = location_name
        self.sensor_name = sensor_name


class UnknownCondition(NotFound):
    """What is named has no automation condition, or is not there."""

    def __init__(self, target: str) -> None:
        super().__init__(
            f"No location gives {target!r} an automation condition. List those that have one: "
            "atoll conditions list"
        )
        self.target = target


class UnknownEvaluation(NotFound):
    """There is no such evaluation of a condition any more, or never was."""

    def __init__(self, target: str, evaluation_id: int) -> None:
        which = f"no evaluation {evaluation_id}" if evaluation_id else "no evaluation yet"
        super().__init__(
            f"There is {which} of the condition of {target!r}; the oldest are not kept. List those "
            f"that are: atoll conditions evaluations {target}"
        )
        self.target = target
        self.evaluation_id = evaluation_id


class UnknownRun(NotFound):
    """There is no run of that id."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"There is no run {run_id!r}. List the runs.")
        self.run_id = run_id


class UnknownBackfill(NotFound):
    """There is no backfill of that id."""

    def __init__(self, backfill_id: str) -> None:
        super().__init__(f"There is no backfill {backfill_id!r}. List the backfills.")
        self.backfill_id = backfill_id


class UnknownPool(NotFound):
    """Nobody knows a pool of that name."""

    def __init__(self, pool: str) -> None:
        super().__init__(
            f"No definitions mention a pool {pool!r}, and it has no limit. List the pools, or set "
            "its limit."
        )
        self.pool = pool


class UnknownTick(NotFound):
    """The sensor or schedule has no tick of that id."""

    def __init__(self, tick_id: str, location_name: str, whose: str) -> None:
        super().__init__(
            f"{whose} of location {location_name!r} has no tick {tick_id!r}. List its ticks."
        )
        self.tick_id = tick_id
        self.location_name = location_name


class UnknownToken(NotFound):
    """There is no token of that id."""

    def __init__(self, token_id: str) -> None:
        super().__init__(f"There is no token {token_id!r}. List the tokens.")
        self.token_id = token_id


class UnknownSubscription(NotFound):
    """There is no subscription of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no subscription {name!r}. List the subscriptions.")
        self.name = name


class UnknownDelivery(NotFound):
    """The subscription has no delivery of that id, or not any more."""

    def __init__(self, delivery_id: str, subscription_name: str) -> None:
        super().__init__(
            f"The subscription {subscription_name!r} has no delivery {delivery_id!r}; old ones are "
            "not kept. List its deliveries."
        )
        self.delivery_id = delivery_id
        self.subscription_name = subscription_name


class SubscriptionExists(HostError):
    """The name of a subscription is taken, or a request id came back with another request."""

    def __init__(self, message: str, *, name: str) -> None:
        super().__init__(message)
        self.name = name


class RequestIdReused(HostError):
    """A request id came back with another request."""

    def __init__(self, request_id: str, run_id: str, difference: str) -> None:
        super().__init__(
            f"The request id {request_id!r} already launched run {run_id!r}, which differs in "
            f"{difference}. Use a new request id for a new run."
        )
        self.request_id = request_id
        self.run_id = run_id


class RunNotEnded(HostError):
    """What is asked for takes a run that has ended."""

    def __init__(self, run_id: str, status: str, wish: str) -> None:
        super().__init__(f"Run {run_id} is {status}. Wait for its end, or cancel it, to {wish}.")
        self.run_id = run_id
        self.status = status


class RunNeeded(HostError):
    """A run cannot be deleted, because something needs it."""

    def __init__(self, run_id: str, need: str) -> None:
        super().__init__(f"Run {run_id} cannot be deleted: {need}")
        self.run_id = run_id


class EventsCompacted(HostError):
    """The events that a watch would resume with are no longer stored."""

    def __init__(self, oldest_id: int) -> None:
        super().__init__(
            "The events after the resume token are no longer all stored. List again and watch from "
            f"there, or watch from the beginning: the oldest stored event is {oldest_id}."
        )
        self.oldest_id = oldest_id


class PolicyForbids(HostError):
    """The host's policy does not allow it."""


class Unauthenticated(HostError):
    """Nobody knows who calls."""


class CredentialsMissing(Unauthenticated):
    """The call came without credentials."""

    def __init__(self) -> None:
        super().__init__(
            "This host asks for credentials, and the call came without. Send a token as "
            "'authorization: Bearer <token>'."
        )


class CredentialsInvalid(Unauthenticated):
    """What came with the call is no credential, or one that is not valid."""

    def __init__(self) -> None:
        super().__init__(
            "The credentials of the call are not valid: the token is malformed or unknown, it "
            "expired, or it was revoked. Ask an admin of the host for another one."
        )


class RunCredentialInvalid(Unauthenticated):
    """The credential of a run does not count: for this call, or any more."""

    def __init__(self) -> None:
        super().__init__(
            "The credential of the run is not valid: it expired, the run is not live any more or "
            "has been handed over again, or the call is about another run. A run that has ended "
            "asks nothing; for one that goes on, the code server renews the credential."
        )


class NotAllowed(HostError):
    """The caller does not hold the role that the call needs.

    Attributes:
        caller: Who called.
        role: The least role.
        location_name: The location that it would have to be held for; empty means all.
    """

    def __init__(
        self, caller: str, role: str, location_name: str, *, anywhere: bool = False
    ) -> None:
        where = f"location {location_name!r}" if location_name else "all locations"
        if anywhere:
            where = "any location"
        super().__init__(
            f"{caller!r} is no {role} of {where}, which this call needs. Ask somebody who is an "
            "admin there for the role, or call with other credentials."
        )
        self.caller = caller
        self.role = role
        self.location_name = location_name


class Stopping(HostError):
    """The host is stopping."""

    def __init__(self) -> None:
        super().__init__("The host is stopping. Repeat the call when it is back.")


class LocationError(HostError):
    """A code location did not do what the host asked.

    Attributes:
        location_name: The location; empty where only its address is known.
        reason: The cause for programs, one of `atoll._rpc.reasons`.
    """

    def __init__(self, message: str, *, location_name: str, reason: str) -> None:
        super().__init__(message)
        self.location_name = location_name
        self.reason = reason


class LocationUnavailable(LocationError):
    """The location gave no answer: nobody knows whether it did what it was asked to do."""


class LocationRefused(LocationError):
    """The location definitely did not do what it was asked to do."""
