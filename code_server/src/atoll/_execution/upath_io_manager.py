"""The base of IO managers that keep each value in a file of its own, on any file system.

Called by users, who subclass `UPathIOManager` and say how one value is written and read. Where it
lies, partitions, and what is told of it, is done here:

    <base>/<key parts>.<extension>                an asset
    <base>/<key parts>/<partition>.<extension>    a partition of one, with a folder a dimension
    <base>/<run>/<step>/<output>.<extension>      an output that is no asset

Loaded only when user code asks for it.
"""

import abc
import asyncio
import contextlib
import inspect
import pathlib
from collections.abc import Mapping
from typing import Any

from atoll import errors
from atoll._definitions import metadata as metadata_values
from atoll._execution import (
    coroutines,
    io_contexts,
    io_managers,
    partitioned_values,
    universal_paths,
)

PATH_METADATA = "path"


class UPathIOManager(io_managers.IOManager):
    """Keeps each value in a file of its own. Subclasses write and read one.

    A subclass with an attribute `extension`, such as ".csv", has it at the end of file names.

    Also a base beside `ConfigurableIOManager`: the field `base_path`, or `base_dir`, says where, or
    `_base_path` that `setup_for_execution` sets.

    Args:
        base_path: Where values lie: a path of `universal-pathlib` or `pathlib`, or its text; the
            current folder where not given.

    Example:
        `class CsvIOManager(UPathIOManager): extension = ".csv"` with `dump_to_path` and
        `load_from_path`
    """

    def __init__(self, base_path: Any = None) -> None:
        self._base_path = base_path

    @abc.abstractmethod
    def dump_to_path(self, context: io_contexts.OutputContext, obj: Any, path: Any) -> None:
        """Write a value to a file.

        Args:
            context: What belongs to the value.
            obj: The value.
            path: The file. Its folder is there.
        """

    @abc.abstractmethod
    def load_from_path(self, context: io_contexts.InputContext, path: Any) -> Any:
        """Read a value from a file. As an async function, it reads several partitions at once.

        Args:
            context: Which value.
            path: The file.
        """

    @property
    def fs(self) -> Any:
        """The file system, as `fsspec` knows it; None for `pathlib`."""
        return getattr(self._root, "fs", None)

    @property
    def storage_options(self) -> dict[str, Any]:
        """How the file system is reached."""
        return dict(getattr(self._root, "storage_options", {}))

    def get_metadata(
        self, context: io_contexts.OutputContext, obj: Any
    ) -> dict[str, metadata_values.RawMetadataValue]:
        """Return what is attached to the materialization beside the path.

        Args:
            context: What belongs to the value.
            obj: The value.
        """
        del context, obj
        return {}

    def get_asset_relative_path(
        self, context: io_contexts.InputContext | io_contexts.OutputContext
    ) -> Any:
        """Return the path of an asset below the base, without the extension.

        Args:
            context: Which asset.
        """
        return pathlib.PurePosixPath(*map(_safe, context.asset_key.path))

    def get_op_output_relative_path(
        self, context: io_contexts.InputContext | io_contexts.OutputContext
    ) -> Any:
        """Return the path of an output that is no asset below the base, without the extension.

        Args:
            context: Which output.
        """
        return pathlib.PurePosixPath(*map(_safe, context.get_identifier()))

    def get_path_for_partition(
        self,
        context: io_contexts.InputContext | io_contexts.OutputContext,
        path: Any,
        partition: str,
    ) -> Any:
        """Return the path of a partition, without the extension.

        Args:
            context: Which asset.
            path: The path of the asset.
            partition: The key, with a `/` between dimensions. What must not stand in a file name
                is escaped.
        """
        del context
        return self.make_safe_partition_path(path, partition)

    def make_safe_partition_path(self, base_path: Any, partition: str) -> Any:
        """Return the path of a partition below that of its asset.

        Args:
            base_path: The path of the asset.
            partition: The key, with a `/` between dimensions.
        """
        return base_path.joinpath(*map(_safe, partition.split("/")))

    def make_directory(self, path: Any) -> None:
        """Make a folder, and those that it stands in.

        Args:
            path: The folder.
        """
        # Some file systems know no folders, and some only the topmost.
        with contextlib.suppress(PermissionError, NotImplementedError):
            path.mkdir(parents=True, exist_ok=True)

    def path_exists(self, path: Any) -> bool:
        """Tell whether there is a file.

        Args:
            path: The file.
        """
        return bool(path.exists())

    def unlink(self, path: Any) -> None:
        """Remove a file.

        Args:
            path: The file.
        """
        path.unlink()

    def has_output(self, context: io_contexts.OutputContext) -> bool:
        """Tell whether a value is stored, with all partitions that the context names.

        Args:
            context: Which value.
        """
        return all(self.path_exists(path) for path in self._paths(context).values())

    def handle_output(self, context: io_contexts.OutputContext, obj: Any) -> None:
        """Store a value, or a dict with the value of each of several partitions.

        Args:
            context: What belongs to it.
            obj: The value.
        """
        paths = self._paths(context)
        several = len(paths) > 1
        values: Mapping[str, Any] = partitioned_values.by_partition(context, obj) if several else {}
        for key, path in paths.items():
            value = values[str(key)] if several else obj
            self.make_directory(path.parent)
            context.log.debug(self.get_writing_output_log_message(path))
            self.dump_to_path(context=context, obj=value, path=path)
        shown = self._path(context) if several else next(iter(paths.values()))
        context.add_output_metadata(
            {
                PATH_METADATA: metadata_values.MetadataValue.path(str(shown)),
                **self.get_metadata(context=context, obj=obj),
            }
        )

    def load_input(self, context: io_contexts.InputContext) -> Any:
        """Load a value, or a dict with the value of each of several partitions.

        Args:
            context: Which value.

        Raises:
            ValueNotFoundError: There is none.
        """
        if not (context.has_asset_key and context.has_asset_partitions):
            path = self._with_extension(self._path(context))
            context.log.debug(self.get_loading_input_log_message(path))
            return self._load_one(context, path, None)
        if not context.asset_partition_keys:
            return None
        if len(context.asset_partition_keys) > 1:
            partitioned_values.kind_of_each(context)
            if inspect.iscoroutinefunction(self.load_from_path):
                return coroutines.run(self.load_partitions_async(context))
            return self.load_partitions(context)
        return partitioned_values.load(context, lambda key, _: self._load_key(context, key))

    def load_partitions(self, context: io_contexts.InputContext) -> dict[str, Any]:
        """Load several partitions, one after the other.

        Args:
            context: Which ones.

        Returns:
            The values by partition key.
        """
        return dict(partitioned_values.load(context, lambda key, _: self._load_key(context, key)))

    async def load_partitions_async(self, context: io_contexts.InputContext) -> dict[str, Any]:
        """Load several partitions at once.

        Args:
            context: Which ones.

        Returns:
            The values by partition key.
        """
        wanted = context.asset_partition_keys
        loaded = await asyncio.gather(
            *(self._load_async(context, key) for key in wanted), return_exceptions=True
        )
        by_key = dict(zip(wanted, loaded, strict=True))

        def outcome(key: str, kind: Any) -> Any:
            del kind
            found = by_key[key]
            if isinstance(found, BaseException):
                raise found
            return found

        return dict(partitioned_values.load(context, outcome))

    def get_writing_output_log_message(self, path: Any) -> str:
        """Return what is logged before a value is written."""
        return f"Writing to {path}."

    def get_loading_input_log_message(self, path: Any) -> str:
        """Return what is logged before a value is read."""
        return f"Reading {path}."

    def get_loading_input_partition_log_message(self, path: Any, partition_key: str) -> str:
        """Return what is logged before a partition is read."""
        return f"Reading the partition {partition_key} from {path}."

    def get_missing_partition_log_message(self, partition_key: str) -> str:
        """Return what is said of a partition that has no value."""
        return (
            f"The partition {partition_key!r} has no value. Materialize it, or give the input the "
            f"metadata {{{partitioned_values.ALLOW_MISSING_METADATA!r}: True}} to leave it out."
        )

    @property
    def _root(self) -> Any:
        # Not a public property: pydantic's fields of these names would be hidden by it.
        given = (getattr(self, name, None) for name in ("_base_path", "base_path", "base_dir"))
        return universal_paths.path_of(next((one for one in given if one is not None), "."))

    def _path(self, context: io_contexts.InputContext | io_contexts.OutputContext) -> Any:
        relative = (
            self.get_asset_relative_path(context)
            if context.has_asset_key
            else self.get_op_output_relative_path(context)
        )
        return self._root.joinpath(str(relative))

    def _with_extension(self, path: Any) -> Any:
        # Not an attribute of this class, of which pydantic's field would be told to shadow it.
        extension: str | None = getattr(self, "extension", None)
        return path.parent.joinpath(f"{path.name}{extension}") if extension else path

    def _partition_path(
        self, context: io_contexts.InputContext | io_contexts.OutputContext, key: str
    ) -> Any:
        parts = partitioned_values.path_parts(context, key)
        named = "/".join(part.replace("/", "%2F") for part in parts)
        return self._with_extension(
            self.get_path_for_partition(context, self._path(context), named)
        )

    def _paths(self, context: io_contexts.OutputContext) -> dict[str | None, Any]:
        if context.has_asset_key and context.has_asset_partitions:
            return {key: self._partition_path(context, key) for key in context.asset_partition_keys}
        return {None: self._with_extension(self._path(context))}

    def _load_key(self, context: io_contexts.InputContext, key: str) -> Any:
        path = self._partition_path(context, key)
        context.log.debug(self.get_loading_input_partition_log_message(path, key))
        return self._load_one(context, path, key)

    def _load_one(self, context: io_contexts.InputContext, path: Any, key: str | None) -> Any:
        try:
            loaded = self.load_from_path(context=context, path=path)
            return coroutines.run(loaded) if inspect.iscoroutine(loaded) else loaded
        except FileNotFoundError as error:
            raise self._not_found(context, path, key) from error

    async def _load_async(self, context: io_contexts.InputContext, key: str) -> Any:
        path = self._partition_path(context, key)
        context.log.debug(self.get_loading_input_partition_log_message(path, key))
        try:
            return await self.load_from_path(context=context, path=path)
        except FileNotFoundError as error:
            raise self._not_found(context, path, key) from error

    def _not_found(
        self, context: io_contexts.InputContext, path: Any, key: str | None
    ) -> errors.ValueNotFoundError:
        name = "/".join(
            context.asset_key.path if context.has_asset_key else context.get_identifier()
        )
        told = (
            "Materialize it first." if key is None else self.get_missing_partition_log_message(key)
        )
        return errors.ValueNotFoundError(f"No value of {name!r} lies at {path}. {told}", name)


def _safe(part: str) -> str:
    """Return a part of a key as the name of a file or a folder."""
    quoted = part.replace("/", "%2F").replace("\\", "%5C")
    return quoted.replace(".", "%2E") if quoted in (".", "..") else quoted
