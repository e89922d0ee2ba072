"""Metadata values to messages and back: the same value, of the same kind, comes out.

Used by events, failures and the snapshot. Whole numbers of any size keep all their digits. What
makes a value valid is decided where it is made, not here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from atoll._definitions import code_references, metadata, tables
from atoll._wire import keys, texts, timestamps
from atoll.definitions.v1 import values_pb2

Value = metadata.MetadataValue[Any]

_INT64_MIN = -(2**63)
_INT64_MAX = 2**63 - 1


def to_message(value: Value) -> values_pb2.MetadataValue:
    """Return a metadata value as a message.

    Args:
        value: The value.

    Raises:
        TypeError: The kind of value is not one of Atoll's.
    """
    for kind in type(value).__mro__:
        encode = _ENCODERS.get(kind)
        if encode is not None:
            return encode(value)
    text = f"{type(value).__qualname__} is no metadata that can be stored: use MetadataValue's."
    raise TypeError(text)


def from_message(message: values_pb2.MetadataValue) -> Value:
    """Return the metadata value that a message holds.

    Args:
        message: The message. One of a kind that this release does not know reads as null.
    """
    kind = message.WhichOneof("value")
    return metadata.NullMetadataValue() if kind is None else _DECODERS[kind](message)


def fill(
    target: MutableMapping[str, values_pb2.MetadataValue], values: Mapping[str, Value]
) -> None:
    """Put metadata into a map field.

    Args:
        target: The map field of a message.
        values: The values by name.
    """
    for name, value in values.items():
        # Map fields of messages hand out their entries and take none.
        target[texts.valid(name)].CopyFrom(to_message(value))


def read(source: Mapping[str, values_pb2.MetadataValue]) -> dict[str, Value]:
    """Return the metadata of a map field, sorted by name, since maps have no order on the wire.

    Args:
        source: The map field of a message.
    """
    return {name: from_message(source[name]) for name in sorted(source)}


def _int(value: Any) -> values_pb2.MetadataValue:
    number = int(value.value)
    if _INT64_MIN <= number <= _INT64_MAX:
        return values_pb2.MetadataValue(int=number)
    return values_pb2.MetadataValue(big_int=_digits(number))


def _digits(number: int) -> str:
    """Return all decimal digits; Python's own conversion refuses more than 4300 of them."""
    sign, rest = ("-", -number) if number < 0 else ("", number)
    chunk = 10**4000
    parts: list[str] = []
    while rest >= chunk:
        rest, part = divmod(rest, chunk)
        parts.append(f"{part:04000d}")
    return sign + str(rest) + "".join(reversed(parts))


def _number(digits: str) -> int:
    sign, digits = (-1, digits[1:]) if digits.startswith("-") else (1, digits)
    head = len(digits) % 4000
    number = int(digits[:head] or "0")
    for start in range(head, len(digits), 4000):
        number = number * 10**4000 + int(digits[start : start + 4000])
    return sign * number


def _timestamp(value: Any) -> values_pb2.MetadataValue:
    if not timestamps.representable(value.value):
        # No calendar has it (or it is infinite or no number): the number itself is kept.
        return values_pb2.MetadataValue(float=value.value)
    return values_pb2.MetadataValue(timestamp=timestamps.from_seconds(value.value))


def _job(value: Any) -> values_pb2.MetadataValue:
    reference = values_pb2.JobReference(
        job_name=texts.valid(value.job_name), location_name=texts.valid(value.location_name)
    )
    return values_pb2.MetadataValue(job=reference)


def _python_artifact(value: Any) -> values_pb2.MetadataValue:
    artifact = values_pb2.PythonArtifact(
        module=texts.valid(value.module), name=texts.valid(value.name)
    )
    return values_pb2.MetadataValue(python_artifact=artifact)


def _table(value: Any) -> values_pb2.MetadataValue:
    records = texts.to_json([dict(record.data) for record in value.records])
    table = values_pb2.Table(schema=schema_to_message(value.schema), records=records)
    return values_pb2.MetadataValue(table=table)


