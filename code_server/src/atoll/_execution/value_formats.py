"""The formats in which the default IO manager writes values, chosen by the type of the value.

Called by `storing`. Tables become Parquet, plain data JSON, everything else pickle. The libraries
of tables are imported only when a value or an annotation already shows that they are in use, so
that none of them is a dependency.
"""

import dataclasses
import importlib
import json
import math
import pathlib
import pickle
import types
import typing
from collections.abc import Sequence
from typing import Any

from atoll._definitions import annotations, metadata
from atoll._execution import table_columns

JSON = "json"
PARQUET = "parquet"
PICKLE = "pickle"
LAZY_FRAME = "polars.LazyFrame"

# (first part of the module, name of the class) of the types that are stored as Parquet.
_TABLES = {
    ("pandas", "DataFrame"): "pandas.DataFrame",
    ("polars", "DataFrame"): "polars.DataFrame",
    ("polars", "LazyFrame"): LAZY_FRAME,
    ("pyarrow", "Table"): "pyarrow.Table",
}
_SCALARS = frozenset({str, int, float, bool, type(None)})
_DEPTH_MAX = 100
# Python refuses to read longer numbers back from text.
_INT_BITS_MAX = 10_000


@dataclasses.dataclass(frozen=True, slots=True)
class Written:
    """What was written.

    Attributes:
        format: The format.
        row_count: The number of rows, for tables.
        fallback_reason: Why a table was pickled, empty where nothing was wrong.
    """

    format: str
    row_count: int | None = None
    fallback_reason: str = ""


class MissingLibraryError(Exception):
    """A library that a value needs is not installed here."""

    def __init__(self, library: str) -> None:
        super().__init__(library)
        self.library = library


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """As what a value is read.

    Attributes:
        python_type: What the consumer is annotated with, `UNKNOWN` where it is not.
        columns: The columns of a table that are read; None for all.
    """

    python_type: Any = annotations.UNKNOWN
    columns: Sequence[str] | None = None


def table_class(kind: Any) -> str | None:
    """Return the name of a table type, looking into unions, None for what is no table.

    Args:
        kind: A type or an annotation.

    Returns:
        The name under which users know it, such as `pandas.DataFrame`, or None.
    """
    if isinstance(kind, type):
        return _TABLES.get((kind.__module__.partition(".")[0], kind.__name__))
    if typing.get_origin(kind) in (typing.Union, types.UnionType, typing.Annotated):
        found = [table_class(argument) for argument in typing.get_args(kind)]
        return next((one for one in found if one is not None), None)
    return None


def type_name(value: Any) -> str:
    """Return the name under which the type of a value is noted."""
    kind = metadata.kind_of(value)
    return table_class(kind) or f"{kind.__module__}.{kind.__qualname__}"


def write(value: Any, stem: pathlib.Path) -> tuple[pathlib.Path, Written]:
    """Write a value to a new file.

    Args:
        value: The value.
        stem: The path of the file without its ending.

    Returns:
        The path of the file and what was written.

    Raises:
        Exception: Whatever pickle raises where the value cannot be pickled.
    """
    kind = table_class(type(value))
    reason = ""
    if kind is not None:
        path = _with_ending(stem, PARQUET)
        try:
            return path, Written(PARQUET, row_count=_write_table(kind, value, path))
        except MissingLibraryError as error:
            reason = f"{error.library} is not installed where it was written"
        except Exception as error:  # noqa: BLE001 - boundary to the libraries; told as the reason of the fallback
            reason = f"{_library_of(kind)} cannot write it as Parquet: {error}"
        path.unlink(missing_ok=True)
    elif is_plain(value):
        path = _with_ending(stem, JSON)
        path.write_text(json.dumps(value, allow_nan=False), encoding="ascii")
        return path, Written(JSON)
    path = _with_ending(stem, PICKLE)
    with path.open("wb") as file:
        pickle.dump(value, file, protocol=pickle.HIGHEST_PROTOCOL)
    rows = _row_count(kind, value) if kind is not None else None
    return path, Written(PICKLE, row_count=rows, fallback_reason=reason)


