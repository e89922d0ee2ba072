"""What new definitions of a location would break, for whom, and what not."""

import json

import hypothesis
import pytest
from hypothesis import strategies as st

from atoll.definitions.v1 import (
    conditions_pb2,
    partitions_pb2,
    policies_pb2,
    snapshot_pb2,
    values_pb2,
)
from atoll_host.alerts import rules as alert_rules
from atoll_host.impact import comparing, findings, world
from atoll_host.locations import definitions
from atoll_host.policy import policy_settings
from tests.integration import code_location as made

NOTE, RISKY, BREAKING = findings.Severity
Rule = findings.Rule


def defined(message: snapshot_pb2.LocationSnapshot) -> definitions.Definitions:
    return definitions.of_message("d", message)


def compared(
    old: snapshot_pb2.LocationSnapshot,
    new: snapshot_pb2.LocationSnapshot,
    others: dict[str, snapshot_pb2.LocationSnapshot] | None = None,
    **facts,
) -> list[findings.Finding]:
    there = {name: defined(message) for name, message in (others or {}).items()}
    before = defined(old)
    owners = {path: name for name, each in there.items() for path in each.executable}
    owners.update(dict.fromkeys(before.executable, "sales"))
    return comparing.compare(
        world.World(
            "sales", before, defined(new), there, there, facts.pop("owners", owners), **facts
        )
    )


def told(found: list[findings.Finding]) -> list[tuple]:
    return [(each.severity, each.rule, each.location_name, each.affected) for each in found]


def watching(*assets: str, jobs: tuple[str, ...] = ()) -> snapshot_pb2.SensorDefinition:
    return snapshot_pb2.SensorDefinition(
        name="s",
        kind=snapshot_pb2.SENSOR_KIND_MULTI_ASSET,
        monitored_assets=[made.key(each) for each in assets],
        job_names=jobs,
    )


def static(*keys: str) -> partitions_pb2.PartitionsDefinition:
    return partitions_pb2.PartitionsDefinition(
        static=partitions_pb2.StaticPartitions(partition_keys=keys)
    )


def dynamic(name: str) -> partitions_pb2.PartitionsDefinition:
    return partitions_pb2.PartitionsDefinition(dynamic=partitions_pb2.DynamicPartitions(name=name))


ORDERS = made.snapshot([made.asset("orders"), made.asset("stock")], [made.job("load", "orders")])
WITHOUT = made.snapshot([made.asset("stock")], [made.job("load")])


def test_an_asset_that_others_use_is_missed_by_each_of_them() -> None:
    named = conditions_pb2.AutomationCondition(
        asset_matches=conditions_pb2.AssetMatchesCondition(asset_key=made.key("orders"))
    )
    others = {
        "reports": made.snapshot(
            [made.asset("report", "orders")],
            [made.job("daily", automation_condition=named)],
            [watching("orders", "stock")],
        ),
        "quality": made.snapshot(checks=[made.check("orders", "fits")]),
        "lab": made.snapshot([made.asset("test", "stock")]),
    }
    found = compared(ORDERS, WITHOUT, others)
    assert told(found) == [
        (BREAKING, Rule.ASSET_REMOVED, "reports", "asset report"),
        (BREAKING, Rule.ASSET_REMOVED, "reports", "job daily"),
        (BREAKING, Rule.ASSET_REMOVED, "reports", "sensor s"),
        (RISKY, Rule.ASSET_REMOVED, "quality", "check orders:fits"),
    ]
    assert all(each.subject == "asset orders" for each in found)


def test_an_asset_that_nobody_uses_is_a_note() -> None:
    assert told(compared(ORDERS, WITHOUT)) == [(NOTE, Rule.ASSET_REMOVED, "sales", "")]


def test_a_new_name_is_guessed_by_the_shape_or_by_the_end_of_the_key() -> None:
    shaped = made.asset("orders", "raw", group_name="g", kinds=["table"])
    renamed = made.asset("purchases", "raw", group_name="g", kinds=["table"])
    moved = made.asset("shop/orders", "other")
    others = {"reports": made.snapshot(sensors=[watching("orders")])}
    for new, guess in ((renamed, "purchases"), (moved, "shop/orders")):
        (finding,) = [
            each
            for each in compared(made.snapshot([shaped]), made.snapshot([new]), others)
            if each.severity is BREAKING
        ]
        assert finding.renamed_to == guess
        assert "(a guess)" in finding.message
    both = made.snapshot([renamed, made.asset("buys", "raw", group_name="g", kinds=["table"])])
    (unclear,) = [
        e for e in compared(made.snapshot([shaped]), both, others) if e.severity is BREAKING
    ]
    assert unclear.renamed_to == ""


