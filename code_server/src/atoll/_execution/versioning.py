"""The data version of a materialization and what it was made of, as tags of its event.

Called by the step engine when an output is an asset. Pure; `DataProvenance.from_tags` reads the
tags back.
"""

import hashlib
from collections.abc import Mapping

from atoll._definitions import data_versions, keys
from atoll._definitions import tags as tag_names

_UNKNOWN_EVENT = "NULL"


def computed(
    code_version: str, inputs: Mapping[keys.AssetKey, data_versions.DataVersion]
) -> data_versions.DataVersion:
    """Return the version of data that nobody gave one: it follows from the code and the inputs.

    Args:
        code_version: The version of the code; the id of the run where it has none, since nobody
            knows then whether the code is the same.
        inputs: The versions of the upstream assets.
    """
    digest = hashlib.sha256(code_version.encode("utf-8", "replace"))
    for key in sorted(inputs):
        text = f"\0{key.to_user_string()}\0{inputs[key].value}"
        digest.update(text.encode("utf-8", "replace"))
    return data_versions.DataVersion(digest.hexdigest())


def event_tags(
    given: data_versions.DataVersion | None,
    *,
    code_version: str,
    inputs: Mapping[keys.AssetKey, tuple[data_versions.DataVersion, int | None]],
) -> dict[str, str]:
    """Return the tags that tell the version of a materialization and what it was made of.

    Args:
        given: The version that user code gave, None to compute one.
        code_version: The version of the code; the id of the run where it has none.
        inputs: The version and the event id of each upstream asset that was read.
    """
    versions = {key: version for key, (version, _) in inputs.items()}
    tags = {
        tag_names.CODE_VERSION: code_version,
        tag_names.DATA_VERSION: (given or computed(code_version, versions)).value,
    }
    if given is not None:
        tags[tag_names.DATA_VERSION_BY_USER] = "true"
    for key, (version, event_id) in inputs.items():
        name = key.to_user_string()
        tags[f"{tag_names.INPUT_DATA_VERSION_PREFIX}{name}"] = version.value
        pointer = _UNKNOWN_EVENT if event_id is None else str(event_id)
        tags[f"{tag_names.INPUT_EVENT_ID_PREFIX}{name}"] = pointer
    return tags
