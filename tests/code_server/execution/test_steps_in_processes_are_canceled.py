"""A canceled run ends the processes of its steps, with time for the user's clean-up."""

import os
import signal

import pytest

import atoll as dg
from atoll._execution import events as event_sinks
from atoll._execution import forked_executor
from atoll._execution import runs as execution

T = dg.EventType

pytestmark = pytest.mark.forks


@pytest.fixture
def sigterm_cancels():
    """Let SIGTERM cancel what runs in the main thread, as a run worker does."""

    def cancel(_number, _frame):
        raise execution.RunCanceledError

    before = signal.signal(signal.SIGTERM, cancel)
    yield
    signal.signal(signal.SIGTERM, before)


class _CancelsWhenSaid(event_sinks.ListSink):
    """Sends SIGTERM to this process when as many steps as wanted have said that they wait."""

    def __init__(self, wanted):
        super().__init__()
        self._left = wanted

    def emit(self, event):
        super().emit(event)
        if event.event_type is T.LOG_MESSAGE and event.message == "waiting":
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGTERM)


def _gone(told):
    for one in told.of_type(T.STEP_WORKER_STARTED):
        with pytest.raises(ProcessLookupError):
            os.kill(one.event_specific_data.pid, 0)
    return True


@pytest.mark.usefixtures("sigterm_cancels")
def test_every_step_cleans_up(run_job):
    @dg.op
    def waits(context):
        try:
            context.log.info("waiting")
            signal.pause()
        except Exception:  # noqa: BLE001 - the point: this does not catch a cancellation
            context.log.info("swallowed")
        finally:
            context.log.info("cleaned up")

    @dg.op
    def never(one): ...

    @dg.job(executor_def=dg.multiprocess_executor.configured({"max_concurrent": 2}))
    def waiting():
        never(waits.alias("one")())
        waits.alias("other")()

    told = run_job(waiting, sink=_CancelsWhenSaid(2))
    assert not told.succeeded
    assert told.events[-1].event_type is T.RUN_CANCELED
    assert [one.message for one in told.of_type(T.LOG_MESSAGE)].count("cleaned up") == 2
    assert {one.step_key for one in told.of_type(T.STEP_FAILURE)} == {"one", "other"}
    assert all("canceled" in one.message for one in told.of_type(T.STEP_FAILURE))
    assert _gone(told)


@pytest.mark.usefixtures("sigterm_cancels")
def test_a_step_that_does_not_stop_is_killed(run_job, monkeypatch):
    monkeypatch.setattr(forked_executor, "_STOP_WITHIN_S", 0.1)

    @dg.op
    def stubborn(context):
        while True:
            try:
                context.log.info("waiting")
                signal.pause()
            except BaseException:  # noqa: BLE001, S110 - the point
                pass

    @dg.job(executor_def=dg.multiprocess_executor)
    def never_ending():
        stubborn()

    told = run_job(never_ending, sink=_CancelsWhenSaid(1))
    assert told.events[-1].event_type is T.RUN_CANCELED
    assert "SIGKILL" in told.failure_of("stubborn").message
    assert _gone(told)


def test_a_sink_that_breaks_leaves_no_process(run_job):
    started = []

    class Full(event_sinks.ListSink):
        def emit(self, event):
            super().emit(event)
            if event.event_type is T.STEP_WORKER_STARTED:
                started.append(event.event_specific_data.pid)
            if event.event_type is T.LOG_MESSAGE:
                raise OSError("disk full")

    @dg.op
    def waits(context):
        context.log.info("waiting")
        signal.pause()

    @dg.job(executor_def=dg.multiprocess_executor)
    def waiting():
        waits()

    with pytest.raises(OSError, match="disk full"):
        run_job(waiting, sink=Full())
    with pytest.raises(ProcessLookupError):
        os.kill(started[0], 0)
