"""Schedules: runs asked for at the times of cron schedules.

Called by users, by whoever evaluates ticks and by whoever describes a location. When a schedule is
due is the business of the host; here stands what one tick decides. The contexts that functions
receive are made by the layer above; this module knows them only as far as `ScheduleContext` says.
"""

import datetime as dt
import enum
import importlib
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from atoll import errors
from atoll._definitions import (
    asset_events,
    asset_selection,
    run_requests,
    schedule_policies,
    schedule_results,
    sources,
    tick_functions,
    tick_targets,
    ticks,
)
from atoll._definitions import jobs as job_definitions
from atoll._definitions import metadata as metadata_values
from atoll._definitions import run_config as run_configs
from atoll._partitions import contexts

JobTarget: TypeAlias = tick_targets.JobTarget
ScheduleTarget: TypeAlias = JobTarget | asset_selection.CoercibleToAssetSelection
ScheduleFunction: TypeAlias = Callable[..., Any]
ANONYMOUS_JOB_PREFIX = "__anonymous_asset_job_"


class DefaultScheduleStatus(str, enum.Enum):
    """Whether a schedule asks for runs until somebody starts or stops it."""

    RUNNING = "RUNNING"
    STOPPED = "STOPPED"


class ScheduleContext(Protocol):
    """What a schedule needs of the context of a tick."""

    @property
    def scheduled_time(self) -> dt.datetime | None:
        """The time that the tick is for, None where a test does not say."""
        ...

    @property
    def instance(self) -> Any:
        """Answers questions about assets and runs."""
        ...

    @property
    def definitions(self) -> Any:
        """The definitions of the location, None where they are not known."""
        ...

    @property
    def resources_by_key(self) -> Mapping[str, Any]:
        """The resources by key."""
        ...


