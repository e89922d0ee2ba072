"""The types that Atoll brings: anything, nothing, and the scalars of Python.

Called by the modules beside this one, and by users, who name the Python classes behind them `Any`,
`Bool`, `Float`, `Int`, `Nothing` and `String`.
"""

from typing import TYPE_CHECKING, Any, TypeAlias

from atoll._definitions.value_types import definition, input_loaders

# The names of the field for what Python has under others.
Bool = bool
Float = float
Int = int
String = str
if TYPE_CHECKING:
    # A class as good as any where it runs, but in an annotation it is written None.
    Nothing: TypeAlias = None
else:
    Nothing = type(None)


class _Scalar(definition.Type):
    """A type whose values are instances of a scalar class of Python."""

    def __init__(self, python_type: type[Any], name: str, json_type: str) -> None:
        self._python_type = python_type
        loader = input_loaders.ValueLoader(
            name,
            {"type": json_type},
            self._accepts_config,
            # Who writes 1 for a number means 1.0.
            float if python_type is float else None,
        )
        super().__init__(
            self._check,
            name=name,
            is_builtin=True,
            loader=loader,
            kind=definition.TypeKind.SCALAR,
            typing_type=python_type,
        )

    @property
    def python_type(self) -> type[Any]:
        """The class of the values."""
        return self._python_type

    def _check(self, _context: Any, value: object) -> bool | definition.TypeCheck:
        return isinstance(value, self._python_type) or definition.TypeCheck(
            success=False,
            description=f"{definition.shown(value)} is not of the type {self.display_name!r}.",
        )

    def _accepts_config(self, value: Any) -> bool:
        # Configuration is what people write: true is no number there.
        if isinstance(value, bool):
            return self._python_type is bool
        return isinstance(value, (int, float) if self._python_type is float else self._python_type)


def _check_anything(_context: Any, _value: object) -> bool:
    return True


def _check_nothing(_context: Any, value: object) -> bool | definition.TypeCheck:
    return value is None or definition.TypeCheck(
        success=False,
        description=f"{definition.shown(value)} was given where there is nothing to give. Return "
        "None, or annotate with the type of the value.",
    )


ANY = definition.Type(
    _check_anything,
    name="Any",
    is_builtin=True,
    loader=input_loaders.ValueLoader("anything", {}),
    kind=definition.TypeKind.ANY,
)
NOTHING = definition.Type(
    _check_nothing,
    name="Nothing",
    is_builtin=True,
    kind=definition.TypeKind.NOTHING,
    typing_type=type(None),
)
BOOL = _Scalar(bool, "Bool", "boolean")
FLOAT = _Scalar(float, "Float", "number")
INT = _Scalar(int, "Int", "integer")
STRING = _Scalar(str, "String", "string")

BY_CLASS: dict[Any, definition.Type] = {
    type(None): NOTHING,
    bool: BOOL,
    float: FLOAT,
    int: INT,
    str: STRING,
}
