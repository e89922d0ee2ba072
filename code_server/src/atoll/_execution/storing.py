"""The default IO manager: values of assets in files, written by type.

Called by steps whose assets name no other IO manager. For each asset there is a note
`<key>.value.json` that names the data file, its format, the Python type and the location that wrote
it. Each partition has a note of its own, `<key>/<partition>.value.json`, in a folder a further
dimension; an output that is no asset has `<run>/<step>/<output>.value.json`. A new value is a new
data file; replacing the note is the one step that makes it current, so that a process killed at any
moment leaves the old value or the new one. A pickled value is read only by the location that wrote
it.
"""

import dataclasses
import hashlib
import json
import logging
import os
import pathlib
import re
from typing import Any

from atoll import errors
from atoll._definitions import config_schemas, keys, resource_contract
from atoll._definitions import metadata as metadata_values
from atoll._definitions.resources import init_context, io_manager_definitions
from atoll._execution import io_managers, partitioned_values, table_columns, value_formats

STORAGE_DIR_VARIABLE = "ATOLL_STORAGE_DIR"
DEFAULT_STORAGE_DIR = pathlib.Path(".atoll") / "storage"
PATH_METADATA = "path"
ROW_COUNT_METADATA = "atoll/row_count"

_NOTE_VERSION = 1
_NOTE_ENDING = "value.json"
_READ_ATTEMPTS_MAX = 5
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
# File names end at 255 bytes; the token and the ending need some of them.
_NAME_CHARS_MAX = 180

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Note:
    """What is noted beside a stored value.

    Attributes:
        file: The name of the data file, in the folder of the note.
        format: Its format.
        python_type: The type of the value.
        location: The location that wrote it; empty outside one.
        run_id: The run that wrote it.
        fallback_reason: Why a table was pickled; empty where nothing was wrong.
        version: The version of the note.
    """

    file: str
    format: str
    python_type: str
    location: str
    run_id: str = ""
    fallback_reason: str = ""
    version: int = _NOTE_VERSION


def storage_dir() -> pathlib.Path:
    """Return the base folder of the default IO manager."""
    given = os.environ.get(STORAGE_DIR_VARIABLE)
    return pathlib.Path(given) if given else pathlib.Path.cwd() / DEFAULT_STORAGE_DIR