class ScheduleDefinition:
    """Runs asked for at the times of a cron schedule. Also made by `schedule`.

    What the runs are like comes from constants, from `run_config_fn` and `tags_fn`, or from
    `execution_fn`. With that too, `tags` or `tags_fn` give labels to all runs, and it is only
    called where `should_execute` returns a true value.

    Args:
        name: The name; made of the job's where not given.
        cron_schedule: When it is due: a cron schedule, or several.
        job_name: The job that it asks for.
        run_config: The run configuration; the job's own where not given.
        run_config_fn: Makes the run configuration, given the context.
        tags: Labels of the runs.
        tags_fn: Makes the labels, given the context.
        metadata: What to attach to the definition.
        should_execute: Tells whether to ask for a run at all, given the context.
        environment_vars: Not used: a location has the environment that it was started with.
        execution_timezone: The time zone of the cron schedule; UTC where not given.
        execution_fn: Returns or yields what to do: run requests, a reason to skip, or the
            configuration of one run.
        description: What the schedule is for.
        job: The job that it asks for.
        default_status: Whether it asks for runs until somebody starts or stops it.
        required_resource_keys: The resources that its functions take from `context.resources`.
        target: The job, or the assets, that it asks for.
        owners: Who answers for the schedule.
        skipped_times: What becomes of a time of the day that daylight saving skips: "shift", it is
            due at the first moment that there is, or "skip", it is not due on that day.
        repeated_times: What becomes of a time of the day that daylight saving repeats: it is due
            the "first" time, the "last" time, or "both" times. A cron schedule of every hour
            follows the time that passes, whatever is said here.
        max_catchup_runs: How many of the ticks that were missed while the host or the location was
            away are made up for, the newest of them; what the host says where not given.
        max_tick_retries: How often a tick that failed is tried again; what the host says where not
            given.

    Raises:
        InvalidDefinitionError: Something of it cannot be, or two things contradict each other.

    Example:
        `nightly = ScheduleDefinition(job=load, cron_schedule="0 3 * * *")`
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        cron_schedule: str | Sequence[str] | None = None,
        job_name: str | None = None,
        run_config: run_configs.CoercibleToRunConfig | None = None,
        run_config_fn: ScheduleFunction | None = None,
        tags: Mapping[str, str] | None = None,
        tags_fn: ScheduleFunction | None = None,
        metadata: metadata_values.RawMetadataMapping | None = None,
        should_execute: ScheduleFunction | None = None,
        environment_vars: Mapping[str, str] | None = None,
        execution_timezone: str | None = None,
        execution_fn: ScheduleFunction | None = None,
        description: str | None = None,
        job: JobTarget | None = None,
        default_status: DefaultScheduleStatus = DefaultScheduleStatus.STOPPED,
        required_resource_keys: Collection[str] | None = None,
        target: ScheduleTarget | None = None,
        owners: Sequence[str] | None = None,
        skipped_times: schedule_policies.SkippedTimes = "shift",
        repeated_times: schedule_policies.RepeatedTimes = "first",
        max_catchup_runs: int | None = None,
        max_tick_retries: int | None = None,
    ) -> None:
        self.name = _name(name, job_name, job, target)
        self._target: JobTarget | None = _target(self.name, job_name, job, target)
        self.job_name: str = str(job_name) if self._target is None else self._target.name
        self.cron_schedule = _checked_cron(self.name, cron_schedule)
        self.execution_timezone = _checked_timezone(self.name, execution_timezone)
        _refuse_contradictions(
            self.name,
            {"run_config": run_config, "tags": tags},
            {"run_config_fn": run_config_fn, "tags_fn": tags_fn, "should_execute": should_execute},
            execution_fn,
        )
        self._run_config = None if run_config is None else run_configs.to_plain(run_config)
        self.tags: Mapping[str, str] = asset_events.checked_tags(tags)
        given = {
            "run_config_fn": run_config_fn,
            "tags_fn": tags_fn,
            "should_execute": should_execute,
            "execution_fn": execution_fn,
        }
        self._functions = {
            kind: tick_functions.TickFunction(one, self._whose, "build_schedule_context")
            for kind, one in given.items()
            if one is not None
        }
        self.metadata = metadata_values.normalize(metadata)
        self.environment_vars = dict(environment_vars or {})
        documented = None if execution_fn is None else inspect.getdoc(execution_fn)
        self.description = description or documented
        self.default_status = _checked_status(self.name, default_status)
        self.required_resource_keys: frozenset[str] = frozenset(required_resource_keys or ()).union(
            *(one.required_resource_keys for one in self._functions.values())
        )
        self.owners = tuple(owners or ())
        self.policies = schedule_policies.checked(
            self.name,
            schedule_policies.SchedulePolicies(
                skipped_times=skipped_times,
                repeated_times=repeated_times,
                max_catchup_runs=max_catchup_runs,
                max_tick_retries=max_tick_retries,
            ),
        )
        position = None if execution_fn is None else sources.of_function(execution_fn)
        self.source = position or sources.of_caller()

    @property
    def cron_schedules(self) -> Sequence[str]:
        """The cron schedules: one or several."""
        one = self.cron_schedule
        return (one,) if isinstance(one, str) else one

    @property
    def has_job(self) -> bool:
        """Whether the job was given as an object."""
        return self._target is not None

    @property
    def has_anonymous_job(self) -> bool:
        """Whether the schedule asks for assets, by a job of its own."""
        return self.job_name.startswith(ANONYMOUS_JOB_PREFIX)

    @property
    def job(self) -> JobTarget:
        """The job that it asks for.

        Raises:
            InvalidInvocationError: It was given by name only.
        """
        if self._target is None:
            raise errors.InvalidInvocationError(
                f"{self._whose} knows its job {self.job_name!r} by name only. Give it job=, or ask "
                "the definitions."
            )
        return self._target

    @property
    def target(self) -> str | JobTarget:
        """The job that it asks for, or its name."""
        return self.job_name if self._target is None else self._target

    @property
    def jobs(self) -> Sequence[JobTarget]:
        """The job, where it was given as an object."""
        return () if self._target is None else (self._target,)

    def with_updated_job(self, new_job: JobTarget) -> "ScheduleDefinition":
        """Return the schedule asking for another job."""
        return self._changed(_target=new_job, job_name=new_job.name)

    def with_attributes(
        self,
        *,
        job: JobTarget | None = None,
        metadata: metadata_values.RawMetadataMapping | None = None,
    ) -> "ScheduleDefinition":
        """Return the schedule with other attributes.

        Args:
            job: The job that it asks for.
            metadata: What is attached to the definition, in place of what is there.
        """
        changes: dict[str, Any] = {}
        if job is not None:
            changes.update(_target=job, job_name=job.name)
        if metadata is not None:
            changes["metadata"] = metadata_values.normalize(metadata)
        return self._changed(**changes)

    def unknown_parameters(self, resource_keys: Collection[str]) -> Sequence[str]:
        """Return the parameters of its functions that nothing is known to give to.

        Args:
            resource_keys: The resources that there are.
        """
        every = (one.unknown_parameters(resource_keys) for one in self._functions.values())
        return [name for some in every for name in some]

    def used_resource_keys(self, resource_keys: Collection[str]) -> Sequence[str]:
        """Return the resources that a tick needs.

        Args:
            resource_keys: The resources that there are. A parameter called like one of them
                receives it, also where it is not annotated.
        """
        named = (one.named_resources(resource_keys) for one in self._functions.values())
        return (*self.required_resource_keys, *(name for some in named for name in some))

    def evaluate_tick(self, context: ScheduleContext) -> ticks.TickResult:
        """Evaluate the schedule once.

        Args:
            context: The context; in tests, from `build_schedule_context`.

        Returns:
            What the schedule decided.

        Raises:
            UserCodeExecutionError: A function raised.
            InvariantViolationError: What it returned makes no sense.
        """
        decided = self._decided(context)
        if isinstance(decided, run_requests.SkipReason):
            return ticks.TickResult(skip_message=decided.skip_message)
        targets = tick_targets.Targets(self._whose, [self.job_name], self.jobs)
        tag = (run_requests.SCHEDULE_NAME_TAG, self.name)
        # A tick that comes late is for the partitions that there are by now.
        now = contexts.resolve().now
        moment = max(context.scheduled_time or now, now)
        with contexts.partition_loading_context(moment):
            return ticks.TickResult(tuple(targets.completed(one, context, tag) for one in decided))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the decorated function directly, as tests do.

        Args:
            args: The context, if the function takes it.
            kwargs: The same by name. Resources that are not among them come from the context.

        Raises:
            InvalidInvocationError: There is no such function.
        """
        function = self._functions.get("execution_fn")
        if function is None:
            raise errors.InvalidInvocationError(
                f"{self._whose} is made of no function that could be called. Use evaluate_tick."
            )
        return function.call_directly(args, kwargs)

    @property
    def _whose(self) -> str:
        return f"The schedule {self.name!r}"

    def _decided(
        self, context: ScheduleContext
    ) -> Sequence[run_requests.RunRequest] | run_requests.SkipReason:
        should_execute = self._functions.get("should_execute")
        if should_execute is not None and not self._called(should_execute, context):
            return run_requests.SkipReason(f"should_execute of {self.name!r} returned False.")
        tags: Any = self.tags
        if "tags_fn" in self._functions:
            tags = self._called(self._functions["tags_fn"], context)
        execution_fn = self._functions.get("execution_fn")
        if execution_fn is not None:
            with schedule_results.user_code(self.name):
                items = ticks.listed(execution_fn.call(context), schedule_results.SINGLE)
            return schedule_results.collected(self.name, items, asset_events.checked_tags(tags))
        config: Any = self._run_config
        if "run_config_fn" in self._functions:
            config = self._called(self._functions["run_config_fn"], context)
        return [run_requests.RunRequest(run_config=config, tags=tags)]

    def _called(self, function: tick_functions.TickFunction, context: ScheduleContext) -> Any:
        with schedule_results.user_code(self.name):
            return function.call(context)

    def _changed(self, **changes: Any) -> "ScheduleDefinition":
        copied = object.__new__(type(self))
        copied.__dict__.update({**self.__dict__, **changes})
        return copied

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, cron_schedule={self.cron_schedule!r})"


