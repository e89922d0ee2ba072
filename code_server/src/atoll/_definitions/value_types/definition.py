"""The type of a value: its check, what people call it, and how it is loaded from configuration.

Called by users, who define types of their own, and by the modules beside this one, which make the
types of annotations. How an annotation leads to a type stands in `resolution`.
"""

import enum
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, NoReturn, Union

from atoll import _records as records
from atoll import errors
from atoll._definitions import failures
from atoll._definitions import metadata as metadata_values
from atoll._definitions.value_types import loaders

_SHOWN_CHARACTERS_MAX = 80


class TypeKind(enum.Enum):
    """What sort of type one is, where that is more than its check."""

    ANY = "ANY"
    SCALAR = "SCALAR"
    LIST = "LIST"
    NOTHING = "NOTHING"
    NULLABLE = "NULLABLE"
    REGULAR = "REGULAR"


class TypeCheck(records.Record):
    """What a check says about a value.

    Attributes:
        success: Whether the value is of the type.
        description: Why it is not, or what else there is to say.
        metadata: Typed metadata values by name.
    """

    success: bool
    description: str | None
    metadata: Mapping[str, metadata_values.MetadataValue[Any]]

    def __init__(
        self,
        success: bool,  # noqa: FBT001 - the field's signature
        description: str | None = None,
        metadata: Mapping[str, metadata_values.RawMetadataValue] | None = None,
    ) -> None:
        values = self.__dict__
        values["success"] = success
        values["description"] = description
        values["metadata"] = metadata_values.normalize(metadata)


PASSED = TypeCheck(success=True)

CheckFunction = Callable[[Any, Any], bool | TypeCheck]


