import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import atoll as dg
from atoll import errors
from atoll._partition_messages import definitions, mappings, subsets
from atoll.definitions.v1 import partitions_pb2
from tests.code_server.partitions import transitions

NOW = dt.datetime(2024, 12, 20, tzinfo=dt.UTC)
LETTERS = dg.StaticPartitionsDefinition(["b", "a", "c"])
DAYS = dg.DailyPartitionsDefinition("2024-12-01", timezone="Europe/Berlin", end_offset=1)
HOURS = dg.HourlyPartitionsDefinition(
    "2024-11-03-00:00", "2024-11-05-00:00", timezone="America/New_York", exclusions=["0 5 * * *"]
)
EXCLUDING = dg.DailyPartitionsDefinition(
    "2024-12-01", exclusions=[dt.datetime(2024, 12, 2, tzinfo=dt.UTC)]
)
CROSSED = dg.MultiPartitionsDefinition({"day": DAYS, "letter": LETTERS})


def _sent(message):
    return type(message).FromString(message.SerializeToString(deterministic=True))


@pytest.mark.parametrize("partitions_def", [LETTERS, DAYS, HOURS, EXCLUDING, CROSSED])
def test_both_sides_of_the_wire_come_to_the_same_keys(partitions_def):
    there = definitions.from_message(_sent(definitions.to_message(partitions_def)))
    assert there == partitions_def
    assert list(there.get_partition_keys(NOW)) == list(partitions_def.get_partition_keys(NOW))
    identifiers = {each.get_serializable_unique_identifier() for each in (there, partitions_def)}
    assert len(identifiers) == 1


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(transitions.all_zones()),
    st.sampled_from(["0 * * * *", "30 2 * * *", "0 0 * * 1", "*/15 0 1 * *"]),
    st.datetimes(dt.datetime.fromisoformat("1925-01-01"), dt.datetime.fromisoformat("2060-01-01")),
    st.integers(0, 500),
)
def test_windows_of_all_zones_are_the_same_on_both_sides(zone, schedule, start, index):
    here = dg.TimeWindowPartitionsDefinition(
        start, "%Y-%m-%d-%H:%M", cron_schedule=schedule, timezone=zone
    )
    there = definitions.from_message(_sent(definitions.to_message(here)))
    assert there == here
    assert there.key_at(index) == here.key_at(index)
    key = here.key_at(index)
    assert there.time_window_for_partition_key(key) == here.time_window_for_partition_key(key)


def test_dynamic_partitions_are_told_by_their_name():
    dynamic = dg.DynamicPartitionsDefinition(name="customers")
    assert definitions.from_message(_sent(definitions.to_message(dynamic))) == dynamic


def test_partitions_of_a_function_are_known_to_their_location_only():
    made = dg.DynamicPartitionsDefinition(lambda now: ["a"])
    there = definitions.from_message(_sent(definitions.to_message(made)))
    with pytest.raises(errors.InvalidInvocationError, match="only the location can"):
        there.get_partition_keys()


def test_a_kind_that_is_newer_is_told():
    with pytest.raises(errors.InvalidDefinitionError, match="runs a newer one"):
        definitions.from_message(partitions_pb2.PartitionsDefinition())
    with pytest.raises(errors.InvalidInvocationError, match="runs a newer one"):
        mappings.from_message(partitions_pb2.PartitionMapping())


@pytest.mark.parametrize(
    "mapping",
    [
        dg.IdentityPartitionMapping(),
        dg.AllPartitionMapping(),
        dg.LastPartitionMapping(),
        dg.SpecificPartitionsPartitionMapping(["a", "b"]),
        dg.TimeWindowPartitionMapping(-2, 1, allow_nonexistent_upstream_partitions=True),
        dg.StaticPartitionMapping({"a": ["1"], "b": ["1", "2"]}),
        dg.MultiToSingleDimensionPartitionMapping(),
        dg.MultiToSingleDimensionPartitionMapping("day"),
        dg.MultiPartitionMapping(
            {"day": dg.DimensionPartitionMapping("date", dg.TimeWindowPartitionMapping(-1))}
        ),
    ],
)
def test_mappings_are_the_same_on_both_sides(mapping):
    assert mappings.from_message(_sent(mappings.to_message(mapping))) == mapping


class Own(dg.AllPartitionMapping):
    """A mapping that a user wrote."""

    @property
    def description(self):
        return "Mine."


def test_a_mapping_of_ones_own_is_told_and_not_guessed():
    message = mappings.to_message(Own())
    assert message.custom.description == "Mine."
    with pytest.raises(errors.InvalidInvocationError, match=r"Mine\."):
        mappings.from_message(message)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_sets_are_the_same_on_both_sides(data):
    partitions_def = data.draw(st.sampled_from([LETTERS, DAYS, HOURS, EXCLUDING, CROSSED]))
    keys = list(partitions_def.get_partition_keys(NOW))
    subset = partitions_def.subset_with_partition_keys(data.draw(st.sets(st.sampled_from(keys))))
    there = definitions.from_message(_sent(definitions.to_message(partitions_def)))
    found = subsets.from_message(_sent(subsets.to_message(subset)), there)
    assert found == subset
    assert list(found) == list(subset)


def test_what_is_missing_upstream_can_be_sent_too():
    result = dg.IdentityPartitionMapping().get_upstream_mapped_partitions_result_for_partitions(
        LETTERS.subset_with_partition_keys(["c"]), LETTERS, dg.StaticPartitionsDefinition(["a"])
    )
    missing = result.required_but_nonexistent_subset
    upstream = dg.StaticPartitionsDefinition(["a"])
    assert list(subsets.from_message(subsets.to_message(missing), upstream)) == ["c"]


def test_a_set_of_another_kind_of_definition_is_refused():
    message = subsets.to_message(LETTERS.subset_with_partition_keys(["a"]))
    with pytest.raises(errors.InvalidInvocationError, match="Make it again"):
        subsets.from_message(message, DAYS)


def test_ranges_and_policies_are_the_same_on_both_sides():
    key_range = dg.PartitionKeyRange("a", "b")
    assert definitions.range_from_message(definitions.range_to_message(key_range)) == key_range
    for policy in (dg.BackfillPolicy.single_run(), dg.BackfillPolicy.multi_run(7)):
        message = _sent(definitions.policy_to_message(policy))
        assert definitions.policy_from_message(message) == policy
