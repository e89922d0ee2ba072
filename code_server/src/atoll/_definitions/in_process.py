"""Running in the process of whoever asks: the port to the execution, and the result.

`JobDefinition.execute_in_process` and `Definitions.load_asset_value` stand here in the bottom
layer, while the execution stands above it. The execution registers itself when it is imported, and
is imported by name when it is first needed; so the arrow between the layers keeps pointing down,
and whoever only defines does not pay for it.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from atoll import _records as records
from atoll import errors
from atoll._definitions import asset_events, events, keys, run_results, runs


class ExecuteInProcessResult(run_results.RunResult):
    """What became of a run in this process.

    Args:
        run: The run in its final state.
        event_list: Its events in order, log messages included.
        outputs: The values that its steps gave, by step key and output name.
        step_keys: The steps and outputs of the assets, by asset.
        graph_outputs: The steps and outputs that outputs of graphs come from, by the name of the
            graph in the job and that of the output; those of the job itself at the name "".
        job: The job that ran.
    """

    def __init__(
        self,
        *,
        run: runs.Run,
        event_list: Sequence[events.Event],
        outputs: Mapping[tuple[str, str], Any],
        step_keys: Mapping[keys.AssetKey, tuple[str, str]],
        graph_outputs: Mapping[tuple[str, str], tuple[str, str]] | None = None,
        job: Any = None,
    ) -> None:
        super().__init__(run, event_list, job)
        self._outputs = dict(outputs)
        self._step_keys = dict(step_keys)
        self._graph_outputs = dict(graph_outputs or {})

    def output_for_node(
        self, node_str: str, output_name: str = asset_events.DEFAULT_OUTPUT_NAME
    ) -> Any:
        """Return the value that an op or graph gave.

        Args:
            node_str: Its name, with those of the graphs around it: `"op"` or `"graph.op"`; the op
                name of an asset.
            output_name: The output.

        Returns:
            The value; values by mapping key, where the op was mapped or the output is dynamic.

        Raises:
            StepOutputNotFoundError: It gave no such value.
        """
        place = self._graph_outputs.get((node_str, output_name), (node_str, output_name))
        if place in self._outputs:
            return self._outputs[place]
        start, end = f"{place[0]}[", "]"
        by_key = {
            step_key[len(start) : -len(end)]: value
            for (step_key, name), value in self._outputs.items()
            if step_key.startswith(start) and name == place[1]
        }
        if by_key:
            return by_key
        known = sorted({name for step_key, name in self._outputs if step_key == place[0]})
        raise errors.StepOutputNotFoundError(
            f"{node_str!r} gave no output {output_name!r} in this run. It gave "
            f"{', '.join(known) or 'nothing'}.",
            node_str,
            output_name,
        )

    def output_value(self, output_name: str = asset_events.DEFAULT_OUTPUT_NAME) -> Any:
        """Return the value of an output of the job's graph.

        Args:
            output_name: The output.

        Raises:
            StepOutputNotFoundError: The graph has no such output, or it has no value.
        """
        if ("", output_name) not in self._graph_outputs:
            own = [name for graph, name in self._graph_outputs if not graph]
            known = ", ".join(own) or "none"
            raise errors.StepOutputNotFoundError(
                f"The job {self._run.job_name!r} has no output {output_name!r}; it has {known}.",
                self._run.job_name,
                output_name,
            )
        return self.output_for_node(*self._graph_outputs["", output_name])

    def asset_value(self, asset_key: keys.CoercibleToAssetKey) -> Any:
        """Return the value that an asset was given in this run."""
        key = keys.AssetKey.from_coercible(asset_key)
        if key not in self._step_keys:
            known = ", ".join(repr(one.to_user_string()) for one in sorted(self._step_keys))
            raise errors.StepOutputNotFoundError(
                f"This run does not make the asset {key.to_user_string()!r}. It makes "
                f"{known or 'none'}.",
                keys.op_name_of(key),
                asset_events.DEFAULT_OUTPUT_NAME,
            )
        return self.output_for_node(*self._step_keys[key])


class JobExecution(records.Record):
    """How a job is to run in this process.

    Attributes:
        run_config: The plain run configuration; the job's own where empty.
        instance: The `Instance` to record in; an ephemeral one where None.
        raise_on_error: Whether a failure of user code is raised.
        asset_selection: Only these assets of the job; None means all.
        check_selection: Only these checks of the job; None means those of the selected assets.
        op_selection: Only these of the ops; None means all.
        step_keys: Only these steps; None means all. Inputs of others come from the parent run.
        partition_key: The partition that the run is for.
        run_id: The id of the run; made up where None.
        tags: Labels of the run, beside the job's.
        resources: Objects that replace those of the definitions, by resource key.
        input_values: Values of the graph's inputs.
        parent_run_id: The run that this one executes again, in part or as a whole.
        root_run_id: The first of a row of such runs.
        keeps_values: Whether values of ops are stored by the IO managers even where memory would
            do.
    """

    run_config: Mapping[str, Any] = {}
    instance: Any = None
    raise_on_error: bool = True
    asset_selection: Sequence[keys.AssetKey] | None = None
    check_selection: Sequence[keys.AssetCheckKey] | None = None
    op_selection: Sequence[str] | None = None
    step_keys: Sequence[str] | None = None
    partition_key: str | None = None
    run_id: str | None = None
    tags: Mapping[str, str] = {}
    resources: Mapping[str, Any] = {}
    input_values: Mapping[str, Any] = {}
    parent_run_id: str | None = None
    root_run_id: str | None = None
    keeps_values: bool = False


class Executor(Protocol):
    """Runs jobs and loads values; implemented by the execution."""

    def execute_job(self, job: Any, execution: JobExecution) -> ExecuteInProcessResult:
        """Run a job to its end."""
        ...

    def asset_value_loader(self, definitions: Any, instance: Any) -> Any:
        """Return what loads stored values of assets."""
        ...


_EXECUTOR_MODULE = "atoll._execution.materialization"
_JOBS_MODULE = "atoll._definitions.jobs"
_registered: list[Executor] = []
_job_makers: list[Callable[..., Any]] = []


def register(executor: Executor) -> None:
    """Make an executor the one that `executor` returns."""
    _registered[:] = [executor]


def executor() -> Executor:
    """Return the executor, loaded when first asked for."""
    if not _registered:
        importlib.import_module(_EXECUTOR_MODULE)
    return _registered[0]


def register_job_maker(make: Callable[..., Any]) -> None:
    """Make a function the one that makes jobs of graphs."""
    _job_makers[:] = [make]


def job_maker() -> Callable[..., Any]:
    """Return the function that makes jobs of graphs, which stand below jobs."""
    if not _job_makers:
        importlib.import_module(_JOBS_MODULE)
    return _job_makers[0]
