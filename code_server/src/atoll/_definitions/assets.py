"""Assets that this location can materialize: specs and the function that computes them.

Called by the `asset` decorator, by `Definitions` and by the execution. A definition holds several
specs and outputs by design, although `asset` makes only one of each.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from atoll._definitions import (
    annotations,
    asset_events,
    config_contract,
    errors,
    sources,
)
from atoll._definitions import keys as asset_keys
from atoll._definitions import metadata as metadata_values
from atoll._definitions import specs as spec_module

DEFAULT_IO_MANAGER_KEY = "io_manager"


class AssetIn:
    """How a parameter of an asset gets its value.

    Args:
        key: The upstream asset; told from the parameter's name where not given.
        metadata: What to give to the IO manager with the input.
        key_prefix: Parts to put before the parameter's name.
        input_manager_key: The resource that loads the value instead of the upstream asset's IO
            manager.
    """

    def __init__(
        self,
        key: asset_keys.CoercibleToAssetKey | None = None,
        metadata: metadata_values.RawMetadataMapping | None = None,
        key_prefix: asset_keys.CoercibleToAssetKeyPrefix | None = None,
        input_manager_key: str | None = None,
    ) -> None:
        if key is not None and key_prefix is not None:
            raise errors.InvalidDefinitionError(
                f"AssetIn takes either key or key_prefix, got key={key!r} and "
                f"key_prefix={key_prefix!r}."
            )
        self.key = None if key is None else asset_keys.AssetKey.from_coercible(key)
        self.metadata = dict(metadata or {})
        self.key_prefix = asset_keys.prefix_parts(key_prefix)
        self.input_manager_key = input_manager_key

    def resolve_key(self, input_name: str) -> asset_keys.AssetKey:
        """Return the upstream asset of a parameter."""
        return (
            self.key
            if self.key is not None
            else asset_keys.AssetKey((*self.key_prefix, input_name))
        )

    @staticmethod
    def from_coercible(coercible: "AssetIn | asset_keys.CoercibleToAssetKey") -> "AssetIn":
        """Make an input of what stands for one: an input or the key of the upstream asset."""
        return coercible if isinstance(coercible, AssetIn) else AssetIn(key=coercible)


@dataclasses.dataclass(frozen=True)
class AssetInput:
    """A parameter that receives the value of an upstream asset.

    Attributes:
        name: The name of the parameter.
        key: The upstream asset.
        annotation: What the parameter is annotated with, possibly as text.
        input_manager_key: The resource that loads the value, where it is not the upstream asset's
            IO manager.
        metadata: What the IO manager is given.
    """

    name: str
    key: asset_keys.AssetKey
    annotation: Any = annotations.UNKNOWN
    input_manager_key: str | None = None
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict[str, Any])


@dataclasses.dataclass(frozen=True)
class AssetOutput:
    """An output of a computation.

    Attributes:
        name: The name of the output.
        key: The asset that it materializes.
        io_manager_key: The resource that stores the value.
        is_required: Whether the computation has to give it.
    """

    name: str
    key: asset_keys.AssetKey
    io_manager_key: str = DEFAULT_IO_MANAGER_KEY
    is_required: bool = True


@dataclasses.dataclass(frozen=True)
class Computation:
    """The function that materializes assets, and how it is called.

    Attributes:
        function: The user's function.
        op_name: The name that run configuration and steps use.
        inputs: The parameters that receive values of upstream assets.
        outputs: What it gives.
        context_parameter: The parameter that receives the context, if any.
        config_parameter: The parameter that receives the config, if any.
        config_class: The class of the config, if any.
        required_resource_keys: The resources that it needs.
        returns_nothing: Whether it is annotated to return None.
        returns_result: Whether it is annotated to return a `MaterializeResult`.
    """

    function: Callable[..., Any]
    op_name: str
    inputs: tuple[AssetInput, ...]
    outputs: tuple[AssetOutput, ...]
    context_parameter: str | None = None
    config_parameter: str | None = None
    config_class: type[config_contract.ConfigClass] | None = None
    required_resource_keys: frozenset[str] = frozenset()
    returns_nothing: bool = False
    returns_result: bool = False

    @functools.cached_property
    def outputs_by_name(self) -> Mapping[str, AssetOutput]:
        """The outputs by their names."""
        return {output.name: output for output in self.outputs}

    @functools.cached_property
    def outputs_by_key(self) -> Mapping[asset_keys.AssetKey, AssetOutput]:
        """The outputs by the assets that they materialize."""
        return {output.key: output for output in self.outputs}

    def python_type_of(self, asset_input: AssetInput) -> Any:
        """Return what a parameter is annotated with, `UNKNOWN` where that cannot be told."""
        return annotations.resolve(asset_input.annotation, self.function)


class AssetsDefinition(spec_module.HasKey):
    """Assets and the function that materializes them. Made by `asset`.

    Called directly, it calls the function.

    Args:
        asset_specs: What the assets are.
        computation: The function and how it is called.
        source: Where the function stands in the user's code.
        resource_defs: Objects that this definition brings along for its own resource keys.
    """

    def __init__(
        self,
        *,
        asset_specs: Sequence[spec_module.AssetSpec],
        computation: Computation,
        source: sources.SourcePosition | None = None,
        resource_defs: Mapping[str, Any] | None = None,
    ) -> None:
        self._specs = tuple(asset_specs)
        self._computation = computation
        self._source = source
        self._resource_defs = dict(resource_defs or {})
        functools.update_wrapper(self, computation.function)

    @property
    def specs(self) -> Sequence[spec_module.AssetSpec]:
        """What the assets are."""
        return self._specs

    @property
    def key(self) -> asset_keys.AssetKey:
        """The key of the only asset."""
        if len(self._specs) != 1:
            raise errors.InvalidInvocationError(
                f"{self._computation.op_name!r} makes {len(self._specs)} assets, so it has no "
                "single key. Use keys."
            )
        return self._specs[0].key

    def single_key(self) -> asset_keys.AssetKey:
        """Return the key of the only asset."""
        return self.key

    @property
    def keys(self) -> frozenset[asset_keys.AssetKey]:
        """The keys of the assets."""
        return frozenset(spec.key for spec in self._specs)

    @property
    def specs_by_key(self) -> Mapping[asset_keys.AssetKey, spec_module.AssetSpec]:
        """What the assets are, by key."""
        return {spec.key: spec for spec in self._specs}

    @property
    def computation(self) -> Computation:
        """The function and how it is called."""
        return self._computation

    @property
    def op_name(self) -> str:
        """The name that run configuration and steps use."""
        return self._computation.op_name

    @property
    def dependency_keys(self) -> frozenset[asset_keys.AssetKey]:
        """The assets that these depend on."""
        return frozenset(dep.asset_key for spec in self._specs for dep in spec.deps)

    @property
    def required_resource_keys(self) -> frozenset[str]:
        """The resources that the function and its outputs need."""
        managers = {output.io_manager_key for output in self._computation.outputs}
        loaders = {
            one.input_manager_key for one in self._computation.inputs if one.input_manager_key
        }
        return self._computation.required_resource_keys | managers | loaders

    @property
    def resource_defs(self) -> Mapping[str, Any]:
        """Objects that this definition brings along for its own resource keys."""
        return self._resource_defs

    @property
    def source(self) -> sources.SourcePosition | None:
        """Where the function stands in the user's code."""
        return self._source

    def get_asset_spec(self, key: asset_keys.AssetKey | None = None) -> spec_module.AssetSpec:
        """Return what an asset is; the only one where no key is given."""
        return self.specs_by_key[key if key is not None else self.key]

    def map_asset_specs(
        self, func: Callable[[spec_module.AssetSpec], spec_module.AssetSpec]
    ) -> "AssetsDefinition":
        """Return the same assets with other specs.

        Args:
            func: Makes a new spec of a spec. It may not change the key, nor take dependencies away
                whose values the asset's function takes.

        Returns:
            The assets with their new specs.
        """
        mapped = [spec_module.mapped_spec(func, spec) for spec in self._specs]
        loaded = {one.key for one in self._computation.inputs}
        for spec in mapped:
            lost = loaded - {dep.asset_key for dep in spec.deps}
            if lost:
                raise errors.InvalidDefinitionError(
                    f"The spec of {spec.key.to_user_string()!r} lost its dependencies on "
                    f"{asset_keys.in_words(lost)}, whose "
                    "values the function takes. Keep them in deps."
                )
        return AssetsDefinition(
            asset_specs=mapped,
            computation=self._computation,
            source=self._source,
            resource_defs=self._resource_defs,
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function directly, as tests do.

        Args:
            args: The context first where the function takes one, then the values of upstream
                assets.
            kwargs: The same by name, and the config.

        Returns:
            What the function returns: a value, a coroutine or a generator.

        Raises:
            InvalidInvocationError: The arguments do not fit.
        """
        computation = self._computation
        given = dict(kwargs)
        signature = inspect.signature(computation.function)
        try:
            bound = signature.bind_partial(*args, **given)
        except TypeError as error:
            raise errors.InvalidInvocationError(
                f"{computation.op_name} takes {signature}: {error}."
            ) from error
        context = bound.arguments.get(computation.context_parameter or "")
        bind = getattr(context, "bind_to", None)
        if bind is not None:
            bind(self)
        _complete_config(computation, bound)
        missing = [
            name
            for name, parameter in signature.parameters.items()
            if name not in bound.arguments
            and parameter.default is parameter.empty
            and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        ]
        if missing:
            hint = (
                " Make a context with build_asset_context()."
                if computation.context_parameter in missing
                else ""
            )
            raise errors.InvalidInvocationError(
                f"{computation.op_name} needs a value for {', '.join(missing)}.{hint}"
            )
        return computation.function(*bound.args, **bound.kwargs)

    def __repr__(self) -> str:
        return f"AssetsDefinition({asset_keys.in_words(self.keys)})"


def _complete_config(computation: Computation, bound: inspect.BoundArguments) -> None:
    name, config_class = computation.config_parameter, computation.config_class
    if name is None or config_class is None or name in bound.arguments:
        return
    context = bound.arguments.get(computation.context_parameter or "")
    values: Mapping[str, Any] = getattr(context, "op_config", None) or dict[str, Any]()
    bound.arguments[name] = config_class.from_run_config(
        values, ("ops", computation.op_name, "config")
    )


def executable_and_external(
    assets: Iterable[Any],
) -> tuple[list[AssetsDefinition], list[spec_module.AssetSpec], list[Any]]:
    """Sort what was given as assets.

    Args:
        assets: Assets, bare specs, or neither.

    Returns:
        The assets, the bare specs, and what is neither.
    """
    executable: list[AssetsDefinition] = []
    external: list[spec_module.AssetSpec] = []
    other: list[Any] = []
    for item in assets:
        if isinstance(item, AssetsDefinition):
            executable.append(item)
        elif isinstance(item, spec_module.AssetSpec):
            external.append(item)
        else:
            other.append(item)
    return executable, external, other


DEFAULT_OUTPUT_NAME = asset_events.DEFAULT_OUTPUT_NAME
