"""The `op` decorator: makes an op of a function.

Called by users.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, overload

from atoll import errors
from atoll._definitions import kinds
from atoll._definitions.nodes import ins_and_outs, node, retries
from atoll._definitions.nodes import op as ops

OpFunction = Callable[..., Any]
CoercibleToOuts = ins_and_outs.Out | Mapping[str, ins_and_outs.Out]


@overload
def op(compute_fn: OpFunction, /) -> ops.OpDefinition: ...
@overload
def op(
    *,
    name: str | None = None,
    description: str | None = None,
    ins: Mapping[str, ins_and_outs.In] | None = None,
    out: CoercibleToOuts | None = None,
    config_schema: Any = None,
    required_resource_keys: Iterable[str] | None = None,
    tags: Mapping[str, Any] | None = None,
    version: str | None = None,
    retry_policy: retries.RetryPolicy | None = None,
    code_version: str | None = None,
    pool: str | None = None,
) -> Callable[[OpFunction], ops.OpDefinition]: ...
def op(
    compute_fn: OpFunction | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    ins: Mapping[str, ins_and_outs.In] | None = None,
    out: CoercibleToOuts | None = None,
    config_schema: Any = None,
    required_resource_keys: Iterable[str] | None = None,
    tags: Mapping[str, Any] | None = None,
    version: str | None = None,
    retry_policy: retries.RetryPolicy | None = None,
    code_version: str | None = None,
    pool: str | None = None,
) -> ops.OpDefinition | Callable[[OpFunction], ops.OpDefinition]:
    """Make an op of a function. Its parameters are the inputs, what it returns is the output.

    Args:
        compute_fn: The function, where the decorator is used without parentheses.
        name: The name; the function's where not given.
        description: What it does; the function's docstring where not given.
        ins: How inputs are typed and loaded; inputs of type Nothing are named only here.
        out: How the output is typed and stored, or several outputs by name.
        config_schema: What config it takes, where no parameter `config` says so.
        required_resource_keys: The resources that the function takes from `context.resources`.
        tags: Labels.
        version: The older name of `code_version`.
        retry_policy: When a failed step is tried again.
        code_version: The version of the code.
        pool: The pool whose slots limit how many such steps run at once.

    Returns:
        The op, or a decorator that makes it.

    Raises:
        InvalidDefinitionError: The function or an option cannot be what it says.

    Example:
        ```
        @op
        def add_one(number: int) -> int:
            return number + 1
        ```
    """

    def decorate(function: OpFunction) -> ops.OpDefinition:
        if not callable(function):
            raise errors.InvalidDefinitionError(
                f"op decorates a function, got {function!r}. Give options by name: @op(name=...)."
            )
        return ops.OpDefinition(
            function,
            name or node.function_name(function),
            ins,
            _outs(out),
            description,
            config_schema,
            required_resource_keys,
            tags,
            version,
            retry_policy,
            code_version,
            pool,
        )

    return decorate(compute_fn) if compute_fn is not None else decorate


def _outs(out: CoercibleToOuts | None) -> Mapping[str, ins_and_outs.Out] | None:
    if isinstance(out, ins_and_outs.Out):
        return {ins_and_outs.DEFAULT_OUTPUT_NAME: out}
    kinds.check(out, Mapping, "The out of an op", "an Out, such as Out(int), or Outs by name")
    return out
