"""Types of dataframes made of pandera's schemas. Needs the extra `atoll[pandera]`.

Called by users, and by `annotation_forms` for the annotations of `pandera.typing`. Loaded only
then, and pandera with it; whether frames are pandas' or polars' is the schema's affair.
"""

import importlib
import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any

from atoll import errors
from atoll._definitions import metadata as metadata_values
from atoll._definitions import tables
from atoll._definitions.value_types import definition

SCHEMA_ENTRY = "schema"
FAILURE_CASES_ENTRY = "failure_cases"
FAILURE_COUNT_ENTRY = "failure_count"
# Metadata travels with every event; the description tells of the rest.
FAILURE_CASES_MAX = 20
_DESCRIBED_MAX = 10
_NAMES = itertools.count(1)


def pandera_schema_to_type(schema: Any) -> definition.Type:
    """Make a type of a pandera schema: its values are the dataframes that the schema accepts.

    All of a frame is validated, and all that is wrong is told at once: in the description, and the
    first cases as a table. The columns and their constraints are metadata of the type.

    Args:
        schema: A `DataFrameSchema` or a `DataFrameModel`, of pandas or polars.

    Returns:
        The type.

    Raises:
        InvalidDefinitionError: It is no schema.
    """
    if not isinstance(schema, type):
        return _make(schema, schema)
    # A model is used in several places, and is one type in all of them.
    known = _OF_MODELS.get(schema)
    if known is None:
        known = _OF_MODELS[schema] = _make(schema, _schema_of(schema))
    return known


def _schema_of(model: Any) -> Any:
    return model.to_schema() if hasattr(model, "to_schema") else model


_OF_MODELS: dict[type[Any], definition.Type] = {}


def _make(schema: Any, made: Any) -> definition.Type:
    if not (hasattr(made, "validate") and hasattr(made, "columns")):
        raise errors.InvalidDefinitionError(
            f"pandera_schema_to_type takes a DataFrameSchema or a DataFrameModel of pandera, got "
            f"{schema!r}."
        )
    frames = _frames_of(made)
    return definition.Type(
        _Check(made, frames),
        name=_name_of(schema, made),
        description=made.description or None,
        typing_type=frames[0] if frames else Any,
        metadata={SCHEMA_ENTRY: metadata_values.TableSchemaMetadataValue(_table_schema(made))},
    )


def _name_of(schema: Any, made: Any) -> str:
    if isinstance(schema, type):
        return schema.__name__
    return made.title or made.name or f"DataFrame{next(_NAMES)}"


def _frames_of(schema: Any) -> tuple[type[Any], ...]:
    """Return the classes of the frames that a schema validates, where they are known."""
    found: list[type[Any]] = []
    backends = {part for one in type(schema).__mro__ for part in one.__module__.split(".")}
    for library, names in _FRAMES.items():
        if library in backends:
            module = importlib.import_module(library)
            found += [getattr(module, name) for name in names]
    return tuple(found)


_FRAMES = {"pandas": ("DataFrame",), "polars": ("DataFrame", "LazyFrame")}


class _Check:
    """Checks frames against a schema."""

    def __init__(self, schema: Any, frames: tuple[type[Any], ...]) -> None:
        self._schema = schema
        self._frames = frames
        self._errors = importlib.import_module("pandera.errors")

    def __call__(self, _context: Any, value: object) -> bool | definition.TypeCheck:
        if self._frames and not isinstance(value, self._frames):
            expected = " or ".join(f"{one.__module__}.{one.__name__}" for one in self._frames)
            return definition.TypeCheck(
                success=False,
                description=f"{definition.shown(value)} is no dataframe: expected {expected}.",
            )
        try:
            self._schema.validate(value, lazy=True)
        except self._errors.SchemaErrors as refused:
            return _failed(_rows(refused.failure_cases))
        return True


def _rows(cases: Any) -> list[dict[str, Any]]:
    """Return the failure cases as plain rows, whichever library holds them."""
    rows: Iterable[Mapping[str, Any]]
    rows = cases.to_dicts() if hasattr(cases, "to_dicts") else cases.to_dict("records")
    return [{name: _scalar(value) for name, value in row.items()} for row in rows]


def _failed(rows: list[dict[str, Any]]) -> definition.TypeCheck:
    groups: dict[tuple[Any, Any], list[Any]] = {}
    for row in rows:
        where = row.get("column") if row.get("schema_context") == "Column" else None
        groups.setdefault((where, row.get("check")), []).append(row.get("failure_case"))
    lines = [
        f"- {f'column {where!r}' if where else 'the frame'}: {check} ({len(cases)}, such as "
        f"{cases[0]})"
        for (where, check), cases in groups.items()
    ]
    if len(lines) > _DESCRIBED_MAX:
        lines[_DESCRIBED_MAX:] = [f"- and {len(lines) - _DESCRIBED_MAX} more"]
    told = "\n".join(lines)
    return definition.TypeCheck(
        success=False,
        description=f"Cases in which the schema is not met: {len(rows)}\n{told}",
        metadata={
            FAILURE_COUNT_ENTRY: len(rows),
            FAILURE_CASES_ENTRY: metadata_values.TableMetadataValue(
                [tables.TableRecord(row) for row in rows[:FAILURE_CASES_MAX]], _CASES_SCHEMA
            ),
        },
    )


_CASES_SCHEMA = tables.TableSchema(
    [
        tables.TableColumn("schema_context"),
        tables.TableColumn("column"),
        tables.TableColumn("check"),
        tables.TableColumn("check_number", "int"),
        tables.TableColumn("failure_case", "any"),
        tables.TableColumn("index", "any"),
    ]
)


def _scalar(value: Any) -> tables.Scalar:
    """Return a value of a frame as plain data."""
    if hasattr(value, "item") and type(value).__module__.partition(".")[0] == "numpy":
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    return None if _is_missing(value) else str(value)


def _is_missing(value: Any) -> bool:
    # pandas' NA and NaT are equal to nothing, themselves included.
    return type(value).__name__ in {"NAType", "NaTType"}


def _table_schema(schema: Any) -> tables.TableSchema:
    columns = [_column(name, column) for name, column in schema.columns.items()]
    constraints = [_words_of(check) for check in schema.checks or ()]
    if schema.unique:
        names = [schema.unique] if isinstance(schema.unique, str) else schema.unique
        constraints.append(f"unique together: {', '.join(names)}")
    if schema.strict is True:
        constraints.append("no other columns")
    if schema.ordered:
        constraints.append("columns in this order")
    return tables.TableSchema(columns, tables.TableConstraints(other=tuple(constraints)))


def _column(name: Any, column: Any) -> tables.TableColumn:
    other = [_words_of(check) for check in column.checks or ()]
    if not column.required:
        other.append("may be left out")
    if getattr(column, "regex", False):
        other.append("the name is a regular expression")
    return tables.TableColumn(
        str(name),
        "any" if column.dtype is None else str(column.dtype),
        column.description or column.title or None,
        tables.TableColumnConstraints(
            nullable=bool(column.nullable), unique=bool(column.unique), other=tuple(other)
        ),
    )


def _words_of(check: Any) -> str:
    """Return a check in words: the user's where there are any."""
    words = check.description or check.error or check.name or "a check without a name"
    return str(words)
