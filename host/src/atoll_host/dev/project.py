"""The project file of ``atoll dev``: ``atoll.toml``, read and checked whole before anything starts.

Every mistake is reported with the file, the table, the key, the value and what to do about it, and
nothing is started then. Whether the interpreters of the locations can run Atoll is checked in
``interpreters``.
"""

import dataclasses
import difflib
import os
import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, cast

from atoll._rpc import addresses
from atoll._rpc import errors as rpc_errors
from atoll_host import settings_file
from atoll_host.tls import tls_settings

PROJECT_FILE_NAME: Final = "atoll.toml"
LISTEN_DEFAULT: Final = "127.0.0.1:4700"
DATA_DIR_DEFAULT: Final = ".atoll"
LOCATION_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")

CodeKind = Literal["module", "file", "package"]
_CODE_KINDS: Final[tuple[CodeKind, ...]] = ("module", "file", "package")
_LOCATION_KEYS: Final[Mapping[str, type]] = {
    "module": str,
    "file": str,
    "package": str,
    "python": str,
    "working_directory": str,
    "build_id": str,
    "watch": bool,
}
_TYPE_NAMES: Final[Mapping[type, str]] = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "a table",
}


class ProjectError(Exception):
    """A project file that cannot be used.

    Attributes:
        path: The file.
        table: The table, such as ``locations.sales``; empty for the file as a whole.
        key: The key in the table; empty for the table as a whole.
    """

    def __init__(self, problem: str, *, path: Path, table: str = "", key: str = "") -> None:
        where = f"{path}" + (f", [{table}]" if table else "") + (f", {key}" if key else "")
        super().__init__(f"{where}: {problem}")
        self.path = path
        self.table = table
        self.key = key


@dataclasses.dataclass(frozen=True)
class LocationSettings:
    """One code location of a project.

    Attributes:
        name: The name under which it joins the mesh.
        code_kind: How its definitions are found.
        code: The module, file or package that defines it.
        python: The interpreter that runs it, absolute.
        working_directory: The folder that its processes run in, absolute.
        build_id: The id of its first build; None generates one.
        watch: Whether it reloads when its files change.
    """

    name: str
    code_kind: CodeKind
    code: str
    python: Path
    working_directory: Path
    build_id: str | None = None
    watch: bool = True


@dataclasses.dataclass(frozen=True)
class Project:
    """A project file, checked.

    Attributes:
        path: The file, absolute.
        listen: Where the host listens, ``host:port``.
        data_dir: Where the database, the state of the locations and stored values live, absolute.
        locations: The code locations, in the order of the file.
    """

    path: Path
    listen: str
    data_dir: Path
    locations: tuple[LocationSettings, ...]


def find(start: Path) -> Path:
    """Return the project file in a folder or in the nearest folder above it.

    Raises:
        ProjectError: If there is none.
    """
    for folder in (start, *start.parents):
        candidate = folder / PROJECT_FILE_NAME
        if candidate.is_file():
            return candidate
    raise ProjectError(
        f"there is no {PROJECT_FILE_NAME} in {start} or above it. Go to your project, "
        "name a file with --project, or write one with a [locations.<name>] table.",
        path=start,
    )


