"""A worker that died without a last word still gives its run a true end."""

import os
import signal

import pytest

from atoll._execution import process_ends
from atoll._location import errors, run_directory, sealing, spool
from atoll.events.v1 import events_pb2
from atoll.location.v1 import location_pb2


@pytest.fixture
def directory(tmp_path):
    found = run_directory.run_directory(tmp_path, "run-1")
    found.accept(location_pb2.RunPlan(run_id="run-1", job_name="job", attempt=1), "b1")
    return found


def _event(body: str, step_key: str = "") -> events_pb2.Event:
    event = events_pb2.Event(run_id="run-1", step_key=step_key)
    getattr(event, body).SetInParent()
    return event


def _write(directory, *bodies: tuple[str, str]) -> None:
    writer = spool.create(directory.events_path)
    for body, step_key in bodies:
        writer.append(_event(body, step_key))
    writer.close()


def _bodies(directory) -> list[tuple[str, str]]:
    return [
        (event.WhichOneof("body"), event.step_key) for event in spool.events(directory.events_path)
    ]


def test_the_open_step_and_the_run_fail(directory):
    _write(
        directory,
        ("run_started", ""),
        ("asset_materialization_planned", "c"),
        ("step_started", "a"),
        ("step_succeeded", "a"),
        ("step_started", "b"),
        ("log_message", "b"),
    )
    directory.output_file("b", "err").write_text("Segfault in libfast.so\n")
    progress = sealing.seal(directory, -signal.SIGSEGV)
    assert progress.final_event == "run_failed"
    assert _bodies(directory)[-2:] == [("step_failed", "b"), ("run_failed", "")]
    *_, step, run = spool.events(directory.events_path)
    assert (step.seq, run.seq) == (7, 8)
    assert step.job_name == run.job_name == "job"
    assert "SIGSEGV" in run.run_failed.failure.message
    assert step.step_failed.failure.last_output == "Segfault in libfast.so"
    assert run.run_failed.failure.last_output == "Segfault in libfast.so"
    assert run.timestamp.seconds > 0


def test_a_canceled_run_ends_as_canceled(directory):
    _write(directory, ("run_started", ""), ("step_started", "a"))
    directory.request_cancel()
    assert sealing.seal(directory, -signal.SIGKILL).final_event == "run_canceled"
    assert _bodies(directory)[-1] == ("run_canceled", "")


def test_a_run_that_has_ended_is_left_as_it_is(directory):
    _write(directory, ("run_started", ""), ("run_succeeded", ""))
    assert sealing.seal(directory, -signal.SIGKILL).final_event == "run_succeeded"
    assert len(_bodies(directory)) == 2


def test_sealing_twice_changes_nothing(directory):
    _write(directory, ("run_started", ""))
    sealing.seal(directory)
    before = _bodies(directory)
    sealing.seal(directory)
    assert _bodies(directory) == before == [("run_started", ""), ("run_failed", "")]


def test_a_worker_that_never_wrote_a_word_fails_its_run(directory):
    (directory.path / "worker.pb").write_bytes(b"")
    assert sealing.seal(directory, 70).final_event == "run_failed"
    (event,) = spool.events(directory.events_path)
    assert event.seq == 1
    assert "exit code 70" in event.run_failed.failure.message


def test_a_torn_tail_is_cut_off_first(directory):
    _write(directory, ("run_started", ""), ("step_started", "a"))
    path = directory.events_path / "000001.spool"
    os.truncate(path, path.stat().st_size - 1)
    sealing.seal(directory)
    assert _bodies(directory) == [("run_started", ""), ("run_failed", "")]


def test_a_step_whose_start_was_deleted_already_is_still_seen(directory):
    _write(directory, ("log_message", "a"))
    sealing.seal(directory)
    assert ("step_failed", "a") in _bodies(directory)


def test_a_living_worker_is_not_sealed(directory):
    _write(directory, ("run_started", ""))
    directory.write_identity("b1")
    lock = directory.lock_worker()
    with pytest.raises(errors.WorkerLockedError):
        sealing.seal(directory)
    lock.release()
    assert len(_bodies(directory)) == 1


@pytest.mark.parametrize(
    ("exit_code", "part"),
    [
        (None, "nobody saw"),
        (0, "exit code 0"),
        (3, "os._exit"),
        (-9, "SIGKILL (9). Did the machine"),
        (-64, "64"),
        (-40, "the signal 40"),
    ],
)
def test_how_a_worker_died_is_told_in_words(exit_code, part):
    assert part in process_ends.how_it_died(exit_code)
