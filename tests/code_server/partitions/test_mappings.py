import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import atoll as dg
from atoll import errors
from atoll._partitions import inference

NOW = dt.datetime(2024, 3, 20, tzinfo=dt.UTC)
LETTERS = dg.StaticPartitionsDefinition(["a", "b", "c"])
NUMBERS = dg.StaticPartitionsDefinition(["1", "2", "3"])
DAYS = dg.DailyPartitionsDefinition("2024-03-01")
HOURS = dg.HourlyPartitionsDefinition("2024-03-01-00:00")
LATER = dg.DailyPartitionsDefinition("2024-03-05")
BY_LETTER = dg.MultiPartitionsDefinition({"date": DAYS, "letter": LETTERS})
BY_NUMBER = dg.MultiPartitionsDefinition({"date": DAYS, "number": NUMBERS})


def _up(mapping, downstream, upstream, keys, now=NOW):
    subset = None if downstream is None else downstream.subset_with_partition_keys(keys)
    result = mapping.get_upstream_mapped_partitions_result_for_partitions(
        subset, downstream, upstream, now
    )
    return list(result.partitions_subset), list(result.required_but_nonexistent_partition_keys)


def _down(mapping, upstream, downstream, keys, now=NOW):
    subset = upstream.subset_with_partition_keys(keys)
    return list(mapping.get_downstream_partitions_for_partitions(subset, upstream, downstream, now))


def test_the_same_key_is_needed():
    fewer = dg.StaticPartitionsDefinition(["b", "a"])
    identity = dg.IdentityPartitionMapping()
    assert _up(identity, LETTERS, fewer, ["a", "c"]) == (["a"], ["c"])
    assert _down(identity, LETTERS, fewer, ["a", "c"]) == ["a"]
    assert _up(identity, DAYS, LATER, ["2024-03-04", "2024-03-05"]) == (
        ["2024-03-05"], ["2024-03-04"],
    )  # fmt: skip
    assert _up(identity, BY_LETTER, BY_LETTER, ["2024-03-04|a"]) == (["2024-03-04|a"], [])


def test_all_the_last_or_some_are_needed_whatever_is_downstream():
    everything = dg.AllPartitionMapping()
    assert _up(everything, LETTERS, NUMBERS, ["a"]) == (["1", "2", "3"], [])
    assert _up(everything, None, NUMBERS, None) == (["1", "2", "3"], [])
    assert _up(everything, LETTERS, NUMBERS, []) == ([], [])
    assert _down(everything, NUMBERS, LETTERS, ["1"]) == ["a", "b", "c"]
    last = dg.LastPartitionMapping()
    assert _up(last, None, DAYS, None) == (["2024-03-19"], [])
    assert _down(last, DAYS, LETTERS, ["2024-03-19"]) == ["a", "b", "c"]
    assert _down(last, DAYS, LETTERS, ["2024-03-18"]) == []
    some = dg.SpecificPartitionsPartitionMapping(["b"])
    assert _up(some, DAYS, LETTERS, ["2024-03-01"]) == (["b"], [])
    assert _down(some, LETTERS, NUMBERS, ["b"]) == ["1", "2", "3"]
    assert _down(some, LETTERS, NUMBERS, ["a"]) == []


def test_a_table_says_what_is_needed():
    table = dg.StaticPartitionMapping({"a": "1", "b": {"1", "2"}})
    assert _up(table, NUMBERS, LETTERS, ["1"]) == (["a", "b"], [])
    assert _up(table, NUMBERS, LETTERS, ["3"]) == ([], [])
    assert _down(table, LETTERS, NUMBERS, ["b", "c"]) == ["1", "2"]
    with pytest.raises(errors.InvalidDefinitionError, match="no downstream partition '2'"):
        table.validate_partition_mapping(LETTERS, dg.StaticPartitionsDefinition(["1"]))
    with pytest.raises(errors.InvalidDefinitionError, match="upstream partitions are not static"):
        table.validate_partition_mapping(DAYS, NUMBERS)


