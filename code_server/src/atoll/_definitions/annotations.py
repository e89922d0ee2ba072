"""What the annotations of a user's function mean, also where they are strings.

Called by the decorators and by the loading of inputs. Annotations are resolved one by one and only
where needed, since resolving all of them would fail for names that exist for type checkers only.
"""

import inspect
import typing
from collections.abc import Callable, Mapping
from types import CellType, FrameType
from typing import Any

UNKNOWN = inspect.Parameter.empty
_OWN_FOLDER = __file__.rpartition("_definitions")[0]


def resolve(
    annotation: Any, function: Callable[..., Any], scope: Mapping[str, Any] | None = None
) -> Any:
    """Return what an annotation stands for.

    Args:
        annotation: The annotation; may be its source text.
        function: The function that carries it.
        scope: Names of the place where the function was defined, beside the module's.

    Returns:
        The annotation, or `UNKNOWN` where its text cannot be resolved.
    """
    if not isinstance(annotation, str):
        return annotation
    original = inspect.unwrap(function)
    module_names: dict[str, Any] = getattr(original, "__globals__", {})
    names = {**_closure(original), **(scope or {})}
    try:
        return eval(annotation, module_names, names)  # noqa: S307 - the user's own source text
    except Exception:  # noqa: BLE001 - boundary to the user's text; the caller tells what it misses
        return UNKNOWN


def names_of_definition() -> Mapping[str, Any]:
    """Return the local names of the place outside Atoll that led here."""
    frame: FrameType | None = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename.startswith(_OWN_FOLDER):
        frame = frame.f_back
    return dict(frame.f_locals) if frame is not None else {}


def is_none(annotation: Any) -> bool:
    """Tell whether an annotation says that nothing is returned."""
    return annotation is None or annotation is type(None) or annotation == "None"


def names_class(annotation: Any, kind: type) -> bool:
    """Tell whether an annotation is a class, or the text of its name, parametrised or not."""
    if isinstance(annotation, str):
        name = annotation.partition("[")[0].rpartition(".")[2].strip()
        return name == kind.__name__
    origin = getattr(annotation, "__origin__", annotation)
    return isinstance(origin, type) and issubclass(origin, kind)


def _closure(function: Callable[..., Any]) -> dict[str, Any]:
    code = getattr(function, "__code__", None)
    cells = getattr(function, "__closure__", None)
    if code is None or not cells:
        return {}
    return {
        name: cell.cell_contents
        for name, cell in zip(code.co_freevars, cells, strict=True)
        if not _is_empty(cell)
    }


def _is_empty(cell: CellType) -> bool:
    """Tell whether a name is bound only later than the function that uses it."""
    try:
        return cell.cell_contents is UNKNOWN
    except ValueError:
        return True


def inside(annotation: Any, wrappers: tuple[type, ...]) -> Any:
    """Return what a wrapper such as `Output[int]` is annotated to hold.

    Args:
        annotation: The annotation, resolved.
        wrappers: The generic classes to look into.

    Returns:
        The inner annotation; `UNKNOWN` for a bare wrapper; the annotation itself for anything else.
    """
    if annotation in wrappers:
        return UNKNOWN
    if typing.get_origin(annotation) in wrappers:
        arguments = typing.get_args(annotation)
        return arguments[0] if arguments else UNKNOWN
    return annotation


def members_of_tuple(annotation: Any, function: Callable[..., Any], count: int) -> list[Any]:
    """Return the annotation of each of several values that a function returns as a tuple.

    Args:
        annotation: What the function is annotated to return, possibly as text.
        function: The function.
        count: How many values there are.

    Returns:
        An annotation for each; `UNKNOWN` where it cannot be told.
    """
    resolved = resolve(annotation, function)
    arguments = typing.get_args(resolved)
    if typing.get_origin(resolved) is tuple and len(arguments) == count:
        return list(arguments)
    return [UNKNOWN] * count


def docstring(function: Callable[..., Any]) -> str | None:
    """Return what a function says of itself, None where it says nothing."""
    return inspect.cleandoc(function.__doc__) if function.__doc__ else None