def test_an_asset_that_is_given_up_or_taken_over_says_so() -> None:
    external = made.snapshot([made.asset("orders", executable=False)])
    others = {"reports": made.snapshot(sensors=[watching("orders")])}
    one = made.snapshot([made.asset("orders")])
    assert told(compared(one, external, others)) == [
        (BREAKING, Rule.ASSET_GIVEN_UP, "reports", "sensor s")
    ]
    taker = {**others, "store": made.snapshot([made.asset("orders")])}
    owners = {("orders",): "sales"}
    found = compared(one, made.snapshot(), taker, owners=owners)
    assert told(found) == [(RISKY, Rule.ASSET_REMOVED, "reports", "sensor s")]
    assert "'store', which claims it, would make it" in found[0].message


def test_an_asset_of_somebody_else_cannot_be_taken() -> None:
    others = {
        "store": made.snapshot([made.asset("stock")]),
        "reports": made.snapshot([made.asset("free", executable=False)]),
    }
    new = made.snapshot([made.asset("stock"), made.asset("free")])
    assert told(compared(made.snapshot(), new, others)) == [
        (BREAKING, Rule.ASSET_TAKEN, "sales", "asset stock"),
        (NOTE, Rule.ASSET_TAKEN, "reports", "asset free"),
    ]


def test_a_mapping_that_no_longer_fits_breaks_and_one_that_does_is_risky() -> None:
    mapping = partitions_pb2.PartitionMapping(
        specific=partitions_pb2.SpecificPartitionsPartitionMapping(partition_keys=["east"])
    )
    report = made.asset("report", "orders", partitions=static("a"))
    report.dependencies[0].partition_mapping.CopyFrom(mapping)
    others = {"reports": made.snapshot([report], sensors=[watching("orders")])}
    old = made.snapshot([made.asset("orders", partitions=static("east", "west"))])
    gone = made.snapshot([made.asset("orders")])
    assert told(compared(old, gone, others)) == [
        (BREAKING, Rule.MAPPING_MISFIT, "reports", "asset report"),
        (RISKY, Rule.PARTITIONS_CHANGED, "reports", "sensor s"),
    ]
    more = made.snapshot([made.asset("orders", partitions=static("east", "west", "north"))])
    assert told(compared(old, more, others)) == [
        (RISKY, Rule.PARTITIONS_CHANGED, "reports", "asset report"),
        (RISKY, Rule.PARTITIONS_CHANGED, "reports", "sensor s"),
    ]


def test_keys_that_fall_out_and_dynamic_partitions_of_another_name_are_risky() -> None:
    old = made.snapshot([made.asset("orders", partitions=dynamic("customers"))])
    new = made.snapshot([made.asset("orders", partitions=dynamic("clients"))])
    found = compared(old, new, dynamic_keys={"customers": 3})
    assert told(found) == [(RISKY, Rule.DYNAMIC_PARTITIONS_RENAMED, "sales", "")]
    assert found[0].renamed_to == "clients"
    assert compared(old, new) == []
    lost = {("orders",): ("west",)}
    before = made.snapshot([made.asset("orders", partitions=static("east", "west"))])
    after = made.snapshot([made.asset("orders", partitions=static("east"))])
    assert told(compared(before, after, lost_keys=lost)) == [
        (RISKY, Rule.KEYS_FALL_OUT, "sales", "asset orders")
    ]


def schema(*required: str, **properties: dict) -> bytes:
    fields = {name: {"type": "string"} for name in required}
    return json.dumps(
        {"type": "object", "properties": {**fields, **properties}, "required": list(required)}
    ).encode()


