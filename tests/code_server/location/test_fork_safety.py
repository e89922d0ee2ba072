"""Processes with threads are not forked, and people are told why."""

import subprocess
import sys
import threading

import pytest

from atoll._location import fork_safety, launch
from atoll.location.v1 import location_pb2

Option = launch.StartMethodOption
FORK = location_pb2.START_METHOD_FORK
SPAWN = location_pb2.START_METHOD_SPAWN


def _judge(option=Option.AUTO, platform="linux", **threads):
    return fork_safety.judge(option, platform, fork_safety.Threads(**threads))


def test_no_threads_means_fork():
    decision = _judge()
    assert decision.start_method == FORK
    assert "no threads" in decision.reason


def test_a_python_thread_means_spawn_and_is_named():
    decision = _judge(python=("poller",))
    assert decision.start_method == SPAWN
    assert "1 thread (poller)" in decision.reason


def test_a_native_thread_that_nobody_explains_means_spawn():
    decision = _judge(native=("grpc_global_tim", "worker"))
    assert decision.start_method == SPAWN
    assert "2 native threads (grpc_global_tim, worker)" in decision.reason


def test_a_pool_of_openblas_is_no_hazard_up_to_its_size():
    assert _judge(native=("python",), openblas_pool_max=1).start_method == FORK
    assert _judge(native=("python", "python"), openblas_pool_max=1).start_method == SPAWN


def test_other_platforms_spawn():
    decision = _judge(platform="darwin")
    assert decision.start_method == SPAWN
    assert "darwin" in decision.reason


def test_what_the_location_asks_for_wins_and_the_hazard_is_told():
    decision = _judge(Option.FORK, python=("poller",))
    assert decision.start_method == FORK
    assert "poller" in decision.reason
    assert _judge(Option.SPAWN).start_method == SPAWN


def test_threads_of_this_process_are_seen():
    done = threading.Event()
    thread = threading.Thread(target=done.wait, name="left-behind")
    thread.start()
    try:
        assert "left-behind" in fork_safety.observe().python
    finally:
        done.set()
        thread.join()


@pytest.mark.slow
def test_libraries_of_the_trade_can_be_forked():
    script = (
        "import numpy, pyarrow, pandas\nfrom atoll._location import fork_safety, launch\n"
        "print(fork_safety.decide(launch.StartMethodOption.AUTO))"
    )
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=50)
    assert f"start_method={FORK}" in result.stdout
