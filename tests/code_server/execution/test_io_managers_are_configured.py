import pytest

import atoll as dg
from atoll._definitions import job_config


class Recording(dg.IOManager):
    """Keeps values, and the config and resource config of each call."""

    def __init__(self):
        self.values = {}
        self.seen = []

    def handle_output(self, context, obj):
        self.seen.append(("out", context.name, context.config, context.resource_config))
        self.values[tuple(context.get_identifier())] = obj

    def load_input(self, context):
        self.seen.append(("in", context.name, context.config, context.resource_config))
        upstream = context.upstream_output
        if upstream is not None:
            self.seen.append(("up", upstream.name, upstream.config, upstream.resource_config))
        return self.values[tuple(context.get_identifier())]


def _definition(kept):
    @dg.io_manager(
        config_schema={"base": str},
        output_config_schema={"mode": dg.Field(str, default_value="append")},
        input_config_schema={"rows": int},
    )
    def recording(context):
        return kept

    return recording


@dg.op
def given():
    return 1


@dg.op
def taken(n):
    return n + 1


def _job(kept):
    @dg.job(resource_defs={"io_manager": _definition(kept)})
    def job():
        taken(given())

    return job


RESOURCES = {"io_manager": {"config": {"base": "b"}}}


def test_config_of_inputs_and_outputs_reaches_the_io_manager():
    kept = Recording()
    ops = {
        "given": {"outputs": {"result": {"mode": "new"}}},
        "taken": {"inputs": {"n": {"rows": 3}}},
    }
    result = _job(kept).execute_in_process({"ops": ops, "resources": RESOURCES})
    assert result.output_for_node("taken") == 2
    base = {"base": "b"}
    assert kept.seen == [
        ("out", "result", {"mode": "new"}, base),
        ("in", "n", {"rows": 3}, base),
        ("up", "result", {"mode": "new"}, base),
        ("out", "result", {"mode": "append"}, base),
    ]


@pytest.mark.parametrize(
    ("ops", "path"),
    [
        ({}, ("ops", "taken", "inputs", "n")),
        (
            {"taken": {"inputs": {"n": {"rows": "x"}}}},
            ("ops", "taken", "inputs", "n", "rows"),
        ),
        (
            {
                "taken": {"inputs": {"n": {"rows": 1}}},
                "given": {"outputs": {"result": {"modes": "x"}}},
            },
            ("ops", "given", "outputs", "result", "modes"),
        ),
        ({"given": {"outputs": {"other": {}}}}, ("ops", "given", "outputs", "other")),
    ],
    ids=["missing", "of another type", "unknown key", "unknown output"],
)
def test_config_that_does_not_fit_is_told_before_anything_runs(ops, path):
    kept = Recording()
    with pytest.raises(dg.InvalidConfigError) as caught:
        _job(kept).execute_in_process({"ops": ops, "resources": RESOURCES})
    assert caught.value.path[: len(path)] == path
    assert kept.seen == []


def test_an_io_manager_without_a_schema_takes_no_config():
    @dg.job(resource_defs={"io_manager": Recording()})
    def job():
        taken(given())

    for ops in (
        {"given": {"outputs": {"result": {"a": 1}}}},
        {"taken": {"inputs": {"n": {"a": 1}}}},
    ):
        with pytest.raises(dg.InvalidConfigError, match="'io_manager' takes no config for this"):
            job.execute_in_process({"ops": ops})


def test_the_schema_of_a_job_describes_the_config_of_outputs():
    described = job_config.schema(_job(Recording()))["properties"]["ops"]["properties"]
    (name,) = described["given"]["properties"]["outputs"]["properties"]
    assert name == "result"
    assert described["taken"]["properties"]["inputs"] == {"type": "object"}


def test_config_of_assets_reaches_a_resource_class():
    seen = []

    class Out(dg.Config):
        mode: str = "append"

    class Kept(dg.ConfigurableIOManager):
        folder: str

        @classmethod
        def output_config_schema(cls):
            return Out

        @classmethod
        def input_config_schema(cls):
            return {"rows": int}

        def handle_output(self, context, obj):
            seen.append((context.asset_key.to_user_string(), context.config.mode))

        def load_input(self, context):
            seen.append((context.name, context.config["rows"], context.resource_config["folder"]))
            return 1

    @dg.asset
    def up():
        return 1

    @dg.asset
    def down(up):
        return up

    config = {
        "ops": {
            "up": {"outputs": {"result": {"mode": "new"}}},
            "down": {"inputs": {"up": {"rows": 2}}},
        }
    }
    dg.materialize([up, down], resources={"io_manager": Kept(folder="f")}, run_config=config)
    assert seen == [("up", "new"), ("up", 2, "f"), ("down", "append")]


@dg.input_manager(config_schema={"base": int}, input_config_schema={"plus": int})
def adding(context):
    return context.resource_config["base"] + context.config["plus"]


def test_an_input_manager_gives_inputs_that_nothing_else_gives():
    @dg.op(ins={"n": dg.In(input_manager_key="adding")})
    def root(n):
        return n

    @dg.job(resource_defs={"adding": adding})
    def job():
        root()

    config = {
        "ops": {"root": {"inputs": {"n": {"plus": 2}}}},
        "resources": {"adding": {"config": {"base": 40}}},
    }
    result = job.execute_in_process(config)
    assert result.output_for_node("root") == 42
    (loaded,) = result.filter_events(dg.EventType.LOADED_INPUT)
    assert loaded.event_specific_data.manager_key == "adding"
    with pytest.raises(dg.InvalidConfigError, match="ops/root/inputs/n"):
        job.execute_in_process({"resources": config["resources"]})


