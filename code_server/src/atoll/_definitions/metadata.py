"""Typed metadata values and what raw Python values become.

Called wherever metadata is given: definitions, outputs, materializations, failures. Raw values are
turned into typed ones at once, so that everything above sees typed values only.
"""

import datetime as dt
import enum
import json
import math
import os
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeAlias, TypeVar, Union

from atoll import errors
from atoll._definitions import code_references as references
from atoll._definitions import foreign_values, keys, tables
from atoll._definitions import metadata_checks as checks

T = TypeVar("T")

# MetadataValue has static methods of these names, which hide the types within the class.
_Bool: TypeAlias = bool
_Int: TypeAlias = int
_Float: TypeAlias = float


class MetadataValue(Generic[T]):
    """One typed metadata value. Make one with the static methods: `MetadataValue.md("# Title")`.

    Attributes:
        value: The value as plain Python.
    """

    __slots__ = ("_value",)

    # The name under which the subclasses show and take their value.
    _field = "value"

    def __init__(self, value: T) -> None:
        self._value = value

    @property
    def value(self) -> T:
        """The value as plain Python."""
        return self._value

    def __eq__(self, other: object) -> _Bool:
        if _class_name(self) != _class_name(other) or not isinstance(other, MetadataValue):
            return False
        mine: object = self._value
        return mine == typing.cast("MetadataValue[object]", other).value

    def __hash__(self) -> _Int:
        return hash((type(self).__name__, repr(self._value)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._field}={self._value!r})"

    @staticmethod
    def text(text: str) -> "TextMetadataValue":
        """Make a value of plain text."""
        return TextMetadataValue(text)

    @staticmethod
    def url(url: str) -> "UrlMetadataValue":
        """Make a value of a link."""
        return UrlMetadataValue(url)

    @staticmethod
    def path(path: "str | os.PathLike[str]") -> "PathMetadataValue":
        """Make a value of a path in a file system."""
        return PathMetadataValue(path)

    @staticmethod
    def notebook(path: "str | os.PathLike[str]") -> "NotebookMetadataValue":
        """Make a value of the path of a notebook."""
        return NotebookMetadataValue(path)

    @staticmethod
    def json(data: Any) -> "JsonMetadataValue":
        """Make a value of a JSON document."""
        return JsonMetadataValue(data)

    @staticmethod
    def md(data: str) -> "MarkdownMetadataValue":
        """Make a value of Markdown text."""
        return MarkdownMetadataValue(data)

    @staticmethod
    def int(value: _Int) -> "IntMetadataValue":
        """Make a value of a whole number."""
        return IntMetadataValue(value)

    @staticmethod
    def float(value: _Float) -> "FloatMetadataValue":
        """Make a value of a floating point number."""
        return FloatMetadataValue(value)

    @staticmethod
    def bool(value: _Bool) -> "BoolMetadataValue":
        """Make a value of a truth value."""
        return BoolMetadataValue(value)

    @staticmethod
    def timestamp(value: "dt.datetime | _Float") -> "TimestampMetadataValue":
        """Make a value of a point in time: an aware datetime or seconds since 1970 in UTC."""
        return TimestampMetadataValue(value)

    @staticmethod
    def asset(asset_key: keys.AssetKey) -> "AssetMetadataValue":
        """Make a value that refers to an asset."""
        return AssetMetadataValue(asset_key)

    @staticmethod
    def run(run_id: str) -> "RunMetadataValue":
        """Make a value that refers to a run."""
        return RunMetadataValue(run_id)

    @staticmethod
    def job(
        job_name: str, location_name: str | None = None, *, repository_name: str | None = None
    ) -> "JobMetadataValue":
        """Make a value that refers to a job, of this location where none is named.

        A location has one set of definitions, so the name of a repository says nothing more.
        """
        del repository_name
        return JobMetadataValue(job_name, location_name or "")

    @staticmethod
    def pool(pool: str) -> "PoolMetadataValue":
        """Make a value that refers to a pool, which limits how much runs at once."""
        return PoolMetadataValue(pool)

    @staticmethod
    def python_artifact(python_artifact: Any) -> "PythonArtifactMetadataValue":
        """Make a value that refers to a Python class or function."""
        name = getattr(python_artifact, "__qualname__", None)
        if not isinstance(name, str):
            raise errors.InvalidDefinitionError(
                f"MetadataValue.python_artifact takes a class or a function, got "
                f"{checks.shortened(python_artifact)}."
            )
        return PythonArtifactMetadataValue(python_artifact.__module__, name)

    @staticmethod
    def table_schema(schema: tables.TableSchema) -> "TableSchemaMetadataValue":
        """Make a value of the columns of a table."""
        return TableSchemaMetadataValue(schema)

    @staticmethod
    def table(
        records: Sequence[tables.TableRecord], schema: tables.TableSchema | None = None
    ) -> "TableMetadataValue":
        """Make a value of a small table; its first record tells the schema if none is given."""
        return TableMetadataValue(records, schema)

    @staticmethod
    def column_lineage(lineage: tables.TableColumnLineage) -> "TableColumnLineageMetadataValue":
        """Make a value of where the columns of a table come from."""
        return TableColumnLineageMetadataValue(lineage)

    @staticmethod
    def code_references(
        code_references: Sequence[references.CodeReference],
    ) -> "CodeReferencesMetadataValue":
        """Make a value of where code stands."""
        return CodeReferencesMetadataValue(code_references=code_references)

    @staticmethod
    def null() -> "NullMetadataValue":
        """Make a value of nothing."""
        return NullMetadataValue()