def test_a_job_that_others_launch_must_stay_and_take_what_it_took() -> None:
    others = {"reports": made.snapshot(sensors=[watching("own", jobs=("sales/load", "daily"))])}
    old = made.snapshot(jobs=[made.job("load", schema=schema())])
    assert told(compared(old, made.snapshot(), others)) == [
        (BREAKING, Rule.JOB_REMOVED, "reports", "sensor s")
    ]
    renamed = made.snapshot(jobs=[made.job("fetch", schema=schema())])
    assert compared(old, renamed, others)[0].renamed_to == "fetch"
    stricter = made.snapshot(jobs=[made.job("load", schema=schema("day"))])
    found = compared(old, stricter, others)
    assert told(found) == [(BREAKING, Rule.JOB_CONFIG_CHANGED, "reports", "sensor s")]
    assert "day is required now" in found[0].message
    wider = made.snapshot(jobs=[made.job("load", schema=schema(limit={"type": "integer"}))])
    assert [each.severity for each in compared(old, wider, others)] == [RISKY]
    (narrower,) = compared(wider, old, others)
    assert "limit is gone" in narrower.message
    parted = made.snapshot(jobs=[made.job("load", schema=schema(), partitions=static("a"))])
    assert told(compared(old, parted, others)) == [
        (RISKY, Rule.JOB_PARTITIONS_CHANGED, "reports", "sensor s")
    ]


def test_who_watches_runs_of_a_job_misses_it() -> None:
    hearing = snapshot_pb2.SensorDefinition(
        name="s",
        kind=snapshot_pb2.SENSOR_KIND_RUN_STATUS,
        monitored_jobs=[
            snapshot_pb2.MonitoredJob(location_name="sales", job_name="load"),
            snapshot_pb2.MonitoredJob(job_name="load"),
        ],
    )
    old = made.snapshot(jobs=[made.job("load")])
    found = compared(old, made.snapshot(), {"reports": made.snapshot(sensors=[hearing])})
    assert told(found) == [(BREAKING, Rule.JOB_REMOVED, "reports", "sensor s")]


def test_a_check_that_a_condition_names_is_missed_and_a_blocking_one_is_risky() -> None:
    check_key = values_pb2.AssetCheckKey(asset_key=made.key("orders"), name="fits")
    condition = conditions_pb2.AutomationCondition(
        checks=conditions_pb2.ChecksCondition(
            allow=conditions_pb2.ConditionSelection(
                without=conditions_pb2.SelectWithout(
                    left=conditions_pb2.ConditionSelection(
                        all_checks=conditions_pb2.SelectAllChecks()
                    ),
                    right=conditions_pb2.ConditionSelection(
                        checks=conditions_pb2.SelectChecks(keys=[check_key])
                    ),
                )
            )
        )
    )
    old = made.snapshot(
        [made.asset("orders")], checks=[made.check("orders", "fits", blocking=True)]
    )
    new = made.snapshot([made.asset("orders")])
    report = made.asset("report", automation_condition=condition)
    assert told(compared(old, new, {"reports": made.snapshot([report])})) == [
        (BREAKING, Rule.CHECK_REMOVED, "reports", "asset report")
    ]
    assert told(compared(old, new)) == [(RISKY, Rule.CHECK_REMOVED, "sales", "asset orders")]


def test_a_sensor_or_schedule_of_another_name_loses_what_it_remembers() -> None:
    def both(name: str) -> snapshot_pb2.LocationSnapshot:
        sensor = watching("own")
        sensor.name = name
        schedule = snapshot_pb2.ScheduleDefinition(name=name, cron_schedules=["0 * * * *"])
        return made.snapshot(sensors=[sensor], schedules=[schedule])

    remembered = {"kept_sensors": frozenset({"s"}), "kept_schedules": frozenset({"s"})}
    found = compared(both("s"), both("t"), **remembered)
    assert told(found) == [
        (RISKY, Rule.SCHEDULE_REMOVED, "sales", "schedule s"),
        (RISKY, Rule.SENSOR_REMOVED, "sales", "sensor s"),
    ]
    assert {each.renamed_to for each in found} == {"t"}
    assert compared(both("s"), both("t")) == []
    assert [each.severity for each in compared(both("s"), made.snapshot(), **remembered)] == [
        NOTE
    ] * 2


def closed(message: snapshot_pb2.LocationSnapshot, *actions) -> snapshot_pb2.LocationSnapshot:
    copy = snapshot_pb2.LocationSnapshot()
    copy.CopyFrom(message)
    rule = copy.policy.rules.add(from_locations=["*"], actions=actions, allow=False)
    rule.reason = "closed"
    return copy


