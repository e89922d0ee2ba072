"""Hooks: when they are called, what they see, and what becomes of their own failures."""

import pytest

import atoll as dg
from atoll._definitions import runs
from atoll._execution import events as event_sinks
from atoll._execution import runs as run_execution

T = dg.EventType


@dg.op
def good(context):
    context.add_output_metadata({"rows": 1})
    return 5


@dg.op
def bad():
    raise ValueError("broken")


@pytest.fixture
def seen():
    return []


@pytest.fixture
def noting(seen):
    @dg.success_hook
    def noting(context):
        seen.append(context.step_key)

    return noting


def test_a_hook_sees_the_step_that_ended(seen):
    @dg.success_hook
    def after_success(context):
        seen.append(
            (
                context.job_name,
                context.op.name,
                context.op_exception,
                dict(context.op_output_values),
                context.op_output_metadata["result"],
                context.hook_def.name,
            )
        )

    @dg.failure_hook
    def after_failure(context):
        seen.append((context.step_key, str(context.op_exception)))

    @dg.job(hooks={after_success, after_failure})
    def made():
        good()
        bad()

    result = made.execute_in_process(raise_on_error=False)
    told = ("made", "good", None, {"result": 5}, {"rows": dg.IntMetadataValue(1)}, "after_success")
    assert seen == [told, ("bad", "broken")]
    for kind in (T.HOOK_COMPLETED, T.HOOK_SKIPPED):
        assert len(result.filter_events(kind)) == 2


def test_hooks_are_on_calls_jobs_and_graphs(seen, noting):
    @dg.graph
    def on_a_call():
        good.with_hooks({noting})()
        good.alias("without")()

    @noting
    @dg.job
    def on_a_job():
        good()

    @dg.job
    def on_a_graph():
        on_a_call.with_hooks({noting}).alias("inner")()

    on_a_call.execute_in_process()
    on_a_job.execute_in_process()
    on_a_graph.execute_in_process()
    assert seen == ["good", "good", "inner.good", "inner.without"]


def test_hooks_are_on_assets_and_their_jobs(seen, noting):
    @dg.asset(hooks={noting})
    def own():
        return 1

    @dg.asset
    def other():
        return 1

    manager = {"io_manager": dg.InMemoryIOManager()}
    job = dg.define_asset_job("made", [other], hooks={noting})
    defs = dg.Definitions(assets=[own, other], jobs=[job], resources=manager)
    dg.materialize([own], resources=manager)
    defs.get_job_def("made").execute_in_process()
    assert seen == ["own", "other"]


def test_a_hook_sees_outputs_that_nobody_keeps_for_the_caller(seen):
    @dg.success_hook
    def valued(context):
        seen.append(dict(context.op_output_values))

    @dg.job(hooks={valued})
    def made():
        good()

    sink = event_sinks.ListSink()
    run = runs.Run("made", "run-1")
    execution = run_execution.RunExecution(run, sink, dg.Instance.ephemeral(), job=made)
    assert execution.execute()
    assert seen == [{"result": 5}]


def test_hooks_have_resources(seen):
    @dg.success_hook(required_resource_keys={"slack"})
    def telling(context):
        seen.append(context.resources.slack)

    @dg.job(hooks={telling}, resource_defs={"slack": dg.ResourceDefinition.hardcoded_resource("s")})
    def made():
        good()

    made.execute_in_process()
    assert seen == ["s"]


def test_a_hook_that_raises_fails_nothing():
    @dg.success_hook
    def raising(context):
        raise ValueError("hook")

    @dg.job(hooks={raising})
    def made():
        good()

    result = made.execute_in_process()
    (event,) = result.filter_events(T.HOOK_ERRORED)
    assert (result.success, event.failure.message) == (True, "hook")


def test_a_hook_is_called_directly_by_tests(seen):
    @dg.failure_hook(required_resource_keys={"slack"})
    def telling(context):
        seen.append((context.resources.slack, str(context.op_exception), context.op.name))

    context = dg.build_hook_context(resources={"slack": "s"}, op=bad, op_exception=ValueError("x"))
    telling(context)
    assert seen == [("s", "x", "bad")]
    assert dg.build_hook_context(run_id="r", job_name="j").run_id == "r"
