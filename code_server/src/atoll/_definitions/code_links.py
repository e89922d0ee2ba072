"""Where the code of assets stands: told from their functions, and linked to a repository.

Called by users on what they give to `Definitions`. What it finds becomes metadata of the assets,
under `CODE_REFERENCES`.
"""

import abc
import os
import posixpath
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from atoll import errors
from atoll._definitions import assets, specs, table_metadata
from atoll._definitions import code_references as references
from atoll._definitions import metadata as metadata_values

Platform: TypeAlias = Literal["github", "gitlab"]

_FILE_URLS: dict[str, str] = {
    "github": "{repository}/tree/{branch}/{path}",
    "gitlab": "{repository}/-/tree/{branch}/{path}",
}
_OUTSIDE = ".."


class FilePathMapping(abc.ABC):
    """Tells where files of this machine stand in a repository. Subclass it for your layout."""

    @abc.abstractmethod
    def convert_to_source_control_path(self, local_path: Path) -> str:
        """Return where a file stands in the repository, with slashes, from its root."""


class AnchorBasedFilePathMapping(FilePathMapping):
    """Tells it from one file of which both places are known.

    Args:
        local_file_anchor: A file of this machine, such as `Path(__file__)`.
        file_anchor_path_in_repository: Where the same file stands in the repository.
    """

    def __init__(
        self, local_file_anchor: "str | os.PathLike[str]", file_anchor_path_in_repository: str
    ) -> None:
        self.local_file_anchor = Path(local_file_anchor)
        self.file_anchor_path_in_repository = file_anchor_path_in_repository

    def convert_to_source_control_path(self, local_path: Path) -> str:
        """Return where a file stands in the repository; it begins with ".." if it is outside."""
        way = os.path.relpath(local_path, self.local_file_anchor).replace(os.sep, "/")
        return posixpath.normpath(posixpath.join(self.file_anchor_path_in_repository, way))


def with_source_code_references(assets_defs: Iterable[Any]) -> list[Any]:
    """Attach to each asset where its function stands, as metadata.

    Args:
        assets_defs: Assets; bare specs, which have no function, stay as they are.

    Returns:
        The same in the same order, with their references.
    """
    return [
        _with_reference(one) if isinstance(one, assets.AssetsDefinition) else one
        for one in assets_defs
    ]


def link_code_references_to_git(
    assets_defs: Iterable[Any],
    git_url: str,
    git_branch: str,
    file_path_mapping: FilePathMapping,
    platform: Platform | None = None,
) -> list[Any]:
    """Turn references to files of this machine into links to a repository.

    A file that does not stand in the repository keeps its reference.

    Args:
        assets_defs: Assets with references, and specs.
        git_url: The address of the repository's pages.
        git_branch: The branch, tag or commit to show.
        file_path_mapping: Tells where files stand in the repository.
        platform: What serves the pages; told from the address where not given.

    Returns:
        The same in the same order, with links.

    Raises:
        InvalidDefinitionError: The platform is none of the known ones, or cannot be told.
    """
    repository = git_url.rstrip("/").removesuffix(".git")
    template = _FILE_URLS[_platform_of(repository, platform)]

    def linked(reference: references.CodeReference) -> references.CodeReference:
        if isinstance(reference, references.UrlCodeReference):
            return reference
        path = file_path_mapping.convert_to_source_control_path(Path(reference.file_path))
        if path.split("/")[0] == _OUTSIDE:
            return reference
        url = template.format(repository=repository, branch=git_branch, path=path)
        if reference.line_number is not None:
            url = f"{url}#L{reference.line_number}"
        return references.UrlCodeReference(url=url, label=reference.label)

    def change(spec: specs.AssetSpec) -> specs.AssetSpec:
        known = code_references_of(spec)
        return _referring(spec, [linked(each) for each in known]) if known else spec

    return [_changed(one, change) for one in assets_defs]


def code_references_of(spec: specs.AssetSpec) -> Sequence[references.CodeReference]:
    """Return where the code of an asset stands, as far as its metadata tells.

    Args:
        spec: The asset.
    """
    value = spec.metadata.get(table_metadata.CODE_REFERENCES)
    if isinstance(value, metadata_values.CodeReferencesMetadataValue):
        return value.code_references
    return ()


def _with_reference(definition: assets.AssetsDefinition) -> assets.AssetsDefinition:
    source = definition.source
    if source is None:
        return definition
    place = references.LocalFileCodeReference(
        file_path=str(Path(source.file).resolve()), line_number=source.line
    )

    def change(spec: specs.AssetSpec) -> specs.AssetSpec:
        known = code_references_of(spec)
        return spec if place in known else _referring(spec, [*known, place])

    return definition.map_asset_specs(change)


def _referring(
    spec: specs.AssetSpec, places: Sequence[references.CodeReference]
) -> specs.AssetSpec:
    value = metadata_values.CodeReferencesMetadataValue(code_references=places)
    return spec.merge_attributes(metadata={table_metadata.CODE_REFERENCES: value})


def _changed(one: Any, change: Callable[[specs.AssetSpec], specs.AssetSpec]) -> Any:
    if isinstance(one, assets.AssetsDefinition):
        return one.map_asset_specs(change)
    return change(one) if isinstance(one, specs.AssetSpec) else one


def _platform_of(repository: str, platform: str | None) -> str:
    found = platform
    if found is None:
        host = repository.partition("://")[2].partition("/")[0]
        found = next((name for name in _FILE_URLS if name in host), None)
    if found not in _FILE_URLS:
        told = f"platform={platform!r}" if platform is not None else f"git_url={repository!r}"
        raise errors.InvalidDefinitionError(
            f"{told} names no platform whose pages Atoll can link to. Give platform= one of "
            f"{', '.join(map(repr, _FILE_URLS))}."
        )
    return found
