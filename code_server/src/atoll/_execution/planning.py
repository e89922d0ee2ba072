"""The plan of a run: its steps in order, with where their inputs come from and what they give.

Called by `runs` before anything of the user's is called, so that a run with a bad selection or bad
configuration fails before its first step. How graphs become steps stands in `flattening`.
"""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from atoll import errors
from atoll._definitions import asset_checks, asset_graph, assets, job_config, jobs, keys, runs
from atoll._definitions.nodes import hooks as hook_definitions
from atoll._definitions.nodes import ins_and_outs, retries
from atoll._definitions.nodes import op as ops
from atoll._execution import step_sources

PRIORITY_TAG = "atoll/priority"


@dataclasses.dataclass(frozen=True, slots=True)
class StepInput:
    """An input of a step and where it gets its value.

    Attributes:
        definition: The input.
        source: Where the value comes from.
    """

    definition: ins_and_outs.InputDefinition
    source: step_sources.Source

    @property
    def config_is_value(self) -> bool:
        """Whether what run configuration says of the input is its value."""
        return isinstance(self.source, (step_sources.FromConfig, step_sources.FromValue))


@dataclasses.dataclass(frozen=True, slots=True)
class StepOutput:
    """An output of a step and what it is.

    Attributes:
        definition: The output.
        asset_key: The asset that it is, if it is one.
        check: The check that it evaluates, if it does.
        is_selected: Whether the run asked for it; the others may be given and need not.
    """

    definition: ins_and_outs.OutputDefinition
    asset_key: keys.AssetKey | None = None
    check: asset_checks.AssetCheckSpec | None = None
    is_selected: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One step of a run.

    Attributes:
        key: The key of the step: the names of the graphs it stands in, and its own.
        op: What it does.
        config: What run configuration says for it.
        inputs: Its inputs.
        outputs: Its outputs.
        after: What of other steps has to be there first without being loaded; an output name of
            None means that the step has to succeed.
        assets_def: The assets or checks that it is a part of, if any.
        hooks: What is called after it.
        retry_policy: When it is tried again.
        tags: Labels.
        mapped_over: The dynamic output over whose values it is mapped, if any.
        mapping_key: Which of these values, for a copy that runs.
    """

    key: str
    op: ops.OpDefinition
    config: job_config.OpConfig
    inputs: tuple[StepInput, ...]
    outputs: tuple[StepOutput, ...]
    after: frozenset[tuple[str, str | None]] = frozenset()
    assets_def: assets.AssetsDefinition | None = None
    hooks: frozenset[hook_definitions.HookDefinition] = frozenset()
    retry_policy: retries.RetryPolicy | None = None
    tags: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    mapped_over: step_sources.FromStep | None = None
    mapping_key: str | None = None

    @property
    def upstream_keys(self) -> set[str]:
        """The steps that have to end before this one."""
        needed = {
            one.step_key for each in self.inputs for one in step_sources.steps_of(each.source)
        }
        return needed | {key for key, _ in self.after}

    @property
    def priority(self) -> int:
        """Which of several ready steps comes first: the highest."""
        told = self.tags.get(PRIORITY_TAG, "0")
        return int(told) if told.lstrip("-").isdigit() else 0

    def as_copy(self, step_key: str) -> "Step":
        """Return the step under the key of one of its copies."""
        return self if step_key == self.key else dataclasses.replace(self, key=step_key)

    @property
    def required_resource_keys(self) -> frozenset[str]:
        """The resources that it needs, those of its hooks and its storage included."""
        of_hooks = {key for one in self.hooks for key in one.required_resource_keys}
        managers = {one.definition.io_manager_key for one in self.outputs}
        loaders = {
            one.definition.input_manager_key
            for one in self.inputs
            if one.definition.input_manager_key
        }
        return self.op.required_resource_keys | of_hooks | managers | loaders


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a run does.

    Attributes:
        job: The job.
        steps: The steps in order.
        graph: The assets and checks of the location.
        asset_keys: The assets that the run is to compute or observe.
        check_keys: The checks that it is to evaluate.
        run_config: The plain run configuration in force.
        sections: The same, taken apart.
        graph_outputs: The steps and outputs that outputs of graphs come from, by the name of the
            graph in the job and that of the output; those of the job itself at the name "".
        others: Steps of the job that the run does not execute, because an earlier run did.
    """

    job: jobs.JobDefinition
    steps: tuple[Step, ...]
    graph: asset_graph.AssetGraph
    asset_keys: frozenset[keys.AssetKey]
    check_keys: frozenset[keys.AssetCheckKey]
    run_config: Mapping[str, Any]
    sections: job_config.Sections
    graph_outputs: Mapping[tuple[str, str], tuple[str, str]]
    others: tuple[Step, ...] = ()

    @functools.cached_property
    def steps_by_key(self) -> Mapping[str, Step]:
        """The steps by key."""
        return {one.key: one for one in self.steps}

    @functools.cached_property
    def others_by_key(self) -> Mapping[str, Step]:
        """The steps that the run does not execute, by key."""
        return {one.key: one for one in self.others}

    def maker_of(self, step_key: str) -> Step:
        """Return the step that a step key means, or that it is a copy of."""
        name = step_key.partition("[")[0]
        return self.steps_by_key.get(name) or self.others_by_key[name]

    @functools.cached_property
    def makers(self) -> Mapping[keys.AssetKey, step_sources.FromStep]:
        """The steps and outputs that make the assets of the run."""
        return {
            output.asset_key: step_sources.FromStep(step.key, output.definition.name)
            for step in self.steps
            for output in step.outputs
            if output.asset_key is not None
        }


