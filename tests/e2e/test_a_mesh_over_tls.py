"""A whole mesh over mutual TLS, made as docs/guides/tls.md says: host, two locations, clients.

Certificates are replaced while it runs, and whoever has none of the right ones gets nowhere.
"""

import itertools
import pathlib
import re
import shlex
import ssl
import urllib.error
import urllib.request

import pytest

from atoll._rpc import errors, info, pem_files, serving, tls
from atoll.api.v1 import runs_pb2
from atoll.client import connection, runs
from atoll.client import errors as client_errors
from atoll.rpc.v1 import server_info_pb2
from tests.e2e import mesh

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


GUIDE = pathlib.Path(__file__).parents[2] / "docs" / "guides" / "tls.md"


def block(kind: str, number: int) -> str:
    """What the guide says to write or to type."""
    fence = re.compile(rf"^```{kind}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return fence.findall(GUIDE.read_text())[number]


class Certificates:
    """The certificates that the commands of the guide make, and what it says to do with them."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.ca = folder / "certs" / "ca.crt"
        commands = [shlex.split(line)[1:] for line in block("sh", 0).splitlines()]
        self.creations = [words for words in commands if "create" in words]
        self.made = "".join(self.make(*words) for words in commands)

    def make(self, *arguments: str) -> str:
        done = mesh.run_cli(*arguments, folder=self.folder)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def pair(self, name: str) -> pem_files.Pair:
        return pem_files.Pair(
            self.folder / "certs" / f"{name}.crt", self.folder / "certs" / f"{name}.key"
        )

    def client(self, name: str) -> tls.ClientFiles:
        return tls.ClientFiles(self.ca, self.pair(name))

    def serve_options(self, name: str) -> tuple[str, ...]:
        words = shlex.split(block("sh", 1).replace("location-sales", f"location-{name}"))
        named = {"--tls-certificate", "--tls-key", "--tls-client-ca", "--host-ca"}
        given = [pair for pair in itertools.pairwise(words) if pair[0] in named]
        assert len(given) == len(named)
        return tuple(word for flag, path in given for word in (flag, str(self.folder / path)))

    def settings(self, webhooks: str) -> pathlib.Path:
        file = self.folder / "host.toml"
        file.write_text(f'{block("toml", 0)}\n[webhooks]\nlisten = "{webhooks}"\n')
        return file

    def environment(self) -> dict[str, str]:
        exported = [line for line in block("sh", 2).splitlines() if line.startswith("export")]
        named = dict(line.removeprefix("export ").split("=") for line in exported)
        return {name: str(self.folder / path) for name, path in named.items()}

    def secrets(self) -> list[str]:
        keys = (self.folder / "certs").glob("*.key")
        return [line for key in keys for line in key.read_text().splitlines()[1:-1]]


async def materialize(running: mesh.Mesh) -> None:
    """Run a job of `sales`, and wait for the run that it causes in `reports`."""
    async with running.client() as client:
        upstream = await client.runs.launch(runs.Launch("make_numbers", "sales"))

    async def answered(client: connection.Client) -> bool:
        found = [run async for run in client.runs.list(location_name="reports")]
        succeeded = runs_pb2.RUN_STATUS_SUCCESS
        mine = [run for run in found if run.tags["upstream_run"] == upstream.run_id]
        return any(run.status == succeeded for run in mine)

    await running.until(answered)


async def address_of(running: mesh.Mesh, name: str) -> str:
    async with running.client() as client:
        found = {each.name: each.address async for each in client.locations.list()}
    return found[name]


async def nobody_gets_in_without_a_certificate(running: mesh.Mesh, made: Certificates) -> None:
    for files, told in ((None, "speak TLS"), (tls.ClientFiles(made.ca), "client certificate")):
        with pytest.raises(client_errors.ConnectError, match=told):
            async with connection.connect(running.address, tls=files):
                pass


async def a_location_cannot_call_another(running: mesh.Mesh, made: Certificates) -> None:
    address = await address_of(running, "sales")
    kind = server_info_pb2.SERVER_KIND_CODE_SERVER
    async with serving.channel(address, tls.ClientTls(made.client("location-reports"))) as channel:
        with pytest.raises(errors.PermissionDeniedError, match="atoll:location:reports"):
            await info.check_server(channel, kind=kind, secured=True)
    async with serving.channel(address, tls.ClientTls(made.client("host"))) as channel:
        await info.check_server(channel, kind=kind, secured=True)


def webhooks_are_taken_over_tls(address: str, made: Certificates) -> None:
    trusting = ssl.create_default_context(cafile=made.ca)
    request = urllib.request.Request(f"https://{address}/webhooks/sales/none", data=b"{}")
    with pytest.raises(urllib.error.HTTPError) as answered:
        urllib.request.urlopen(request, context=trusting, timeout=10)  # noqa: S310
    with answered.value as answer:
        assert answer.code in {401, 404}


def the_command_line_shows_its_certificate(running: mesh.Mesh, made: Certificates) -> None:
    environment = {"ATOLL_HOST": running.address, **made.environment()}
    command = shlex.split(block("sh", 2).splitlines()[-1])[1:]
    done = mesh.run_cli(*command, environment=environment)
    assert done.returncode == 0, done.stderr
    without = mesh.run_cli("locations", "list", environment={"ATOLL_HOST": running.address})
    assert without.returncode == 3
    assert "speak TLS" in without.stderr


async def new_certificates_are_used_without_a_restart(
    running: mesh.Mesh, made: Certificates
) -> None:
    """Everybody gets a new one while everything runs."""
    before = ssl.get_server_certificate(split(await address_of(running, "sales")))
    for creation in made.creations:
        made.make(*creation, "--force")
    assert ssl.get_server_certificate(split(await address_of(running, "sales"))) != before
    await materialize(running)


def split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


async def test_everything_works_with_certificates_and_nothing_without(tmp_path):
    made = Certificates(tmp_path)
    webhooks = f"127.0.0.1:{mesh.free_port()}"
    options = ("--config", str(made.settings(webhooks)))
    with mesh.Mesh(tmp_path, host_options=options, tls=made.client("user-ann")) as running:
        for name, code in (("sales", "upstream.py"), ("reports", "downstream.py")):
            running.add(name, mesh.CODE / code, options=made.serve_options(name))
        running.start()
        await running.serving("sales", "reports")
        await materialize(running)
        await nobody_gets_in_without_a_certificate(running, made)
        await a_location_cannot_call_another(running, made)
        webhooks_are_taken_over_tls(webhooks, made)
        the_command_line_shows_its_certificate(running, made)
        await new_certificates_are_used_without_a_restart(running, made)
        logs = "".join(running.log(name) for name in ("host", "sales", "reports"))
    assert not [line for line in made.secrets() if line in logs + made.made]
