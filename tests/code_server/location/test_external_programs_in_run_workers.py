import os
import pathlib
import select
import signal

import pytest

from atoll._location import spool

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
EXAMPLE = pathlib.Path(__file__).parents[3] / "examples" / "pipes"
SOURCE = """
import os
import atoll as dg

@dg.asset
def sizes(context) -> dg.MaterializeResult:
    client = dg.PipesSubprocessClient(cwd={example!r})
    return client.run(context=context, command="bash sizes.sh").get_materialize_result()

@dg.asset
def endless(context):
    # Nobody but the reader of the pipe waits for more: the program tells who it is and sleeps.
    os.path.exists("told") or os.mkfifo("told")
    command = ["sh", "-c", "echo heard; echo $$ > told; sleep 60"]
    dg.PipesSubprocessClient(termination_timeout_seconds=5).run(context=context, command=command)
"""


@pytest.fixture(scope="module")
def _source(request):
    request.module.SOURCE = SOURCE.format(example=str(EXAMPLE))


@pytest.fixture
def programs(_source, serving):
    return serving


def _plan(name):
    """Return what the host puts into the plan: this location's host answers no questions."""
    key = {"path": [name]}
    return {"asset_selection": [key], "known_assets": [{"asset_key": key}]}


def _start_endless(location, wait_for):
    """Start the run of a program without an end; return the run and the program."""
    directory, nonce, worker = location.start_run(**_plan("endless"))
    told = location.folder / "told"
    wait_for(told.exists, "the step")
    pid = int(told.read_text())
    told.unlink()
    return directory, nonce, worker, pid


def _gone(pid):
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 10)[0])
    finally:
        os.close(descriptor)


def test_what_a_program_reports_are_events_of_the_run(programs):
    directory = programs.run(**_plan("sizes"))
    found = list(spool.events(directory.events_path))
    messages = [event.message for event in found if event.WhichOneof("body") == "log_message"]
    assert "Measuring sizes.sh" in messages
    assert {event.step_key for event in found if event.message in messages} == {"sizes"}
    (made,) = (event for event in found if event.WhichOneof("body") == "asset_materialization")
    assert "bytes" in made.asset_materialization.metadata
    assert found[-1].WhichOneof("body") == "run_succeeded"


def test_a_canceled_run_ends_its_program(programs, bodies, wait_for):
    directory, nonce, _, pid = _start_endless(programs, wait_for)
    directory.request_cancel()
    directory.signal_worker(signal.SIGTERM)
    assert programs.exit_code(nonce) == 0, programs.said(directory)
    assert bodies(directory)[-1] == ("run_canceled", "")
    assert _gone(pid)
    captured = [one.path.read_text() for one in directory.captured_outputs()]
    assert "heard\n" in captured


def test_a_killed_worker_takes_its_program_along(programs, wait_for):
    _, nonce, worker, pid = _start_endless(programs, wait_for)
    os.kill(worker, signal.SIGKILL)
    assert programs.exit_code(nonce) == -signal.SIGKILL
    assert _gone(pid)
