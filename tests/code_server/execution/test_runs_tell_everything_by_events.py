import contextlib

import pytest

import atoll as dg
from atoll._definitions import events, runs
from atoll._execution import events as event_sinks
from atoll._execution import runs as execution
from atoll._execution import step_boundary

T = dg.EventType


class Scale(dg.Config):
    factor: int


@dg.asset
def numbers(context: dg.AssetExecutionContext):
    context.log.warning("got %d", 3)
    return [1, 2, 3]


@dg.asset(code_version="7")
def total(numbers, config: Scale):
    return dg.Output(sum(numbers) * config.factor, metadata={"n": 3}, tags={"t": "v"})


def _run(defs, job_name="__ASSET_JOB", **options):
    sink = event_sinks.ListSink()
    run = runs.Run(job_name, "run-1", **options)
    succeeded = execution.execute_run(defs, run, sink, dg.Instance.ephemeral())
    return succeeded, sink.events


def _shape(found):
    return [(one.event_type, one.step_key) for one in found]


def _last_failure(found):
    assert found[-1].event_type is T.RUN_FAILURE
    return found[-1].event_specific_data.failure


def test_a_run_of_two_steps():
    config = {"ops": {"total": {"config": {"factor": 2}}}}
    succeeded, found = _run(dg.Definitions(assets=[total, numbers]), run_config=config)
    assert succeeded
    assert _shape(found) == [
        (T.RUN_START, None),
        (T.ASSET_MATERIALIZATION_PLANNED, None),
        (T.ASSET_MATERIALIZATION_PLANNED, None),
        (T.STEP_START, "numbers"),
        (T.LOG_MESSAGE, "numbers"),
        (T.STEP_OUTPUT, "numbers"),
        (T.ASSET_MATERIALIZATION, "numbers"),
        (T.HANDLED_OUTPUT, "numbers"),
        (T.STEP_SUCCESS, "numbers"),
        (T.STEP_START, "total"),
        (T.LOADED_INPUT, "total"),
        (T.STEP_OUTPUT, "total"),
        (T.ASSET_MATERIALIZATION, "total"),
        (T.HANDLED_OUTPUT, "total"),
        (T.STEP_SUCCESS, "total"),
        (T.RUN_SUCCESS, None),
    ]
    assert {one.run_id for one in found} == {"run-1"}
    assert {one.job_name for one in found} == {"__ASSET_JOB"}
    assert all(one.timestamp > 0 for one in found)
    log = found[4]
    assert (log.message, log.event_specific_data.level) == ("got 3", 30)
    materialization = found[12].materialization
    assert materialization.metadata["n"] == dg.IntMetadataValue(3)
    assert isinstance(materialization.metadata["path"], dg.PathMetadataValue)
    assert materialization.tags["t"] == "v"
    assert materialization.tags["atoll/code_version"] == "7"
    assert "atoll/input_data_version/numbers" in materialization.tags
    assert found[13].event_specific_data.manager_key == "io_manager"
    assert found[10].event_specific_data.asset_key == numbers.key
    assert found[-2].event_specific_data.duration_ms > 0


def test_who_runs_it_is_told_first():
    sink = event_sinks.ListSink()
    who = events.RunStartData("build", 5, "host", "fork")
    run = runs.Run("__ASSET_JOB", "r")
    execution.execute_run(
        dg.Definitions(assets=[numbers]), run, sink, dg.Instance.ephemeral(), start=who
    )
    assert sink.events[0].event_specific_data == who


def test_a_failed_step_skips_those_below_it_and_no_others():
    ran = []

    @dg.asset
    def broken():
        raise ValueError("bad rows")

    @dg.asset
    def below(broken): ...

    @dg.asset(deps=[below])
    def further_below(): ...

    @dg.asset
    def beside():
        ran.append("beside")

    succeeded, found = _run(dg.Definitions(assets=[broken, below, further_below, beside]))
    assert not succeeded
    assert ran == ["beside"]
    steps = {
        (one.event_type, one.step_key)
        for one in found
        if one.event_type in (T.STEP_FAILURE, T.STEP_SKIPPED, T.STEP_SUCCESS)
    }
    assert steps == {
        (T.STEP_FAILURE, "broken"),
        (T.STEP_SKIPPED, "below"),
        (T.STEP_SKIPPED, "further_below"),
        (T.STEP_SUCCESS, "beside"),
    }
    failed = next(one for one in found if one.event_type is T.STEP_FAILURE)
    failure = failed.event_specific_data.failure
    assert (failure.type, failure.message) == ("ValueError", "bad rows")
    assert [frame.function for frame in failure.frames] == ["broken"]
    skipped = next(one for one in found if one.event_type is T.STEP_SKIPPED)
    assert skipped.event_specific_data.upstream_step_keys == ("broken",)
    assert _last_failure(found).cause == failure


