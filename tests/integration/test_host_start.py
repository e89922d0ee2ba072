"""A host that cannot start says why; one that can is ready when it answers, and stops cleanly."""

import asyncio
import socket

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from atoll._rpc import errors as rpc_errors
from atoll._rpc import info
from atoll.rpc.v1 import server_info_pb2
from atoll_host import errors
from atoll_host import host as hosts
from atoll_host import settings as host_settings
from atoll_storage import errors as storage_errors

pytestmark = pytest.mark.postgres


async def test_a_started_host_is_healthy_and_tells_what_it_is(host, client):
    health = health_pb2_grpc.HealthStub(client.channel)
    for service in ("", "atoll.api.v1.RunsService", "atoll.mesh.v1.MeshService"):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    facts = await info.check_server(client.channel, kind=server_info_pb2.SERVER_KIND_HOST)
    assert facts.instance_id == host.host_id


async def test_a_port_in_use_is_said_before_anything_is_started(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        host = hosts.Host(host_settings.Settings(listen=listen, data_dir=tmp_path / "data"))
        with pytest.raises(rpc_errors.FailedPreconditionError, match=listen) as raised:
            await host.start()
    assert raised.value.reason == "PORT_IN_USE"
    assert not (tmp_path / "data").exists()


async def test_a_postgres_that_is_not_there_is_said_without_the_password(caplog):
    url = "postgresql://someone:secret-word@127.0.0.1:1/atoll"
    host = hosts.Host(host_settings.Settings(listen="127.0.0.1:0", database_url=url))
    with pytest.raises(storage_errors.StorageError) as raised:
        await host.start()
    assert "127.0.0.1" in str(raised.value)
    assert "secret-word" not in str(raised.value) + caplog.text


async def test_a_wrong_data_directory_is_refused(tmp_path):
    folder = tmp_path / hosts.POSTGRES_DIR_NAME
    folder.mkdir()
    (folder / "letter.txt").write_text("dear all")
    host = hosts.Host(host_settings.Settings(listen="127.0.0.1:0", data_dir=tmp_path))
    with pytest.raises(storage_errors.DataDirectoryRefused, match="not empty"):
        await host.start()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"listen": "0.0.0.0:4700"}, "0.0.0.0:4700"),
        ({"listen": "nonsense"}, "nonsense"),
        ({"active_max": 0}, "active_max is 0"),
        ({"lease_ttl_s": 0.0}, "lease_ttl_s is 0.0"),
        ({"database_url": "mysql://x"}, "postgresql://"),
    ],
)
def test_a_bad_setting_is_refused_with_its_value(changes, text):
    with pytest.raises(errors.SettingsError, match=text) as raised:
        host_settings.Settings(**changes)
    assert raised.value.setting in changes


def test_settings_do_not_show_the_password():
    settings = host_settings.Settings(database_url="postgresql://someone:secret-word@db/atoll")
    assert "secret-word" not in repr(settings)


async def read_to_the_end(watch) -> None:
    while True:
        await watch.next()


async def test_a_stopped_host_ends_its_streams_and_frees_its_port(mesh, host, client):
    location = await mesh.location(host, "a")
    watch = await client.watch().begun()
    async with asyncio.timeout(10):
        await host.stop()
    with pytest.raises((grpc.aio.AioRpcError, AssertionError, asyncio.CancelledError)):
        await read_to_the_end(watch)
    again = await mesh.host(listen=host.address)
    assert again.address == host.address
    await location.stop()
