"""What evaluations of user code by a location have in common, whatever kind of automation asks.

Called by the evaluators of sensors and schedules, and, for the questions alone, by that of
conditions. What an answer comes to, and what is stored of it, is decided by each kind for itself
and stays out.
"""

import asyncio
import dataclasses
import enum
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, Protocol, TypeVar

from atoll._rpc import reasons
from atoll.api.v1 import automation_pb2
from atoll.definitions.v1 import values_pb2
from atoll_host import clock as clocks
from atoll_host import errors, services, signals
from atoll_host.automation import answers
from atoll_host.locations import definitions, graph
from atoll_host.locations import registry as registries
from atoll_host.runs import requests
from atoll_storage import errors as storage_errors
from atoll_storage import records

_REQUESTS_ON_LOOP_MAX = 20
_COMMIT_BACKOFF = services.Backoff(first_s=0.05, max_s=2.0)

NOT_NOW = frozenset(
    {
        reasons.BUSY,
        reasons.DRAINING,
        reasons.HOST_UNAVAILABLE,
        reasons.HOST_UNPROVEN,
        reasons.NO_BUILD,
        reasons.RELOAD_IN_PROGRESS,
        reasons.WRONG_SERVER,
    }
)
"""A location that says so will be able to answer later: no failure of what was asked for."""

_Control = TypeVar("_Control")
_Control_co = TypeVar("_Control_co", covariant=True)
_State = TypeVar("_State")
_Commit = TypeVar("_Commit")
_Answer = TypeVar("_Answer")


class Servers(Protocol[_Control_co]):
    """What questions ask of the registry."""

    def reachable(self) -> Mapping[str, records.ServerRecord]:
        """Return the code servers that can be given work."""
        ...

    def control(self, target: str | records.ServerRecord) -> _Control_co:
        """Return a client for a code server."""
        ...


class Locations(Servers[_Control_co], Protocol[_Control_co]):
    """What evaluations ask of the registry."""

    def locations(self) -> Mapping[str, registries.LocationView]:
        """Return all locations."""
        ...

    def graph(self) -> graph.AssetGraph:
        """Return the asset graph of all locations, the same object until it changes."""
        ...

    def subscribe(self) -> signals.Poke:
        """Return a poke that is set when anything changed."""
        ...


class Ending(enum.Enum):
    """What became of an evaluation; the words are those of the agendas."""

    COMMITTED = "committed"
    FAILED = "failed"
    POSTPONED = "postponed"
    RELOADED = "reloaded"


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome(Generic[_State]):
    """What became of an evaluation, and the state of what was evaluated where it is known anew."""

    ending: Ending
    state: _State | None = None


def new_id() -> str:
    """Return an id that nothing else has."""
    return str(uuid.uuid4())


def place_of(
    locations: Locations[object], location_name: str, defined: definitions.Definitions
) -> requests.Place:
    """Return a location as the place that runs are asked for from."""
    merged = locations.graph()
    return requests.Place(location_name, defined, merged.owner, merged.check_owner)


def control_of(servers: Servers[_Control], location_name: str) -> _Control:
    """Return a client for the code server of a location.

    Raises:
        LocationUnavailable: The location is away.
    """
    server = servers.reachable().get(location_name)
    if server is None:
        raise errors.LocationUnavailable(
            f"Location {location_name!r} is away.",
            location_name=location_name,
            reason=reasons.UNREACHABLE,
        )
    return servers.control(server)


async def answer_to(
    question: Awaitable[_Answer],
    late: Callable[[str], values_pb2.Failure],
    not_now: frozenset[str] = NOT_NOW,
) -> _Answer | values_pb2.Failure:
    """Return what a location answers, or the failure that stands for an answer.

    Args:
        question: The call of the location.
        late: Makes the failure of user code that did not end in time, from the cause.
        not_now: The reasons of refusals after which to ask again later.

    Raises:
        LocationError: There is no answer now; asking again later may bring one.
    """
    try:
        return await question
    except errors.LocationUnavailable as error:
        if error.reason != reasons.DEADLINE_EXCEEDED:
            raise
        return late(str(error))
    except errors.LocationRefused as error:
        if error.reason in not_now:
            raise
        return refused(error)


def refused(error: errors.LocationError) -> values_pb2.Failure:
    """Return the failure of an evaluation that the location refused."""
    return values_pb2.Failure(type=error.reason, message=str(error))


async def decided(response: answers.Response, decide: Callable[[], _Commit]) -> _Commit:
    """Return what an answer comes to.

    Args:
        response: The answer.
        decide: Checks all that it asks for. It is pure, so it may run in a thread.
    """
    keys = sum(len(each.partition_keys) for each in response.dynamic_partitions_requests)
    few = len(response.run_requests) + keys <= _REQUESTS_ON_LOOP_MAX
    if few and not answers.partition_texts(response):
        return decide()
    # Checking many of them takes long enough to delay what other locations have due.
    return await asyncio.to_thread(decide)


async def commit(
    decision: _Commit,
    store: Callable[[_Commit], Awaitable[automation_pb2.Tick]],
    unstorable: Callable[[str], _Commit] | None,
    clock: clocks.Clock,
) -> tuple[_Commit, automation_pb2.Tick]:
    """Commit, again and again while storage is away: no decision is thrown away.

    Args:
        decision: What to commit.
        store: Commits it.
        unstorable: Makes what is committed in place of what storage cannot take, from the cause;
            None where nothing can stand in.
        clock: Tells when to try again.

    Returns:
        What was committed, and its tick as it is stored.
    """
    failures = 0
    while True:
        try:
            return decision, await store(decision)
        except storage_errors.StorageUnavailable:
            failures += 1
            await clock.sleep(_COMMIT_BACKOFF.delay_s(failures))
        except storage_errors.InvalidValue as error:
            if unstorable is None:
                raise
            decision, unstorable = unstorable(str(error)), None
