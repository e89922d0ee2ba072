"""`atoll serve` as people and supervisors meet it: real processes, kills included."""

import asyncio
import os
import signal
import socket

import pytest

from atoll._location import run_directory
from atoll._rpc import authorization, serving
from atoll.location.v1 import location_pb2, location_pb2_grpc
from atoll.mesh.v1 import mesh_pb2
from tests.code_server.server import fake_host, locations

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(autouse=True)
def no_workers_left(tmp_path):
    yield
    locations.kill_workers(tmp_path / "state" / "runs")


def address_in(line: str) -> str:
    return line.split(" at ")[1].split(" ", maxsplit=1)[0]


async def start_run(
    known: mesh_pb2.Registration, plan: location_pb2.RunPlan
) -> location_pb2.StartRunResponse:
    async with serving.channel(known.address) as channel:
        authorized = authorization.authorized(channel, known.control_token)
        stub = location_pb2_grpc.CodeLocationServiceStub(authorized)
        return await stub.StartRun(location_pb2.StartRunRequest(plan=plan), timeout=20)


async def test_one_line_tells_that_it_serves_and_a_signal_stops_it(tmp_path):
    locations.write(tmp_path, locations.BASIC)
    async with (
        fake_host.running() as host,
        locations.serve_command(tmp_path, "--host", host.address, "--build-id", "v1") as command,
    ):
        line = await command.line("Serving")
        assert "Serving here, build v1, at 127.0.0.1:" in line
        assert "fork" in line
        registration = await host.registered()
        assert registration.address == address_in(line)
        command.process.terminate()
        assert await command.ended() == 0
        assert command.lines == [line]


async def test_it_serves_without_a_host_and_says_so_once(tmp_path):
    locations.write(tmp_path, locations.BASIC)
    async with locations.serve_command(tmp_path, "--host", locations.NOBODY) as command:
        await command.line("Serving")
        await command.line("There is no session with the host")
        command.process.send_signal(signal.SIGINT)
        assert await command.ended() == 0
        assert len(command.lines) == 2


async def test_a_host_that_comes_back_is_told_to_whoever_read_that_it_was_away(tmp_path):
    locations.write(tmp_path, locations.EMPTY)
    async with fake_host.running() as host:
        address = host.address
    async with locations.serve_command(tmp_path, "--host", address) as command:
        await command.line("There is no session with the host")
        async with fake_host.running(listen=address) as host:
            await host.registered()
            await command.line("Registered with the host")


async def test_code_that_does_not_load_is_told_with_its_place_and_a_hangup_reloads(tmp_path):
    locations.write(tmp_path, "import atoll as dg\n\nvalue = 1 / 0\n")
    async with (
        fake_host.running() as host,
        locations.serve_command(tmp_path, "--host", host.address) as command,
    ):
        await command.line("here failed to load: ")
        await command.line("defs.py:3")
        await command.line("without a build")
        assert not any("Traceback" in line for line in command.lines)
        locations.write(tmp_path, locations.BASIC)
        command.process.send_signal(signal.SIGHUP)
        await command.line("Serving here")


async def test_a_second_server_on_the_same_state_directory_is_refused(tmp_path):
    locations.write(tmp_path, locations.EMPTY)
    async with locations.serve_command(tmp_path, "--host", locations.NOBODY) as first:
        await first.line("Serving")
        async with locations.serve_command(tmp_path) as second:
            assert await second.ended() == 1
            assert "another code server holds it" in second.lines[0]
            assert str(first.process.pid) in second.lines[0]
        assert first.process.returncode is None


@pytest.mark.parametrize(
    ("listen", "expected", "code"),
    [
        ("0.0.0.0:0", "--listen: 0.0.0.0:0 can be reached", 2),
        ("nonsense", "--listen: 'nonsense' is no address", 2),
        ("TAKEN", "cannot be listened on", 1),
    ],
)
async def test_an_address_that_cannot_be_used_is_refused_clearly(tmp_path, listen, expected, code):
    locations.write(tmp_path, locations.EMPTY)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = listen.replace("TAKEN", f"127.0.0.1:{taken.getsockname()[1]}")
        async with locations.serve_command(tmp_path, "--listen", listen) as command:
            assert await command.ended() == code
            assert expected in command.lines[0]
            assert len(command.lines) == 1


