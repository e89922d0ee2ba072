"""Descriptions of tables: schemas, columns, constraints and small tables given as metadata.

Called by `metadata` and by users. Holds data only.
"""

from collections.abc import Iterable, Mapping, Sequence

from atoll import _records as records
from atoll import errors
from atoll._definitions import keys

Scalar = str | int | float | bool | None


class TableConstraints(records.Record):
    """Constraints on a whole table.

    Attributes:
        other: The constraints, in words.
    """

    other: Sequence[str]


class TableColumnConstraints(records.Record):
    """Constraints on one column.

    Attributes:
        nullable: Whether the column may hold nulls.
        unique: Whether the values of the column are unique.
        other: Further constraints, in words.
    """

    nullable: bool = True
    unique: bool = False
    other: Sequence[str] | None = None


class TableColumn(records.Record):
    """One column of a table.

    Attributes:
        name: The name of the column.
        type: The type, in the words of the system that holds the table.
        description: What the column means.
        constraints: What holds for its values.
        tags: Labels.
    """

    name: str
    type: str
    description: str | None
    constraints: TableColumnConstraints
    tags: Mapping[str, str]

    def __init__(
        self,
        name: str,
        type: str = "string",
        description: str | None = None,
        constraints: TableColumnConstraints | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        assign = object.__setattr__
        assign(self, "name", name)
        assign(self, "type", type)
        assign(self, "description", description)
        assign(self, "constraints", constraints or TableColumnConstraints())
        assign(self, "tags", {} if tags is None else tags)


class TableSchema(records.Record):
    """The columns of a table.

    Attributes:
        columns: The columns in order.
        constraints: What holds for the whole table.
    """

    columns: Sequence[TableColumn]
    constraints: TableConstraints

    def __init__(
        self, columns: Iterable[TableColumn], constraints: TableConstraints | None = None
    ) -> None:
        object.__setattr__(self, "columns", tuple(columns))
        object.__setattr__(self, "constraints", constraints or TableConstraints(other=()))

    @property
    def column_names(self) -> list[str]:
        """The names of the columns in order."""
        return [column.name for column in self.columns]

    @staticmethod
    def of_records(rows: "Sequence[TableRecord]") -> "TableSchema":
        """Tell the columns of a table from its first row: string, int, float or bool.

        Raises:
            InvalidDefinitionError: There is no row.
        """
        if not rows:
            raise errors.InvalidDefinitionError(
                "A table without records says nothing of its columns. Give "
                "MetadataValue.table(..., schema=...)."
            )
        names: dict[type, str] = {bool: "bool", int: "int", float: "float"}
        return TableSchema(
            [
                TableColumn(name, names.get(type(value), "string"))
                for name, value in rows[0].data.items()
            ]
        )

    @staticmethod
    def from_name_type_dict(name_type_dict: Mapping[str, str]) -> "TableSchema":
        """Make a schema of a mapping from column names to types."""
        return TableSchema([TableColumn(name, kind) for name, kind in name_type_dict.items()])


class TableColumnDep(records.Record):
    """A column of an upstream asset that a column is made of.

    Attributes:
        asset_key: The upstream asset.
        column_name: The column.
    """

    asset_key: keys.AssetKey
    column_name: str

    def __init__(self, asset_key: keys.CoercibleToAssetKey, column_name: str) -> None:
        object.__setattr__(self, "asset_key", keys.AssetKey.from_coercible(asset_key))
        object.__setattr__(self, "column_name", column_name)


class TableColumnLineage(records.Record):
    """Where the columns of a table come from.

    Attributes:
        deps_by_column: By column, the columns that it is made of.
    """

    deps_by_column: Mapping[str, Sequence[TableColumnDep]]

    def __init__(self, deps_by_column: Mapping[str, Sequence[TableColumnDep]]) -> None:
        for name, deps in deps_by_column.items():
            wrong = [dep for dep in deps if not _is_dep(dep)]
            if wrong:
                raise errors.InvalidDefinitionError(
                    f"The lineage of column {name!r} holds {wrong[0]!r}. Give a list of "
                    "TableColumnDep."
                )
        copied = {name: tuple(deps) for name, deps in deps_by_column.items()}
        object.__setattr__(self, "deps_by_column", copied)


def _is_dep(value: object) -> bool:
    return isinstance(value, TableColumnDep)


class TableRecord:
    """One row of a small table given as metadata.

    Args:
        data: The values by column name: strings, numbers, truth values or None.
    """

    __slots__ = ("data",)

    data: Mapping[str, Scalar]

    def __init__(self, data: Mapping[str, Scalar]) -> None:
        for name, value in data.items():
            if not _is_scalar(value):
                raise errors.InvalidDefinitionError(
                    f"A table record holds strings, numbers, truth values or None; column {name!r} "
                    f"holds {value!r} of type {type(value).__name__}. Convert it first."
                )
        self.data = dict(data)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TableRecord) and self.data == other.data

    def __hash__(self) -> int:
        return hash(tuple(sorted((name, repr(value)) for name, value in self.data.items())))

    def __repr__(self) -> str:
        return f"TableRecord({dict(self.data)!r})"


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, (str, int, float, bool))
