"""Steps of a job with the multiprocess executor run at the same time, within their limits."""

import os
import pathlib
import resource
import signal

import pytest

import atoll as dg
from atoll._execution import fork_hazards

T = dg.EventType

pytestmark = pytest.mark.forks


def _executor(**config):
    return dg.multiprocess_executor.configured(config)


@pytest.fixture
def meeting():
    """Two functions that come back only when both were called, in whatever process."""
    here, there = os.pipe(), os.pipe()

    def meet(mine, other):
        os.write(mine[1], b"x")
        assert os.read(other[0], 1) == b"x"

    yield lambda: meet(here, there), lambda: meet(there, here)
    for descriptor in (*here, *there):
        os.close(descriptor)


@pytest.fixture
def counted(tmp_path):
    """Functions that note the beginning and the end of a step, and what they noted."""
    path = tmp_path / "noted"
    path.touch()

    def note(text):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.write(descriptor, text.encode())
        os.close(descriptor)

    def most():
        running = highest = 0
        for sign in path.read_text():
            running += 1 if sign == "+" else -1
            highest = max(highest, running)
        return highest

    return note, most


def test_two_steps_meet(meeting, run_job):
    one_meets, other_meets = meeting

    @dg.op
    def one():
        one_meets()

    @dg.op
    def other():
        other_meets()

    @dg.job(executor_def=_executor(max_concurrent=2))
    def both():
        one()
        other()

    told = run_job(both)
    assert told.succeeded
    started = told.of_type(T.STEP_WORKER_STARTED)
    pids = {one.event_specific_data.pid for one in started}
    assert len(pids) == 2
    assert os.getpid() not in pids
    assert pids == {one.event_specific_data.pid for one in told.of_type(T.STEP_WORKER_STARTING)}


def test_values_pass_through_io_managers_and_versions_through_the_run(run_job):
    @dg.asset
    def numbers():
        return [1, 2, 3]

    @dg.asset
    def total(numbers):
        return sum(numbers)

    job = dg.define_asset_job("sums", executor_def=dg.multiprocess_executor)
    told = run_job(job, assets=[numbers, total])
    assert told.succeeded
    made = {one.asset_key: one.materialization for one in told.of_type(T.ASSET_MATERIALIZATION)}
    version = made[dg.AssetKey("numbers")].tags["atoll/data_version"]
    assert version in made[dg.AssetKey("total")].tags.values()
    assert T.LOADED_INPUT in told.of_step("total")


def test_events_of_each_step_are_in_order(run_job):
    @dg.op
    def talks(context):
        for number in range(50):
            context.log.info("%d", number)

    @dg.job(executor_def=_executor(max_concurrent=4))
    def many():
        for number in range(6):
            talks.alias(f"talks_{number}")()

    told = run_job(many)
    assert told.succeeded
    for number in range(6):
        key = f"talks_{number}"
        kinds = told.of_step(key)
        assert kinds[:3] == [T.STEP_WORKER_STARTING, T.STEP_WORKER_STARTED, T.STEP_START]
        assert kinds[-1] is T.STEP_SUCCESS
        messages = [one.message for one in told.of_type(T.LOG_MESSAGE) if one.step_key == key]
        assert messages == [str(index) for index in range(50)]


def test_no_more_steps_run_at_once_than_are_allowed(counted, run_job):
    note, most = counted

    @dg.op
    def step():
        note("+")
        os.sched_yield()
        note("-")

    @dg.job(executor_def=_executor(max_concurrent=2))
    def many():
        for number in range(12):
            step.alias(f"step_{number}")()

    assert run_job(many).succeeded
    assert 1 <= most() <= 2


@pytest.mark.parametrize(
    ("limit", "most_expected"),
    [
        ({"key": "db", "limit": 1}, 1),
        ({"key": "db", "value": "a", "limit": 1}, 2),
        ({"key": "db", "value": {"applyLimitPerUniqueValue": True}, "limit": 1}, 2),
    ],
)
def test_steps_with_a_tag_are_limited(limit, most_expected, counted, run_job):
    note, most = counted

    @dg.op
    def step():
        note("+")
        os.sched_yield()
        note("-")

    @dg.job(executor_def=_executor(max_concurrent=4, tag_concurrency_limits=[limit]))
    def many():
        step.alias("b").tag({"db": "b"})()
        for number in range(5):
            step.alias(f"a_{number}").tag({"db": "a"})()

    assert run_job(many).succeeded
    assert most() <= most_expected


def test_the_highest_priority_begins_first(run_job):
    @dg.op
    def step(): ...

    @dg.job(executor_def=_executor(max_concurrent=1))
    def many():
        step.alias("low").tag({"atoll/priority": "-1"})()
        step.alias("first")()
        step.alias("second")()
        step.alias("high").tag({"atoll/priority": "3"})()

    told = run_job(many)
    order = [one.step_key for one in told.of_type(T.STEP_START)]
    assert order == ["high", "first", "second", "low"]


