"""User code is answered alike by an instance in memory and by a host: one suite, two backends."""

import asyncio
import datetime as dt
import functools
import inspect
import time

import pytest

import atoll as dg
from tests.integration import worlds

pytestmark = [pytest.mark.postgres]

SALES, COSTS, REPORT = (dg.AssetKey(name.split("/")) for name in worlds.ASSETS)


@pytest.fixture(params=["in memory", "on a host"])
async def world(request, mesh):
    if request.param == "in memory":
        made = worlds.InMemory()
        yield made
        made.instance.dispose()
        return
    host = await mesh.host()
    location = await mesh.location(host, worlds.LOCATION, worlds.defined())
    on_host = worlds.OnHost(mesh.client(host), location, host.address)
    yield on_host
    await on_host.close()


def asked(test):
    """Run a test in a thread, where user code runs, while the loop of the host goes on."""

    @functools.wraps(test)
    async def run(world):
        await asyncio.to_thread(test, world)

    run.__signature__ = inspect.signature(test)
    return run


def ids(records):
    return [record.storage_id for record in records]


@asked
def test_dynamic_partitions_keep_the_order_in_which_they_were_added(world):
    instance = world.instance
    assert instance.get_dynamic_partitions("days") == []
    instance.add_dynamic_partitions("days", ["b", "a"])
    instance.add_dynamic_partitions("days", ["c", "a", "d"])
    instance.add_dynamic_partitions("others", ["x"])
    assert instance.get_dynamic_partitions("days") == ["b", "a", "c", "d"]
    assert instance.has_dynamic_partition("days", "a")
    assert not instance.has_dynamic_partition("days", "x")
    assert instance.get_existing_dynamic_partitions("days", ["x", "d", "b"]) == {"b", "d"}
    assert instance.get_existing_dynamic_partitions("days", []) == set()
    instance.delete_dynamic_partition("days", "a")
    instance.delete_dynamic_partition("days", "nothing")
    assert instance.get_dynamic_partitions("days") == ["b", "c", "d"]
    instance.add_dynamic_partitions("days", ["a"])
    assert instance.get_dynamic_partitions("days")[-1] == "a"


@asked
def test_dynamic_partitions_come_in_pages_both_ways(world):
    instance = world.instance
    instance.add_dynamic_partitions("days", list("abcde"))
    first = instance.get_paginated_dynamic_partitions("days", 2, ascending=True)
    rest = instance.get_paginated_dynamic_partitions("days", 5, ascending=True, cursor=first.cursor)
    assert (first.results, first.has_more) == (["a", "b"], True)
    assert (rest.results, rest.has_more) == (["c", "d", "e"], False)
    newest = instance.get_paginated_dynamic_partitions("days", 3, ascending=False)
    older = instance.get_paginated_dynamic_partitions("days", 3, False, newest.cursor)
    assert (newest.results, older.results) == (["e", "d", "c"], ["b", "a"])


@pytest.mark.slow
@asked
def test_a_hundred_thousand_partitions_are_no_trouble(world):
    instance = world.instance
    keys = [f"customer {number}" for number in range(100_000)]
    instance.add_dynamic_partitions("customers", keys)
    assert instance.get_dynamic_partitions("customers") == keys
    assert instance.has_dynamic_partition("customers", keys[-1])


@asked
def test_wrong_partition_keys_are_refused_before_they_travel(world):
    for wrong in ("abc", [""], [1], ["a\0b"]):
        with pytest.raises(dg.InvalidInvocationError):
            world.instance.add_dynamic_partitions("days", wrong)
    with pytest.raises(dg.InvalidInvocationError):
        world.instance.add_dynamic_partitions("", ["a"])


@asked
def test_reports_are_read_back(world):
    instance = world.instance
    seen = dg.AssetObservation("elsewhere", metadata={"n": 1}, partition="p")
    instance.report_runless_asset_event(seen)
    for number in range(3):
        made = dg.AssetMaterialization(SALES, metadata={"n": number})
        instance.report_runless_asset_event(made)
    newest = instance.get_latest_materialization_event(SALES)
    assert newest.asset_materialization.metadata == {"n": dg.IntMetadataValue(2)}
    (record,) = instance.fetch_observations(dg.AssetKey("elsewhere"), 5).records
    assert (record.asset_observation, record.run_id) == (seen, "")
    assert record.partition_key == "p"
    page = instance.fetch_materializations(SALES, 2)
    rest = instance.fetch_materializations(SALES, 2, page.cursor)
    assert (len(page.records), page.has_more) == (2, True)
    assert (len(rest.records), rest.has_more) == (1, False)


