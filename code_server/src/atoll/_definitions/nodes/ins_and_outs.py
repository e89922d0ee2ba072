"""What goes into ops and graphs, and what comes out of them.

`In`, `Out` and their relatives are what users write; `InputDefinition` and `OutputDefinition` are
what becomes of them together with the function's annotations. Types are resolved when first asked
for, since a location may define tens of thousands of assets that never run.
"""

import collections.abc
from collections.abc import Callable, Mapping
from typing import Any

from atoll import errors
from atoll._definitions import annotations, asset_events, keys, types
from atoll._definitions import metadata as metadata_values

DEFAULT_IO_MANAGER_KEY = "io_manager"
DEFAULT_OUTPUT_NAME = asset_events.DEFAULT_OUTPUT_NAME


class _NoDefault:
    """The type of `NO_DEFAULT`, which stands for the absence of a default where None is one."""

    def __repr__(self) -> str:
        return "NO_DEFAULT"


NO_DEFAULT = _NoDefault()
_GENERATORS = (
    collections.abc.Generator,
    collections.abc.Iterator,
    collections.abc.Iterable,
    collections.abc.AsyncGenerator,
    collections.abc.AsyncIterator,
)


class _NoType:
    """The type of `NO_TYPE`: no signature shows it as a value that users would write."""

    def __repr__(self) -> str:
        return "..."


# What stands for a type that is not given; `inspect` takes its own mark for a missing default.
NO_TYPE: Any = _NoType()


class In:
    """How an input of an op is typed and loaded.

    Args:
        type: The type; told from the annotation where not given.
        description: What the input is.
        default_value: The value where the graph gives none.
        metadata: What to give to the IO manager with the input.
        asset_key: The asset whose value it takes where the graph gives none.
        asset_partitions: The partitions of that asset.
        input_manager_key: The resource that loads the value instead of the IO manager that stored
            it.

    Example:
        `@op(ins={"start": In(Nothing)})`
    """

    __slots__ = (
        "asset_key",
        "asset_partitions",
        "default_value",
        "description",
        "input_manager_key",
        "metadata",
        "type",
    )

    def __init__(
        self,
        type: Any = NO_TYPE,
        description: str | None = None,
        default_value: Any = NO_DEFAULT,
        metadata: metadata_values.RawMetadataMapping | None = None,
        asset_key: keys.CoercibleToAssetKey | None = None,
        asset_partitions: Any = None,
        input_manager_key: str | None = None,
    ) -> None:
        self.type = type
        self.description = description
        self.default_value = default_value
        self.metadata = dict(metadata or {})
        self.asset_key = None if asset_key is None else keys.AssetKey.from_coercible(asset_key)
        self.asset_partitions = asset_partitions
        self.input_manager_key = input_manager_key


class GraphIn:
    """Describes an input of a graph.

    Args:
        description: What the input is.
    """

    __slots__ = ("description",)

    def __init__(self, description: str | None = None) -> None:
        self.description = description


class Out:
    """How an output of an op is typed and stored.

    Args:
        type: The type; told from the annotation where not given.
        description: What the output is.
        is_required: Whether the op has to give it.
        io_manager_key: The resource that stores it.
        metadata: What to give to the IO manager with the output.
        code_version: The version of the code that makes it.

    Example:
        `@op(out={"good": Out(is_required=False), "bad": Out(is_required=False)})`
    """

    __slots__ = (
        "code_version",
        "description",
        "io_manager_key",
        "is_required",
        "metadata",
        "type",
    )
    is_dynamic = False

    def __init__(
        self,
        type: Any = NO_TYPE,
        description: str | None = None,
        is_required: bool = True,  # noqa: FBT001, FBT002 - the field's signature
        io_manager_key: str | None = None,
        metadata: metadata_values.RawMetadataMapping | None = None,
        code_version: str | None = None,
    ) -> None:
        self.type = type
        self.description = description
        self.is_required = is_required
        self.io_manager_key = io_manager_key
        self.metadata = dict(metadata or {})
        self.code_version = code_version


class DynamicOut(Out):
    """An output that gives any number of values, each under a mapping key of its own.

    Example:
        `@op(out=DynamicOut())`
    """

    __slots__ = ()
    is_dynamic = True


class GraphOut:
    """Describes an output of a graph.

    Args:
        description: What the output is.
    """

    __slots__ = ("description",)

    def __init__(self, description: str | None = None) -> None:
        self.description = description


