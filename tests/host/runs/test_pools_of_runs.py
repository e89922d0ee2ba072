"""Which pools a run counts for, as far as the snapshot of its location tells."""

from atoll.definitions.v1 import nodes_pb2, snapshot_pb2, values_pb2
from atoll_host.locations import definitions
from atoll_host.runs import run_pools


def key(name: str) -> values_pb2.AssetKey:
    return values_pb2.AssetKey(path=[name])


JOB = snapshot_pb2.JobDefinition(name="job", asset_keys=[key("a"), key("b")])
OPS = snapshot_pb2.JobDefinition(name="ops", graph_name="g")
CHECK = values_pb2.AssetCheckKey(asset_key=key("a"), name="c")
DEFINED = definitions.decode(
    "digest",
    snapshot_pb2.LocationSnapshot(
        assets=[
            snapshot_pb2.AssetDefinition(key=key("a"), executable=True, op_name="a", pools=["p"]),
            snapshot_pb2.AssetDefinition(key=key("b"), executable=True, op_name="b", pools=["q"]),
        ],
        checks=[snapshot_pb2.AssetCheckDefinition(key=CHECK, op_name="c", pools=["r"])],
        jobs=[JOB, OPS],
        ops=[nodes_pb2.OpDefinition(name="o", pool="s"), nodes_pb2.OpDefinition(name="free")],
        graphs=[
            nodes_pb2.GraphDefinition(
                name="g",
                nodes=[
                    nodes_pb2.Node(name="x", definition_name="o"),
                    nodes_pb2.Node(name="y", definition_name="free"),
                ],
            )
        ],
    ).SerializeToString(),
)


def test_a_location_knows_its_pools():
    assert DEFINED.pools == {"p", "q", "r", "s"}


def test_a_run_counts_for_what_it_runs():
    assert run_pools.pools_of(DEFINED, JOB, [], []) == ("p", "q")
    assert run_pools.pools_of(DEFINED, JOB, [("b",)], []) == ("q",)
    # The checks of selected assets are evaluated along with them.
    assert run_pools.pools_of(DEFINED, JOB, [("a",)], []) == ("p", "r")
    assert run_pools.pools_of(DEFINED, JOB, [], [(("a",), "c")]) == ("r",)
    assert run_pools.pools_of(DEFINED, OPS, [], []) == ("s",)
