import pytest

import atoll as dg
from atoll import errors


class Store:
    """Keeps the keys of dynamic partitions, as an instance does."""

    def __init__(self, **keys):
        self.keys = keys

    def get_dynamic_partitions(self, partitions_def_name):
        return self.keys.get(partitions_def_name, [])

    def has_dynamic_partition(self, partitions_def_name, partition_key):
        return partition_key in self.get_dynamic_partitions(partitions_def_name)


def test_static_partitions_are_in_the_order_they_are_written():
    static = dg.StaticPartitionsDefinition(["b", "a", "c"])
    assert list(static.get_partition_keys()) == ["b", "a", "c"]
    assert (static.get_first_partition_key(), static.get_last_partition_key()) == ("b", "c")
    key_range = dg.PartitionKeyRange("b", "a")
    assert list(static.get_partition_keys_in_range(key_range)) == ["b", "a"]
    assert list(static.get_partition_keys_in_range(dg.PartitionKeyRange("a", "b"))) == []
    assert static.filter_valid_partition_keys(["a", "z"]) == {"a"}
    assert static == dg.StaticPartitionsDefinition(("b", "a", "c"))
    assert static != dg.StaticPartitionsDefinition(["a", "b", "c"])
    assert static.get_tags_for_partition_key("a") == {"atoll/partition": "a"}


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (["a", "b", "a"], "more than once: 'a'"),
        (["a...b"], "three dots"),
        (["a\nb"], "control characters"),
        ([1], "1 is a int"),
        ([""], "is empty"),
        ("abc", r"Write \['abc'\]"),
    ],
)
def test_keys_that_cannot_be_are_refused(keys, told):
    with pytest.raises(errors.InvalidDefinitionError, match=told):
        dg.StaticPartitionsDefinition(keys)


def test_a_key_that_is_nearly_right_is_told_which_is():
    static = dg.StaticPartitionsDefinition(["germany", "france"])
    with pytest.raises(errors.UnknownPartitionError, match="Did you mean 'germany'"):
        static.validate_partition_key("germny")


def test_dynamic_partitions_are_those_of_the_store():
    dynamic = dg.DynamicPartitionsDefinition(name="customers")
    store = Store(customers=["b", "a"])
    assert list(dynamic.get_partition_keys(dynamic_partitions_store=store)) == ["b", "a"]
    assert dynamic.has_partition_key("a", dynamic_partitions_store=store)
    assert not dynamic.has_partition_key("z", dynamic_partitions_store=store)
    with dg.partition_loading_context(dynamic_partitions_store=store):
        assert dynamic.get_num_partitions() == 2
        with pytest.raises(errors.UnknownPartitionError, match=r"add_dynamic_partitions\('cust"):
            dynamic.validate_partition_key("z")


def test_dynamic_partitions_without_a_store_say_what_to_give():
    with pytest.raises(errors.InvalidInvocationError, match="dynamic_partitions_store=instance"):
        dg.DynamicPartitionsDefinition(name="x").get_partition_keys()


def test_a_function_may_name_partitions():
    dynamic = dg.DynamicPartitionsDefinition(lambda now: ["a", dg.Partition("v", name="b")])
    assert list(dynamic.get_partition_keys()) == ["a", "b"]
    with pytest.raises(errors.InvalidInvocationError, match="come from a function"):
        dynamic.build_add_request(["x"])


@pytest.mark.parametrize("given", [{}, {"name": "x", "partition_fn": list}, {"name": ""}])
def test_dynamic_partitions_have_a_name_or_a_function(given):
    with pytest.raises(errors.InvalidDefinitionError):
        dg.DynamicPartitionsDefinition(**given)


def test_wishes_to_add_and_delete_carry_the_name():
    dynamic = dg.DynamicPartitionsDefinition(name="x")
    assert dynamic.build_add_request(["a"]) == dg.AddDynamicPartitionsRequest("x", ["a"])
    assert dynamic.build_delete_request(["a"]) == dg.DeleteDynamicPartitionsRequest("x", ["a"])


def test_ranges_of_dynamic_partitions_follow_the_order_of_the_store():
    dynamic = dg.DynamicPartitionsDefinition(name="x")
    store = Store(x=["c", "a", "b", "d"])
    subset = dynamic.subset_with_partition_keys(["b", "d", "c"])
    assert subset.get_partition_key_ranges(store) == [("c", "c"), ("b", "d")]
    assert len(subset.get_partition_key_ranges()) == 3
    wider = subset.with_partition_key_range(dg.PartitionKeyRange("c", "a"), store)
    assert set(wider) == {"a", "b", "c", "d"}


def test_pages_go_on_where_they_were_when_a_partition_is_deleted():
    dynamic = dg.DynamicPartitionsDefinition(name="x")
    store = Store(x=["a", "b", "c", "d"])
    with dg.partition_loading_context(dynamic_partitions_store=store):
        first = dynamic.get_paginated_partition_keys(None, 2, ascending=True)
        store.keys["x"] = ["a", "c", "d"]
        second = dynamic.get_paginated_partition_keys(None, 2, True, first.cursor)
    assert (list(first.results), list(second.results)) == (["a", "b"], ["c", "d"])


def test_a_backfill_policy_puts_all_partitions_in_one_run_or_some_in_each():
    assert dg.BackfillPolicy.single_run() == dg.BackfillPolicy(None)
    assert dg.BackfillPolicy() == dg.BackfillPolicy.multi_run(1)
    assert dg.BackfillPolicy.single_run().policy_type.value == "SINGLE_RUN"
    with pytest.raises(errors.InvalidDefinitionError, match="single_run"):
        dg.BackfillPolicy(0)
