"""The contexts of whoever calls: which hosts there are, and how each is reached. Kept in files.

    <folder>/contexts.json      all contexts, and which of them is used where none is named
    <folder>/logins/<name>      what says who calls, one file a context (see `logins`)

The folder is ATOLL_CONFIG_DIR, else `atoll` below XDG_CONFIG_HOME. Only their owner can read the
files; each is replaced as a whole, so that whoever reads while another writes sees the one or the
other. Used by `connection` and by the commands of contexts and of logging in.
"""

import contextlib
import dataclasses
import difflib
import fcntl
import json
import os
import pathlib
import re
import tempfile
from collections.abc import Generator, Mapping
from typing import Any, Final

import click

FOLDER_VARIABLE: Final = "ATOLL_CONFIG_DIR"
DEFAULT_NAME: Final = "default"

_FILE: Final = "contexts.json"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_BYTES_MAX: Final = 1_000_000


@dataclasses.dataclass(frozen=True)
class Context:
    """A host, and how it is reached.

    Attributes:
        name: What people call it.
        host: Where it listens, ``host:port``.
        ca_file: The authority of its certificate; empty speaks no TLS.
        cert_file: The certificate to show to it.
        key_file: The private key of that.
        token_file: A file with the token to call with; empty where `atoll login` keeps it.
    """

    name: str
    host: str
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    token_file: str = ""


@dataclasses.dataclass(frozen=True)
class Contexts:
    """What is in the file.

    Attributes:
        current: The one that is used where none is named; empty for none.
        by_name: All of them.
    """

    current: str
    by_name: Mapping[str, Context]


def folder() -> pathlib.Path:
    """Return the folder of the files, whether it is there or not."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return pathlib.Path(named)
    # Not `Path.home`, which fails for a user without one, as services and containers have it.
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111
    return pathlib.Path(home) / "atoll"


def checked_name(name: str) -> str:
    """Return the name of a context.

    Raises:
        click.UsageError: It is none.
    """
    if not _NAME.fullmatch(name):
        raise click.UsageError(
            f"{name!r} cannot be the name of a context. Give letters, digits, '.', '_' and '-', "
            "64 at the most, a letter or digit first."
        )
    return name


def unknown(name: str, contexts: Contexts) -> click.UsageError:
    """Return the error for a context that is not there."""
    near = difflib.get_close_matches(name, contexts.by_name, 1)
    meant = f"Did you mean {near[0]!r}?" if near else "List them with: atoll contexts list"
    return click.UsageError(f"There is no context {name!r}. {meant}")


def load() -> Contexts:
    """Return all contexts; none where there is no file.

    Raises:
        click.UsageError: The file cannot be read or is none of contexts.
    """
    path = folder() / _FILE
    try:
        with path.open("rb") as file:
            return _parsed(json.loads(file.read(_BYTES_MAX)))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        # A service may run in the home of somebody else: it has none, and needs none.
        return Contexts("", {})
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise click.UsageError(
            f"{path} cannot be read as a file of contexts: {error}. Mend or remove it."
        ) from error


def save(contexts: Contexts) -> None:
    """Replace the file. Call it inside `changing`."""
    written = {
        "current": contexts.current,
        "contexts": {
            name: {
                field: value
                for field, value in dataclasses.asdict(each).items()
                if value and field != "name"
            }
            for name, each in sorted(contexts.by_name.items())
        },
    }
    replace(folder() / _FILE, f"{json.dumps(written, indent=2)}\n")


@contextlib.contextmanager
def changing(what: str = "contexts") -> Generator[None, None, None]:
    """Keep others from changing the files inside the block, who do so inside theirs."""
    made = _made(folder())
    with _told(made), (made / f"{what}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def replace(path: pathlib.Path, text: str) -> None:
    """Put a text into a file that only its owner can read, all of it or nothing.

    Raises:
        click.ClickException: It cannot be written.
    """
    with _told(path):
        _made(path.parent)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")  # made with 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            pathlib.Path(temporary).replace(path)
        except BaseException:
            pathlib.Path(temporary).unlink(missing_ok=True)
            raise


def _made(path: pathlib.Path) -> pathlib.Path:
    with _told(path):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def _told(path: pathlib.Path) -> Generator[None, None, None]:
    try:
        yield
    except OSError as error:
        raise click.ClickException(
            f"{path} cannot be written: {error.strerror or error}. Name another folder with "
            f"{FOLDER_VARIABLE}."
        ) from error


def _parsed(document: Any) -> Contexts:
    fields = {field.name for field in dataclasses.fields(Context)} - {"name"}
    found: dict[str, Context] = {}
    for name, given in document.get("contexts", {}).items():
        # What a later release keeps there as well is not for this one.
        values = {field: str(given[field]) for field in fields & set(given)}
        if not _NAME.fullmatch(name) or "host" not in values:
            raise ValueError(f"the context {name!r} has no host, or no name that can be one")
        found[name] = Context(name, **values)
    return Contexts(str(document.get("current", "")), found)
