"""/openapi.json tells the truth of every rpc; /docs is a page that asks nobody but the host."""

import asyncio
import json
import re

import jsonschema
import pytest
import schemathesis
from google.protobuf import descriptor_pool, json_format, message_factory
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi import checks as openapi_checks

from atoll_host.http import calls, endpoints, examples, http_settings
from atoll_host.servicers import serving
from tests.integration import code_location, http_caller

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(240)]

EXAMPLES = 3
STREAM_TIMEOUT_MS = "50"


@pytest.fixture
async def host(mesh):
    host = await mesh.host(http=http_settings.HttpSettings(listen="127.0.0.1:0"))
    defined = code_location.snapshot(
        [code_location.asset("orders")], [code_location.job("load", "orders")]
    )
    location = await mesh.location(host, "sales", defined)
    client = http_caller.Caller(host.parts.http.address)
    await client.post("/atoll.api.v1.RunsService/LaunchRun", LAUNCH)
    await location.plans.get()
    return host


LAUNCH = {"locationName": "sales", "jobName": "load"}


@pytest.fixture
def caller(host):
    return http_caller.Caller(host.parts.http.address)


@pytest.fixture
async def described(caller):
    answer = await caller.get("/openapi.json")
    assert answer.status == 200
    return answer.said


def served(host):
    pool = descriptor_pool.Default()
    for service in serving.of_api(host.parts.servicers):
        methods = pool.FindServiceByName(service.name).methods
        # Who has a stream of requests to send needs gRPC.
        yield from (method for method in methods if not method.client_streaming)


async def test_every_rpc_and_every_field_of_it_is_described(host, described):
    assert set(described["paths"]) == {calls.path_of(method) for method in served(host)}
    for method in served(host):
        operations = described["paths"][calls.path_of(method)]
        assert operations["post"]["description"].startswith(method.name), method.full_name
        assert ("get" in operations) == (endpoints.is_read(method) and not method.server_streaming)
    schemas = described["components"]["schemas"]
    for name, schema in schemas.items():
        for field, of in schema.get("properties", {}).items():
            assert of.get("description") or name == "Error", f"{name}.{field}"


async def test_nothing_that_is_referred_to_is_missing(described):
    for target in set(re.findall(r'"\$ref": "#([^"]+)"', json.dumps(described))):
        at = described
        for step in target.strip("/").split("/"):
            at = at[step]


async def test_the_examples_are_requests_that_are_understood(host, described):
    names = {method.full_name: method for method in served(host)}
    for name, example in examples.REQUESTS.items():
        kind = message_factory.GetMessageClass(names[name].input_type)
        json_format.ParseDict(example, kind())
        schema = {
            **described["components"]["schemas"][names[name].input_type.full_name],
            "components": described["components"],
        }
        jsonschema.validate(example, schema)


async def test_the_page_asks_nobody_but_the_host(caller):
    page = await caller.get("/docs")
    assert page.status == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    links = re.findall(r'(?:src|href)="([^"]+)"', page.body.decode())
    assert all(link.startswith(("/docs/", "data:")) for link in links)
    for link in links:
        if link.startswith("/"):
            file = await caller.get(link)
            assert file.status == 200
            assert file.headers["content-type"].startswith(("text/css", "text/javascript"))
    assert (await caller.get("/docs/files/swagger-ui.js")).status == 404


async def test_what_is_described_is_what_is_answered(host, caller, caplog):
    """Schemathesis sends what the description allows, and compares the answers with it."""
    await asyncio.to_thread(_explore, f"http://{caller.address}")
    failed = [record for record in caplog.records if record.levelname == "ERROR"]
    assert failed == []


# Protobuf takes null for a field that is not set and numbers as texts, and what a text means (the
# token of a page, a time zone) is in no schema: these two checks ask for other rules.
EXCLUDED = [
    openapi_checks.negative_data_rejection,
    openapi_checks.positive_data_acceptance,
]
MODES = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)


@schemathesis.deserializer("application/jsonl")
def _first_line(_, response):
    found = [json.loads(line) for line in response.content.splitlines()]
    return next((line for line in found if "error" not in line), {})


def _explore(url: str) -> None:
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    failures = []
    for found in schema.get_all_operations():
        operation = found.ok()
        # What a query holds is read by the same code as a body: one mode shows that it is.
        for mode in MODES if operation.method == "post" else MODES[:1]:
            try:
                _send(operation, mode)
            except Exception as error:  # noqa: BLE001 - every operation is looked at
                failures.append(f"{operation.label}: {error}")
    assert failures == []


def _send(operation, mode) -> None:
    streams = "application/jsonl" in json.dumps(operation.definition.raw["responses"]["200"])
    headers = {"Connect-Timeout-Ms": STREAM_TIMEOUT_MS} if streams else {}

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES if operation.method == "post" else 1,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def send(case):
        case.call_and_validate(headers=headers, excluded_checks=EXCLUDED, timeout=20)

    send()
