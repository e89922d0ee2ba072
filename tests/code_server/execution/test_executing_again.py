"""A run is executed again in part: what other steps gave is where earlier runs stored it."""

import pytest

import atoll as dg
from atoll._definitions import runs
from atoll._execution import events as event_sinks
from atoll._execution import runs as execution


class _Bench:
    """What steps of a test share: which of them ran, and which are to fail."""

    def __init__(self):
        self.ran = []
        self.failing = set()

    def step(self, name):
        self.ran.append(name)
        if name in self.failing:
            raise ValueError(name)

    def taken(self):
        taken, self.ran = self.ran, []
        return taken


@pytest.fixture
def bench():
    return _Bench()


@pytest.fixture
def instance(tmp_path):
    with dg.Instance.ephemeral(str(tmp_path)) as made:
        yield made


@pytest.fixture
def chain(bench):
    @dg.op
    def one():
        bench.step("one")
        return 1

    @dg.op(out={"even": dg.Out(is_required=False), "odd": dg.Out(is_required=False)})
    def split(one):
        bench.step("split")
        yield dg.Output(one, "odd")

    @dg.op
    def for_odd(value):
        bench.step("for_odd")
        return value + 10

    @dg.op
    def for_even(value):
        bench.step("for_even")

    @dg.op
    def last(value):
        bench.step("last")
        return value + 100

    @dg.job
    def chain():
        even, odd = split(one())
        for_even(even)
        last(for_odd(odd))

    return chain


@pytest.fixture
def mapped(bench):
    @dg.op(out=dg.DynamicOut())
    def keys():
        bench.step("keys")
        for key in ("b", "a", "c"):
            yield dg.DynamicOutput(key, key)

    @dg.op
    def doubled(key):
        bench.step(f"doubled {key}")
        return key * 2

    @dg.op
    def marked(text):
        bench.step(f"marked {text}")
        return f"<{text}>"

    @dg.op
    def joined(texts):
        bench.step("joined")
        return "".join(texts)

    @dg.job
    def mapped():
        joined(keys().map(lambda key: marked(doubled(key))).collect())

    return mapped


def _again_from_failure(job, instance, run_id):
    options = dg.ReexecutionOptions.from_failure(run_id, instance)
    return dg.execute_job(job, instance, reexecution_options=options)


def test_a_result_tells_what_the_run_did(chain, instance):
    with dg.execute_job(dg.reconstructable(chain), instance, tags={"a": "b"}) as result:
        assert result.success
        assert result.job_def is chain
        assert result.output_for_node("last") == 111
        assert instance.get_run_by_id(result.run_id).tags == {"a": "b"}


def test_a_failure_is_told_or_raised(chain, instance, bench):
    bench.failing = {"one"}
    result = dg.execute_job(chain, instance)
    assert result.get_failed_step_keys() == {"one"}
    with pytest.raises(ValueError, match="one"):
        dg.execute_job(chain, instance, raise_on_error=True)


def test_from_failure_executes_what_failed_and_what_was_left_out(chain, instance, bench):
    bench.failing = {"for_odd"}
    first = dg.execute_job(chain, instance)
    assert bench.taken() == ["one", "split", "for_odd"]
    bench.failing = set()
    with _again_from_failure(chain, instance, first.run_id) as again:
        assert again.success
        assert bench.taken() == ["for_odd", "last"]
        assert again.output_for_node("last") == 111
    # What an optional output was not given for is left out again.
    assert dg.EventType.STEP_SKIPPED in {
        one.event_type for one in again.events_for_node("for_even")
    }
    assert (again.run.parent_run_id, again.run.root_run_id) == (first.run_id, first.run_id)
    assert again.run.is_resume_retry


def test_a_row_of_runs_takes_each_value_from_the_run_that_made_it(chain, instance, bench):
    bench.failing = {"for_odd"}
    first = dg.execute_job(chain, instance)
    bench.failing = {"last"}
    second = _again_from_failure(chain, instance, first.run_id)
    assert not second.success
    bench.taken()
    bench.failing = set()
    with _again_from_failure(chain, instance, second.run_id) as third:
        assert bench.taken() == ["last"]
        assert third.output_for_node("last") == 111
    assert third.run.root_run_id == first.run_id
    options = dg.ReexecutionOptions(third.run_id, ["for_odd"])
    assert dg.execute_job(chain, instance, reexecution_options=options).success
    assert bench.taken() == ["for_odd"]


@pytest.mark.parametrize(
    ("selection", "ran"),
    [
        (["for_odd+"], ["for_odd", "last"]),
        (["+for_odd"], ["split", "for_odd"]),
        (["one", "last"], ["one", "last"]),
        ((), ["one", "split", "for_odd", "last"]),
    ],
)
def test_steps_are_selected(selection, ran, chain, instance, bench):
    first = dg.execute_job(chain, instance)
    bench.taken()
    options = dg.ReexecutionOptions(first.run_id, selection)
    assert dg.execute_job(chain, instance, reexecution_options=options).success
    assert bench.taken() == ran


