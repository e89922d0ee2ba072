import pathlib
from typing import Any

import pandas as pd
import pytest

import atoll as dg

DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-04")
LETTERS = dg.StaticPartitionsDefinition(["a", "b", "c"])
RANGE_TAGS = {
    "atoll/asset_partition_range_start": "2026-01-01",
    "atoll/asset_partition_range_end": "2026-01-02",
}


@dg.asset(partitions_def=DAYS)
def days(context):
    return context.partition_key


@dg.asset
def whole(days):
    return days


@pytest.fixture
def instance():
    return dg.Instance.ephemeral()


@pytest.fixture
def resources(tmp_path):
    return {"io_manager": dg.FilesystemIOManager(tmp_path)}


def _make(resources, instance, *keys, asset=days):
    for key in keys:
        dg.materialize([asset], resources=resources, instance=instance, partition_key=key)


def _names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.value.json"))


def test_each_partition_lies_by_itself(resources, instance, tmp_path):
    _make(resources, instance, "2026-01-01", "2026-01-02")
    assert _names(tmp_path) == ["days/2026-01-01.value.json", "days/2026-01-02.value.json"]


def test_several_partitions_are_loaded_as_a_dict_in_order(resources, instance):
    _make(resources, instance, "2026-01-03", "2026-01-01", "2026-01-02")
    result = dg.materialize(
        [days, whole], selection=[whole], resources=resources, instance=instance
    )
    loaded = result.asset_value("whole")
    assert list(loaded.items()) == [(key, key) for key in DAYS.get_partition_keys()]


def test_the_same_partition_is_loaded_as_its_value(resources, instance):
    @dg.asset(partitions_def=DAYS)
    def copied(days):
        return days

    result = dg.materialize(
        [days, copied], resources=resources, instance=instance, partition_key="2026-01-02"
    )
    assert result.asset_value("copied") == "2026-01-02"


def test_a_missing_partition_is_named(resources, instance):
    _make(resources, instance, "2026-01-01", "2026-01-03")
    with pytest.raises(dg.ValueNotFoundError, match=r"'days, partition 2026-01-02'.*allow_missing"):
        dg.materialize([days, whole], selection=[whole], resources=resources, instance=instance)


def test_missing_partitions_are_left_out_where_the_input_allows_it(resources, instance):
    @dg.asset(ins={"days": dg.AssetIn(metadata={"allow_missing_partitions": True})})
    def some(days: dict[str, str]):
        return days

    _make(resources, instance, "2026-01-03")
    result = dg.materialize([days, some], selection=[some], resources=resources, instance=instance)
    assert result.asset_value("some") == {"2026-01-03": "2026-01-03"}
    assert any("2026-01-01" in one.message for one in result.all_log_messages)


def test_the_only_partition_may_be_missing_too(resources, instance):
    @dg.asset(
        partitions_def=DAYS, ins={"days": dg.AssetIn(metadata={"allow_missing_partitions": True})}
    )
    def copied(days):
        return days is None

    result = dg.materialize(
        [days, copied],
        selection=[copied],
        resources=resources,
        instance=instance,
        partition_key="2026-01-02",
    )
    assert result.asset_value("copied") is True


def test_the_values_of_the_annotated_dict_say_as_what_each_is_loaded(resources, instance):
    pa = pytest.importorskip("pyarrow")

    @dg.asset(partitions_def=DAYS)
    def frames():
        return pd.DataFrame({"n": [1]})

    def together(frames):
        return sorted({type(one) for one in frames.values()}, key=str)

    together.__annotations__["frames"] = dict[str, pa.Table]
    _make(resources, instance, *DAYS.get_partition_keys(), asset=frames)
    one = dg.asset(together)
    result = dg.materialize([frames, one], selection=[one], resources=resources, instance=instance)
    assert result.asset_value("together") == [pa.Table]


@pytest.mark.parametrize("annotation", [str, list[int], pd.DataFrame], ids=str)
def test_an_annotation_that_no_dict_fits_is_told_before_anything_is_read(
    resources, instance, annotation
):
    def wrong(days):
        return days

    wrong.__annotations__["days"] = annotation
    one = dg.asset(wrong)
    with pytest.raises(dg.InvariantViolationError, match=r"'days'.*3 partitions.*dict\[str"):
        dg.materialize([days, one], selection=[one], resources=resources, instance=instance)


@pytest.mark.parametrize("annotation", [Any, dict, dict[str, str], dict[str, Any] | None], ids=str)
def test_any_annotation_of_a_dict_takes_several(resources, instance, annotation):
    def fine(days):
        return len(days)

    fine.__annotations__["days"] = annotation
    one = dg.asset(fine)
    _make(resources, instance, *DAYS.get_partition_keys())
    result = dg.materialize([days, one], selection=[one], resources=resources, instance=instance)
    assert result.asset_value("fine") == 3


