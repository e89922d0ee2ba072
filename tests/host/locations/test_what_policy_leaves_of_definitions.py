"""What is left of the definitions of a location when the policy denies some of it."""

import hypothesis
from hypothesis import strategies as st

from atoll.definitions.v1 import conditions_pb2, policies_pb2, snapshot_pb2, values_pb2
from atoll_host.automation.sensors import defined as sensor_terms
from atoll_host.locations import cutting, definitions
from atoll_host.policy import deciding, policy_settings
from atoll_storage import records
from tests.integration import code_location

OWNERS = {("orders",): "sales", ("stock",): "store", ("report",): "reports"}
JOBS = {"sales": ["load", "secret"], "store": ["count"], "reports": ["daily"]}
EAGER = conditions_pb2.AutomationCondition(
    simple=conditions_pb2.SimpleCondition(kind=conditions_pb2.SIMPLE_CONDITION_KIND_MISSING)
)


def deny(*what: str, source: str = "reports", target: str = "sales", **fields) -> dict:
    return {"from": source, "to": target, "what": what, "allow": False, **fields}


def cut(message: snapshot_pb2.LocationSnapshot, *rules: dict, **default: str) -> cutting.Cut:
    settings = policy_settings.PolicySettings.model_validate(
        {"rules": [{**each, "what": list(each["what"])} for each in rules], "default": default}
    )
    mesh = cutting.Mesh(deciding.of(settings, {}), lambda path: OWNERS.get(tuple(path), ""), JOBS)
    return cutting.cut("reports", definitions.of_message("d", message), mesh)


def sensor(*watched: str, **fields) -> snapshot_pb2.SensorDefinition:
    return snapshot_pb2.SensorDefinition(
        name="s",
        kind=snapshot_pb2.SENSOR_KIND_MULTI_ASSET,
        monitored_assets=[code_location.key(each) for each in watched],
        **fields,
    )


def on_runs(*jobs: tuple[str, str], everywhere: bool = False) -> snapshot_pb2.SensorDefinition:
    return snapshot_pb2.SensorDefinition(
        name="s",
        kind=snapshot_pb2.SENSOR_KIND_RUN_STATUS,
        run_status="SUCCESS",
        job_names=["daily"],
        monitored_jobs=[
            snapshot_pb2.MonitoredJob(location_name=where, job_name=name) for where, name in jobs
        ],
        monitors_all_locations=everywhere,
    )


def watched_runs(left: cutting.Cut) -> records.RunChangeQuery | None:
    made = sensor_terms.sensor_of("reports", left.definitions.sensors["s"])
    return None if made is None else made.runs


def test_the_very_same_definitions_are_left_where_nothing_is_denied() -> None:
    message = code_location.snapshot([code_location.asset("report", "orders")])
    defined = definitions.of_message("d", message)
    settings = policy_settings.DEFAULT
    mesh = cutting.Mesh(deciding.of(settings, {}), lambda _: "sales", {})
    assert cutting.cut("reports", defined, mesh).definitions is defined
    left = cut(message, deny("watch", target="store"))
    assert (left.definitions.digest, left.denials) == ("d", ())


def test_a_sensor_watches_what_is_left_and_none_is_made_of_one_that_has_nothing_left() -> None:
    left = cut(code_location.snapshot(sensors=[sensor("orders", "stock", "own")]), deny("watch"))
    made = sensor_terms.sensor_of("reports", left.definitions.sensors["s"])
    assert made is not None
    assert made.monitored == (("stock",), ("own",))
    (denial,) = left.denials
    assert (denial.definition_kind, denial.definition_name) == ("sensor", "s")
    assert (denial.to_location, list(denial.asset_key.path)) == ("sales", ["orders"])
    assert denial.action == policies_pb2.POLICY_ACTION_WATCH
    assert "[policy] rules[0]" in denial.explanation
    none = cut(code_location.snapshot(sensors=[sensor("orders")]), deny("watch"))
    assert sensor_terms.sensor_of("reports", none.definitions.sensors["s"]) is None


def test_an_edge_that_is_denied_is_none_and_everything_else_is_served() -> None:
    check = code_location.check("report", "fits")
    check.additional_dependencies.add(asset_key=code_location.key("orders"))
    message = code_location.snapshot(
        [code_location.asset("report", "orders", "stock")], [code_location.job("daily")],
        checks=[check],
    )  # fmt: skip
    left = cut(message, deny("depend"))
    assert left.definitions.dependencies["report",] == (("stock",),)
    assert not left.definitions.checks[("report",), "fits"].additional_dependencies
    assert {"daily", "__ASSET_JOB"} <= left.definitions.jobs.keys()
    assert [each.definition_kind for each in left.denials] == ["asset", "check"]
    assert len(message.assets[0].dependencies) == 2, "what was sent is not touched"


