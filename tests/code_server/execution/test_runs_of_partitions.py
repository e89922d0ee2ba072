"""Runs for partitions: what steps see, load and tell of them."""

import pytest

import atoll as dg

DAILY = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-10")
LETTERS = dg.StaticPartitionsDefinition(["a", "b", "c"])
BEFORE = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)


class Stored(dg.IOManager):
    """Keeps values by partition; several partitions are loaded as a dict."""

    def __init__(self):
        self.values = {}

    def handle_output(self, context, obj):
        partitions = context.asset_partition_keys if context.has_asset_partitions else [None]
        for key in partitions:
            self.values[context.asset_key.to_user_string(), key and str(key)] = obj

    def load_input(self, context):
        name = context.asset_key.to_user_string()
        if not context.has_asset_partitions:
            return self.values[name, None]
        found = {str(key): self.values[name, str(key)] for key in context.asset_partition_keys}
        return next(iter(found.values())) if len(found) == 1 else found


@pytest.fixture
def run():
    instance, manager = dg.Instance.ephemeral(), Stored()

    def run(*assets, **options):
        options = {"instance": instance, "resources": {"io_manager": manager}, **options}
        return dg.materialize(list(assets), **options)

    run.instance = instance
    return run


def _partitions(result):
    return [one.partition for one in result.get_asset_materialization_events()]


def test_a_step_sees_its_partition(run):
    @dg.asset(partitions_def=DAILY)
    def made(context):
        window = context.partition_time_window
        return (
            context.has_partition_key,
            context.partition_key,
            list(context.partition_keys),
            context.partition_key_range,
            (window.start.day, window.end.day),
        )

    result = run(made, partition_key="2024-01-02")
    only = "2024-01-02"
    expected = (True, only, [only], dg.PartitionKeyRange(only, only), (2, 3))
    assert (result.asset_value("made"), _partitions(result)) == (expected, [only])


def test_a_run_is_for_a_range_by_tags(run):
    @dg.asset(partitions_def=DAILY, backfill_policy=dg.BackfillPolicy.single_run())
    def made(context):
        context.add_asset_metadata({"own": 1}, partition_key="2024-01-03")
        return list(context.partition_keys), context.partition_time_window.end.day

    tags = {
        "atoll/asset_partition_range_start": "2024-01-02",
        "atoll/asset_partition_range_end": "2024-01-03",
    }
    result = run(made, tags=tags)
    assert result.asset_value("made") == (["2024-01-02", "2024-01-03"], 4)
    assert _partitions(result) == ["2024-01-02", "2024-01-03"]
    second, third = result.asset_materializations_for_node("made")
    assert (dict(second.metadata), dict(third.metadata)) == ({}, {"own": dg.IntMetadataValue(1)})


@pytest.mark.parametrize(
    ("partitions_def", "key", "message"),
    [
        (LETTERS, "zz", "no partition 'zz' of the static partitions 'a', 'b', 'c'"),
        (DAILY, "2023-12-31", "no partition '2023-12-31'"),
        (
            dg.DynamicPartitionsDefinition(name="customers"),
            "new",
            r"instance.add_dynamic_partitions\('customers', \['new'\]\)",
        ),
    ],
)
def test_a_partition_that_does_not_exist_is_told_before_anything_runs(
    run, partitions_def, key, message
):
    ran = []

    @dg.asset(partitions_def=partitions_def)
    def made():
        ran.append(1)

    with pytest.raises(dg.UnknownPartitionError, match=message):
        run(made, partition_key=key)
    assert ran == []


def test_a_run_for_no_partition_says_so_when_it_is_asked(run):
    @dg.asset(partitions_def=LETTERS)
    def made(context):
        return context.partition_key

    with pytest.raises(dg.InvariantViolationError, match="for no partition"):
        run(made)


def test_dynamic_partitions_are_those_of_the_instance(run):
    customers = dg.DynamicPartitionsDefinition(name="customers")
    run.instance.add_dynamic_partitions("customers", ["ann"])

    @dg.asset(partitions_def=customers)
    def made(context):
        return context.partition_key

    assert run(made, partition_key="ann").asset_value("made") == "ann"


