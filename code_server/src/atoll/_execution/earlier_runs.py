"""What earlier runs left for one that executes parts of a job again.

Called by `runs` when a run names a parent and steps, or goes on where its parent failed. Everything
is read from the events of the earlier runs. A parent that executed parts of a job itself took the
rest from a run before it, so that a row of runs is read back to the one that executed everything.
"""

import dataclasses

from atoll._definitions import events, runs
from atoll._execution import planning, progress
from atoll._instance import instance as instances

_TOLD_BY = (
    events.EventType.STEP_OUTPUT,
    events.EventType.STEP_SUCCESS,
    events.EventType.STEP_FAILURE,
    events.EventType.STEP_SKIPPED,
)


def of_run(instance: instances.Instance, run: runs.Run) -> progress.Earlier:
    """Return what became earlier of the steps that a run does not execute.

    Args:
        instance: Answers for the earlier runs.
        run: The run.

    Returns:
        What each step gave, and in which run; nothing where the run executes everything.
    """
    if run.step_keys_to_execute is None or run.parent_run_id is None:
        return progress.Earlier()
    found = of_row(instance, run.parent_run_id)
    return dataclasses.replace(found, asked=frozenset(run.step_keys_to_execute))


def of_row(instance: instances.Instance, run_id: str) -> progress.Earlier:
    """Return what became of the steps of a run, and of those that it took from runs before.

    Args:
        instance: Answers for the runs.
        run_id: The last of the runs.
    """
    row: list[str] = []
    current: str | None = run_id
    while current is not None and current not in row:
        row.append(current)
        run = instance.get_run_by_id(current)
        # Which steps a resumed run executed is told by its events alone.
        executed_part = run is not None and (
            run.step_keys_to_execute is not None or run.is_resume_retry
        )
        current = run.parent_run_id if run is not None and executed_part else None
    outcomes: dict[str, progress.Outcome] = {}
    run_ids: dict[str, str] = {}
    for one in reversed(row):
        told = outcomes_of(instance, one)
        outcomes.update(told)
        run_ids.update(dict.fromkeys(told, one))
    return progress.Earlier(outcomes, run_ids)


def outcomes_of(instance: instances.Instance, run_id: str) -> dict[str, progress.Outcome]:
    """Return what became of the steps that a run executed or left out.

    Args:
        instance: Answers for the run's events.
        run_id: The run.
    """
    given: dict[str, dict[str, list[str | None]]] = {}
    found: dict[str, progress.Outcome] = {}
    for entry in instance.all_logs(run_id, of_type=set(_TOLD_BY)):
        event = entry.event
        if event is None or event.step_key is None:
            continue
        key, data = event.step_key, event.event_specific_data
        if isinstance(data, events.StepOutputData):
            by_name = given.setdefault(key, {})
            by_name.setdefault(data.output_name, []).append(data.mapping_key)
        elif event.event_type is events.EventType.STEP_SUCCESS:
            found[key] = progress.Outcome(succeeded=True, outputs=given.get(key, {}))
        elif event.event_type is events.EventType.STEP_FAILURE:
            found[key] = progress.FAILED
        elif event.event_type is events.EventType.STEP_SKIPPED:
            found[key] = progress.LEFT_OUT
    return found


def unfinished(plan: planning.Plan, earlier: progress.Earlier) -> list[str]:
    """Return the steps of a job that no earlier run has brought to a good end.

    Args:
        plan: Everything that the job does.
        earlier: What the earlier runs did.

    Returns:
        The keys of steps that failed, were left out or never began; of mapped steps the copies.
    """
    found: list[str] = []
    for step in plan.steps:
        keys = [step.key]
        root = step.mapped_over
        if root is not None:
            outcome = earlier.outcomes.get(root.step_key)
            if outcome is not None and outcome.succeeded:
                given = outcome.outputs.get(root.output_name, ())
                keys = [progress.copy_key(step.key, one) for one in given if one is not None]
        found += [key for key in keys if not _succeeded(earlier, key)]
    return found


def _succeeded(earlier: progress.Earlier, key: str) -> bool:
    outcome = earlier.outcomes.get(key)
    return outcome is not None and outcome.succeeded
