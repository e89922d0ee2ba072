"""Calls over HTTP pass the gate that calls over gRPC pass: credentials, roles, the audit log."""

import pytest

from atoll._rpc import reasons
from atoll_host.access import access_settings, first_token
from atoll_host.http import http_settings
from tests.integration import http_caller

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

RUNS = "/atoll.api.v1.RunsService"
TOKENS = "/atoll.api.v1.AccessService"
WATCH = "/atoll.api.v1.EventsService/WatchEvents"


@pytest.fixture
async def host(mesh, tmp_path):
    return await mesh.host(
        http=http_settings.HttpSettings(listen="127.0.0.1:0"),
        access=access_settings.AccessSettings(),
        data_dir=tmp_path,
    )


@pytest.fixture
def caller(host):
    return http_caller.Caller(host.parts.http.address)


@pytest.fixture
def admin(host, tmp_path):
    return f"Bearer {(tmp_path / first_token.FILE_NAME).read_text().strip()}"


@pytest.fixture
async def viewer(caller, admin):
    """A token that looks at one location."""
    asked = {"name": "wall", "grants": [{"role": "ROLE_VIEWER", "locationNames": ["shop"]}]}
    made = await caller.post(f"{TOKENS}/CreateToken", asked, authorization=admin)
    assert made.status == 200, made
    return f"Bearer {made.said['bearer']}"


@pytest.mark.parametrize(
    "sent", ["", "Bearer", "Bearer atoll_000000000000_x", "Basic YTpi", "Bearer a, Bearer b"]
)
async def test_who_is_not_known_is_refused(caller, sent):
    headers = {"authorization": sent} if sent else {}
    for path in (f"{RUNS}/ListRuns", f"{RUNS}/LaunchRun", WATCH):
        answer = await caller.post(path, **headers)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.reason in (reasons.CREDENTIALS_MISSING, reasons.CREDENTIALS_INVALID)
        assert b"000000000000" not in answer.body
    assert (await caller.get(f"{RUNS}/ListRuns", {}, **headers)).status == 401


async def test_what_is_sent_by_who_is_not_known_is_not_read(caller):
    answer = await caller.post(f"{RUNS}/LaunchRun", b"{" * 1_000_000)
    assert answer.status == 401


async def test_roles_count_over_http_too(caller, viewer):
    seen = await caller.post(f"{RUNS}/ListRuns", authorization=viewer)
    assert seen.status == 200
    launch = {"locationName": "shop", "jobName": "load"}
    refused = await caller.post(f"{RUNS}/LaunchRun", launch, authorization=viewer)
    assert refused.status == 403
    assert refused.reason == reasons.NOT_ALLOWED
    other = await caller.post(f"{RUNS}/ListRuns", {"locationName": "secret"}, authorization=viewer)
    assert other.status == 403
    assert (await caller.post(f"{TOKENS}/ListTokens", authorization=viewer)).status == 403


async def test_what_was_changed_over_http_is_in_the_audit_log(caller, admin, viewer):
    listed = await caller.post("/atoll.api.v1.AuditService/ListAuditEntries", authorization=admin)
    assert listed.status == 200
    assert "CreateToken" in listed.body.decode()
    assert viewer.removeprefix("Bearer ") not in listed.body.decode()


async def test_health_the_description_and_its_page_need_no_credentials(caller):
    for path in ("/healthz", "/readyz", "/openapi.json", "/docs"):
        assert (await caller.get(path)).status == 200
    described = (await caller.get("/openapi.json")).said
    assert {} not in described["security"]
