"""All types that a job or a location uses, once each.

Called by jobs, which refuse two types of one name, and by the snapshot.
"""

from collections.abc import Iterable

from atoll import errors
from atoll._definitions.value_types import definition


def distinct(used: Iterable[definition.Type]) -> dict[str, definition.Type]:
    """Return types and the types of their parts by key, each once.

    Args:
        used: The types of inputs and outputs.

    Returns:
        The types in the order in which they were met, parts before wholes.

    Raises:
        InvalidDefinitionError: Two different types have one name.
    """
    found: dict[str, definition.Type] = {}
    for one in used:
        _add(one, found)
    return found


def _add(added: definition.Type, found: dict[str, definition.Type]) -> None:
    known = found.get(added.key)
    if known is added:
        return
    if known is not None:
        # The like of a builtin type is made again whenever it is asked for.
        if known.is_builtin and added.is_builtin:
            return
        if added.has_unique_name or known.has_unique_name:
            raise errors.InvalidDefinitionError(
                f"Two different types are called {added.display_name!r}. Define the type once and "
                "use it in both places, or give one of them another name."
            )
    for inner in added.inner_types:
        _add(inner, found)
    found.setdefault(added.key, added)
