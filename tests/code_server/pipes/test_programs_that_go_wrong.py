import contextlib
import logging
import os
import pathlib
import select
import signal
import subprocess
import sys
import threading

import pytest

import atoll as dg
from atoll._execution import runs as execution
from tests.code_server.pipes import programs

pytestmark = pytest.mark.slow
ROOT = pathlib.Path(__file__).parents[3]


def _failure(command, **given):
    messages = []
    with programs.told_of_logs(messages.append), pytest.raises(dg.PipesExecutionError) as caught:
        programs.materialize(
            lambda context: dg.PipesSubprocessClient(**given).run(context=context, command=command)
        )
    return caught.value, messages


def test_a_program_that_fails_tells_its_exit_code_and_its_last_lines(tmp_path):
    command = programs.program(
        tmp_path,
        """
        for n in range(30):
            print("line", n, file=sys.stderr)
        sys.stderr.write("unfinished")
        sys.exit(3)
        """,
    )
    error, messages = _failure(command)
    assert error.exit_code == 3
    assert error.last_lines == (*(f"line {n}" for n in range(11, 30)), "unfinished")
    assert "ended with exit code 3" in str(error)
    assert str(error).endswith("line 29\nunfinished")
    assert len(messages) == 1
    assert "sent no message" in messages[0]


def test_an_exception_is_told_with_its_cause(tmp_path):
    command = programs.program(
        tmp_path,
        """
        with open_pipes():
            try:
                {}["key"]
            except KeyError as error:
                raise ValueError("no such thing") from error
        """,
    )
    error, (message,) = _failure(command)
    assert error.exit_code == 1
    assert (
        message
        == f"thing: The external program ended with an exception.\n{error.reported_exception}"
    )
    told = error.reported_exception
    assert told.index("KeyError: 'key'") < told.index("which caused:") < told.index("no such thing")
    assert 'program.py", line' in told
    assert told in str(error)


def test_an_exit_without_an_error_is_no_exception(tmp_path):
    command = programs.program(tmp_path, "with open_pipes(): sys.exit()")
    result = programs.materialize(
        lambda context: (
            dg.PipesSubprocessClient()
            .run(context=context, command=command)
            .get_materialize_result()
        )
    )
    assert programs.logged(result) == []


def test_a_program_that_dies_tells_by_what(tmp_path):
    command = programs.program(
        tmp_path,
        """
        open_pipes().log.info("here")
        os.kill(os.getpid(), 9)
        """,
    )
    error, messages = _failure(command)
    assert error.exit_code == -9
    assert "was killed by SIGKILL" in str(error)
    assert messages[0] == "thing: here"
    assert "did not close" in messages[1]


def test_a_program_that_is_not_there_is_named():
    error, _ = _failure(["no-such-program"])
    assert error.exit_code is None
    assert "'no-such-program' cannot be started" in str(error)
    error, _ = _failure(["true"], cwd="/no/such/folder")
    assert "/no/such/folder" in str(error)
    error, _ = _failure("")
    assert "command is empty" in str(error)


def test_a_program_that_never_opens_is_warned_about_with_what_to_check():
    result = programs.materialize(
        lambda context: (
            dg.PipesSubprocessClient().run(context=context, command="true").get_materialize_result()
        )
    )
    ((level, text),) = programs.logged(result)
    assert level == logging.WARNING
    for part in ("open_pipes()", "ATOLL_PIPES_CONTEXT", "ATOLL_PIPES_MESSAGES", "named pipe"):
        assert part in text


def test_garbage_is_logged_with_its_text_and_spoils_nothing(tmp_path):
    command = programs.program(
        tmp_path,
        r"""
        path = PipesEnvVarParamsLoader().load_messages_params()["path"]
        with open_pipes() as pipes:
            with open(path, "ab") as messages:
                messages.write(b"no json\n\n\xff\xfe\n[1]\n{}\n")
                for version, method, params in [
                    ("2.0", "log", {"message": "later"}),
                    ("1.7", "log", {"message": "a newer minor version"}),
                    ("1.0", "sing", {}),
                    ("1.0", "log", {"message": 5}),
                    ("1.0", "log", [1]),
                    ("1.0", "report_asset_check", {"asset_key": "thing", "check_name": "c"}),
                    ("1.0", "report_asset_materialization", {"asset_key": ""}),
                    ("1.0", "report_asset_materialization",
                     {"asset_key": "thing", "metadata": {"m": {"raw_value": 1, "type": "md"}}}),
                    ("1.0", "report_asset_materialization",
                     {"asset_key": "thing", "metadata": {"m": {"raw_value": 1, "type": "odd"}}}),
                ]:
                    line = json.dumps({"__atoll_pipes_version": version, "method": method,
                                       "params": params})
                    messages.write(line.encode() + b"\r\n")
            pipes.log.info("still here")
        with open(path, "ab") as messages:
            messages.write(b"cut o")
        """.replace("path =", "import json\n        path =", 1),
    )
    result = programs.materialize(
        lambda context: (
            dg.PipesSubprocessClient()
            .run(context=context, command=command)
            .get_materialize_result()
        )
    )
    heard = [text for level, text in programs.logged(result) if level == logging.INFO]
    assert heard == ["a newer minor version", "still here"]
    refused = [text for level, text in programs.logged(result) if level == logging.WARNING]
    expected = [
        "no json",
        "\ufffd",
        "no JSON object: [1]",
        "no __atoll_pipes_version",
        "version 2.0",
        "'sing'",
        "message is a str, got 5",
        "params are no object",
        "passed is a bool, got None",
        "non-empty string",
        "'m'",
        "'odd'",
        "cut o",
    ]
    assert len(refused) == len(expected)
    assert all(part in text for part, text in zip(expected, refused, strict=True)), refused
    assert len(result.get_asset_materialization_events()) == 1