def test_other_denials_give_another_digest_and_the_same_the_same() -> None:
    message = code_location.snapshot([code_location.asset("report", "orders", "stock")])
    one, same = cut(message, deny("depend")), cut(message, deny("depend"))
    other = cut(message, deny("depend", target="store"))
    assert one.definitions.digest == same.definitions.digest
    assert len({"d", one.definitions.digest, other.definitions.digest}) == 3


def test_a_condition_hears_nothing_of_what_may_not_be_watched() -> None:
    asset = code_location.asset("report", "orders", "stock", automation_condition=EAGER)
    left = cut(code_location.snapshot([asset]), deny("watch"))
    assert left.definitions.unwatched == {("orders",)}
    assert left.definitions.dependencies["report",] == (("orders",), ("stock",))
    assert left.definitions.assets["report",].HasField("automation_condition")
    assert [each.definition_name for each in left.denials] == ["report"]


def test_a_condition_that_names_what_may_not_be_watched_is_left_out() -> None:
    named = conditions_pb2.AutomationCondition(
        all_of=conditions_pb2.AllOfCondition(
            operands=[
                EAGER,
                conditions_pb2.AutomationCondition(
                    negation=conditions_pb2.NotCondition(
                        operand=conditions_pb2.AutomationCondition(
                            asset_matches=conditions_pb2.AssetMatchesCondition(
                                asset_key=values_pb2.AssetKey(path=["orders"]), operand=EAGER
                            )
                        )
                    )
                ),
            ]
        )
    )
    job = code_location.job("daily", automation_condition=named)
    other = code_location.job("weekly", automation_condition=EAGER)
    left = cut(code_location.snapshot(jobs=[job, other]), deny("watch"))
    assert not left.definitions.jobs["daily"].HasField("automation_condition")
    assert left.definitions.jobs["weekly"].HasField("automation_condition")
    assert [each.definition_name for each in left.denials] == ["daily"]


def test_runs_of_single_jobs_can_be_kept_from_a_sensor_that_watches_a_whole_location() -> None:
    message = code_location.snapshot(sensors=[on_runs(("sales", ""), ("store", ""))])
    left = cut(message, deny("watch", jobs=["secret"]))
    query = watched_runs(left)
    assert query is not None
    assert query.monitored == (("sales", "load"), ("store", ""))
    assert [each.job_name for each in left.denials] == ["secret"]


def test_a_sensor_on_the_runs_of_all_locations_keeps_what_is_left_and_ignores_its_own() -> None:
    message = code_location.snapshot(sensors=[on_runs(everywhere=True)])
    query = watched_runs(cut(message, deny("watch")))
    assert query is not None
    assert query.monitored == (("reports", ""), ("store", ""))
    assert query.ignored_jobs == (("reports", "daily"),)
    assert watched_runs(cut(message)) == records.RunChangeQuery(
        status=records.RunStatus.SUCCESS,
        monitored=None,
        ignored_jobs=(("reports", "daily"),),
        asked_by=records.SensorKey("reports", "s"),
    )


def test_a_sensor_that_may_watch_no_run_at_all_does_not_watch_those_of_its_own_location() -> None:
    message = code_location.snapshot(sensors=[on_runs(("sales", "load"))])
    left = cut(message, deny("watch"))
    assert watched_runs(left) is None
    assert [each.job_name for each in left.denials] == ["load"]


DENIABLE = st.sampled_from(["watch", "depend"])
NAMES = st.sampled_from(["orders", "stock", "own", "gone"])


@hypothesis.settings(max_examples=100)
@hypothesis.given(
    watched=st.lists(NAMES, unique=True), upstream=st.lists(NAMES, unique=True),
    denied=st.sets(st.tuples(DENIABLE, st.sampled_from(["sales", "store"]))),
)  # fmt: skip
def test_exactly_what_is_denied_is_left_out_and_told(watched, upstream, denied) -> None:
    message = code_location.snapshot(
        [code_location.asset("report", *upstream)], sensors=[sensor(*watched)]
    )
    left = cut(message, *(deny(what, target=target) for what, target in sorted(denied)))

    def may(what: str, name: str) -> bool:
        return (what, OWNERS.get((name,), "")) not in denied

    (kept,) = left.definitions.message.sensors
    assert [key.path[0] for key in kept.monitored_assets] == [n for n in watched if may("watch", n)]
    edges = [path[0] for path in left.definitions.dependencies["report",]]
    assert edges == [name for name in upstream if may("depend", name)]
    told = {(each.definition_kind, each.asset_key.path[0]) for each in left.denials}
    assert told == {
        *(("sensor", name) for name in watched if not may("watch", name)),
        *(("asset", name) for name in upstream if not may("depend", name)),
    }