@dg.asset(partitions_def=LETTERS)
def letter(context):
    return context.partition_key


@dg.asset(partitions_def=DAILY)
def day(context):
    return context.partition_key


def test_the_same_partition_of_an_upstream_asset_is_loaded(run):
    @dg.asset(partitions_def=LETTERS)
    def below(letter):
        return letter + "!"

    assert run(letter, below, partition_key="b").asset_value("below") == "b!"


def test_all_partitions_are_loaded_as_a_dict_where_there_are_none_below(run):
    @dg.asset
    def below(letter):
        return letter

    for key in "abc":
        run(letter, partition_key=key)
    result = run(letter, below, selection=[below])
    assert result.asset_value("below") == {"a": "a", "b": "b", "c": "c"}


def test_mappings_choose_upstream_partitions(run):
    mapped = dg.AssetIn(partition_mapping=dg.TimeWindowPartitionMapping(start_offset=-1))

    @dg.asset(partitions_def=DAILY, ins={"day": mapped})
    def below(context, day):
        return sorted(day), list(context.asset_partition_keys_for_input("day"))

    both = ["2024-01-01", "2024-01-02"]
    for key in both:
        run(day, partition_key=key)
    result = run(day, below, selection=[below], partition_key=both[1])
    assert result.asset_value("below") == (both, both)


def test_a_mapping_that_leads_nowhere_is_told(run):
    other = dg.StaticPartitionsDefinition(["q"])
    ins = {"letter": dg.AssetIn(partition_mapping=dg.IdentityPartitionMapping())}

    @dg.asset(partitions_def=other, ins=ins)
    def below(letter): ...

    with pytest.raises(dg.UnknownPartitionError, match=r"need the partitions .*q.* of 'letter'"):
        run(letter, below, selection=[below], partition_key="q")


def test_an_asset_depends_on_its_own_earlier_partitions(run):
    @dg.asset(partitions_def=DAILY, ins={"running": dg.AssetIn(partition_mapping=BEFORE)})
    def running(running):
        return (running or 0) + 1

    @dg.asset(partitions_def=DAILY, deps=[dg.AssetDep("counted", partition_mapping=BEFORE)])
    def counted(): ...

    found = [
        run(running, counted, partition_key=f"2024-01-0{day}").asset_value("running")
        for day in (1, 2, 3)
    ]
    assert found == [1, 2, 3]


def test_two_dimensions(run):
    both = dg.MultiPartitionsDefinition({"day": DAILY, "letter": LETTERS})

    @dg.asset(partitions_def=both)
    def made(context):
        key = context.partition_key
        return key.keys_by_dimension["letter"], context.partition_time_window.start.day

    @dg.asset(partitions_def=LETTERS)
    def below(context, made):
        return len(context.asset_partition_keys_for_input("made"))

    key = dg.MultiPartitionKey({"day": "2024-01-02", "letter": "a"})
    result = run(made, partition_key=key)
    assert (result.asset_value("made"), _partitions(result)) == (("a", 2), ["2024-01-02|a"])
    assert run(made, partition_key="2024-01-03|b").asset_value("made") == ("b", 3)
    for number in range(1, 10):
        run(made, partition_key=f"2024-01-0{number}|a")
    result = run(made, below, selection=[below], partition_key="a")
    assert result.asset_value("below") == 9


def test_a_partitioned_job_makes_its_config_of_the_partition():
    @dg.static_partitioned_config(["a", "b"])
    def by_letter(key):
        return {"ops": {"made": {"config": {"key": key}}}}

    @dg.op(config_schema={"key": str})
    def made(context):
        return context.op_config["key"], context.partition_key

    @dg.job(config=by_letter)
    def only():
        made()

    result = only.execute_in_process(partition_key="b")
    assert result.output_for_node("made") == ("b", "b")
    with pytest.raises(dg.UnknownPartitionError, match="'zz'"):
        only.execute_in_process(partition_key="zz")
