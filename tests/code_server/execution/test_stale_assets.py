"""Which assets are stale: their code, their dependencies or their data changed."""

import pytest

import atoll as dg

MANAGER = {"io_manager": dg.InMemoryIOManager()}
Status, Category = dg.StaleStatus, dg.StaleCauseCategory


@pytest.fixture
def instance():
    return dg.Instance.ephemeral()


def _assets(code="1", deps=("upstream",), version="v1"):
    @dg.asset(code_version="1")
    def upstream():
        return dg.Output(1, data_version=dg.DataVersion(version))

    @dg.asset(code_version="1")
    def beside(): ...

    @dg.asset(code_version=code, deps=deps)
    def made(): ...

    @dg.asset(code_version="1", deps=[made])
    def below(): ...

    return [upstream, beside, made, below]


def _materialize(instance, assets, selection=None):
    dg.materialize(assets, instance=instance, resources=MANAGER, selection=selection)


def _found(instance, assets):
    staleness = dg.Staleness(dg.Definitions(assets=assets), instance)
    causes = [(one.category, one.dependency) for one in staleness.causes("made")]
    return staleness.status("made"), causes


def _stale(instance, assets, selection=None):
    keys = dg.stale_assets_of(dg.Definitions(assets=assets), instance, selection)
    return [one.to_user_string() for one in keys]


def test_what_was_never_materialized_is_missing(instance):
    assets = _assets()
    assert _found(instance, assets) == (Status.MISSING, [])
    assert _stale(instance, assets) == ["below", "beside", "made", "upstream"]


def test_what_is_as_it_was_made_is_fresh(instance):
    assets = _assets()
    _materialize(instance, assets)
    assert _found(instance, assets) == (Status.FRESH, [])
    assert _stale(instance, assets) == []


def test_other_code_makes_stale_also_what_is_below(instance):
    _materialize(instance, _assets())
    changed = _assets(code="2")
    assert _found(instance, changed) == (Status.STALE, [(Category.CODE, None)])
    assert _stale(instance, changed) == ["below", "made"]
    assert _stale(instance, changed, "made+") == ["below", "made"]
    assert _stale(instance, changed, ["upstream"]) == []
    (cause,) = dg.Staleness(dg.Definitions(assets=changed), instance).causes("made")
    assert cause.reason == "the code version is '2' and was '1'"


def test_new_data_makes_stale_and_the_same_data_does_not(instance):
    _materialize(instance, _assets())
    _materialize(instance, _assets(version="v1"), ["upstream"])
    assert _found(instance, _assets())[0] is Status.FRESH
    _materialize(instance, _assets(version="v2"), ["upstream"])
    assert _found(instance, _assets()) == (
        Status.STALE,
        [(Category.DATA, dg.AssetKey("upstream"))],
    )
    _materialize(instance, _assets(), ["made"])
    assert _stale(instance, _assets()) == ["below"]


def test_other_dependencies_make_stale(instance):
    _materialize(instance, _assets())
    changed = _assets(deps=["beside"])
    assert _found(instance, changed) == (
        Status.STALE,
        [
            (Category.DEPENDENCIES, dg.AssetKey("beside")),
            (Category.DEPENDENCIES, dg.AssetKey("upstream")),
        ],
    )


def test_an_observation_tells_the_version_of_a_source(instance):
    source = dg.AssetSpec("source")

    @dg.asset(deps=[source], code_version="1")
    def made(): ...

    def observed(version):
        tags = {"atoll/data_version": version}
        instance.report_runless_asset_event(dg.AssetObservation("source", tags=tags))

    observed("1")
    _materialize(instance, [source, made], [made])
    assert _stale(instance, [source, made]) == []
    observed("2")
    assert _stale(instance, [source, made]) == ["made"]


def test_partitions_are_stale_each_for_itself(instance):
    letters = dg.StaticPartitionsDefinition(["a", "b"])

    @dg.asset(partitions_def=letters, code_version="1")
    def made(): ...

    dg.materialize([made], instance=instance, resources=MANAGER, partition_key="a")
    defs = dg.Definitions(assets=[made])
    assert dg.stale_assets_of(defs, instance, partition_key="a") == []
    assert dg.stale_assets_of(defs, instance, partition_key="b") == [made.key]


def test_long_chains_are_walked(instance):
    def link(number):
        deps = [f"link_{number - 1}"] if number else []
        return dg.asset(name=f"link_{number}", deps=deps, code_version="1")(lambda: None)

    chain = [link(number) for number in range(1100)]
    defs = dg.Definitions(assets=chain)
    assert dg.Staleness(defs, instance).causes("link_1099") == ()


def test_an_unknown_asset_is_told(instance):
    staleness = dg.Staleness(dg.Definitions(assets=_assets()), instance)
    with pytest.raises(dg.InvalidSubsetError, match="no asset 'none_such' here; there are"):
        staleness.status("none_such")
