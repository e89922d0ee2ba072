"""Who may watch, depend on, launch and read what of whom, on a real host."""

import asyncio

import pytest

from atoll.api.v1 import policy_pb2, policy_pb2_grpc, runs_pb2
from atoll.definitions.v1 import policies_pb2, snapshot_pb2, values_pb2
from atoll.mesh.v1 import instance_pb2, mesh_pb2
from atoll_host import clock as clocks
from atoll_host import errors
from atoll_host import settings as host_settings
from atoll_host.access import callers
from atoll_host.policy import policy_settings
from tests.integration import code_location

pytestmark = pytest.mark.postgres

WATCH = policies_pb2.POLICY_ACTION_WATCH
READ = policies_pb2.POLICY_ACTION_READ
ORDERS, STOCK = code_location.key("orders"), code_location.key("stock")


def settings(**fields) -> policy_settings.PolicySettings:
    return policy_settings.PolicySettings.model_validate(fields)


NO_ORDERS = settings(
    rules=[{"from": "reports", "to": "sales", "assets": ["orders"], "allow": False}]
)


def sales(policy: policies_pb2.LocationPolicy | None = None) -> snapshot_pb2.LocationSnapshot:
    defined = code_location.snapshot(
        [code_location.asset("orders"), code_location.asset("stock")],
        [code_location.job("load", "orders", "stock")],
    )
    if policy is not None:
        defined.policy.CopyFrom(policy)
    return defined


def closed_to(*names: str) -> policies_pb2.LocationPolicy:
    rule = policies_pb2.PolicyRule(from_locations=names, allow=False, reason="not yet")
    return policies_pb2.LocationPolicy(rules=[rule])


def reports() -> snapshot_pb2.LocationSnapshot:
    watching = snapshot_pb2.SensorDefinition(
        name="on_sales",
        kind=snapshot_pb2.SENSOR_KIND_ASSET,
        monitored_assets=[ORDERS],
        job_names=["daily"],
        default_status=snapshot_pb2.SENSOR_STATUS_RUNNING,
    )
    stocked = snapshot_pb2.SensorDefinition()
    stocked.CopyFrom(watching)
    stocked.name = "on_stock"
    stocked.monitored_assets[0].CopyFrom(STOCK)
    return code_location.snapshot(
        [code_location.asset("report", "orders", "stock")],
        [code_location.job("daily", "report")],
        [watching, stocked],
    )


def stub(client) -> policy_pb2_grpc.PolicyServiceStub:
    return policy_pb2_grpc.PolicyServiceStub(client.channel)


def materialized(name: str):
    return code_location.events_pb2.Event(
        asset_materialization=code_location.events_pb2.AssetMaterialization(
            asset_key=code_location.key(name)
        )
    )


def instance_of(host):
    """Return what answers the questions of user code."""
    return host.parts._servicers(host_settings.Settings(), clocks.SystemClock()).instance


def calling(name: str):
    return callers.calling(callers.Caller(name, callers.Kind.LOCATION, location_name=name))


async def next_evaluated(location: code_location.CodeLocation) -> str:
    """Return the sensor that is evaluated next."""
    return await asyncio.wait_for(location.evaluated.get(), 10)


async def test_a_location_is_told_what_it_may_not_do_and_everything_else_of_it_is_served(mesh):
    host = await mesh.host(policy=NO_ORDERS)
    client = mesh.client(host)
    await mesh.location(host, "sales", sales())
    location = code_location.CodeLocation("reports", reports())
    mesh.code_locations.append(location)
    await location.start(host.address)
    registered = await location.join()
    told = {(each.definition_kind, each.definition_name) for each in registered.policy_denials}
    assert told == {("asset", "report"), ("sensor", "on_sales")}
    report = host.parts.registry.graph().node(("report",))
    assert report.upstream == (("stock",),)
    shown = await stub(client).ListPolicyDenials(policy_pb2.ListPolicyDenialsRequest())
    assert [each.location_name for each in shown.denials] == ["reports", "reports"]
    assert all("[policy] rules[0]" in each.denial.explanation for each in shown.denials)