@pytest.mark.parametrize("raised", [SystemExit(3), GeneratorExit(), BaseException("odd")])
def test_what_is_no_exception_fails_the_step_as_well(raised):
    @dg.asset
    def leaving():
        raise raised

    succeeded, found = _run(dg.Definitions(assets=[leaving]))
    assert not succeeded
    assert found[-1].event_type is T.RUN_FAILURE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"job_name": "nope"}, "no job 'nope'"),
        ({"asset_selection": frozenset({dg.AssetKey("other")})}, "'other'"),
        (
            {"run_config": {"ops": {"total": {"config": {"factor": "x"}}}}},
            "ops/total/config/factor",
        ),
        ({}, "ops/total/config/factor: a value is required"),
        ({"run_config": {"ops": {"numbers": {"config": {"a": 1}}}}}, "ops/numbers/config"),
    ],
)
def test_what_cannot_be_planned_fails_before_the_first_step(options, message):
    succeeded, found = _run(dg.Definitions(assets=[numbers, total]), **options)
    assert not succeeded
    assert [one.event_type for one in found] == [T.RUN_START, T.RUN_FAILURE]
    assert message in _last_failure(found).message


def test_the_config_of_the_job_holds_where_the_run_has_none():
    config = dg.RunConfig(ops={"total": Scale(factor=5)})
    defs = dg.Definitions(assets=[numbers, total], jobs=[dg.define_asset_job("job", config=config)])
    result = defs.get_job_def("job").execute_in_process()
    assert result.asset_value("total") == 30
    other = {"ops": {"total": {"config": {"factor": 1}}}}
    result = defs.get_job_def("job").execute_in_process(run_config=other, tags={"a": "b"})
    assert result.asset_value("total") == 6
    assert result.run.tags == {"a": "b"}


def test_each_step_runs_within_its_boundary():
    seen = []

    class Boundary(step_boundary.StepBoundary):
        @contextlib.contextmanager
        def around(self, step_key):
            seen.append(("in", step_key))
            yield
            seen.append(("out", step_key))

    @dg.asset
    def broken(numbers):
        seen.append(("run", "broken"))
        raise ValueError

    run = runs.Run("__ASSET_JOB", "r")
    defs = dg.Definitions(assets=[numbers, broken])
    sink = event_sinks.ListSink()
    execution.execute_run(defs, run, sink, dg.Instance.ephemeral(), boundary=Boundary())
    assert seen[:3] == [("in", "numbers"), ("out", "numbers"), ("in", "broken")]
    assert seen[3] == ("run", "broken")


def test_a_missing_resource_fails_the_step_that_needs_it():
    @dg.asset(required_resource_keys={"db"})
    def needy(context): ...

    succeeded, found = _run(dg.Definitions(assets=[needy]))
    assert not succeeded
    assert "'db'" in _last_failure(found).cause.message


def test_a_sink_that_breaks_ends_the_run_without_hiding_it():
    class Full:
        def emit(self, event):
            raise OSError("disk full")

    run = runs.Run("__ASSET_JOB", "r")
    with pytest.raises(OSError, match="disk full"):
        execution.execute_run(
            dg.Definitions(assets=[numbers]), run, Full(), dg.Instance.ephemeral()
        )


def test_assets_in_a_circle_cannot_be_planned():
    @dg.asset
    def left(right): ...

    @dg.asset
    def right(left): ...

    succeeded, found = _run(dg.Definitions(assets=[left, right]))
    assert not succeeded
    assert "circle" in _last_failure(found).message
