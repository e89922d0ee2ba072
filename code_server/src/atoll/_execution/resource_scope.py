"""Makes resources ready and closes them always: the one place that does.

Called by runs, steps, ticks and tests. States of one resource here:

```
(defined) --required--> made ready --the scope closes--> closed
              |                                            ^
              '-- raised: ResourceFunctionError; what was ready before is closed
```

Each resource is made ready once, after those that it needs, and closed in the opposite order,
however the work in between ended. What a closing raises is reported and fails nothing.
"""

import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any, TypeAlias, cast

from atoll import errors
from atoll._definitions import config_contract, events, raised, runs
from atoll._definitions.resources import definition, init_context, needs
from atoll._execution import resources as resource_objects

Tell: TypeAlias = Callable[[events.EventType, str, events.ResourceInitData], None]
Report: TypeAlias = Callable[[str, BaseException], None]

_log = logging.getLogger(__name__)
_NOTHING: Mapping[str, Any] = {}

required_closure = needs.required_closure


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """What resources are shown of what uses them.

    Attributes:
        instance: The instance.
        run: The run; None outside one.
        log: The log of the run, the step or the tick.
        whose: Who uses them, for errors.
        tell: Takes the events about resources.
        report: Takes what closing a resource raised, with its key; it is logged where not given.
    """

    instance: Any = None
    run: runs.Run | None = None
    log: logging.Logger | None = None
    whose: str = "The run"
    tell: Tell | None = None
    report: Report | None = None


def open_resources(
    objects: Mapping[str, Any],
    keys: Iterable[str],
    config: Mapping[str, Any] | None = None,
    around: Surroundings | None = None,
) -> "contextlib.AbstractContextManager[Mapping[str, Any]]":
    """Make resources ready for the length of a `with`.

    Args:
        objects: What users put into `resources={...}`, by key.
        keys: The required ones; what they need comes along.
        config: The section `resources` of the run configuration, in its plain form.
        around: What resources are shown of what uses them.

    Returns:
        A context manager that gives the objects that user code gets, by key. Entering it raises
        ResourceFunctionError where user code raised, InvalidConfigError where config does not fit,
        UnknownResourceError where a resource is missing, and InvalidDefinitionError where some
        need each other.
    """
    wanted = tuple(keys)
    if not wanted:
        return contextlib.nullcontext(_NOTHING)
    return _opened(Scope(objects, config, around), wanted)


@contextlib.contextmanager
def _opened(scope: "Scope", keys: tuple[str, ...]) -> Generator[Mapping[str, Any], None, None]:
    try:
        yield scope.require(keys)
    finally:
        scope.close()


