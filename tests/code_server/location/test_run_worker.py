"""A run ends truly, whatever happens to its worker, and all it said is kept."""

import os
import pathlib
import signal

import pytest

from atoll._location import run_directory, sealing, spool
from atoll.location.v1 import location_pb2
from atoll.process.v1 import process_pb2

pytestmark = [pytest.mark.e2e]

SOURCE = """
import os, subprocess, sys, threading
import atoll as dg

def wait_for_end(context):
    open("waiting", "w").close()
    while not os.path.exists("go"):
        os.sched_yield()

@dg.asset
def good(context):
    context.log.info("counting")
    print("printed")
    os.write(2, b"raw\\n")
    subprocess.run(["/bin/sh", "-c", "echo from a child"], check=True)
    return dg.MaterializeResult(metadata={"rows": 2**70})

@dg.asset
def bad():
    raise ValueError("no rows")

@dg.asset
def waits(context):
    wait_for_end(context)

@dg.asset
def stubborn(context):
    while True:
        try:
            wait_for_end(context)
        except BaseException:
            pass

@dg.asset
def ends_itself():
    print("last words")
    os._exit(9)

@dg.asset
def exits():
    sys.exit(2)

@dg.asset
def with_child():
    child = subprocess.Popen(["sleep", "1000"])
    open("child", "w").write(str(child.pid))
    wait_for_end(None)

@dg.asset
def forks(context):
    pid = os.fork()
    if pid == 0:
        context.log.info("said in a fork")
        sys.stdout.flush(); sys.stderr.flush()
        os._exit(0)
    os.waitpid(pid, 0)

@dg.asset
def chatters(context):
    def chat():
        for _ in range(200):
            context.log.info("x")
    threads = [threading.Thread(target=chat) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
"""


def _select(*names: str) -> list:
    return [{"path": [name]} for name in names]


def _outputs(directory) -> dict[tuple[str, str], str]:
    return {
        (one.step_key, one.stream): one.path.read_text()
        for one in directory.captured_outputs()
        if one.path.stat().st_size
    }


def test_a_good_run_begins_and_ends_with_its_events_in_order(serving, bodies):
    directory = serving.run(asset_selection=_select("good"))
    found = bodies(directory)
    names = [name for name, _ in found]
    assert names[0] == "run_started"
    assert names[-1] == "run_succeeded"
    assert names.count("run_started") == names.count("run_succeeded") == 1
    assert (
        names.index("step_started")
        < names.index("asset_materialization")
        < names.index("step_succeeded")
    )
    events = list(spool.events(directory.events_path))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert {event.run_id for event in events} == {directory.run_id}
    assert {event.job_name for event in events} == {"__ASSET_JOB"}
    assert all(event.timestamp.seconds for event in events)
    started = events[0].run_started
    assert (started.build_id, started.start_method) == ("b1", serving.method)
    assert started.pid == directory.read_identity().pid
    (made,) = [
        event.asset_materialization for event in events if event.HasField("asset_materialization")
    ]
    assert made.metadata["rows"].big_int == str(2**70)
    kept = _outputs(directory)
    assert sorted(kept["good", "out"].splitlines()) == ["from a child", "printed"]
    assert "raw" in kept["good", "err"].splitlines()


def test_a_failing_step_fails_the_run_with_the_users_frames(serving, bodies):
    directory = serving.run(asset_selection=_select("bad"))
    assert [name for name, _ in bodies(directory)][-2:] == ["step_failed", "run_failed"]
    (failed,) = [
        e.step_failed for e in spool.events(directory.events_path) if e.HasField("step_failed")
    ]
    innermost = failed.failure
    while innermost.HasField("cause"):
        innermost = innermost.cause
    assert (innermost.type, innermost.message) == ("ValueError", "no rows")
    assert innermost.frames[-1].function == "bad"


def test_a_job_that_is_not_there_fails_the_run(forking, bodies):
    directory = forking.run(job_name="no_such_job")
    assert [name for name, _ in bodies(directory)] == ["run_started", "run_failed"]
    *_, failed = spool.events(directory.events_path)
    assert "no_such_job" in failed.run_failed.failure.message


def test_sys_exit_in_a_step_fails_the_run(forking, bodies):
    assert bodies(forking.run(asset_selection=_select("exits")))[-1][0] == "run_failed"


def test_sigterm_cancels(serving, bodies, wait_for):
    directory, nonce, _ = serving.start_run(asset_selection=_select("waits"))
    wait_for((serving.folder / "waiting").exists, "the step")
    directory.request_cancel()
    directory.signal_worker(signal.SIGTERM)
    assert serving.exit_code(nonce) == 0, serving.said(directory)
    assert bodies(directory)[-1] == ("run_canceled", "")