async def test_a_sensor_sees_no_event_of_what_it_may_not_watch(mesh):
    host = await mesh.host(policy=NO_ORDERS)
    await mesh.location(host, "sales", sales())
    location = await mesh.location(host, "reports", reports())
    await host.parts.store.events.report(materialized("orders"), "sales")
    await host.parts.store.events.report(materialized("stock"), "sales")
    assert await next_evaluated(location) == "on_stock"
    assert [each.sensor_name for each in location.evaluations] == ["on_stock"]


async def test_new_definitions_of_the_producer_change_the_policy_at_once(
    mesh, host, client, until_view
):
    producer = await mesh.location(host, "sales", sales(closed_to("rep*")))
    location = await mesh.location(host, "reports", reports())
    view = host.parts.registry.location("reports")
    assert {each.declared_by for each in view.denials} == {"sales"}
    assert not view.sensor("on_sales").monitored_assets
    await host.parts.store.events.report(materialized("orders"), "sales")
    producer.load(sales())
    await producer.tell()
    await until_view(host, lambda registry: not registry.location("reports").denials)
    # What happened meanwhile is seen now: none of it was lost.
    assert await next_evaluated(location) == "on_sales"
    check = policy_pb2.CheckPolicyRequest(from_location="reports", action=WATCH, asset_key=ORDERS)
    assert (await stub(client).CheckPolicy(check)).allowed
    producer.load(sales(closed_to("reports")))
    await producer.tell()
    await until_view(host, lambda registry: registry.location("reports").denials)
    answer = await stub(client).CheckPolicy(check)
    assert (answer.allowed, answer.declared_by, answer.to_location) == (False, "sales", "sales")
    assert "not yet" in answer.explanation


async def test_the_rules_are_listed_in_the_order_in_which_they_are_looked_at(mesh):
    host = await mesh.host(policy=NO_ORDERS)
    client = mesh.client(host)
    await mesh.location(host, "sales", sales(closed_to("lab")))
    await mesh.location(host, "store")
    found, token = [], ""
    while True:
        request = policy_pb2.ListPolicyRulesRequest(page_size=2, page_token=token)
        page = await stub(client).ListPolicyRules(request)
        found += page.rules
        token = page.next_page_token
        if not token:
            break
    assert [(each.declared_by, each.is_default) for each in found] == [
        ("", False), *[("", True)] * 4, ("sales", False),
    ]  # fmt: skip
    assert list(found[-1].rule.to_locations) == ["sales"]
    of_store = await stub(client).ListPolicyRules(
        policy_pb2.ListPolicyRulesRequest(location_name="store")
    )
    assert {each.declared_by for each in of_store.rules} == {""}


async def test_a_wrong_question_about_policy_says_what_is_wrong(mesh, host, client):
    await mesh.location(host, "a")
    for request in (
        policy_pb2.CheckPolicyRequest(from_location="a", to_location="a"),
        policy_pb2.CheckPolicyRequest(from_location="a", action=WATCH),
        policy_pb2.CheckPolicyRequest(from_location="gone", to_location="a", action=WATCH),
        policy_pb2.CheckPolicyRequest(from_location="a", to_location="gone", action=WATCH),
    ):
        error = await client.refused(stub(client).CheckPolicy(request))
        assert error.reason in {"INVALID_REQUEST", "UNKNOWN_LOCATION"}, request


