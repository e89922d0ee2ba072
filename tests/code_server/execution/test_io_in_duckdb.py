import datetime as dt
import subprocess
import sys

import pytest

import atoll as dg

duckdb = pytest.importorskip("duckdb")
pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")
DuckDBIOManager = pytest.importorskip("atoll.duckdb").DuckDBIOManager

DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-04")
SHOPS = dg.StaticPartitionsDefinition(["x", "it's"])


@pytest.fixture
def database(tmp_path):
    return str(tmp_path / "my.duckdb")


@pytest.fixture
def manager(database):
    return DuckDBIOManager(database=database, schema="mine")


@pytest.fixture
def instance():
    return dg.Instance.ephemeral()


def _rows(database, query):
    with duckdb.connect(database) as connection:
        return connection.execute(query).fetchall()


def _day(key):
    return dt.datetime.fromisoformat(key)


@dg.asset
def numbers():
    return pd.DataFrame({"n": [1, 2, 3], "name": ["a", "b", None]})


@dg.asset(partitions_def=DAYS, metadata={"partition_expr": "moment"})
def events(context):
    first = _day(context.partition_key)
    return pd.DataFrame({"moment": [first, first + dt.timedelta(hours=23)], "n": [1, 2]})


def test_an_asset_is_a_table(manager, database):
    result = dg.materialize([numbers], resources={"io_manager": manager})
    assert _rows(database, "SELECT n, name FROM mine.numbers") == [(1, "a"), (2, "b"), (3, None)]
    (made,) = result.asset_materializations_for_node("numbers")
    facts = dg.TableMetadataSet.extract(made.metadata)
    assert (facts.row_count, facts.partition_row_count) == (3, None)
    assert (facts.table_name, facts.storage_kind) == ("mine.numbers", "duckdb")
    assert [(one.name, one.type) for one in facts.column_schema.columns] == [
        ("n", "bigint"),
        ("name", "varchar"),
    ]


def test_a_new_value_replaces_the_table_whatever_its_columns(manager, database):
    dg.materialize([numbers], resources={"io_manager": manager})

    @dg.asset(name="numbers")
    def others():
        return pa.table({"m": [1]})

    dg.materialize([others], resources={"io_manager": manager})
    assert _rows(database, "FROM mine.numbers") == [(1,)]


@pytest.mark.parametrize(
    ("schema", "key", "metadata", "table"),
    [
        (None, "t", {}, "public.t"),
        (None, ["raw", "shop", "t"], {}, "shop.t"),
        ("mine", ["raw", "shop", "t"], {}, "mine.t"),
        ("mine", "t", {"schema": "other"}, "other.t"),
        (None, ['we"ird', "a b"], {}, '"we""ird"."a b"'),
    ],
)
def test_where_the_table_is(database, schema, key, metadata, table):
    @dg.asset(key=key, metadata=metadata)
    def made():
        return pa.table({"n": [1]})

    manager = DuckDBIOManager(database=database, schema=schema)
    dg.materialize([made], resources={"io_manager": manager})
    assert _rows(database, f"FROM {table}") == [(1,)]
    defs = dg.Definitions(assets=[made], resources={"io_manager": manager})
    assert len(defs.load_asset_value(key)) == 1


def test_the_annotation_decides_as_what_a_table_is_loaded(manager):
    pl = pytest.importorskip("polars")
    defs = dg.Definitions(assets=[numbers], resources={"io_manager": manager})
    dg.materialize([numbers], resources={"io_manager": manager})
    for kind in (pd.DataFrame, pl.DataFrame, pl.LazyFrame, pa.Table):
        assert type(defs.load_asset_value("numbers", python_type=kind)) is kind
    assert type(defs.load_asset_value("numbers")) is pd.DataFrame


def test_what_a_parameter_without_an_annotation_gets_can_be_chosen(database):
    manager = DuckDBIOManager(database=database, load_as="pyarrow")
    dg.materialize([numbers], resources={"io_manager": manager})
    defs = dg.Definitions(assets=[numbers], resources={"io_manager": manager})
    assert type(defs.load_asset_value("numbers")) is pa.Table


