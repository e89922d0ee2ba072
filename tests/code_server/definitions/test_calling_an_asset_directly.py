import asyncio
import inspect

import pytest

import atoll as dg


class Scale(dg.Config):
    factor: int = 2


def test_values_are_passed_by_position_or_name():
    @dg.asset
    def total(a, b):
        return a + b

    assert total(1, b=2) == 3


def test_a_context_is_built_and_belongs_to_the_asset():
    @dg.asset(required_resource_keys={"db"})
    def total(context: dg.AssetExecutionContext, a):
        context.add_output_metadata({"rows": 1})
        context.log.info("counting")
        key = context.asset_key.to_user_string()
        return f"{key} {context.resources.db} {a} {context.get_tag('t')}"

    context = dg.build_asset_context(resources={"db": "x"}, run_tags={"t": "v"})
    assert total(context, 5) == "total x 5 v"
    assert context.get_output_metadata("result") == {"rows": 1}
    assert context.selected_asset_keys == {total.key}


def test_config_comes_as_an_object_or_from_the_context_or_by_default():
    @dg.asset
    def scaled(context, config: Scale):
        return config.factor

    assert scaled(dg.build_asset_context(), config=Scale(factor=5)) == 5
    assert scaled(dg.build_asset_context(asset_config={"factor": 4})) == 4
    assert scaled(dg.build_asset_context()) == 2


def test_coroutines_and_generators_are_returned_as_they_are():
    @dg.asset
    async def later():
        return 1

    @dg.asset
    def several():
        yield dg.Output(1)

    assert asyncio.run(later()) == 1
    assert inspect.isgenerator(several())
    assert list(several()) == [dg.Output(1)]


def test_missing_arguments_are_named():
    @dg.asset
    def total(context, a): ...

    with pytest.raises(dg.InvalidInvocationError, match="build_asset_context"):
        total()
    with pytest.raises(dg.InvalidInvocationError, match="a value for a"):
        total(dg.build_asset_context())
    with pytest.raises(dg.InvalidInvocationError, match="nothing"):
        total(nothing=1)


def test_a_context_without_an_asset_says_so():
    with pytest.raises(dg.InvalidInvocationError, match="no asset yet"):
        _ = dg.build_asset_context().asset_key


def test_events_logged_in_a_direct_call_reach_the_instance():
    instance = dg.Instance.ephemeral()
    context = dg.build_asset_context(instance=instance)
    context.log_event(dg.AssetObservation("seen"))
    assert instance.fetch_observations(dg.AssetKey("seen"), limit=5).records