def _name(name: str | None, job_name: str | None, job: JobTarget | None, target: Any) -> str:
    if name is None:
        jobs_given, _ = tick_targets.split(job if job is not None else target)
        known = job_name or (jobs_given[0].name if jobs_given else None)
        if known is None:
            raise errors.InvalidDefinitionError(
                "A schedule of assets needs a name. Give it name=."
                if target is not None
                else "A schedule asks for a job or for assets. Give it one of job=, job_name= and "
                "target=."
            )
        return f"{known}_schedule"
    if not _is_name(name):
        raise errors.InvalidDefinitionError(
            f"The name of a schedule is a string without slashes, got {name!r}."
        )
    return name


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value) and "/" not in value


def _target(
    name: str, job_name: str | None, job: JobTarget | None, target: Any
) -> JobTarget | None:
    """Return the job of a schedule, None where only its name is known."""
    given = [
        what
        for what, one in (("job_name", job_name), ("job", job), ("target", target))
        if one is not None
    ]
    if len(given) != 1:
        told = f"got {' and '.join(given)}" if given else "got none of them"
        raise errors.InvalidDefinitionError(
            f"The schedule {name!r} asks for one job, or for assets: {told}. Give one of job=, "
            "job_name= and target=."
        )
    if job_name is not None:
        return None
    found, assets = tick_targets.split(job if job is not None else target)
    if len(found) == 1:
        return found[0]
    if found or job is not None:
        raise errors.InvalidDefinitionError(
            f"The schedule {name!r} asks for one job, got {target if job is None else job!r}. Make "
            "a schedule for each job."
        )
    selection = asset_selection.AssetSelection.from_coercible(assets if assets is not None else ())
    return job_definitions.UnresolvedAssetJobDefinition(
        f"{ANONYMOUS_JOB_PREFIX}{name}", selection=selection, source=sources.of_caller()
    )


