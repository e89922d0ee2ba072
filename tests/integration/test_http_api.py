"""The API over HTTP and JSON: the same servicers as over gRPC, the same errors, within bounds."""

import asyncio
import contextlib
import importlib
import json
import pkgutil

import pytest
from google.protobuf import descriptor_pool

import atoll.api.v1
from atoll._rpc import reasons
from atoll._rpc import serving as rpc_serving
from atoll.api.v1 import events_pb2, events_pb2_grpc, runs_pb2, runs_pb2_grpc
from atoll_host.http import application, calls, http_settings, listening
from atoll_host.servicers import serving
from tests.integration import code_location, http_caller

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

RUNS = "/atoll.api.v1.RunsService"
TIMEOUT_S = 10.0


def settings(**changes) -> http_settings.HttpSettings:
    return http_settings.HttpSettings(**{"listen": "127.0.0.1:0", **changes})


def rpcs() -> list:
    """Return every rpc of the API, whoever serves it."""
    found = []
    for module in pkgutil.iter_modules(atoll.api.v1.__path__):
        if module.name.endswith("_pb2"):
            name = importlib.import_module(f"atoll.api.v1.{module.name}").DESCRIPTOR.name
            file = descriptor_pool.Default().FindFileByName(name)
            for service in file.services_by_name.values():
                found += service.methods
    return found


@pytest.fixture
async def host(mesh):
    host = await mesh.host(http=settings())
    defined = code_location.snapshot(
        [code_location.asset("orders")], [code_location.job("load", "orders")]
    )
    await mesh.location(host, "shop", defined)
    return host


@pytest.fixture
def caller(host):
    return http_caller.Caller(host.parts.http.address)


async def test_every_rpc_of_the_api_is_there(caller):
    for method in rpcs():
        path = calls.path_of(method)
        if method.server_streaming:
            async with caller.stream(path, {"runId": "none"}) as stream:
                if "WatchEvents" in path:
                    await stream.next()
                    assert stream.status == 200
                    continue
                assert await stream.next() is None
                assert stream.end["error"]["code"] in ("not_found", "invalid_argument"), path
        else:
            answer = await caller.post(path)
            assert answer.status in (200, 400, 404), (path, answer)
            assert answer.headers["content-type"] == "application/json"


async def test_http_and_grpc_answer_alike(caller, mesh, host):
    launched = await caller.post(
        f"{RUNS}/LaunchRun", {"locationName": "shop", "jobName": "load", "tags": {"a": "é"}}
    )
    assert launched.status == 200
    run_id = launched.said["run"]["runId"]
    over_grpc = await mesh.client(host).runs.GetRun(runs_pb2.GetRunRequest(run_id=run_id))
    posted = await caller.post(f"{RUNS}/GetRun", {"run_id": run_id})
    got = await caller.get(f"{RUNS}/GetRun", {"runId": run_id})
    assert posted.said["run"]["tags"] == got.said["run"]["tags"] == dict(over_grpc.run.tags)
    binary = await caller.send(
        "POST",
        f"{RUNS}/GetRun",
        runs_pb2.GetRunRequest(run_id=run_id).SerializeToString(),
        {"content-type": "application/proto"},
    )
    assert runs_pb2.GetRunResponse.FromString(binary.body).run.tags == over_grpc.run.tags


async def test_errors_have_their_reason_and_values(caller):
    answer = await caller.post(f"{RUNS}/GetRun", {"runId": "none"})
    assert answer.status == 404
    assert answer.said["code"] == "not_found"
    assert answer.said["details"][0]["debug"] == {
        "reason": reasons.UNKNOWN_RUN,
        "domain": "atoll",
        "metadata": {"run_id": "none"},
    }


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b'{"runId": 1}', 400),
        (b'{"unknown": 1}', 400),
        (b"[" * 100_000, 400),
        (b'{"runId": "' + b"x" * 5_000_000 + b'"}', 413),
    ],
)
async def test_what_is_no_request_is_refused(caller, body, status):
    answer = await caller.post(f"{RUNS}/GetRun", body)
    assert answer.status == status
    assert answer.said["message"]


async def test_a_body_without_a_length_is_bounded_too(caller):
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    head = f"POST {RUNS}/GetRun HTTP/1.1\r\nhost: {caller.address}\r\n"
    head += "content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    answer = await caller.raw(head.encode() + chunk * 80 + b"0\r\n\r\n")
    assert answer.status == 413


