"""The metadata that Atoll itself understands: its keys, and the facts about a table as a set.

Called by users and by IO managers, who attach them, and by whatever shows them.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from atoll import _records as records
from atoll._definitions import metadata as metadata_values
from atoll._definitions import tables

NAMESPACE: Final = "atoll/"
ROW_COUNT: Final = "atoll/row_count"
PARTITION_ROW_COUNT: Final = "atoll/partition_row_count"
COLUMN_SCHEMA: Final = "atoll/column_schema"
COLUMN_LINEAGE: Final = "atoll/column_lineage"
TABLE_NAME: Final = "atoll/table_name"
STORAGE_KIND: Final = "atoll/storage_kind"
URI: Final = "atoll/uri"
CODE_REFERENCES: Final = "atoll/code_references"


class TableMetadataSet(records.Record):
    """Facts about a table, to be given as metadata: `metadata={**TableMetadataSet(row_count=3)}`.

    Attributes:
        column_schema: The columns.
        column_lineage: Where the columns come from.
        row_count: How many rows the whole table has.
        partition_row_count: How many rows the partition has.
        table_name: The full name of the table in its database.
        storage_kind: What kind of system holds it, such as "snowflake".
        uri: Where it is.
    """

    column_schema: tables.TableSchema | None
    column_lineage: tables.TableColumnLineage | None
    row_count: int | None
    partition_row_count: int | None
    table_name: str | None
    storage_kind: str | None
    uri: str | None

    def __init__(
        self,
        *,
        column_schema: tables.TableSchema | None = None,
        column_lineage: tables.TableColumnLineage | None = None,
        row_count: int | None = None,
        partition_row_count: int | None = None,
        table_name: str | None = None,
        storage_kind: str | None = None,
        uri: str | None = None,
    ) -> None:
        assign = object.__setattr__
        assign(self, "column_schema", column_schema)
        assign(self, "column_lineage", column_lineage)
        assign(self, "row_count", row_count)
        assign(self, "partition_row_count", partition_row_count)
        assign(self, "table_name", table_name)
        assign(self, "storage_kind", storage_kind)
        assign(self, "uri", uri)

    @classmethod
    def namespace(cls) -> str:
        """Return what the keys of the facts begin with."""
        return NAMESPACE.rstrip("/")

    @classmethod
    def extract(cls, metadata: Mapping[str, Any]) -> "TableMetadataSet":
        """Read the facts that metadata tells; what it does not tell is None.

        Args:
            metadata: Raw or typed values by key.
        """
        typed = metadata_values.normalize(
            {key: metadata[key] for key in map(_key_of, cls.record_fields) if key in metadata}
        )
        return cls(**{key.removeprefix(NAMESPACE): value.value for key, value in typed.items()})

    def keys(self) -> list[str]:
        """Return the keys of the facts that are given, so that ** takes them."""
        given = (name for name in self.record_fields if getattr(self, name) is not None)
        return [_key_of(name) for name in given]

    def __getitem__(self, key: str) -> Any:
        """Return a fact by its key."""
        name = key.removeprefix(NAMESPACE)
        if not key.startswith(NAMESPACE) or name not in self.record_fields:
            raise KeyError(key)
        return getattr(self, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())


def _key_of(name: str) -> str:
    return f"{NAMESPACE}{name}"


class MetadataEntry(records.Record):
    """One named metadata value, as older code spells it. New code gives mappings.

    Attributes:
        label: The name.
        description: What the value means.
        value: The value.
    """

    label: str
    description: str | None
    value: metadata_values.MetadataValue[Any]

    def __init__(
        self,
        label: str,
        description: str | None = None,
        entry_data: metadata_values.RawMetadataValue = None,
        value: metadata_values.RawMetadataValue = None,
    ) -> None:
        raw = value if value is not None else entry_data
        assign = object.__setattr__
        assign(self, "label", label)
        assign(self, "description", description)
        assign(self, "value", metadata_values.coerce(label, raw))

    @property
    def entry_data(self) -> metadata_values.MetadataValue[Any]:
        """The value, under its older name."""
        return self.value
