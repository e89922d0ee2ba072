"""Reads the settings of a host from a TOML file, and checks all of it before anything starts.

Called by `host_process` and by `dev.project`. The table `[host]` holds the scalar fields of
`settings.Settings`; any other section is named like a field whose type is a pydantic model. The
URL of the database is not among them: what can hold a password comes from the environment. All
that is wrong is told at once, each with its table, key and value and with what is allowed.
"""

import dataclasses
import difflib
import pathlib
import tomllib
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, cast

import pydantic
from pydantic import fields as pydantic_fields

from atoll_host import errors
from atoll_host import settings as host_settings

HOST_TABLE: Final = "host"
LOCATIONS_TABLE: Final = "locations"
"""Belongs to `atoll dev`, which starts the locations; a host skips it."""

_SECRET_WORDS: Final = ("password", "secret", "token", "url")
_TAG: Final = "type"
"""The key that tells apart what an item of a list may be, such as a webhook or an e-mail."""
_TYPE_NAMES: Final[Mapping[type, str]] = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "a table",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a file.

    Attributes:
        text: What, and what to do.
        table: The table, such as `queue.jobs`; empty for the file as a whole.
        key: The key in the table; empty for the table as a whole.
    """

    text: str
    table: str = ""
    key: str = ""

    def __str__(self) -> str:
        """Return it in one line, without the file."""
        where = (f"[{self.table}]" if self.table else "") + (f", {self.key}" if self.key else "")
        return f"{where}: {self.text}" if where else self.text


def load(path: pathlib.Path) -> dict[str, Any]:
    """Return the settings that a file gives, by the names of `settings.Settings`.

    Args:
        path: The file. A relative `data_dir` in it is relative to the file.

    Raises:
        errors.SettingsFileError: It cannot be read, or something in it is wrong.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise errors.SettingsFileError(path, [f"cannot be read: {_why(error)}"]) from error
    values, problems = read(document, path.absolute().parent)
    if problems:
        raise errors.SettingsFileError(path, [str(problem) for problem in problems])
    return values


def read(document: Mapping[str, Any], folder: pathlib.Path) -> tuple[dict[str, Any], list[Problem]]:
    """Return the settings that a document gives, and all that is wrong with it. Pure.

    Args:
        document: The file, parsed.
        folder: What a relative `data_dir` is relative to.
    """
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    models = sections()
    tables = (HOST_TABLE, *models)
    for name, value in document.items():
        if name == LOCATIONS_TABLE:
            continue
        if name not in tables:
            problems.append(_unknown(name, value, (*tables, LOCATIONS_TABLE), table=""))
        elif not isinstance(value, dict):
            text = f"must be a table, not {described(value)}. Write it as [{name}]."
            problems.append(Problem(text, table=name))
        elif name == HOST_TABLE:
            problems += _read_host(cast("dict[str, Any]", value), values, folder)
        else:
            problems += _read_section(name, models[name], cast("dict[str, Any]", value), values)
    if not problems:
        problems += _read_together(values, folder)
    return values, problems


def scalars() -> dict[str, type]:
    """Return the settings that `[host]` may hold, with their types."""
    return {
        name: kind
        for name, kind in _types().items()
        if not issubclass(kind, pydantic.BaseModel) and name != "database_url"
    }


def sections() -> dict[str, type[pydantic.BaseModel]]:
    """Return the other sections that a file may have, with the models that check them."""
    return {name: kind for name, kind in _types().items() if issubclass(kind, pydantic.BaseModel)}


def described(value: object, key: str = "") -> str:
    """Return a value in words, but not one whose key says that it is a secret.

    What tables and lists hold is not shown either: their own keys would have to be asked.
    """
    if any(word in key.lower() for word in _SECRET_WORDS):
        return "a value that is not shown"
    name = _TYPE_NAMES.get(type(value), type(value).__name__)
    return name if isinstance(value, dict | list) else f"{name} ({value!r})"


def _types() -> dict[str, type]:
    hints = typing.get_type_hints(host_settings.Settings)
    return {
        field.name: _type_of(hints[field.name])
        for field in dataclasses.fields(host_settings.Settings)
    }


def _type_of(hint: Any) -> type:
    """Return the type of a field, that of the value where it may be None."""
    if isinstance(hint, type):
        return hint
    inner = [each for each in typing.get_args(hint) if isinstance(each, type)]
    return next(each for each in inner if each is not type(None))


def _read_host(
    given: Mapping[str, Any], values: dict[str, Any], folder: pathlib.Path
) -> Iterator[Problem]:
    allowed = scalars()
    for key, value in given.items():
        if key == "database_url":
            text = (
                "the URL can hold a password and is read from the environment only. Remove it "
                f"here and set {host_settings.DATABASE_URL_VARIABLE}."
            )
            yield Problem(text, table=HOST_TABLE, key=key)
        elif key not in allowed:
            yield _unknown(key, value, allowed, table=HOST_TABLE)
        else:
            problem = _problem_of_scalar(key, value, allowed[key])
            if problem is not None:
                yield problem
            elif allowed[key] is pathlib.Path:
                values[key] = folder / value
            else:
                values[key] = float(value) if allowed[key] is float else value