@asked
def test_large_records_come_whole(world):
    instance = world.instance
    large = "x" * 1_500_000
    for _ in range(5):
        instance.report_runless_asset_event(dg.AssetObservation("big", metadata={"text": large}))
    found = instance.fetch_observations(dg.AssetKey("big"), 5, ascending=True)
    assert len(found.records) == 5
    assert not found.has_more
    assert found.records[-1].asset_observation.metadata["text"].value == large


@asked
def test_records_of_an_asset_are_filtered(world):
    instance = world.instance
    for partition in ("a", "b", "a", "c"):
        made = dg.AssetMaterialization(SALES, partition=partition)
        instance.report_runless_asset_event(made)
    everything = instance.fetch_materializations(SALES, 10, ascending=True).records

    def fetch(**conditions):
        chosen = dg.AssetRecordsFilter(SALES, **conditions)
        return ids(instance.fetch_materializations(chosen, 10, ascending=True).records)

    positions = ids(everything)
    assert fetch(asset_partitions=["a"]) == [positions[0], positions[2]]
    assert fetch(asset_partitions=[]) == []
    assert fetch(after_storage_id=positions[0], before_storage_id=positions[3]) == positions[1:3]
    assert fetch(storage_ids=[positions[1]]) == positions[1:2]
    assert fetch(after_timestamp=everything[-1].timestamp + 1) == []
    assert fetch(before_timestamp=everything[-1].timestamp + 1) == positions
    kind = dg.EventType.ASSET_MATERIALIZATION
    chosen = dg.EventRecordsFilter(kind, SALES, after_cursor=positions[1])
    assert ids(instance.get_event_records(chosen, ascending=True)) == positions[2:]
    assert ids(instance.get_event_records(dg.EventRecordsFilter(kind), 1)) == positions[-1:]


@asked
def test_runs_are_found(world):
    instance = world.instance
    first = world.run("load", tags={"team": "a"})
    second = world.run("clean", tags={"team": "b", "atoll/backfill": "x"}, end="failure")
    third = world.run("load", tags={"team": "c"}, end="started")

    def find(**conditions):
        return instance.get_run_ids(dg.RunsFilter(**conditions))

    assert instance.get_run_ids() == [third, second, first]
    assert find(job_name="load") == [third, first]
    assert find(statuses=[dg.RunStatus.FAILURE, dg.RunStatus.STARTED]) == [third, second]
    assert find(statuses=[dg.RunStatus.NOT_STARTED]) == []
    assert find(tags={"team": ["a", "b"]}) == [second, first]
    assert find(tags={"team": "c"}, job_name="load") == [third]
    assert find(exclude_subruns=True) == [third, first]
    assert find(run_ids=[first, "nothing"]) == [first]
    assert instance.get_runs_count() == 3
    assert instance.get_runs_count(dg.RunsFilter(tags={"team": "b"})) == 1
    assert instance.get_run_by_id(second).is_failure
    assert instance.get_run_by_id("nothing") is None
    assert not instance.has_run("nothing")


@asked
def test_runs_come_in_order_with_their_times(world):
    instance = world.instance
    before = dt.datetime.fromtimestamp(time.time() - 5, dt.UTC)
    made = [world.run() for _ in range(3)]
    oldest = instance.get_run_records(limit=2, ascending=True)
    assert [record.run.run_id for record in oldest] == made[:2]
    (last,) = instance.get_run_records(ascending=True, cursor=made[1])
    assert last.run.run_id == made[2]
    assert instance.get_run_ids(cursor=made[2], limit=1) == [made[1]]
    by_update = instance.get_run_records(order_by="update_timestamp", ascending=True)
    assert [record.run.run_id for record in by_update] == made
    assert last.storage_id > oldest[-1].storage_id > 0
    assert before < last.create_timestamp <= last.update_timestamp
    assert before.timestamp() < last.start_time <= last.end_time
    assert instance.get_runs_count(dg.RunsFilter(created_after=before)) == 3
    assert instance.get_runs_count(dg.RunsFilter(updated_before=before)) == 0
    assert instance.get_run_record_by_id(made[0]).run == instance.get_run_by_id(made[0])
    with pytest.raises(dg.InvalidInvocationError):
        instance.get_run_records(order_by="colour")


