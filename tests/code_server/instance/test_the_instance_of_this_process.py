"""`Instance.get` finds the instance of a run, a tick or a test; in-memory ones leave nothing."""

import pytest

import atoll as dg
from atoll._definitions import asset_checks, freshness_states
from atoll._definitions import keys as asset_keys
from atoll._instance import ephemeral
from atoll._instance import instance as instances


@pytest.fixture(autouse=True)
def nobody_is_current(monkeypatch):
    monkeypatch.setattr(instances, "_current", [])


def test_without_one_it_says_what_to_do():
    with pytest.raises(dg.InstanceUnavailableError, match=r"context\.instance") as raised:
        dg.Instance.get()
    assert raised.value.reason == "NO_INSTANCE"


def test_a_process_has_one():
    instance = dg.Instance.ephemeral()
    instances.set_process_instance(instance)
    assert dg.Instance.get() is instance


def test_a_test_has_its_own_and_gives_it_back():
    outer = dg.Instance.ephemeral()
    instances.set_process_instance(outer)
    with dg.instance_for_test() as instance:
        assert dg.Instance.get() is instance
        with dg.instance_for_test(set_home=False):
            assert dg.Instance.get() is instance
        folder = instance.storage_dir
        assert folder.is_dir()
    assert dg.Instance.get() is outer
    assert not folder.exists()


def test_what_cannot_be_configured_is_refused():
    with (
        pytest.raises(dg.UnsupportedParameterError, match="overrides"),
        dg.instance_for_test({1: 2}),
    ):
        pass
    with pytest.raises(dg.UnsupportedParameterError, match="settings"):
        dg.Instance.ephemeral(settings={"a": 1})


def test_values_may_be_kept_where_the_test_says(tmp_path):
    with dg.Instance.ephemeral(str(tmp_path)) as instance:
        assert instance.storage_dir == tmp_path
    assert tmp_path.is_dir()


def test_evaluations_of_checks_are_reported_and_found():
    with dg.instance_for_test() as instance:
        key = asset_keys.AssetCheckKey("a", "fresh")
        assert instance.get_latest_asset_check_evaluation_record(key) is None
        for passed in (False, True):
            evaluation = asset_checks.AssetCheckEvaluation(
                asset_key=dg.AssetKey("a"), check_name="fresh", passed=passed
            )
            instance.report_runless_asset_event(evaluation)
        newest = instance.get_latest_asset_check_evaluation_record(key)
        assert newest.event_log_entry.event.asset_check_evaluation.passed
        other = asset_keys.AssetCheckKey("a", "other")
        assert instance.get_latest_asset_check_evaluation_records([key, other]) == {key: newest}


def test_the_freshness_of_an_asset_is_what_its_newest_event_tells():
    instance = dg.Instance.ephemeral()
    key, state = dg.AssetKey("a"), freshness_states.FreshnessState
    assert instance.get_freshness_state_records([key]) == {}
    for moment, new in enumerate([state.PASS, state.FAIL], 1):
        change = freshness_states.FreshnessStateChange(key, new, state.UNKNOWN, float(moment))
        instance.backend.record_event(
            dg.Event(dg.EventType.FRESHNESS_STATE_CHANGE, event_specific_data=change)
        )
    record = instance.get_freshness_state_records([key])[key]
    assert (record.freshness_state, record.updated_at.timestamp()) == (state.FAIL, 2.0)


def test_times_of_runs_are_those_of_the_clock():
    times = iter([10.0, 20.0, 30.0])
    backend = ephemeral.EphemeralBackend(clock=lambda: next(times))
    run = dg.Run("load", "r")
    for status in (dg.RunStatus.QUEUED, dg.RunStatus.STARTED, dg.RunStatus.SUCCESS):
        backend.record_run(run.with_status(status))
    record = backend.run_record("r")
    assert record.create_timestamp.timestamp() == 10.0
    assert record.update_timestamp.timestamp() == 30.0
    assert (record.start_time, record.end_time) == (20.0, 30.0)


def test_what_is_no_event_of_an_asset_is_not_reported():
    with pytest.raises(dg.InvalidInvocationError), dg.instance_for_test() as instance:
        instance.report_runless_asset_event("made")