def _read_together(values: dict[str, Any], folder: pathlib.Path) -> Iterator[Problem]:
    """Look at what only makes sense together: addresses, and the certificates for them."""
    defaults = host_settings.Settings()
    tls = values.get("tls", defaults.tls)
    if "tls" in values:
        values["tls"] = tls = tls.below(folder)
    listening = host_settings.addresses_of(
        values.get("listen", defaults.listen),
        values.get("webhooks", defaults.webhooks),
        values.get("http", defaults.http),
    )
    for setting, problem in host_settings.listening_problems(listening, tls):
        table, _, key = setting.rpartition(".")
        yield Problem(problem, table=table or HOST_TABLE, key=key)


def _problem_of_scalar(key: str, value: object, kind: type) -> Problem | None:
    expected = str if kind is pathlib.Path else kind
    fits = type(value) is expected or (expected is float and type(value) is int)
    if not fits:
        text = f"must be {_TYPE_NAMES[expected]}, not {described(value)}. Correct it."
        return Problem(text, table=HOST_TABLE, key=key)
    if isinstance(value, str) and not value.strip():
        text = "is empty. Give it a value or leave it out."
        return Problem(text, table=HOST_TABLE, key=key)
    try:
        host_settings.check(key, value)
    except errors.SettingsError as error:
        text = str(error).removeprefix(f"{key}: ").removeprefix(f"{key} ")
        return Problem(text, table=HOST_TABLE, key=key)
    return None


def _read_section(
    name: str, model: type[pydantic.BaseModel], given: dict[str, Any], values: dict[str, Any]
) -> Iterator[Problem]:
    try:
        values[name] = model.model_validate(given)
    except pydantic.ValidationError as error:
        found = error.errors(include_url=False)
        for each in found:
            # A list is too short for want of its bad items, which are told by themselves.
            if each["type"] != "too_short" or not any(
                other is not each and other["loc"][: len(each["loc"])] == each["loc"]
                for other in found
            ):
                yield _problem_of_model(name, model, each)


def _problem_of_model(name: str, model: type[pydantic.BaseModel], error: Any) -> Problem:
    location = [str(part) for part in error["loc"]]
    table, key = ".".join([name, *location[:-1]]), location[-1] if location else ""
    value = error["input"]
    around = _model_at(model, error["loc"][:-1])
    if error["type"] == "extra_forbidden" and around is not None:
        return _unknown(key, value, _fields(around), table=table)
    message = error["msg"].removeprefix("Value error, ").rstrip(".")
    field = None if around is None else _fields(around).get(key)
    meaning = "" if field is None else _meaning(field)
    if error["type"] == "missing":
        return Problem(f"is missing.{meaning} Give it a value.", table=table, key=key)
    shown = described(value, key)
    return Problem(f"{message}; it is {shown}.{meaning} Correct it.", table=table, key=key)


def _meaning(field: pydantic_fields.FieldInfo) -> str:
    """Return what a setting means, as a sentence; some descriptions are sentences themselves."""
    text = (field.description or "").rstrip(".")
    if not text:
        return ""
    is_word = text[0].isupper() and text[1:2].islower()
    return f" It means: {text[0].lower() + text[1:] if is_word else text}."


def _fields(model: type[pydantic.BaseModel]) -> dict[str, pydantic_fields.FieldInfo]:
    """Return the fields of a model by the keys that a file has for them."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _model_at(
    model: type[pydantic.BaseModel], location: Iterable[str | int]
) -> type[pydantic.BaseModel] | None:
    """Return the model that checks what is at a place of a section, if one alone does."""
    found = [model]
    for part in location:
        if isinstance(part, int):
            continue
        # Of models that a key tells apart, the place names the one that was meant.
        tagged = [each for each in found if part in _tags(each)]
        if not tagged and len(found) == 1 and part in _fields(found[0]):
            found = list(_models_in(_fields(found[0])[part].annotation))
        else:
            found = tagged
    return found[0] if len(found) == 1 else None


def _tags(model: type[pydantic.BaseModel]) -> tuple[Any, ...]:
    field = model.model_fields.get(_TAG)
    return () if field is None else typing.get_args(field.annotation)


def _models_in(annotation: Any) -> Iterator[type[pydantic.BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _models_in(argument)


def _unknown(name: str, value: object, allowed: Iterable[str], *, table: str) -> Problem:
    names = list(allowed)
    near = difflib.get_close_matches(name, names, n=1)
    advice = f"Did you mean {near[0]!r}?" if near else f"Known are: {', '.join(names)}."
    shown = described(value) if type(value) in {dict, list} else repr(value)
    if any(word in name.lower() for word in _SECRET_WORDS):
        shown = "not shown"
    return Problem(f"unknown key {name!r} (its value: {shown}). {advice}", table=table)


def _why(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file. Name one that exists."
    if isinstance(error, OSError):
        return f"{error.strerror}. Check what it is and its permissions."
    if isinstance(error, UnicodeDecodeError):
        return f"it is not UTF-8 text (byte {error.start}). Save it as UTF-8."
    return f"it is not valid TOML: {error}. Correct it there."