@asked
def test_status_changes_of_runs_are_followed(world):
    instance = world.instance
    first, second = world.run("load"), world.run("clean")
    world.run("load", end="failure")
    kind = dg.EventType.RUN_SUCCESS
    page = instance.fetch_run_status_changes(kind, 1, ascending=True)
    rest = instance.fetch_run_status_changes(kind, 5, page.cursor, ascending=True)
    assert [record.run_id for record in page.records] == [first]
    assert [record.run_id for record in rest.records] == [second]
    assert (page.has_more, rest.has_more) == (True, False)
    chosen = dg.RunStatusChangeRecordsFilter(kind, job_names=["clean"])
    found = instance.fetch_run_status_changes(chosen, 5).records
    assert [record.run_id for record in found] == [second]
    with pytest.raises(dg.InvalidInvocationError):
        instance.fetch_run_status_changes(dg.EventType.STEP_START, 1)


@asked
def test_what_a_run_told_is_read(world):
    instance = world.instance
    run_id = world.run(made=[("report", None)])
    world.run(made=[("report", None)])
    log = instance.all_logs(run_id)
    assert {entry.run_id for entry in log} == {run_id}
    told = [entry.event_type for entry in log]
    assert told[-1] is dg.EventType.RUN_SUCCESS
    assert told.count(dg.EventType.ASSET_MATERIALIZATION) == 1
    kinds = {dg.EventType.RUN_START, dg.EventType.RUN_SUCCESS}
    assert [entry.event_type for entry in instance.all_logs(run_id, kinds)] == [
        dg.EventType.RUN_START,
        dg.EventType.RUN_SUCCESS,
    ]
    page = instance.get_records_for_run(run_id, limit=2)
    rest = instance.get_records_for_run(run_id, page.cursor)
    assert ids([*page.records, *rest.records]) == ids(instance.get_records_for_run(run_id).records)
    assert page.has_more
    after = instance.logs_after(run_id, page.records[-1].storage_id)
    assert list(after) == list(log[2:])


@asked
def test_assets_are_known_from_the_log(world):
    instance = world.instance
    assert instance.get_asset_keys() == []
    world.run(planned=[("raw/costs", None)], made=[("raw/sales", None)])
    instance.report_runless_asset_event(dg.AssetObservation("seen"))
    assert set(instance.all_asset_keys()) == {COSTS, SALES, dg.AssetKey("seen")}
    assert set(instance.get_asset_keys(prefix=["raw"])) == {COSTS, SALES}
    assert instance.get_asset_keys(prefix=["ra"]) == []
    one = instance.get_asset_keys(limit=1)
    rest = instance.get_asset_keys(cursor='["raw", "costs"]', limit=10)
    assert one == [COSTS]
    assert rest == [SALES, dg.AssetKey("seen")]
    assert instance.has_asset_key("seen")
    assert not instance.has_asset_key(REPORT)


@asked
def test_assets_as_wholes(world):
    instance = world.instance
    run_id = world.run(planned=[("raw/sales", None)], made=[("raw/sales", None)])
    instance.report_runless_asset_event(dg.AssetObservation(SALES))
    instance.report_runless_asset_event(dg.AssetMaterialization("other"))
    (record,) = instance.get_asset_records([SALES, dg.AssetKey("nothing")])
    entry = record.asset_entry
    assert entry.asset_key == SALES
    assert entry.last_materialization.run_id == run_id
    assert entry.last_run_id == run_id
    assert entry.last_observation.asset_observation.asset_key == SALES
    assert record.storage_id == entry.last_observation_record.storage_id
    planned = instance.fetch_planned_materializations(SALES, 5).records
    assert [entry.last_planned_materialization_storage_id] == ids(planned)
    everything = instance.get_asset_records()
    assert {one.asset_entry.asset_key for one in everything} == {SALES, dg.AssetKey("other")}