def test_a_step_that_is_not_there_cannot_be_selected(chain, instance):
    first = dg.execute_job(chain, instance)
    options = dg.ReexecutionOptions(first.run_id, ["nowhere"])
    with pytest.raises(dg.InvalidSubsetError, match="nowhere"):
        dg.execute_job(chain, instance, reexecution_options=options)


def test_only_the_copies_that_failed_are_executed_again(mapped, instance, bench):
    bench.failing = {"marked aa", "doubled c"}
    first = dg.execute_job(mapped, instance)
    assert first.get_failed_step_keys() == {"marked[a]", "doubled[c]"}
    bench.taken()
    bench.failing = set()
    with _again_from_failure(mapped, instance, first.run_id) as again:
        assert again.success
        assert sorted(bench.taken()) == ["doubled c", "joined", "marked aa", "marked cc"]
        assert again.output_for_node("joined") == "<bb><aa><cc>"


def test_what_was_collected_is_collected_from_an_earlier_run(mapped, instance, bench):
    first = dg.execute_job(mapped, instance)
    bench.taken()
    options = dg.ReexecutionOptions(first.run_id, ["joined"])
    with dg.execute_job(mapped, instance, reexecution_options=options) as again:
        assert bench.taken() == ["joined"]
        assert again.output_for_node("joined") == "<bb><aa><cc>"


def test_one_copy_is_selected(mapped, instance, bench):
    first = dg.execute_job(mapped, instance)
    bench.taken()
    options = dg.ReexecutionOptions(first.run_id, ["marked[a]"])
    assert dg.execute_job(mapped, instance, reexecution_options=options).success
    assert bench.taken() == ["marked aa"]


def test_a_run_that_goes_on_finds_out_itself_what_is_left(chain, instance, bench):
    bench.failing = {"for_odd"}
    first = dg.execute_job(chain, instance)
    bench.taken()
    bench.failing = set()
    run = runs.Run(
        "chain",
        tags={runs.PARENT_RUN_TAG: first.run_id, runs.RESUME_RETRY_TAG: "true"},
    )
    defs = dg.Definitions(jobs=[chain])
    assert execution.execute_run(defs, run, event_sinks.ListSink(), instance)
    assert bench.taken() == ["for_odd", "last"]


def test_assets_are_loaded_as_they_are_stored(instance, bench):
    @dg.asset
    def numbers():
        bench.step("numbers")
        return [1, 2]

    @dg.asset
    def total(numbers):
        bench.step("total")
        return sum(numbers)

    defs = dg.Definitions(assets=[numbers, total], jobs=[dg.define_asset_job("sums")])
    job = defs.resolve_job_def("sums")
    bench.failing = {"total"}
    first = dg.execute_job(job, instance)
    bench.taken()
    bench.failing = set()
    with _again_from_failure(job, instance, first.run_id) as again:
        assert bench.taken() == ["total"]
        assert again.output_for_node("total") == 3


def test_an_io_manager_of_the_user_is_asked_for_the_run_that_stored_the_value(instance, bench):
    kept = {}

    class Shelf(dg.IOManager):
        def handle_output(self, context, obj):
            kept[tuple(context.get_identifier())] = obj

        def load_input(self, context):
            return kept[tuple(context.upstream_output.get_identifier())]

    @dg.op(out=dg.Out(io_manager_key="shelf"))
    def one():
        return 1

    @dg.op
    def last(one):
        bench.step("last")
        return one + 1

    @dg.job(resource_defs={"shelf": Shelf()})
    def shelved():
        last(one())

    bench.failing = {"last"}
    first = dg.execute_job(shelved, instance)
    assert list(kept) == [(first.run_id, "one", "result")]
    bench.failing = set()
    with _again_from_failure(shelved, instance, first.run_id) as again:
        assert again.output_for_node("last") == 2
    assert len(kept) == 1


def test_the_earlier_run_gives_configuration_and_selection(instance, bench):
    @dg.op(config_schema={"by": int})
    def one(context):
        bench.step(f"one {context.op_config['by']}")

    @dg.op
    def other():
        bench.step("other")

    @dg.job
    def two():
        one()
        other()

    bench.failing = {"one 3"}
    config = {"ops": {"one": {"config": {"by": 3}}}}
    first = dg.execute_job(two, instance, run_config=config, op_selection=["one"])
    bench.taken()
    bench.failing = set()
    assert _again_from_failure(two, instance, first.run_id).success
    assert bench.taken() == ["one 3"]


def test_a_run_that_did_not_fail_cannot_be_gone_on_with(chain, instance):
    first = dg.execute_job(chain, instance)
    with pytest.raises(dg.InvariantViolationError, match="SUCCESS"):
        dg.ReexecutionOptions.from_failure(first.run_id, instance)
    with pytest.raises(dg.RunNotFoundError, match="unknown"):
        dg.ReexecutionOptions.from_failure("unknown", instance)


def test_what_is_no_job_is_refused(chain):
    assert dg.reconstructable(lambda: chain).get_definition() is chain
    with pytest.raises(dg.InvariantViolationError, match="to_job"):
        dg.reconstructable(3)
    with pytest.raises(dg.InvariantViolationError, match="to_job"):
        dg.reconstructable(lambda: 3).get_definition()