class TextMetadataValue(MetadataValue[str]):
    """Plain text."""

    __slots__ = ()
    _field = "text"

    def __init__(self, text: str | None) -> None:
        super().__init__(checks.checked("text", text or "", str))

    @property
    def text(self) -> str:  # type: ignore[override]
        """The text."""
        return self._value


class UrlMetadataValue(MetadataValue[str]):
    """A link."""

    __slots__ = ()
    _field = "url"

    def __init__(self, url: str | None) -> None:
        super().__init__(checks.checked("url", url or "", str))

    @property
    def url(self) -> str:  # type: ignore[override]
        """The link."""
        return self._value


class PathMetadataValue(MetadataValue[str]):
    """A path in a file system."""

    __slots__ = ()
    _field = "path"

    def __init__(self, path: "str | os.PathLike[str] | None") -> None:
        super().__init__(os.fspath(path) if path is not None else "")

    @property
    def path(self) -> str:  # type: ignore[override]
        """The path."""
        return self._value


class NotebookMetadataValue(MetadataValue[str]):
    """The path of a notebook."""

    __slots__ = ()
    _field = "path"

    def __init__(self, path: "str | os.PathLike[str] | None") -> None:
        super().__init__(os.fspath(path) if path is not None else "")

    @property
    def path(self) -> str:  # type: ignore[override]
        """The path."""
        return self._value


class JsonMetadataValue(MetadataValue[Any]):
    """A JSON document."""

    __slots__ = ()
    _field = "data"

    def __init__(self, data: Any) -> None:
        try:
            json.dumps(data)
        except (TypeError, ValueError, RecursionError) as error:
            raise errors.InvalidDefinitionError(
                f"The value {checks.shortened(data)} is no JSON document: {error}. "
                "Use lists, dicts with string keys, strings, numbers, truth values and None."
            ) from error
        super().__init__(data)

    @property
    def data(self) -> Any:
        """The document."""
        return self._value


class MarkdownMetadataValue(MetadataValue[str]):
    """Markdown text."""

    __slots__ = ()
    _field = "md_str"

    def __init__(self, md_str: str | None) -> None:
        super().__init__(checks.checked("md", md_str or "", str))

    @property
    def md_str(self) -> str:
        """The Markdown text."""
        return self._value


class IntMetadataValue(MetadataValue[_Int]):
    """A whole number."""

    __slots__ = ()

    def __init__(self, value: _Int) -> None:
        super().__init__(checks.checked("int", value, int))


class FloatMetadataValue(MetadataValue[_Float]):
    """A floating point number."""

    __slots__ = ()

    def __init__(self, value: _Float) -> None:
        super().__init__(float(checks.checked("float", value, (int, float))))

    def __eq__(self, other: object) -> _Bool:
        # Two values that both hold NaN are the same metadata.
        if isinstance(other, FloatMetadataValue) and math.isnan(self._value):
            return math.isnan(other._value)
        return super().__eq__(other)

    def __hash__(self) -> _Int:
        return super().__hash__()


