"""The data versions of what a step materializes, from the versions of what it read.

Called by `step_outputs`. How versions follow from each other, and the tags that carry them, stand
in `versioning`; here is where the versions of a step's inputs come from.
"""

import functools
from collections.abc import Mapping

from atoll._definitions import data_versions, keys
from atoll._definitions import tags as tag_names
from atoll._execution import known_assets, planning, run_scope, versioning

_INITIAL = data_versions.DataVersion("INITIAL")
"""The version of an asset that was never materialized."""


class StepVersions:
    """Tells the data versions of one step's assets.

    Args:
        scope: What all steps of the run share.
        step: The step.
    """

    def __init__(self, scope: run_scope.RunScope, step: planning.Step) -> None:
        self._scope = scope
        self._step = step

    def tags_for(
        self, key: keys.AssetKey, given: data_versions.DataVersion | None
    ) -> dict[str, str]:
        """Return the tags that tell the version of an asset and what it was made of.

        Args:
            key: The asset.
            given: The version that user code gives, None to compute one.
        """
        one = self._step.assets_def
        spec = one.specs_by_key.get(key) if one is not None else None
        code_version = None if spec is None else spec.code_version
        if code_version is None:
            code_version = self._step.op.code_version or self._scope.run.run_id
        needed = () if spec is None else [dep.asset_key for dep in spec.deps]
        if self._stored is None:
            # What was read is not known, so neither is what follows from it.
            return (
                {}
                if given is None
                else versioning.event_tags(given, code_version=code_version, inputs={})
            )
        tags = versioning.event_tags(
            given,
            code_version=code_version,
            inputs={upstream: self._input(upstream) for upstream in needed},
        )
        version = data_versions.DataVersion(tags[tag_names.DATA_VERSION])
        self._scope.made_versions[key] = version
        return tags

    def _input(self, key: keys.AssetKey) -> tuple[data_versions.DataVersion, int | None]:
        made = self._scope.made_versions.get(key)
        if made is not None:
            return made, None
        stored = (self._stored or {}).get(key)
        if stored is None:
            # Sources are observed, not materialized.
            stored = self._scope.newest.observation(key)
        if stored is None:
            return _INITIAL, None
        told = stored.tags.get(tag_names.DATA_VERSION)
        return data_versions.DataVersion(told or str(stored.storage_id)), stored.storage_id

    @functools.cached_property
    def _stored(self) -> Mapping[keys.AssetKey, known_assets.Materialized | None] | None:
        """The newest materializations of the upstream assets that this run did not make.

        None where they are not known and nobody answers. Asked for all of them at once: where the
        host did not tell them in advance, that is one question to it.
        """
        one = self._step.assets_def
        if one is None:
            return {}
        wanted = {dep.asset_key for spec in one.specs for dep in spec.deps}
        missing = sorted(wanted - set(self._scope.made_versions))
        return self._scope.newest.latest(missing)
