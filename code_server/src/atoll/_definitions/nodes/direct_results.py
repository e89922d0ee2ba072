"""What ops and assets give when tests call them directly: checked as a run would check it.

Called by `invocation`. Values are handed to the test as they are; coroutines and generators check
what they give when it is taken from them.
"""

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Sequence
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, Protocol

from atoll import errors
from atoll._definitions import asset_checks, asset_events
from atoll._definitions.nodes import ins_and_outs

_NAMED = (asset_events.Output, asset_events.DynamicOutput)
# Results that say themselves what they are, and events.
_OTHER = (
    asset_events.MaterializeResult,
    asset_events.ObserveResult,
    asset_checks.AssetCheckResult,
    asset_checks.AssetCheckEvaluation,
    asset_events.AssetMaterialization,
    asset_events.AssetObservation,
    asset_events.ExpectationResult,
)


class Called(Protocol):
    """What was called, as far as its inputs and outputs go."""

    @property
    def name(self) -> str:
        """The name."""
        ...

    @property
    def input_definitions(self) -> Sequence[ins_and_outs.InputDefinition]:
        """The inputs in order."""
        ...

    @property
    def output_definitions(self) -> Sequence[ins_and_outs.OutputDefinition]:
        """The outputs in order."""
        ...


def check_input(called: Called, name: str, value: Any, context: Any) -> None:
    """Check the value of an input.

    Args:
        called: What is called.
        name: The input.
        value: Its value.
        context: The context of the call, if it has one.

    Raises:
        TypeCheckDidNotPass: The value is not of the type of the input.
    """
    for one in called.input_definitions:
        if one.name == name and not one.type.is_any:
            _check(one.type, value, context, f"the input {name!r} of {called.name!r}")


class Results:
    """Checks what one call gives.

    Args:
        called: What was called.
        context: The context of the call, if it has one.
        asks_for_all: Whether every required output has to be given.
    """

    def __init__(self, called: Called, context: Any, *, asks_for_all: bool) -> None:
        self._called = called
        self._context = context
        self._asks_for_all = asks_for_all
        self._outputs = {one.name: one for one in called.output_definitions}
        self._given: set[str] = set()

    def checked(self, returned: Any) -> Any:
        """Check what a function returned.

        Args:
            returned: A value, results, a coroutine or a generator.

        Returns:
            The same; coroutines and generators check when they are run.

        Raises:
            TypeCheckDidNotPass: A value is not of the type of its output.
            InvariantViolationError: The outputs and what was given do not fit.
        """
        if isinstance(returned, GeneratorType):
            return self._generator(returned)  # pyright: ignore[reportUnknownArgumentType]
        if isinstance(returned, AsyncGeneratorType):
            return self._async_generator(returned)  # pyright: ignore[reportUnknownArgumentType]
        if isinstance(returned, CoroutineType):
            return self._coroutine(returned)  # pyright: ignore[reportUnknownArgumentType]
        self._check_returned(returned)
        return returned

    def _generator(self, items: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        for item in items:
            self._check_item(item)
            yield item
        self._check_complete()

    async def _async_generator(self, items: AsyncGenerator[Any, Any]) -> AsyncGenerator[Any]:
        async for item in items:
            self._check_item(item)
            yield item
        self._check_complete()

    async def _coroutine(self, pending: Coroutine[Any, Any, Any]) -> Any:
        returned = await pending
        self._check_returned(returned)
        return returned

    def _check_returned(self, returned: Any) -> None:
        outputs = list(self._outputs.values())
        if isinstance(returned, _OTHER) or not self._asks_for_all:
            return
        if len(outputs) == 1:
            if returned is not None or outputs[0].is_required:
                self._check_output(outputs[0], returned)
        elif outputs:
            self._check_several(outputs, returned)

    def _check_several(self, outputs: list[ins_and_outs.OutputDefinition], returned: Any) -> None:
        if isinstance(returned, dict) and set(returned) == set(self._outputs):  # pyright: ignore[reportUnknownArgumentType]
            by_name: dict[str, Any] = returned  # pyright: ignore[reportUnknownVariableType]
            for name, value in by_name.items():
                self._check_output(self._outputs[name], value)
            return
        if isinstance(returned, _NAMED) or (
            returned is None and not any(one.is_required for one in outputs)
        ):
            return
        items: Any = returned  # pyright: ignore[reportUnknownVariableType]
        is_several = isinstance(returned, (tuple, list))
        members: Sequence[Any] | None = items if is_several else None
        if members is None:
            raise errors.InvariantViolationError(
                f"{self._called.name!r} has the outputs {', '.join(self._outputs)} and returned "
                f"{returned!r}. Return a tuple with a value for each, or yield Outputs."
            )
        if any(isinstance(one, _OTHER) for one in members):
            return
        if len(members) != len(outputs):
            raise errors.InvariantViolationError(
                f"{self._called.name!r} has {len(outputs)} outputs, {', '.join(self._outputs)}, "
                f"and returned {len(members)} values. Return one for each."
            )
        for output, value in zip(outputs, members, strict=True):
            self._check_output(output, value)

    def _check_output(self, output: ins_and_outs.OutputDefinition, value: Any) -> None:
        subject = f"the output {output.name!r} of {self._called.name!r}"
        if output.is_dynamic:
            if not isinstance(value, list):
                raise errors.InvariantViolationError(
                    f"{self._called.name!r} gave {value!r} for its dynamic output "
                    f"{output.name!r}. Return a list of DynamicOutputs, or yield them."
                )
            for item in value:  # pyright: ignore[reportUnknownVariableType]
                self._check_item(item)
            return
        if isinstance(value, _OTHER):
            return
        plain: Any = value.value if isinstance(value, _NAMED) else value  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        _check(output.type, plain, self._context, subject)

    def _check_item(self, item: Any) -> None:
        if isinstance(item, _OTHER):
            return
        if not isinstance(item, _NAMED):
            raise errors.InvariantViolationError(
                f"{self._called.name!r} yielded {item!r} of type {type(item).__name__}. Yield "
                "values as Output(...)."
            )
        name = item.output_name
        output = self._outputs.get(name)
        if output is None:
            raise errors.InvariantViolationError(
                f"{self._called.name!r} gave the output {name!r}, which it does not have; it has "
                f"{', '.join(self._outputs) or 'none'}."
            )
        self._given.add(name)
        subject = f"the output {name!r} of {self._called.name!r}"
        _check(output.type, item.value, self._context, subject)  # pyright: ignore[reportUnknownMemberType]

    def _check_complete(self) -> None:
        missing = [
            one.name
            for one in self._outputs.values()
            if one.is_required
            and one.name not in self._given
            and not one.is_dynamic
            and not one.type.is_nothing
        ]
        if missing and self._asks_for_all:
            raise errors.InvariantViolationError(
                f"{self._called.name!r} ended without its output {', '.join(map(repr, missing))}. "
                "Yield an Output for it, or give it Out(is_required=False)."
            )


def _check(kind: Any, value: Any, context: Any, subject: str) -> None:
    check: Callable[[Any, Any], Any] = kind.type_check
    told = check(context, value)
    if not told.success:
        raise errors.TypeCheckDidNotPass(
            f"The value of {subject} is not of the type {kind.display_name!r}. "
            f"{told.description or 'The check says no more.'}",
            told.metadata,
            kind,
        )
