import pytest

import atoll as dg
from atoll._instance import backend

KEY, OTHER = dg.AssetKey("a"), dg.AssetKey("b")


@pytest.fixture
def instance():
    return dg.Instance.ephemeral()


def _report(instance, count, key=KEY, partition=None):
    for number in range(count):
        instance.report_runless_asset_event(
            dg.AssetMaterialization(key, metadata={"n": number}, partition=partition)
        )


def _numbers(result):
    return [record.asset_materialization.metadata["n"].value for record in result.records]


def test_the_newest_materialization(instance):
    assert instance.get_latest_materialization_event(KEY) is None
    _report(instance, 3)
    newest = instance.get_latest_materialization_event("a")
    assert newest.asset_materialization.metadata == {"n": dg.IntMetadataValue(2)}
    assert newest.event.event_specific_data.materialization is newest.asset_materialization
    assert instance.get_latest_materialization_events([KEY, OTHER]) == {KEY: newest, OTHER: None}


def test_pages_follow_each_other_both_ways(instance):
    _report(instance, 5)
    newest = instance.fetch_materializations(KEY, limit=2)
    assert (_numbers(newest), newest.has_more) == ([4, 3], True)
    older = instance.fetch_materializations(KEY, limit=5, cursor=newest.cursor)
    assert (_numbers(older), older.has_more) == ([2, 1, 0], False)
    first = instance.fetch_materializations(KEY, limit=2, ascending=True)
    rest = instance.fetch_materializations(KEY, limit=5, cursor=first.cursor, ascending=True)
    assert (_numbers(first), _numbers(rest)) == ([0, 1], [2, 3, 4])
    end = instance.fetch_materializations(KEY, limit=5, cursor=rest.cursor, ascending=True)
    assert (end.records, end.cursor, end.has_more) == ([], rest.cursor, False)


def test_filters(instance):
    _report(instance, 3)
    _report(instance, 2, partition="p")
    records = instance.fetch_materializations(KEY, 10, ascending=True).records
    ids = [record.storage_id for record in records]

    def fetch(**options):
        chosen = dg.AssetRecordsFilter(KEY, **options)
        found = instance.fetch_materializations(chosen, 10, ascending=True).records
        return [record.storage_id for record in found]

    assert fetch(asset_partitions=["p"]) == ids[3:]
    assert fetch(after_storage_id=ids[1], before_storage_id=ids[4]) == ids[2:4]
    assert fetch(storage_ids=[ids[0], ids[4]]) == [ids[0], ids[4]]
    assert fetch(after_timestamp=records[-1].timestamp) == []
    assert fetch(before_timestamp=records[-1].timestamp + 1) == ids


def test_filters_that_the_backend_does_not_know_are_applied_over_all_pages(instance):
    _report(instance, 450)
    records = instance.fetch_materializations(KEY, 1000, ascending=True).records
    wanted = [records[0].storage_id, records[440].storage_id]
    chosen = dg.AssetRecordsFilter(KEY, storage_ids=wanted)
    found = instance.fetch_materializations(chosen, 1, ascending=True)
    assert [record.storage_id for record in found.records] == wanted[:1]
    rest = instance.fetch_materializations(chosen, 5, found.cursor, ascending=True)
    assert [record.storage_id for record in rest.records] == wanted[1:]
    assert not rest.has_more


def test_observations_are_apart_from_materializations(instance):
    instance.report_runless_asset_event(dg.AssetObservation(KEY, metadata={"n": 1}))
    (record,) = instance.fetch_observations(KEY, limit=5).records
    assert record.asset_observation.metadata == {"n": dg.IntMetadataValue(1)}
    assert record.event_type is dg.EventType.ASSET_OBSERVATION
    assert instance.fetch_materializations(KEY, limit=5).records == []


@pytest.mark.parametrize(("limit", "cursor"), [(0, None), (-1, None), (1, "x")])
def test_wrong_questions_are_refused(instance, limit, cursor):
    with pytest.raises(dg.InvalidInvocationError):
        instance.fetch_materializations(KEY, limit, cursor)


def test_runs_are_found_by_id(instance):
    @dg.asset
    def broken():
        raise ValueError

    result = dg.materialize([broken], instance=instance, raise_on_error=False, tags={"a": "b"})
    run = instance.get_run_by_id(result.run_id)
    assert (run.status, run.is_failure, run.is_finished) == (dg.RunStatus.FAILURE, True, True)
    assert run.get_tag("a") == "b"
    assert instance.has_run(result.run_id)
    assert instance.get_run_by_id("nope") is None


def test_records_tell_what_they_are_about(instance):
    @dg.asset
    def made():
        return 1

    result = dg.materialize([made], instance=instance)
    (record,) = instance.fetch_materializations(made.key, 5).records
    assert record.asset_key == made.key
    assert (record.run_id, record.partition_key) == (result.run_id, None)
    entry = record.event_log_entry
    assert (entry.step_key, entry.job_name, entry.is_event) == ("made", "__ASSET_JOB", True)
    assert entry.event_type is dg.EventType.ASSET_MATERIALIZATION
    assert entry.get_event().event_type_value == "ASSET_MATERIALIZATION"


def test_a_log_message_is_an_entry_without_event(instance):
    @dg.asset
    def made(context):
        context.log.error("oh")

    dg.materialize([made], instance=instance)
    (entry,) = [
        record.event_log_entry
        for record in instance.backend.records()
        if record.event_log_entry.user_message == "oh"
    ]
    assert (entry.level, entry.event, entry.is_event, entry.event_type) == (40, None, False, None)
    with pytest.raises(ValueError, match="plain message"):
        entry.get_event()


class Answering:
    """A backend that answers one question, as the one over a socket."""

    def __init__(self):
        self.queries = []

    def log_records(self, query):
        self.queries.append(query)
        return [], False


def test_any_backend_will_do():
    answering = Answering()
    instance = dg.Instance(answering)
    instance.fetch_materializations(KEY, 7, "12", ascending=True)
    assert answering.queries == [
        backend.EventsQuery(
            (dg.EventType.ASSET_MATERIALIZATION,),
            asset_key=KEY,
            after_id=12,
            ascending=True,
            limit=7,
        )
    ]
    assert not instance.is_ephemeral
    assert instance.is_persistent
    assert instance.storage_dir is None