def test_a_step_that_waits_for_its_next_attempt_takes_no_place(run_job, tmp_path):
    gate = tmp_path / "gate"

    @dg.op(retry_policy=dg.RetryPolicy(max_retries=1, delay=0.05))
    def again():
        if not gate.exists():
            gate.touch()
            raise ValueError("not yet")

    @dg.op
    def other(): ...

    @dg.job(executor_def=_executor(max_concurrent=1))
    def both():
        again()
        other()

    told = run_job(both)
    assert told.succeeded
    starts = [
        (one.event_type, one.step_key) for one in told.of_type(T.STEP_START, T.STEP_RESTARTED)
    ]
    assert starts == [
        (T.STEP_START, "again"),
        (T.STEP_START, "other"),
        (T.STEP_RESTARTED, "again"),
    ]


def test_retries_can_be_switched_off(run_job):
    @dg.op(retry_policy=dg.RetryPolicy(max_retries=3))
    def fails():
        raise ValueError("no")

    @dg.op
    def asks():
        raise dg.RetryRequested(max_retries=3)

    @dg.job(executor_def=_executor(retries={"disabled": {}}))
    def once():
        fails()
        asks()

    told = run_job(once)
    assert told.of_type(T.STEP_UP_FOR_RETRY) == []
    assert {one.step_key for one in told.of_type(T.STEP_FAILURE)} == {"fails", "asks"}


@pytest.mark.slow
def test_a_hundred_copies_of_a_mapped_step(run_job):
    @dg.op(out=dg.DynamicOut())
    def numbers():
        for number in range(100):
            yield dg.DynamicOutput(number, f"n{number}")

    @dg.op
    def squared(number):
        return number * number

    @dg.op
    def total(context, squares):
        context.log.info("total %d", sum(squares))

    @dg.job(executor_def=_executor(max_concurrent=4))
    def fan_out():
        total(numbers().map(squared).collect())

    told = run_job(fan_out)
    assert told.succeeded
    assert f"total {sum(n * n for n in range(100))}" in [
        one.message for one in told.of_type(T.LOG_MESSAGE)
    ]


@pytest.mark.slow
def test_nothing_is_left_after_many_steps(run_job):
    @dg.op
    def step(): ...

    @dg.job(executor_def=_executor(max_concurrent=4))
    def many():
        for number in range(200):
            step.alias(f"step_{number}")()

    before = _descriptors()
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    assert run_job(many).succeeded
    assert _descriptors() == before
    assert [signal.getsignal(number) for number in signal.valid_signals()] == handlers
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_without_a_word_steps_run_in_the_process_of_the_run(run_job):
    pids = []

    @dg.op
    def step():
        pids.append(os.getpid())

    @dg.job
    def plain():
        step()

    told = run_job(plain)
    assert pids == [os.getpid()]
    assert told.of_type(T.STEP_WORKER_STARTED) == []


def test_run_configuration_chooses(run_job):
    @dg.op
    def step(): ...

    @dg.job(config={"execution": {"config": {"multiprocess": {"max_concurrent": 1}}}})
    def chosen():
        step()

    assert len(run_job(chosen).of_type(T.STEP_WORKER_STARTED)) == 1


def test_a_process_with_threads_runs_steps_itself_and_says_so(run_job, monkeypatch):
    monkeypatch.setattr(
        fork_hazards, "hazard", lambda: "a library left 1 native thread (x) running"
    )

    @dg.op
    def step(): ...

    @dg.job(executor_def=dg.multiprocess_executor)
    def plain():
        step()

    told = run_job(plain)
    assert told.succeeded
    (warned,) = told.of_type(T.ENGINE_EVENT)
    assert "native thread" in warned.message
    assert told.of_type(T.STEP_WORKER_STARTED) == []


def test_values_in_memory_are_refused(run_job):
    @dg.op
    def step():
        return 1

    @dg.job(executor_def=dg.multiprocess_executor, resource_defs={"io_manager": dg.mem_io_manager})
    def forgetful():
        step()

    told = run_job(forgetful)
    assert not told.succeeded
    (failed,) = told.of_type(T.RUN_FAILURE)
    assert "in memory" in failed.event_specific_data.failure.message


@pytest.mark.slow
def test_the_peak_of_memory_is_that_of_the_step(run_job):
    megabytes = 64
    big = bytearray(megabytes * 2**20)
    del big

    @dg.op
    def small(): ...

    @dg.op
    def large():
        return len(bytes(megabytes * 2**20).replace(b"\0", b"\1"))

    @dg.job(executor_def=_executor(max_concurrent=1))
    def both():
        small()
        large()

    told = run_job(both)
    peaks = {
        one.step_key: one.event_specific_data.usage.memory_peak_bytes
        for one in told.of_type(T.STEP_SUCCESS)
    }
    most_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert peaks["small"] + megabytes * 2**20 * 0.9 < min(peaks["large"], most_before)


def _descriptors() -> set[str]:
    return {path.name for path in pathlib.Path("/proc/self/fd").iterdir()}
