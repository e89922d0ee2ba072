"""What each parameter of a user's function receives: the context, config, resources or inputs.

Called by the decorators of assets, ops, checks, sensors, schedules and hooks. A location may define
tens of thousands of functions: each signature is read once, and the text of an annotation is looked
up rather than evaluated wherever it is a plain name.
"""

import builtins
import dataclasses
import inspect
from collections.abc import Callable, Mapping
from types import CellType, FrameType
from typing import Any

from atoll import errors
from atoll._definitions import annotations, resource_contract

CONTEXT_NAMES = frozenset({"context", "_context", "context_", "_", "__"})
CONFIG_NAME = "config"
_OWN_FOLDER = __file__.rpartition("_definitions")[0]
_OWN_PACKAGE = __name__.partition(".")[0]
_EMPTY = inspect.Parameter.empty
_MISSING = object()


@dataclasses.dataclass(frozen=True, slots=True)
class Parameters:
    """What the parameters of a user's function receive.

    Attributes:
        context: The parameter that receives the context; None where there is none.
        config: The parameter that receives the config; None where there is none.
        config_annotation: What that parameter is annotated with, resolved; `UNKNOWN` where it is
            not, or where its text cannot be resolved.
        resources: The parameters that receive a resource, each with the key of the resource.
        inputs: The others, in order; their annotations are as they were written.
        takes_any_keyword: Whether the function takes keywords that it does not name.
        returns: What the function is annotated to return, as it was written.
    """

    context: str | None
    config: str | None
    config_annotation: Any
    resources: Mapping[str, str]
    inputs: tuple[inspect.Parameter, ...]
    takes_any_keyword: bool
    returns: Any = annotations.UNKNOWN


_NO_RESOURCES: Mapping[str, str] = {}


def read(
    function: Callable[..., Any],
    whose: str,
    *,
    has_context: bool = True,
    has_config: bool = True,
) -> Parameters:
    """Tell what the parameters of a function receive.

    Args:
        function: The function.
        whose: What it belongs to, for errors: "The asset 'orders'".
        has_context: Whether the first parameter may be the context. Where functions receive it
            under any name, as those of sensors do, leave it among the inputs.
        has_config: Whether a parameter called `config` receives the config.

    Returns:
        What they receive.

    Raises:
        InvalidDefinitionError: A parameter cannot be given by name.
    """
    signature = inspect.signature(function)
    scope = _Scope(function)
    context: str | None = None
    config: str | None = None
    config_annotation: Any = annotations.UNKNOWN
    resources: dict[str, str] | None = None
    inputs: list[inspect.Parameter] = []
    takes_any = False
    for position, parameter in enumerate(signature.parameters.values()):
        name, kind, annotation = parameter.name, parameter.kind, parameter.annotation
        if kind is parameter.VAR_KEYWORD:
            takes_any = True
        elif has_context and position == 0 and _is_context(name, annotation, scope):
            context = name
        elif kind is parameter.VAR_POSITIONAL or kind is parameter.POSITIONAL_ONLY:
            raise errors.InvalidDefinitionError(
                f"{whose} has a function with the parameter {parameter}, which cannot be given by "
                "name. Name its parameters one by one, and take a / away."
            )
        elif has_config and name == CONFIG_NAME:
            config, config_annotation = name, scope.resolve(annotation)
        elif annotation is not _EMPTY and scope.is_resource(annotation):
            resources = resources or {}
            resources[name] = name
        else:
            inputs.append(parameter)
    return Parameters(
        context,
        config,
        config_annotation,
        resources or _NO_RESOURCES,
        tuple(inputs),
        takes_any,
        signature.return_annotation,
    )


def _is_context(name: str, annotation: Any, scope: "_Scope") -> bool:
    if name in CONTEXT_NAMES:
        return True
    if isinstance(annotation, str):
        if not annotation.rstrip("'\"").endswith("Context"):
            return False
        annotation = scope.resolve(annotation)
    named = getattr(annotation, "__name__", "")
    module = getattr(annotation, "__module__", "")
    is_own = module == _OWN_PACKAGE or module.startswith(f"{_OWN_PACKAGE}.")
    return is_own and named.endswith("Context")


class _Scope:
    """The names that the annotations of a function may mean.

    Args:
        function: The function.
    """

    __slots__ = ("_closure", "_function", "_globals", "_locals")

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._globals: Mapping[str, Any] | None = None
        self._closure: Mapping[str, Any] = {}
        self._locals: Mapping[str, Any] | None = None

    def resolve(self, annotation: Any) -> Any:
        """Return what an annotation stands for; `UNKNOWN` where its text cannot be resolved."""
        if not isinstance(annotation, str):
            return annotation
        if self._globals is None:
            self._open()
        first, *rest = annotation.split(".")
        if first.isidentifier() and all(part.isidentifier() for part in rest):
            found = self._look_up(first)
            for part in rest:
                found = getattr(found, part, _MISSING)
            return annotations.UNKNOWN if found is _MISSING else found
        around: Mapping[str, Any] = self._around() if self._is_local() else {}
        return annotations.resolve(annotation, self._function, around)

    def is_resource(self, annotation: Any) -> bool:
        """Tell whether a parameter with this annotation receives a resource."""
        if isinstance(annotation, str) and annotation.endswith("]") and "|" not in annotation:
            # Neither `list[...]` nor anything else of a plain class needs to be evaluated.
            kind = self.resolve(annotation.partition("[")[0])
            if isinstance(kind, type) and not issubclass(kind, resource_contract.ResourceClass):
                return False
        return resource_contract.is_resource(self.resolve(annotation))

    def _open(self) -> None:
        original = inspect.unwrap(self._function)
        self._globals = getattr(original, "__globals__", {})
        cells: tuple[CellType, ...] | None = getattr(original, "__closure__", None)
        if cells:
            names: tuple[str, ...] = original.__code__.co_freevars
            self._closure = dict(zip(names, cells, strict=True))

    def _look_up(self, name: str) -> Any:
        cell = self._closure.get(name)
        if cell is not None:
            try:
                return cell.cell_contents
            except ValueError:
                return _MISSING
        if self._is_local():
            around = self._around()
            if name in around:
                return around[name]
        names = self._globals or {}
        return names[name] if name in names else getattr(builtins, name, _MISSING)

    def _is_local(self) -> bool:
        """Tell whether the function was defined inside a function or a class."""
        return "." in getattr(self._function, "__qualname__", "")

    def _around(self) -> Mapping[str, Any]:
        """Return the local names of the place where the function was defined, while it runs.

        The frames are looked through for it, since a decorator of the user's own may stand between
        that place and Atoll.
        """
        if self._locals is None:
            enclosing = self._function.__qualname__.replace(".<locals>", "").split(".")[-2]
            frame: FrameType | None = inspect.currentframe()
            outside: FrameType | None = None
            while frame is not None and frame.f_code.co_name != enclosing:
                if outside is None and not frame.f_code.co_filename.startswith(_OWN_FOLDER):
                    outside = frame
                frame = frame.f_back
            found = frame or outside
            self._locals = found.f_locals if found is not None else {}
        return self._locals