@pytest.mark.parametrize(
    ("mapping", "downstream", "upstream", "keys", "found", "missing"),
    [
        (dg.TimeWindowPartitionMapping(), DAYS, HOURS, ["2024-03-02"], 24, 0),
        (dg.TimeWindowPartitionMapping(-1), DAYS, HOURS, ["2024-03-02"], 48, 0),
        (dg.TimeWindowPartitionMapping(-1, -1), DAYS, HOURS, ["2024-03-02"], 24, 0),
        (dg.TimeWindowPartitionMapping(), HOURS, DAYS, ["2024-03-02-05:00"], 1, 0),
        (dg.TimeWindowPartitionMapping(), DAYS, LATER, ["2024-03-04", "2024-03-05"], 1, 1),
        (dg.TimeWindowPartitionMapping(0, 0, True), DAYS, LATER, ["2024-03-04"], 0, 0),
        # What only an offset reaches may be missing.
        (dg.TimeWindowPartitionMapping(-1, -1), DAYS, DAYS, ["2024-03-01"], 0, 0),
        (dg.TimeWindowPartitionMapping(-1), DAYS, LATER, ["2024-03-05"], 1, 0),
        (dg.TimeWindowPartitionMapping(0, 1), DAYS, DAYS, ["2024-03-19"], 1, 0),
    ],
)
def test_windows_that_overlap_are_needed(mapping, downstream, upstream, keys, found, missing):
    result = _up(mapping, downstream, upstream, keys)
    assert (len(result[0]), len(result[1])) == (found, missing)


def test_time_zones_may_differ():
    new_york = dg.DailyPartitionsDefinition("2024-03-01", timezone="America/New_York")
    mapping = dg.TimeWindowPartitionMapping()
    assert _up(mapping, new_york, DAYS, ["2024-03-05"]) == (["2024-03-05", "2024-03-06"], [])
    hours = _up(mapping, new_york, HOURS, ["2024-03-10"])[0]
    assert (hours[0], hours[-1], len(hours)) == ("2024-03-10-05:00", "2024-03-11-03:00", 23)


def test_offsets_count_partitions_not_what_is_left_out():
    weekdays = dg.DailyPartitionsDefinition("2024-03-01", exclusions=["0 0 * * 6,0"])
    mapping = dg.TimeWindowPartitionMapping(-1, -1)
    assert _up(mapping, weekdays, weekdays, ["2024-03-11"]) == (["2024-03-08"], [])
    assert _down(mapping, weekdays, weekdays, ["2024-03-08"]) == ["2024-03-11"]


def test_a_dimension_may_be_the_other_side():
    mapping = dg.MultiToSingleDimensionPartitionMapping()
    assert _up(mapping, BY_LETTER, DAYS, ["2024-03-02|a"]) == (["2024-03-02"], [])
    assert _up(mapping, BY_LETTER, LETTERS, ["2024-03-02|a"]) == (["a"], [])
    expected = ["2024-03-02|a", "2024-03-02|b", "2024-03-02|c"]
    assert _up(mapping, DAYS, BY_LETTER, ["2024-03-02"]) == (expected, [])
    assert _down(mapping, DAYS, BY_LETTER, ["2024-03-02"]) == expected
    assert _down(mapping, BY_LETTER, DAYS, ["2024-03-02|a"]) == ["2024-03-02"]
    assert len(_up(mapping, BY_LETTER, HOURS, ["2024-03-02|a"])[0]) == 24
    with pytest.raises(errors.InvalidDefinitionError, match="name it"):
        mapping.validate_partition_mapping(BY_LETTER, NUMBERS)
    with pytest.raises(errors.InvalidDefinitionError, match="two dimensions on one side"):
        mapping.validate_partition_mapping(LETTERS, NUMBERS)


def test_dimensions_are_mapped_one_by_one():
    table = dg.StaticPartitionMapping({"a": "1", "b": "2", "c": "3"})
    mapping = dg.MultiPartitionMapping(
        {
            "letter": dg.DimensionPartitionMapping("number", table),
            "date": dg.DimensionPartitionMapping("date", dg.TimeWindowPartitionMapping(-1)),
        }
    )
    mapping.validate_partition_mapping(BY_LETTER, BY_NUMBER)
    assert _up(mapping, BY_NUMBER, BY_LETTER, ["2024-03-03|1"]) == (
        ["2024-03-02|a", "2024-03-03|a"], [],
    )  # fmt: skip
    assert _down(mapping, BY_LETTER, BY_NUMBER, ["2024-03-03|a"]) == [
        "2024-03-03|1", "2024-03-04|1",
    ]  # fmt: skip
    partial = dg.MultiPartitionMapping(
        {"date": dg.DimensionPartitionMapping("date", dg.IdentityPartitionMapping())}
    )
    assert _up(partial, BY_NUMBER, BY_LETTER, ["2024-03-03|1"])[0] == [
        "2024-03-03|a", "2024-03-03|b", "2024-03-03|c",
    ]  # fmt: skip
    with pytest.raises(errors.InvalidDefinitionError, match="no upstream dimension 'letter'"):
        mapping.validate_partition_mapping(BY_NUMBER, BY_NUMBER)


