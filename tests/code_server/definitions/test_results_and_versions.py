"""What user code returns about assets, and the versions of data that it may give."""

import pathlib

import pytest

import atoll as dg
from atoll._definitions import asset_checks, data_versions
from atoll._execution import versioning

KEY = dg.AssetKey(["a", "b"])
PASSED = asset_checks.AssetCheckResult(passed=True, check_name="full")
V1 = dg.DataVersion("v1")


def test_results_hold_what_was_found():
    for kind in (dg.MaterializeResult, dg.ObserveResult):
        result = kind(
            asset_key=["a", "b"],
            metadata={"n": 1},
            check_results=[PASSED],
            data_version=V1,
            tags={"t": "v"},
        )
        assert result.asset_key == KEY
        assert result.check_results == (PASSED,)
        assert result.data_version == V1
        assert result.metadata == {"n": dg.IntMetadataValue(1)}
        assert result == kind(
            asset_key=KEY,
            metadata={"n": 1},
            check_results=[PASSED],
            data_version=V1,
            tags={"t": "v"},
        )
        assert result != kind(asset_key=KEY)
        assert kind().check_results == ()


def test_an_output_keeps_its_version_and_tags_with_other_metadata():
    output = dg.Output(1, "result", {"a": 1}, V1, tags={"t": "v"})
    other = output.with_metadata({"b": 2})
    assert (other.value, other.data_version, other.tags) == (1, V1, {"t": "v"})
    assert other.metadata == {"b": dg.IntMetadataValue(2)}
    assert other != output


def test_a_dynamic_output_has_a_key_of_its_own():
    output = dg.DynamicOutput([1], "part_1", metadata={"n": 1})
    assert (output.value, output.mapping_key, output.output_name) == ([1], "part_1", "result")
    assert output.with_metadata({"n": 1}) == output
    assert output != dg.DynamicOutput([1], "part_2", metadata={"n": 1})


@pytest.mark.parametrize("key", ["a-b", "", "a b", "a/b", "a\n", "ä", None, 5])
def test_a_mapping_key_that_is_no_name_is_refused(key):
    with pytest.raises(dg.InvalidDefinitionError, match="mapping key"):
        dg.DynamicOutput(1, key)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: dg.Output(1, data_version="v1"),
        lambda: dg.MaterializeResult(data_version="v1"),
        lambda: dg.ObserveResult(check_results=[True]),
        lambda: dg.DataVersion(3),
    ],
)
def test_what_is_no_version_or_no_result_is_refused(wrong):
    with pytest.raises(dg.InvalidDefinitionError):
        wrong()


def test_a_written_file_is_an_asset_of_its_path():
    told = dg.AssetMaterialization.file(pathlib.PurePosixPath("/data/sales.csv"), "new")
    assert told.asset_key == dg.AssetKey(["data", "sales.csv"])
    assert told.metadata == {"path": dg.PathMetadataValue("/data/sales.csv")}
    assert told.description == "new"
    assert dg.AssetMaterialization.file("x", asset_key=KEY).asset_key == KEY


def test_versions_by_partition_are_given_as_text_too():
    given = dg.DataVersionsByPartition({"p": "v1", "q": dg.DataVersion("v2")})
    assert given.data_versions_by_partition == {"p": V1, "q": dg.DataVersion("v2")}


def test_what_a_materialization_was_made_of_is_read_from_its_tags():
    inputs = {KEY: (V1, 12), dg.AssetKey("c/d"): (dg.DataVersion("w"), None)}
    tags = versioning.event_tags(dg.DataVersion("mine"), code_version="3", inputs=inputs)
    event = dg.AssetMaterialization("x", tags=tags)
    assert event.data_version == "mine"
    provenance = dg.DataProvenance.from_tags(event.tags)
    assert provenance == dg.DataProvenance(
        code_version="3",
        input_data_versions={KEY: V1, dg.AssetKey("c/d"): dg.DataVersion("w")},
        input_storage_ids={KEY: 12, dg.AssetKey("c/d"): None},
        is_user_provided=True,
    )
    assert provenance.has_input_asset(KEY)
    assert not provenance.has_input_asset(dg.AssetKey("z"))


def test_an_event_without_a_code_version_tells_no_provenance():
    assert dg.DataProvenance.from_tags({"mine": "x"}) is None


def test_a_version_that_nobody_gave_follows_from_the_code_and_the_inputs():
    inputs = {KEY: V1, dg.AssetKey("c"): V1}
    version = versioning.computed("1", inputs)
    assert version == versioning.computed("1", dict(reversed(inputs.items())))
    others = [
        versioning.computed("2", inputs),
        versioning.computed("1", {KEY: V1}),
        versioning.computed("1", {KEY: V1, dg.AssetKey("c"): dg.DataVersion("v2")}),
        versioning.computed("1", {dg.AssetKey("c"): V1, dg.AssetKey(["a", "d"]): V1}),
    ]
    assert len({version, *others}) == 5
    tags = versioning.event_tags(None, code_version="1", inputs=dict.fromkeys(inputs, (V1, 1)))
    assert tags["atoll/data_version"] == version.value
    assert not data_versions.DataProvenance.from_tags(tags).is_user_provided