def _checked_cron(name: str, cron_schedule: Any) -> str | tuple[str, ...]:
    given = (cron_schedule,) if isinstance(cron_schedule, str) else tuple(cron_schedule or ())
    if not given:
        raise errors.InvalidDefinitionError(
            f"The schedule {name!r} has no cron schedule, got {cron_schedule!r}. Give it "
            "cron_schedule=, such as '0 3 * * *' for every day at three."
        )
    try:
        for one in given:
            _calendar("crons").parse(one)
    except errors.InvalidDefinitionError as error:
        raise errors.InvalidDefinitionError(
            f"The schedule {name!r} is never due. {error}"
        ) from error
    return cron_schedule if isinstance(cron_schedule, str) else given


def _checked_timezone(name: str, timezone: str | None) -> str | None:
    if timezone is not None:
        try:
            _calendar("zones").zone(timezone)
        except errors.InvalidDefinitionError as error:
            raise errors.InvalidDefinitionError(
                f"The execution_timezone of the schedule {name!r} cannot be used. {error}"
            ) from error
    return timezone


def _checked_status(name: str, status: DefaultScheduleStatus) -> DefaultScheduleStatus:
    try:
        return DefaultScheduleStatus(status)
    except ValueError:
        raise errors.InvalidDefinitionError(
            f"The default status of the schedule {name!r} is {status!r}. Give "
            "DefaultScheduleStatus.RUNNING or DefaultScheduleStatus.STOPPED."
        ) from None


def _refuse_contradictions(
    name: str,
    constants: Mapping[str, Any],
    functions: Mapping[str, Any],
    execution_fn: Any,
) -> None:
    for what, value in constants.items():
        if value is not None and functions[f"{what}_fn"] is not None:
            raise errors.InvalidDefinitionError(
                f"The schedule {name!r} has both {what} and {what}_fn. Give one of them."
            )
    for what in ("run_config", "run_config_fn"):
        given = {**constants, **functions}[what]
        if execution_fn is not None and given is not None:
            raise errors.InvalidDefinitionError(
                f"The schedule {name!r} has {what} beside execution_fn, which decides that too. "
                "Leave one or the other out."
            )


def _calendar(name: str) -> Any:
    # Definitions import this module; calendars and time zones only whoever makes a schedule.
    return importlib.import_module(f"atoll._partitions.{name}")