def narrowed_job(job: jobs.JobDefinition, run: runs.Run) -> jobs.JobDefinition:
    """Return the job with what a run selects of it.

    Args:
        job: The job.
        run: The run.

    Raises:
        InvalidSubsetError: The run selects what the job does not hold.
    """
    if run.asset_selection or run.asset_check_selection is not None:
        if run.asset_selection is None and run.asset_check_selection is not None:
            return job.get_subset(asset_check_selection=run.asset_check_selection)
        return job.get_subset(
            asset_selection=run.asset_selection, asset_check_selection=run.asset_check_selection
        )
    if run.op_selection:
        return job.get_subset(op_selection=run.op_selection)
    return job


def in_order(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Sort steps so that each comes after those it needs, else as they were.

    Args:
        steps: The steps.

    Raises:
        InvalidDefinitionError: They need each other in a circle.
    """
    positions = {one.key: index for index, one in enumerate(steps)}
    downstream: list[list[int]] = [[] for _ in steps]
    waiting = [0] * len(steps)
    for index, one in enumerate(steps):
        for key in one.upstream_keys:
            if key in positions:
                downstream[positions[key]].append(index)
                waiting[index] += 1
    ready = [index for index, count in enumerate(waiting) if count == 0]
    for index in ready:  # grows while it is walked
        for dependent in downstream[index]:
            waiting[dependent] -= 1
            if waiting[dependent] == 0:
                ready.append(dependent)
    if len(ready) != len(steps):
        stuck = ", ".join(one.key for index, one in enumerate(steps) if waiting[index])
        raise errors.InvalidDefinitionError(
            f"The steps {stuck} wait for each other. Take one of the dependencies away."
        )
    return tuple(steps[index] for index in ready)


def with_mapping(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Tell which steps are mapped over the values of a dynamic output.

    Args:
        steps: The steps in order.

    Raises:
        InvalidDefinitionError: A step would be mapped over several dynamic outputs at once.
    """
    known = _Mapping({}, set())
    marked: list[Step] = []
    for one in steps:
        found = known.roots_of(one)
        if len(found) > 1:
            listed = ", ".join(sorted(f"{root.step_key}.{root.output_name}" for root in found))
            raise errors.InvalidDefinitionError(
                f"The step {one.key!r} is mapped over several dynamic outputs at once: {listed}. "
                "Collect all but one of them first."
            )
        dynamic = {each.definition.name for each in one.outputs if each.definition.is_dynamic}
        known.dynamic.update((one.key, name) for name in dynamic)
        if not found:
            marked.append(one)
            continue
        (root,) = found
        if dynamic:
            raise errors.InvalidDefinitionError(
                f"The step {one.key!r} has a dynamic output and is mapped over "
                f"{root.step_key}.{root.output_name}. Collect that first."
            )
        known.roots[one.key] = root
        marked.append(dataclasses.replace(one, mapped_over=root))
    return tuple(marked)


@dataclasses.dataclass
class _Mapping:
    """The dynamic outputs so far, and the steps that are mapped over one, directly or not."""

    roots: dict[str, step_sources.FromStep]
    dynamic: set[tuple[str, str]]

    def roots_of(self, one: Step) -> set[step_sources.FromStep]:
        """Return the dynamic outputs that a step is mapped over."""
        places = [
            (needed.step_key, needed.output_name)
            for each in one.inputs
            for needed in step_sources.steps_of(each.source)
            if not isinstance(needed, step_sources.FromCollected)
        ]
        if one.assets_def is None:
            places += [(key, output or "") for key, output in one.after]
        found = [
            step_sources.FromStep(*place) if place in self.dynamic else self.roots.get(place[0])
            for place in places
        ]
        return {root for root in found if root is not None}
