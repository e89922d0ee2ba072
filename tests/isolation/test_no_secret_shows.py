"""A mesh at work keeps its secrets: whatever it writes, says, stores or shows user code has none.

Everybody is asked for credentials and speaks TLS. There are runs that succeed, fail and crash, a
tick, a backfill, a webhook and a subscription, at the level debug. What finds nothing in the end
finds each leak that is planted then.
"""

import asyncio
import base64
import contextlib
import dataclasses
import pathlib
import secrets
import ssl
import urllib.error
import urllib.request

import psycopg
import pytest
import sqlalchemy as sa

from atoll._rpc import tls
from atoll.api.v1 import backfills_pb2, runs_pb2
from atoll.client import backfills, connection, documents, errors, runs, subscriptions
from atoll.definitions.v1 import values_pb2
from atoll_host.webhooks import signatures
from tests import certificates
from tests.e2e import mesh
from tests.host.access import contracts
from tests.host.subscriptions import receivers
from tests.isolation import canaries, gates, inspection

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not pathlib.Path("/proc/self/mem").exists(), reason="looks into /proc"),
]

CODE = f"""
import faulthandler, os, pathlib, resource
import atoll as dg

HERE = pathlib.Path(__file__).parent
{gates.WAIT}

@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["a", "b"]))
def numbers():
    return 1

@dg.op
def look(context):
    for key, value in os.environ.items():
        print(key, value)
    context.log.debug(pathlib.Path("/proc/self/environ").read_text(errors="replace"))
    context.instance.get_runs(limit=1)
    (HERE / "looked").write_text(str(vars(context)))
    wait_at("gate")

@dg.op
def fail():
    known = dict(os.environ)
    raise ValueError("a bad day")

@dg.op
def crash():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.enable(all_threads=True)
    os.abort()

@dg.job
def looking():
    look()

@dg.job
def failing():
    fail()

@dg.job
def crashing():
    crash()

@dg.sensor(
    job=failing, minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING
)
def curious(context):
    context.instance.get_runs(limit=1)
    (HERE / "ticked").write_text(str(os.environ))
    return dg.SkipReason(str(vars(context)))

@dg.webhook_sensor(job=failing, default_status=dg.DefaultSensorStatus.RUNNING)
def hook(context, request: dg.WebhookRequest):
    (HERE / "hooked").write_text(str(request.headers))
    return dg.SkipReason("seen")

defs = dg.Definitions([numbers], jobs=[looking, failing, crashing], sensors=[curious, hook])
"""
COMMANDS = (
    ("whoami",),
    ("locations", "list"),
    ("locations", "show", "sales"),
    ("sensors", "list"),
    ("sensors", "show", "hook", "--location", "sales"),
    ("runs", "list"),
    ("events", "--limit", "200"),
    ("tokens", "list"),
    ("audit", "list"),
    ("subscriptions", "list"),
    ("subscriptions", "show", "all"),
)


@dataclasses.dataclass
class Scene:
    """The mesh, what is not to be found, and what was said."""

    folder: pathlib.Path
    url: str
    webhooks: str
    http: str
    running: mesh.Mesh
    known: canaries.Secrets
    ca: pathlib.Path
    said: list[canaries.Place] = dataclasses.field(default_factory=list)

    def keepers(self) -> list[pathlib.Path]:
        """Return the files that have to hold secrets."""
        return [
            self.running.admin_token,
            self.folder / "tokens",
            *(self.folder / "certs").glob("*.key"),
        ]

    def leaks(self) -> list[str]:
        """Return every secret that shows somewhere."""
        places = (
            *canaries.files(self.folder, but=self.keepers()),
            *canaries.tables(self.url),
            *self.said,
        )
        return list(self.known.found_in(places))

    def learn(self) -> None:
        """Look for all secrets that files and the database hold."""
        for file in self.keepers():
            for path, content in canaries.files(file) if file.is_dir() else [(str(file), b"")]:
                lines = (content or pathlib.Path(path).read_bytes()).splitlines()
                secret = lines[1:-1] if path.endswith(".key") else lines
                self.known.add(path, *(line for line in secret if len(line) >= 16))
        for column, values in canaries.secrets_of(self.url).items():
            assert values or column == "subscriptions.old_secret", f"{column} has no secret"
            for value in values:
                self.known.add(column, value, base64.b64encode(value), value.hex())

    def _never_in_memory(self, name: str) -> list[bytes]:
        """Return what the processes with user code of a location must not even hold."""
        with psycopg.connect(self.url) as database:
            query = "SELECT control_token FROM servers WHERE location_name = %s"
            [(control_token,)] = database.execute(query, [name]).fetchall()
        token = self.running.location_token(name).read_text().strip()
        # Split, so that the code of this test is no finding.
        return [token.encode(), control_token.encode(), b"atoll" + b"run_"]

    def look_at_processes(self) -> None:
        """Keep what everybody on the machine can see, and what user code was started with."""
        for name in ("host", "sales", "reports"):
            members = inspection.family(self.running.pid(name))
            for pid in members:
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    shown = inspection.command_line(pid)
                    self.said.append((f"arguments of {name}, {shown!r}", shown))
                    if b"atoll._location" in shown:
                        place = f"environment of {name}, {shown!r}"
                        self.said.append((place, inspection.environment(pid)))
                        for secret in self._never_in_memory(name):
                            assert not inspection.holds(pid, secret), place
        assert len([where for where, _ in self.said if where.startswith("environment")]) >= 2


