"""The objects that user code gets by resource key.

Called by contexts and by the execution of runs. How they are made ready is the business of
`resource_scope`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from atoll import errors


class Resources:
    """Gives resources by attribute: `context.resources.warehouse`.

    Args:
        objects: The resources by key.
        whose: Whose resources they are, for the error.
    """

    def __init__(self, objects: Mapping[str, Any], whose: str) -> None:
        self._objects = objects
        self._whose = whose

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self._objects[name]
        except KeyError:
            known = ", ".join(sorted(self._objects)) or "none"
            raise errors.UnknownResourceError(
                f"{self._whose} has no resource {name!r}; it has {known}. Name it in "
                "required_resource_keys, "
                "and provide it in Definitions(resources=...).",
                name,
            ) from None

    def _asdict(self) -> dict[str, Any]:
        """Return the resources by key."""
        return dict(self._objects)


def required(objects: Mapping[str, Any], keys: Iterable[str], whose: str) -> Resources:
    """Choose the resources that a definition requires.

    Args:
        objects: All resources by key.
        keys: The required ones.
        whose: Whose resources they are, for errors.

    Returns:
        The chosen ones.

    Raises:
        UnknownResourceError: One of them is not there.
    """
    for key in keys:
        if key not in objects:
            raise errors.UnknownResourceError(
                f"{whose} requires the resource {key!r}, which nobody provides. Give "
                "Definitions(resources=...).",
                key,
            )
    return Resources({key: objects[key] for key in keys}, whose)
