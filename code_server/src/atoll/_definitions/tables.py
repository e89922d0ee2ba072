"""Descriptions of tables: schemas, columns, constraints and small tables given as metadata.

Called by `metadata` and by users. Holds data only.
"""

from collections.abc import Iterable, Mapping, Sequence

from atoll._definitions import errors, records

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

    @staticmethod
    def from_name_type_dict(name_type_dict: Mapping[str, str]) -> "TableSchema":
        """Make a schema of a mapping from column names to types."""
        return TableSchema([TableColumn(name, kind) for name, kind in name_type_dict.items()])


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