def test_a_cancellation_before_the_start_is_seen(forking, bodies):
    directory = run_directory.run_directory(forking.folder / "runs", "canceled-early")
    plan = location_pb2.RunPlan(run_id=directory.run_id, job_name="__ASSET_JOB", attempt=1)
    directory.accept(plan, "b1")
    directory.request_cancel()
    forking.run(directory.run_id)
    assert bodies(directory) == [("run_started", ""), ("run_canceled", "")]


def test_a_step_that_swallows_cancellation_is_killed_and_still_canceled(forking, bodies, wait_for):
    directory, nonce, _ = forking.start_run(asset_selection=_select("stubborn"))
    wait_for((forking.folder / "waiting").exists, "the step")
    directory.request_cancel()
    directory.signal_worker(signal.SIGTERM)
    directory.signal_worker(signal.SIGKILL)
    assert forking.exit_code(nonce) == -signal.SIGKILL
    assert sealing.seal(directory, -signal.SIGKILL).final_event == "run_canceled"
    assert bodies(directory)[-1] == ("run_canceled", "")


def test_a_worker_that_ends_itself_leaves_its_last_words(serving, bodies):
    directory, nonce, _ = serving.start_run(asset_selection=_select("ends_itself"))
    assert serving.exit_code(nonce) == 9
    assert directory.worker_state() is run_directory.WorkerState.DEAD
    sealing.seal(directory, 9)
    assert bodies(directory)[-2:] == [("step_failed", "ends_itself"), ("run_failed", "")]


def test_a_killed_worker_takes_its_children_along(forking, bodies, wait_for):
    directory, nonce, pid = forking.start_run(asset_selection=_select("with_child"))
    wait_for((forking.folder / "waiting").exists, "the step")
    child = int((forking.folder / "child").read_text())
    assert os.getpgid(child) == pid == os.getsid(pid)
    os.kill(pid, signal.SIGKILL)
    assert forking.exit_code(nonce) == -signal.SIGKILL
    os.kill(child, 0)
    sealing.seal(directory, -signal.SIGKILL)
    wait_for(lambda: not _lives(child), "the death of the child")
    assert bodies(directory)[-2:] == [("step_failed", "with_child"), ("run_failed", "")]


def _lives(pid: int) -> bool:
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_run_is_not_run_twice(forking, bodies):
    directory = forking.run(asset_selection=_select("good"))
    before = bodies(directory)
    _, nonce, _ = forking.start_run(directory.run_id, asset_selection=_select("good"))
    assert forking.exit_code(nonce) == 4
    assert bodies(directory) == before
    assert "begun before" in forking.output_path.read_text()


def test_events_of_several_threads_are_numbered_without_gaps(forking):
    directory = forking.run(asset_selection=_select("chatters"))
    seqs = [event.seq for event in spool.events(directory.events_path)]
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(seqs) > 800


def test_a_fork_of_user_code_does_not_write_to_the_spool(forking, bodies):
    directory = forking.run(asset_selection=_select("forks"))
    assert bodies(directory)[-1] == ("run_succeeded", "")
    messages = [event.message for event in spool.events(directory.events_path)]
    assert "said in a fork" not in messages
    assert "said in a fork" in "".join(_outputs(directory).values())


def test_the_code_server_is_told_that_the_spool_grew(forking):
    directory, nonce, pid = forking.start_run(asset_selection=_select("good"))
    hello, channel = forking.accept(process_pb2.PROCESS_ROLE_RUN_WORKER, nonce)
    assert (hello.run_id, hello.pid) == (directory.run_id, pid)
    message = channel.receive(10)
    assert message.spool_advanced.run_id == directory.run_id
    assert forking.exit_code(nonce) == 0


def test_a_run_needs_no_code_server(location, bodies, wait_for):
    location.load(SOURCE, start_method="fork")
    directory, _, _ = location.start_run(asset_selection=_select("waits"))
    wait_for((location.folder / "waiting").exists, "the step")
    location.channel.close()
    location.process.wait(10)
    _, channel = location.accept(process_pb2.PROCESS_ROLE_RUN_WORKER)
    channel.close()
    pathlib.Path(location.socket_path).unlink()
    (location.folder / "go").touch()
    wait_for(lambda: bodies(directory)[-1] == ("run_succeeded", ""), "the end of the run")
    wait_for(lambda: directory.worker_state() is run_directory.WorkerState.DEAD, "the worker's end")


def test_ctrl_c_at_the_terminal_does_not_reach_a_run(forking, bodies, wait_for):
    directory, nonce, _ = forking.start_run(asset_selection=_select("waits"))
    wait_for((forking.folder / "waiting").exists, "the step")
    os.killpg(forking.process.pid, signal.SIGINT)
    (forking.folder / "go").touch()
    assert forking.exit_code(nonce) == 0
    assert bodies(directory)[-1] == ("run_succeeded", "")
