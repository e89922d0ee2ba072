import pytest

import atoll as dg
from atoll._execution import ticks

A, B = dg.AssetKey("asset_a"), dg.AssetKey("asset_b")


@dg.asset
def made() -> None: ...


JOB = dg.define_asset_job("job", [made])


@dg.multi_asset_sensor(monitored_assets=[A, B], job=JOB)
def both(context):
    latest = context.latest_materialization_records_by_key()
    if all(latest.values()):
        context.advance_all_cursors()
        return dg.RunRequest(run_key=context.cursor, run_config={})
    return None


DEFS = dg.Definitions(assets=[made], sensors=[both])


@pytest.fixture
def instance():
    return dg.Instance.ephemeral()


def _report(instance, key, partition=None):
    instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition))
    return instance.fetch_materializations(key, 1).records[0]


def _tick(instance, cursor):
    return ticks.evaluate_sensor(
        DEFS, "both", cursor=cursor, triggering_event=None, instance=instance
    )


def _context(instance, cursor=None, **options):
    return dg.build_multi_asset_sensor_context(
        monitored_assets=[A, B], instance=instance, cursor=cursor, **options
    )


def _cursor_after(context):
    context.update_cursor_after_evaluation()
    return context.cursor


def test_the_sensor_of_the_guide_waits_for_both(instance):
    told = _tick(instance, None)
    assert (told.run_requests, told.cursor) == ((), None)
    assert told.skip_message == "Sensor function returned an empty result"
    a = _report(instance, A)
    assert _tick(instance, None).cursor is None
    b = _report(instance, B)
    told = _tick(instance, None)
    # During the evaluation the cursor is the one that the last evaluation left.
    assert told.run_requests[0].run_key is None
    first = (
        f"{{\"AssetKey(['asset_a'])\": [null, {a.storage_id}, {{}}], "
        f"\"AssetKey(['asset_b'])\": [null, {b.storage_id}, {{}}]}}"
    )
    assert told.cursor == first
    assert len(told.run_requests) == 1
    assert _tick(instance, first).run_requests == ()
    _report(instance, A)
    assert _tick(instance, first).cursor == first
    _report(instance, B)
    again = _tick(instance, first)
    assert [request.run_key for request in again.run_requests] == [first]
    assert again.cursor != first


def test_only_what_is_newer_than_the_cursor_is_shown(instance):
    one, two = _report(instance, A), _report(instance, A)
    context = _context(instance)
    assert context.materialization_records_for_key(A) == [one, two]
    assert context.materialization_records_for_key(A, limit=1) == [one]
    context.advance_cursor({A: one, B: None})
    assert context.materialization_records_for_key(A) == [two]
    assert context.latest_materialization_records_by_key([A]) == {A: two}
    later = _context(instance, _cursor_after(context))
    assert later.materialization_records_for_key(A) == [two]
    later.advance_all_cursors()
    assert _context(instance, _cursor_after(later)).latest_materialization_records_by_key() == {
        A: None,
        B: None,
    }


def test_partitions_that_were_passed_over_still_wait(instance):
    p1 = _report(instance, A, "p1")
    p2 = _report(instance, A, "p2")
    p3 = _report(instance, A, "p3")
    context = _context(instance)
    context.advance_cursor({A: p2})
    assert context.get_cursor_partition(A) == "p2"
    assert context.get_trailing_unconsumed_events(A) == [p1]
    assert context.materialization_records_for_key(A) == [p3]
    later = _context(instance, _cursor_after(context))
    assert later.get_trailing_unconsumed_events(A) == [p1]
    later.advance_cursor({A: p1})
    assert later.get_trailing_unconsumed_events(A) == []
    assert later.materialization_records_for_key(A) == [p3]
    later.advance_all_cursors()
    assert later.get_trailing_unconsumed_events(A) == []


def test_a_newer_materialization_of_a_partition_replaces_the_waiting_one(instance):
    _report(instance, A, "p1")
    newer = _report(instance, A, "p1")
    p2 = _report(instance, A, "p2")
    context = _context(instance)
    context.advance_cursor({A: p2})
    assert context.get_trailing_unconsumed_events(A) == [newer]


def test_too_many_cannot_wait(instance):
    for number in range(26):
        _report(instance, A, f"p{number}")
    last = _report(instance, A, "last")
    with pytest.raises(dg.InvariantViolationError, match="26 materializations"):
        _context(instance).advance_cursor({A: last})


def test_a_context_can_begin_at_the_latest(instance):
    _report(instance, A)
    context = _context(instance, cursor_from_latest_materializations=True)
    assert context.latest_materialization_records_by_key() == {A: None, B: None}
    with pytest.raises(dg.InvalidInvocationError, match="either"):
        _context(instance, "{}", cursor_from_latest_materializations=True)


@pytest.mark.parametrize("cursor", ["7", "x", "{\"AssetKey(['asset_a'])\": 5}"])
def test_a_cursor_of_another_kind_is_told(instance, cursor):
    with pytest.raises(dg.InvariantViolationError, match="Reset it"):
        _context(instance, cursor)


def test_assets_that_are_not_watched_are_refused(instance):
    context = _context(instance)
    with pytest.raises(dg.InvariantViolationError, match="'other'"):
        context.materialization_records_for_key(dg.AssetKey("other"))
    with pytest.raises(dg.InvariantViolationError, match="advance_cursor"):
        context.update_cursor("x")
    assert list(context.asset_keys) == [A, B]


def test_runs_without_progress_are_warned_about(instance):
    warned = []

    @dg.multi_asset_sensor(monitored_assets=[A], job=JOB)
    def careless(context):
        context.log.warning = warned.append
        return dg.RunRequest()

    told = careless.evaluate_tick(_context(instance))
    assert len(told.run_requests) == 1
    assert "the cursor stays" in warned[0]


def test_a_cursor_in_the_result_is_refused(instance):
    @dg.multi_asset_sensor(monitored_assets=[A], job=JOB)
    def wrong(context):
        return dg.SensorResult(cursor="x")

    with pytest.raises(dg.InvariantViolationError, match="advance_cursor"):
        wrong.evaluate_tick(_context(instance))
    with pytest.raises(dg.InvalidDefinitionError, match="watches no asset"):
        dg.multi_asset_sensor(monitored_assets=[], job=JOB)(lambda: None)
