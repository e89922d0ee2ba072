import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import atoll as dg
from atoll import errors
from atoll._partitions import index_ranges

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-07")
LETTERS = dg.StaticPartitionsDefinition(["c", "a", "b", "e", "d"])
NAMES = dg.DynamicPartitionsDefinition(name="names")
DEFINITIONS = {
    "days": (DAYS, list(DAYS.get_partition_keys())),
    "letters": (LETTERS, list(LETTERS.get_partition_keys())),
    "names": (NAMES, ["x", "y", "z"]),
}


def _crossed(one, other):
    partitions_def = dg.MultiPartitionsDefinition({"a": one[0], "b": other[0]})
    keys = [f"{first}|{second}" for first in one[1] for second in other[1]]
    return partitions_def, keys


DEFINITIONS["days by letters"] = _crossed(DEFINITIONS["days"], DEFINITIONS["letters"])
DEFINITIONS["letters by letters"] = _crossed(DEFINITIONS["letters"], DEFINITIONS["letters"])
DEFINITIONS["names by days"] = _crossed(DEFINITIONS["names"], DEFINITIONS["days"])


@st.composite
def _pairs(draw):
    partitions_def, keys = DEFINITIONS[draw(st.sampled_from(sorted(DEFINITIONS)))]
    some = st.sets(st.sampled_from(keys), max_size=len(keys))
    return partitions_def, keys, draw(some), draw(some)


@settings(max_examples=200, deadline=None)
@given(_pairs())
def test_sets_of_partitions_are_sets(drawn):
    partitions_def, keys, left, right = drawn
    one = partitions_def.subset_with_partition_keys(left)
    other = partitions_def.subset_with_partition_keys(right)
    for found, expected in (
        (one, left),
        (one | other, left | right),
        (one & other, left & right),
        (one - other, left - right),
        (one.empty_subset(), set()),
        (one.with_partition_keys(right), left | right),
    ):
        assert sorted(found) == sorted(expected)
        assert len(found) == len(expected)
        assert found.is_empty == (not expected) == (not found)
        assert {key for key in keys if key in found} == expected
        same = partitions_def.subset_with_partition_keys(expected)
        assert found == same
        assert hash(found) == hash(same)
        assert partitions_def.deserialize_subset(found.serialize()) == found
    assert (one == other) == (left == right)


@settings(max_examples=100, deadline=None)
@given(_pairs())
def test_ranges_hold_the_partitions_and_no_others(drawn):
    partitions_def, _, left, _ = drawn
    subset = partitions_def.subset_with_partition_keys(left)
    ranges = subset.get_partition_key_ranges()
    if partitions_def in (DAYS, LETTERS) or not any("x" in key for key in left):
        again = subset.empty_subset()
        for key_range in ranges:
            if key_range.start == key_range.end:
                again = again.with_partition_keys([key_range.start])
            elif "names" not in repr(partitions_def):
                again = again.with_partition_key_range(key_range)
            else:
                return
        assert again == subset


numbers = st.sets(st.integers(-8, 30))


@given(numbers, numbers, st.integers(-3, 3), st.integers(-3, 3))
def test_ranges_of_numbers_are_sets_of_numbers(left, right, start, end):
    one, other = (index_ranges.IndexRanges.of_indexes(found) for found in (left, right))
    assert set(one | other) == left | right
    assert set(one & other) == left & right
    assert set(one - other) == left - right
    assert (one | other).count == len(left | right)
    assert {number for number in range(-9, 32) if number in one} == left
    touched = [place for _, place in one.ranges[:-1]]
    assert all(end < following[0] for end, following in zip(touched, one.ranges[1:], strict=True))
    if start <= end:
        shifted = {n + by for n in left for by in range(start, end + 1)}
        assert set(one.shifted(start, end)) == shifted


def test_sets_of_different_definitions_are_not_put_together():
    other = dg.DailyPartitionsDefinition("2024-01-02", end_date="2024-01-07")
    with pytest.raises(errors.InvalidInvocationError, match="different definitions"):
        _ = DAYS.subset_with_all_partitions() | other.subset_with_all_partitions()


def test_a_set_that_was_written_tells_when_keys_have_come_between():
    written = LETTERS.subset_with_partition_keys(["a", "b"]).serialize()
    changed = dg.StaticPartitionsDefinition(["a", "new", "b"])
    with pytest.raises(errors.InvalidInvocationError, match="its keys were changed"):
        changed.deserialize_subset(written)
    assert not changed.can_deserialize_subset(written)
    assert LETTERS.can_deserialize_subset(written)
    gone = dg.StaticPartitionsDefinition(["b"])
    with pytest.raises(errors.UnknownPartitionError):
        gone.deserialize_subset(written)
    with pytest.raises(errors.InvalidInvocationError, match="Make the set again"):
        DAYS.deserialize_subset(written)


def test_a_million_partitions_are_one_range():
    hourly = dg.HourlyPartitionsDefinition("1912-01-01-00:00", "2026-02-01-00:00")
    everything = hourly.subset_with_all_partitions()
    assert len(everything) == 1_000_080
    assert everything.ranges.ranges == ((0, 1_000_080),)
    hole = hourly.subset_with_partition_keys(["1999-12-31-23:00"])
    rest = everything - hole
    assert len(rest) == 1_000_079
    assert len(rest.get_partition_key_ranges()) == 2
    assert "1999-12-31-23:00" not in rest
    assert len(rest.serialize()) < 100
    daily = dg.DailyPartitionsDefinition("1912-01-01", "2026-02-01")
    mapping = dg.TimeWindowPartitionMapping()
    found = mapping.get_downstream_partitions_for_partitions(rest, hourly, daily)
    assert len(found) == 1_000_080 // 24
    crossed = dg.MultiPartitionsDefinition({"hour": hourly, "letter": LETTERS})
    assert len(crossed.subset_with_all_partitions()) == 5_000_400
    page = crossed.get_paginated_partition_keys(None, 3, True, "4000000:")
    assert page.has_more
    assert len(page.results) == 3
