"""What a code server shows the host: who it is, for whom it asks; and who never sees that."""

import os

import pytest

from atoll._rpc import authorization, errors, reasons, serving
from atoll._server import host_link, location_credential, settings
from atoll.location.v1 import location_pb2, location_pb2_grpc
from atoll.mesh.v1 import mesh_pb2
from tests.code_server.server import fake_host, locations

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ASKING = """
    import pathlib, time
    import atoll as dg

    HERE = pathlib.Path.cwd()

    @dg.op
    def asks(context):
        (HERE / "began").write_text("now")
        while not (HERE / "go").exists():
            time.sleep(0.005)
        context.instance.get_records_for_run(
            context.run_id, of_type=dg.EventType.ASSET_MATERIALIZATION
        )

    @dg.job
    def asking():
        asks()
"""
TELLTALE = """
    import os, pathlib
    import atoll as dg

    found = [b"".join(os.environb.keys()) + b"".join(os.environb.values())]
    for pid in ("self", os.getppid()):
        try:
            found.append(pathlib.Path(f"/proc/{pid}/environ").read_bytes())
        except PermissionError:
            pass
    pathlib.Path("found").write_bytes(b"|".join(found))
    nothing = dg.Definitions()
"""


def given(path=None, token="") -> settings.LocationToken:
    return settings.LocationToken(token, path)


def write(path, text: str, mode: int = 0o600):
    path.write_text(text)
    path.chmod(mode)
    return path


async def start_run(known: mesh_pb2.Registration, plan: location_pb2.RunPlan) -> None:
    """Hand a run over as a host does that gives no credential with it."""
    async with serving.channel(known.address) as channel:
        host = authorization.authorized(channel, known.control_token)
        stub = location_pb2_grpc.CodeLocationServiceStub(host)
        await stub.StartRun(location_pb2.StartRunRequest(plan=plan), timeout=20)


@pytest.mark.parametrize(
    ("text", "mode", "told"),
    [
        ("", 0o600, "is empty"),
        ("two words", 0o600, "holds no token"),
        ("x" * 5000, 0o600, "longer than"),
        ("atoll_token", 0o644, "chmod 600"),
    ],
)
def test_a_file_without_a_usable_token_is_told_without_its_content(tmp_path, text, mode, told):
    path = write(tmp_path / "token", text, mode)
    with pytest.raises(errors.FailedPreconditionError, match=told) as raised:
        location_credential.LocationCredential(given(path))
    assert raised.value.reason == reasons.TOKEN_FILE_UNUSABLE
    assert not text or text not in raised.value.message


@pytest.mark.parametrize("address", ["192.0.2.1:4700", "host.example:4700", "[2001:db8::1]:4700"])
async def test_no_token_goes_to_another_machine_without_tls(address):
    with pytest.raises(errors.FailedPreconditionError, match="TLS only") as raised:
        host_link.HostLink(address, "here", "server-1")
    assert raised.value.reason == reasons.TOKEN_UNPROTECTED
    authorization.check_protected(address, secured=True)
    for here in ("127.0.0.1:1", "localhost:1", "[::1]:1"):
        authorization.check_protected(here, secured=False)


async def test_a_new_token_in_the_file_is_used_from_the_next_session_on(tmp_path):
    path = write(tmp_path / "token", "atoll_first\n")
    async with (
        fake_host.running() as host,
        locations.serving_location(tmp_path, locations.EMPTY, host=host.address, token=given(path)),
    ):
        await host.registered()
        write(path, "atoll_second\n")
        host.drop_sessions()
        await host.registered(2)
    assert host.memory.tokens == ["Bearer atoll_first", "Bearer atoll_second"]


async def test_a_refusal_is_told_once_and_ends_once_another_token_is_there(tmp_path, caplog):
    path = write(tmp_path / "token", "atoll_revoked")
    async with fake_host.running() as host:
        host.refuse_registration = errors.UnauthenticatedError("The credentials are not valid.")
        async with locations.serving_location(
            tmp_path, locations.BASIC, host=host.address, token=given(path)
        ) as location:
            await host.until(lambda memory: len(memory.tokens) >= 3)
            # It goes on serving whoever may call it.
            assert (await location.describe()).current_build.build_id
            write(path, "atoll_good")
            host.refuse_registration = None
            await host.registered()
    told = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [record.reason for record in told] == ["CREDENTIALS_INVALID"]
    assert "--code-server" in told[0].problem
    assert "atoll_revoked" not in caplog.text + told[0].problem
    assert host.memory.tokens[-1] == "Bearer atoll_good"


async def test_a_run_asks_with_the_credential_that_came_with_it_and_the_one_after(tmp_path):
    async with (
        fake_host.running() as host,
        locations.serving_location(tmp_path, ASKING, host=host.address) as location,
    ):
        await host.registered()
        plan = locations.new_plan("asking")
        await location.start_run(plan, fake_host.credential(plan.run_id, "of the host"))
        await location.file("began")
        host.takes_run_credential = lambda shown: shown != "of the host"
        (tmp_path / "go").touch()
        await host.ended(plan.run_id)
        where = tmp_path / "state"
        kept = [path for path in where.rglob("*") if path.is_file()]
        assert not [path for path in kept if b"of the host" in path.read_bytes()]
    assert host.memory.run_credentials == ["of the host", "renewed 1"]
    assert host.memory.renewals == [[plan.run_id]]


async def test_a_run_that_is_adopted_gets_another_credential(tmp_path):
    locations.write(tmp_path, ASKING)
    plan = locations.new_plan("asking")
    async with fake_host.running() as host:
        try:
            async with locations.serve_command(tmp_path, "--host", host.address):
                await start_run(await host.registered(), plan)
                await host.saw(plan.run_id, "step_started")
            async with locations.serve_command(tmp_path, "--host", host.address):
                await host.until(lambda memory: memory.renewals == [[plan.run_id]])
                (tmp_path / "go").touch()
                await host.ended(plan.run_id)
        finally:
            locations.kill_workers(tmp_path / "state" / "runs")
    assert host.memory.run_credentials == ["renewed 1"]


async def test_a_host_that_gives_no_credentials_is_asked_without(tmp_path):
    async with (
        fake_host.running(features=()) as host,
        locations.serving_location(tmp_path, ASKING, host=host.address) as location,
    ):
        await host.registered()
        plan = locations.new_plan("asking")
        (tmp_path / "go").touch()
        await location.start_run(plan)
        await host.ended(plan.run_id)
    assert (host.memory.run_credentials, host.memory.renewals) == ([""], [])


async def test_user_code_does_not_find_the_token_in_any_environment(tmp_path):
    locations.write(tmp_path, TELLTALE)
    environment = {"ATOLL_LOCATION_TOKEN": "atoll_canary", "OTHER": "atoll_seen"}
    async with (
        fake_host.running() as host,
        locations.serve_command(tmp_path, "--host", host.address, **environment) as command,
    ):
        await command.line("Serving")
        await host.registered()
    found = (tmp_path / "found").read_bytes()
    assert host.memory.tokens == ["Bearer atoll_canary"]
    assert b"atoll_seen" in found
    own, inherited, *parents = found.split(b"|")
    assert b"canary" not in own + inherited
    # Root may read what the kernel hides from everybody else.
    assert not parents or b"canary" not in parents[0] or os.geteuid() == 0
