"""Dataframes against schemas of pandera: everything that is wrong is told at once."""

import datetime as dt
from typing import Annotated

import pytest

import atoll as dg
from atoll._definitions import types

pd = pytest.importorskip("pandas")
pytest.importorskip("pandera")
pa = pytest.importorskip("pandera.pandas")


class Prices(pa.DataFrameModel):
    """Prices of the day."""

    name: str = pa.Field(description="The ticker.", unique=True)
    price: float = pa.Field(ge=0, nullable=True)

    class Config:
        strict = True
        unique = ("name", "price")

    @pa.dataframe_check
    def not_empty(cls, frame) -> bool:  # noqa: N805 - pandera makes it a class method
        """There are rows."""
        return len(frame) > 0


def _frame(**columns):
    return pd.DataFrame({"name": ["a", "b"], "price": [1.0, None], **columns})


def test_a_frame_that_fits_passes():
    assert dg.check_type(dg.pandera_schema_to_type(Prices), _frame()).success


def test_all_that_is_wrong_is_told_at_once():
    frame = _frame(name=["a", "a"], price=[-1.0, -2.0])
    said = dg.check_type(dg.pandera_schema_to_type(Prices), frame)
    assert not said.success
    assert "not met: 4" in said.description
    assert "column 'price': greater_than_or_equal_to(0) (2, such as -1.0)" in said.description
    assert "column 'name': field_uniqueness" in said.description
    assert said.metadata["failure_count"].value == 4
    rows = [row.data for row in said.metadata["failure_cases"].records]
    assert {(row["column"], row["failure_case"]) for row in rows} == {
        ("name", "a"),
        ("price", -1.0),
        ("price", -2.0),
    }


def test_a_frame_as_a_whole_is_checked():
    said = dg.check_type(dg.pandera_schema_to_type(Prices), _frame(more=[1, 2]))
    assert "the frame: column_in_schema (1, such as more)" in said.description


def test_of_many_failures_the_first_are_told():
    frame = pd.DataFrame({"name": [str(i) for i in range(100)], "price": [-1.0] * 100})
    said = dg.check_type(dg.pandera_schema_to_type(Prices), frame)
    assert said.metadata["failure_count"].value == 100
    assert len(said.metadata["failure_cases"].records) == 20


def test_what_is_no_frame_is_refused():
    said = dg.check_type(dg.pandera_schema_to_type(Prices), [1])
    assert not said.success
    assert "A value of type list is no dataframe" in said.description
    assert "DataFrame" in said.description


def test_the_type_tells_the_columns():
    priced = dg.pandera_schema_to_type(Prices)
    assert (priced.unique_name, priced.description) == ("Prices", "Prices of the day.")
    assert priced.typing_type is pd.DataFrame
    schema = priced.metadata["schema"].schema
    name, price = schema.columns
    assert (name.name, name.description, name.constraints.unique) == ("name", "The ticker.", True)
    assert (price.name, price.type, price.constraints.nullable) == ("price", "float64", True)
    assert price.constraints.other == ("greater_than_or_equal_to(0)",)
    assert schema.constraints.other == (
        "There are rows.",
        "unique together: name, price",
        "no other columns",
    )


def test_a_schema_made_of_columns():
    schema = pa.DataFrameSchema(
        {"n": pa.Column(int, required=False), "when": pa.Column("datetime64[ns]")}, name="counts"
    )
    counted = dg.pandera_schema_to_type(schema)
    assert counted.unique_name == "counts"
    assert counted.metadata["schema"].schema.columns[0].constraints.other == ("may be left out",)
    frame = pd.DataFrame({"n": [1], "when": [None]}).astype({"when": "datetime64[ns]"})
    said = dg.check_type(counted, frame)
    assert [row.data["failure_case"] for row in said.metadata["failure_cases"].records] == [None]


def test_values_that_are_no_plain_data_are_told_as_text():
    schema = pa.DataFrameSchema(
        {"when": pa.Column("datetime64[ns]", pa.Check.gt(pd.Timestamp("2024-01-01")))}
    )
    frame = pd.DataFrame({"when": [dt.datetime(2020, 1, 1)]}).astype("datetime64[ns]")  # noqa: DTZ001
    said = dg.check_type(dg.pandera_schema_to_type(schema), frame)
    (row,) = said.metadata["failure_cases"].records
    assert row.data["failure_case"].startswith("2020-01-01")


def test_schemas_without_a_name_do_not_meet():
    first, second = (
        dg.pandera_schema_to_type(pa.DataFrameSchema({name: pa.Column(int)})) for name in "ab"
    )
    assert first.unique_name != second.unique_name


def test_a_check_that_raises_is_told_as_a_failure():
    def broken(_series):
        raise ValueError("broken")

    schema = pa.DataFrameSchema({"n": pa.Column(int, pa.Check(broken))})
    said = dg.check_type(dg.pandera_schema_to_type(schema), pd.DataFrame({"n": [1]}))
    assert not said.success
    assert "broken" in said.description


def test_an_annotation_with_a_model_is_the_type_of_the_model():
    typing = pytest.importorskip("pandera.typing")
    annotated = types.resolve(typing.DataFrame[Prices])
    assert annotated is dg.pandera_schema_to_type(Prices)
    assert annotated.type_check(None, _frame()).success
    assert not annotated.type_check(None, _frame(price=[-1.0, 0.0])).success


def test_a_type_may_stand_beside_the_class_in_an_annotation():
    annotation = Annotated[pd.DataFrame, dg.pandera_schema_to_type(Prices)]
    assert types.resolve(annotation) is dg.pandera_schema_to_type(Prices)


def test_only_schemas_become_types():
    with pytest.raises(dg.InvalidDefinitionError, match="takes a DataFrameSchema"):
        dg.pandera_schema_to_type(pd.DataFrame)


def test_frames_of_polars():
    pl = pytest.importorskip("polars")
    pandera_polars = pytest.importorskip("pandera.polars")

    class Counts(pandera_polars.DataFrameModel):
        n: int = pandera_polars.Field(gt=0)

    counted = dg.pandera_schema_to_type(Counts)
    assert counted.typing_type is pl.DataFrame
    assert dg.check_type(counted, pl.DataFrame({"n": [1]})).success
    assert dg.check_type(counted, pl.LazyFrame({"n": [1]})).success
    said = dg.check_type(counted, pl.DataFrame({"n": [0, 1, -1]}))
    assert "column 'n': greater_than(0) (2, such as 0)" in said.description
    assert [row.data["failure_case"] for row in said.metadata["failure_cases"].records] == [
        "0",
        "-1",
    ]
    assert not dg.check_type(counted, pd.DataFrame({"n": [1]})).success