def test_pairs_with_a_part_that_is_missing_are_missing():
    upstream = dg.MultiPartitionsDefinition(
        {"date": LATER, "letter": dg.StaticPartitionsDefinition(["a", "b"])}
    )
    mapping = dg.MultiPartitionMapping(
        {
            "date": dg.DimensionPartitionMapping("date", dg.TimeWindowPartitionMapping()),
            "letter": dg.DimensionPartitionMapping("letter", dg.IdentityPartitionMapping()),
        }
    )
    keys = ["2024-03-04|a", "2024-03-05|a", "2024-03-05|c"]
    found, missing = _up(mapping, BY_LETTER, upstream, keys)
    assert found == ["2024-03-05|a"]
    assert sorted(missing) == ["2024-03-04|a", "2024-03-05|c"]


@pytest.mark.parametrize(
    ("downstream", "upstream", "expected"),
    [
        (DAYS, HOURS, dg.TimeWindowPartitionMapping),
        (DAYS, DAYS, dg.TimeWindowPartitionMapping),
        (LETTERS, LETTERS, dg.IdentityPartitionMapping),
        (LETTERS, dg.StaticPartitionsDefinition(["c", "d"]), dg.IdentityPartitionMapping),
        (LETTERS, NUMBERS, dg.AllPartitionMapping),
        (None, DAYS, dg.AllPartitionMapping),
        (DAYS, None, dg.AllPartitionMapping),
        (DAYS, LETTERS, dg.AllPartitionMapping),
        (BY_LETTER, DAYS, dg.MultiToSingleDimensionPartitionMapping),
        (LETTERS, BY_LETTER, dg.MultiToSingleDimensionPartitionMapping),
        (BY_LETTER, HOURS, dg.MultiToSingleDimensionPartitionMapping),
        (BY_LETTER, NUMBERS, dg.AllPartitionMapping),
        (BY_LETTER, BY_LETTER, dg.IdentityPartitionMapping),
        (BY_LETTER, BY_NUMBER, dg.AllPartitionMapping),
        (
            dg.DynamicPartitionsDefinition(name="x"),
            dg.DynamicPartitionsDefinition(name="y"),
            dg.IdentityPartitionMapping,
        ),
    ],
)
def test_the_mapping_that_goes_by_itself(downstream, upstream, expected):
    assert type(inference.infer_partition_mapping(None, downstream, upstream)) is expected
    written = dg.LastPartitionMapping()
    assert inference.infer_partition_mapping(written, downstream, upstream) is written


def test_mappings_that_need_partitions_downstream_say_so():
    for mapping in (dg.IdentityPartitionMapping(), dg.TimeWindowPartitionMapping()):
        with pytest.raises(errors.InvalidDefinitionError, match="has no partitions"):
            _up(mapping, None, DAYS, None)
    with pytest.raises(errors.InvalidDefinitionError, match="time window partitions"):
        dg.TimeWindowPartitionMapping().validate_partition_mapping(LETTERS, DAYS)
    with pytest.raises(errors.InvalidDefinitionError, match="after end_offset"):
        dg.TimeWindowPartitionMapping(1, 0)


ZONES = ["UTC", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"]
SCHEDULES = ["0 */6 * * *", "0 0 * * *", "30 2 * * *", "0 0 * * 1", "0 0 1,15 * *"]
definitions = st.builds(
    lambda schedule, zone, day, exclusions: dg.TimeWindowPartitionsDefinition(
        f"2024-03-{day:02}-00:00", "%Y-%m-%d-%H:%M", cron_schedule=schedule, timezone=zone,
        exclusions=exclusions,
    ),
    st.sampled_from(SCHEDULES), st.sampled_from(ZONES), st.integers(1, 9),
    st.sampled_from([None, ["0 0 * * 6,0"]]),
)  # fmt: skip
offsets = st.tuples(st.integers(-2, 2), st.integers(-2, 2)).map(sorted)


@settings(max_examples=100, deadline=None)
@given(definitions, definitions, offsets, st.data())
def test_mapping_by_time_is_what_it_says_partition_by_partition(down, up, offset, data):
    """The window of each key is compared with that of each other key."""
    downs, ups = (list(each.get_partition_keys(NOW)) for each in (down, up))
    chosen = data.draw(st.sets(st.sampled_from(downs), max_size=5)) if downs else set()
    mapping = dg.TimeWindowPartitionMapping(*offset)

    def needs(place, key):
        start, end = up.time_window_for_partition_key(key)
        for moved in range(place + offset[0], place + offset[1] + 1):
            low, high = down.windows.moments(moved)
            if start.timestamp() < high and low < end.timestamp():
                return True
        return False

    table = {
        key: {other for other in ups if needs(place, other)} for place, key in enumerate(downs)
    }
    found, _ = _up(mapping, down, up, chosen)
    assert set(found) == set().union(*(table[key] for key in chosen))
    some = data.draw(st.sets(st.sampled_from(ups), max_size=5)) if ups else set()
    assert set(_down(mapping, up, down, some)) == {key for key in downs if table[key] & some}