def test_a_policy_that_denies_somebody_what_they_do_breaks_that() -> None:
    others = {
        "reports": made.snapshot(
            [made.asset("report", "orders")], sensors=[watching("orders", jobs=("sales/load",))]
        )
    }
    opened = policy_settings.PolicySettings.model_validate(
        {"run_requests": [{"from": "*", "to": "*", "jobs": ["*"]}]}
    )
    every = (
        policies_pb2.POLICY_ACTION_WATCH,
        policies_pb2.POLICY_ACTION_DEPEND,
        policies_pb2.POLICY_ACTION_LAUNCH,
    )
    found = compared(ORDERS, closed(ORDERS, *every), others, settings=opened)
    assert told(found) == [
        (BREAKING, Rule.POLICY_DENIES, "reports", "asset report"),
        (BREAKING, Rule.POLICY_DENIES, "reports", "sensor s"),
        (BREAKING, Rule.POLICY_DENIES, "reports", "sensor s"),
    ]
    assert all("closed" in each.message for each in found)
    assert compared(closed(ORDERS, *every), closed(ORDERS, *every), others, settings=opened) == []


def test_what_the_new_definitions_may_not_do_themselves_is_told() -> None:
    others = {"store": closed(made.snapshot([made.asset("secret")]), 1)}
    new = made.snapshot(sensors=[watching("secret")])
    assert told(compared(made.snapshot(), new, others)) == [
        (BREAKING, Rule.POLICY_DENIES, "sales", "sensor s")
    ]


def test_an_alert_that_looks_for_what_is_gone_is_told() -> None:
    alert = alert_rules.Rule.model_validate(
        {
            "name": "load fails",
            "on": "run_failure",
            "jobs": ("load",),
            "notify": ({"type": "webhook", "url": "https://example.org/hook"},),
        }
    )
    old = made.snapshot(jobs=[made.job("load")])
    assert told(compared(old, made.snapshot(), alerts=(alert,))) == [
        (RISKY, Rule.JOB_REMOVED, "", "alert rule load fails")
    ]


NAMES = ["a", "b", "c", "d"]
LOCATIONS = st.fixed_dictionaries(
    {
        "assets": st.dictionaries(
            st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=2)
        ),
        "watched": st.lists(st.sampled_from(NAMES), unique=True),
        "jobs": st.lists(st.sampled_from(NAMES), unique=True),
        "launched": st.lists(st.sampled_from(NAMES), unique=True),
    }
)  # fmt: skip


def message_of(drawn: dict, prefix: str = "") -> snapshot_pb2.LocationSnapshot:
    return made.snapshot(
        [
            made.asset(prefix + name, *upstream)
            for name, upstream in sorted(drawn["assets"].items())
        ],
        [made.job(name) for name in sorted(drawn["jobs"])],
        [watching(*drawn["watched"], jobs=tuple(f"sales/{name}" for name in drawn["launched"]))],
    )


@hypothesis.settings(max_examples=100)
@hypothesis.given(old=LOCATIONS, new=LOCATIONS, other=LOCATIONS)
def test_what_others_use_breaks_exactly_when_it_is_gone(old, new, other) -> None:
    others = {"reports": message_of(other, prefix="r_")}
    found = compared(message_of(old), message_of(new), others)
    gone = set(old["assets"]) - set(new["assets"])
    broken = {
        (each.subject, each.affected)
        for each in found
        if each.rule in {Rule.ASSET_REMOVED, Rule.JOB_REMOVED} and each.severity is BREAKING
    }
    expected = {(f"asset {name}", "sensor s") for name in gone & set(other["watched"])}
    for name, upstream in other["assets"].items():
        expected |= {(f"asset {each}", f"asset r_{name}") for each in gone & set(upstream)}
    jobs = (set(old["jobs"]) - set(new["jobs"])) & set(other["launched"])
    expected |= {(f"job {name}", "sensor s") for name in jobs}
    assert broken == expected
    assert found == sorted(found, key=lambda each: each.order)


@hypothesis.settings(max_examples=50)
@hypothesis.given(one=LOCATIONS, other=LOCATIONS)
def test_the_same_definitions_break_nothing(one, other) -> None:
    assert compared(message_of(one), message_of(one), {"reports": message_of(other, "r_")}) == []


@pytest.mark.parametrize("partitions", [static("a"), dynamic("x"), None])
def test_a_location_that_is_new_breaks_nothing(partitions) -> None:
    new = made.snapshot([made.asset("fresh", partitions=partitions)], [made.job("load")])
    assert compared(made.snapshot(), new, {"reports": made.snapshot()}) == []
