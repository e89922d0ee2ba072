"""Whatever a context offers is told; contexts offer different things."""

import datetime as dt
import logging
import types

import atoll as dg
from atoll._definitions import resource_contract, runs
from atoll._execution.pipes import steps


class _Op:
    log = logging.getLogger("test")
    run = runs.Run("job", "run")


class _Partitioned(_Op):
    retry_number = 1
    selected_asset_keys = frozenset({dg.AssetKey("b"), dg.AssetKey(["a", "c"])})
    has_partition_key = True
    partition_key = "2024-05-01"

    @property
    def partition_time_window(self):
        day = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
        return types.SimpleNamespace(start=day, end=day + dt.timedelta(days=1))


class _Ranged(_Op):
    has_partition_key = False
    has_partition_key_range = True
    partition_key_range = types.SimpleNamespace(start="a", end="c")

    @property
    def partition_key(self):
        raise AssertionError("not asked for where there are several")

    @property
    def partition_time_window(self):
        raise dg.InvariantViolationError("these partitions are not of time")


class _Provenance:
    code_version = "1"
    input_data_versions = types.MappingProxyType(
        {dg.AssetKey("up"): types.SimpleNamespace(value="v")}
    )
    is_user_provided = True


class _WithHistory(_Op):
    selected_asset_keys = frozenset({dg.AssetKey("b")})

    def get_asset_provenance(self, asset_key):
        return _Provenance() if asset_key == dg.AssetKey("b") else None


def test_an_op_has_no_assets_and_no_partitions():
    assert steps.context_data(_Op(), {"x": 1}) == {
        "asset_keys": None,
        "code_version_by_asset_key": None,
        "provenance_by_asset_key": None,
        "partition_key": None,
        "partition_key_range": None,
        "partition_time_window": None,
        "run_id": "run",
        "job_name": "job",
        "retry_number": 0,
        "extras": {"x": 1},
    }


def test_a_partition_is_told_with_its_time():
    told = steps.context_data(_Partitioned(), None)
    assert told["asset_keys"] == ["a/c", "b"]
    assert told["code_version_by_asset_key"] == {"a/c": None, "b": None}
    assert told["retry_number"] == 1
    assert told["partition_key"] == "2024-05-01"
    assert told["partition_key_range"] == {"start": "2024-05-01", "end": "2024-05-01"}
    assert told["partition_time_window"] == {
        "start": "2024-05-01T00:00:00+00:00",
        "end": "2024-05-02T00:00:00+00:00",
    }


def test_a_range_has_no_single_partition():
    told = steps.context_data(_Ranged(), None)
    assert told["partition_key"] is None
    assert told["partition_key_range"] == {"start": "a", "end": "c"}
    assert told["partition_time_window"] is None


def test_provenance_is_told_where_it_is_known():
    told = steps.context_data(_WithHistory(), None)
    assert told["provenance_by_asset_key"] == {
        "b": {"code_version": "1", "input_data_versions": {"up": "v"}, "is_user_provided": True}
    }


def test_clients_are_resources_by_their_annotation():
    assert resource_contract.is_resource(dg.PipesSubprocessClient)
    assert resource_contract.is_resource(dg.PipesClient)
