"""Tags as users give them, and the names of the tags that Atoll puts on events.

Called by everything that takes tags. Depends on nothing but the errors.
"""

from collections.abc import Mapping

from atoll import errors

DATA_VERSION = "atoll/data_version"
DATA_VERSION_BY_USER = "atoll/data_version_is_user_provided"
CODE_VERSION = "atoll/code_version"
INPUT_DATA_VERSION_PREFIX = "atoll/input_data_version/"
INPUT_EVENT_ID_PREFIX = "atoll/input_event_id/"


def checked(tags: Mapping[str, str] | None) -> dict[str, str]:
    """Return tags as a new dict after checking that they are strings.

    Args:
        tags: Names to values, or nothing.

    Returns:
        A new dict.

    Raises:
        InvalidDefinitionError: A name or a value is no string.
    """
    if not tags:
        return {}
    for name, value in tags.items():
        if not _are_text(name, value):
            raise errors.InvalidDefinitionError(
                f"Tags map strings to strings, got {name!r}: {value!r}. Convert the value to a "
                "string."
            )
    return dict(tags)


def _are_text(*values: object) -> bool:
    return all(isinstance(value, str) for value in values)
