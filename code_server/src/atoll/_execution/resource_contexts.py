"""Resources outside runs: for tests of resources, and for scripts.

Called by users.
"""

import contextlib
import weakref
from collections.abc import Generator, Iterable, Mapping
from typing import Any

from typing_extensions import Self

from atoll import errors
from atoll._definitions import runs
from atoll._definitions.resources import definition, init_context
from atoll._execution import logs, resource_scope
from atoll._execution import resources as resource_objects
from atoll._instance import instance as instances


class BuiltInitResourceContext(init_context.InitResourceContext):
    """The context with which a test calls a resource function.

    Its resources are closed at the end of a `with`, or with the context.
    """

    _close: Any = None

    def closed_by(self, scope: resource_scope.Scope) -> Self:
        """Close a scope with the context.

        Args:
            scope: Made the resources of the context ready.
        """
        self._close = weakref.finalize(self, scope.close)
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        if self._close is not None:
            self._close()


def build_init_resource_context(
    config: Any = None,
    resources: Mapping[str, Any] | None = None,
    instance: instances.Instance | None = None,
) -> BuiltInitResourceContext:
    """Make the context with which a test calls a resource function.

    Args:
        config: The config of the resource.
        resources: The resources that it requires: objects or definitions by key.
        instance: The instance; an ephemeral one where not given.

    Returns:
        The context. Use it in a `with` where its resources have to be closed at once.
    """
    given = resources or {}
    own = instance if instance is not None else instances.Instance.ephemeral()
    log = logs.to_handler(None)
    around = resource_scope.Surroundings(own, None, log, "The context")
    scope = resource_scope.Scope(given, None, around)
    shown = resource_objects.Resources(resource_scope.Opening(given, scope), "The context")
    made = {key: definition.coerce(one) for key, one in given.items()}
    context = BuiltInitResourceContext(config, shown, None, made, own, None, log)
    return context.closed_by(scope)


@contextlib.contextmanager
def build_resources(
    resources: Mapping[str, Any],
    instance: instances.Instance | None = None,
    resource_config: Mapping[str, Any] | None = None,
    run: runs.Run | None = None,
    log_manager: logs.LogManager | None = None,
) -> Generator[resource_objects.Resources, None, None]:
    """Make resources ready for the length of a `with`, outside any run.

    Args:
        resources: Objects or definitions by key.
        instance: The instance that they see; an ephemeral one where not given.
        resource_config: Their config, as in the section `resources` of run configuration.
        run: The run that they see.
        log_manager: The log that they see.

    Yields:
        The resources, by attribute.

    Raises:
        ResourceFunctionError: The code of a resource raised.
        InvalidConfigError: The config does not fit.
    """
    around = resource_scope.Surroundings(
        instance=instance if instance is not None else instances.Instance.ephemeral(),
        run=run,
        log=log_manager if log_manager is not None else logs.to_handler(None),
        whose="build_resources",
    )
    with resource_scope.open_resources(resources, resources, resource_config, around) as objects:
        yield resource_objects.Resources(objects, "build_resources")


def with_resources(
    definitions: Iterable[Any],
    resource_defs: Mapping[str, Any],
    resource_config_by_key: Mapping[str, Any] | None = None,
) -> list[Any]:
    """Give definitions resources of their own, which come before those of the location.

    Args:
        definitions: The definitions. Those that need no resources are returned as they are.
        resource_defs: Objects or definitions by key.
        resource_config_by_key: Config by key, each as `{"config": ...}`.

    Returns:
        The definitions with the resources.

    Raises:
        InvalidInvocationError: Config is given for a key without a resource, or in another form.
    """
    bound = dict(resource_defs)
    for key, entry in (resource_config_by_key or {}).items():
        if key not in bound or not isinstance(entry, Mapping) or "config" not in entry:
            raise errors.InvalidInvocationError(
                f"with_resources was given the config {entry!r} for {key!r}. Give "
                f"{{'config': ...}} for one of {', '.join(sorted(bound)) or 'no resources'}."
            )
        bound[key] = definition.coerce(bound[key]).configured(entry["config"])
    return [_bound(one, bound) for one in definitions]


def _bound(one: Any, resource_defs: Mapping[str, Any]) -> Any:
    bind = getattr(one, "with_resources", None)
    return bind(resource_defs) if callable(bind) else one
