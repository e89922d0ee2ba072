import datetime as dt

import pytest

import atoll as dg
from atoll import errors

NOW = dt.datetime(2024, 1, 3, tzinfo=dt.UTC)


def test_a_function_of_a_window_makes_the_config_of_a_day():
    @dg.daily_partitioned_config(
        "2024-01-01", tags_for_partition_fn=lambda s, e: {"y": str(s.year)}
    )
    def config(start, end):
        return {"from": start.isoformat(), "to": end.isoformat()}

    assert list(config.get_partition_keys(NOW)) == ["2024-01-01", "2024-01-02"]
    assert config.get_run_config_for_partition_key("2024-01-02") == {
        "from": "2024-01-02T00:00:00+00:00",
        "to": "2024-01-03T00:00:00+00:00",
    }
    assert config.get_tags_for_partition_key("2024-01-02", "nightly") == {
        "y": "2024",
        "atoll/partition": "2024-01-02",
        "atoll/partition_set": "nightly_partition_set",
    }
    assert config(NOW, NOW)["from"] == NOW.isoformat()


@pytest.mark.parametrize(
    ("decorator", "expected"),
    [
        (
            dg.hourly_partitioned_config("2024-01-02-22:00"),
            ["2024-01-02-22:00", "2024-01-02-23:00"],
        ),
        (dg.weekly_partitioned_config("2023-12-20"), ["2023-12-24"]),
        (dg.monthly_partitioned_config("2023-11-01"), ["2023-11-01", "2023-12-01"]),
    ],
)
def test_windows_may_be_hours_weeks_or_months(decorator, expected):
    config = decorator(lambda start, end: {"from": str(start)})
    assert list(config.get_partition_keys(NOW)) == expected


def test_a_function_of_a_key_makes_the_config_of_other_partitions():
    @dg.static_partitioned_config(["a", "b"], tags_for_partition_key_fn=lambda key: {"k": key})
    def static(key):
        return dg.RunConfig(ops={"load": {"config": {"key": key}}})

    assert static.get_run_config_for_partition_key("a")["ops"] == {"load": {"config": {"key": "a"}}}
    assert static.get_tags_for_partition_key("a") == {"k": "a", "atoll/partition": "a"}

    @dg.dynamic_partitioned_config(lambda now: ["z"])
    def dynamic(key):
        return {"key": key}

    assert list(dynamic.get_partition_keys()) == ["z"]
    assert dynamic.get_run_config_for_partition_key("z") == {"key": "z"}

    @dg.partitioned_config(dg.StaticPartitionsDefinition(["x"]))
    def general(key):
        return {"key": key}

    assert general("y") == {"key": "y"}


def test_older_functions_take_a_partition():
    daily = dg.DailyPartitionsDefinition("2024-01-01")
    config = dg.PartitionedConfig(
        daily,
        run_config_for_partition_fn=lambda p: {"start": p.value.start.day, "name": p.name},
        tags_for_partition_fn=lambda p: {"name": p.name},
    )
    found = config.get_run_config_for_partition_key("2024-01-02")
    assert found == {"start": 2, "name": "2024-01-02"}
    assert config.get_tags_for_partition_key("2024-01-02")["name"] == "2024-01-02"
    with pytest.raises(errors.InvalidInvocationError, match="no function to call"):
        config()


def test_whatever_is_given_as_config_becomes_partitioned():
    static = dg.StaticPartitionsDefinition(["a"])
    given = dg.partitioned_config(static)(lambda key: {"k": key})
    made = [dg.PartitionedConfig.from_flexible_config(c, static) for c in (None, {"a": 1}, given)]
    assert [dict(each.get_run_config_for_partition_key("a")) for each in made] == [
        {}, {"a": 1}, {"k": "a"},
    ]  # fmt: skip
    other = dg.StaticPartitionsDefinition(["b"])
    with pytest.raises(errors.InvalidDefinitionError, match="give both the same"):
        dg.PartitionedConfig.from_flexible_config(given, other)
    with pytest.raises(errors.InvalidDefinitionError, match="@partitioned_config"):
        dg.PartitionedConfig.from_flexible_config(7, static)


def test_what_functions_may_not_return_is_told():
    static = dg.StaticPartitionsDefinition(["a"])
    config = dg.PartitionedConfig(
        static,
        run_config_for_partition_key_fn=lambda key: 7,
        tags_for_partition_key_fn=lambda key: {"n": 1},
    )
    with pytest.raises(errors.InvariantViolationError, match="'a' is 7"):
        config.get_run_config_for_partition_key("a")
    with pytest.raises(errors.InvariantViolationError, match="dictionary of texts"):
        config.get_tags_for_partition_key("a")
    with pytest.raises(errors.InvalidDefinitionError, match="comes from one function"):
        dg.PartitionedConfig(static)
