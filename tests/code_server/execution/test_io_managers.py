import pytest

import atoll as dg


class Recording(dg.IOManager):
    """Keeps values and what it was told about them."""

    def __init__(self):
        self.values = {}
        self.seen = []

    def handle_output(self, context, obj):
        self.seen.append(
            ("out", context.get_identifier(), context.step_key, dict(context.definition_metadata))
        )
        context.add_output_metadata({"stored": True})
        self.values[tuple(context.get_identifier())] = obj

    def load_input(self, context):
        upstream = context.upstream_output
        self.seen.append(
            ("in", context.get_identifier(), dict(context.metadata), dict(upstream.metadata))
        )
        return self.values[tuple(context.asset_key.path)]


@dg.asset(key_prefix="p", metadata={"layer": "raw"})
def up():
    return 1


@dg.asset(ins={"x": dg.AssetIn(["p", "up"], metadata={"columns": ["a"]})})
def down(x):
    return x + 1


def test_an_io_manager_of_the_users_replaces_the_default_one():
    manager = Recording()
    result = dg.materialize([up, down], resources={"io_manager": manager})
    assert result.asset_value("down") == 2
    assert manager.seen == [
        ("out", ["p", "up"], "p__up", {"layer": "raw"}),
        ("in", ["p", "up"], {"columns": ["a"]}, {"layer": "raw"}),
        ("out", ["down"], "down", {}),
    ]
    (materialization,) = result.asset_materializations_for_node("down")
    assert materialization.metadata == {"stored": dg.BoolMetadataValue(True)}
    (handled,) = [
        event
        for event in result.filter_events(dg.EventType.HANDLED_OUTPUT)
        if event.step_key == "down"
    ]
    assert handled.event_specific_data.metadata == {"stored": dg.BoolMetadataValue(True)}


def test_an_asset_may_bring_its_own():
    own = Recording()

    @dg.asset(io_manager_def=own)
    def mine():
        return 1

    @dg.asset
    def reading(mine):
        return mine

    assert dg.materialize([mine, reading]).asset_value("reading") == 1
    assert [entry[0] for entry in own.seen] == ["out", "in"]


def test_an_input_may_name_another_loader():
    class Doubling(Recording):
        def load_input(self, context):
            return 2 * main.load_input(context)

    main = Recording()

    @dg.asset(ins={"x": dg.AssetIn(["p", "up"], input_manager_key="doubling")})
    def reading(x):
        return x

    resources = {"io_manager": main, "doubling": Doubling()}
    assert dg.materialize([up, reading], resources=resources).asset_value("reading") == 2


def test_an_external_asset_names_its_io_manager():
    manager = Recording()
    manager.values["ext",] = 41
    spec = dg.AssetSpec("ext").with_io_manager_key("special")

    @dg.asset
    def reading(ext):
        return ext + 1

    assert (
        dg.materialize([spec, reading], resources={"special": manager}).asset_value("reading") == 42
    )


def test_memory_lasts_for_one_run():
    resources = {"io_manager": dg.mem_io_manager}
    assert dg.materialize([up, down], resources=resources).success
    again = dg.materialize([up, down], resources=resources, selection=[down], raise_on_error=False)
    assert "kept in memory" in again.failure_data_for_node("down").message
    assert dg.materialize_to_memory([up, down]).asset_value("down") == 2


def test_materialize_to_memory_replaces_every_io_manager_and_takes_none():
    @dg.asset(io_manager_key="warehouse")
    def stored():
        return 1

    assert dg.materialize_to_memory([stored]).asset_value("stored") == 1
    with pytest.raises(dg.InvariantViolationError, match="'warehouse'"):
        dg.materialize_to_memory([stored], resources={"warehouse": Recording()})


def test_contexts_are_built_for_tests():
    manager = Recording()
    out = dg.build_output_context(step_key="s", asset_key="a", definition_metadata={"m": 1})
    manager.handle_output(out, 5)
    assert out.get_logged_metadata() == {"stored": dg.BoolMetadataValue(True)}
    loaded = manager.load_input(dg.build_input_context(asset_key="a", upstream_output=out))
    assert loaded == 5
    memory = dg.InMemoryIOManager()
    memory.handle_output(dg.build_output_context("s", "result", run_id="r"), 6)
    assert memory.values == {("r", "s", "result"): 6}
    with pytest.raises(dg.InvariantViolationError, match="build_output_context"):
        _ = dg.build_output_context().asset_key


def test_an_io_manager_that_fails_fails_the_step():
    class Broken(Recording):
        def handle_output(self, context, obj):
            raise OSError("no space")

    result = dg.materialize([up], resources={"io_manager": Broken()}, raise_on_error=False)
    assert result.failure_data_for_node("p__up").cause.message == "no space"
    assert result.get_asset_materialization_events() == []