async def test_what_a_browser_could_be_made_to_send_is_refused(caller):
    path = f"{RUNS}/LaunchRun"
    assert (await caller.post(path, origin="https://evil.example")).status == 403
    assert (await caller.post(path, sec_fetch_site="cross-site")).status == 403
    assert (await caller.post(path, host="evil.example")).status == 421
    form = {"content-type": "text/plain"}
    assert (await caller.send("POST", path, b"{}", form)).status == 415
    preflight = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    answer = await caller.send("OPTIONS", path, b"", preflight)
    assert answer.status == 403
    assert not any(name.startswith("access-control") for name in answer.headers)


async def test_pages_of_allowed_origins_may_call(mesh):
    origin = "https://data.example.com"
    host = await mesh.host(http=settings(allowed_origins=(origin,)))
    caller = http_caller.Caller(host.parts.http.address)
    asked = {"origin": origin, "access-control-request-method": "POST"}
    asked["access-control-request-headers"] = "authorization,content-type,connect-timeout-ms"
    answer = await caller.send("OPTIONS", f"{RUNS}/ListRuns", b"", asked)
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == origin
    answer = await caller.post(f"{RUNS}/ListRuns", origin=origin, sec_fetch_site="cross-site")
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == origin
    assert (await caller.post(f"{RUNS}/ListRuns", origin="https://evil.example")).status == 403


