"""How graphs, assets and checks become the steps of a run.

Called once a run, by `plan`. Every op that a job holds, at any depth, becomes one step; inputs and
outputs of graphs disappear.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from atoll import errors
from atoll._definitions import (
    asset_graph,
    assets,
    config_contract,
    definitions,
    job_config,
    jobs,
    keys,
    op_selection,
    runs,
)
from atoll._definitions.nodes import bindings, graph, ins_and_outs, node, retries
from atoll._definitions.nodes import hooks as hook_definitions
from atoll._definitions.nodes import op as ops
from atoll._execution import planning, step_sources, storage_config

Handle = job_config.Handle
Environment = Callable[[str], step_sources.Source | None]


@dataclasses.dataclass(frozen=True)
class _Place:
    """What a node gets from where it stands."""

    handle: Handle
    hooks: frozenset[hook_definitions.HookDefinition]
    retry_policy: retries.RetryPolicy | None
    tags: Mapping[str, str]
    assets_def: assets.AssetsDefinition | None = None
    after: frozenset[tuple[str, str | None]] = frozenset()


def plan(
    defs: definitions.Definitions | None, job: jobs.JobDefinition, run: runs.Run
) -> planning.Plan:
    """Plan a run.

    Args:
        defs: The definitions of the location; None for a job by itself.
        job: The job.
        run: The run.

    Returns:
        The plan.

    Raises:
        InvalidSubsetError: The run selects what the job does not hold.
        InvalidConfigError: The run configuration does not fit.
        InvalidDefinitionError: The steps depend on each other in a circle.
    """
    chosen = planning.narrowed_job(job, run)
    config = chosen.config.in_force(dict(run.run_config), run.partition_key)
    selected = None if chosen is job else frozenset(name for name, _ in chosen.top_level_nodes)
    # What stands in run configuration for parts of the job that do not run is none of its errors.
    sections = job_config.take_apart(job, config, selected)
    known = (
        chosen.asset_layer.graph
        if chosen.asset_layer is not None
        else (defs.graph if defs is not None else asset_graph.AssetGraph((), ()))
    )
    flattening = _Flattening(chosen, sections, known)
    steps = _selected_ops(chosen, planning.in_order(flattening.steps()))
    steps = planning.with_mapping(steps)
    others: tuple[planning.Step, ...] = ()
    if run.step_keys_to_execute is not None:
        every, steps = steps, _selected_steps(steps, run)
        kept = {one.key for one in steps}
        others = tuple(one for one in every if one.key not in kept)
    made = planning.Plan(
        job=chosen,
        steps=steps,
        graph=known,
        asset_keys=chosen.asset_keys,
        check_keys=chosen.check_keys,
        run_config=config,
        sections=sections,
        graph_outputs=flattening.graph_outputs(),
        others=others,
    )
    for step in steps:
        if step.op.config_field is not None:
            step.op.config_field.check(step.config.plain, step.config.path)
    storage_config.check(made)
    return made


class _Flattening:
    def __init__(
        self,
        job: jobs.JobDefinition,
        sections: job_config.Sections,
        known: asset_graph.AssetGraph,
    ) -> None:
        self._job = job
        self._sections = sections
        self._known = known
        self._steps: list[planning.Step] = []
        self._makers: dict[keys.AssetKey, step_sources.FromStep] = {}

    def steps(self) -> list[planning.Step]:
        if self._job.graph_def is not None:
            self._graph(self._job.graph_def, self._top_place(()), self._given_inputs)
        else:
            self._assets()
        return self._steps

    def graph_outputs(self) -> dict[tuple[str, str], tuple[str, str]]:
        found: dict[tuple[str, str], tuple[str, str]] = {}
        if self._job.graph_def is not None:
            self._outputs_of_graph((), self._job.graph_def, found)
            return found
        for name, definition in self._job.top_level_nodes:
            self._outputs_of_graph((name,), definition, found)
        return found

    def _outputs_of_graph(
        self,
        handle: Handle,
        definition: node.NodeDefinition,
        found: dict[tuple[str, str], tuple[str, str]],
    ) -> None:
        if not isinstance(definition, graph.GraphDefinition):
            return
        for name in definition.outputs:
            source = self._output(handle, definition, name)
            found[".".join(handle), name] = (source.step_key, source.output_name)
        for one in definition.nodes:
            self._outputs_of_graph((*handle, one.name), one.definition, found)

    def _top_place(self, handle: Handle) -> _Place:
        return _Place(handle, self._job.hook_defs, None, {})

    def _given_inputs(self, name: str) -> step_sources.Source | None:
        if name in self._job.input_values:
            return step_sources.FromValue(self._job.input_values[name])
        return self._configured(self._sections.graph_inputs.get((), {}), name, ("inputs", name))

    def _assets(self) -> None:
        job = self._job
        chosen = self._known.definitions_of(sorted(job.asset_keys), sorted(job.check_keys))
        ordered = asset_graph.in_order([self._subset(one) for one in chosen])
        checks: dict[keys.AssetKey, set[tuple[str, str | None]]] = {}
        for one in ordered:
            place = dataclasses.replace(
                self._top_place((one.op_name,)),
                hooks=job.hook_defs | frozenset(one.hook_defs),
                assets_def=one,
                after=self._after(one, checks),
            )
            before = len(self._steps)
            self._node(one.node_def, place, self._asset_inputs(one))
            if one.is_subset:
                self._steps[before:] = _needed(self._steps[before:])
            for output, key in one.keys_by_output_name.items():
                self._makers[key] = self._output(place.handle, one.node_def, output)
            for output, check in one.check_specs_by_output_name.items():
                if check.blocking:
                    made = self._output(place.handle, one.node_def, output)
                    checks.setdefault(check.asset_key, set()).add((made.step_key, None))

    def _subset(self, one: assets.AssetsDefinition) -> assets.AssetsDefinition:
        if one.can_subset:
            return one.subset_for(self._job.asset_keys, self._job.check_keys)
        return one

    def _after(
        self,
        one: assets.AssetsDefinition,
        checks: Mapping[keys.AssetKey, set[tuple[str, str | None]]],
    ) -> frozenset[tuple[str, str | None]]:
        found: set[tuple[str, str | None]] = set()
        for key in one.needed_keys:
            maker = self._makers.get(key)
            if maker is not None:
                found.add((maker.step_key, maker.output_name))
        for key in one.dependency_keys:
            found |= checks.get(key, set())
        return frozenset(found)

    def _asset_inputs(self, one: assets.AssetsDefinition) -> Environment:
        def source(name: str) -> step_sources.Source | None:
            key = one.keys_by_input_name.get(name)
            return None if key is None else step_sources.FromAsset(key, self._makers.get(key))

        return source

    def _node(
        self, definition: node.NodeDefinition, place: _Place, environment: Environment
    ) -> None:
        if isinstance(definition, graph.GraphDefinition):
            self._graph(definition, place, environment)
        elif isinstance(definition, ops.OpDefinition):
            self._op(definition, place, environment)

    def _graph(self, made: graph.GraphDefinition, place: _Place, environment: Environment) -> None:
        configured = self._sections.graph_inputs.get(place.handle, {})

        def own_input(name: str) -> step_sources.Source | None:
            given = environment(name)
            if given is not None or not place.handle:
                return given
            path = (*job_config.path_of(place.handle), "inputs", name)
            return self._configured(configured, name, path)

        inherited = place.hooks | frozenset(made.hook_defs)
        for one in made.in_order():
            inner = _Place(
                (*place.handle, one.name),
                inherited | one.hook_defs,
                one.retry_policy or place.retry_policy,
                {**place.tags, **one.tags},
                place.assets_def,
                place.after,
            )

            def source(name: str, inner: _Place = inner) -> step_sources.Source | None:
                bound = made.bindings.get((inner.handle[-1], name))
                if bound is None:
                    return None
                return self._bound(place.handle, made, bound, own_input)

            self._node(one.definition, inner, source)

    def _bound(
        self,
        handle: Handle,
        made: graph.GraphDefinition,
        bound: bindings.Binding,
        own_input: Environment,
    ) -> step_sources.Source | None:
        if isinstance(bound, bindings.GraphInputRef):
            given = own_input(bound.input_name)
            if given is None:
                declared = made.input_named(bound.input_name)
                if declared.has_default:
                    return step_sources.FromValue(declared.default)
            return given
        if isinstance(bound, bindings.AssetRef):
            return step_sources.FromAsset(bound.asset_key, self._makers.get(bound.asset_key))
        if isinstance(bound, bindings.FanIn):
            members = [self._bound(handle, made, one, own_input) for one in bound.members]
            return step_sources.FromSeveral(tuple(one for one in members if one is not None))
        inner = made.node_for(bound.node_name)
        source = self._output((*handle, bound.node_name), inner.definition, bound.output_name)
        if bound.collected:
            return step_sources.FromCollected(source.step_key, source.output_name)
        return source

    def _output(
        self, handle: Handle, definition: node.NodeDefinition, output_name: str
    ) -> step_sources.FromStep:
        while isinstance(definition, graph.GraphDefinition):
            ref = definition.outputs[output_name]
            handle = (*handle, ref.node_name)
            definition = definition.node_for(ref.node_name).definition
            output_name = ref.output_name
        return step_sources.FromStep(".".join(handle), output_name)

    def _op(self, definition: ops.OpDefinition, place: _Place, environment: Environment) -> None:
        config = self._sections.ops.get(place.handle) or job_config.OpConfig(
            place.handle, definition, config_contract.NOT_GIVEN, {}
        )
        inputs: list[planning.StepInput] = []
        after = set(place.after)
        for one in definition.input_definitions:
            source = environment(one.name)
            path = (*job_config.path_of(place.handle), "inputs", one.name)
            if source is None:
                source = self._unbound(one, config.inputs, path)
            if one.is_nothing:
                for needed in () if source is None else step_sources.steps_of(source):
                    after.add((needed.step_key, needed.output_name))
                    if isinstance(needed, step_sources.FromCollected):
                        inputs.append(planning.StepInput(one, needed))
                continue
            if source is None:
                raise errors.InvalidConfigError(
                    f"Nothing gives the input {one.name!r} of {'.'.join(place.handle)!r} a value. "
                    f"Give it at {'/'.join(path)} of the run configuration.",
                    path,
                )
            inputs.append(planning.StepInput(one, source))
        self._steps.append(
            planning.Step(
                key=".".join(place.handle),
                op=definition,
                config=config,
                inputs=tuple(inputs),
                outputs=self._outputs(definition, place),
                after=frozenset(after),
                assets_def=place.assets_def,
                hooks=place.hooks | frozenset(definition.hook_defs),
                retry_policy=place.retry_policy
                or definition.retry_policy
                or self._job.op_retry_policy,
                tags={**definition.tags, **place.tags},
            )
        )

    def _unbound(
        self,
        one: ins_and_outs.InputDefinition,
        configured: Mapping[str, Any],
        path: tuple[str, ...],
    ) -> step_sources.Source | None:
        if one.input_manager_key is not None and one.asset_key is None:
            return step_sources.FromInputManager()
        given = self._configured(configured, one.name, path)
        if given is not None:
            return given
        if one.has_default:
            return step_sources.FromValue(one.default)
        if one.asset_key is not None:
            return step_sources.FromAsset(one.asset_key, self._makers.get(one.asset_key))
        return None

    def _configured(
        self, configured: Mapping[str, Any], name: str, path: tuple[str, ...]
    ) -> step_sources.Source | None:
        if name not in configured:
            return None
        return step_sources.FromConfig(configured[name], path)

    def _outputs(
        self, definition: ops.OpDefinition, place: _Place
    ) -> tuple[planning.StepOutput, ...]:
        one = place.assets_def
        if one is None:
            return tuple(planning.StepOutput(each) for each in definition.output_definitions)
        own_key = ".".join(place.handle)
        asset_outputs = self._own(one, own_key, one.keys_by_output_name)
        checks = self._own(one, own_key, one.check_specs_by_output_name)
        return tuple(
            planning.StepOutput(
                each,
                asset_outputs.get(each.name),
                checks.get(each.name),
                is_selected=self._is_selected(
                    one, asset_outputs.get(each.name), checks.get(each.name)
                ),
            )
            for each in definition.output_definitions
        )

    def _own(
        self, one: assets.AssetsDefinition, step_key: str, by_output: Mapping[str, Any]
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, meant in by_output.items():
            source = self._output((one.op_name,), one.node_def, name)
            if source.step_key == step_key:
                found[source.output_name] = meant
        return found

    def _is_selected(
        self, one: assets.AssetsDefinition, key: keys.AssetKey | None, check: Any
    ) -> bool:
        if not one.is_subset:
            return True
        if key is not None:
            return key in one.keys
        return check is None or check.key in one.check_keys


def _needed(steps: Sequence[planning.Step]) -> list[planning.Step]:
    """Keep the steps of a graph that give what was selected, and those that these need."""
    by_key = {one.key: one for one in steps}
    wanted = [one.key for one in steps if any(_is_wanted(each) for each in one.outputs)]
    found: set[str] = set()
    for key in wanted:  # grows while it is walked
        if key not in found:
            found.add(key)
            wanted += [needed for needed in by_key[key].upstream_keys if needed in by_key]
    return [one for one in steps if one.key in found]


def _is_wanted(output: planning.StepOutput) -> bool:
    return output.is_selected and (output.asset_key is not None or output.check is not None)


def _selected_ops(
    job: jobs.JobDefinition, steps: Sequence[planning.Step]
) -> tuple[planning.Step, ...]:
    if job.op_selection is None:
        return tuple(steps)
    upstream = {one.key: sorted(one.upstream_keys) for one in steps}
    chosen = set(op_selection.resolve(job.op_selection, upstream))
    return tuple(
        dataclasses.replace(
            one,
            inputs=tuple(_still_given(one, each, chosen, job.op_selection) for each in one.inputs),
            after=frozenset(each for each in one.after if each[0] in chosen),
        )
        for one in steps
        if one.key in chosen
    )


def _still_given(
    step: planning.Step, one: planning.StepInput, chosen: set[str], selection: Sequence[str]
) -> planning.StepInput:
    """Take an input from the configuration where the selection leaves out what gives it."""
    missing = [
        needed.step_key
        for needed in step_sources.steps_of(one.source)
        if needed.step_key not in chosen
    ]
    if not missing:
        return one
    name = one.definition.name
    handle = step.config.handle
    path = (*job_config.path_of(handle), "inputs", name)
    if name in step.config.inputs:
        source = step_sources.FromConfig(step.config.inputs[name], path)
        return dataclasses.replace(one, source=source)
    raise errors.InvalidSubsetError(
        f"The op {step.key!r} takes its input {name!r} from {missing[0]!r}, which the selection "
        f"{', '.join(selection)} leaves out. Select it too, for instance by '*{step.key}', or give "
        f"the input at {'/'.join(path)} of the run configuration."
    )


def _selected_steps(steps: Sequence[planning.Step], run: runs.Run) -> tuple[planning.Step, ...]:
    """Keep the steps that a run executes again; what others gave comes from the earlier run."""
    wanted = set(run.step_keys_to_execute or ())
    # A copy of a mapped step is asked for as "step[key]"; the plan knows it as "step".
    names = {key.partition("[")[0] for key in wanted}
    unknown = names - {one.key for one in steps}
    if unknown:
        raise errors.InvalidSubsetError(
            f"The run is to execute the steps {', '.join(sorted(unknown))}, which the job "
            f"{run.job_name!r} does not have."
        )
    parent = run.parent_run_id or ""

    def moved(source: step_sources.Source) -> step_sources.Source:
        return _from_parent(source, names, parent)

    return tuple(
        dataclasses.replace(
            one,
            inputs=tuple(
                dataclasses.replace(each, source=moved(each.source)) for each in one.inputs
            ),
            after=frozenset(each for each in one.after if each[0] in names),
        )
        for one in steps
        if one.key in names
    )


def _from_parent(
    source: step_sources.Source,
    names: set[str],
    parent: str,
) -> step_sources.Source:
    if isinstance(source, step_sources.FromStep) and source.step_key not in names:
        return step_sources.FromEarlierRun(
            parent,
            source.step_key,
            source.output_name,
            source.mapping_key,
        )
    if isinstance(source, step_sources.FromAsset):
        made_by = source.made_by
        kept = made_by is not None and made_by.step_key in names
        return source if kept else step_sources.FromAsset(source.asset_key)
    if isinstance(source, step_sources.FromSeveral):
        return step_sources.FromSeveral(
            tuple(_from_parent(one, names, parent) for one in source.members)
        )
    return source