class Scope:
    """Resources that are made ready as they are asked for, and are closed together.

    Args:
        objects: What users put into `resources={...}`, by key.
        config: The section `resources` of the run configuration, in its plain form.
        around: What resources are shown of what uses them.
    """

    def __init__(
        self,
        objects: Mapping[str, Any],
        config: Mapping[str, Any] | None = None,
        around: Surroundings | None = None,
    ) -> None:
        self._around = around or Surroundings()
        self._definitions = needs.coerced(objects)
        self._needs = needs.Needs(self._definitions, self._around.whose)
        self._config = config or {}
        self._ready: dict[str, Any] = {}
        self._configs: dict[str, Any] = {}
        self._inside: dict[int, Any] = {}
        self._open: list[tuple[str, definition.Opened]] = []

    @property
    def is_open(self) -> bool:
        """Whether something has to be closed."""
        return bool(self._open)

    def require(self, keys: Iterable[str]) -> Mapping[str, Any]:
        """Make resources ready that are not.

        Args:
            keys: The required ones; what they need comes along.

        Returns:
            The objects that user code gets, by key, those asked for earlier included.

        Raises:
            ResourceFunctionError: User code raised.
            InvalidConfigError: Config does not fit.
            UnknownResourceError: A resource is missing.
            InvalidDefinitionError: Some need each other.
        """
        missing = [key for key in self._needs.closure(keys) if key not in self._ready]
        if missing:
            self._make_ready(missing)
        return self._ready

    def config_of(self, key: str) -> Any:
        """Return the config that a resource was made ready with; None for none."""
        made: Any = self._ready.get(key)
        fields: Mapping[str, Any] | None = getattr(made.__class__, "model_fields", None)
        if fields is not None:
            # A resource class: its fields are its config, wherever they were given.
            return {name: getattr(made, name) for name in fields}
        return self._configs.get(key)

    def close(self) -> None:
        """Close all, the last one first. What that raises is reported once all are closed.

        Raises:
            BaseException: Closing was interrupted; what was left is closed all the same.
        """
        failed: list[tuple[str, BaseException]] = []
        interrupted: BaseException | None = None
        while self._open:
            interrupted = self._close_last(failed) or interrupted
        self._ready.clear()
        self._inside.clear()
        for key, why in failed:
            self._report(key, why)
        if interrupted is not None:
            raise interrupted

    def _close_last(self, failed: list[tuple[str, BaseException]]) -> BaseException | None:
        key = ""
        try:
            key, opened = self._open.pop()
            # Never told what was raised: users clean up behind a yield, without a finally.
            opened.__exit__(None, None, None)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - boundary to user code; it is reported
            failed.append((key, error))
        except BaseException as error:  # noqa: BLE001 - goes on once the others are closed
            return error
        return None

    def _report(self, key: str, error: BaseException) -> None:
        if self._around.report is not None:
            self._around.report(key, error)
            return
        log = self._around.log or _log
        log.error("The resource %r could not be closed.", key, exc_info=error)

    def _make_ready(self, keys: list[str]) -> None:
        named = ", ".join(keys)
        began = time.perf_counter()
        self._tell(
            events.EventType.RESOURCE_INIT_STARTED,
            f"Making the resources ready: {named}.",
            events.ResourceInitData(tuple(keys)),
        )
        try:
            for key in keys:
                config = self._configs[key] = self._config_of(key)
                self._ready[key] = self._enter(key, self._definitions[key], config)
        except BaseException as error:
            failed = events.ResourceInitData(
                tuple(keys), _ms_since(began), raised.user_failure(error)
            )
            self._tell(
                events.EventType.RESOURCE_INIT_FAILURE,
                f"Making the resources ready failed: {error}",
                failed,
            )
            self.close()
            raise
        self._tell(
            events.EventType.RESOURCE_INIT_SUCCESS,
            f"The resources are ready: {named}.",
            events.ResourceInitData(tuple(keys), _ms_since(began)),
        )

    def _tell(
        self, event_type: events.EventType, message: str, data: events.ResourceInitData
    ) -> None:
        if self._around.tell is not None:
            self._around.tell(event_type, message, data)

    def _config_of(self, key: str) -> Any:
        entry: Any = self._config.get(key)
        given: Any = config_contract.NOT_GIVEN
        if isinstance(entry, Mapping):
            given = cast("Mapping[str, Any]", entry).get("config", given)
        field = self._definitions[key].config_field
        if field is None:
            return None
        return field.resolve(given, ("resources", key, "config"))

    def _enter(self, key: str, made: definition.ResourceDefinition, config: Any) -> Any:
        nested = {
            name: self._nested(f"{key}.{name}", inside) for name, inside in made.nested.items()
        }
        needed = {one: self._ready[one] for one in made.required_resource_keys}
        context = init_context.InitResourceContext(
            config,
            resource_objects.Resources(needed, f"The resource {key!r}"),
            made,
            self._definitions,
            self._around.instance,
            self._around.run,
            self._around.log,
        )
        try:
            opened = made.open(context, nested)
            value = opened.__enter__()
        except errors.InvalidConfigError:
            raise
        except Exception as error:
            # The words of the user's exception stay with it: they may hold what is secret.
            raise errors.ResourceFunctionError(
                f"The resource {key!r} could not be made ready: its code raised "
                f"{type(error).__name__}.",
                key,
            ) from error
        self._open.append((key, opened))
        return value

    def _nested(self, place: str, inside: Any) -> Any:
        key = self._needs.key_of(inside)
        if key is not None:
            return self._ready[key]
        if id(inside) not in self._inside:
            made = definition.coerce(inside)
            field = made.config_field
            if field is not None and field.is_required:
                told = needs.unreachable(place, type(inside).__name__)
                raise errors.InvalidConfigError(told, ("resources", *place.split(".")))
            given = None if field is None else field.resolve(config_contract.NOT_GIVEN, (place,))
            self._inside[id(inside)] = self._enter(place, made, given)
        return self._inside[id(inside)]


class Opening(Mapping[str, Any]):
    """The objects of a scope by key, each made ready when it is first asked for.

    Args:
        objects: What users put into `resources={...}`, by key.
        scope: Makes them ready.
    """

    def __init__(self, objects: Mapping[str, Any], scope: Scope) -> None:
        self._objects = objects
        self._scope = scope

    def __getitem__(self, key: str) -> Any:
        if key not in self._objects:
            raise KeyError(key)
        return self._scope.require((key,))[key]

    def __contains__(self, key: object) -> bool:
        return key in self._objects

    def __iter__(self) -> Iterator[str]:
        return iter(self._objects)

    def __len__(self) -> int:
        return len(self._objects)


def _ms_since(began: float) -> float:
    return (time.perf_counter() - began) * 1000
