"""The death of a step's process fails that step alone, and tells how it died."""

import os
import pathlib
import signal

import pytest

import atoll as dg
from atoll._execution import step_boundary

T = dg.EventType

pytestmark = pytest.mark.forks


class _LastWords(step_boundary.StepBoundary):
    def last_output(self, step_key):
        return f"last words of {step_key}"


def _dies(how):
    @dg.op
    def dying():
        how()

    @dg.op
    def fine(): ...

    @dg.op
    def after(dying): ...

    @dg.job(executor_def=dg.multiprocess_executor)
    def deadly():
        after(dying())
        fine()

    return deadly


@pytest.mark.parametrize(
    ("how", "told_as"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "SIGKILL (9)"),
        (lambda: os.kill(os.getpid(), signal.SIGXCPU), "SIGXCPU (24)"),
        (lambda: os._exit(3), "exit code 3"),
        (lambda: os._exit(0), "exit code 0"),
    ],
)
def test_only_that_step_fails(how, told_as, run_job):
    told = run_job(_dies(how), boundary=_LastWords())
    assert not told.succeeded
    failure = told.failure_of("dying")
    assert failure.type == "atoll.StepProcessDied"
    assert told_as in failure.message
    assert failure.last_output == "last words of dying"
    assert told.of_step("fine")[-1] is T.STEP_SUCCESS
    assert told.of_step("after") == [T.STEP_SKIPPED]
    (ended,) = told.of_type(T.RUN_FAILURE)
    assert ended.event_specific_data.failure.cause == failure
    (usage,) = [one.event_specific_data.usage for one in told.of_type(T.STEP_FAILURE)]
    assert usage.memory_peak_bytes > 0


def test_a_death_is_tried_again_as_the_policy_says(run_job, tmp_path):
    died = tmp_path / "died"

    @dg.op(retry_policy=dg.RetryPolicy(max_retries=2))
    def dying(context):
        context.log.info("attempt %d", context.retry_number)
        if context.retry_number < 2:
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    @dg.job(executor_def=dg.multiprocess_executor)
    def deadly():
        dying()

    told = run_job(deadly)
    assert told.succeeded
    assert died.exists()
    assert [one.event_specific_data.attempt for one in told.of_type(T.STEP_UP_FOR_RETRY)] == [1, 2]
    assert [one.message for one in told.of_type(T.LOG_MESSAGE)] == [
        "attempt 0",
        "attempt 1",
        "attempt 2",
    ]


def test_a_death_after_the_end_of_the_step_changes_nothing(run_job):
    @dg.success_hook
    def deadly_hook(context):
        os._exit(1)

    @dg.op
    def step():
        return 1

    @dg.op
    def after(context, step):
        context.log.info("got %d", step)

    @dg.job(executor_def=dg.multiprocess_executor)
    def hooked():
        after(step.with_hooks({deadly_hook})())

    told = run_job(hooked)
    assert told.succeeded
    assert "got 1" in [one.message for one in told.of_type(T.LOG_MESSAGE)]
    assert "exit code 1" in told.of_type(T.ENGINE_EVENT)[0].message


def test_what_user_code_raises_is_told_with_its_frames(run_job):
    @dg.op
    def fails():
        raise ValueError("no rows")

    @dg.op
    def exits():
        raise SystemExit(3)

    @dg.job(executor_def=dg.multiprocess_executor)
    def failing():
        fails()
        exits()

    told = run_job(failing)
    failure = told.failure_of("fails")
    assert (failure.type, failure.message) == ("ValueError", "no rows")
    assert failure.frames[-1].function == "fails"
    assert told.failure_of("exits").type == "SystemExit"


def test_a_child_of_user_code_does_not_speak_for_the_step(run_job):
    @dg.op
    def forks(context):
        pid = os.fork()
        if pid == 0:
            context.log.info("from a fork")
            os._exit(0)
        os.waitpid(pid, 0)

    @dg.job(executor_def=dg.multiprocess_executor)
    def forking():
        forks()

    told = run_job(forking)
    assert told.succeeded
    assert told.of_type(T.LOG_MESSAGE) == []


def test_a_child_of_user_code_that_lives_on_holds_nothing_up(run_job):
    reader, writer = os.pipe()

    @dg.op
    def leaves_a_child():
        if os.fork() == 0:
            os.close(writer)
            # Ends when the test does.
            os.read(reader, 1)
            os._exit(0)

    @dg.job(executor_def=dg.multiprocess_executor)
    def leaving():
        leaves_a_child()

    assert run_job(leaving).succeeded
    os.close(writer)
    os.close(reader)


def test_resources_are_opened_and_closed_in_the_process_of_the_step(run_job, tmp_path):
    noted = tmp_path / "noted"

    class Database(dg.ConfigurableResource):
        def setup_for_execution(self, context):
            _append(noted, f"open {os.getpid()}\n")

        def teardown_after_execution(self, context):
            _append(noted, f"close {os.getpid()}\n")

    @dg.op
    def uses(db: Database): ...

    @dg.job(executor_def=dg.multiprocess_executor)
    def using():
        uses.alias("one")()
        uses.alias("other")()

    told = run_job(using, resources={"db": Database()})
    assert told.succeeded
    pids = {one.event_specific_data.pid for one in told.of_type(T.STEP_WORKER_STARTED)}
    lines = set(noted.read_text().split("\n")) - {""}
    assert lines == {f"{what} {pid}" for what in ("open", "close") for pid in pids}


def _append(path: pathlib.Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)