async def test_no_answer_is_taken_for_a_page(caller):
    for answer in (await caller.get("/healthz"), await caller.post(f"{RUNS}/ListRuns")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_what_is_not_there_is_said_in_json(caller):
    for answer in (await caller.get("/none"), await caller.post("/atoll.api.v1.None/None")):
        assert answer.status == 404
        assert answer.said["code"] == "unimplemented"
    assert (await caller.send("DELETE", "/healthz", b"", {})).status == 405


async def test_health_and_readiness_need_no_credentials(caller):
    assert (await caller.get("/healthz")).said == {"status": "serving"}
    assert (await caller.get("/readyz")).said == {"status": "ready"}


async def test_events_are_watched_as_they_come(caller, mesh, host):
    async with caller.stream("/atoll.api.v1.EventsService/WatchEvents") as stream:
        assert "resumeToken" in await stream.next()
        await caller.post(f"{RUNS}/LaunchRun", {"locationName": "shop", "jobName": "load"})
        while "events" not in (part := await stream.next()):
            pass
        assert part["events"][0]["locationName"] == "shop"


async def test_plain_json_gets_a_stream_in_lines(caller):
    path = "/atoll.api.v1.EventsService/WatchEvents"
    await caller.post(f"{RUNS}/LaunchRun", {"locationName": "shop", "jobName": "load"})
    answer = await caller.post(path, {"fromBeginning": True}, connect_timeout_ms="300")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/jsonl"
    *parts, end = [json.loads(line) for line in answer.body.splitlines()]
    assert any(part.get("events") for part in parts)
    assert end["error"]["code"] == "deadline_exceeded"


async def test_a_stream_in_lines_that_never_began_is_an_error_like_any_other(caller):
    answer = await caller.post(f"{RUNS}/GetRunOutput", {"runId": "none"})
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/json"
    assert answer.reason == reasons.UNKNOWN_RUN
    answer = await caller.post(f"{RUNS}/GetRunOutput", b"{")
    assert answer.status == 400


async def test_a_deadline_of_the_client_ends_a_call(caller):
    path = "/atoll.api.v1.EventsService/WatchEvents"
    async with caller.stream(path, connect_timeout_ms="300") as stream:
        while await stream.next() is not None:
            pass
        assert stream.end["error"]["code"] == "deadline_exceeded"


async def test_a_taken_port_is_told(mesh, host):
    with pytest.raises(Exception, match=r"http\.listen"):
        await mesh.host(http=settings(listen=host.parts.http.address))


async def test_no_http_is_served_unless_grpc_has_its_default_address(mesh):
    host = await mesh.host()
    assert host.parts.http.address == ""


class Endless(events_pb2_grpc.EventsServiceServicer, runs_pb2_grpc.RunsServiceServicer):
    """Sends large messages for as long as somebody takes them."""

    def __init__(self) -> None:
        self.sent = 0
        self.closed = asyncio.Event()
        self.entered = asyncio.Event()

    async def WatchEvents(self, request, context):  # noqa: N802 - the name of the rpc
        try:
            while True:
                self.sent += 1
                yield events_pb2.WatchEventsResponse(resume_token="x" * 65536)
        finally:
            self.closed.set()

    async def GetRun(self, request, context):  # noqa: N802 - the name of the rpc
        self.entered.set()
        try:
            if request.run_id == "broken":
                raise RuntimeError("secret")
            await asyncio.Event().wait()
        finally:
            self.closed.set()


@contextlib.asynccontextmanager
async def served_by(servicer, **changes):
    """Serve a servicer by a listener of its own."""

    async def ready() -> str:
        return "not yet"

    services = [
        rpc_serving.Service(name, lambda *_: None, servicer)
        for name in ("atoll.api.v1.EventsService", "atoll.api.v1.RunsService")
    ]
    served = application.Served(services, calls.OPEN, serving.ERROR_TABLE, ready)
    listener = listening.Listener("127.0.0.1:0", served, settings(**changes))
    await listener.start()
    try:
        yield http_caller.Caller(listener.address)
    finally:
        await listener.stop()


async def within(event: asyncio.Event) -> None:
    await asyncio.wait_for(event.wait(), TIMEOUT_S)


WATCH = "/atoll.api.v1.EventsService/WatchEvents"


async def test_a_client_that_reads_nothing_is_sent_no_more_and_cut_off():
    servicer = Endless()
    async with served_by(servicer, stalled_timeout_s=0.5) as caller, caller.stream(WATCH) as stream:
        assert await stream.next()
        await within(servicer.closed)
    # What fits into the buffers of the kernel and of this end, not more.
    assert servicer.sent * 65536 < 64 * 1024 * 1024


async def test_a_client_that_goes_away_ends_what_was_done_for_it():
    servicer = Endless()
    async with served_by(servicer) as caller:
        async with caller.stream(WATCH) as stream:
            assert await stream.next()
        await within(servicer.closed)
        servicer.closed.clear()
        asked = asyncio.create_task(caller.post(f"{RUNS}/GetRun"))
        await within(servicer.entered)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        await within(servicer.closed)


async def test_a_unary_call_ends_with_the_deadline_of_the_client():
    servicer = Endless()
    async with served_by(servicer) as caller:
        answer = await caller.post(f"{RUNS}/GetRun", connect_timeout_ms="100")
        assert answer.status == 504
        assert answer.said["code"] == "deadline_exceeded"
        assert servicer.closed.is_set()
        for wrong in ("-1", "soon", "1" * 11):
            answer = await caller.post(f"{RUNS}/GetRun", connect_timeout_ms=wrong)
            assert answer.status == 400


async def test_what_nobody_expected_is_in_the_log_only(caplog):
    async with served_by(Endless()) as caller:
        answer = await caller.post(f"{RUNS}/GetRun", {"runId": "broken"})
    assert answer.status == 500
    assert b"secret" not in answer.body
    error_id = answer.said["details"][0]["debug"]["metadata"]["error_id"]
    [record] = [found for found in caplog.records if found.levelname == "ERROR"]
    assert record.error_id == error_id
    assert "secret" in str(record.exc_info[1])


async def test_streams_are_counted():
    async with served_by(Endless(), streams_max=1) as caller, caller.stream(WATCH) as stream:
        assert await stream.next()
        async with caller.connected() as (reader, writer):
            head = f"POST {WATCH} HTTP/1.1\r\nhost: {caller.address}\r\ncontent-length: 7\r\n"
            head += "content-type: application/connect+json\r\n\r\n"
            writer.write(head.encode() + b"\0\0\0\0\2{}")
            answer = await http_caller.answer(reader)
        assert answer.status == 429
        assert answer.reason == reasons.BUSY


@pytest.mark.parametrize(
    "begun", [b"", b"POST", b"GET /healthz HTTP/1.1\r\nhost: x\r\n"], ids=["none", "line", "head"]
)
async def test_a_head_that_does_not_arrive_is_not_waited_for(begun):
    async with (
        served_by(Endless(), receive_timeout_s=0.2) as caller,
        caller.connected() as (reader, writer),
    ):
        writer.write(begun)
        assert await asyncio.wait_for(reader.read(), TIMEOUT_S) == b""


async def test_a_body_that_does_not_arrive_is_not_waited_for():
    async with served_by(Endless(), receive_timeout_s=0.2) as caller:
        headers = {"content-type": "application/json", "content-length": "10"}
        answer = await caller.send("POST", f"{RUNS}/GetRun", b"{", headers)
    assert answer.status == 408
    assert answer.reason == reasons.DEADLINE_EXCEEDED


async def test_a_host_that_is_not_ready_says_so():
    async with served_by(Endless()) as caller:
        answer = await caller.get("/readyz")
    assert answer.status == 503
    assert json.loads(answer.body) == {"status": "not ready", "reason": "not yet"}


async def test_heads_that_are_no_http_are_refused():
    async with served_by(Endless()) as caller:
        for raw in (b"\x16\x03\x01\r\n\r\n", b"GET / HTTP/1.1\r\nx: \xff\r\nhost: x\r\n\r\n"):
            assert (await caller.raw(raw)).status == 400