def load(path: Path, *, listen: str | None = None) -> Project:
    """Read a project file.

    Args:
        path: The file.
        listen: Where the host listens instead of what the file says.

    Raises:
        ProjectError: If the file cannot be read or used.
    """
    path = path.absolute()
    document = _parse(path)
    host = _settings(document, path)
    _check_no_tls(host, path)
    if listen is not None:
        _check_listen(listen, path)
    tables = _table(document, "locations", path=path, table="")
    if not tables:
        raise ProjectError(
            'it has no location. Add a table such as [locations.sales] with file = "sales.py".',
            path=path,
        )
    locations = tuple(_location(name, tables, path=path) for name in tables)
    return Project(
        path=path,
        listen=listen or host.get("listen", LISTEN_DEFAULT),
        data_dir=host.get("data_dir", path.parent / DATA_DIR_DEFAULT).absolute(),
        locations=locations,
    )


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ProjectError("there is no such file. Name your project's file.", path=path) from None
    except IsADirectoryError:
        raise ProjectError(
            f"is a folder. Name the file in it, such as {path / PROJECT_FILE_NAME}.", path=path
        ) from None
    except UnicodeDecodeError as error:
        raise ProjectError(
            f"is not UTF-8 text (byte {error.start}). Save it as UTF-8.", path=path
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ProjectError(f"is not valid TOML: {error}. Correct it there.", path=path) from error
    except OSError as error:
        raise ProjectError(
            f"cannot be read: {error.strerror}. Check its permissions.", path=path
        ) from error


def _location(name: str, tables: Mapping[str, Any], *, path: Path) -> LocationSettings:
    table = f"locations.{name}"
    values = _table(tables, name, path=path, table="locations")
    if not LOCATION_NAME.fullmatch(name):
        raise ProjectError(
            f"{name!r} is no name for a location. Use up to 100 letters, digits, '_', '-' and '.', "
            "and begin with a letter, a digit or '_'.",
            path=path,
            table=table,
        )
    _check_keys(values, _LOCATION_KEYS, path=path, table=table)
    folder = _existing_folder(values.get("working_directory", "."), path=path, table=table)
    code_kind = _code_kind(values, path=path, table=table)
    if code_kind == "file":
        _check_file(values["file"], folder, path=path, table=table)
    return LocationSettings(
        name=name,
        code_kind=code_kind,
        code=str(values[code_kind]),
        python=_interpreter(values["python"], path=path, table=table)
        if "python" in values
        else Path(sys.executable),
        working_directory=folder,
        build_id=values.get("build_id"),
        watch=bool(values.get("watch", True)),
    )


def _code_kind(values: Mapping[str, Any], *, path: Path, table: str) -> CodeKind:
    given: list[CodeKind] = [kind for kind in _CODE_KINDS if kind in values]
    if len(given) == 1:
        return given[0]
    if not given:
        problem = "says nothing about its code. Give it one of module, file or package."
    else:
        shown = ", ".join(f"{kind} = {values[kind]!r}" for kind in given)
        problem = f"gives {shown}, but its code is found in one way only. Keep one of them."
    raise ProjectError(problem, path=path, table=table)


def _existing_folder(value: str, *, path: Path, table: str) -> Path:
    folder = (path.parent / value).resolve()
    if not folder.is_dir():
        raise ProjectError(
            f"{value!r} is no folder ({folder}). Paths are relative to the project file.",
            path=path,
            table=table,
            key="working_directory",
        )
    return folder


def _check_file(value: str, folder: Path, *, path: Path, table: str) -> None:
    file = folder / value
    if not file.is_file():
        raise ProjectError(
            f"{value!r} does not exist ({file}). The path is relative to the working directory.",
            path=path,
            table=table,
            key="file",
        )


def _interpreter(value: str, *, path: Path, table: str) -> Path:
    # The link itself is not followed: a virtual environment is found through it.
    interpreter = Path(os.path.normpath(path.parent.resolve() / value))
    if not interpreter.exists():
        raise ProjectError(
            f"{value!r} does not exist ({interpreter}). Create the environment, "
            "or correct the path, which is relative to the project file.",
            path=path,
            table=table,
            key="python",
        )
    if not interpreter.is_file():
        raise ProjectError(
            f"{value!r} is not a program ({interpreter}). Name the environment's bin/python.",
            path=path,
            table=table,
            key="python",
        )
    return interpreter


def _settings(document: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return what the file says to the host, which reads the file once more by itself."""
    values, problems = settings_file.read(document, path.parent)
    if len(problems) == 1:
        (problem,) = problems
        raise ProjectError(problem.text, path=path, table=problem.table, key=problem.key)
    if problems:
        told = "".join(f"\n  {problem}" for problem in problems)
        raise ProjectError(f"it has {len(problems)} mistakes:{told}", path=path)
    return values


def _check_listen(listen: str, path: Path) -> None:
    try:
        addresses.parse_loopback(listen)
    except rpc_errors.InvalidArgumentError as error:
        raise ProjectError(error.message, path=path, key="--listen") from error


def _check_no_tls(host: Mapping[str, Any], path: Path) -> None:
    if host.get("tls", tls_settings.DEFAULT) != tls_settings.DEFAULT:
        raise ProjectError(
            "atoll dev speaks on loopback and without TLS. Remove the section, or run "
            "'atoll host --config' and 'atoll serve' for a mesh with certificates.",
            path=path,
            table="tls",
        )


def _table(values: Mapping[str, Any], name: str, *, path: Path, table: str) -> dict[str, Any]:
    value: Any = values.get(name, {})
    if isinstance(value, dict):
        return cast("dict[str, Any]", value)
    full_name = f"{table}.{name}" if table else name
    raise ProjectError(
        f"must be a table, not {_described(value)}. Write it as [{full_name}].",
        path=path,
        table=full_name,
    )


def _check_keys(
    values: Mapping[str, Any], allowed: Mapping[str, type], *, path: Path, table: str
) -> None:
    _refuse_unknown(values, tuple(allowed), path=path, table=table)
    for key, value in values.items():
        if not isinstance(value, allowed[key]):
            raise ProjectError(
                f"must be {_TYPE_NAMES[allowed[key]]}, not {_described(value)}. Correct it.",
                path=path,
                table=table,
                key=key,
            )
        if isinstance(value, str) and not value.strip():
            raise ProjectError(
                "is empty. Give it a value or leave it out.", path=path, table=table, key=key
            )


def _refuse_unknown(
    values: Mapping[str, Any], allowed: Sequence[str], *, path: Path, table: str
) -> None:
    for key in values:
        if key in allowed:
            continue
        near = difflib.get_close_matches(key, allowed, n=1)
        advice = f"Did you mean {near[0]!r}?" if near else f"Known are: {', '.join(allowed)}."
        value = values[key]
        shown = "a table" if isinstance(value, dict) else repr(value)
        raise ProjectError(
            f"unknown key {key!r} (its value: {shown}). {advice}", path=path, table=table
        )


def _described(value: object) -> str:
    return f"{_TYPE_NAMES.get(type(value), type(value).__name__)} ({value!r})"
