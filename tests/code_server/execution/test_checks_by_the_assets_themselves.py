"""Checks that the function of an asset evaluates next to what it materializes."""

import pytest

import atoll as dg
from atoll import errors

WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR


def _asset(body, *, blocking=False, **options):
    spec = dg.AssetCheckSpec("filled", asset="made", blocking=blocking, **options)
    return dg.asset(name="made", check_specs=[spec])(body)


@dg.asset(deps=["made"])
def report(): ...


def _result(**options):
    return dg.AssetCheckResult(check_name="filled", **{"passed": True, **options})


def _yields():
    yield dg.Output(5)
    yield _result()


def _yields_a_result_with_key():
    yield dg.AssetCheckResult(asset_key="made", check_name="filled", passed=True)
    yield dg.MaterializeResult()


@pytest.mark.parametrize(
    "body",
    [
        lambda: dg.MaterializeResult(check_results=[_result()]),
        lambda: dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True)]),
        lambda: dg.MaterializeResult(value=5, check_results=[_result()]),
        lambda: (dg.Output(5), _result()),
        _yields,
        _yields_a_result_with_key,
    ],
)
def test_ways_to_give_a_result(body):
    made = _asset(body)
    result = dg.materialize([made, report])
    (found,) = result.get_asset_check_evaluations()
    assert (found.asset_check_key, found.passed) == (made.check_key, True)
    assert found.target_materialization_data is None or (
        found.target_materialization_data.run_id == result.run_id
    )
    assert len(result.get_asset_materialization_events()) == 2


@pytest.mark.parametrize(
    "body", [lambda: 5, lambda: dg.MaterializeResult(metadata={}), lambda: None]
)
def test_a_missing_result_fails(body):
    result = dg.materialize([_asset(body)], raise_on_error=False)
    failure = result.failure_data_for_node("made")
    assert "without a result of the check 'made:filled'" in failure.message


def test_a_result_twice_fails():
    def body():
        yield dg.MaterializeResult(check_results=[_result()])
        yield _result()

    result = dg.materialize([_asset(body)], raise_on_error=False)
    assert "twice" in result.failure_data_for_node("made").message


def test_a_result_for_no_check_fails():
    def body():
        return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True)])

    made = dg.asset(name="made")(body)
    result = dg.materialize([made], raise_on_error=False)
    assert "fits none of its checks: none" in result.failure_data_for_node("made").message


@pytest.mark.parametrize(
    ("blocking", "severity", "goes_on"),
    [(True, ERROR, False), (True, WARN, True), (False, ERROR, True)],
)
def test_what_stops_downstream(blocking, severity, goes_on):
    def body():
        found = _result(passed=False, severity=severity)
        return dg.MaterializeResult(value=1, check_results=[found])

    result = dg.materialize([report, _asset(body, blocking=blocking)], raise_on_error=False)
    assert result.success is goes_on
    made = {one.asset_key.to_user_string() for one in result.get_asset_materialization_events()}
    assert made == ({"made", "report"} if goes_on else {"made"})
    assert result.asset_value("made") == 1


def test_a_failed_blocking_check_is_raised():
    def body():
        return dg.MaterializeResult(check_results=[_result(passed=False)])

    with pytest.raises(errors.AssetCheckFailedError, match="made:filled"):
        dg.materialize([_asset(body, blocking=True)])


def test_checks_of_several_assets_of_one_function():
    @dg.multi_asset(
        specs=[dg.AssetSpec("one"), dg.AssetSpec("two", skippable=True)],
        check_specs=[
            dg.AssetCheckSpec("same", asset="one"),
            dg.AssetCheckSpec("same", asset="two"),
        ],
        can_subset=True,
    )
    def both(context):
        for key in sorted(context.selected_asset_keys):
            results = [
                dg.AssetCheckResult(check_name=check.name, passed=True)
                for check in context.selected_asset_check_keys
                if check.asset_key == key
            ]
            yield dg.MaterializeResult(asset_key=key, check_results=results)

    result = dg.materialize([both])
    assert len(result.get_asset_check_evaluations()) == 2
    result = dg.materialize([both], selection=["two"])
    (found,) = result.get_asset_check_evaluations()
    assert found.asset_key == dg.AssetKey("two")
    only_asset = dg.AssetSelection.assets("one").without_checks()
    result = dg.materialize([both], selection=only_asset)
    assert result.get_asset_check_evaluations() == []
    assert len(result.get_asset_materialization_events()) == 1


def test_one_of_the_checks_alone():
    @dg.multi_asset(
        specs=[dg.AssetSpec("one")],
        check_specs=[dg.AssetCheckSpec("a", asset="one"), dg.AssetCheckSpec("b", asset="one")],
        can_subset=True,
    )
    def both(context):
        for check in context.selected_asset_check_keys:
            yield dg.AssetCheckResult(check_name=check.name, passed=True)
        for key in context.selected_asset_keys:
            yield dg.MaterializeResult(asset_key=key)

    key = dg.AssetCheckKey(dg.AssetKey("one"), "b")
    result = dg.materialize([both], selection=dg.AssetSelection.checks(key))
    assert [one.check_name for one in result.get_asset_check_evaluations()] == ["b"]
    assert result.get_asset_materialization_events() == []


def test_checks_of_a_graph_of_ops():
    @dg.op
    def number():
        return 5

    @dg.op(out={"result": dg.Out(), "made_filled": dg.Out()})
    def checked(value):
        yield dg.Output(value + 1)
        yield dg.AssetCheckResult(passed=value == 5)

    @dg.graph_asset(check_specs=[dg.AssetCheckSpec("filled", asset="made", blocking=True)])
    def made():
        value, check = checked(number())
        return {"result": value, "made_filled": check}

    result = dg.materialize([made, report])
    (found,) = result.get_asset_check_evaluations()
    assert (found.asset_check_key, found.passed) == (made.check_key, True)
    assert result.asset_value("made") == 6


def test_calling_such_an_asset_directly():
    made = _asset(lambda: dg.MaterializeResult(check_results=[_result()]))
    assert made().check_results[0].passed


def test_observations_bring_results_too():
    @dg.multi_observable_source_asset(
        specs=[dg.AssetSpec("made")], check_specs=[dg.AssetCheckSpec("filled", asset="made")]
    )
    def seen():
        yield dg.ObserveResult(
            asset_key="made", data_version=dg.DataVersion("1"), check_results=[_result()]
        )

    result = dg.materialize([seen])
    assert [one.check_name for one in result.get_asset_check_evaluations()] == ["filled"]


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        ([dg.AssetCheckSpec("a", asset="other")], "looks at an asset that it does not make"),
        ([dg.AssetCheckSpec("a", asset="made")] * 2, "twice"),
    ],
)
def test_specs_that_cannot_be(specs, message):
    with pytest.raises(dg.InvalidDefinitionError, match=message):
        dg.asset(name="made", check_specs=specs)(lambda: None)