def test_a_run_for_a_range_stores_a_dict_of_values_one_by_one(resources, instance, tmp_path):
    @dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
    def ranged(context):
        return {key: key[-2:] for key in context.partition_keys}

    result = dg.materialize([ranged], resources=resources, instance=instance, tags=RANGE_TAGS)
    assert _names(tmp_path) == ["ranged/2026-01-01.value.json", "ranged/2026-01-02.value.json"]
    first, second = result.asset_materializations_for_node("ranged")
    assert (first.partition, second.partition) == ("2026-01-01", "2026-01-02")
    assert pathlib.Path(first.metadata["path"].value) == tmp_path / "ranged"
    defs = dg.Definitions(assets=[ranged], resources=resources)
    assert defs.load_asset_value("ranged", partition_key="2026-01-02") == "02"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1, "got one int for all of them"),
        ({"2026-01-01": 1}, "no value for '2026-01-02'"),
        ({"2026-01-01": 1, "2026-01-02": 2, "2026-01-03": 3}, "values for '2026-01-03' as well"),
    ],
    ids=["one value", "too few", "too many"],
)
def test_a_run_for_a_range_has_to_say_which_value_is_whose(resources, instance, value, words):
    @dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
    def ranged():
        return value

    with pytest.raises(dg.InvariantViolationError, match=words):
        dg.materialize([ranged], resources=resources, instance=instance, tags=RANGE_TAGS)


def test_each_dimension_of_a_partition_has_a_folder(resources, instance, tmp_path):
    both = dg.MultiPartitionsDefinition({"day": DAYS, "a_letter": LETTERS})

    @dg.asset(partitions_def=both, key_prefix="p")
    def crossed(context):
        return str(context.partition_key)

    key = dg.MultiPartitionKey({"day": "2026-01-02", "a_letter": "b"})
    _make(resources, instance, key, asset=crossed)
    assert _names(tmp_path) == ["p/crossed/b/2026-01-02.value.json"]
    defs = dg.Definitions(assets=[crossed], resources=resources)
    assert defs.load_asset_value(["p", "crossed"], partition_key="b|2026-01-02") == str(key)


def test_names_of_partitions_never_leave_the_folder(resources, instance, tmp_path):
    odd = dg.StaticPartitionsDefinition(["..", "a/b", "a b", "A"])

    @dg.asset(partitions_def=odd)
    def named(context):
        return context.partition_key

    _make(resources, instance, *odd.get_partition_keys(), asset=named)
    assert [path.name for path in tmp_path.iterdir()] == ["named"]
    defs = dg.Definitions(assets=[named], resources=resources)
    assert list(defs.load_asset_value("named")) == odd.get_partition_keys()


def test_values_are_loaded_outside_of_runs_by_partition_and_range(resources, instance):
    _make(resources, instance, "2026-01-01", "2026-01-02")
    defs = dg.Definitions(assets=[days, whole], resources=resources)
    with dg.AssetValueLoader(defs, instance=instance) as loader:
        assert loader.load_asset_value("days", partition_key="2026-01-01") == "2026-01-01"
        span = dg.PartitionKeyRange("2026-01-01", "2026-01-02")
        assert list(loader.load_asset_value("days", partition_key_range=span)) == list(span)
        with pytest.raises(dg.ValueNotFoundError, match="2026-01-03"):
            loader.load_asset_value("days")
        allowed = {"allow_missing_partitions": True}
        assert len(loader.load_asset_value("days", input_definition_metadata=allowed)) == 2
        with pytest.raises(dg.UnknownPartitionError):
            loader.load_asset_value("days", partition_key="2027-01-01")
        with pytest.raises(dg.InvariantViolationError, match="no partitions"):
            loader.load_asset_value("whole", partition_key="2026-01-01")


def test_dynamic_partitions_are_loaded_outside_of_runs(resources, instance):
    @dg.asset(partitions_def=dg.DynamicPartitionsDefinition(name="shops"))
    def shops(context):
        return context.partition_key

    instance.add_dynamic_partitions("shops", ["x", "y"])
    _make(resources, instance, "x", "y", asset=shops)
    defs = dg.Definitions(assets=[shops], resources=resources)
    assert defs.load_asset_value("shops", instance=instance) == {"x": "x", "y": "y"}


def test_outputs_of_ops_lie_by_run_step_and_mapping_key(tmp_path):
    @dg.op(out=dg.DynamicOut())
    def numbers():
        yield dg.DynamicOutput(1, mapping_key="one")
        yield dg.DynamicOutput(2, mapping_key="two")

    @dg.op(out={"half": dg.Out(), "twice": dg.Out()})
    def halved(n):
        return n / 2, n * 2

    @dg.op
    def total(values):
        return sum(values)

    @dg.job(resource_defs={"io_manager": dg.FilesystemIOManager(tmp_path)})
    def job():
        total(numbers().map(lambda n: halved(n).half).collect())

    result = job.execute_in_process()
    assert result.output_for_node("total") == 1.5
    assert _names(tmp_path) == [
        f"{result.run_id}/{step}.value.json"
        for step in (
            "halved%5Bone%5D/half",
            "halved%5Bone%5D/twice",
            "halved%5Btwo%5D/half",
            "halved%5Btwo%5D/twice",
            "numbers/result/one",
            "numbers/result/two",
            "total/result",
        )
    ]


def test_a_pickled_partition_is_read_by_its_own_location_only(tmp_path):
    manager = dg.FilesystemIOManager(tmp_path)
    about = {"asset_key": dg.AssetKey("x"), "asset_partitions_def": LETTERS}
    subset = LETTERS.empty_subset().with_partition_keys(["a"])
    out = dg.OutputContext("s", "r", location_name="one", asset_partitions_subset=subset, **about)
    manager.handle_output(out, (1, 2))
    own = dg.InputContext(location_name="one", asset_partitions_subset=subset, **about)
    assert manager.load_input(own) == (1, 2)
    other = dg.InputContext(location_name="two", asset_partitions_subset=subset, **about)
    with pytest.raises(dg.ForeignValueError, match="x, partition a"):
        manager.load_input(other)