def read(path: pathlib.Path, value_format: str, noted_type: str, wanted: Wanted) -> Any:
    """Read a value.

    Args:
        path: The file.
        value_format: Its format.
        noted_type: The type that was noted when it was written.
        wanted: As what it is read. Columns are chosen of tables only.

    Returns:
        The value. A lazy frame reads the file when it is collected.

    Raises:
        MissingLibraryError: A table needs a library that is not installed here.
        MissingColumnsError: The table has no such columns.
    """
    if value_format == JSON:
        return json.loads(path.read_text(encoding="ascii"))
    if value_format == PARQUET:
        asked = table_class(wanted.python_type)
        return _read_table(asked or noted_type, path, wanted.columns)
    with path.open("rb") as file:
        value = pickle.load(file)  # noqa: S301 - only what this location wrote itself; checked by the caller
    kind = table_class(type(value))
    if wanted.columns is None or kind is None:
        return value
    table_columns.check(wanted.columns, list(_names_in(kind, value)))
    return value.select(wanted.columns) if hasattr(value, "select") else value[[*wanted.columns]]


def is_plain(value: Any, depth: int = 0) -> bool:
    """Tell whether JSON gives a value back exactly: the same types, values and order.

    Args:
        value: The value.
        depth: How deep it stands inside another.

    Returns:
        Whether it does.
    """
    kind = metadata.kind_of(value)
    if kind in _SCALARS:
        return _is_exact_scalar(value)
    if depth >= _DEPTH_MAX:
        return False
    if kind is list:
        return all(is_plain(item, depth + 1) for item in value)
    if kind is dict:
        return all(
            type(key) is str and _is_exact_scalar(key) and is_plain(item, depth + 1)
            for key, item in value.items()
        )
    return False


def _is_exact_scalar(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value)
    return not isinstance(value, int) or value.bit_length() <= _INT_BITS_MAX


def _with_ending(stem: pathlib.Path, ending: str) -> pathlib.Path:
    return stem.with_name(f"{stem.name}.{ending}")


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingLibraryError(name.partition(".")[0]) from error


def _library_of(kind: str) -> str:
    return kind.partition(".")[0]


def _write_table(kind: str, value: Any, path: pathlib.Path) -> int | None:
    """Write a table; return the number of its rows."""
    if kind == LAZY_FRAME:
        # Written as it is computed, without the whole of it in memory.
        value.sink_parquet(path)
        polars = _library("polars")
        return int(polars.scan_parquet(path).select(polars.len()).collect().item())
    if _library_of(kind) == "polars":
        value.write_parquet(path)
        return _row_count(kind, value)
    parquet = _library("pyarrow.parquet")
    is_arrow = _library_of(kind) == "pyarrow"
    parquet.write_table(value if is_arrow else _library("pyarrow").Table.from_pandas(value), path)
    return _row_count(kind, value)


def _row_count(kind: str, value: Any) -> int | None:
    if kind == LAZY_FRAME:
        return None
    return int(value.num_rows if _library_of(kind) == "pyarrow" else len(value))


def _names_in(kind: str, value: Any) -> Any:
    if kind == LAZY_FRAME:
        return value.collect_schema().names()
    return value.column_names if _library_of(kind) == "pyarrow" else value.columns


def _read_table(kind: str, path: pathlib.Path, columns: Sequence[str] | None) -> Any:
    library = _library_of(kind)
    if library == "polars":
        polars = _library("polars")
        if columns is not None:
            table_columns.check(columns, list(polars.read_parquet_schema(path)))
        if kind == LAZY_FRAME:
            lazy = polars.scan_parquet(path)
            return lazy if columns is None else lazy.select(columns)
        return polars.read_parquet(path, columns=columns)
    if library == "pandas":
        _library("pandas")
    parquet = _library("pyarrow.parquet")
    if columns is not None:
        table_columns.check(columns, parquet.read_schema(path).names)
    # What pandas noted of the index is kept with the chosen columns.
    table = (
        parquet.read_table(path, columns=columns, use_pandas_metadata=library == "pandas")
        if columns is not None
        else parquet.read_table(path)
    )
    return table.to_pandas() if library == "pandas" else table