@asked
def test_partitions_of_an_asset_are_known(world):
    instance = world.instance
    world.run(made=[("report", "a"), ("report", "b"), ("report", "a"), ("raw/sales", "z")])
    position = instance.fetch_materializations(REPORT, 1).records[0].storage_id
    world.run(made=[("report", "c")])
    assert instance.get_materialized_partitions(REPORT) == {"a", "b", "c"}
    assert instance.get_materialized_partitions(REPORT, after_cursor=position) == {"c"}
    assert instance.get_materialized_partitions(REPORT, before_cursor=position) == {"a", "b"}
    assert instance.get_materialized_partitions("nothing") == set()
    counts = instance.get_materialization_count_by_partition([REPORT, COSTS])
    assert counts == {REPORT: {"a": 2, "b": 1, "c": 1}, COSTS: {}}
    kind = dg.EventType.ASSET_MATERIALIZATION
    newest = instance.get_latest_storage_id_by_partition(REPORT, kind)
    assert newest["a"] == position
    assert instance.get_latest_storage_id_by_partition(REPORT, kind, {"a", "x"}) == {"a": position}


@asked
def test_partitions_have_a_status(world):
    instance = world.instance
    status = dg.AssetPartitionStatus
    world.run(
        planned=[("report", name) for name in "abc"],
        made=[("report", "a"), ("report", "b")],
        end="failure",
    )
    world.run(planned=[("report", "b"), ("report", "d")], end="started")
    found = instance.get_status_by_partition(REPORT, list("abcde"), None)
    assert found == {
        "a": status.MATERIALIZED,
        "b": status.IN_PROGRESS,
        "c": status.FAILED,
        "d": status.IN_PROGRESS,
        "e": None,
    }
    world.run(made=[("report", "b"), ("report", "c")])
    found = instance.get_status_by_partition(REPORT, ["b", "c"], None)
    assert set(found.values()) == {status.MATERIALIZED}


@asked
def test_versions_are_those_of_the_newest_events(world):
    instance = world.instance
    world.run(made=[("report", "a"), ("report", "b")])
    versions = instance.get_latest_materialization_code_versions([REPORT, SALES])
    assert versions == {REPORT: "v1"}
    assert instance.latest_data_version(REPORT, "a") == "d a"
    assert instance.latest_data_version(REPORT, "nothing") is None
    assert instance.latest_data_version(SALES) is None
    seen = dg.AssetObservation("source", tags={"atoll/data_version": "7"})
    instance.report_runless_asset_event(seen)
    assert instance.latest_data_version("source") == "7"
    assert instance.get_latest_data_version_record("source", is_source=False) is None
    newest = instance.get_latest_data_version_record(REPORT)
    before = instance.get_latest_data_version_record(REPORT, before_cursor=newest.storage_id)
    assert (newest.partition_key, before.partition_key) == ("b", "a")


@asked
def test_evaluations_of_checks_are_reported_and_the_newest_is_found(world):
    instance = world.instance
    first, second = (dg.AssetCheckKey(REPORT, name) for name in ("fresh", "full"))

    def evaluated(passed, name="fresh"):
        return dg.AssetCheckEvaluation(
            asset_key=REPORT,
            check_name=name,
            passed=passed,
            metadata={"n": dg.IntMetadataValue(int(passed))},
        )

    assert instance.get_latest_asset_check_evaluation_record(first) is None
    instance.report_runless_asset_event(evaluated(passed=True))
    instance.report_runless_asset_event(evaluated(passed=False))
    instance.report_runless_asset_event(evaluated(passed=True, name="full"))
    found = instance.get_latest_asset_check_evaluation_records([first, second])
    told = {key: record.event.event_specific_data for key, record in _entries(found).items()}
    passed = {key: data.asset_check_evaluation.passed for key, data in told.items()}
    assert passed == {first: False, second: True}
    newest = instance.get_latest_asset_check_evaluation_record(first)
    assert newest.storage_id == found[first].storage_id
    assert instance.get_latest_asset_check_evaluation_records([]) == {}


def _entries(found):
    return {key: record.event_log_entry for key, record in found.items()}


@asked
def test_backfills_are_none_until_a_host_is_asked_for_some(world):
    instance = world.instance
    assert instance.get_backfill("nothing") is None
    assert instance.get_backfills(limit=3) == []
    assert instance.get_backfills(cursor="nothing") == []
    assert instance.get_backfills_count() == 0
    with pytest.raises(dg.UnsupportedParameterError):
        instance.get_backfills(filters="all")


@asked
def test_what_locations_define_of_assets(world):
    found = world.instance.get_asset_specs([SALES, dg.AssetKey("nowhere")])
    if isinstance(world, worlds.InMemory):
        assert found == {}
        return
    assert set(found) == {SALES}
    assert found[SALES].partitions_def is None
    assert world.instance.get_asset_specs([]) == {}
