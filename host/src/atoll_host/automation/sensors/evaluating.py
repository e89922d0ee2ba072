"""Carries out one evaluation: fetches its event, asks the location, commits the tick.

Called by `leading` for each evaluation that `due` lets begin. Says what became of it and never
raises but for cancellation; an evaluation that is cut off at any point has stored everything or
nothing.
"""

import functools
import logging

from atoll.api.v1 import automation_pb2
from atoll_host import clock as clocks
from atoll_host import errors, services
from atoll_host.automation import evaluations
from atoll_host.automation.sensors import asking, deciding, due
from atoll_host.policy import policy_settings
from atoll_storage import database, records
from atoll_storage import errors as storage_errors

_log = logging.getLogger(__name__)

_PASSED_OVER_MAX = 10_000

_Ending = evaluations.Ending


Outcome = evaluations.Outcome[records.SensorState]
"""What became of an evaluation, and the state of its sensor where it is known anew."""


class Exhausted:
    """What became of an evaluation that there is no event for: the log holds none any more."""


class Evaluator:
    """Carries out evaluations. Holds nothing between them."""

    def __init__(
        self,
        store: database.Database,
        locations: asking.Locations,
        clock: clocks.Clock,
        *,
        timeout_s: float,
        failure_backoff: services.Backoff,
        policy: policy_settings.PolicySettings,
    ) -> None:
        """Make an evaluator.

        Args:
            store: Where events are read and ticks are committed.
            locations: Where sensors are defined and evaluated.
            clock: Tells the time.
            timeout_s: How long user code may take.
            failure_backoff: The delays after failed ticks in a row.
            policy: What locations may ask of each other.
        """
        self._store = store
        self._asking = asking.Asking(store, locations, timeout_s=timeout_s, policy=policy)
        self._clock = clock
        self._failure_backoff = failure_backoff

    async def evaluate(self, evaluation: due.Evaluation) -> Outcome | Exhausted:
        """Carry out one evaluation."""
        key = evaluation.sensor.key
        try:
            return await self._evaluate(evaluation)
        except storage_errors.StorageUnavailable:
            return evaluations.Outcome(_Ending.POSTPONED)
        except errors.LocationError as error:
            _log.info(
                "evaluation postponed",
                extra={
                    "action": "evaluation_postponed",
                    "location": key.location_name,
                    "sensor": key.sensor_name,
                    "reason": error.reason,
                },
            )
            return evaluations.Outcome(_Ending.POSTPONED)
        except Exception:  # noqa: BLE001 - a bug met by one sensor must not end the others
            _log.exception(
                "evaluation broke off",
                extra={
                    "action": "evaluation_broke",
                    "location": key.location_name,
                    "sensor": key.sensor_name,
                },
            )
            return evaluations.Outcome(_Ending.POSTPONED)

    async def _evaluate(self, evaluation: due.Evaluation) -> Outcome | Exhausted:
        place, definition = self._asking.defined(evaluation.sensor.key)
        event = delivery = None
        if evaluation.sensor.kind in {due.Kind.ASSET, due.Kind.RUN_STATUS}:
            event = await self._asking.event(evaluation)
            if event is None:
                return await self._exhausted(evaluation)
        elif evaluation.sensor.kind is due.Kind.WEBHOOK:
            state = evaluation.state
            delivery = await self._store.webhooks.next(state.key, state.position)
            if delivery is None:
                return Exhausted()
        case = deciding.Case(
            evaluation=evaluation,
            definition=definition,
            place=place,
            tick_id=evaluations.new_id(),
            start_time=self._clock.now(),
            event=event,
            delivery=delivery,
            retry_after_s=self._failure_backoff.delay_s(evaluation.state.failures + 1),
        )
        return await self._commit(case, await self._asking.ask(case))

    async def _exhausted(self, evaluation: due.Evaluation) -> Exhausted:
        """Remember that there is nothing to decide on, where finding that out again would cost."""
        if evaluation.horizon - evaluation.state.position > _PASSED_OVER_MAX:
            await self._store.sensors.pass_over(evaluation.state, evaluation.horizon)
        return Exhausted()

    async def _commit(self, case: deciding.Case, commit: records.TickCommit) -> Outcome:
        key = commit.key
        instead = functools.partial(_unstorable, case)
        try:
            commit, tick = await evaluations.commit(
                commit, self._store.sensors.commit_tick, instead, self._clock
            )
        except storage_errors.StaleTick:
            # Somebody stopped the sensor, another leader was faster, or an earlier try was stored
            # after all.
            return evaluations.Outcome(_Ending.RELOADED, await self._store.sensors.state(key))
        except storage_errors.UnknownSensor:
            return evaluations.Outcome(_Ending.RELOADED, None)
        state = deciding.state_after(case.evaluation.state, commit, tick)
        if tick.status == automation_pb2.TICK_STATUS_FAILURE:
            return evaluations.Outcome(_Ending.FAILED, state)
        return evaluations.Outcome(_Ending.COMMITTED, state)


def _unstorable(case: deciding.Case, cause: str) -> records.TickCommit:
    """Return what to commit in place of what storage cannot take."""
    return deciding.failed(case, deciding.unstorable(case, cause))
