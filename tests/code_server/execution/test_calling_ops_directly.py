"""Calling the functions of ops and assets directly, as unit tests of users do."""

import asyncio

import pytest

import atoll as dg


class Scale(dg.Config):
    factor: int = 3


class Store(dg.ConfigurableResource):
    name: str


@dg.op
def plain(a, b=2):
    return a, b


@dg.op
def seen(context, a):
    return a


@dg.op(config_schema={"n": int})
def configured_op(context):
    return context.op_config["n"]


@dg.op(required_resource_keys={"db"})
def with_key(context):
    return context.resources.db


def test_values_are_passed_by_position_name_or_default():
    assert (plain(1), plain(1, 3), plain(a=1, b=4)) == ((1, 2), (1, 3), (1, 4))


def test_a_context_comes_first_or_by_name_also_where_nobody_asks_for_it():
    context = dg.build_op_context()
    assert (seen(context, 1), seen(context=context, a=2), plain(context, 3)) == (1, 2, (3, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plain(1, 2, 3), "plain takes .*too many"),
        (plain, "plain needs a value for a"),
        (lambda: plain(1, other=3), "unexpected argument 'other'"),
        (lambda: seen(1), r"a context first: make one with build_op_context\(\)"),
    ],
)
def test_wrong_arguments_are_told(call, message):
    with pytest.raises(dg.InvalidInvocationError, match=message):
        call()


def test_config_is_an_object_a_dict_or_in_the_context():
    @dg.op
    def typed(a, config: Scale):
        return a, config.factor

    assert typed(1, Scale(factor=4)) == (1, 4)
    assert typed(1, config={"factor": 5}) == (1, 5)
    assert typed(a=1) == (1, 3)
    assert configured_op(dg.build_op_context(op_config={"n": 6})) == 6
    assert configured_op(dg.build_op_context(config={"n": 7})) == 7


@pytest.mark.parametrize(("config", "place"), [({"n": "x"}, "config/n"), (None, "config")])
def test_config_that_does_not_fit_or_is_missing_is_told(config, place):
    with pytest.raises(dg.InvalidConfigError, match=f"ops/configured_op/{place}"):
        configured_op(dg.build_op_context(op_config=config))


def test_resources_are_arguments_or_in_the_context():
    @dg.op
    def typed(context, store: Store):
        return store.name

    store = Store(name="s")
    assert typed(dg.build_op_context(), store) == "s"
    assert typed(dg.build_op_context(), store=store) == "s"
    assert typed(dg.build_op_context(resources={"store": store})) == "s"
    assert with_key(dg.build_op_context(resources={"db": 5})) == 5
    with pytest.raises(dg.UnknownResourceError, match="no resource 'db'"):
        with_key(dg.build_op_context())
    with pytest.raises(dg.UnknownResourceError, match="no resource 'store'"):
        typed(dg.build_op_context())


def test_a_context_closes_its_resources_when_it_is_left():
    log = []

    @dg.resource(config_schema={"n": int})
    def db(context):
        log.append("opened")
        yield context.resource_config["n"]
        log.append("closed")

    options = {"resources": {"db": db}, "resources_config": {"db": {"config": {"n": 3}}}}
    with dg.build_op_context(**options) as context:
        assert with_key(context) == 3
        assert log == ["opened"]
    assert log == ["opened", "closed"]


def test_inputs_and_outputs_are_checked():
    @dg.op
    def doubled(a: int) -> int:
        return a * 2

    @dg.op
    def wrong() -> int:
        return "x"

    @dg.op
    async def wrong_later() -> int:
        return "x"

    @dg.op(out=dg.Out(int))
    def wrong_yield():
        yield dg.Output("x")

    with pytest.raises(dg.TypeCheckDidNotPass, match="input 'a' of 'doubled'"):
        doubled("x")
    for call in (
        wrong,
        lambda: asyncio.run(wrong_later()),
        lambda: list(wrong_yield()),
        _asset_of_text(),
    ):
        with pytest.raises(dg.TypeCheckDidNotPass, match="output 'result'"):
            call()


