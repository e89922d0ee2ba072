"""Ops: a function with typed inputs and outputs, the unit that runs as one step.

Called by users through `op`, by assets and checks, which hold one each, and by everything that
plans and runs steps.
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from atoll import errors
from atoll._definitions import (
    annotations,
    asset_events,
    config_contract,
    config_mapping,
    config_schemas,
    kinds,
    parameters,
)
from atoll._definitions.nodes import ins_and_outs, invocation, node, retries

POOL_LENGTH_MAX = 200


def checked_pool(whose: str, pool: Any) -> str | None:
    """Return the pool that was given.

    Args:
        whose: What it was given to, for messages.
        pool: The name of the pool.

    Raises:
        InvalidDefinitionError: It is no name.
    """
    if pool is None:
        return None
    if not isinstance(pool, str) or not 1 <= len(pool) <= POOL_LENGTH_MAX or "\0" in pool:
        raise errors.InvalidDefinitionError(
            f"The pool of {whose} is {pool!r}. Give the name of a pool, of up to "
            f"{POOL_LENGTH_MAX} characters."
        )
    return pool


class OpDefinition(node.NodeDefinition):
    """A function with typed inputs and outputs. Made by `op`.

    Args:
        compute_fn: The user's function.
        name: The name.
        ins: The inputs by name; told from the function's parameters where not given.
        outs: The outputs by name; one, told from the return annotation, where not given.
        description: What it does.
        config_schema: What config it takes.
        required_resource_keys: The resources that it takes from `context.resources`.
        tags: Labels.
        version: The older name of `code_version`.
        retry_policy: When a failed step is tried again.
        code_version: The version of the code.
        pool: The pool whose slots limit how many such steps run at once.

    Called inside a graph it stands there; called elsewhere it calls the function.
    """

    own_resource_keys: frozenset[str]
    retry_policy: retries.RetryPolicy | None
    code_version: str | None
    pool: str | None

    def __init__(
        self,
        compute_fn: Callable[..., Any],
        name: str,
        ins: Mapping[str, ins_and_outs.In] | None = None,
        outs: Mapping[str, ins_and_outs.Out] | None = None,
        description: str | None = None,
        config_schema: Any = None,
        required_resource_keys: Iterable[str] | None = None,
        tags: Mapping[str, str] | None = None,
        version: str | None = None,
        retry_policy: retries.RetryPolicy | None = None,
        code_version: str | None = None,
        pool: str | None = None,
    ) -> None:
        self.name = ins_and_outs.checked_name(name, "an op")
        whose = f"the op {name!r}"
        kinds.check(ins, Mapping, f"The ins of {whose}", "Ins by the names of parameters")
        kinds.check(outs, Mapping, f"The out of {whose}", "an Out, or Outs by name")
        kinds.check_each(ins, ins_and_outs.In, f"The ins of {whose}", "In(...) for each")
        kinds.check_each(outs, ins_and_outs.Out, f"The out of {whose}", "Out(...) for each")
        kinds.check(
            retry_policy, retries.RetryPolicy, f"The retry_policy of {whose}", "a RetryPolicy"
        )
        told = parameters.read(compute_fn, f"The op {name!r}")
        functions_own = _inputs_of(compute_fn, told, ins or {})
        self.setup(
            compute_fn,
            told,
            [*functions_own, *_further_inputs(whose, told, functions_own, ins or {})],
            _outputs_of(compute_fn, told, outs),
            config_field=_config_field(whose, told, config_schema),
        )
        self.description = description or annotations.docstring(compute_fn)
        self.own_resource_keys = frozenset(required_resource_keys or ())
        self.tags = asset_events.checked_tags(tags)
        self.retry_policy = retry_policy
        self.code_version = code_version if code_version is not None else version
        self.pool = checked_pool(whose, pool)
        functools.update_wrapper(self, compute_fn)

    def setup(
        self,
        function: Callable[..., Any],
        told: parameters.Parameters,
        inputs: Sequence[ins_and_outs.InputDefinition],
        outputs: Sequence[ins_and_outs.OutputDefinition],
        *,
        config_field: config_contract.ConfigField | None = None,
    ) -> None:
        """Set what every op has, for those that are made without the constructor.

        Args:
            function: The user's function.
            told: What its parameters are for.
            inputs: The inputs in order.
            outputs: The outputs in order.
            config_field: What config it takes, if any.
        """
        self.compute_fn = function
        self.parameters = told
        self._inputs = tuple(inputs)
        self._outputs = tuple(outputs)
        self.config_field = config_field
        self.description = None
        self.own_resource_keys = frozenset()
        self.tags = {}
        self.retry_policy = None
        self.code_version = None
        self.pool = None
        self.hook_defs = frozenset()

    @property
    def pools(self) -> frozenset[str]:
        """The pool that it names, if any; what a graph has several of."""
        return frozenset() if self.pool is None else frozenset({self.pool})

    @property
    def input_definitions(self) -> Sequence[ins_and_outs.InputDefinition]:
        """The inputs in order."""
        return self._inputs

    @property
    def output_definitions(self) -> Sequence[ins_and_outs.OutputDefinition]:
        """The outputs in order."""
        return self._outputs

    @functools.cached_property
    def outputs_by_name(self) -> Mapping[str, ins_and_outs.OutputDefinition]:
        """The outputs by their names."""
        return {one.name: one for one in self._outputs}

    @property
    def ins(self) -> Mapping[str, ins_and_outs.In]:
        """The inputs by name, as users write them."""
        return {one.name: one.given or ins_and_outs.In() for one in self._inputs}

    @property
    def outs(self) -> Mapping[str, ins_and_outs.Out]:
        """The outputs by name, as users write them."""
        return {one.name: one.given or ins_and_outs.Out() for one in self._outputs}

    @property
    def required_resource_keys(self) -> frozenset[str]:
        """The resources that the function takes, by parameter or from the context."""
        return self.own_resource_keys | frozenset(self.parameters.resources.values())

    @property
    def storage_resource_keys(self) -> frozenset[str]:
        """The IO managers and input managers that its outputs and inputs name."""
        managers = {one.io_manager_key for one in self._outputs}
        loaders = {one.input_manager_key for one in self._inputs if one.input_manager_key}
        return frozenset(managers | loaders)

    @property
    def config_schema(self) -> config_contract.ConfigField | None:
        """What config it takes, if any."""
        return self.config_field

    @property
    def version(self) -> str | None:
        """The version of the code."""
        return self.code_version

    def with_replaced_properties(
        self,
        name: str,
        ins: Mapping[str, ins_and_outs.In] | None = None,
        outs: Mapping[str, ins_and_outs.Out] | None = None,
        config_schema: Any = None,
        description: str | None = None,
    ) -> "OpDefinition":
        """Return the same op with some properties replaced.

        Args:
            name: The new name.
            ins: New inputs.
            outs: New outputs.
            config_schema: What config it takes now.
            description: What it does.
        """
        changed = OpDefinition(
            self.compute_fn,
            name,
            ins if ins is not None else self.ins,
            outs if outs is not None else self.outs,
            description or self.description,
            config_schema,
            self.own_resource_keys,
            self.tags,
            retry_policy=self.retry_policy,
            code_version=self.code_version,
            pool=self.pool,
        )
        if config_schema is None:
            changed.config_field = self.config_field
        changed.hook_defs = self.hook_defs
        return changed

    def copy_for_configured(
        self, name: str | None, description: str | None, config_schema: Any
    ) -> "OpDefinition":
        """Return the op that `configured` makes of this one."""
        return self.copy_with(
            name=name or self.name,
            description=description or self.description,
            config_field=config_schema,
        )

    def configured(
        self,
        config_or_config_fn: Any,
        name: str | None = None,
        config_schema: Any = None,
        description: str | None = None,
    ) -> "OpDefinition":
        """Return the op with its config given in code.

        Args:
            config_or_config_fn: The config, or a function that makes it of other config.
            name: The name of what is made; the function's where not given.
            config_schema: What that function takes.
            description: What it does; as before where not given.

        Raises:
            InvalidDefinitionError: The name or the config schema is missing or too much.
            InvalidConfigError: The config does not fit.

        Example:
            `load_users = load.configured({"table": "users"}, name="load_users")`
        """
        own_name = name or getattr(config_or_config_fn, "__name__", None)
        return config_mapping.configure(
            self, config_or_config_fn, own_name, config_schema, description
        )

    def copy_with(self, **changes: Any) -> "OpDefinition":
        """Return a copy with attributes replaced, for the definitions that hold ops."""
        copied = object.__new__(type(self))
        copied.__dict__.update(self.__dict__)
        copied.__dict__.update(changes)
        copied.__dict__.pop("outputs_by_name", None)
        return copied

    def invoke_directly(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the function, as tests do.

        Args:
            args: The context first where the function takes one, then inputs.
            kwargs: Inputs, config and resources by name.

        Returns:
            What the function returns.

        Raises:
            InvalidInvocationError: The arguments do not fit.
        """
        # Inputs of type Nothing are no parameters of the function.
        nothing = {one.name for one in self._inputs if one.is_nothing}
        given = {name: value for name, value in kwargs.items() if name not in nothing}
        return invocation.call(
            invocation.Callee(self.name, self.compute_fn, self.parameters, self.config_field, self),
            self,
            args,
            given,
        )

    def __repr__(self) -> str:
        return f"OpDefinition({self.name!r})"


