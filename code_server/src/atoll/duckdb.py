"""Tables in DuckDB: an IO manager that keeps each asset in a table of a database file.

Called by users, who put `DuckDBIOManager(database=...)` into `Definitions(resources=...)`. It needs
the extra `atoll[duckdb]`; nothing else of the distribution knows it.
"""

import contextlib
import importlib
from collections.abc import Generator, Mapping
from typing import Any, Literal

import pydantic

from atoll import errors
from atoll._definitions import annotations, table_metadata, tables
from atoll._execution import (
    configurable_io_managers,
    io_contexts,
    partition_conditions,
    table_columns,
    value_formats,
    waiting,
)

__all__ = ["DuckDBIOManager"]

SCHEMA_METADATA = "schema"
DEFAULT_SCHEMA = "public"
_VALUE = "atoll_value"
_PAUSE_S = 0.05
_PAUSE_MAX_S = 1.0


class DuckDBIOManager(configurable_io_managers.ConfigurableIOManager):
    """Keeps each asset in a table of a DuckDB file: `<schema>.<last part of the key>`.

    It takes and gives data frames of pandas and polars, lazy frames, and tables of pyarrow, as the
    parameter is annotated; the index of a pandas frame is not kept. A value replaces the table. Of
    a partitioned asset, it replaces the rows of the partitions of the run: its metadata
    `partition_expr` is the SQL expression that tells to which partition a row belongs, or a dict of
    one a dimension. Each value is stored in one transaction. The metadata `columns` of an input
    chooses columns.

    Attributes:
        database: The file.
        schema: The schema of tables whose asset has no metadata `schema`; the part of the key
            before the last where not given, else `public`.
        connection_config: Settings of the connection.
        load_as: As what a parameter without an annotation gets a table.
        lock_timeout_s: How long to wait for another process that has the file open.

    Example:
        `Definitions(assets=[...], resources={"io_manager": DuckDBIOManager(database="my.db")})`
    """

    model_config = pydantic.ConfigDict(populate_by_name=True)

    database: str
    schema_: str | None = pydantic.Field(default=None, alias="schema")
    connection_config: dict[str, Any] = pydantic.Field(default_factory=dict)
    load_as: Literal["pandas", "polars", "pyarrow"] = "pandas"
    lock_timeout_s: float = 30.0

    def handle_output(self, context: io_contexts.OutputContext, obj: Any) -> None:
        """Store a table, or the rows of partitions.

        Args:
            context: What belongs to it.
            obj: The table.

        Raises:
            InvariantViolationError: It is no table, or nothing tells the partitions of rows.
        """
        if value_formats.table_class(type(obj)) is None:
            raise errors.InvariantViolationError(
                f"{self._shown(context)} is kept in DuckDB and got a {type(obj).__name__}. Return "
                "a pandas or polars DataFrame, a LazyFrame or a pyarrow Table, or give the asset "
                "another io_manager_key."
            )
        condition = partition_conditions.condition_of(context, context.definition_metadata)
        schema, table = self._place(context, context.definition_metadata)
        target = f"{_quoted(schema)}.{_quoted(table)}"
        with self._connected() as connection, _transaction(connection):
            connection.register(_VALUE, obj)
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {_quoted(schema)}")
            if condition is None:
                connection.execute(f"CREATE OR REPLACE TABLE {target} AS FROM {_VALUE}")
                rows = _count(connection, target, "TRUE")
            else:
                connection.execute(f"CREATE TABLE IF NOT EXISTS {target} AS FROM {_VALUE} LIMIT 0")
                connection.execute(f"DELETE FROM {target} WHERE {condition}")  # noqa: S608 - as in _count
                connection.execute(f"INSERT INTO {target} BY NAME FROM {_VALUE}")
                rows = _count(connection, target, condition)
                self._warn_of_strays(context, connection, condition)
            columns = _columns(connection, target)
        facts = table_metadata.TableMetadataSet(
            table_name=f"{schema}.{table}",
            storage_kind="duckdb",
            column_schema=columns,
            row_count=rows if condition is None else None,
            partition_row_count=rows if _is_of_one(context) else None,
        )
        context.add_output_metadata({**facts})

    def load_input(self, context: io_contexts.InputContext) -> Any:
        """Load a table, or the rows of the partitions that are needed.

        Args:
            context: Which ones.

        Returns:
            The rows, as the parameter is annotated.

        Raises:
            ValueNotFoundError: There is no such table.
            StoredValueError: The table lacks columns that the input asks for.
        """
        upstream = context.upstream_output
        metadata = upstream.definition_metadata if upstream is not None else {}
        condition = partition_conditions.condition_of(context, metadata)
        schema, table = self._place(context, metadata)
        target = f"{_quoted(schema)}.{_quoted(table)}"
        wanted = table_columns.selected(context.definition_metadata)
        name = f"{schema}.{table}"
        with self._connected() as connection:
            try:
                known = connection.sql(f"FROM {target} LIMIT 0").columns
            except _duckdb().CatalogException as error:
                raise errors.ValueNotFoundError(
                    f"{self._shown(context)} has no table {name!r} in {self.database}. "
                    "Materialize it first.",
                    name,
                ) from error
            try:
                table_columns.check(wanted or (), known)
            except table_columns.MissingColumnsError as error:
                raise errors.StoredValueError(f"The table {name!r} {error}", name) from error
            chosen = ", ".join(map(_quoted, wanted)) if wanted else "*"
            where = "" if condition is None else f" WHERE {condition}"
            query = f"SELECT {chosen} FROM {target}{where}"  # noqa: S608 - names are quoted, the expression is the author's
            return self._read(connection.sql(query), context.python_type)

    def _read(self, relation: Any, python_type: Any) -> Any:
        told = (
            None if python_type is annotations.UNKNOWN else value_formats.table_class(python_type)
        )
        library = (told or self.load_as).partition(".")[0]
        if library == "pandas":
            return relation.df()
        table = relation.to_arrow_table()
        if library == "pyarrow":
            return table
        frame = importlib.import_module("polars").from_arrow(table)
        return frame.lazy() if told == value_formats.LAZY_FRAME else frame

    def _place(
        self,
        context: io_contexts.OutputContext | io_contexts.InputContext,
        metadata: Mapping[str, Any],
    ) -> tuple[str, str]:
        """Return the schema and the table of a value."""
        given = metadata.get(SCHEMA_METADATA)
        told = getattr(given, "value", given) or self.schema_
        if not context.has_asset_key:
            upstream = (
                context.upstream_output
                if isinstance(context, io_contexts.InputContext)
                else context
            )
            name = upstream.name if upstream is not None else context.name
            return str(told or DEFAULT_SCHEMA), name
        *prefix, table = context.asset_key.path
        return str(told or (prefix[-1] if prefix else DEFAULT_SCHEMA)), table

    @contextlib.contextmanager
    def _connected(self) -> Generator[Any, None, None]:
        if self.database.startswith(":memory:") or not self.database:
            raise errors.InvalidConfigError(
                f"A DuckDBIOManager keeps tables in a file, got database={self.database!r}: what "
                "is in memory is gone with the connection. Give the path of a file.",
                ("database",),
                self.database,
            )
        connection = self._connect()
        try:
            yield connection
        finally:
            connection.close()

    def _connect(self) -> Any:
        library = _duckdb()
        waited, pause = 0.0, _PAUSE_S
        while True:
            try:
                return library.connect(database=self.database, config=self.connection_config)
            except library.IOException as error:
                # Another process has the file open for writing: the steps of a run may each be one.
                if waited >= self.lock_timeout_s or "lock" not in str(error):
                    raise
            waiting.pause(pause)
            waited += pause
            pause = min(2 * pause, _PAUSE_MAX_S)

    def _warn_of_strays(
        self, context: io_contexts.OutputContext, connection: Any, condition: str
    ) -> None:
        strays = _count(connection, _VALUE, f"({condition}) IS NOT TRUE")
        if strays:
            context.log.warning(
                "%s gave %d rows that belong to none of the partitions of the run. They are stored "
                "as well, and again each time it runs.",
                self._shown(context),
                strays,
            )

    def _shown(self, context: io_contexts.OutputContext | io_contexts.InputContext) -> str:
        if context.has_asset_key:
            return f"The asset {context.asset_key.to_user_string()!r}"
        return f"The output {'/'.join(context.get_identifier())!r}"


def _duckdb() -> Any:
    try:
        return importlib.import_module("duckdb")
    except ModuleNotFoundError as error:
        raise errors.InvalidDefinitionError(
            "DuckDBIOManager needs duckdb, which is not installed here. Install atoll[duckdb]."
        ) from error


@contextlib.contextmanager
def _transaction(connection: Any) -> Generator[None, None, None]:
    connection.begin()
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _count(connection: Any, table: str, condition: str) -> int:
    query = f"SELECT count(*) FROM {table} WHERE {condition}"  # noqa: S608 - names are quoted, the expression is the author's
    return int(connection.execute(query).fetchone()[0])


def _columns(connection: Any, table: str) -> tables.TableSchema:
    relation = connection.sql(f"FROM {table} LIMIT 0")
    return tables.TableSchema(
        tables.TableColumn(name, str(kind).lower())
        for name, kind in zip(relation.columns, relation.types, strict=True)
    )


def _is_of_one(context: io_contexts.OutputContext) -> bool:
    return context.has_asset_partitions and len(context.asset_partition_keys) == 1
