"""Plans carry what their runs need to know of assets, and nothing else."""

import datetime as dt

import pytest

from atoll.definitions.v1 import nodes_pb2, partitions_pb2, snapshot_pb2, values_pb2
from atoll.events.v1 import events_pb2
from atoll.location.v1 import location_pb2
from atoll_host.locations import definitions, graph
from atoll_host.runs import known_assets
from atoll_storage import errors as storage_errors
from atoll_storage import records


def key(name):
    return values_pb2.AssetKey(path=[name])


def asset(name, *upstream, executable=True, op_name="", **fields):
    return snapshot_pb2.AssetDefinition(
        key=key(name),
        executable=executable,
        op_name=op_name or name,
        dependencies=[snapshot_pb2.AssetDependency(asset_key=key(each)) for each in upstream],
        **fields,
    )


def decoded(*assets, **fields):
    snapshot = snapshot_pb2.LocationSnapshot(assets=assets, **fields)
    return definitions.decode("digest", snapshot.SerializeToString())


STATIC = partitions_pb2.PartitionsDefinition(
    static=partitions_pb2.StaticPartitions(partition_keys=["a"])
)
WEST = decoded(asset("raw", partitions=STATIC, io_manager_key="lake", description="long"))
EAST = decoded(
    asset("raw", executable=False),
    asset("left", "raw", op_name="both"),
    asset("right", "seed", op_name="both"),
    asset("seed"),
    asset("report", "left"),
    checks=[
        snapshot_pb2.AssetCheckDefinition(
            key=values_pb2.AssetCheckKey(asset_key=key("report"), name="compared"),
            executable=True,
            additional_dependencies=[snapshot_pb2.AssetDependency(asset_key=key("seed"))],
        )
    ],
    jobs=[
        snapshot_pb2.JobDefinition(name="all", asset_keys=[key("report"), key("left")]),
        snapshot_pb2.JobDefinition(name="ops", graph_name="outer"),
    ],
    graphs=[
        nodes_pb2.GraphDefinition(name="outer", nodes=[nodes_pb2.Node(definition_name="inner")]),
        nodes_pb2.GraphDefinition(
            name="inner",
            nodes=[
                nodes_pb2.Node(
                    definition_name="op", inputs=[nodes_pb2.NodeInput(asset_key=key("raw"))]
                )
            ],
        ),
    ],
)
GRAPH = graph.AssetGraph(
    {"east": EAST, "west": WEST},
    {("raw",): "west", **{(name,): "east" for name in ("left", "right", "seed", "report")}},
)


def record(job_name, asset_selection=()):
    return records.RunRecord(
        run_id="run-1",
        location_name="east",
        job_name=job_name,
        status=records.RunStatus.STARTING,
        tags={},
        run_config=None,
        asset_selection=asset_selection,
        partition_key="",
        create_time=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        start_time=None,
        end_time=None,
        requested_build_id="",
        build_id="",
        server_id="s",
        attempt=1,
        failure=None,
        sensor_name="",
        tick_id="",
        run_key="",
    )


class View:
    definitions = EAST


class Locations:
    def locations(self):
        return {"east": View}

    def graph(self):
        return GRAPH


class Log:
    """A log in which one asset was materialized."""

    def __init__(self, *, away=False):
        self.asked = []
        self._away = away

    async def latest_materializations(self, asset_keys):
        self.asked.append(sorted(name for (name,) in asset_keys))
        if self._away:
            raise storage_errors.StorageUnavailable("reading assets")
        event = events_pb2.Event(run_id="run-0")
        event.asset_materialization.asset_key.CopyFrom(key("raw"))
        event.asset_materialization.tags["atoll/data_version"] = "v1"
        event.timestamp.FromSeconds(5)
        return [events_pb2.StoredEvent(id=7, event=event)]

    async def latest_observations(self, asset_keys):
        """Tell that the seed was observed, which is asked of assets without a materialization."""
        assert ("raw",) not in asset_keys
        if ("seed",) not in asset_keys:
            return []
        event = events_pb2.Event(run_id="run-0")
        event.asset_observation.asset_key.CopyFrom(key("seed"))
        event.asset_observation.tags["atoll/data_version"] = "v2"
        return [events_pb2.StoredEvent(id=6, event=event)]


async def plan_of(run, log):
    plan = location_pb2.RunPlan()
    await known_assets.KnownAssets(Locations(), log).complete(plan, run)
    return {one.asset_key.path[0]: one for one in plan.known_assets}


@pytest.fixture
def run():
    return record("all")


async def test_what_is_materialized_checked_and_depended_on_is_told(run):
    log = Log()
    found = await plan_of(run, log)
    assert log.asked == [["left", "raw", "report", "right", "seed"]]
    assert set(found) == set(log.asked[0])


async def test_the_newest_materialization_is_told_and_its_absence(run):
    found = await plan_of(run, Log())
    raw = found["raw"]
    assert (raw.event_id, raw.run_id, raw.timestamp.seconds) == (7, "run-0", 5)
    assert raw.tags["atoll/data_version"] == "v1"
    assert not raw.observed
    assert found["left"].event_id == 0
    seed = found["seed"]
    assert (seed.event_id, seed.observed, seed.tags["atoll/data_version"]) == (6, True, "v2")


async def test_of_foreign_assets_alone_the_definition_is_told(run):
    found = await plan_of(run, Log())
    assert [name for name, one in found.items() if one.HasField("definition")] == ["raw"]
    told = found["raw"].definition
    assert (told.io_manager_key, told.partitions, told.description) == ("lake", STATIC, "")


async def test_a_selection_is_told_of_itself_only():
    run = record("all", asset_selection=(("seed",),))
    assert set(await plan_of(run, Log())) == {"seed"}


async def test_assets_that_ops_read_are_told():
    assert set(await plan_of(record("ops"), Log())) == {"raw"}


async def test_storage_that_is_away_leaves_the_plan_as_it_is(run):
    assert await plan_of(run, Log(away=True)) == {}
