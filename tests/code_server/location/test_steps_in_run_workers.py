"""A run worker whose job wants it runs each step in a process of its own."""

import json
import os
import pathlib
import signal

import pytest

from atoll._location import sealing, spool
from atoll.definitions.v1 import values_pb2
from atoll.process.v1 import process_pb2

pytestmark = [pytest.mark.e2e]

SOURCE = """
import os, signal, sys
import atoll as dg

def meet(mine, other):
    open(mine, "w").close()
    while not os.path.exists(other):
        os.sched_yield()

@dg.op
def one():
    print("from one")
    meet("one-is-there", "other-is-there")

@dg.op
def other():
    os.write(2, b"from other\\n")
    meet("other-is-there", "one-is-there")

@dg.job(executor_def=dg.multiprocess_executor.configured({"max_concurrent": 2}))
def meeting():
    one()
    other()

@dg.op
def killed():
    print("last words", file=sys.stderr)
    os.kill(os.getpid(), signal.SIGKILL)

@dg.op
def fine():
    pass

@dg.job(executor_def=dg.multiprocess_executor)
def deadly():
    killed()
    fine()

@dg.op
def waits(context):
    try:
        open(f"waiting-{os.getpid()}", "w").close()
        signal.pause()
    finally:
        print("cleaned up")

@dg.job(executor_def=dg.multiprocess_executor.configured({"max_concurrent": 2}))
def waiting():
    waits.alias("first")()
    waits.alias("second")()

@dg.op
def asks(context):
    context.log.info("about to ask")
    context.log.info("the run is %s", context.instance.get_run_by_id("some-run"))

@dg.job(executor_def=dg.multiprocess_executor)
def asking():
    asks()

@dg.job
def plain():
    fine()

defs = dg.Definitions(jobs=[meeting, deadly, waiting, asking, plain])
"""


def _events(directory):
    return list(spool.events(directory.events_path))


def _outputs(directory) -> dict[tuple[str, str], str]:
    return {
        (one.step_key, one.stream): one.path.read_text()
        for one in directory.captured_outputs()
        if one.path.stat().st_size
    }


def _pids(directory) -> dict[str, int]:
    return {
        event.step_key: event.step_worker_started.pid
        for event in _events(directory)
        if event.HasField("step_worker_started")
    }


def _waiting(folder: pathlib.Path) -> list[int]:
    return [int(path.name.removeprefix("waiting-")) for path in folder.glob("waiting-*")]


def _lives(pid: int) -> bool:
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_steps_run_at_once_and_each_has_its_own_output(serving):
    directory = serving.run(job_name="meeting")
    events = _events(directory)
    assert events[-1].WhichOneof("body") == "run_succeeded"
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    pids = _pids(directory)
    assert len({*pids.values(), directory.read_identity().pid}) == 3
    kept = _outputs(directory)
    assert kept["one", "out"] == "from one\n"
    assert kept["other", "err"] == "from other\n"
    captured = [event.step_key for event in events if event.HasField("logs_captured")]
    assert sorted(captured) == ["one", "other"]


def test_a_killed_step_fails_alone_and_leaves_its_last_words(forking, bodies):
    directory = forking.run(job_name="deadly")
    assert ("step_succeeded", "fine") in bodies(directory)
    (failed,) = [one.step_failed for one in _events(directory) if one.HasField("step_failed")]
    assert "SIGKILL (9)" in failed.failure.message
    assert failed.failure.last_output == "last words"
    assert bodies(directory)[-1] == ("run_failed", "")


def test_a_canceled_run_lets_its_steps_clean_up(forking, bodies, wait_for):
    directory, nonce, _ = forking.start_run(job_name="waiting")
    wait_for(lambda: len(_waiting(forking.folder)) == 2, "both steps")
    directory.request_cancel()
    directory.signal_worker(signal.SIGTERM)
    assert forking.exit_code(nonce) == 0, forking.said(directory)
    assert bodies(directory)[-1] == ("run_canceled", "")
    kept = _outputs(directory)
    assert (kept["first", "out"], kept["second", "out"]) == ("cleaned up\n", "cleaned up\n")
    assert not any(map(_lives, _pids(directory).values()))


def test_a_killed_worker_takes_its_steps_along_at_once(forking, bodies, wait_for):
    directory, nonce, pid = forking.start_run(job_name="waiting")
    wait_for(lambda: len(_waiting(forking.folder)) == 2, "both steps")
    # A step's user code runs before the worker has written what the step says of itself.
    begun = {("step_started", "first"), ("step_started", "second")}
    wait_for(lambda: begun <= set(bodies(directory)), "what both steps say")
    os.kill(pid, signal.SIGKILL)
    assert forking.exit_code(nonce) == -signal.SIGKILL
    # Before anybody seals the run and kills what is left of its process group.
    wait_for(lambda: not any(map(_lives, _waiting(forking.folder))), "the death of the steps")
    sealing.seal(directory, -signal.SIGKILL)
    ends = [one for one in bodies(directory) if one[0] in {"step_failed", "run_failed"}]
    assert sorted(ends[:2]) == [("step_failed", "first"), ("step_failed", "second")]
    assert ends[2:] == [("run_failed", "")]


def test_a_step_asks_on_a_connection_of_its_own(forking):
    directory, nonce, pid = forking.start_run(job_name="asking")
    while True:
        hello, channel = forking.accept(process_pb2.PROCESS_ROLE_RUN_WORKER, nonce)
        if hello.pid != pid:
            break
    message = channel.receive(20)
    query = message.instance_query
    assert query.get_run.run_id == "some-run"
    told = {event.message: event.seq for event in _events(directory)}
    assert query.written_seq >= told["about to ask"]
    answer = process_pb2.InstanceAnswer(query_id=query.query_id)
    answer.get_run.SetInParent()
    channel.send(process_pb2.ServerMessage(instance_answer=answer))
    assert forking.exit_code(nonce) == 0, forking.said(directory)
    assert hello.pid == _pids(directory)["asks"]
    assert "the run is None" in [event.message for event in _events(directory)]


def test_run_configuration_asks_for_processes(forking):
    assert _pids(forking.run(job_name="plain")) == {}
    config = {"execution": {"config": {"multiprocess": {"max_concurrent": 1}}}}
    chosen = values_pb2.UserData(content_type="application/json", data=json.dumps(config).encode())
    assert list(_pids(forking.run(job_name="plain", run_config=chosen))) == ["fine"]
