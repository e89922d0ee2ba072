"""In the graph of conditions there is nothing of what a location may not watch."""

from atoll._conditions import composites, entities
from atoll.definitions.v1 import snapshot_pb2
from atoll_host.automation.conditions import graphs
from atoll_host.locations import cutting, definitions, graph
from atoll_host.policy import deciding, policy_settings
from atoll_storage import records
from tests.host.automation.conditions import meshes

EAGER = composites.eager()
REPORT = entities.asset(("report",))


def blueprint(*rules: dict) -> graphs.Blueprint:
    sent = {
        "sales": meshes.location(meshes.asset("orders"), meshes.asset("stock")),
        "reports": meshes.location(meshes.asset("report", EAGER, deps=["orders", "stock"])),
    }
    decoded = {name: definitions.of_message(name, each) for name, each in sent.items()}
    owners = {path: name for name, defined in decoded.items() for path in defined.executable}
    settings = policy_settings.PolicySettings.model_validate({"rules": list(rules)})
    mesh = cutting.Mesh(deciding.of(settings, {}), lambda path: owners.get(path, ""), {})
    left = {name: cutting.cut(name, each, mesh).definitions for name, each in decoded.items()}
    running = [records.SensorKey(name, meshes.SENSOR) for name in left]
    return graphs.build(left, graph.AssetGraph(left, owners), running)


def deny(*what: str) -> dict:
    return {
        "from": "reports", "to": "sales", "what": list(what), "assets": ["orders"], "allow": False,
    }  # fmt: skip


def upstream(made: graphs.Blueprint) -> set[str]:
    return {entity.path[0] for entity in made.graph.node(REPORT).upstream}


def test_what_may_be_watched_is_there() -> None:
    assert upstream(blueprint()) == {"orders", "stock"}


def test_what_may_not_be_watched_is_no_dependency_of_a_condition() -> None:
    made = blueprint(deny("watch"))
    assert upstream(made) == {"stock"}
    assert REPORT in made.sensors, "its condition is evaluated all the same"
    # The edge stays in the asset graph: it may depend on it.
    node = made.owners.node(("report",))
    assert node is not None
    assert set(node.upstream) == {("orders",), ("stock",)}


def test_what_may_not_be_depended_on_is_no_dependency_at_all() -> None:
    made = blueprint(deny("depend"))
    assert upstream(made) == {"stock"}
    node = made.owners.node(("report",))
    assert node is not None
    assert set(node.upstream) == {("stock",)}


def test_those_who_may_are_not_disturbed() -> None:
    made = blueprint(deny("watch", "depend"))
    assert isinstance(made.locations["sales"].message, snapshot_pb2.LocationSnapshot)
    assert made.locations["sales"].digest == "sales"
