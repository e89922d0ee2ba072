"""What became of a run, asked of its events: the methods that all results of runs share.

The base of the results of `execute_in_process` and `materialize`. Holds no values: those belong to
whoever ran the steps.
"""

from collections.abc import Callable, Sequence
from typing import Any

from atoll import errors
from atoll._definitions import asset_checks, asset_events, events, failures, runs

EventFilter = Callable[[events.Event], bool]


class RunResult:
    """What became of a run.

    Args:
        run: The run in its final state.
        event_list: Its events in order, log messages included.
        job: The job that ran.
    """

    def __init__(self, run: runs.Run, event_list: Sequence[events.Event], job: Any = None) -> None:
        self._run = run
        self._events = tuple(event_list)
        self._job = job

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(run_id={self.run_id!r}, job_name={self._run.job_name!r}, "
            f"success={self.success})"
        )

    @property
    def success(self) -> bool:
        """Whether the run succeeded."""
        return self._run.is_success

    @property
    def run(self) -> runs.Run:
        """The run in its final state."""
        return self._run

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self._run.run_id

    @property
    def job_def(self) -> Any:
        """The job that ran."""
        return self._job

    @property
    def all_events(self) -> Sequence[events.Event]:
        """The events of the run in order, without log messages."""
        return [one for one in self._events if one.event_type is not events.EventType.LOG_MESSAGE]

    @property
    def all_node_events(self) -> Sequence[events.Event]:
        """The events of the steps in order, without log messages."""
        return [one for one in self.all_events if one.step_key is not None]

    @property
    def all_log_messages(self) -> Sequence[events.Event]:
        """What user code and Atoll logged during the run, in order."""
        return self.filter_events(events.EventType.LOG_MESSAGE)

    def filter_events(self, event_filter: EventFilter | events.EventType) -> list[events.Event]:
        """Return some of the events.

        Args:
            event_filter: Tells whether an event is wanted; or the type of the wanted ones.
        """
        if isinstance(event_filter, events.EventType):
            return [one for one in self._events if one.event_type is event_filter]
        return [one for one in self.all_events if event_filter(one)]

    def events_for_node(self, node_name: str) -> list[events.Event]:
        """Return the events of an op or graph of the job.

        Args:
            node_name: Its name, with those of the graphs around it: `"op"` or `"graph.op"`. Steps
                that an op was mapped to, and the ops inside a graph, belong to it.
        """
        return [one for one in self.all_node_events if _belongs(one.step_key or "", node_name)]

    def compute_events_for_handle(self, handle: str) -> list[events.Event]:
        """Return the events of an op or graph; see `events_for_node`."""
        return self.events_for_node(handle)

    def is_node_success(self, node_str: str) -> bool:
        """Tell whether an op or graph succeeded."""
        return self._has(node_str, events.EventType.STEP_SUCCESS) and not self.is_node_failed(
            node_str
        )

    def is_node_failed(self, node_str: str) -> bool:
        """Tell whether an op or graph failed."""
        return self._has(node_str, events.EventType.STEP_FAILURE)

    def is_node_skipped(self, node_str: str) -> bool:
        """Tell whether an op or graph was left out."""
        return self._has(node_str, events.EventType.STEP_SKIPPED)

    def is_node_untouched(self, node_str: str) -> bool:
        """Tell whether nothing happened to an op or graph."""
        return not self.events_for_node(node_str)

    def retry_attempts_for_node(self, node_str: str) -> int:
        """Return how often an op was tried again."""
        again = events.EventType.STEP_RESTARTED
        return sum(one.event_type is again for one in self.events_for_node(node_str))

    def failure_data_for_node(self, node_str: str) -> failures.FailureInfo | None:
        """Return why an op failed, None where it did not."""
        for event in self.events_for_node(node_str):
            if event.event_type is events.EventType.STEP_FAILURE:
                return event.failure
        return None

    def expectation_results_for_node(self, node_str: str) -> list[asset_events.ExpectationResult]:
        """Return what an op told of its expectations."""
        return [
            one.event_specific_data.expectation_result
            for one in self.events_for_node(node_str)
            if one.event_type is events.EventType.STEP_EXPECTATION_RESULT
        ]

    def asset_materializations_for_node(
        self, node_name: str
    ) -> Sequence[asset_events.AssetMaterialization]:
        """Return the materializations of an op or graph."""
        told = (one.materialization for one in self.events_for_node(node_name))
        return [one for one in told if one is not None]

    def asset_observations_for_node(
        self, node_name: str
    ) -> Sequence[asset_events.AssetObservation]:
        """Return the observations of an op or graph."""
        told = (one.observation for one in self.events_for_node(node_name))
        return [one for one in told if one is not None]

    def get_asset_materialization_events(self) -> list[events.Event]:
        """Return the events that tell of materializations."""
        return self.filter_events(events.EventType.ASSET_MATERIALIZATION)

    def get_asset_materialization_planned_events(self) -> list[events.Event]:
        """Return the events that tell of materializations to come."""
        return self.filter_events(events.EventType.ASSET_MATERIALIZATION_PLANNED)

    def get_asset_observation_events(self) -> list[events.Event]:
        """Return the events that tell of observations."""
        return self.filter_events(events.EventType.ASSET_OBSERVATION)

    def get_asset_check_evaluations(self) -> list[asset_checks.AssetCheckEvaluation]:
        """Return what the checks found."""
        told = (one.asset_check_evaluation for one in self._events)
        return [one for one in told if one is not None]

    def asset_check_evaluations_for_node(
        self, node_name: str
    ) -> list[asset_checks.AssetCheckEvaluation]:
        """Return what the checks found that an op or graph evaluated."""
        told = (one.asset_check_evaluation for one in self.events_for_node(node_name))
        return [one for one in told if one is not None]

    def get_step_success_events(self) -> list[events.Event]:
        """Return the events that tell of steps that succeeded."""
        return self.filter_events(events.EventType.STEP_SUCCESS)

    def get_step_failure_events(self) -> list[events.Event]:
        """Return the events that tell of steps that failed."""
        return self.filter_events(events.EventType.STEP_FAILURE)

    def get_step_skipped_events(self) -> list[events.Event]:
        """Return the events that tell of steps that were left out."""
        return self.filter_events(events.EventType.STEP_SKIPPED)

    def get_failed_step_keys(self) -> set[str]:
        """Return the steps that failed."""
        failed = self.get_step_failure_events()
        return {event.step_key for event in failed if event.step_key is not None}

    def get_run_success_event(self) -> events.Event:
        """Return the event that tells that the run succeeded.

        Raises:
            InvariantViolationError: It did not.
        """
        return self._only(events.EventType.RUN_SUCCESS)

    def get_run_failure_event(self) -> events.Event:
        """Return the event that tells that the run failed.

        Raises:
            InvariantViolationError: It did not.
        """
        return self._only(events.EventType.RUN_FAILURE)

    def _only(self, event_type: events.EventType) -> events.Event:
        found = self.filter_events(event_type)
        if len(found) != 1:
            raise errors.InvariantViolationError(
                f"The run {self.run_id} has no event {event_type.value}: it ended as "
                f"{self._run.status.value}."
            )
        return found[0]

    def _has(self, node_str: str, event_type: events.EventType) -> bool:
        return any(one.event_type is event_type for one in self.events_for_node(node_str))


def _belongs(step_key: str, node: str) -> bool:
    own = step_key.partition("[")[0]
    return node in (step_key, own) or own.startswith(f"{node}.")