class BoolMetadataValue(MetadataValue[_Bool]):
    """A truth value."""

    __slots__ = ()

    def __init__(self, value: _Bool) -> None:
        super().__init__(checks.checked("bool", value, bool))


class TimestampMetadataValue(MetadataValue[_Float]):
    """A point in time, in seconds since 1970 in UTC."""

    __slots__ = ()

    def __init__(self, value: dt.datetime | _Float) -> None:
        if isinstance(value, dt.datetime):
            if value.tzinfo is None:
                raise errors.InvalidDefinitionError(
                    f"The datetime {value!r} has no time zone, so it is no point in time. Give one "
                    "with a tzinfo."
                )
            super().__init__(value.timestamp())
        else:
            super().__init__(float(checks.checked("timestamp", value, (int, float))))


class AssetMetadataValue(MetadataValue[keys.AssetKey]):
    """A reference to an asset."""

    __slots__ = ()
    _field = "asset_key"

    def __init__(self, asset_key: keys.AssetKey) -> None:
        super().__init__(checks.checked("asset", asset_key, keys.AssetKey))

    @property
    def asset_key(self) -> keys.AssetKey:
        """The asset."""
        return self._value


class RunMetadataValue(MetadataValue[str]):
    """A reference to a run."""

    __slots__ = ()
    _field = "run_id"

    def __init__(self, run_id: str) -> None:
        super().__init__(checks.checked("run", run_id, str))

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self._value


class JobMetadataValue(MetadataValue[str]):
    """A reference to a job."""

    __slots__ = ("location_name",)
    _field = "job_name"

    def __init__(self, job_name: str, location_name: str = "") -> None:
        super().__init__(checks.checked("job", job_name, str))
        self.location_name = location_name

    @property
    def job_name(self) -> str:
        """The name of the job."""
        return self._value

    def __eq__(self, other: object) -> _Bool:
        return (
            isinstance(other, JobMetadataValue)
            and self._value == other._value
            and self.location_name == other.location_name
        )

    def __hash__(self) -> _Int:
        return super().__hash__()


class PythonArtifactMetadataValue(MetadataValue[str]):
    """A reference to a Python class or function."""

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str) -> None:
        super().__init__(f"{module}.{name}")
        self.module = module
        self.name = name


class TableSchemaMetadataValue(MetadataValue[tables.TableSchema]):
    """The columns of a table."""

    __slots__ = ()
    _field = "schema"

    def __init__(self, schema: tables.TableSchema) -> None:
        super().__init__(checks.checked("table_schema", schema, tables.TableSchema))

    @property
    def schema(self) -> tables.TableSchema:
        """The columns."""
        return self._value


class TableMetadataValue(MetadataValue[Sequence[tables.TableRecord]]):
    """A small table. Metadata travels with every event: keep it to a few rows."""

    __slots__ = ("schema",)
    _field = "records"

    def __init__(
        self, records: Sequence[tables.TableRecord], schema: tables.TableSchema | None = None
    ) -> None:
        for record in records:
            checks.checked("table record", record, tables.TableRecord)
        super().__init__(tuple(records))
        self.schema = schema if schema is not None else tables.TableSchema.of_records(self._value)

    @property
    def records(self) -> Sequence[tables.TableRecord]:
        """The rows."""
        return self._value

    def __eq__(self, other: object) -> _Bool:
        return (
            isinstance(other, TableMetadataValue)
            and self._value == other._value
            and self.schema == other.schema
        )

    def __hash__(self) -> _Int:
        return super().__hash__()


class TableColumnLineageMetadataValue(MetadataValue[tables.TableColumnLineage]):
    """Where the columns of a table come from."""

    __slots__ = ()
    _field = "column_lineage"

    def __init__(self, column_lineage: tables.TableColumnLineage) -> None:
        super().__init__(
            checks.checked("column_lineage", column_lineage, tables.TableColumnLineage)
        )

    @property
    def column_lineage(self) -> tables.TableColumnLineage:  # type: ignore[override]
        """Where the columns come from."""
        return self._value