class Type:
    """What the values of an input or an output must be. Checked on every value in every step.

    Args:
        type_check_fn: A function of a `TypeCheckContext` and the value that returns whether the
            value is of the type, or a `TypeCheck` that says more. It may raise `Failure` to refuse
            the value with a description and metadata.
        key: What tells the type apart from all others; the name where not given.
        name: The name, which no other type in a job may have.
        is_builtin: Whether Atoll itself brings the type.
        description: What the type means, as Markdown.
        loader: Makes a value of run configuration, for inputs that no step gives a value.
        required_resource_keys: The resources that the check uses, at `context.resources`.
        kind: What sort of type it is.
        typing_type: The Python type of the values, for those who load them.
        metadata: What else to tell of the type, such as the columns of a table.
    """

    def __init__(
        self,
        type_check_fn: CheckFunction,
        key: str | None = None,
        name: str | None = None,
        is_builtin: bool = False,  # noqa: FBT001, FBT002 - the field's signature
        description: str | None = None,
        loader: loaders.TypeLoader | None = None,
        required_resource_keys: AbstractSet[str] | None = None,
        kind: TypeKind = TypeKind.REGULAR,
        typing_type: Any = Any,
        metadata: Mapping[str, metadata_values.RawMetadataValue] | None = None,
    ) -> None:
        if not key and not name:
            raise errors.InvalidDefinitionError(
                "A type needs a name: Type(check, name='Positive')."
            )
        self._key: str = key or name or ""
        self._name = name
        _check_function(type_check_fn, name or self._key)
        _check_loader(loader, name or self._key)
        self._type_check_fn = type_check_fn
        self._is_builtin = is_builtin
        self._description = description
        self._loader = loader
        self._required_resource_keys = frozenset(required_resource_keys or ())
        self._kind = kind
        self._typing_type = typing_type
        self._metadata = metadata_values.normalize(metadata)

    def type_check(self, context: Any, value: object) -> TypeCheck:
        """Check a value.

        Args:
            context: A `TypeCheckContext`; None will do for types whose check does not use it.
            value: The value.

        Returns:
            What the check says.

        Raises:
            TypeCheckError: The check raised, or did not answer with a truth value or a `TypeCheck`.
        """
        try:
            answer = self._type_check_fn(context, value)
        except failures.Failure as failure:
            return TypeCheck(
                success=False, description=failure.description, metadata=failure.metadata
            )
        except errors.TypeCheckError:
            # The check of a part of the value: it has already been told.
            raise
        except Exception as error:
            raise errors.TypeCheckError(
                f"The check of the type {self.display_name!r} raised {type(error).__name__} for "
                f"{shown(value)}: {error}"
            ) from error
        if answer is True:
            return PASSED
        return answer if isinstance(answer, TypeCheck) else self._check_of(answer, value)

    def _check_of(self, answer: object, value: object) -> TypeCheck:
        """Make a check of an answer that is neither True nor a check."""
        if isinstance(answer, bool) or _is_numpy_bool(answer):
            if answer:
                return PASSED
            return TypeCheck(
                success=False,
                description=f"{shown(value)} is not of the type {self.display_name!r}.",
            )
        raise errors.TypeCheckError(
            f"The check of the type {self.display_name!r} returned {shown(answer)}. Return True, "
            "False or a TypeCheck."
        )

    @property
    def key(self) -> str:
        """What tells the type apart from all others."""
        return self._key

    @property
    def name(self) -> str | None:
        """The name, where the type was given one."""
        return self._name

    @property
    def display_name(self) -> str:
        """What people call the type."""
        return self._name or self._key

    @property
    def has_unique_name(self) -> bool:
        """Whether the type was given a name, which is then its alone."""
        return self._name is not None

    @property
    def unique_name(self) -> str:
        """The name that no other type has.

        Raises:
            InvariantViolationError: The type was not given a name.
        """
        if self._name is None:
            raise errors.InvariantViolationError(
                f"The type {self.display_name!r} has no name of its own. Ask has_unique_name "
                "first, or use its key."
            )
        return self._name

    @property
    def description(self) -> str | None:
        """What the type means."""
        return self._description

    @property
    def kind(self) -> TypeKind:
        """What sort of type it is."""
        return self._kind

    @property
    def is_builtin(self) -> bool:
        """Whether Atoll itself brings the type."""
        return self._is_builtin

    @property
    def is_any(self) -> bool:
        """Whether every value is of the type."""
        return self._kind is TypeKind.ANY

    @property
    def is_nothing(self) -> bool:
        """Whether the type stands for order only: no value goes from one step to the other."""
        return self._kind is TypeKind.NOTHING

    @property
    def loader(self) -> loaders.TypeLoader | None:
        """What makes a value of run configuration."""
        return self._loader

    @property
    def required_resource_keys(self) -> frozenset[str]:
        """The resources that the check uses."""
        return self._required_resource_keys

    @property
    def typing_type(self) -> Any:
        """The Python type of the values; `typing.Any` where it is not known."""
        return self._typing_type

    @property
    def metadata(self) -> Mapping[str, metadata_values.MetadataValue[Any]]:
        """What else there is to tell of the type."""
        return self._metadata

    @property
    def inner_types(self) -> tuple["Type", ...]:
        """The types of the parts, such as the elements of a list, in order."""
        return ()

    @property
    def supports_fan_in(self) -> bool:
        """Whether an input of the type may be given the outputs of several steps."""
        return self._kind in _FAN_IN_KINDS

    def get_inner_type_for_fan_in(self) -> "Type":
        """Return the type of each of several outputs that together are one input.

        Raises:
            InvariantViolationError: An input of the type takes one output.
        """
        if not self.supports_fan_in:
            raise errors.InvariantViolationError(
                f"An input of the type {self.display_name!r} takes the output of one step. Make it "
                f"a list of it to give it several."
            )
        return self.inner_types[0] if self.inner_types else self

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.display_name!r})"


_FAN_IN_KINDS = frozenset({TypeKind.ANY, TypeKind.LIST, TypeKind.NOTHING})