class InputDefinition:
    """An input of an op or a graph.

    Args:
        name: The name of the input.
        annotation: What the parameter is annotated with, possibly as text.
        function: The function that carries the annotation.
        given: What the user said of it.
        default: The parameter's own default.
    """

    __slots__ = ("_type", "annotation", "default", "function", "given", "name")

    def __init__(
        self,
        name: str,
        annotation: Any = annotations.UNKNOWN,
        function: Callable[..., Any] | None = None,
        given: In | None = None,
        default: Any = NO_DEFAULT,
    ) -> None:
        self.name = name
        self.annotation = annotation
        self.function = function
        self.given = given
        self.default = default
        if given is not None and given.default_value is not NO_DEFAULT:
            self.default = given.default_value
        self._type: types.Type | None = None

    @property
    def has_default(self) -> bool:
        """Whether there is a value where nothing else gives one."""
        return self.default is not NO_DEFAULT

    @property
    def python_annotation(self) -> Any:
        """What the parameter is annotated with, `UNKNOWN` where that cannot be told."""
        if self.function is None:
            return self.annotation
        return annotations.resolve(self.annotation, self.function)

    @property
    def type(self) -> types.Type:
        """The type of the values."""
        if self._type is None:
            explicit = self.given.type if self.given is not None else NO_TYPE
            self._type = (
                types.resolve(self.python_annotation)
                if explicit is NO_TYPE
                else types.resolve_argument(explicit, f"the input {self.name!r}")
            )
        return self._type

    @property
    def is_nothing(self) -> bool:
        """Whether the input only says what comes first."""
        given = self.given
        if given is None or given.type is NO_TYPE:
            return False
        return self.type.is_nothing

    @property
    def description(self) -> str | None:
        """What the input is."""
        return self.given.description if self.given is not None else None

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the IO manager is given with the input."""
        return self.given.metadata if self.given is not None else {}

    @property
    def input_manager_key(self) -> str | None:
        """The resource that loads the value, where it is not the IO manager that stored it."""
        return self.given.input_manager_key if self.given is not None else None

    @property
    def asset_key(self) -> keys.AssetKey | None:
        """The asset whose value is taken where the graph gives none."""
        return self.given.asset_key if self.given is not None else None

    def __repr__(self) -> str:
        return f"InputDefinition({self.name!r})"


class OutputDefinition:
    """An output of an op or a graph.

    Args:
        name: The name of the output.
        annotation: What the function is annotated to return for it, possibly as text.
        function: The function that carries the annotation.
        given: What the user said of it.
    """

    __slots__ = ("_type", "annotation", "function", "given", "name")

    def __init__(
        self,
        name: str = DEFAULT_OUTPUT_NAME,
        annotation: Any = annotations.UNKNOWN,
        function: Callable[..., Any] | None = None,
        given: Out | None = None,
    ) -> None:
        self.name = name
        self.annotation = annotation
        self.function = function
        self.given = given
        self._type: types.Type | None = None

    @property
    def type(self) -> types.Type:
        """The type of the values."""
        if self._type is None:
            explicit = self.given.type if self.given is not None else NO_TYPE
            if explicit is not NO_TYPE:
                self._type = types.resolve_argument(explicit, f"the output {self.name!r}")
            else:
                self._type = types.resolve(self._value_annotation())
        return self._type

    def _value_annotation(self) -> Any:
        """Return what the annotation says of a value: inside generators and `Output[...]`."""
        found = self.annotation
        if self.function is not None:
            found = annotations.resolve(found, self.function)
        found = annotations.inside(found, _GENERATORS)
        if self.is_dynamic:
            found = annotations.inside(found, (list,))
        return annotations.inside(found, (asset_events.Output, asset_events.DynamicOutput))

    @property
    def is_required(self) -> bool:
        """Whether the op has to give it."""
        return self.given.is_required if self.given is not None else True

    @property
    def is_dynamic(self) -> bool:
        """Whether it gives any number of values."""
        return self.given.is_dynamic if self.given is not None else False

    @property
    def io_manager_key(self) -> str:
        """The resource that stores the values."""
        given = self.given.io_manager_key if self.given is not None else None
        return given or DEFAULT_IO_MANAGER_KEY

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the IO manager is given with the output."""
        return self.given.metadata if self.given is not None else {}

    @property
    def description(self) -> str | None:
        """What the output is."""
        return self.given.description if self.given is not None else None

    @property
    def code_version(self) -> str | None:
        """The version of the code that makes it."""
        return self.given.code_version if self.given is not None else None

    def __repr__(self) -> str:
        return f"OutputDefinition({self.name!r})"


def checked_name(name: object, what: str) -> str:
    """Return a name of a node, an input or an output after checking it.

    Args:
        name: The name.
        what: What it names, for the error.

    Raises:
        InvalidDefinitionError: It cannot be part of a step's key.
    """
    if isinstance(name, str) and name and all(char.isalnum() or char == "_" for char in name):
        return name
    raise errors.InvalidDefinitionError(
        f"The name of {what} holds letters, digits and underscores only, got {name!r}."
    )
