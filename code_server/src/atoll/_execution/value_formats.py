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
from typing import Any

from atoll._definitions import annotations, metadata

JSON = "json"
PARQUET = "parquet"
PICKLE = "pickle"

# (first part of the module, name of the class) of the types that are stored as Parquet.
_TABLES = {
    ("pandas", "DataFrame"): "pandas",
    ("polars", "DataFrame"): "polars",
    ("pyarrow", "Table"): "pyarrow",
}
_TABLE_CLASSES = {
    "pandas": "pandas.DataFrame",
    "polars": "polars.DataFrame",
    "pyarrow": "pyarrow.Table",
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


def table_library(kind: Any) -> str | None:
    """Return the library of a table type, looking into unions, None for what is no table.

    Args:
        kind: A type or an annotation.

    Returns:
        `pandas`, `polars`, `pyarrow` or None.
    """
    if isinstance(kind, type):
        return _TABLES.get((kind.__module__.partition(".")[0], kind.__name__))
    if typing.get_origin(kind) in (typing.Union, types.UnionType, typing.Annotated):
        found = [table_library(argument) for argument in typing.get_args(kind)]
        return next((one for one in found if one is not None), None)
    return None


def type_name(value: Any) -> str:
    """Return the name under which the type of a value is noted."""
    kind = metadata.kind_of(value)
    library = table_library(kind)
    return _TABLE_CLASSES[library] if library else f"{kind.__module__}.{kind.__qualname__}"


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
    library = table_library(type(value))
    reason = ""
    if library is not None:
        path = _with_ending(stem, PARQUET)
        try:
            _write_table(library, value, path)
            return path, Written(PARQUET, row_count=_row_count(library, value))
        except MissingLibraryError as error:
            reason = f"{error.library} is not installed where it was written"
        except Exception as error:  # noqa: BLE001 - boundary to the libraries; told as the reason of the fallback
            reason = f"{library} cannot write it as Parquet: {error}"
        path.unlink(missing_ok=True)
    elif is_plain(value):
        path = _with_ending(stem, JSON)
        path.write_text(json.dumps(value, allow_nan=False), encoding="ascii")
        return path, Written(JSON)
    path = _with_ending(stem, PICKLE)
    with path.open("wb") as file:
        pickle.dump(value, file, protocol=pickle.HIGHEST_PROTOCOL)
    rows = _row_count(library, value) if library is not None else None
    return path, Written(PICKLE, row_count=rows, fallback_reason=reason)


def read(path: pathlib.Path, value_format: str, noted_type: str, wanted: Any) -> Any:
    """Read a value.

    Args:
        path: The file.
        value_format: Its format.
        noted_type: The type that was noted when it was written.
        wanted: What the consumer is annotated with, `UNKNOWN` where it is not.

    Returns:
        The value.

    Raises:
        MissingLibraryError: A table needs a library that is not installed here.
    """
    if value_format == JSON:
        return json.loads(path.read_text(encoding="ascii"))
    if value_format == PARQUET:
        asked = None if wanted is annotations.UNKNOWN else table_library(wanted)
        return _read_table(asked or noted_type.partition(".")[0], path)
    with path.open("rb") as file:
        return pickle.load(file)  # noqa: S301 - only what this location wrote itself; checked by the caller


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


def _write_table(library: str, value: Any, path: pathlib.Path) -> None:
    if library == "polars":
        value.write_parquet(path)
        return
    parquet = _library("pyarrow.parquet")
    table = value if library == "pyarrow" else _library("pyarrow").Table.from_pandas(value)
    parquet.write_table(table, path)


def _row_count(library: str, value: Any) -> int:
    return int(value.num_rows if library == "pyarrow" else len(value))


def _read_table(library: str, path: pathlib.Path) -> Any:
    if library == "polars":
        return _library("polars").read_parquet(path)
    if library == "pandas":
        _library("pandas")
    table = _library("pyarrow.parquet").read_table(path)
    return table.to_pandas() if library == "pandas" else table