class CodeReferencesMetadataValue(MetadataValue[Sequence[references.CodeReference]]):
    """Where the code stands that makes an asset."""

    __slots__ = ()
    _field = "code_references"

    def __init__(self, *, code_references: Sequence[references.CodeReference]) -> None:
        kinds = (references.LocalFileCodeReference, references.UrlCodeReference)
        super().__init__(
            tuple(checks.checked("code_references", one, kinds) for one in code_references)
        )

    @property
    def code_references(self) -> Sequence[references.CodeReference]:  # type: ignore[override]
        """The places."""
        return self._value


class PoolMetadataValue(MetadataValue[str]):
    """A reference to a pool, which limits how much runs at once."""

    __slots__ = ()
    _field = "pool"

    def __init__(self, pool: str) -> None:
        super().__init__(checks.checked("pool", pool, str))

    @property
    def pool(self) -> str:  # type: ignore[override]
        """The name of the pool."""
        return self._value


class NullMetadataValue(MetadataValue[None]):
    """Nothing."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(None)


RawMetadataValue: TypeAlias = Union[
    MetadataValue[Any],
    str,
    int,
    float,
    bool,
    Mapping[str, Any],
    Sequence[Any],
    keys.AssetKey,
    tables.TableSchema,
    tables.TableColumnLineage,
    "os.PathLike[str]",
    dt.date,
    enum.Enum,
    None,
]
RawMetadataMapping: TypeAlias = Mapping[str, RawMetadataValue]


def coerce(name: str, raw: Any) -> MetadataValue[Any]:
    """Turn a raw value into a typed one.

    Args:
        name: The name of the metadata entry, for the error.
        raw: The value.

    Returns:
        The typed value.

    Raises:
        InvalidDefinitionError: The value has no metadata type.
    """
    if isinstance(raw, MetadataValue):
        return raw  # pyright: ignore[reportUnknownVariableType]
    raw = foreign_values.plain(raw)
    maker = _MAKERS.get(kind_of(raw))
    if maker is not None:
        return maker(raw)
    for kind, make in _MAKERS.items():
        if isinstance(raw, kind):
            return make(raw)
    if isinstance(raw, os.PathLike):
        return PathMetadataValue(raw)  # pyright: ignore[reportUnknownArgumentType]
    raise errors.InvalidDefinitionError(
        f"The metadata entry {name!r} has the value {checks.shortened(raw)} of type "
        f"{type(raw).__name__}, which is "
        "no metadata. Give a string, a number, a truth value, a dict, a list, None, or one of "
        "MetadataValue's."
    )


def kind_of(value: Any) -> type[Any]:
    """Return the type of a value of which nothing is known."""
    kind: type[Any] = value.__class__
    return kind


def _class_name(value: object) -> str:
    return value.__class__.__name__


def _null(_: Any) -> MetadataValue[Any]:
    return NullMetadataValue()


# In the order in which subclasses are told: bool before int.
_MAKERS: dict[type, Callable[[Any], MetadataValue[Any]]] = {
    str: TextMetadataValue,
    bool: BoolMetadataValue,
    int: IntMetadataValue,
    float: FloatMetadataValue,
    type(None): _null,
    dict: JsonMetadataValue,
    list: JsonMetadataValue,
    keys.AssetKey: AssetMetadataValue,
    tables.TableSchema: TableSchemaMetadataValue,
    tables.TableColumnLineage: TableColumnLineageMetadataValue,
    dt.datetime: TimestampMetadataValue,
}


def normalize(raw: Mapping[str, Any] | None) -> dict[str, MetadataValue[Any]]:
    """Turn a mapping of raw values into one of typed values.

    Args:
        raw: Names to raw or typed values, or nothing.

    Returns:
        A new dict.
    """
    if not raw:
        return {}
    if not isinstance(raw, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise errors.InvalidDefinitionError(
            f"Metadata is a mapping from names to values, got {raw!r}."
        )
    for name in raw:
        if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise errors.InvalidDefinitionError(f"The names of metadata are strings, got {name!r}.")
    return {name: coerce(name, value) for name, value in raw.items()}
