"""A run takes what it needs to know of assets from its plan, and does without if nobody tells."""

import pytest

import atoll as dg
from atoll._definitions import runs as run_definitions
from atoll._execution import events as event_sinks
from atoll._execution import known_assets
from atoll._execution import runs as execution
from atoll._instance import ephemeral
from atoll._instance import instance as instances

T = dg.EventType
UPSTREAM = dg.AssetKey("upstream")


class SilentBackend(ephemeral.EphemeralBackend):
    """An instance whose host is away."""

    asked = 0

    def latest_materializations(self, asset_keys):
        self.asked += 1
        raise dg.InstanceUnavailableError("The host is away.", "HOST_UNAVAILABLE")


@pytest.fixture
def backend(tmp_path):
    made = SilentBackend(tmp_path)
    yield made
    made.dispose()


@dg.asset(deps=[UPSTREAM])
def downstream(context: dg.AssetExecutionContext):
    found = context.get_asset_provenance(dg.AssetKey("downstream"))
    context.log.info("%s", found.code_version if found is not None else "nothing")


@dg.asset(deps=[downstream, "other"])
def last(): ...


@dg.asset_check(asset=UPSTREAM)
def is_fine():
    return dg.AssetCheckResult(passed=True)


DEFS = dg.Definitions(assets=[downstream, last, dg.AssetSpec(UPSTREAM)], asset_checks=[is_fine])


def executed(backend, told=known_assets.NOTHING, **run):
    sink = event_sinks.ListSink()
    instance = instances.Instance(backend)
    planned = run_definitions.Run("__ASSET_JOB", run_id="run-1", **run)
    assert execution.execute_run(DEFS, planned, sink, instance, told_assets=told)
    return sink.events


def of_kind(found, kind):
    return [one for one in found if one.event_type is kind]


def test_what_was_told_is_not_asked_for(backend):
    made = known_assets.Materialized(7, "run-0", 5.0, {"atoll/data_version": "v7"})
    own = known_assets.Materialized(8, "run-0", 6.0, {"atoll/code_version": "c1"})
    told = known_assets.Told({UPSTREAM: made, dg.AssetKey("downstream"): own})
    found = executed(backend, told, asset_selection=frozenset({dg.AssetKey("downstream")}))
    assert backend.asked == 0
    (event,) = of_kind(found, T.ASSET_MATERIALIZATION)
    tags = event.event_specific_data.materialization.tags
    assert tags["atoll/input_data_version/upstream"] == "v7"
    assert tags["atoll/input_event_id/upstream"] == "7"
    assert [one.message for one in of_kind(found, T.LOG_MESSAGE)] == ["c1"]


def test_a_check_names_the_materialization_that_was_told(backend):
    made = known_assets.Materialized(7, "run-0", 5.0, {})
    found = executed(
        backend,
        known_assets.Told({UPSTREAM: made}),
        asset_check_selection=frozenset({dg.AssetCheckKey(UPSTREAM, "is_fine")}),
    )
    (event,) = of_kind(found, T.ASSET_CHECK_EVALUATION)
    target = event.event_specific_data.asset_check_evaluation.target_materialization_data
    assert (target.storage_id, target.run_id, target.timestamp) == (7, "run-0", 5.0)


def test_a_run_goes_on_without_an_answer_and_says_so_once(backend):
    selected = frozenset({dg.AssetKey("downstream"), dg.AssetKey("last")})
    found = executed(backend, asset_selection=selected)
    assert backend.asked == 1
    (told,) = of_kind(found, T.ENGINE_EVENT)
    assert "goes on without" in told.message
    assert "The host is away." in told.message
    events = of_kind(found, T.ASSET_MATERIALIZATION)
    assert len(events) == 2
    assert all(
        "atoll/data_version" not in one.event_specific_data.materialization.tags for one in events
    )


def test_an_asset_that_was_never_materialized_is_known_as_such(backend):
    told = known_assets.Told({UPSTREAM: None, dg.AssetKey("downstream"): None})
    found = executed(backend, told, asset_selection=frozenset({dg.AssetKey("downstream")}))
    assert backend.asked == 0
    (event,) = of_kind(found, T.ASSET_MATERIALIZATION)
    tags = event.event_specific_data.materialization.tags
    assert tags["atoll/input_data_version/upstream"] == "INITIAL"
