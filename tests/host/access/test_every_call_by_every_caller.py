"""The authorization matrix: every rpc, by every kind of caller, on what is theirs and what is not.

Generated from the descriptors: a new rpc is in it as it is, and fails it without a rule. What is
expected follows from the rule in the contract, by the few lines of `expected`.
"""

import asyncio

import grpc
import pytest
from google.protobuf import message_factory

from atoll._rpc import errors as rpc_errors
from atoll.rpc.v1 import access_pb2
from tests.host.access import contracts
from tests.host.access.conftest import OTHER, OWN, World

ROLES = {"viewer": 1, "launcher": 2, "operator": 3, "admin": 4}
MISSING, DENIED, HIDDEN, ALLOWED = "missing", "denied", "hidden", "allowed"
NOWHERE = ""
DEADLINE_S = 30.0
# A stream may have nothing to tell for long; who is refused is told at once.
STREAM_DEADLINE_S = 3.0
REACH_ANY = access_pb2.REACH_ANY


def expected(rule: access_pb2.Access, caller: tuple[str, str], target: str) -> str:
    """Return what a call must end with.

    Args:
        rule: The rule of the rpc.
        caller: The role, and the location that it is held for: OWN or "all".
        target: The location that the named things belong to; NOWHERE where nothing is named.
    """
    role, scope = caller
    by_location = bool(rule.location_fields) and target != NOWHERE
    by_thing = bool([*rule.asset_fields, *rule.run_fields, *rule.backfill_fields])
    by_thing = by_thing and target != NOWHERE
    holds = ROLES.get(role, 0) >= rule.role
    reaches = rule.answer_fields or rule.reach in {REACH_ANY, access_pb2.REACH_SERVICER}
    nothing_named = not by_location and not by_thing
    sees = scope == "all" or (scope == target and role != "location")
    # The first that is true tells.
    cases = [
        (rule.role == access_pb2.ROLE_ANYONE, ALLOWED),
        (role == "none", MISSING),
        (rule.role == access_pb2.ROLE_LOCATION and role != "location", DENIED),
        (rule.role == access_pb2.ROLE_LOCATION and by_location and target != scope, DENIED),
        (rule.role == access_pb2.ROLE_LOCATION and by_thing and target != scope, HIDDEN),
        (rule.role == access_pb2.ROLE_LOCATION, ALLOWED),
        (holds and scope == "all", ALLOWED),
        (by_location and not (holds and scope == target), DENIED),
        (by_thing and not sees, HIDDEN),
        (not holds, DENIED),
        (nothing_named and not (reaches and rule.reach != access_pb2.REACH_ALL), DENIED),
        (True, ALLOWED),
    ]
    return next(outcome for is_true, outcome in cases if is_true)


def _request(method, world: World, target: str):
    request = contracts.request(method)
    if target == NOWHERE:
        return request
    rule, things = contracts.rule(method), world.things[target]
    for path in rule.location_fields:
        contracts.fill(request, path, target)
    for path in rule.asset_fields:
        contracts.fill(request, path, things.asset)
    for path in rule.run_fields:
        contracts.fill(request, path, things.run_id)
    for path in rule.backfill_fields:
        contracts.fill(request, path, things.backfill_id)
    return request


async def _call(channel: grpc.aio.Channel, method, request):
    """Return the first answer of a call, or the error that ended it."""
    kind = ("stream" if method.client_streaming else "unary") + "_"
    kind += "stream" if method.server_streaming else "unary"
    stub = getattr(channel, kind)(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=message_factory.GetMessageClass(method.input_type).SerializeToString,
        response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
    )
    try:
        given = iter([request]) if method.client_streaming else request
        call = stub(given, timeout=STREAM_DEADLINE_S if method.server_streaming else DEADLINE_S)
        if not method.server_streaming:
            return await call
        async for answer in call:
            call.cancel()
            return answer
    except grpc.aio.AioRpcError as error:
        return rpc_errors.from_call(error)
    return None


def _became(answer, target: str) -> str:
    if not isinstance(answer, rpc_errors.RpcError):
        return ALLOWED
    if isinstance(answer, rpc_errors.UnauthenticatedError):
        return MISSING if answer.reason == "CREDENTIALS_MISSING" else answer.reason
    if answer.reason == "NOT_ALLOWED":
        return DENIED
    of_thing = answer.reason in {"UNKNOWN_RUN", "UNKNOWN_BACKFILL"} and target != NOWHERE
    return HIDDEN if of_thing or "you may know of" in answer.message else ALLOWED


def _leaks(method, answer, caller: tuple[str, str]) -> bool:
    """Say whether an answer shows something that names no location of the caller's."""
    role, scope = caller
    if answer is None or isinstance(answer, rpc_errors.RpcError) or scope == "all":
        return False
    shown = [contracts.texts(answer, path) for path in contracts.rule(method).answer_fields]
    if not shown or role == "none":
        return False
    return any(scope not in set().union(*named) for named in zip(*shown, strict=True))


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_every_rpc_does_what_its_rule_says_for_every_caller(world: World):
    await world.add_locations()
    tokens = {("none", NOWHERE): ""}
    for role in ROLES:
        tokens[role, OWN] = await world.token(role, OWN)
        tokens[role, "all"] = await world.token(role)
    tokens["location", OWN] = await world.location_token(OWN)
    channels = {caller: world.channel(token) for caller, token in tokens.items()}
    wrong, counts = [], dict.fromkeys([MISSING, DENIED, HIDDEN, ALLOWED], 0)
    for method in contracts.methods():
        rule = contracts.rule(method)
        assert rule.role, f"{method.full_name} has no rule"
        cases = [(caller, target) for caller in channels for target in (OWN, OTHER, NOWHERE)]
        answers = await asyncio.gather(
            *(
                _call(channels[caller], method, _request(method, world, target))
                for caller, target in cases
            )
        )
        for (caller, target), answer in zip(cases, answers, strict=True):
            wanted, became = expected(rule, caller, target), _became(answer, target)
            counts[became] = counts.get(became, 0) + 1
            what = (method.full_name, *caller, target)
            if became != wanted:
                wrong.append((*what, f"wanted {wanted}, became {became}: {answer!r}"))
            elif _leaks(method, answer, caller):
                wrong.append((*what, f"shows too much: {answer!r}"))
    assert not wrong, "\n".join(map(str, wrong))
    assert all(counts.values()), counts


async def test_lists_show_what_is_theirs_and_hide_the_rest(world: World):
    await world.add_locations()
    viewer = await world.client(await world.token("viewer", OWN))
    assert [each.name async for each in viewer.locations.list()] == [OWN]
    assert [each.name async for each in world.admin.locations.list()] == [OWN, OTHER]
    own = world.things[OWN]
    shown = [run async for run in viewer.runs.list()]
    assert {run.location_name for run in shown} == {OWN}
    assert own.run_id in {run.run_id for run in shown}
    assert [each.backfill_id async for each in viewer.backfills.list()] == [own.backfill_id]
    assert len([each async for each in world.admin.backfills.list()]) == 2


async def test_a_watch_leaves_out_what_is_not_theirs_and_keeps_its_place(world: World):
    await world.add_locations()
    viewer = await world.client(await world.token("viewer", OWN))
    seen = set()
    async with asyncio.timeout(DEADLINE_S), viewer.events.watch(from_beginning=True) as watch:
        async for stored in watch:
            seen.add(stored.location_name)
            if stored.event.run_id == world.things[OWN].run_id:
                break
    assert seen == {OWN}
