"""The definitions process loads once, tells how it went, and makes processes to the end."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from atoll.definitions.v1 import snapshot_pb2
from atoll.location.v1 import location_pb2
from atoll.process.v1 import process_pb2

pytestmark = [pytest.mark.e2e]

SOURCE = """
import atoll as dg

@dg.asset
def sales():
    return 1

@dg.sensor(job_name="job")
def quiet():
    return dg.SkipReason("nothing to do")

job = dg.define_asset_job("job")
"""


def test_loaded_tells_what_is_defined_and_how_processes_are_made(location):
    loaded = location.load(SOURCE)
    snapshot = snapshot_pb2.LocationSnapshot.FromString(loaded.snapshot)
    assert [list(asset.key.path) for asset in snapshot.assets] == [["sales"]]
    assert [job.name for job in snapshot.jobs] == ["__ASSET_JOB", "job"]
    assert [sensor.name for sensor in snapshot.sensors] == ["quiet"]
    assert loaded.start_method == location_pb2.START_METHOD_FORK
    assert "no threads" in loaded.start_method_reason
    assert (location.hello.nonce, location.hello.pid) == ("d", location.process.pid)


def test_a_module_that_fails_is_told_and_the_process_ends(location):
    location.start("import atoll\nraise ValueError('no database')")
    failure = location.expect("load_failed").load_failed.failure
    assert (failure.type, failure.message) == ("ValueError", "no database")
    assert failure.frames[-1].line == 2
    assert location.process.wait(10) == 1


def test_a_module_that_ends_its_process_is_seen_as_that(location):
    location.start("import os\nprint('last words', flush=True)\nos._exit(7)")
    assert location.channel.receive(10) is None
    assert location.process.wait(10) == 7
    assert "last words" in location.output_path.read_text()


def test_an_import_that_never_returns_dies_with_the_code_server(location):
    location.start("while True: pass")
    location.channel.close()
    assert location.process.wait(10) == -signal.SIGKILL


def test_it_ends_with_its_connection(location):
    location.load(SOURCE)
    location.channel.close()
    assert location.process.wait(10) == 0


def test_ctrl_c_does_not_end_it(location):
    location.load("import signal\nsignal.signal(signal.SIGINT, signal.SIG_DFL)\n" + SOURCE)
    location.process.send_signal(signal.SIGINT)
    location.start_evaluator()


def test_no_credential_of_the_code_server_is_left_in_user_code(location):
    loaded = location.load(
        SOURCE
        + "import os\n"
        + "assert 'ATOLL_DATABASE_URL' not in os.environ\n"
        + "assert 'ATOLL_LAUNCH' not in os.environ\n"
    )
    assert loaded.snapshot


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_a_killed_child_is_reported_with_its_signal(location, start_method):
    location.load(SOURCE, start_method=start_method)
    nonce, _ = location.start_evaluator()
    pid = next(iter(location.pids - {location.process.pid}))
    os.killpg(pid, signal.SIGKILL)
    assert location.exit_code(nonce) == -signal.SIGKILL


def test_a_module_that_leaves_a_thread_is_spawned_and_still_works(location):
    loaded = location.load(
        SOURCE
        + "import threading\n"
        + "wait = threading.Event().wait\n"
        + "threading.Thread(target=wait, daemon=True, name='left').start()\n"
    )
    assert loaded.start_method == location_pb2.START_METHOD_SPAWN
    assert "(left)" in loaded.start_method_reason
    _, channel = location.start_evaluator()
    assert location.evaluate(channel, "quiet").response.skip_reason == "nothing to do"
    directory = location.run()
    assert directory.read_identity().build_id == "b1"


def test_an_evaluator_dies_with_its_definitions_process_whatever_it_does(location):
    location.load(SOURCE + "\n@dg.sensor(job_name='job')\ndef busy():\n    while True: pass\n")
    _, channel = location.start_evaluator()
    request = location_pb2.EvaluateSensorRequest(sensor_name="busy", tick_id="t")
    channel.send(process_pb2.ServerMessage(evaluate=process_pb2.Evaluate(request=request)))
    location.process.kill()
    location.process.wait(10)
    # What it had not read of the request makes the end of the stream a reset.
    with contextlib.suppress(ConnectionResetError):
        assert channel.receive(10) is None


def test_a_run_worker_outlives_its_definitions_process(location, bodies, wait_for):
    location.load(
        SOURCE.replace(
            "return 1", "import os\n    while not os.path.exists('go'): os.sched_yield()"
        )
    )
    directory, _, _ = location.start_run()
    wait_for(lambda: ("step_started", "sales") in bodies(directory), "the step")
    location.channel.close()
    assert location.process.wait(10) == 0
    (location.folder / "go").touch()
    wait_for(lambda: bodies(directory)[-1] == ("run_succeeded", ""), "the end of the run")


def test_started_by_hand_it_says_what_starts_it():
    result = subprocess.run(
        [sys.executable, "-m", "atoll._location.definitions_process"],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert result.returncode == 3
    assert "atoll serve" in result.stderr
    assert "Traceback" not in result.stderr