async def test_code_reads_what_its_location_declares_and_is_told_why_not_the_rest(mesh, host):
    await mesh.location(host, "sales", sales())
    await mesh.location(host, "reports", reports())
    await mesh.location(host, "lab")
    store = host.parts.store
    await store.events.report(materialized("orders"), "sales")
    await store.events.report(materialized("lab_asset"), "lab")
    instance = instance_of(host)
    latest = mesh_pb2.GetLatestMaterializationsRequest(asset_keys=[ORDERS])
    listed = mesh_pb2.ListAssetEventsRequest(
        asset_key=ORDERS, kind=mesh_pb2.ASSET_EVENT_KIND_MATERIALIZATION
    )
    check_key = values_pb2.AssetCheckKey(asset_key=ORDERS, name="c")
    questions = [
        (instance.GetLatestMaterializations, latest),
        (instance.ListAssetEvents, listed),
        (instance.ListEvents, instance_pb2.ListEventsRequest(asset_key=ORDERS)),
        (instance.GetAssetRecords, instance_pb2.GetAssetRecordsRequest(asset_keys=[ORDERS])),
        (instance.ListAssetPartitions, instance_pb2.ListAssetPartitionsRequest(asset_key=ORDERS)),
        (
            instance.GetLatestCheckEvaluations,
            instance_pb2.GetLatestCheckEvaluationsRequest(check_keys=[check_key]),
        ),
        (instance.GetFreshnessStates, instance_pb2.GetFreshnessStatesRequest(asset_keys=[ORDERS])),
        (
            instance.GetAssetDefinitions,
            instance_pb2.GetAssetDefinitionsRequest(asset_keys=[ORDERS]),
        ),
    ]
    for ask, request in questions:
        for name in ("reports", "sales"):
            with calling(name):
                await ask(request, None)
        with calling("lab"), pytest.raises(errors.PolicyForbids, match="may not read asset 'or"):
            await ask(request, None)
    with calling("lab"):
        keys = await instance.ListAssetKeys(instance_pb2.ListAssetKeysRequest(page_size=1), None)
        assert [list(each.path) for each in keys.asset_keys] == [["lab_asset"]]
        events = await instance.ListEvents(
            instance_pb2.ListEventsRequest(
                kinds=["asset_materialization"], ascending=True, page_size=1
            ),
            None,
        )
        assert [each.location_name for each in events.events] == ["lab"]


async def test_code_reads_runs_of_locations_that_its_location_watches(mesh, host, client):
    producer = await mesh.location(host, "sales", sales())
    await mesh.location(host, "reports", reports())
    await mesh.location(host, "lab")
    from_sales = runs_pb2.LaunchRunRequest(location_name="sales", job_name="load")
    run_id = (await client.runs.LaunchRun(from_sales)).run.run_id
    await producer.next_plan()
    instance = instance_of(host)
    for name, sees in (("sales", True), ("reports", True), ("lab", False)):
        with calling(name):
            runs = (await instance.ListRuns(mesh_pb2.ListRunsRequest(), None)).runs
            count = (await instance.GetRunCount(instance_pb2.GetRunCountRequest(), None)).count
            assert ([each.run_id for each in runs], count) == (([run_id], 1) if sees else ([], 0))
            asked = instance.GetRun(mesh_pb2.GetRunRequest(run_id=run_id), None)
            if sees:
                assert (await asked).run.run_id == run_id
            else:
                with pytest.raises(errors.PolicyForbids, match="may not read job 'load'"):
                    await asked


async def test_a_job_can_be_kept_from_readers_of_the_rest_of_its_location(mesh):
    rules = [{"from": "*", "to": "sales", "jobs": ["load"], "what": ["read"], "allow": False}]
    host = await mesh.host(policy=settings(rules=rules))
    client = mesh.client(host)
    producer = await mesh.location(host, "sales", sales())
    await mesh.location(host, "reports", reports())
    await client.runs.LaunchRun(runs_pb2.LaunchRunRequest(location_name="sales", job_name="load"))
    await producer.next_plan()
    instance = instance_of(host)
    with calling("reports"):
        assert not (await instance.ListRuns(mesh_pb2.ListRunsRequest(), None)).runs


async def test_a_host_that_is_told_otherwise_lets_sensors_see_again(mesh, until_view):
    host = await mesh.host(policy=NO_ORDERS)
    producer = await mesh.location(host, "sales", sales())
    location = await mesh.location(host, "reports", reports())
    await host.parts.store.events.report(materialized("orders"), "sales")
    await host.stop()
    mesh.hosts.remove(host)
    again = await mesh.host()
    producer.connect(again.address)
    location.connect(again.address)
    await producer.join()
    await location.join()
    assert not again.parts.registry.location("reports").denials
    assert await next_evaluated(location) == "on_sales"