class FilesystemIOManager(io_managers.IOManager, resource_contract.ResourceClass):
    """Stores values in files: tables as Parquet, plain data as JSON, the rest as pickle.

    A resource whose config is `base_dir`, made without pydantic: every location has one.

    Args:
        base_dir: The base folder; `ATOLL_STORAGE_DIR` or `.atoll/storage` where not given. An
            `EnvVar` is read where the folder is needed.
    """

    def __init__(self, base_dir: "str | os.PathLike[str] | None" = None) -> None:
        self._given = base_dir

    @property
    def base_dir(self) -> pathlib.Path:
        """The base folder."""
        get_value = getattr(self._given, "get_value", None)
        given = self._given if get_value is None else get_value()
        return storage_dir() if given is None else pathlib.Path(given)

    def get_resource_definition(self) -> io_manager_definitions.IOManagerDefinition:
        """Return the definition that makes it ready, with the folder of run configuration."""

        def make(context: init_context.InitResourceContext) -> "FilesystemIOManager":
            given: dict[str, Any] = context.resource_config or {}
            return FilesystemIOManager(given.get("base_dir", self._given))

        return io_manager_definitions.IOManagerDefinition(
            make, {"base_dir": config_schemas.Field(str, is_required=False)}
        )

    def handle_output(self, context: io_managers.OutputContext, obj: Any) -> None:
        """Store a value and make it the current one.

        Args:
            context: What belongs to it.
            obj: The value.

        Raises:
            StoredValueError: The value cannot be stored.
        """
        if context.has_asset_partitions and len(context.asset_partition_keys) > 1:
            for key, value in partitioned_values.by_partition(context, obj).items():
                self._store(context, _place_of(context, key), value)
            folder = self._note_path(_whole(context)).parent / _safe(context.asset_key.path[-1])
            context.add_output_metadata({PATH_METADATA: metadata_values.MetadataValue.path(folder)})
            return
        only = context.asset_partition_keys[0] if context.has_asset_partitions else None
        path, written = self._store(context, _place_of(context, only), obj)
        context.add_output_metadata({PATH_METADATA: metadata_values.MetadataValue.path(path)})
        if written.row_count is not None:
            context.add_output_metadata({ROW_COUNT_METADATA: written.row_count})

    def _store(
        self, context: io_managers.OutputContext, place: "_Place", obj: Any
    ) -> tuple[pathlib.Path, value_formats.Written]:
        name = place.name
        note_path = self._note_path(place.identifier)
        note_path.parent.mkdir(parents=True, exist_ok=True)
        before = _read_note(note_path, name)
        stem = note_path.with_name(f"{_stem(note_path)}.{os.urandom(6).hex()}")
        path, written = _write(obj, stem, name)
        if written.fallback_reason:
            context.log.warning(
                "The table %s is pickled and cannot be loaded by other locations, because %s.",
                name,
                written.fallback_reason,
            )
        note = Note(
            file=path.name,
            format=written.format,
            python_type=value_formats.type_name(obj),
            location=context.location_name,
            run_id=context.run_id if context.has_run_id else "",
            fallback_reason=written.fallback_reason,
        )
        _replace_note(note_path, note)
        if before is not None and before.file != note.file:
            note_path.with_name(before.file).unlink(missing_ok=True)
        return path, written

    def load_input(self, context: io_managers.InputContext) -> Any:
        """Load the current value, or those of several partitions as a dict.

        Args:
            context: Which value.

        Returns:
            The value, or the values by partition key.

        Raises:
            ValueNotFoundError: There is none.
            ForeignValueError: Another location pickled it.
            StoredValueError: It cannot be read here.
        """
        if not context.has_asset_partitions:
            return self._load(context, _place_of(context, None), context.python_type)
        return partitioned_values.load(
            context, lambda key, kind: self._load(context, _place_of(context, key), kind)
        )

    def _load(self, context: io_managers.InputContext, place: "_Place", python_type: Any) -> Any:
        name = place.name
        note_path = self._note_path(place.identifier)
        wanted = value_formats.Wanted(
            python_type, table_columns.selected(context.definition_metadata)
        )
        # A writer may replace the value between the reading of the note and the opening of the
        # file.
        for _ in range(_READ_ATTEMPTS_MAX):
            note = _read_note(note_path, name)
            if note is None:
                break
            _refuse_foreign(note, name, context.location_name)
            path = note_path.with_name(note.file)
            try:
                return value_formats.read(path, note.format, note.python_type, wanted)
            except FileNotFoundError:
                _log.debug(
                    "value replaced while reading", extra={"action": "reread", "asset": name}
                )
            except value_formats.MissingLibraryError as error:
                raise _missing_library(error, note, name) from error
            except table_columns.MissingColumnsError as error:
                raise errors.StoredValueError(f"The table {name!r} {error}", name) from error
        raise errors.ValueNotFoundError(
            f"No value of {name!r} is stored below {self.base_dir}. {place.remedy}", name
        )

    def _note_path(self, identifier: tuple[str, ...]) -> pathlib.Path:
        *folders, name = [_safe(part) for part in identifier]
        return self.base_dir.joinpath(*folders, f"{name}.{_NOTE_ENDING}")


fs_io_manager = FilesystemIOManager().get_resource_definition()


def _safe(part: str) -> str:
    """Return a part of a key as a file name that no other part shares."""
    quoted = _UNSAFE.sub(
        lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogatepass")),
        part,
    )
    if len(quoted) <= _NAME_CHARS_MAX:
        return quoted
    digest = hashlib.sha256(quoted.encode()).hexdigest()
    return f"{quoted[: _NAME_CHARS_MAX - 33]}%{digest[:32]}"


@dataclasses.dataclass(frozen=True, slots=True)
class _Place:
    """Where a value is kept, and how it is called in messages."""

    identifier: tuple[str, ...]
    name: str
    remedy: str