async def test_no_process_sees_a_database_credential(tmp_path):
    code = """
        import os
        import atoll as dg
        nothing = dg.Definitions()
        assert "ATOLL_DATABASE_URL" not in os.environ
        assert not any("secret" in value for value in os.environ.values())
    """
    locations.write(tmp_path, code)
    async with locations.serve_command(
        tmp_path, "--host", locations.NOBODY, ATOLL_DATABASE_URL="postgresql://u:secret@h/d"
    ) as command:
        await command.line("Serving")


async def test_runs_go_on_over_a_stop_and_the_next_start_takes_over(tmp_path):
    locations.write(tmp_path, locations.BASIC)
    async with fake_host.running() as host:
        plan = locations.new_plan("patient_job")
        async with locations.serve_command(tmp_path, "--host", host.address) as command:
            await start_run(await host.registered(), plan)
            await locations.file_content(tmp_path / "patient_began")
            command.process.terminate()
            assert await command.ended() == 0
            assert "1 run was under way" in command.lines[-1]
        async with locations.serve_command(tmp_path, "--host", host.address) as command:
            await command.line("Serving")
            registration = await host.registered(2)
            [held] = registration.held_runs
            assert (held.run_id, held.alive) == (plan.run_id, True)
            assert registration.server_id == host.memory.registrations[0].server_id
            (tmp_path / "go").touch()
            events = await host.ended(plan.run_id)
            assert fake_host.is_exact(events)
            assert fake_host.bodies(events)[-1] == "run_succeeded"


@pytest.mark.parametrize("worker", ["lives", "ends", "is killed"])
async def test_a_killed_code_server_loses_nothing(tmp_path, worker):
    locations.write(tmp_path, locations.BASIC)
    async with fake_host.running() as host:
        plan = locations.new_plan("patient_job")
        async with locations.serve_command(tmp_path, "--host", host.address) as command:
            await start_run(await host.registered(), plan)
            pid = int(await locations.file_content(tmp_path / "patient_began"))
            command.process.kill()
            await command.ended()
        directory = run_directory.RunDirectory(tmp_path / "state" / "runs" / plan.run_id)
        if worker == "ends":
            (tmp_path / "go").touch()
        if worker == "is killed":
            os.kill(pid, signal.SIGKILL)
        while (  # noqa: ASYNC110
            worker != "lives" and directory.worker_state() is run_directory.WorkerState.ALIVE
        ):
            await asyncio.sleep(0.01)
        async with locations.serve_command(tmp_path, "--host", host.address) as command:
            await command.line("Serving")
            (tmp_path / "go").touch()
            events = await host.ended(plan.run_id)
        assert fake_host.is_exact(events)
        expected = "run_failed" if worker == "is killed" else "run_succeeded"
        assert fake_host.bodies(events)[-1] == expected
        assert [e for e in fake_host.bodies(events) if e == "run_started"] == ["run_started"]


async def test_a_run_that_was_accepted_and_never_started_is_started(tmp_path):
    locations.write(tmp_path, locations.BASIC)
    plan = locations.new_plan("numbers_job")
    runs_path = tmp_path / "state" / "runs"
    run_directory.run_directory(runs_path, plan.run_id).accept(plan, "old")
    async with (
        fake_host.running() as host,
        locations.serve_command(tmp_path, "--host", host.address, "--build-id", "new") as command,
    ):
        await command.line("Serving")
        events = await host.ended(plan.run_id)
        assert fake_host.bodies(events)[-1] == "run_succeeded"
        assert events[0].run_started.build_id == "new"


async def test_a_killed_code_server_leaves_no_definitions_process(tmp_path):
    locations.write(
        tmp_path, f"{locations.EMPTY}\nopen('pid', 'w').write(str(__import__('os').getpid()))"
    )
    async with locations.serve_command(tmp_path, "--host", locations.NOBODY) as command:
        await command.line("Serving")
        pid = int(await locations.file_content(tmp_path / "pid"))
        command.process.kill()
        await command.ended()

    async def until_dead() -> None:
        while _state(pid) != "Z":  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    await asyncio.wait_for(until_dead(), 10)


def _state(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"