def _asset_of_text():
    @dg.asset
    def number() -> int:
        return "x"

    return number


def test_what_is_given_has_to_fit_the_outputs():
    @dg.op(out={"a": dg.Out(), "b": dg.Out()})
    def several():
        return 1

    @dg.op
    def forgetful():
        yield dg.AssetMaterialization("x")

    @dg.op
    def bare():
        yield 1

    @dg.op
    def other():
        yield dg.Output(1, "other")

    for call, message in (
        (several, "has the outputs a, b and returned 1"),
        (lambda: list(forgetful()), "without its output 'result'"),
        (lambda: list(bare()), r"Yield values as Output"),
        (lambda: list(other()), "gave the output 'other', which it does not have"),
    ):
        with pytest.raises(dg.InvariantViolationError, match=message):
            call()


def test_results_are_handed_on_as_they_are():
    @dg.op(out={"a": dg.Out(), "b": dg.Out()})
    def several():
        return 1, 2

    @dg.op
    async def items():
        yield dg.Output(5)

    async def taken():
        return [one.value async for one in items()]

    @dg.multi_asset(specs=[dg.AssetSpec("a"), dg.AssetSpec("b")])
    def told():
        return dg.MaterializeResult("a")

    assert several() == (1, 2)
    assert asyncio.run(taken()) == [5]
    assert told().asset_key == dg.AssetKey("a")
    assert plain.alias("other")(1) == (1, 2)


def test_a_context_keeps_what_was_told():
    @dg.op(out={"one": dg.Out(), "many": dg.DynamicOut()})
    def telling(context):
        context.log_event(dg.AssetMaterialization("x"))
        context.log.info("told")
        context.add_output_metadata({"rows": 1}, output_name="one")
        context.add_output_metadata({"rows": 2}, output_name="many", mapping_key="k")
        return 1, [dg.DynamicOutput(1, "k", output_name="many")]

    context = dg.build_op_context()
    telling(context)
    assert [type(one) for one in context.get_events()] == [dg.AssetMaterialization]
    assert context.get_output_metadata("one") == {"rows": 1}
    assert context.get_output_metadata("many", mapping_key="k") == {"rows": 2}
    with pytest.raises(dg.InvariantViolationError, match="no output 'none_such'"):
        context.add_output_metadata({}, output_name="none_such")


def test_a_context_logs_to_the_standard_loggers(caplog):
    with caplog.at_level("INFO", logger="atoll.context"):
        dg.build_op_context().log.info("%d rows", 3)
    assert caplog.messages == ["3 rows"]


def test_a_context_is_for_partitions_mapping_keys_and_tags():
    daily = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-02-01")

    @dg.asset(partitions_def=daily)
    def by_day(context):
        return list(context.partition_keys), context.partition_time_window.start.day

    one = dg.build_asset_context(partition_key="2024-01-05")
    several = dg.build_asset_context(
        partition_key_range=dg.PartitionKeyRange("2024-01-05", "2024-01-06")
    )
    assert by_day(one) == (["2024-01-05"], 5)
    assert by_day(several) == (["2024-01-05", "2024-01-06"], 5)
    context = dg.build_op_context(mapping_key="k", run_tags={"a": "b"}, partition_key="p")
    assert (context.get_mapping_key(), context.run_tags, context.partition_key) == (
        "k",
        {"a": "b"},
        "p",
    )
    with pytest.raises(dg.InvariantViolationError, match="for no partition"):
        _ = dg.build_asset_context().partition_key


@pytest.mark.parametrize("kind", ["graph", "job"])
def test_graphs_and_jobs_are_not_called(kind):
    made = getattr(dg, kind)(name="made")(lambda: None)
    with pytest.raises(dg.InvalidInvocationError, match="execute_in_process"):
        made()