def test_frames_of_polars_are_stored(manager, database):
    pl = pytest.importorskip("polars")

    @dg.asset
    def eager():
        return pl.DataFrame({"n": [1]})

    @dg.asset
    def lazy():
        return pl.DataFrame({"n": [2, 3]}).lazy().filter(pl.col("n") > 2)

    dg.materialize([eager, lazy], resources={"io_manager": manager})
    assert _rows(database, "FROM mine.eager UNION ALL FROM mine.lazy") == [(1,), (3,)]


def test_columns_are_chosen_by_the_input(manager):
    @dg.asset(ins={"numbers": dg.AssetIn(metadata={"columns": ["name"]})})
    def names(numbers):
        return numbers

    @dg.asset(ins={"numbers": dg.AssetIn(metadata={"columns": ["title"]})})
    def wrong(numbers):
        return numbers

    resources = {"io_manager": manager}
    result = dg.materialize([numbers, names], resources=resources)
    assert list(result.asset_value("names").columns) == ["name"]
    with pytest.raises(dg.StoredValueError, match="no column 'title'; it has n, name"):
        dg.materialize([numbers, wrong], selection=[wrong], resources=resources)


def test_a_partition_replaces_its_own_rows(manager, database, instance):
    for key in ("2026-01-01", "2026-01-02", "2026-01-01"):
        result = dg.materialize(
            [events], resources={"io_manager": manager}, instance=instance, partition_key=key
        )
    assert _rows(database, "SELECT count(*), count(DISTINCT moment) FROM mine.events") == [(4, 4)]
    (made,) = result.asset_materializations_for_node("events")
    facts = dg.TableMetadataSet.extract(made.metadata)
    assert (facts.row_count, facts.partition_row_count) == (None, 2)


def test_the_rows_of_the_needed_partitions_are_loaded_as_one_table(manager, instance):
    for key in DAYS.get_partition_keys():
        dg.materialize(
            [events], resources={"io_manager": manager}, instance=instance, partition_key=key
        )
    defs = dg.Definitions(assets=[events], resources={"io_manager": manager})
    with dg.AssetValueLoader(defs, instance=instance) as loader:
        one = loader.load_asset_value("events", partition_key="2026-01-02")
        assert sorted({str(at.date()) for at in one["moment"]}) == ["2026-01-02"]
        span = dg.PartitionKeyRange("2026-01-02", "2026-01-03")
        assert len(loader.load_asset_value("events", partition_key_range=span)) == 4
        assert len(loader.load_asset_value("events")) == 6


