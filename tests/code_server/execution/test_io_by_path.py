import asyncio
import json
import pathlib
from typing import ClassVar

import pytest

import atoll as dg
from atoll._execution import universal_paths

DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-04")


class JsonIOManager(dg.UPathIOManager):
    extension = ".json"

    def dump_to_path(self, context, obj, path):
        path.write_text(json.dumps(obj))

    def load_from_path(self, context, path):
        return json.loads(path.read_text())

    def get_metadata(self, context, obj):
        return {"kind": type(obj).__name__}


class AsyncIOManager(JsonIOManager):
    """Reads only when all partitions have asked."""

    expected = 0
    waiting = 0
    everyone: ClassVar[asyncio.Event | None] = None

    async def load_from_path(self, context, path):
        if self.expected:
            self.everyone = self.everyone or asyncio.Event()
            self.waiting += 1
            if self.waiting == self.expected:
                self.everyone.set()
            await asyncio.wait_for(self.everyone.wait(), 5)
        return json.loads(path.read_text())


@dg.asset(partitions_def=DAYS, key_prefix="p")
def days(context):
    return context.partition_key


@dg.asset(ins={"days": dg.AssetIn(["p", "days"])})
def whole(days):
    return days


@pytest.fixture
def instance():
    return dg.Instance.ephemeral()


def _make(manager, instance, *keys, asset=days):
    for key in keys:
        result = dg.materialize(
            [asset], resources={"io_manager": manager}, instance=instance, partition_key=key
        )
    return result


def _load_whole(manager, instance):
    result = dg.materialize(
        [days, whole], selection=[whole], resources={"io_manager": manager}, instance=instance
    )
    return result.asset_value("whole")


def _files(folder):
    return sorted(str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file())


def test_assets_and_their_partitions_lie_under_their_keys(tmp_path, instance):
    manager = JsonIOManager(tmp_path)
    result = _make(manager, instance, "2026-01-01", "2026-01-02", "2026-01-03")
    assert _load_whole(manager, instance) == {key: key for key in DAYS.get_partition_keys()}
    assert _files(tmp_path) == [
        *(f"p/days/{key}.json" for key in DAYS.get_partition_keys()),
        "whole.json",
    ]
    (made,) = result.asset_materializations_for_node("p__days")
    assert made.metadata["kind"].value == "str"
    assert pathlib.Path(made.metadata["path"].value) == tmp_path / "p" / "days" / "2026-01-03.json"


def test_outputs_of_ops_lie_under_their_run(tmp_path):
    @dg.op
    def given():
        return 1

    @dg.op
    def taken(n):
        return n + 1

    @dg.job(resource_defs={"io_manager": JsonIOManager(str(tmp_path))})
    def job():
        taken(given())

    result = job.execute_in_process()
    assert result.output_for_node("taken") == 2
    run = result.run_id
    assert _files(tmp_path) == [f"{run}/given/result.json", f"{run}/taken/result.json"]


def test_a_missing_value_and_a_missing_partition_are_named(tmp_path, instance):
    manager = JsonIOManager(tmp_path)
    with pytest.raises(dg.ValueNotFoundError, match=r"'x' lies at .*x\.json"):
        manager.load_input(dg.build_input_context(asset_key="x"))
    _make(manager, instance, "2026-01-01", "2026-01-03")
    with pytest.raises(dg.ValueNotFoundError, match=r"2026-01-02.*allow_missing_partitions"):
        _load_whole(manager, instance)


@pytest.mark.parametrize("kind", [JsonIOManager, AsyncIOManager])
def test_missing_partitions_are_left_out_where_the_input_allows_it(tmp_path, instance, kind):
    manager = kind(tmp_path)
    _make(manager, instance, "2026-01-01", "2026-01-03")
    context = dg.build_input_context(
        asset_key=["p", "days"],
        asset_partitions_def=DAYS,
        asset_partition_key_range=dg.PartitionKeyRange("2026-01-01", "2026-01-03"),
        definition_metadata={"allow_missing_partitions": True},
    )
    assert list(manager.load_input(context)) == ["2026-01-01", "2026-01-03"]


