"""Hooks: functions that are called after steps.

Called by users through the decorators, and by the execution after each step.
"""

import functools
from collections.abc import Callable, Iterable
from typing import Any, overload

from atoll import _records as records
from atoll import errors

HookFunction = Callable[..., Any]


class HookExecutionResult(records.Record):
    """What a hook did.

    Attributes:
        hook_name: The hook.
        is_skipped: Whether it had nothing to do.
    """

    hook_name: str
    is_skipped: bool = False


class HookDefinition:
    """A function that is called after steps. Made by `success_hook` and `failure_hook`.

    Args:
        name: The name of the hook.
        hook_fn: Called with the context and the events of the step; returns a
            `HookExecutionResult`.
        required_resource_keys: The resources that it takes from `context.resources`.
        decorated_fn: The user's function.

    Applied to a job or graph, it attaches itself: `my_hook(my_job)`.
    """

    def __init__(
        self,
        *,
        name: str,
        hook_fn: HookFunction,
        required_resource_keys: Iterable[str] | None = None,
        decorated_fn: HookFunction | None = None,
    ) -> None:
        self.name = name
        self.hook_fn = hook_fn
        self.required_resource_keys = frozenset(required_resource_keys or ())
        self.decorated_fn = decorated_fn
        if decorated_fn is not None:
            functools.update_wrapper(self, decorated_fn)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Attach the hook to a job or a graph; or call the function, as tests do."""
        target = args[0] if len(args) == 1 and not kwargs else None
        attach = getattr(target, "with_hooks", None)
        if attach is not None:
            return attach({self})
        if self.decorated_fn is None:
            raise errors.InvalidInvocationError(
                f"The hook {self.name!r} was not made by a decorator, so it cannot be called "
                "directly. Apply it to a job or a graph."
            )
        return self.decorated_fn(*args, **kwargs)

    def __repr__(self) -> str:
        return f"HookDefinition({self.name!r})"


@overload
def success_hook(
    hook_fn: HookFunction,
    /,
) -> HookDefinition: ...
@overload
def success_hook(
    *, name: str | None = None, required_resource_keys: Iterable[str] | None = None
) -> Callable[[HookFunction], HookDefinition]: ...
def success_hook(
    hook_fn: HookFunction | None = None,
    /,
    *,
    name: str | None = None,
    required_resource_keys: Iterable[str] | None = None,
) -> HookDefinition | Callable[[HookFunction], HookDefinition]:
    """Make a hook that is called after each step that succeeded.

    Args:
        hook_fn: The function, where the decorator is used without parentheses; it takes the
            context.
        name: The name of the hook; the function's where not given.
        required_resource_keys: The resources that it takes from `context.resources`.

    Returns:
        The hook, or a decorator that makes it.
    """
    return _decorated(hook_fn, name, required_resource_keys, after_success=True)


@overload
def failure_hook(
    hook_fn: HookFunction,
    /,
) -> HookDefinition: ...
@overload
def failure_hook(
    *, name: str | None = None, required_resource_keys: Iterable[str] | None = None
) -> Callable[[HookFunction], HookDefinition]: ...
def failure_hook(
    hook_fn: HookFunction | None = None,
    /,
    *,
    name: str | None = None,
    required_resource_keys: Iterable[str] | None = None,
) -> HookDefinition | Callable[[HookFunction], HookDefinition]:
    """Make a hook that is called after each step that failed for good.

    Args:
        hook_fn: The function, where the decorator is used without parentheses; it takes the
            context.
        name: The name of the hook; the function's where not given.
        required_resource_keys: The resources that it takes from `context.resources`.

    Returns:
        The hook, or a decorator that makes it.
    """
    return _decorated(hook_fn, name, required_resource_keys, after_success=False)


def _decorated(
    hook_fn: HookFunction | None,
    name: str | None,
    required_resource_keys: Iterable[str] | None,
    *,
    after_success: bool,
) -> HookDefinition | Callable[[HookFunction], HookDefinition]:
    def decorate(function: HookFunction) -> HookDefinition:
        own_name = name or function.__name__

        def hook(context: Any, succeeded: bool) -> HookExecutionResult:  # noqa: FBT001 - called by position
            if succeeded is not after_success:
                return HookExecutionResult(own_name, is_skipped=True)
            function(context)
            return HookExecutionResult(own_name)

        return HookDefinition(
            name=own_name,
            hook_fn=hook,
            required_resource_keys=required_resource_keys,
            decorated_fn=function,
        )

    return decorate(hook_fn) if hook_fn is not None else decorate