def schema_to_message(schema: tables.TableSchema) -> values_pb2.TableSchema:
    """Return the columns of a table as a message.

    Args:
        schema: The columns.
    """
    return values_pb2.TableSchema(
        columns=[_column_to_message(column) for column in schema.columns],
        constraints=[texts.valid(text) for text in schema.constraints.other],
    )


def _column_to_message(column: tables.TableColumn) -> values_pb2.TableColumn:
    return values_pb2.TableColumn(
        name=texts.valid(column.name),
        type=texts.valid(column.type),
        description=texts.valid(column.description or ""),
        nullable=column.constraints.nullable,
        unique=column.constraints.unique,
        constraints=[texts.valid(text) for text in column.constraints.other or ()],
        tags={texts.valid(name): texts.valid(value) for name, value in column.tags.items()},
    )


def schema_from_message(message: values_pb2.TableSchema) -> tables.TableSchema:
    """Return the columns that a message describes.

    Args:
        message: The message.
    """
    return tables.TableSchema(
        columns=[_column_from_message(column) for column in message.columns],
        constraints=tables.TableConstraints(other=list(message.constraints) or ()),
    )


def _column_from_message(message: values_pb2.TableColumn) -> tables.TableColumn:
    return tables.TableColumn(
        name=message.name,
        type=message.type,
        description=message.description or None,
        constraints=tables.TableColumnConstraints(
            nullable=message.nullable,
            unique=message.unique,
            other=list(message.constraints) or None,
        ),
        tags=dict(message.tags),
    )


def _table_from_message(message: values_pb2.MetadataValue) -> Value:
    rows: list[dict[str, Any]] = texts.from_json(message.table.records) or []
    return metadata.TableMetadataValue(
        records=[tables.TableRecord(row) for row in rows],
        schema=schema_from_message(message.table.schema),
    )


def _lineage(value: Any) -> values_pb2.MetadataValue:
    lineage: tables.TableColumnLineage = value.column_lineage
    columns = [
        values_pb2.TableColumnOrigin(
            column_name=texts.valid(name),
            dependencies=[
                values_pb2.TableColumnDependency(
                    asset_key=keys.to_message(dep.asset_key),
                    column_name=texts.valid(dep.column_name),
                )
                for dep in deps
            ],
        )
        for name, deps in lineage.deps_by_column.items()
    ]
    return values_pb2.MetadataValue(column_lineage=values_pb2.TableColumnLineage(columns=columns))


def _lineage_from_message(message: values_pb2.MetadataValue) -> Value:
    lineage = tables.TableColumnLineage(
        {
            column.column_name: [
                tables.TableColumnDep(keys.from_message(dep.asset_key), dep.column_name)
                for dep in column.dependencies
            ]
            for column in message.column_lineage.columns
        }
    )
    return metadata.TableColumnLineageMetadataValue(lineage)


def _code_references(value: Any) -> values_pb2.MetadataValue:
    references = [_reference_to_message(one) for one in value.code_references]
    return values_pb2.MetadataValue(
        code_references=values_pb2.CodeReferences(references=references)
    )


def _reference_to_message(
    reference: code_references.CodeReference,
) -> values_pb2.CodeReference:
    message = values_pb2.CodeReference(label=texts.valid(reference.label or ""))
    if isinstance(reference, code_references.UrlCodeReference):
        message.url = texts.valid(reference.url)
    else:
        message.local_file.path = texts.valid(reference.file_path)
        message.local_file.line = reference.line_number or 0
    return message


def _references_from_message(message: values_pb2.MetadataValue) -> Value:
    return metadata.CodeReferencesMetadataValue(
        code_references=[_reference_from_message(one) for one in message.code_references.references]
    )


def _reference_from_message(message: values_pb2.CodeReference) -> code_references.CodeReference:
    label = message.label or None
    if message.WhichOneof("place") == "url":
        return code_references.UrlCodeReference(url=message.url, label=label)
    return code_references.LocalFileCodeReference(
        file_path=message.local_file.path,
        line_number=message.local_file.line or None,
        label=label,
    )


