"""Calling the function of an op, an asset or a check directly, as tests do.

Called by their `__call__`. Arguments are checked, config is completed from the context, and
resources are taken from it; nothing is stored and no event is made. What the function gives is
checked in `direct_results`.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from atoll import _records as records
from atoll import errors
from atoll._definitions import config_contract, parameters
from atoll._definitions.nodes import direct_results


class Callee(records.Record):
    """What is called directly.

    Attributes:
        name: Its name, which run configuration uses.
        function: The user's function.
        parameters: What its parameters are for.
        config_field: What config it takes, if any.
        definition: The op, whose inputs and outputs are checked.
        asks_for_all: Whether it has to give every required output itself.
        context_builder: The function that makes a context for it, named in errors.
    """

    name: str
    function: Callable[..., Any]
    parameters: parameters.Parameters
    config_field: config_contract.ConfigField | None
    definition: direct_results.Called
    asks_for_all: bool = True
    context_builder: str = "build_op_context"


def call(callee: Callee, owner: object, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Call a function directly.

    Args:
        callee: The function and how it is called.
        owner: The definition that is called; the context is told so.
        args: The context first where the function takes one, then inputs by position.
        kwargs: Inputs, config and resources by name.

    Returns:
        What the function returns: a value, a coroutine or a generator.

    Raises:
        InvalidInvocationError: The arguments do not fit.
        InvalidConfigError: The config does not fit.
        TypeCheckDidNotPass: A value is not of the type of its input or output.
    """
    told = callee.parameters
    unseen, args, kwargs = _unseen_context(told, args, kwargs)
    signature = inspect.signature(callee.function)
    # An input that only orders is no parameter of the function.
    extra = () if told.takes_any_keyword else set(kwargs) - set(signature.parameters)
    try:
        bound = signature.bind_partial(
            *args, **{name: value for name, value in kwargs.items() if name not in extra}
        )
    except TypeError as error:
        raise errors.InvalidInvocationError(f"{callee.name} takes {signature}: {error}.") from error
    if extra:
        raise errors.InvalidInvocationError(
            f"{callee.name} takes {signature}: got an unexpected argument "
            f"{', '.join(map(repr, sorted(extra)))}."
        )
    context = unseen if unseen is not None else bound.arguments.get(told.context or "")
    bind = getattr(context, "bind_to", None)
    if bind is not None:
        bind(owner)
    _complete_config(callee, bound, context)
    _complete_resources(callee, bound, context)
    missing = [
        name
        for name, parameter in signature.parameters.items()
        if name not in bound.arguments
        and parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if missing:
        no_context = told.context is not None and bind is None
        hint = (
            f" It takes a context first: make one with {callee.context_builder}()."
            if no_context
            else ""
        )
        raise errors.InvalidInvocationError(
            f"{callee.name} needs a value for {', '.join(missing)}.{hint}"
        )
    for one in told.inputs:
        if one.name in bound.arguments:
            direct_results.check_input(
                callee.definition, one.name, bound.arguments[one.name], context
            )
    results = direct_results.Results(callee.definition, context, asks_for_all=callee.asks_for_all)
    return results.checked(callee.function(*bound.args, **bound.kwargs))


def _unseen_context(
    told: parameters.Parameters, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Any, tuple[Any, ...], Mapping[str, Any]]:
    """Take a context away that the function does not take; its resources and config still count."""
    if told.context is not None:
        return None, args, kwargs
    if args and hasattr(args[0], "bind_to"):
        return args[0], args[1:], kwargs
    if hasattr(kwargs.get("context"), "bind_to"):
        others = {name: value for name, value in kwargs.items() if name != "context"}
        return kwargs["context"], args, others
    return None, args, kwargs


def _complete_config(callee: Callee, bound: inspect.BoundArguments, context: Any) -> None:
    name, field = callee.parameters.config, callee.config_field
    if field is None:
        return
    path = ("ops", callee.name, "config")
    given = getattr(context, "op_config_given", config_contract.NOT_GIVEN)
    if name is not None and name not in bound.arguments:
        bound.arguments[name] = field.resolve(given, path)
    elif name is not None:
        value = bound.arguments[name]
        if not isinstance(value, config_contract.ConfigClass) and isinstance(value, Mapping):
            bound.arguments[name] = field.resolve(value, path)
    elif context is not None:
        settle = getattr(context, "settle_op_config", None)
        if settle is not None:
            settle(field.resolve(given, path))


def _complete_resources(callee: Callee, bound: inspect.BoundArguments, context: Any) -> None:
    for parameter, key in callee.parameters.resources.items():
        if parameter in bound.arguments or context is None:
            continue
        bound.arguments[parameter] = getattr(context.resources, key)