def _whole(context: io_managers.OutputContext | io_managers.InputContext) -> tuple[str, ...]:
    return tuple(context.asset_key.path)


def _place_of(
    context: io_managers.OutputContext | io_managers.InputContext, partition: str | None
) -> _Place:
    if partition is None:
        identifier = tuple(context.get_identifier())
        return _Place(
            identifier,
            keys.AssetKey(identifier).to_user_string(),
            "Materialize the asset first; an asset that returns nothing or a MaterializeResult "
            "stores no value, so depend on it with deps=.",
        )
    parts = partitioned_values.path_parts(context, partition)
    asset = context.asset_key.to_user_string()
    return _Place(
        (*_whole(context), *parts),
        f"{asset}, partition {partition}",
        "Materialize that partition first, or give the input the metadata "
        f"{{{partitioned_values.ALLOW_MISSING_METADATA!r}: True}} to leave partitions out that "
        "have no value.",
    )


def _stem(note_path: pathlib.Path) -> str:
    return note_path.name.removesuffix(f".{_NOTE_ENDING}")


def _write(obj: Any, stem: pathlib.Path, name: str) -> tuple[pathlib.Path, value_formats.Written]:
    try:
        return value_formats.write(obj, stem)
    except OSError as error:
        _discard(stem)
        raise errors.StoredValueError(
            f"The value of {name!r} cannot be written to {stem.parent}: {error}. Check the folder "
            "and its free space.",
            name,
        ) from error
    except Exception as error:
        _discard(stem)
        raise errors.StoredValueError(
            f"The value of {name!r}, of type {type(obj).__module__}.{type(obj).__qualname__}, "
            f"cannot be stored: {error}. "
            "Return a table or plain data, or store it yourself and return a MaterializeResult.",
            name,
        ) from error


def _discard(stem: pathlib.Path) -> None:
    for path in stem.parent.glob(f"{stem.name}.*"):
        path.unlink(missing_ok=True)


def _replace_note(note_path: pathlib.Path, note: Note) -> None:
    text = json.dumps(dataclasses.asdict(note))
    temporary = note_path.with_name(f"{note.file}.note")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(note_path)


def _read_note(note_path: pathlib.Path, name: str) -> Note | None:
    try:
        text = note_path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        note = json.loads(text)
        version = note["version"]
        if version != _NOTE_VERSION:
            raise errors.StoredValueError(
                f"The value of {name!r} was stored by a newer release (note version {version} in "
                f"{note_path}). "
                "Update atoll here.",
                name,
            )
        return Note(**note)
    except (ValueError, KeyError, TypeError) as error:
        raise errors.StoredValueError(
            f"The note {note_path} of the value of {name!r} is damaged: {error}. Materialize the "
            "asset again after "
            "removing the file.",
            name,
        ) from error


def _refuse_foreign(note: Note, name: str, location_name: str) -> None:
    if note.format != value_formats.PICKLE or note.location == location_name:
        return
    writer = (
        f"the location {note.location!r}" if note.location else "a process outside any location"
    )
    reader = f"the location {location_name!r}" if location_name else "this process"
    remedy = (
        f"It was pickled because {note.fallback_reason}: repair that there and materialize it "
        "again."
        if note.fallback_reason
        else "Let the asset return a DataFrame, an Arrow table or plain data (lists, dicts with "
        "string keys, strings, numbers, truth values, None)."
    )
    raise errors.ForeignValueError(
        f"The value of {name!r}, of type {note.python_type}, was pickled by {writer} and cannot be "
        f"loaded by {reader}: "
        f"foreign bytes are never unpickled. {remedy}",
        name,
        note.location,
    )


def _missing_library(
    error: value_formats.MissingLibraryError, note: Note, name: str
) -> errors.StoredValueError:
    return errors.StoredValueError(
        f"The value of {name!r} is a {note.python_type} stored as Parquet, and {error.library} is "
        "not installed here. "
        f"Install {error.library}, or annotate the parameter with the table type of a library that "
        "is: "
        "pandas.DataFrame (with pyarrow), polars.DataFrame or pyarrow.Table.",
        name,
    )