_ENCODERS: dict[type, Callable[[Any], values_pb2.MetadataValue]] = {
    metadata.TextMetadataValue: lambda v: values_pb2.MetadataValue(text=texts.valid(v.text)),
    metadata.UrlMetadataValue: lambda v: values_pb2.MetadataValue(url=texts.valid(v.url)),
    metadata.PathMetadataValue: lambda v: values_pb2.MetadataValue(path=texts.valid(v.path)),
    metadata.NotebookMetadataValue: lambda v: values_pb2.MetadataValue(
        notebook=texts.valid(v.value)
    ),
    metadata.JsonMetadataValue: lambda v: values_pb2.MetadataValue(json=texts.to_json(v.data)),
    metadata.MarkdownMetadataValue: lambda v: values_pb2.MetadataValue(
        markdown=texts.valid(v.md_str)
    ),
    metadata.IntMetadataValue: _int,
    metadata.FloatMetadataValue: lambda v: values_pb2.MetadataValue(float=v.value),
    metadata.BoolMetadataValue: lambda v: values_pb2.MetadataValue(bool=v.value),
    metadata.TimestampMetadataValue: _timestamp,
    metadata.AssetMetadataValue: lambda v: values_pb2.MetadataValue(
        asset=keys.to_message(v.asset_key)
    ),
    metadata.RunMetadataValue: lambda v: values_pb2.MetadataValue(run_id=texts.valid(v.run_id)),
    metadata.JobMetadataValue: _job,
    metadata.PythonArtifactMetadataValue: _python_artifact,
    metadata.TableSchemaMetadataValue: lambda v: values_pb2.MetadataValue(
        table_schema=schema_to_message(v.schema)
    ),
    metadata.TableMetadataValue: _table,
    metadata.TableColumnLineageMetadataValue: _lineage,
    metadata.CodeReferencesMetadataValue: _code_references,
    metadata.PoolMetadataValue: lambda v: values_pb2.MetadataValue(pool=texts.valid(v.pool)),
    metadata.NullMetadataValue: lambda _: values_pb2.MetadataValue(null=values_pb2.NullValue()),
}

_DECODERS: dict[str, Callable[[values_pb2.MetadataValue], Value]] = {
    "text": lambda m: metadata.TextMetadataValue(m.text),
    "url": lambda m: metadata.UrlMetadataValue(m.url),
    "path": lambda m: metadata.PathMetadataValue(m.path),
    "notebook": lambda m: metadata.NotebookMetadataValue(m.notebook),
    "json": lambda m: metadata.JsonMetadataValue(texts.from_json(m.json)),
    "markdown": lambda m: metadata.MarkdownMetadataValue(m.markdown),
    "int": lambda m: metadata.IntMetadataValue(m.int),
    "big_int": lambda m: metadata.IntMetadataValue(_number(m.big_int)),
    "float": lambda m: metadata.FloatMetadataValue(m.float),
    "bool": lambda m: metadata.BoolMetadataValue(m.bool),
    "timestamp": lambda m: metadata.TimestampMetadataValue(timestamps.to_seconds(m.timestamp)),
    "asset": lambda m: metadata.AssetMetadataValue(keys.from_message(m.asset)),
    "run_id": lambda m: metadata.RunMetadataValue(m.run_id),
    "job": lambda m: metadata.JobMetadataValue(m.job.job_name, m.job.location_name),
    "python_artifact": lambda m: metadata.PythonArtifactMetadataValue(
        m.python_artifact.module, m.python_artifact.name
    ),
    "table_schema": lambda m: metadata.TableSchemaMetadataValue(
        schema_from_message(m.table_schema)
    ),
    "table": _table_from_message,
    "column_lineage": _lineage_from_message,
    "code_references": _references_from_message,
    "pool": lambda m: metadata.PoolMetadataValue(m.pool),
    "null": lambda _: metadata.NullMetadataValue(),
}