def test_an_async_reader_reads_all_partitions_at_once(tmp_path, instance):
    manager = AsyncIOManager(tmp_path)
    _make(manager, instance, *DAYS.get_partition_keys())
    manager.expected = 3
    assert list(_load_whole(manager, instance)) == DAYS.get_partition_keys()


def test_an_async_reader_reads_one_value_too(tmp_path):
    manager = AsyncIOManager(tmp_path)
    manager.handle_output(dg.build_output_context(name="r", step_key="s", asset_key="x"), [1])
    assert manager.load_input(dg.build_input_context(asset_key="x")) == [1]


def test_a_run_for_a_range_stores_a_dict_one_by_one_and_nothing_else(tmp_path, instance):
    @dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
    def ranged(context):
        return dict.fromkeys(context.partition_keys, 1) if context.has_tag("dict") else 1

    tags = {
        "atoll/asset_partition_range_start": "2026-01-01",
        "atoll/asset_partition_range_end": "2026-01-02",
    }
    resources = {"io_manager": JsonIOManager(tmp_path)}
    dg.materialize([ranged], resources=resources, instance=instance, tags={**tags, "dict": "1"})
    assert _files(tmp_path) == ["ranged/2026-01-01.json", "ranged/2026-01-02.json"]
    with pytest.raises(dg.InvariantViolationError, match="one int for all"):
        dg.materialize([ranged], resources=resources, instance=instance, tags=tags)


def test_paths_can_be_chosen_by_the_subclass(tmp_path, instance):
    class Hive(JsonIOManager):
        def get_path_for_partition(self, context, path, partition):
            return path / f"day={partition}" / "part"

    manager = Hive(tmp_path)
    _make(manager, instance, "2026-01-01")
    assert _files(tmp_path) == ["p/days/day=2026-01-01/part.json"]


def test_keys_never_leave_the_base(tmp_path):
    manager = JsonIOManager(tmp_path / "base")
    for key in (["..", "x"], ["a/../../x"], ["a\\b"]):
        context = dg.build_output_context(name="r", step_key="s", asset_key=dg.AssetKey(key))
        manager.handle_output(context, key)
        assert manager.load_input(dg.build_input_context(asset_key=dg.AssetKey(key))) == key
        assert manager.has_output(context)
    assert [one.name for one in tmp_path.iterdir()] == ["base"]


def test_it_is_a_base_beside_that_of_resource_classes(tmp_path, instance):
    class Configured(dg.ConfigurableIOManager, dg.UPathIOManager):
        base_path: str
        extension: str = ".txt"

        def dump_to_path(self, context, obj, path):
            path.write_text(obj)

        def load_from_path(self, context, path):
            return path.read_text()

    class Set(Configured):
        base_path: str = "unused"
        _base_path: str

        def setup_for_execution(self, context):
            self._base_path = str(tmp_path / "set")

    _make(Configured(base_path=str(tmp_path)), instance, "2026-01-01")
    _make(Set(), instance, "2026-01-01")
    assert _files(tmp_path) == ["p/days/2026-01-01.txt", "set/p/days/2026-01-01.txt"]


def test_values_lie_on_any_file_system_where_the_library_is_installed(instance):
    pytest.importorskip("upath")
    manager = JsonIOManager("memory://values")
    _make(manager, instance, *DAYS.get_partition_keys())
    assert _load_whole(manager, instance) == {key: key for key in DAYS.get_partition_keys()}
    assert any(name.endswith("2026-01-01.json") for name in manager.fs.find("values"))


def test_without_the_library_local_paths_work_and_remote_ones_say_what_to_install(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(universal_paths, "_universal", lambda: None)
    assert universal_paths.path_of(f"file://{tmp_path}") == tmp_path
    manager = JsonIOManager(str(tmp_path))
    manager.handle_output(dg.build_output_context(name="r", step_key="s", asset_key="x"), 1)
    assert manager.load_input(dg.build_input_context(asset_key="x")) == 1
    remote = JsonIOManager("s3://bucket")
    with pytest.raises(dg.InvalidDefinitionError, match=r"s3://bucket.*atoll\[upath\]"):
        remote.load_input(dg.build_input_context(asset_key="x"))