def test_an_input_manager_replaces_the_io_manager_of_the_output():
    @dg.input_manager
    def doubled(context):
        return 2 * kept.values[tuple(context.upstream_output.get_identifier())]

    kept = Recording()

    @dg.op(ins={"n": dg.In(input_manager_key="doubled")})
    def reading(n):
        return n

    @dg.job(resource_defs={"doubled": doubled, "io_manager": kept})
    def job():
        reading(given())

    assert job.execute_in_process().output_for_node("reading") == 2


def test_what_an_io_manager_learns_while_loading_observes_the_asset():
    letters = dg.StaticPartitionsDefinition(["a", "b"])

    class Telling(dg.InMemoryIOManager):
        def load_input(self, context):
            context.add_input_metadata({"rows": 3}, description="read")
            assert len(context.get_observations()) == len(context.asset_partition_keys)
            return 1

    @dg.asset(partitions_def=letters)
    def up():
        return 1

    @dg.asset
    def down(up):
        return up

    result = dg.materialize([up, down], selection=[down], resources={"io_manager": Telling()})
    observed = [
        one.event_specific_data.asset_observation
        for one in result.filter_events(dg.EventType.ASSET_OBSERVATION)
    ]
    assert [
        (one.asset_key.to_user_string(), one.partition, one.description) for one in observed
    ] == [
        ("up", "a", "read"),
        ("up", "b", "read"),
    ]
    (loaded,) = result.filter_events(dg.EventType.LOADED_INPUT)
    assert loaded.event_specific_data.metadata == {"rows": dg.IntMetadataValue(3)}


def test_what_an_io_manager_tells_while_storing_becomes_events():
    class Telling(dg.InMemoryIOManager):
        def handle_output(self, context, obj):
            context.log_event(dg.AssetObservation("elsewhere"))
            with pytest.raises(dg.InvariantViolationError, match="AssetObservations, got 1"):
                context.log_event(1)
            assert len(context.get_logged_events()) == 1
            yield dg.AssetMaterialization("copy")

    @dg.asset
    def made():
        return 1

    result = dg.materialize([made], resources={"io_manager": Telling()})
    (observed,) = result.filter_events(dg.EventType.ASSET_OBSERVATION)
    assert observed.event_specific_data.asset_observation.asset_key == dg.AssetKey("elsewhere")
    materialized = result.filter_events(dg.EventType.ASSET_MATERIALIZATION)
    assert [one.asset_key.to_user_string() for one in materialized] == ["copy", "made"]


def test_contexts_of_io_managers_hold_data_only():
    for context in (dg.build_output_context(), dg.build_input_context()):
        with pytest.raises(dg.InvariantViolationError, match="no step_context"):
            _ = context.step_context


class Broken(dg.InMemoryIOManager):
    def __init__(self, fails_at):
        super().__init__()
        self.fails_at = fails_at

    def handle_output(self, context, obj):
        if self.fails_at == "out":
            raise OSError("no space")
        super().handle_output(context, obj)

    def load_input(self, context):
        raise OSError("no file")


@dg.asset
def up():
    return 1


@dg.asset
def down(up):
    return up


def test_an_io_manager_that_cannot_store_is_named_with_the_value():
    resources = {"io_manager": Broken("out")}
    result = dg.materialize([up], resources=resources, raise_on_error=False)
    failure = result.failure_data_for_node("up")
    assert failure.type == "atoll.ExecutionHandleOutputError"
    for part in ("'io_manager'", "'result'", "'up'", "(asset up)"):
        assert part in failure.message
    assert (failure.cause.type, failure.cause.message) == ("OSError", "no space")


def test_an_io_manager_that_cannot_load_is_named_with_the_value():
    resources = {"io_manager": Broken("in")}
    result = dg.materialize([up, down], resources=resources, raise_on_error=False)
    failure = result.failure_data_for_node("down")
    assert failure.type == "atoll.ExecutionLoadInputError"
    for part in ("'io_manager'", "the input 'up' of 'down'", "(asset up)"):
        assert part in failure.message
    assert failure.cause.message == "no file"


def test_what_the_users_io_manager_raised_is_raised_in_process():
    with pytest.raises(OSError, match="no space"):
        dg.materialize([up], resources={"io_manager": Broken("out")})


def test_an_io_manager_may_ask_for_a_retry_and_for_a_failure():
    class Moody(dg.InMemoryIOManager):
        tried = 0

        def handle_output(self, context, obj):
            self.tried += 1
            if self.tried == 1:
                raise dg.RetryRequested(max_retries=1)
            raise dg.Failure("enough", metadata={"tried": self.tried})

    result = dg.materialize([up], resources={"io_manager": Moody()}, raise_on_error=False)
    failure = result.failure_data_for_node("up")
    assert failure.message == "enough"
    assert failure.metadata == {"tried": dg.IntMetadataValue(2)}


@pytest.mark.parametrize("returned", [1, {"a": 1}], ids=str)
def test_an_io_manager_that_returns_something_when_storing_is_told_so(returned):
    class Returning(dg.InMemoryIOManager):
        def handle_output(self, context, obj):
            return returned

    with pytest.raises(dg.InvariantViolationError, match="handle_output of the IO manager"):
        dg.materialize([up], resources={"io_manager": Returning()})


def test_values_of_dynamic_outputs_are_told_as_stored():
    @dg.op(out=dg.DynamicOut())
    def numbers():
        yield dg.DynamicOutput(1, mapping_key="one")
        yield dg.DynamicOutput(2, mapping_key="two")

    @dg.job(resource_defs={"io_manager": dg.InMemoryIOManager()})
    def job():
        numbers()

    assert len(job.execute_in_process().filter_events(dg.EventType.HANDLED_OUTPUT)) == 2
