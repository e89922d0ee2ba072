"""What is wrong with a condition in this mesh, unseen by its location alone, is told."""

from atoll._condition_messages import conditions as condition_messages
from atoll._conditions import conditions, operands
from atoll.definitions.v1 import conditions_pb2 as definition_pb2
from atoll.definitions.v1 import snapshot_pb2
from atoll_host.api import conditions as shown
from atoll_host.locations import definitions, graph


def mesh_of(*names: str) -> graph.AssetGraph:
    snapshot = snapshot_pb2.LocationSnapshot()
    for name in names:
        snapshot.assets.add().key.path.extend(name.split("/"))
    encoded = snapshot.SerializeToString(deterministic=True)
    return graph.AssetGraph({"a": definitions.decode("digest", encoded)}, {})


def asking_for(*path: str) -> definition_pb2.AutomationCondition:
    matches = conditions.AssetMatches(operand=operands.Missing(), path=path)
    return condition_messages.to_message(conditions.Not(operand=matches))


def test_an_asset_that_nobody_has_is_named() -> None:
    merged = mesh_of("sales/orders", "prices")
    assert shown.problems(asking_for("sales", "orders"), merged) == ()
    (problem,) = shown.problems(asking_for("sales", "order"), merged)
    assert "'sales/order', which no location defines" in problem
    assert "Correct the key" in problem


def test_a_condition_of_a_later_release_is_told_to_be_one() -> None:
    (problem,) = shown.problems(definition_pb2.AutomationCondition(), mesh_of())
    assert problem.startswith("This host cannot read the condition, so nothing evaluates it: ")
