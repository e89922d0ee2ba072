"""The default IO manager: values of assets in files, written by type.

Called by steps whose assets name no other IO manager. For each asset there is a note
`<key>.value.json` that names the data file, its format, the Python type and the location that wrote
it. A new value is a new data file; replacing the note is the one step that makes it current, so
that a process killed at any moment leaves the old value or the new one. A pickled value is read
only by the location that wrote it.
"""

import dataclasses
import hashlib
import json
import logging
import os
import pathlib
import re
from typing import Any

from atoll._definitions import errors, keys
from atoll._definitions import metadata as metadata_values
from atoll._execution import io_managers, value_formats

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


class FilesystemIOManager(io_managers.IOManager):
    """Stores values in files: tables as Parquet, plain data as JSON, the rest as pickle.

    Args:
        base_dir: The base folder; `ATOLL_STORAGE_DIR` or `.atoll/storage` where not given.
    """

    def __init__(self, base_dir: "str | os.PathLike[str] | None" = None) -> None:
        self._base_dir = None if base_dir is None else pathlib.Path(base_dir)

    @property
    def base_dir(self) -> pathlib.Path:
        """The base folder."""
        return self._base_dir if self._base_dir is not None else storage_dir()

    def handle_output(self, context: io_managers.OutputContext, obj: Any) -> None:
        """Store a value and make it the current one.

        Args:
            context: What belongs to it.
            obj: The value.

        Raises:
            StoredValueError: The value cannot be stored.
        """
        identifier = tuple(context.get_identifier())
        name = _shown(identifier)
        note_path = self._note_path(identifier)
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
        context.add_output_metadata({PATH_METADATA: metadata_values.MetadataValue.path(path)})
        if written.row_count is not None:
            context.add_output_metadata({ROW_COUNT_METADATA: written.row_count})

    def load_input(self, context: io_managers.InputContext) -> Any:
        """Load the current value.

        Args:
            context: Which value.

        Returns:
            The value.

        Raises:
            ValueNotFoundError: There is none.
            ForeignValueError: Another location pickled it.
            StoredValueError: It cannot be read here.
        """
        identifier = tuple(context.get_identifier())
        name = _shown(identifier)
        note_path = self._note_path(identifier)
        # A writer may replace the value between the reading of the note and the opening of the
        # file.
        for _ in range(_READ_ATTEMPTS_MAX):
            note = _read_note(note_path, name)
            if note is None:
                break
            _refuse_foreign(note, name, context.location_name)
            path = note_path.with_name(note.file)
            try:
                return value_formats.read(path, note.format, note.python_type, context.python_type)
            except FileNotFoundError:
                _log.debug(
                    "value replaced while reading", extra={"action": "reread", "asset": name}
                )
            except value_formats.MissingLibraryError as error:
                raise _missing_library(error, note, name) from error
        raise errors.ValueNotFoundError(
            f"No value of {name!r} is stored below {self.base_dir}. Materialize the asset first; "
            "an asset that returns "
            "nothing or a MaterializeResult stores no value, so depend on it with deps=.",
            name,
        )

    def _note_path(self, identifier: tuple[str, ...]) -> pathlib.Path:
        *folders, name = [_safe(part) for part in identifier]
        return self.base_dir.joinpath(*folders, f"{name}.{_NOTE_ENDING}")


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


def _shown(identifier: tuple[str, ...]) -> str:
    return keys.AssetKey(identifier).to_user_string()


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