@pytest.fixture
def signal_cancels():
    """Let SIGUSR1 cancel whatever runs in the main thread, as a run worker does with SIGTERM."""

    def cancel(_number, _frame):
        raise execution.RunCanceledError

    before = signal.signal(signal.SIGUSR1, cancel)
    yield lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


def _canceled(command, cancel, **given):
    """Run a program and cancel the run once it logs "running"; return what it logged, and who."""
    heard, pids = [], []

    def tell(message):
        text = message.removeprefix("thing: ")
        heard.append(text)
        if text.startswith("pid "):
            pids.append(int(text.split()[1]))
        if text == "running":
            cancel()

    with programs.told_of_logs(tell):
        result = programs.materialize(
            lambda context: dg.PipesSubprocessClient(**given).run(context=context, command=command)
        )
    assert result.all_events[-1].event_type is dg.EventType.RUN_CANCELED
    return heard, pids


def _is_gone(pid, within_s=10.0):
    """Wait for a process to end, without being its parent."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], within_s)[0])
    finally:
        os.close(descriptor)


def test_a_canceled_run_lets_the_program_clean_up(tmp_path, signal_cancels):
    command = programs.program(
        tmp_path,
        """
        import signal
        class Stop(Exception): pass
        def stop(*_): raise Stop("asked to stop")
        signal.signal(signal.SIGTERM, stop)
        with open_pipes() as pipes:
            pipes.log.info("pid %d", os.getpid())
            try:
                pipes.log.info("running")
                signal.pause()
            finally:
                pipes.log.info("cleaned up")
        """,
    )
    heard, (pid,) = _canceled(command, signal_cancels)
    assert heard[:3] == [f"pid {pid}", "running", "cleaned up"]
    assert "asked to stop" in heard[3]
    assert not pathlib.Path(f"/proc/{pid}").exists()


def test_a_program_that_does_not_listen_is_killed_with_all_that_it_started(
    tmp_path, signal_cancels
):
    command = programs.program(
        tmp_path,
        """
        import signal, subprocess
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        pipes = open_pipes()
        # It ignores SIGTERM as well, which is inherited.
        child = subprocess.Popen(["sleep", "600"])
        pipes.log.info("pid %d", os.getpid())
        pipes.log.info("pid %d", child.pid)
        pipes.log.info("running")
        child.wait()
        """,
    )
    # Were they not killed, the run would go on until the time limit of the test.
    _, (pid, child) = _canceled(command, signal_cancels, termination_timeout_seconds=0.2)
    assert not pathlib.Path(f"/proc/{pid}").exists()
    assert _is_gone(child)


def test_a_program_lives_on_where_termination_is_not_forwarded(tmp_path, signal_cancels):
    command = programs.program(
        tmp_path,
        """
        pipes = open_pipes()
        pipes.log.info("pid %d", os.getpid())
        pipes.log.info("running")
        os.execv("/bin/sleep", ["sleep", "60"])
        """,
    )
    _, (pid,) = _canceled(command, signal_cancels, forward_termination=False)
    assert not _is_gone(pid, within_s=0)
    os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def test_a_program_ends_with_the_process_that_runs_the_step(tmp_path):
    command = programs.program(
        tmp_path,
        """
        import subprocess
        child = subprocess.Popen(["sleep", "60"])
        print(os.getpid(), child.pid, flush=True)
        child.wait()
        """,
    )
    step = (
        "import atoll as dg\n"
        "@dg.asset\n"
        "def thing(context):\n"
        f"    dg.PipesSubprocessClient().run(context=context, command={command!r})\n"
        "dg.materialize([thing])\n"
    )
    source = str(ROOT / "code_server" / "src")
    with subprocess.Popen(
        [sys.executable, "-c", step],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": source},
    ) as process:
        pids = [int(pid) for pid in process.stdout.readline().split()]
        assert len(pids) == 2
        process.kill()
    assert all(_is_gone(pid) for pid in pids)


def test_a_log_that_fails_ends_the_program_and_the_step(tmp_path):
    command = programs.program(
        tmp_path,
        """
        pipes = open_pipes()
        while True:
            pipes.log.info("more")
        """,
    )

    class FullError(Exception):
        pass

    def tell(_message):
        raise FullError("no space left")

    with programs.told_of_logs(tell), pytest.raises(FullError):
        programs.materialize(
            lambda context: dg.PipesSubprocessClient().run(context=context, command=command)
        )
