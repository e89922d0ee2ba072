"""The checks of columns and of numbers among the metadata that Atoll brings along."""

import pytest

import atoll as dg

WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR


def _table(metadata):
    @dg.asset
    def table():
        return dg.MaterializeResult(metadata=metadata)

    return table


def _evaluate(checks, *told):
    """Materialize once for each metadata and return what the last evaluation found."""
    found = None
    with dg.instance_for_test() as instance:
        for metadata in told:
            result = dg.materialize([_table(metadata), *checks], instance=instance)
            (found,) = result.get_asset_check_evaluations()
    return found


def _schema(**columns):
    made = dg.TableSchema([dg.TableColumn(name, kind) for name, kind in columns.items()])
    return {"atoll/column_schema": made}


def _columns(**options):
    return dg.build_column_schema_change_checks(assets=["table"], **options)


def test_columns_that_changed():
    before, after = _schema(a="int", b="text", c="int"), _schema(d="int", b="date", a="int")
    found = _evaluate(_columns(), before, after)
    assert (found.check_name, found.passed, found.severity) == (
        "column_schema_change",
        False,
        WARN,
    )
    assert found.description == (
        "The columns changed. added: d; removed: c; other type: b (text -> date)."
    )
    assert {name: value.value for name, value in found.metadata.items()} == {
        "added": ["d"],
        "removed": ["c"],
        "changed_types": {"b": "text -> date"},
    }


@pytest.mark.parametrize(
    ("told", "passed", "words"),
    [
        ([_schema(a="int")], True, "no two materializations"),
        ([_schema(a="int", b="int"), _schema(b="int", a="int")], True, "as they were"),
        ([_schema(a="int"), _schema(a="text"), _schema(a="text")], True, "as they were"),
        ([_schema(a="int"), {}], False, "The newest materialization does not tell its columns"),
        ([{}, _schema(a="int")], False, "The previous materialization does not tell its columns"),
        ([_schema(a="int"), {"atoll/column_schema": "a"}], False, "newest"),
    ],
)
def test_columns_that_are_as_they_were_or_unknown(told, passed, words):
    found = _evaluate(_columns(severity=ERROR), *told)
    assert (found.passed, found.severity) == (passed, ERROR)
    assert words in found.description


def _bounds(**options):
    return dg.build_metadata_bounds_checks(
        **{"assets": ["table"], "metadata_key": "atoll/row_count", **options}
    )


@pytest.mark.parametrize(
    ("options", "value", "passed", "words"),
    [
        ({"min_value": 5}, 5, True, "is 5, as it should be"),
        ({"min_value": 5, "exclusive_min": True}, 5, False, "is 5, but should be more than 5"),
        ({"max_value": 5}, 6, False, "at most 5"),
        ({"max_value": 5.5}, 5.5, True, "is 5.5"),
        ({"max_value": 5, "exclusive_max": True}, 5, False, "less than 5"),
        ({"min_value": 1, "max_value": 3}, 4, False, "at least 1 and at most 3"),
        ({"min_value": 1}, "many", False, "'many', which is no number"),
        ({"min_value": 0}, True, False, "True, which is no number"),
    ],
)
def test_numbers_and_their_bounds(options, value, passed, words):
    found = _evaluate(_bounds(**options), {"atoll/row_count": value})
    assert (found.check_name, found.passed) == ("atoll_row_count_bounds_check", passed)
    assert words in found.description


def test_what_is_not_told_is_out_of_bounds():
    assert "has no metadata 'atoll/row_count'" in _evaluate(_bounds(min_value=1), {}).description
    defs = dg.Definitions(asset_checks=_bounds(min_value=1))
    result = defs.get_job_def("__ASSET_JOB").execute_in_process()
    (found,) = result.get_asset_check_evaluations()
    assert (found.passed, found.description) == (False, "The asset was never materialized.")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "need a number"),
        ({"min_value": 2, "max_value": 1}, "No number is at least 2 and at most 1"),
        ({"min_value": 2, "max_value": 2, "exclusive_max": True}, "No number"),
        ({"min_value": "2"}, "got '2'"),
        ({"min_value": 2, "assets": []}, "got no assets"),
    ],
)
def test_bounds_that_cannot_be(options, message):
    with pytest.raises(dg.InvalidDefinitionError, match=message):
        _bounds(**options)


def test_several_calls_do_not_get_in_each_others_way():
    checks = [*_bounds(min_value=1), *_bounds(metadata_key="size", max_value=3), *_columns()]
    dg.Definitions(asset_checks=checks).validate_loadable()
    told = next(iter(checks[0].check_specs)).description
    assert (
        told
        == "Whether the metadata 'atoll/row_count' of the newest materialization is at least 1."
    )
