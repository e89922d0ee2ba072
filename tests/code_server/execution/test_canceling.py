import signal
import threading

import pytest

import atoll as dg
from atoll._definitions import runs
from atoll._execution import events as event_sinks
from atoll._execution import runs as execution

T = dg.EventType


@pytest.fixture
def signal_cancels():
    """Let SIGUSR1 cancel whatever runs in the main thread, as a run worker does with SIGTERM."""

    def cancel(_number, _frame):
        raise execution.RunCanceledError

    before = signal.signal(signal.SIGUSR1, cancel)
    yield lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


def _run(*assets):
    sink = event_sinks.ListSink()
    run = runs.Run("__ASSET_JOB", "r")
    defs = dg.Definitions(assets=assets)
    return execution.execute_run(defs, run, sink, dg.Instance.ephemeral()), sink.events


def test_a_canceled_run_cleans_up_and_ends_as_canceled(signal_cancels):
    told = []

    @dg.asset
    def waiting():
        try:
            signal_cancels()
            threading.Event().wait(10)
        except Exception:  # noqa: BLE001 - the point: this does not catch a cancellation
            told.append("swallowed")
        finally:
            told.append("cleaned up")

    @dg.asset(deps=[waiting])
    def never():
        told.append("ran")

    succeeded, found = _run(waiting, never)
    assert not succeeded
    assert told == ["cleaned up"]
    assert [one.event_type for one in found][-2:] == [T.STEP_FAILURE, T.RUN_CANCELED]
    assert "canceled" in found[-2].message


def test_an_async_asset_is_canceled_as_well(signal_cancels):
    told = []

    @dg.asset
    async def waiting():
        try:
            signal_cancels()
            await __import__("asyncio").sleep(10)
        finally:
            told.append("cleaned up")

    succeeded, found = _run(waiting)
    assert not succeeded
    assert told == ["cleaned up"]
    assert found[-1].event_type is T.RUN_CANCELED


def test_a_cancellation_between_steps_counts(signal_cancels):
    class Canceling(event_sinks.ListSink):
        def emit(self, event):
            super().emit(event)
            if event.event_type is T.STEP_SUCCESS:
                signal_cancels()

    @dg.asset
    def one(): ...

    sink = Canceling()
    run = runs.Run("__ASSET_JOB", "r")
    defs = dg.Definitions(assets=[one])
    assert not execution.execute_run(defs, run, sink, dg.Instance.ephemeral())
    assert sink.events[-1].event_type is T.RUN_CANCELED


def test_only_the_first_end_of_a_run_counts():
    sink = event_sinks.ListSink()
    for one in (T.RUN_START, T.RUN_SUCCESS, T.RUN_CANCELED):
        sink.emit(dg.Event(one))
    assert [one.event_type for one in sink.events] == [T.RUN_START, T.RUN_SUCCESS]


def test_an_interrupted_run_ends_as_canceled_and_is_raised():
    @dg.asset
    def interrupted():
        raise KeyboardInterrupt

    sink = event_sinks.ListSink()
    run = runs.Run("__ASSET_JOB", "r")
    with pytest.raises(KeyboardInterrupt):
        execution.execute_run(
            dg.Definitions(assets=[interrupted]), run, sink, dg.Instance.ephemeral()
        )
    assert sink.events[-1].event_type is T.RUN_CANCELED
