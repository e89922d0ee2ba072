"""Checks run configuration against the JSON Schema that a location published for a job. Pure.

Called by `requests`. The schema comes from a location and is not trusted: it may not make the host
fetch anything, and it may not keep the host busy with a regular expression. So references leave the
document never, and patterns are left to the location, which validates once more with the types
themselves.
"""

import dataclasses
import functools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import jsonschema
import referencing
from jsonschema import exceptions, validators
from referencing import exceptions as referencing_exceptions

from atoll.definitions.v1 import snapshot_pb2
from atoll_host import errors

CONTENT_TYPE = "application/json"

_MESSAGE_LENGTH_MAX = 300

_Schema = dict[str, Any]
_Check = Callable[[Any, Any, Any, Any], Iterator[exceptions.ValidationError]]

# What the library leaves without types.
_extend = cast("Callable[[Any, Mapping[str, _Check]], Any]", validators.extend)  # pyright: ignore[reportUnknownMemberType]
_best_match = cast("Callable[[Any], Any]", exceptions.best_match)  # pyright: ignore[reportUnknownMemberType]


@dataclasses.dataclass(frozen=True, slots=True)
class Running:
    """What of a job will run.

    Attributes:
        ops: The ops and graphs at the top of run configuration that must have what they require.
        resources: The resources that must.
    """

    ops: frozenset[str]
    resources: frozenset[str]


def parse(encoded: bytes, job_name: str) -> dict[str, Any]:
    """Decode run configuration.

    Raises:
        errors.InvalidRunConfig: It is no JSON object.
    """
    try:
        config = json.loads(encoded, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise errors.InvalidRunConfig(
            f"The run config for job {job_name!r} is no JSON: {_cut(str(error))}. "
            "Give a JSON object.",
            job_name=job_name,
            path="",
        ) from error
    if not isinstance(config, dict):
        raise errors.InvalidRunConfig(
            f"The run config for job {job_name!r} is {_cut(repr(config))}. Give a JSON object.",
            job_name=job_name,
            path="",
        )
    return cast("dict[str, Any]", config)


def check(
    job: snapshot_pb2.JobDefinition,
    config: Mapping[str, Any],
    running: Running | None = None,
) -> None:
    """Check that run configuration fits a job.

    Args:
        job: The job; without a schema everything fits.
        config: The configuration.
        running: What of the job will run; None means all. What only the rest requires may be
            missing.

    Raises:
        errors.InvalidRunConfig: It does not fit, with the place and the value.
    """
    if not job.config_schema.data:
        return
    try:
        validator, schema = _validator(job.config_schema.data)
        if running is not None:
            validator = validator.evolve(schema=_narrowed(schema, running))
        found = _best_match(validator.iter_errors(dict(config)))
    except (
        ValueError,
        RecursionError,
        exceptions.SchemaError,
        referencing_exceptions.Unresolvable,
    ) as error:
        raise errors.InvalidRunConfig(
            f"The run config for job {job.name!r} cannot be checked, because the config schema "
            f"that its location published is unusable: {_cut(str(error))}. Correct the config "
            "classes of the job and reload the location.",
            job_name=job.name,
            path="",
        ) from error
    if found is None:
        return
    path = ".".join(str(part) for part in found.absolute_path)
    where = f"at {path!r}" if path else "at its top"
    raise errors.InvalidRunConfig(
        f"The run config does not fit job {job.name!r} {where}: {_told(found)}. Correct it.",
        job_name=job.name,
        path=path,
    )


@functools.lru_cache(maxsize=256)
def _validator(encoded_schema: bytes) -> tuple[Any, _Schema]:
    """Return a validator for a schema, and the schema decoded."""
    schema: Any = json.loads(encoded_schema)
    if not isinstance(schema, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - one kind of error for all bad schemas
    schema = cast("_Schema", schema)
    kind: Any = validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    kind.check_schema(schema)
    trusting = _extend(
        kind,
        {
            "pattern": _accept,
            "patternProperties": _accept,
            "additionalProperties": functools.partial(
                _additional_properties, kind.VALIDATORS["additionalProperties"]
            ),
        },
    )
    # An empty registry resolves references within the document and retrieves nothing.
    registry: referencing.Registry[Any] = referencing.Registry()
    return trusting(schema, registry=registry), schema


def _accept(
    _validator: Any, _value: Any, _instance: Any, _schema: Any
) -> Iterator[exceptions.ValidationError]:
    return iter(())


def _additional_properties(
    original: _Check, validator: Any, value: Any, instance: Any, schema: Any
) -> Iterator[exceptions.ValidationError]:
    # Which properties are additional depends on the patterns, where there are any.
    if "patternProperties" in schema:
        return iter(())
    return iter(original(validator, value, instance, schema))


def _narrowed(schema: _Schema, running: Running) -> _Schema:
    """Return the schema without the demand for configuration of what does not run.

    A graph counts as one: where it runs, all that its ops require is demanded. What is given is
    held to its schema whether it runs or not.
    """
    properties: _Schema = dict(schema.get("properties", {}))
    dropped: set[str] = set()
    for name, kept in (("ops", running.ops), ("resources", running.resources)):
        section: Any = properties.get(name)
        if not isinstance(section, dict):
            continue
        section = cast("_Schema", section)
        demanded = [one for one in section.get("required", ()) if one in kept]
        properties[name] = {**section, "required": demanded}
        if not demanded:
            dropped.add(name)
    required = [name for name in schema.get("required", ()) if name not in dropped]
    return {**schema, "properties": properties, "required": required}


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON value")


def _told(found: Any) -> str:
    """Return what is wrong, without the value where the schema says that it is a secret."""
    around = found
    while around is not None:
        schema: Any = around.schema
        keywords = cast("_Schema", schema) if isinstance(schema, dict) else {}
        if keywords.get("x-secret") or keywords.get("writeOnly"):
            return "the value is not shown, since it is secret; it is not what the schema asks for"
        around = around.parent
    return _cut(found.message)


def _cut(text: str) -> str:
    text = text.rstrip(".")
    return text if len(text) <= _MESSAGE_LENGTH_MAX else text[: _MESSAGE_LENGTH_MAX - 1] + "…"
