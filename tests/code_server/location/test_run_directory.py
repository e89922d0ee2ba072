"""Runs survive in their directories, and a worker's death is seen for what it is."""

import contextlib
import os
import signal

import pytest

from atoll._location import errors, process_identity, run_directory
from atoll.location.v1 import location_pb2
from atoll.process.v1 import process_pb2

PLAN = location_pb2.RunPlan(run_id="run-1", job_name="job", attempt=1)
State = run_directory.WorkerState


@pytest.fixture
def directory(tmp_path):
    found = run_directory.run_directory(tmp_path / "runs", "run-1")
    assert found.accept(PLAN, "build-1")
    return found


@pytest.fixture
def worker(directory):
    """A process that holds the lock and wrote its identity, with a forked child of its own."""
    pid, _ = _start_worker(directory)
    yield pid
    _kill(pid)


def _kill(pid: int) -> None:
    for kill, target in ((os.killpg, pid), (os.kill, pid)):
        with contextlib.suppress(ProcessLookupError):
            kill(target, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def _start_worker(directory, *, with_child: bool = False) -> tuple[int, int]:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            lock = directory.lock_worker()
            directory.write_identity("build-1")
            child = 0
            if with_child:
                child = os.fork()
                if child == 0:
                    os.write(writing, b"%d " % os.getpid())
                    signal.pause()
            os.write(writing, b"%d." % child)
            signal.pause()
            lock.release()
        finally:
            os._exit(0)
    os.close(writing)
    told = b""
    while b"." not in told or (with_child and b" " not in told):
        data = os.read(reading, 100)
        assert data
        told += data
    os.close(reading)
    return pid, int(told.split(b".")[0].split()[-1]) if with_child else 0


def test_an_accepted_run_is_found_again(directory, tmp_path):
    (found,) = run_directory.run_directories(tmp_path / "runs")
    assert found.run_id == "run-1"
    assert found.read_plan() == PLAN
    assert found.read_build_id() == "build-1"


def test_accepting_the_same_plan_again_changes_nothing(directory):
    assert not directory.accept(PLAN, "build-2")
    assert directory.read_build_id() == "build-1"


def test_another_plan_of_the_same_run_is_refused(directory):
    other = location_pb2.RunPlan(run_id="run-1", job_name="job", attempt=2)
    with pytest.raises(errors.PlanConflictError, match=r"attempt 1 .* attempt 2") as caught:
        directory.accept(other, "build-1")
    assert caught.value.accepted_attempt == 1


def test_an_acceptance_cut_short_is_no_run(tmp_path):
    (tmp_path / "runs" / "run-2" / "events").mkdir(parents=True)
    assert run_directory.run_directories(tmp_path / "runs") == []
    assert not (tmp_path / "runs" / "run-2").exists()


@pytest.mark.parametrize("run_id", ["", "..", "a/b", ".hidden", "x" * 129, "a b", "-x"])
def test_a_run_id_never_leaves_the_folder_of_runs(tmp_path, run_id):
    with pytest.raises(errors.InvalidRunIdError, match="cannot be used"):
        run_directory.run_directory(tmp_path, run_id)


def test_a_damaged_plan_is_told(directory):
    (directory.path / "plan.pb").write_bytes(b"\xff\xff\xff")
    with pytest.raises(
        errors.RunDirectoryError, match=r"plan\.pb is no atoll\.location\.v1\.RunPlan"
    ):
        directory.read_plan()


def test_a_run_that_nobody_began_never_started(directory):
    assert directory.worker_state() is State.NEVER_STARTED


def test_a_run_whose_worker_holds_the_lock_is_alive_and_not_run_twice(directory, worker):
    assert directory.worker_state() is State.ALIVE
    with pytest.raises(errors.WorkerLockedError, match="runs this run already"):
        directory.lock_worker()


def test_a_killed_worker_is_dead_even_before_it_is_reaped(directory, worker):
    os.kill(worker, signal.SIGKILL)
    os.waitid(os.P_PID, worker, os.WEXITED | os.WNOWAIT)
    assert directory.worker_state() is State.DEAD
    directory.lock_worker().release()


def test_a_forked_child_that_keeps_the_lock_does_not_keep_the_worker_alive(directory):
    pid, child = _start_worker(directory, with_child=True)
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.kill(child, 0)
        assert directory.worker_state() is State.DEAD
        directory.signal_worker(signal.SIGKILL)
        directory.lock_worker().release()
    finally:
        _kill(pid)


def test_the_lock_is_forgotten_in_children_when_asked(directory):
    lock = directory.lock_worker()
    reading, writing = os.pipe()
    registered = os.fork()
    if registered == 0:
        # In a process of its own: what is registered for forks cannot be taken back.
        lock.forget_in_children()
        child = os.fork()
        if child == 0:
            os.close(writing)
            os.read(reading, 1)
            os._exit(0)
        os._exit(0)
    os.waitpid(registered, 0)
    lock.release()
    directory.lock_worker().release()
    os.close(writing)
    os.close(reading)


def test_a_reused_process_id_is_no_worker(directory):
    identity = process_identity.of_this_process("build-1")
    identity.start_ticks -= 1
    (directory.path / "worker.pb").write_bytes(identity.SerializeToString())
    lock = directory.lock_worker()
    assert directory.worker_state() is State.DEAD
    # Nor is it killed: this very process would be.
    directory.signal_worker(signal.SIGKILL)
    directory.signal_worker(signal.SIGTERM)
    lock.release()


def test_a_worker_between_lock_and_identity_is_alive(directory):
    lock = directory.lock_worker()
    assert directory.worker_state() is State.ALIVE
    lock.release()
    assert directory.worker_state() is State.NEVER_STARTED


def test_a_spool_without_a_worker_is_a_dead_workers(directory):
    (directory.events_path / "000001.spool").touch()
    assert directory.worker_state() is State.DEAD


def test_the_identity_of_a_process_that_is_gone_is_not_running():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    ticks = process_identity.start_ticks(pid)
    os.waitpid(pid, 0)
    assert not process_identity.runs_still(process_pb2.WorkerIdentity(pid=pid, start_ticks=ticks))


def test_a_cancellation_is_remembered(directory):
    assert not directory.cancel_requested
    directory.request_cancel()
    assert directory.cancel_requested


@pytest.mark.parametrize(
    "step_key",
    ["", "a", "_run", "raw__sales", "a/b", "..", "ä[2024-01-01|x]", "k" * 300, "~x", "a.out"],
)
def test_each_step_has_files_of_its_own_and_is_found_by_them(directory, step_key):
    for stream in ("out", "err"):
        path = directory.output_file(step_key, stream)
        assert path.parent == directory.output_path
        path.write_text("x")
    found = [(one.step_key, one.stream) for one in directory.captured_outputs()]
    assert sorted(found) == [(step_key, "err"), (step_key, "out")]


def test_steps_do_not_share_files(directory):
    keys = ["", "_run", "%5Frun", "a/b", "a%2Fb", "k" * 300, "k" * 301]
    assert len({directory.output_file(key, "out") for key in keys}) == len(keys)


def test_deleting_may_be_repeated(directory):
    directory.delete()
    directory.delete()
    assert not directory.path.exists()
