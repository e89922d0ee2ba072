"""Whatever is sent to whatever rpc: it is answered or refused, never a fault of the host.

Every rpc that the host serves is called from its descriptor, over gRPC and over HTTP. No call may
hang, end as INTERNAL or UNKNOWN or leave a traceback in the log; what only reads changes no row.
"""

import asyncio
import json
import logging
from collections.abc import Iterable

import grpc
import grpc.aio
import psycopg
import pytest
from google.protobuf import descriptor, descriptor_pool

from atoll._rpc import options
from atoll.api.v1 import runs_pb2
from atoll_host.http import calls, endpoints, http_settings
from atoll_host.servicers import serving
from tests.integration import code_location, hostile, http_caller

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(240)]

EXAMPLES = 14
CALL_TIMEOUT_S = 20.0
STREAM_TIMEOUT_S = 0.1
AT_ONCE = 8
FAULTS = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS)
# The host looks after these by itself, whoever asks for whatever.
LIVELY = ("servers", "locations")


class World:
    """A host with content, and who calls it."""

    def __init__(self, host, location, run_ids: list[str], database_url: str) -> None:
        self.host = host
        self.known = ["shop", "orders", "load", "costs", *run_ids, location.server_id]
        self.url = database_url
        self.caller = http_caller.Caller(host.parts.http.address)
        self.channel = grpc.aio.insecure_channel(host.address, options=options.CHANNEL)

    def maker(self, seed: str) -> hostile.Maker:
        return hostile.Maker(seed, self.known)

    def rows(self) -> dict[str, tuple]:
        """Return what is in every table that only requests change."""
        with psycopg.connect(self.url) as connection:
            names = connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
            ).fetchall()
            return {
                name: connection.execute(
                    f"SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {name} t"  # noqa: S608 - names of our own tables
                ).fetchone()
                for (name,) in names
                if name not in LIVELY
            }


@pytest.fixture
async def world(mesh, database_url):
    host = await mesh.host(http=http_settings.HttpSettings(listen="127.0.0.1:0"))
    defined = code_location.snapshot(
        [code_location.asset("orders"), code_location.asset("costs")],
        [code_location.job("load", "orders", "costs")],
    )
    location = await mesh.location(host, "shop", defined)
    runs = mesh.client(host).runs
    run_ids = []
    for _ in range(2):
        asked = runs_pb2.LaunchRunRequest(location_name="shop", job_name="load")
        run_ids.append((await runs.LaunchRun(asked)).run.run_id)
        await location.plans.get()
    made = World(host, location, run_ids, database_url)
    yield made
    await made.channel.close()


def methods(names: Iterable[str]) -> list[descriptor.MethodDescriptor]:
    pool = descriptor_pool.Default()
    return [method for name in names for method in pool.FindServiceByName(name).methods]


def api(world: World) -> list[descriptor.MethodDescriptor]:
    found = serving.of_api(world.host.parts.servicers)
    return methods(service.name for service in found)


def mesh_rpcs() -> list[descriptor.MethodDescriptor]:
    return methods(["atoll.mesh.v1.MeshService", "atoll.mesh.v1.InstanceService"])


async def each(items, call) -> list[str]:
    """Call for each item, some at once; return what went wrong."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(item) -> str | None:
        async with gate:
            return await call(*item)

    found = await asyncio.gather(*(one(item) for item in items))
    return [problem for problem in found if problem]


async def over_grpc(world: World, method: descriptor.MethodDescriptor, data: bytes) -> str | None:
    """Call an rpc with bytes; return what is wrong with the answer."""
    streams = method.server_streaming
    make = {
        (False, False): world.channel.unary_unary,
        (False, True): world.channel.unary_stream,
        (True, False): world.channel.stream_unary,
        (True, True): world.channel.stream_stream,
    }[method.client_streaming, streams]
    asked = [data] if method.client_streaming else data
    call = make(calls.path_of(method))(
        asked if not method.client_streaming else iter(asked),
        timeout=STREAM_TIMEOUT_S if streams else CALL_TIMEOUT_S,
    )
    try:
        if streams:
            async for _ in call:
                pass
        else:
            await call
    except grpc.aio.AioRpcError as error:
        late = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and not streams
        if error.code() in FAULTS or late:
            return f"{calls.path_of(method)} {data[:300]!r}: {error.code()} {error.details()}"
    return None


async def over_http(
    world: World, method: descriptor.MethodDescriptor, body: bytes, kind: str
) -> str | None:
    """Call an rpc over HTTP; return what is wrong with the answer."""
    headers = {"content-type": kind}
    if method.server_streaming:
        headers["connect-timeout-ms"] = str(int(STREAM_TIMEOUT_S * 1000))
    answer = await world.caller.send("POST", calls.path_of(method), body, headers)
    fine = answer.status < 500 or answer.status in (501, 503)
    if not fine and not (answer.status == 504 and method.server_streaming):
        return f"{calls.path_of(method)} {kind} {body[:300]!r}: {answer.status} {answer.body!r}"
    if answer.status >= 400 and not answer.said["message"]:
        return f"{calls.path_of(method)} {body[:300]!r}: {answer.status} says nothing"
    return None


def binaries(world: World, asked: Iterable[descriptor.MethodDescriptor]):
    for method in asked:
        maker = world.maker(method.full_name)
        kind = method.input_type
        sent = [maker.data(kind) for _ in range(EXAMPLES)]
        if (deep := maker.deep(kind)) is not None:
            sent.append(deep)
        yield from ((world, method, data) for data in sent)


def documents(world: World, asked: Iterable[descriptor.MethodDescriptor]):
    for method in asked:
        maker = world.maker(method.full_name)
        kind = method.input_type
        for _ in range(EXAMPLES):
            # Not every value that is sent has a form in JSON; those are sent as Python writes them.
            body = json.dumps(maker.document(kind)).encode()
            yield world, method, body, "application/json"
        for _ in range(3):
            data = maker.data(kind)
            if method.server_streaming:
                yield world, method, hostile.frame(data), "application/connect+proto"
            else:
                yield world, method, data, "application/proto"


def nothing_failed(caplog) -> None:
    failed = [
        record
        for record in caplog.records
        if record.levelno >= logging.ERROR or record.exc_info is not None
    ]
    assert failed == [], [(record.getMessage(), record.exc_info) for record in failed][:3]


async def test_what_only_reads_changes_nothing_whatever_is_sent(world, caplog):
    asked = [method for method in api(world) if endpoints.is_read(method)]
    before = world.rows()
    problems = await each(binaries(world, asked), over_grpc)
    problems += await each(documents(world, asked), over_http)
    assert problems == []
    assert world.rows() == before
    nothing_failed(caplog)


async def test_what_changes_something_is_done_or_refused(world, caplog):
    asked = [method for method in api(world) if not endpoints.is_read(method)]
    problems = await each(binaries(world, asked), over_grpc)
    problems += await each(documents(world, asked), over_http)
    assert problems == []
    nothing_failed(caplog)


async def test_what_code_servers_could_send_is_done_or_refused(world, caplog):
    problems = await each(binaries(world, mesh_rpcs()), over_grpc)
    assert problems == []
    nothing_failed(caplog)