class PythonObjectType(Type):
    """A type whose values are the instances of a class, or of one of several.

    Args:
        python_type: The class, or a tuple of them.
        key: What tells the type apart from all others; the name where not given.
        name: The name; that of the class where not given.
        description: What the type means, as Markdown.
        loader: Makes a value of run configuration, for inputs that no step gives a value.
        metadata: What else to tell of the type.
        is_builtin: Whether Atoll itself brings the type.
        required_resource_keys: The resources that the loader's context has to have.
        kind: What sort of type it is.
    """

    def __init__(
        self,
        python_type: type[Any] | tuple[type[Any], ...],
        key: str | None = None,
        name: str | None = None,
        *,
        description: str | None = None,
        loader: loaders.TypeLoader | None = None,
        metadata: Mapping[str, metadata_values.RawMetadataValue] | None = None,
        is_builtin: bool = False,
        required_resource_keys: AbstractSet[str] | None = None,
        kind: TypeKind = TypeKind.REGULAR,
    ) -> None:
        classes = python_type if isinstance(python_type, tuple) else (python_type,)
        _check_classes(classes)
        names = ", ".join(one.__name__ for one in classes)
        self._python_type = python_type
        self._expected = names if len(classes) == 1 else f"Union[{names}]"
        super().__init__(
            self._check,
            key or (None if name else self._expected),
            name or (None if key else self._expected),
            is_builtin,
            description,
            loader,
            required_resource_keys,
            kind,
            classes[0] if len(classes) == 1 else Union[classes],  # noqa: UP007 - made at run time
            metadata,
        )

    @property
    def python_type(self) -> type[Any] | tuple[type[Any], ...]:
        """The class of the values, or the classes."""
        return self._python_type

    def _check(self, _context: Any, value: object) -> bool | TypeCheck:
        return isinstance(value, self._python_type) or TypeCheck(
            success=False,
            description=f"{shown(value)} is not of the type {self.display_name!r}: expected "
            f"{self._expected}.",
        )


def shown(value: object) -> str:
    """Tell of a value what fits a line: its type, and the value itself where it is a scalar."""
    kind = type(value)
    if kind is type(None):
        return "None"
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    # The text of anything else may be endless, may raise, and is rarely what helps.
    if kind not in _SCALARS:
        return f"A value of type {name}"
    text = repr(value)
    if len(text) > _SHOWN_CHARACTERS_MAX:
        text = f"{text[: _SHOWN_CHARACTERS_MAX - 3]}..."
    return f"{text} of type {name}"


_SCALARS = frozenset({bool, float, int, str})


def _is_numpy_bool(value: object) -> bool:
    """Tell whether a value is what numpy and pandas give as a truth value."""
    kind = type(value)
    return kind.__module__ == "numpy" and kind.__name__ in {"bool", "bool_"}


def _check_function(function: Any, name: str) -> None:
    if not callable(function):
        raise errors.InvalidDefinitionError(
            f"The type {name!r} has {function!r} as its check. Give a function of a context and "
            "the value that returns True, False or a TypeCheck."
        )
    code = getattr(function, "__code__", None)
    # Most are plain functions of two parameters, for which this is enough.
    if getattr(code, "co_argcount", 0) == 2 and not function.__kwdefaults__:  # noqa: PLR2004
        return
    if not loaders.takes_two(function):
        raise errors.InvalidDefinitionError(
            f"The check of the type {name!r}, {loaders.name_of(function)}, cannot be called with a "
            "context and the value. Give it two parameters, as in `lambda _context, value: ...`."
        )


def _check_loader(loader: Any, name: str) -> None:
    if loader is not None and not isinstance(loader, loaders.TypeLoader):
        raise errors.InvalidDefinitionError(
            f"The type {name!r} has the loader {loader!r}, which is no TypeLoader. Decorate the "
            "function with @type_loader(config_schema=...)."
        )


def _check_classes(classes: tuple[Any, ...]) -> None:
    for one in classes:
        # The generic of a class, such as list[int], passes for a class in Python 3.10.
        if not isinstance(one, type) or hasattr(one, "__origin__"):
            _refuse_class(one)
    if not classes:
        _refuse_class(classes)


def _refuse_class(given: Any) -> NoReturn:
    raise errors.InvalidDefinitionError(
        f"PythonObjectType takes a class or a tuple of classes, got {given!r}. Annotate with the "
        "generic itself, or give a Type with a check of its own."
    )