def settings(
    folder: pathlib.Path, webhooks: str, http: str, ca: certificates.Authority
) -> pathlib.Path:
    pair = ca.pair("host", "atoll:host")
    file = folder / "host.toml"
    file.write_text(
        f'[tls]\ncertificate = "{pair.certificate}"\nkey = "{pair.key}"\n'
        f'locations_ca = "{ca.path}"\n[webhooks]\nlisten = "{webhooks}"\n'
        f'[http]\nlisten = "{http}"\n'
        "[subscriptions]\nallow_loopback = true\n"
    )
    return file


@pytest.fixture
def scene(own_database_url: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    password = f"canary-{secrets.token_hex(16)}"
    url = sa.make_url(own_database_url).set(password=password)
    monkeypatch.setenv("ATOLL_DATABASE_URL", url.render_as_string(hide_password=False))
    (tmp_path / "certs").mkdir()
    ca = certificates.Authority(tmp_path / "certs")
    webhooks, http = (f"127.0.0.1:{mesh.free_port()}" for _ in range(2))
    known = canaries.Secrets()
    known.add("the password of the database", password)
    running = mesh.Mesh(
        tmp_path,
        host_options=("--config", str(settings(tmp_path, webhooks, http, ca))),
        environment={"ATOLL_LOG_LEVEL": "debug"},
        tls=tls.ClientFiles(ca.path),
    )
    running.credentials = True
    with running:
        running.start_host()
        for name in ("sales", "reports"):
            code = tmp_path / name / "definitions.py"
            code.parent.mkdir()
            code.write_text(CODE)
            pair = ca.pair(name, f"atoll:location:{name}")
            options = ("--tls-certificate", str(pair.certificate), "--tls-key", str(pair.key))
            options += ("--host-ca", str(ca.path))
            running.add(name, code, options=options, token_in_environment=name == "sales")
            running.start_location(name)
        yield Scene(tmp_path, own_database_url, webhooks, http, running, known, ca.path)


def post(scene: Scene, body: bytes, signature: str) -> int:
    """Send a webhook; return the status, and keep what was said."""
    trusting = ssl.create_default_context(cafile=scene.ca)
    request = urllib.request.Request(
        f"https://{scene.webhooks}/webhooks/sales/hook",
        data=body,
        headers={"x-atoll-signature-256": signature},
    )
    try:
        with urllib.request.urlopen(request, context=trusting, timeout=10) as answer:  # noqa: S310
            scene.said.append(("a webhook", str(answer.headers).encode() + answer.read()))
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            scene.said.append(("a webhook", str(error.headers).encode() + error.read()))
            return error.code


async def work(scene: Scene, client: connection.Client, gate: gates.Gate) -> None:
    """Have everything happen that a mesh does."""
    looking = await client.runs.launch(runs.Launch("looking", "sales"))
    others = [
        await client.runs.launch(runs.Launch(job, "sales")) for job in ("failing", "crashing")
    ]
    key = values_pb2.AssetKey(path=["numbers"])
    filled = await client.backfills.create(
        backfills.NewBackfill([key], choice=backfills_pb2.BACKFILL_CHOICE_ALL)
    )
    hook = await client.sensors.create_webhook_secret("sales", "hook")
    scene.known.add("the secret of the webhook", hook.secret)
    assert post(scene, b"{}", "sha256=" + "0" * 64) == 401
    assert post(scene, b"{}", signatures.sign(hook.secret.encode(), b"{}")) == 202
    for run in others:
        ended = await client.runs.wait(run.run_id, timeout_s=mesh.WITHIN_S)
        assert ended.status == runs_pb2.RUN_STATUS_FAILURE
        scene.said.append(("a run", documents.single(ended).encode()))

    async def is_filled(again: connection.Client) -> bool:
        found = await again.backfills.get(filled.backfill_id)
        return found.status == backfills_pb2.BACKFILL_STATUS_COMPLETED_SUCCESS

    await scene.running.until(is_filled)

    async def all_looked(_: connection.Client) -> bool:
        return all(
            (scene.folder / "sales" / each).exists() for each in ("looked", "ticked", "hooked")
        )

    await scene.running.until(all_looked)
    scene.look_at_processes()
    gate.open()
    ended = await client.runs.wait(looking.run_id, timeout_s=mesh.WITHIN_S)
    assert ended.status == runs_pb2.RUN_STATUS_SUCCESS


async def refused(scene: Scene, token: str) -> None:
    """Call with a token that is none of this host."""
    with pytest.raises(errors.UnauthenticatedError) as raised:
        async with connection.connect(
            scene.running.address, token=token, tls=scene.running.tls
        ) as client:
            await client.access.who_am_i()
    scene.said.append(("a refusal", str(raised.value).encode()))


def ask_over_http(scene: Scene) -> None:
    """Make every call that only reads, with and without credentials; keep what was said."""
    trusting = ssl.create_default_context(cafile=scene.ca)
    reads = [
        f"/{method.containing_service.full_name}/{method.name}"
        for method in contracts.methods()
        if method.full_name.startswith("atoll.api.")
        and not contracts.rule(method).changes
        and not (method.client_streaming or method.server_streaming)
    ]
    known = {"authorization": f"Bearer {scene.running.token}"}
    asked = [(path, b"{}", headers) for path in reads for headers in (known, {})]
    asked += [(path, None, {}) for path in ("/openapi.json", "/docs", "/readyz")]
    statuses = set()
    for path, body, headers in asked:
        request = urllib.request.Request(
            f"https://{scene.http}{path}",
            data=body,
            headers={"content-type": "application/json", **headers},
        )
        try:
            with urllib.request.urlopen(request, context=trusting, timeout=30) as answer:  # noqa: S310
                said, status = str(answer.headers).encode() + answer.read(), answer.status
        except urllib.error.HTTPError as error:
            with error:
                said, status = str(error.headers).encode() + error.read(), error.code
        statuses.add(status)
        scene.said.append((f"{path} over HTTP", said))
    assert {200, 401, 404} <= statuses


def plant(scene: Scene, secret: str) -> list[str]:
    """Leak a secret everywhere; return words that tell each of the places."""
    with (scene.folder / "logs" / "host.log").open("a") as log:
        log.write(f"calling with {secret}\n")
    (scene.running.state_dir("sales") / "left").write_text(secret)
    with psycopg.connect(scene.url) as database:
        database.execute("UPDATE runs SET build_id = %s", [secret])
        database.execute("UPDATE servers SET load_failure = %s", [secret.encode()])
    scene.said.append(("a command", f"Error: {secret} is no token".encode()))
    return ["host.log", "sales/left", "runs.build_id", "servers.load_failure", "a command"]


async def test_no_secret_shows_anywhere(scene: Scene):
    running = scene.running
    await running.serving("sales", "reports")
    with gates.gate(scene.folder / "sales") as gate, gates.gate(scene.folder / "reports"):
        async with receivers.Receiver().serving() as receiver, running.client() as client:
            wanted = subscriptions.NewSubscription("all", receiver.url)
            made = await client.subscriptions.create(wanted)
            scene.known.add("the secret of the subscription", made.secret)
            await work(scene, client, gate)
            await receiver.until_requests(1)
            scene.said += [("a request", str(each).encode()) for each in receiver.requests]
    unknown = f"atoll_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"
    await refused(scene, unknown)
    await asyncio.to_thread(ask_over_http, scene)
    for command in COMMANDS:
        for options in ((), ("--json",)):
            done = running.cli(*command, *options)
            assert done.returncode == 0, (command, done.stderr)
            scene.said.append((" ".join(command), (done.stdout + done.stderr).encode()))
    scene.learn()
    assert not scene.leaks()
    # What was used was there to be found, and is found wherever it leaks.
    shown = (scene.folder / "sales" / "looked").read_text()
    assert "instance" in shown
    assert "ATOLL_LOG_LEVEL" in (scene.folder / "sales" / "ticked").read_text()
    for secret in (
        running.token,
        canaries.secrets_of(scene.url)["servers.control_token"][0].decode(),
    ):
        told = plant(scene, secret)
        leaks = scene.leaks()
        assert not [where for where in told if not any(where in leak for leak in leaks)], leaks
