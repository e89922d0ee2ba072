"""What runs of a job follows from what its ops gave: branches, fan-in, one step for each value."""

import pytest

import atoll as dg


@dg.op(out={"yes": dg.Out(is_required=False), "no": dg.Out(is_required=False)})
def branch():
    yield dg.Output(1, "yes")


@dg.op(out=dg.DynamicOut())
def pieces():
    for number in range(3):
        yield dg.DynamicOutput(number, f"k{number}")


@dg.op
def one():
    return 1


@dg.op
def add_one(x):
    return x + 1


@dg.op
def add(a, b):
    return a + b


@dg.op
def total(xs: list[int]):
    return sum(xs)


def _skipped(result):
    return sorted(one.step_key for one in result.get_step_skipped_events())


def _total(job):
    return job.execute_in_process().output_for_node("total")


def test_what_follows_an_output_that_was_not_given_is_left_out():
    @dg.job
    def made():
        yes, no = branch()
        add_one.alias("taken")(yes)
        add_one.alias("below")(add_one.alias("not_taken")(no))

    result = made.execute_in_process()
    assert (result.success, _skipped(result)) == (True, ["below", "not_taken"])
    assert result.output_for_node("taken") == 2


def test_a_fan_in_leaves_out_what_was_skipped():
    @dg.job
    def made():
        yes, no = branch()
        total([add_one.alias("taken")(yes), add_one.alias("not_taken")(no), one()])

    assert _total(made) == 3


def test_a_fan_in_of_which_nothing_is_left_is_left_out():
    @dg.job
    def made():
        _, no = branch()
        total([add_one(no), no])

    result = made.execute_in_process()
    assert (result.success, _skipped(result)) == (True, ["add_one", "total"])


def test_a_fan_in_with_a_failed_member_does_not_run():
    @dg.op
    def broken():
        raise ValueError

    @dg.job
    def made():
        total([one(), broken()])

    result = made.execute_in_process(raise_on_error=False)
    assert (result.success, result.is_node_success("total")) == (False, False)


def test_steps_are_mapped_over_a_dynamic_output_and_collected():
    @dg.job
    def made():
        total(pieces().map(add_one).collect())

    result = made.execute_in_process()
    assert result.output_for_node("total") == 6
    assert result.output_for_node("add_one") == {"k0": 1, "k1": 2, "k2": 3}
    assert result.output_for_node("add_one[k1]") == 2
    assert len(result.events_for_node("add_one")) == 9


def test_maps_are_chained():
    @dg.job
    def made():
        total(
            pieces()
            .map(lambda x: add_one(add_one.alias("first")(x)))
            .map(add_one.alias("more"))
            .collect()
        )

    assert _total(made) == 12


def test_mapped_steps_take_other_values_too_and_know_their_key():
    keys = []

    @dg.op
    def keyed(context, x):
        keys.append(context.get_mapping_key())
        return x

    @dg.job
    def made():
        single = one()
        total(pieces().map(lambda x: add(keyed(x), single)).collect())

    assert _total(made) == 6
    assert sorted(keys) == ["k0", "k1", "k2"]


def test_a_mapped_op_has_several_outputs():
    @dg.op(out={"a": dg.Out(), "b": dg.Out()})
    def split(x):
        return x, x * 10

    @dg.job
    def made():
        a, b = pieces().map(split)
        total(a.collect())
        total.alias("other")(b.collect())

    result = made.execute_in_process()
    assert (result.output_for_node("total"), result.output_for_node("other")) == (3, 30)


def test_a_graph_is_mapped_and_gives_dynamic_outputs():
    @dg.graph
    def add_two(x):
        return add_one(add_one(x))

    @dg.graph
    def source():
        return pieces()

    @dg.job
    def made():
        total(source().map(add_two).collect())

    result = made.execute_in_process()
    assert result.output_for_node("total") == 9
    assert result.output_for_node("add_two.add_one[k0]") == 1


def test_an_empty_dynamic_output_is_collected_as_an_empty_list():
    @dg.op(out=dg.DynamicOut())
    def nothing():
        yield from ()

    @dg.job
    def made():
        total(nothing().map(add_one).collect())

    assert _total(made) == 0


def test_copies_that_give_nothing_are_missing_from_what_is_collected():
    @dg.op(out=dg.Out(is_required=False))
    def even(x):
        if x % 2 == 0:
            yield dg.Output(x)

    @dg.job
    def made():
        total(pieces().map(even).collect())

    assert _total(made) == 2


def test_one_copy_fails_and_the_others_run():
    @dg.op
    def fragile(x):
        if x == 1:
            raise ValueError("one")
        return x

    @dg.job
    def made():
        total(pieces().map(fragile).collect())

    result = made.execute_in_process(raise_on_error=False)
    assert result.get_failed_step_keys() == {"fragile[k1]"}
    assert result.is_node_success("fragile[k2]")
    assert not result.is_node_success("total")


def test_explicit_graphs_collect():
    made = dg.GraphDefinition(
        "made",
        node_defs=[pieces, add_one, total],
        dependencies={
            "add_one": {"x": dg.DependencyDefinition("pieces")},
            "total": {"xs": dg.DynamicCollectDependencyDefinition("add_one")},
        },
    )
    assert made.execute_in_process().output_for_node("total") == 6


@pytest.mark.parametrize("nested", ["map", "direct"])
def test_maps_within_maps_and_unmapped_uses_are_refused(nested):
    @dg.op(out=dg.DynamicOut())
    def inner(x):
        yield dg.DynamicOutput(x, "a")

    message = "Collect pieces first" if nested == "map" else r"Call \.map"
    with pytest.raises(dg.InvalidDefinitionError, match=message):

        @dg.job
        def made():
            if nested == "map":
                pieces().map(inner)
            else:
                add_one(pieces())
