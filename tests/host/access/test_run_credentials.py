"""Credentials of runs: only hosts make them, and they end with their time and with their run."""

import asyncio
import datetime as dt

import grpc.aio
import hypothesis
import pytest
from hypothesis import strategies as st

from atoll._rpc import errors as rpc_errors
from atoll._rpc import reasons
from atoll.mesh.v1 import credentials_pb2, instance_pb2, mesh_pb2, slots_pb2
from atoll_host import clock as clocks
from atoll_host import errors
from atoll_host.access import callers, run_credentials, runs_at_work
from atoll_host.audit import recording
from tests.host.access.conftest import OWN, World
from tests.integration import code_location

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
HEADER = run_credentials.HEADER
TIMEOUT_S = 10.0
CLAIMS = st.builds(
    run_credentials.Claims, st.text(max_size=40), st.integers(1, 99), st.text(), st.integers(0)
)


@hypothesis.given(CLAIMS)
@hypothesis.settings(max_examples=50)
def test_what_was_signed_is_read_and_with_another_key_it_is_not(claims):
    text = run_credentials.sign(KEY, claims)
    assert text.isascii()
    assert run_credentials.read(KEY, text) == claims
    assert run_credentials.read(OTHER_KEY, text) is None


@hypothesis.given(CLAIMS, st.integers(0, 10_000), st.characters())
@hypothesis.settings(max_examples=50)
def test_a_credential_that_was_touched_is_none(claims, at, character):
    text = run_credentials.sign(KEY, claims)
    at %= len(text)
    hypothesis.assume(text[at] != character)
    touched = text[:at] + character + text[at + 1 :]
    # The last digit of base64 has bits that say nothing.
    assert at == len(text) - 1 or run_credentials.read(KEY, touched) is None


@pytest.mark.parametrize("text", ["", "atollrun_", "atollrun_x.y", "x" * 5000, "Bearer x"])
def test_nonsense_is_none(text):
    assert run_credentials.read(KEY, text) is None


async def run_of(world: World) -> tuple[code_location.CodeLocation, str, str]:
    """Return the code server of OWN, its run, and the credential that came with that."""
    await world.add_locations()
    location = world.mesh.code_locations[0]
    plan = await location.next_plan()
    given = location.run_credentials[plan.run_id]
    assert given.lifetime.seconds == run_credentials.LIFETIME_S
    return location, plan.run_id, given.credential


async def asked(location: code_location.CodeLocation, *credentials: str) -> str:
    """Ask on behalf of a run; return the reason of a refusal, empty for an answer."""
    header = tuple((HEADER, each) for each in credentials)
    request = instance_pb2.ListAssetKeysRequest()
    try:
        await location.instance.ListAssetKeys(request, metadata=header, timeout=TIMEOUT_S)
    except grpc.aio.AioRpcError as error:
        return rpc_errors.from_call(error).reason
    return ""


async def test_a_credential_counts_for_its_run_until_that_has_ended(world: World, monkeypatch):
    monkeypatch.setattr(runs_at_work, "KNOWN_S", 0.0)
    location, run_id, credential = await run_of(world)
    assert await asked(location, credential) == ""
    assert await asked(location) == ""
    for wrong in ((credential[:-2],), ("",), (credential, credential)):
        assert await asked(location, *wrong) == reasons.RUN_CREDENTIAL_INVALID
    await location.append(code_location.succeeding(run_id, f"{OWN}_asset"))
    assert await asked(location, credential) == reasons.RUN_CREDENTIAL_INVALID
    assert not (await renewed(location, run_id)).credentials


async def renewed(
    location: code_location.CodeLocation, *run_ids: str
) -> credentials_pb2.RenewRunCredentialsResponse:
    request = credentials_pb2.RenewRunCredentialsRequest(
        location_name=location.name,
        server_id=location.server_id,
        epoch=location.epoch,
        run_ids=run_ids,
    )
    return await location.mesh.RenewRunCredentials(request, timeout=TIMEOUT_S)


async def test_the_next_start_of_a_code_server_gets_new_ones_for_its_runs(world: World):
    location, run_id, _ = await run_of(world)
    before = location.epoch
    location.drop_session()
    await location.join()
    [given] = (await renewed(location, run_id, "unknown", run_id)).credentials
    assert await asked(location, given.credential) == ""
    location.epoch = before
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await renewed(location, run_id)
    assert rpc_errors.from_call(raised.value).reason == reasons.STALE_EPOCH


async def test_on_behalf_of_a_run_nothing_is_asked_for_another(world: World):
    location, _, credential = await run_of(world)
    wanted = [slots_pb2.WantedSlot(step_key="s", pool="p")]
    request = slots_pb2.AcquireSlotsRequest(run_id="another", attempt=1, wanted=wanted)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await location.instance.AcquireSlots(request, metadata=((HEADER, credential),))
    assert rpc_errors.from_call(raised.value).reason == reasons.RUN_CREDENTIAL_INVALID


async def test_people_have_no_use_for_one(world: World):
    _, _, credential = await run_of(world)
    for token in (world.admin_token, await world.token("viewer", OWN)):
        location = code_location.CodeLocation(OWN, code_location.snapshot())
        location.token = token
        location.connect(world.host.address)
        assert await asked(location, credential) == reasons.RUN_CREDENTIAL_INVALID
        await location.stop()


class Later(clocks.SystemClock):
    """A clock that is ahead."""

    def now(self) -> dt.datetime:
        return super().now() + dt.timedelta(seconds=run_credentials.LIFETIME_S)


async def test_time_is_up_after_a_while_and_the_caller_is_of_the_run_until_then(world: World):
    _, run_id, credential = await run_of(world)
    host = world.host.parts
    key = await host.store.access.signing_key(run_credentials.KEY_NAME, b"")
    caller = callers.Caller("code", callers.Kind.LOCATION, location_name=OWN)
    now = runs_at_work.RunsAtWork(key, host.store.runs, host.store.locations, clocks.SystemClock())
    assert (await now.on_behalf(caller, credential)).run_id == run_id
    entry = recording.Recorder._entry(
        await now.on_behalf(caller, credential), "r", [], mesh_pb2.Ping(), 1, ""
    )
    assert entry.caller == f"code for run {run_id}"
    late = runs_at_work.RunsAtWork(key, host.store.runs, host.store.locations, Later())
    with pytest.raises(errors.RunCredentialInvalid):
        await late.on_behalf(caller, credential)


async def test_all_hosts_of_a_mesh_sign_with_one_key(world: World):
    store = world.host.parts.store.access
    keys = await asyncio.gather(*(store.signing_key("k", bytes([n]) * 32) for n in range(5)))
    assert len(set(keys)) == 1
    location, _, credential = await run_of(world)
    second = await world.add_host()
    location.connect(second.address)
    assert await asked(location, credential) == ""