def _inputs_of(
    function: Callable[..., Any],
    told: parameters.Parameters,
    given: Mapping[str, ins_and_outs.In],
) -> list[ins_and_outs.InputDefinition]:
    return [
        ins_and_outs.InputDefinition(
            one.name,
            one.annotation,
            function,
            given.get(one.name),
            ins_and_outs.NO_DEFAULT if one.default is one.empty else one.default,
        )
        for one in told.inputs
    ]


def _further_inputs(
    whose: str,
    told: parameters.Parameters,
    known: Sequence[ins_and_outs.InputDefinition],
    given: Mapping[str, ins_and_outs.In],
) -> list[ins_and_outs.InputDefinition]:
    names = {one.name for one in known}
    further = [
        ins_and_outs.InputDefinition(ins_and_outs.checked_name(name, "an input"), given=one)
        for name, one in given.items()
        if name not in names
    ]
    missing = [one.name for one in further if not one.is_nothing and not told.takes_any_keyword]
    if missing:
        raise errors.InvalidDefinitionError(
            f"The ins of {whose} name {', '.join(missing)}, but the function has no such "
            "parameter. Add it, or give the input In(Nothing) if it only says what comes first."
        )
    return further


def _outputs_of(
    function: Callable[..., Any],
    told: parameters.Parameters,
    outs: Mapping[str, ins_and_outs.Out] | None,
) -> list[ins_and_outs.OutputDefinition]:
    if outs is None:
        return [ins_and_outs.OutputDefinition(annotation=told.returns, function=function)]
    if len(outs) == 1:
        ((name, one),) = outs.items()
        checked = ins_and_outs.checked_name(name, "an output")
        return [ins_and_outs.OutputDefinition(checked, told.returns, function, one)]
    members = annotations.members_of_tuple(told.returns, function, len(outs))
    return [
        ins_and_outs.OutputDefinition(
            ins_and_outs.checked_name(name, "an output"), annotation, None, one
        )
        for (name, one), annotation in zip(outs.items(), members, strict=True)
    ]


def _config_field(
    whose: str, told: parameters.Parameters, config_schema: Any
) -> config_contract.ConfigField | None:
    if told.config is None:
        return config_schemas.coerce(config_schema)
    if config_schema is not None:
        raise errors.InvalidDefinitionError(
            f"The function of {whose} has the parameter 'config', and config_schema is given too. "
            "Keep one of them."
        )
    return field_of_annotation(told.config_annotation, whose)


def field_of_annotation(annotation: Any, whose: str) -> config_contract.ConfigField:
    """Return what config a parameter called `config` takes.

    Args:
        annotation: What the parameter is annotated with, resolved.
        whose: Whose function it is, for errors.

    Raises:
        InvalidDefinitionError: The annotation says nothing about config.
    """
    field = None if annotation is annotations.UNKNOWN else config_schemas.coerce(annotation)
    if field is None:
        shown = "nothing" if annotation is annotations.UNKNOWN else repr(annotation)
        raise errors.InvalidDefinitionError(
            f"The parameter 'config' of the function of {whose} is annotated with {shown}. "
            "Annotate it with a subclass of Config that is known where the function is defined."
        )
    return field
