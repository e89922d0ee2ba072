import datetime as dt
import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

import atoll as dg
from tests.code_server.partitions import transitions

# Any of these is a whole number of them a day, or follows dates that differ from month to month.
SCHEDULES = [
    "0 * * * *", "30 * * * *", "*/15 * * * *", "0 */6 * * *", "0 0 * * *", "30 2 * * *",
    "15 1,2,3 * * *", "0 0 * * 1", "59 23 * * 1-5", "0 0 1 * *", "30 1 31 * *", "0 3 1,15 * 6",
]  # fmt: skip
zones = st.sampled_from(transitions.all_zones())
moments = st.datetimes(
    dt.datetime.fromisoformat("1925-01-01"), dt.datetime.fromisoformat("2060-01-01")
)
FAR = dt.datetime(2200, 1, 1, tzinfo=dt.UTC)
EXCLUSIONS = [None, ["0 0 * * 0"], ["0 0 2 * *", "0 * 13 * *"]]


def _windows(schedule, zone, start, exclusions=None):
    return dg.TimeWindowPartitionsDefinition(
        start, "%Y-%m-%d-%H:%M", cron_schedule=schedule, timezone=zone, exclusions=exclusions
    )


definitions = st.builds(
    _windows, st.sampled_from(SCHEDULES), zones, moments, st.sampled_from(EXCLUSIONS)
)


@settings(max_examples=40, deadline=None)
@given(definitions, st.integers(0, 800))
def test_windows_tile_the_time_and_keys_lead_back(partitions_def, index):
    windows = partitions_def.windows
    numbers = range(index, index + 8)
    keys = [windows.key(number) for number in numbers]
    assert [windows.index(key) for key in keys] == list(numbers)
    spans = [windows.moments(number) for number in numbers]
    assert all(start < end for start, end in spans)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    if partitions_def.exclusions is None:
        assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))
    for number, key in zip(numbers, keys, strict=True):
        start, end = partitions_def.time_window_for_partition_key(key)
        assert (start.timestamp(), end.timestamp()) == spans[number - index]
        assert (
            partitions_def.get_partition_key_for_timestamp(end.timestamp(), end_closed=True) == key
        )


@settings(max_examples=50, deadline=None)
@given(definitions, st.integers(0, 60 * 86_400))
def test_counting_is_listing(partitions_def, seconds):
    now = partitions_def.start + dt.timedelta(seconds=seconds)
    count = partitions_def.get_num_partitions(now)
    windows = partitions_def.windows
    looked_at = range(max(0, count - 50), count + 3)
    ended = [n for n in looked_at if windows.moments(n)[1] <= now.timestamp()]
    assert ended == list(range(looked_at.start, count))
    assert windows.moments(0)[0] >= partitions_def.start.timestamp()


@settings(max_examples=50, deadline=None)
@given(definitions, st.integers(0, 400), st.integers(0, 400), st.data())
def test_a_set_survives_being_written(partitions_def, low, high, data):
    keys = [partitions_def.key_at(number) for number in sorted({low, high})]
    subset = partitions_def.empty_subset().with_partition_key_range(
        dg.PartitionKeyRange(keys[0], keys[-1])
    )
    assert len(subset) == abs(high - low) + 1
    hole = data.draw(st.sampled_from(sorted({low, high, (low + high) // 2})))
    subset -= partitions_def.subset_with_partition_keys([partitions_def.key_at(hole)])
    assert partitions_def.deserialize_subset(subset.serialize()) == subset
    assert len(subset.get_partition_key_ranges()) <= 2


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(SCHEDULES), zones, moments, st.integers(0, 400))
def test_a_later_start_changes_no_key(schedule, zone, start, index):
    early = _windows(schedule, zone, start)
    key = early.key_at(index)
    window = early.time_window_for_partition_key(key)
    late = _windows(schedule, zone, window.start.replace(tzinfo=None))
    if window.start.fold == 0:
        assert late.key_at(0) == key
    assert late.time_window_for_partition_key(key) == window
    moved = dg.IdentityPartitionMapping().get_upstream_mapped_partitions_result_for_partitions(
        late.subset_with_partition_keys([late.key_at(3)]), late, early, FAR
    )
    assert list(moved.partitions_subset) == [late.key_at(3)]
