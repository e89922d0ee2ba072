import pytest

import atoll as dg

T = dg.EventType


def _materialize(*assets, **options):
    return dg.materialize(list(assets), raise_on_error=False, **options)


def _error_of(result):
    (event,) = result.filter_events(T.STEP_FAILURE)
    return event.failure.message


def _types(result, step):
    return [event.event_type for event in result.events_for_node(step)]


def test_a_returned_value_is_stored():
    @dg.asset
    def made():
        return {"a": [1]}

    result = _materialize(made)
    assert result.success
    assert result.asset_value("made") == result.output_for_node("made") == {"a": [1]}
    assert T.HANDLED_OUTPUT in _types(result, "made")


def test_an_unannotated_none_is_a_value():
    @dg.asset
    def nothing(): ...

    @dg.asset
    def below(nothing):
        return nothing is None

    assert _materialize(nothing, below).asset_value("below") is True


def test_a_function_annotated_with_none_stores_nothing():
    @dg.asset
    def silent() -> None: ...

    @dg.asset
    def silent_text() -> "None": ...

    @dg.asset(deps=[silent, silent_text])
    def below() -> None: ...

    result = _materialize(silent, silent_text, below)
    assert result.success
    for step in ("silent", "silent_text", "below"):
        assert _types(result, step) == [
            T.STEP_START, T.STEP_OUTPUT, T.ASSET_MATERIALIZATION, T.STEP_SUCCESS,
        ]  # fmt: skip


def test_a_materialize_result_stores_only_a_value_it_brings():
    @dg.asset
    def bare() -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata={"rows": 3}, tags={"a": "b"})

    @dg.asset
    def valued():
        return dg.MaterializeResult(value=[1], metadata={"rows": 1})

    result = _materialize(bare, valued)
    assert T.HANDLED_OUTPUT not in _types(result, "bare")
    (materialization,) = result.asset_materializations_for_node("bare")
    assert materialization.metadata == {"rows": dg.IntMetadataValue(3)}
    own = {"a": "b", "atoll/code_version": result.run_id}
    assert {name: materialization.tags[name] for name in own} == own
    assert set(materialization.tags) == {*own, "atoll/data_version"}
    assert result.asset_value("valued") == [1]


def test_loading_what_stores_nothing_says_so():
    @dg.asset
    def silent() -> None: ...

    @dg.asset
    def below(silent): ...

    assert "stores no value" in _error_of(_materialize(silent, below))


def test_a_generator_yields_results_and_events_in_order():
    @dg.asset
    def several(context):
        yield dg.AssetObservation("seen", metadata={"n": 1})
        context.add_output_metadata({"early": 1})
        yield dg.Output([1], metadata={"own": 2})
        yield dg.AssetMaterialization("side")

    result = _materialize(several)
    assert _types(result, "several") == [
        T.STEP_START, T.ASSET_OBSERVATION, T.STEP_OUTPUT, T.ASSET_MATERIALIZATION,
        T.HANDLED_OUTPUT, T.ASSET_MATERIALIZATION, T.STEP_SUCCESS,
    ]  # fmt: skip
    own, side = result.asset_materializations_for_node("several")
    assert {"early", "own", "path"} <= set(own.metadata)
    assert side.asset_key == dg.AssetKey("side")
    (observation,) = result.asset_observations_for_node("several")
    assert observation.asset_key == dg.AssetKey("seen")


def test_an_optional_result_that_is_left_out_skips_what_depends_on_it():
    @dg.asset(output_required=False)
    def maybe():
        if False:
            yield dg.Output(1)

    @dg.asset
    def below(maybe): ...

    result = _materialize(maybe, below)
    assert result.success
    assert result.asset_materializations_for_node("maybe") == []
    assert _types(result, "below") == [T.STEP_SKIPPED]


def test_a_required_result_that_is_left_out_is_an_error():
    @dg.asset
    def forgetful():
        if False:
            yield dg.Output(1)

    with pytest.raises(dg.StepOutputNotFoundError, match="without a result"):
        dg.materialize([forgetful])


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([1], "yielded 1"),
        ([dg.Output(1), dg.Output(2)], "twice"),
        ([dg.Output(1, output_name="other")], "'other'"),
        ([dg.MaterializeResult(asset_key="other")], "'other'"),
    ],
)
def test_what_a_generator_may_not_yield(items, message):
    @dg.asset
    def wrong():
        yield from items

    assert message in _error_of(_materialize(wrong))


def test_annotations_are_held_to():
    @dg.asset
    def silent() -> None:
        return 5

    @dg.asset
    def told() -> dg.MaterializeResult:
        return 5

    @dg.asset
    def event():
        return dg.AssetMaterialization("event")

    assert "annotated to return None" in _error_of(_materialize(silent))
    assert "annotated to return MaterializeResult" in _error_of(_materialize(told))
    assert "Yield it" in _error_of(_materialize(event))


def test_metadata_of_the_context_reaches_the_materialization():
    @dg.asset
    def told(context):
        context.add_output_metadata({"a": 1, "b": 1})
        context.add_output_metadata({"b": 2}, output_name="result")
        context.add_asset_metadata({"c": 3})
        return dg.Output(1, metadata={"d": 4})

    (materialization,) = _materialize(told).asset_materializations_for_node("told")
    plain = {name: value.value for name, value in materialization.metadata.items()}
    assert {name: plain[name] for name in "abcd"} == {"a": 1, "b": 2, "c": 3, "d": 4}


def test_the_clean_up_of_a_generator_runs_when_it_goes_wrong():
    cleaned = []

    @dg.asset
    def careful():
        try:
            yield "wrong"
        finally:
            cleaned.append(True)

    assert not _materialize(careful).success
    assert cleaned == [True]


def test_the_users_own_exception_is_raised():
    @dg.asset
    def broken():
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        dg.materialize([broken])
    result = _materialize(broken)
    assert result.get_failed_step_keys() == {"broken"}
    assert result.failure_data_for_node("broken").message == "mine"
    with pytest.raises(dg.StepOutputNotFoundError):
        result.asset_value("broken")


def test_only_the_selection_runs_and_loads_what_is_stored():
    ran = []

    @dg.asset
    def up():
        ran.append("up")
        return 1

    @dg.asset
    def down(up):
        ran.append("down")
        return up + 1

    instance = dg.Instance.ephemeral()
    _materialize(up, down, instance=instance, selection=[up])
    result = _materialize(up, down, instance=instance, selection="down")
    assert result.asset_value("down") == 2
    assert ran == ["up", "down"]
    fresh = _materialize(up, down, selection="down")
    assert "No value of 'up'" in _error_of(fresh)


def test_assets_that_do_not_fit_together_do_not_run():
    @dg.asset
    def one(): ...

    with pytest.raises(dg.InvalidDefinitionError, match="2 times"):
        dg.materialize([one, dg.AssetSpec("one")])


def test_keyword_inputs():
    @dg.asset
    def one():
        return 1

    @dg.asset(ins={"x": dg.AssetIn("one")})
    def kw(**values):
        return values

    assert _materialize(one, kw).asset_value("kw") == {"x": 1}
