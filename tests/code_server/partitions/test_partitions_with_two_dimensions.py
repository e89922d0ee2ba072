import datetime as dt
import pickle

import pytest

import atoll as dg
from atoll import errors

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-04")
COLORS = dg.StaticPartitionsDefinition(["red", "blue"])
SHOES = dg.MultiPartitionsDefinition({"day": DAYS, "color": COLORS})


def test_keys_join_dimensions_by_name_and_are_ordered_by_time_first():
    assert list(SHOES.get_partition_keys()) == [
        "red|2024-01-01", "blue|2024-01-01", "red|2024-01-02", "blue|2024-01-02",
        "red|2024-01-03", "blue|2024-01-03",
    ]  # fmt: skip
    assert SHOES.partition_dimension_names == ["color", "day"]
    assert SHOES.primary_dimension.name == SHOES.time_window_dimension.name == "day"
    assert SHOES.get_num_partitions() == 6


def test_a_key_knows_its_parts():
    key = dg.MultiPartitionKey({"day": "2024-01-01", "color": "red"})
    assert key == "red|2024-01-01"
    assert key.keys_by_dimension == {"color": "red", "day": "2024-01-01"}
    assert SHOES.has_partition_key(key)
    assert pickle.loads(pickle.dumps(key)).keys_by_dimension == key.keys_by_dimension  # noqa: S301
    again = SHOES.get_partition_key_from_str("red|2024-01-01")
    assert again.keys_by_dimension == key.keys_by_dimension
    assert SHOES.time_window_for_partition_key(key).start == dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def test_tags_tell_the_key_and_each_dimension():
    assert SHOES.get_tags_for_partition_key("red|2024-01-01") == {
        "atoll/partition": "red|2024-01-01",
        "atoll/partition/color": "red",
        "atoll/partition/day": "2024-01-01",
    }


def test_a_range_is_a_range_in_both_dimensions():
    keys = SHOES.get_partition_keys_in_range(
        dg.PartitionKeyRange("blue|2024-01-01", "blue|2024-01-03")
    )
    assert list(keys) == ["blue|2024-01-01", "blue|2024-01-02", "blue|2024-01-03"]


def test_a_dimension_selects_partitions():
    keys = SHOES.get_multipartition_keys_with_dimension_value("color", "blue")
    assert list(keys) == ["blue|2024-01-01", "blue|2024-01-02", "blue|2024-01-03"]
    with pytest.raises(errors.InvalidInvocationError, match="'color', 'day'"):
        SHOES.get_multipartition_keys_with_dimension_value("colour", "blue")


@pytest.mark.parametrize("key", ["red", "red|2024-01-09", "green|2024-01-01", "a|b|c"])
def test_a_key_that_does_not_exist_is_told(key):
    assert not SHOES.has_partition_key(key)
    with pytest.raises(errors.UnknownPartitionError, match="It has 6"):
        SHOES.validate_partition_key(key)


@pytest.mark.parametrize(
    ("dimensions", "told"),
    [
        ({"a": COLORS}, "1 were given"),
        ({"a": COLORS, "b": COLORS, "c": COLORS}, "3 were given"),
        ({"a": COLORS, "b": dg.StaticPartitionsDefinition(["x|y"])}, r"'x\|y'"),
        ({"a": COLORS, "b": SHOES}, "dimensions of its own"),
    ],
)
def test_what_cannot_be_dimensions_is_refused(dimensions, told):
    with pytest.raises(errors.InvalidDefinitionError, match=told):
        dg.MultiPartitionsDefinition(dimensions)


def test_any_page_is_a_slice_of_all_keys():
    everything = list(SHOES.get_partition_keys())
    cursor = None
    for start in range(0, 6, 4):
        page = SHOES.get_paginated_partition_keys(None, 4, True, cursor)
        assert list(page.results) == everything[start : start + 4]
        cursor = page.cursor
    last = SHOES.get_paginated_partition_keys(None, 5, ascending=False)
    assert list(last.results) == everything[:0:-1]


def test_the_same_set_is_the_same_parts_however_it_is_made():
    one = SHOES.subset_with_partition_keys(SHOES.get_partition_keys())
    assert one == SHOES.subset_with_all_partitions()
    assert len(one.parts) == 1
    assert hash(one) == hash(SHOES.subset_with_all_partitions())
