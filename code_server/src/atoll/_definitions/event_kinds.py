"""What kind of thing an event tells of, as questions that users ask of it.

The base of `events.Event`; nobody else calls it. The kinds themselves, and the data that events of
each kind carry, stand in `events`.
"""

from typing import Any

from atoll import errors


class EventKinds:
    """Questions about the kind of an event, and access to what events of that kind carry."""

    event_type: Any
    event_specific_data: Any
    step_key: str | None

    def _is(self, *kinds: str) -> bool:
        return self.event_type.value in kinds

    def _data(self, asked: str, *kinds: str) -> Any:
        if self._is(*kinds):
            return self.event_specific_data
        raise errors.InvariantViolationError(
            f"{asked} is of events of the kind {' or '.join(kinds)}; this one is "
            f"{self.event_type.value}."
        )

    @property
    def is_step_start(self) -> bool:
        """Whether a step began."""
        return self._is("STEP_START")

    @property
    def is_step_success(self) -> bool:
        """Whether a step succeeded."""
        return self._is("STEP_SUCCESS")

    @property
    def is_step_failure(self) -> bool:
        """Whether a step failed."""
        return self._is("STEP_FAILURE")

    @property
    def is_step_skipped(self) -> bool:
        """Whether a step was skipped."""
        return self._is("STEP_SKIPPED")

    @property
    def is_step_up_for_retry(self) -> bool:
        """Whether a step failed and is tried again."""
        return self._is("STEP_UP_FOR_RETRY")

    @property
    def is_step_restarted(self) -> bool:
        """Whether a step was begun again."""
        return self._is("STEP_RESTARTED")

    @property
    def is_successful_output(self) -> bool:
        """Whether a step gave an output."""
        return self._is("STEP_OUTPUT")

    @property
    def is_step_materialization(self) -> bool:
        """Whether an asset was materialized."""
        return self._is("ASSET_MATERIALIZATION")

    @property
    def is_asset_observation(self) -> bool:
        """Whether an asset was observed."""
        return self._is("ASSET_OBSERVATION")

    @property
    def is_asset_materialization_planned(self) -> bool:
        """Whether an asset is going to be materialized."""
        return self._is("ASSET_MATERIALIZATION_PLANNED")

    @property
    def is_asset_failed_to_materialize(self) -> bool:
        """Whether an asset was to be materialized and was not."""
        return self._is("ASSET_FAILED_TO_MATERIALIZE")

    @property
    def is_expectation_result(self) -> bool:
        """Whether an expectation of user code was told."""
        return self._is("STEP_EXPECTATION_RESULT")

    @property
    def is_handled_output(self) -> bool:
        """Whether an output was stored."""
        return self._is("HANDLED_OUTPUT")

    @property
    def is_loaded_input(self) -> bool:
        """Whether an input was loaded."""
        return self._is("LOADED_INPUT")

    @property
    def is_resource_init_failure(self) -> bool:
        """Whether resources could not be made ready."""
        return self._is("RESOURCE_INIT_FAILURE")

    @property
    def is_hook_event(self) -> bool:
        """Whether a hook was called or left out."""
        return self._is("HOOK_COMPLETED", "HOOK_ERRORED", "HOOK_SKIPPED")

    @property
    def is_engine_event(self) -> bool:
        """Whether Atoll tells how it ran the work."""
        return self._is("ENGINE_EVENT")

    @property
    def is_run_failure(self) -> bool:
        """Whether the run failed."""
        return self._is("RUN_FAILURE")

    @property
    def is_job_failure(self) -> bool:
        """Whether the run failed."""
        return self._is("RUN_FAILURE")

    @property
    def is_job_success(self) -> bool:
        """Whether the run succeeded."""
        return self._is("RUN_SUCCESS")

    @property
    def is_job_event(self) -> bool:
        """Whether the event is about the run as a whole."""
        return bool(self.event_type.value.startswith("RUN_"))

    @property
    def node_name(self) -> str | None:
        """The op that the event belongs to, by its name in its graph; None outside a step."""
        if self.step_key is None:
            return None
        return self.step_key.partition("[")[0].rpartition(".")[2]

    @property
    def step_success_data(self) -> Any:
        """How long the step took, and what it used.

        Raises:
            InvariantViolationError: The event is of another kind.
        """
        return self._data("step_success_data", "STEP_SUCCESS")

    @property
    def step_failure_data(self) -> Any:
        """Why the step failed.

        Raises:
            InvariantViolationError: The event is of another kind.
        """
        return self._data("step_failure_data", "STEP_FAILURE")

    @property
    def step_retry_data(self) -> Any:
        """Why the step is tried again, and when.

        Raises:
            InvariantViolationError: The event is of another kind.
        """
        return self._data("step_retry_data", "STEP_UP_FOR_RETRY")

    @property
    def step_output_data(self) -> Any:
        """The output that the step gave.

        Raises:
            InvariantViolationError: The event is of another kind.
        """
        return self._data("step_output_data", "STEP_OUTPUT")

    @property
    def step_input_data(self) -> Any:
        """The input that the step took.

        Raises:
            InvariantViolationError: The event is of another kind.
        """
        return self._data("step_input_data", "STEP_INPUT")

    @property
    def step_expectation_result_data(self) -> Any:
        """Whether the expectation held.

        Raises:
            InvariantViolationError: The event is of another kind.
        """
        return self._data("step_expectation_result_data", "STEP_EXPECTATION_RESULT")

    @property
    def step_materialization_data(self) -> Any:
        """What was materialized.

        Raises:
            InvariantViolationError: The event is of another kind.
        """
        return self._data("step_materialization_data", "ASSET_MATERIALIZATION")

    @property
    def asset_observation_data(self) -> Any:
        """What was observed.

        Raises:
            InvariantViolationError: The event is of another kind.
        """
        return self._data("asset_observation_data", "ASSET_OBSERVATION")

    @property
    def asset_materialization_planned_data(self) -> Any:
        """What is going to be materialized.

        Raises:
            InvariantViolationError: The event is of another kind.
        """
        return self._data("asset_materialization_planned_data", "ASSET_MATERIALIZATION_PLANNED")

    @property
    def asset_failed_to_materialize_data(self) -> Any:
        """What was not materialized, and why.

        Raises:
            InvariantViolationError: The event is of another kind.
        """
        return self._data("asset_failed_to_materialize_data", "ASSET_FAILED_TO_MATERIALIZE")

    @property
    def asset_check_planned_data(self) -> Any:
        """Which check is going to be evaluated.

        Raises:
            InvariantViolationError: The event is of another kind.
        """
        return self._data("asset_check_planned_data", "ASSET_CHECK_EVALUATION_PLANNED")

    @property
    def asset_check_evaluation_data(self) -> Any:
        """What the check found.

        Raises:
            InvariantViolationError: The event is of another kind.
        """
        return self._data("asset_check_evaluation_data", "ASSET_CHECK_EVALUATION")

    @property
    def asset_freshness_state_change_data(self) -> Any:
        """How the freshness of an asset changed.

        Raises:
            InvariantViolationError: The event is of another kind.
        """
        return self._data("asset_freshness_state_change_data", "FRESHNESS_STATE_CHANGE")

    @property
    def hook_completed_data(self) -> Any:
        """The hook that was called.

        Raises:
            InvariantViolationError: The event is of another kind.
        """
        return self._data("hook_completed_data", "HOOK_COMPLETED")

    @property
    def hook_errored_data(self) -> Any:
        """The hook that raised, and what.

        Raises:
            InvariantViolationError: The event is of another kind.
        """
        return self._data("hook_errored_data", "HOOK_ERRORED")

    @property
    def hook_skipped_data(self) -> Any:
        """The hook that had nothing to do.

        Raises:
            InvariantViolationError: The event is of another kind.
        """
        return self._data("hook_skipped_data", "HOOK_SKIPPED")

    @property
    def engine_event_data(self) -> Any:
        """How Atoll ran the work.

        Raises:
            InvariantViolationError: The event is of another kind.
        """
        return self._data("engine_event_data", "ENGINE_EVENT")

    @property
    def logs_captured_data(self) -> Any:
        """The steps whose output is captured together.

        Raises:
            InvariantViolationError: The event is of another kind.
        """
        return self._data("logs_captured_data", "LOGS_CAPTURED")

    @property
    def job_failure_data(self) -> Any:
        """Why the run failed.

        Raises:
            InvariantViolationError: The event is of another kind.
        """
        return self._data("job_failure_data", "RUN_FAILURE")
