"""Which checks a job, a run or a selection means."""

import pytest

import atoll as dg


@dg.asset(group_name="sales")
def orders():
    return 1


@dg.asset
def rates(): ...


@dg.asset_check(asset=orders)
def filled():
    return dg.AssetCheckResult(passed=True)


@dg.asset_check(asset=rates)
def fresh():
    return dg.AssetCheckResult(passed=True)


@dg.asset_check(asset="elsewhere")
def foreign():
    return dg.AssetCheckResult(passed=True)


SELECT = dg.AssetSelection


@pytest.mark.parametrize(
    ("selection", "assets", "checks"),
    [
        (None, {"orders", "rates"}, {"filled", "fresh"}),
        (SELECT.assets(orders), {"orders"}, {"filled"}),
        (SELECT.groups("sales"), {"orders"}, {"filled"}),
        (SELECT.all().without_checks(), {"orders", "rates"}, set()),
        (SELECT.all_asset_checks(), set(), {"filled", "fresh", "foreign"}),
        (SELECT.checks(filled), set(), {"filled"}),
        (SELECT.checks(dg.AssetCheckKey(rates.key, "fresh"), foreign), set(), {"fresh", "foreign"}),
        (SELECT.checks_for_assets(rates), set(), {"fresh"}),
        (SELECT.checks_for_assets("elsewhere"), set(), {"foreign"}),
        (SELECT.assets(orders) | SELECT.checks(fresh), {"orders"}, {"filled", "fresh"}),
        (SELECT.all() - SELECT.checks(filled), {"orders", "rates"}, {"fresh"}),
    ],
)
def test_a_job_runs_what_its_selection_means(selection, assets, checks):
    defs = dg.Definitions(
        assets=[orders, rates],
        asset_checks=[filled, fresh, foreign],
        jobs=[dg.define_asset_job("job", selection)],
    )
    defs.validate_loadable()
    job = defs.get_job_def("job")
    assert {key.to_user_string() for key in job.asset_keys} == assets
    assert {key.name for key in job.check_keys} == checks
    result = job.execute_in_process()
    made = {one.asset_key.to_user_string() for one in result.get_asset_materialization_events()}
    assert made == assets
    assert {one.check_name for one in result.get_asset_check_evaluations()} == checks


def test_materializing_a_selection():
    every = [orders, rates, filled, fresh]
    result = dg.materialize(every, selection=SELECT.checks_for_assets(orders))
    assert [one.check_name for one in result.get_asset_check_evaluations()] == ["filled"]
    assert result.get_asset_materialization_events() == []
    result = dg.materialize(every, selection=["rates"])
    assert [one.check_name for one in result.get_asset_check_evaluations()] == ["fresh"]


def _multi(**options):
    @dg.multi_asset_check(
        specs=[dg.AssetCheckSpec("a", asset=orders), dg.AssetCheckSpec("b", asset=rates)], **options
    )
    def both():
        yield dg.AssetCheckResult(passed=True, check_name="a")
        yield dg.AssetCheckResult(passed=True, check_name="b")

    return both


@pytest.mark.parametrize(
    "selection",
    [SELECT.assets(orders), SELECT.checks(dg.AssetCheckKey(rates.key, "b"))],
)
def test_a_part_of_what_one_function_evaluates_is_refused(selection):
    job = dg.define_asset_job("job", selection)
    defs = dg.Definitions(assets=[orders, rates], asset_checks=[_multi()], jobs=[job])
    with pytest.raises(dg.InvalidDefinitionError, match="'both' evaluates them at once"):
        defs.validate_loadable()
    with pytest.raises(dg.InvalidSubsetError, match="can_subset=True"):
        defs.get_job_def("job")
    whole = dg.Definitions(
        assets=[orders, rates], asset_checks=[_multi(can_subset=True)], jobs=[job]
    )
    assert len(whole.get_job_def("job").check_keys) == 1


def test_a_run_of_an_asset_brings_the_whole_function_that_checks_it():
    defs = dg.Definitions(assets=[orders, rates], asset_checks=[_multi()])
    result = defs.get_job_def("__ASSET_JOB").execute_in_process(asset_selection=[orders.key])
    assert {one.check_name for one in result.get_asset_check_evaluations()} == {"a", "b"}
    assert len(result.get_asset_materialization_events()) == 1


def test_an_asset_without_the_checks_of_its_own_function_is_refused():
    @dg.asset(check_specs=[dg.AssetCheckSpec("own", asset="checked")])
    def checked():
        return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True)])

    for selection in (SELECT.assets(checked).without_checks(), SELECT.checks(checked)):
        with pytest.raises(dg.InvalidSubsetError, match="checked:own"):
            dg.materialize([checked], selection=selection)


def test_a_part_of_a_multi_asset_is_refused():
    @dg.multi_asset(specs=[dg.AssetSpec("one"), dg.AssetSpec("two")])
    def both(): ...

    with pytest.raises(dg.InvalidSubsetError, match="one without two"):
        dg.materialize([both], selection=["one"])
    assert dg.materialize(
        [both], selection=SELECT.assets("one").required_multi_asset_neighbors()
    ).success


def test_checks_that_are_not_there():
    unknown = dg.AssetCheckKey(orders.key, "unknown")
    defs = dg.Definitions(
        assets=[orders],
        asset_checks=[filled],
        jobs=[dg.define_asset_job("job", SELECT.checks(unknown))],
    )
    with pytest.raises(dg.InvalidDefinitionError, match="orders:unknown"):
        defs.validate_loadable()
    with pytest.raises(dg.InvalidSubsetError, match="orders:unknown"):
        defs.get_job_def("__ASSET_JOB").get_subset(asset_check_selection={unknown})


def test_definitions_know_their_checks():
    defs = dg.Definitions(assets=[orders], asset_checks=[filled])
    assert defs.get_asset_checks_def(filled.check_key) is filled
    with pytest.raises(dg.InvalidSubsetError, match="rates:fresh"):
        defs.get_asset_checks_def(fresh.check_key)


def test_two_checks_with_one_key_are_a_problem():
    @dg.asset_check(asset=orders, name="filled")
    def again():
        return dg.AssetCheckResult(passed=True)

    with pytest.raises(dg.InvalidDefinitionError, match="'orders:filled' is defined 2 times"):
        dg.Definitions(assets=[orders], asset_checks=[filled, again]).validate_loadable()


@pytest.mark.slow
def test_ten_thousand_assets_are_one_graph():
    many = [
        dg.AssetSpec(f"a{number}", deps=[f"a{number - 1}"] if number else [])
        for number in range(10_000)
    ]
    graph = dg.Definitions(assets=many).graph
    assert graph.selectable is graph.selectable
    upstream = SELECT.assets("a9999").upstream()
    # What is made elsewhere is walked through and not chosen.
    assert upstream.resolve(graph.selectable) == {dg.AssetKey("a9999")}
    assert len(SELECT.all(include_sources=True).resolve(graph.selectable)) == 10_000