def test_a_run_for_a_range_stores_one_table_for_all(manager, database, instance):
    @dg.asset(
        partitions_def=DAYS,
        metadata={"partition_expr": "moment"},
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def ranged(context):
        return pa.table({"moment": [_day(key) for key in context.partition_keys]})

    tags = {
        "atoll/asset_partition_range_start": "2026-01-01",
        "atoll/asset_partition_range_end": "2026-01-02",
    }
    for _ in range(2):
        dg.materialize([ranged], resources={"io_manager": manager}, instance=instance, tags=tags)
    assert _rows(database, "SELECT count(*) FROM mine.ranged") == [(2,)]


def test_static_partitions_are_told_by_their_keys(manager, database, instance):
    @dg.asset(partitions_def=SHOPS, metadata={"partition_expr": "shop"})
    def sales(context):
        return pa.table({"shop": [context.partition_key], "n": [1]})

    for key in ("x", "it's", "it's"):
        dg.materialize(
            [sales], resources={"io_manager": manager}, instance=instance, partition_key=key
        )
    assert _rows(database, "SELECT shop FROM mine.sales ORDER BY n, shop") == [("it's",), ("x",)]


def test_each_dimension_has_an_expression(manager, database, instance):
    both = dg.MultiPartitionsDefinition({"day": DAYS, "shop": SHOPS})

    @dg.asset(partitions_def=both, metadata={"partition_expr": {"day": "moment", "shop": "shop"}})
    def crossed(context):
        parts = context.partition_key.keys_by_dimension
        return pa.table({"moment": [_day(parts["day"])], "shop": [parts["shop"]]})

    for day, shop in [("2026-01-01", "x"), ("2026-01-01", "it's"), ("2026-01-02", "x")] * 2:
        key = dg.MultiPartitionKey({"day": day, "shop": shop})
        dg.materialize(
            [crossed], resources={"io_manager": manager}, instance=instance, partition_key=key
        )
    assert _rows(database, "SELECT count(*) FROM mine.crossed") == [(3,)]
    defs = dg.Definitions(assets=[crossed], resources={"io_manager": manager})
    assert len(defs.load_asset_value("crossed", partition_key="2026-01-01|it's")) == 1
    assert len(defs.load_asset_value("crossed")) == 3


@pytest.mark.parametrize(
    ("partitions_def", "metadata", "words"),
    [
        (DAYS, {}, "'partition_expr': '<column>'"),
        (DAYS, {"partition_expr": {"day": "moment"}}, "'partition_expr': '<column>'"),
        (
            dg.MultiPartitionsDefinition({"day": DAYS, "shop": SHOPS}),
            {"partition_expr": {"day": "moment"}},
            "'day': '<column>', 'shop': '<column>'",
        ),
    ],
    ids=["none", "a dict for one", "one dimension only"],
)
def test_nothing_is_stored_where_nothing_tells_partitions_apart(
    manager, database, instance, partitions_def, metadata, words
):
    @dg.asset(partitions_def=partitions_def, metadata=metadata)
    def made():
        return pa.table({"moment": [1]})

    key = partitions_def.get_partition_keys()[0]
    with pytest.raises(dg.InvariantViolationError, match=words):
        dg.materialize(
            [made], resources={"io_manager": manager}, instance=instance, partition_key=key
        )
    assert _rows(database, "SELECT count(*) FROM duckdb_tables()") == [(0,)]


def test_rows_of_no_partition_of_the_run_are_told(manager, instance):
    @dg.asset(partitions_def=DAYS, metadata={"partition_expr": "moment"})
    def stray():
        return pa.table({"moment": [_day("2026-01-01"), _day("2025-01-01"), None]})

    result = dg.materialize(
        [stray],
        resources={"io_manager": manager},
        instance=instance,
        partition_key="2026-01-01",
    )
    assert any("2 rows that belong to none" in one.message for one in result.all_log_messages)


def test_what_fails_leaves_the_rows_as_they_were(manager, database, instance):
    wrong = False

    @dg.asset(partitions_def=DAYS, metadata={"partition_expr": "moment"})
    def changing(context):
        column = "other" if wrong else "n"
        return pa.table({"moment": [_day(context.partition_key)], column: [1]})

    def make():
        dg.materialize(
            [changing],
            resources={"io_manager": manager},
            instance=instance,
            partition_key="2026-01-01",
        )

    make()
    wrong = True
    with pytest.raises(duckdb.Error, match="other"):
        make()
    assert _rows(database, "SELECT n FROM mine.changing") == [(1,)]


def test_what_is_no_table_is_refused(manager):
    @dg.asset
    def text():
        return "x"

    with pytest.raises(dg.InvariantViolationError, match=r"'text'.*got a str.*DataFrame"):
        dg.materialize([text], resources={"io_manager": manager})


def test_a_missing_table_is_told(manager):
    defs = dg.Definitions(assets=[numbers], resources={"io_manager": manager})
    with pytest.raises(dg.ValueNotFoundError, match=r"'numbers' has no table 'mine\.numbers'"):
        defs.load_asset_value("numbers")


def test_what_is_in_memory_only_is_refused():
    manager = DuckDBIOManager(database=":memory:")
    with pytest.raises(dg.InvalidConfigError, match="keeps tables in a file"):
        dg.materialize([numbers], resources={"io_manager": manager})


HOLDER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.readline()
"""


@pytest.mark.slow
def test_a_file_that_another_process_has_open_is_waited_for(manager, database):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, database],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout.readline() == "open\n"
        short = DuckDBIOManager(database=database, lock_timeout_s=0.0)
        with pytest.raises(duckdb.IOException, match="lock"):
            dg.materialize([numbers], resources={"io_manager": short})
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert dg.materialize([numbers], resources={"io_manager": manager}).success


def test_values_of_outputs_that_are_no_assets_are_tables_too(manager, database):
    @dg.op(out={"rows": dg.Out(metadata={"schema": "ops"})})
    def rows():
        return pa.table({"n": [1]})

    @dg.op
    def counted(table: pa.Table):
        return pa.table({"count": [table.num_rows]})

    @dg.job(resource_defs={"io_manager": manager})
    def job():
        counted(rows())

    assert job.execute_in_process().success
    assert _rows(database, "FROM ops.rows") == [(1,)]
    assert _rows(database, "FROM mine.result") == [(1,)]
