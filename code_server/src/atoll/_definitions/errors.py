"""The errors that `atoll` raises.

Called by every layer of the distribution. An error's message says what was wrong, with which value,
and what to do.

```
Error
├── InvalidDefinitionError          a definition cannot be what it says (or several)
│   └── UnsupportedParameterError   a parameter not known to this release (a TypeError)
├── InvalidConfigError              run configuration does not fit; names the path and the value
├── InvalidInvocationError          a definition was called directly with the wrong arguments
├── InvalidSubsetError              a selection names what is not there
├── InvariantViolationError         user code contradicts its definition
│   └── StepOutputNotFoundError     a step gave no output although one is required
├── UnknownResourceError            a resource that nobody provides (an AttributeError)
├── RunNotFoundError                there is no such run
├── UserCodeExecutionError          user code raised; its exception is `__cause__`
│   └── ExecutionStepExecutionError the same, in a step of a run
├── StoredValueError                the value of an asset cannot be stored or loaded
│   ├── ValueNotFoundError          no value of the asset is stored
│   └── ForeignValueError           the value can only be read by the location that wrote it
└── InstanceUnavailableError        the instance did not answer
```
"""

from collections.abc import Sequence
from typing import Any

from atoll._definitions import records


class Problem(records.Record):
    """One thing that is wrong with a set of definitions, and where.

    Attributes:
        message: What is wrong and what to do.
        file: The file of the definition, empty where unknown.
        line: The line in the file, 0 where unknown.
    """

    message: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}" if self.file else self.message


class Error(Exception):
    """The base of all errors that `atoll` raises."""


class InvalidDefinitionError(Error):
    """A definition, or several of them together, cannot be what they say.

    Attributes:
        problems: Everything that was found to be wrong.
    """

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.problems: tuple[Problem, ...] = tuple(problems) or (Problem(message),)


class UnsupportedParameterError(InvalidDefinitionError, TypeError):
    """A parameter was given that this release does not know yet.

    Attributes:
        parameter: The name of the parameter.
    """

    def __init__(self, message: str, parameter: str) -> None:
        super().__init__(message)
        self.parameter = parameter


class InvalidConfigError(Error):
    """Run configuration does not fit what it configures.

    Attributes:
        path: Where in the run configuration, outermost first.
        value: The value that does not fit.
    """

    def __init__(self, message: str, path: Sequence[str] = (), value: Any = None) -> None:
        super().__init__(message)
        self.path: tuple[str, ...] = tuple(path)
        self.value = value


class InvalidInvocationError(Error):
    """A definition was called directly with arguments that it cannot take."""


class InvalidSubsetError(Error):
    """A selection names something that is not there."""


class InvariantViolationError(Error):
    """User code returned or did something that contradicts its definition."""


class StepOutputNotFoundError(InvariantViolationError):
    """A step ended without an output that it has to give.

    Attributes:
        step_key: The step.
        output_name: The output.
    """

    def __init__(self, message: str, step_key: str, output_name: str) -> None:
        super().__init__(message)
        self.step_key = step_key
        self.output_name = output_name


class UnknownResourceError(Error, AttributeError):
    """A resource was asked for that nobody provides.

    Attributes:
        resource_key: The key of the resource.
    """

    def __init__(self, message: str, resource_key: str) -> None:
        super().__init__(message)
        self.resource_key = resource_key


class RunNotFoundError(Error):
    """There is no such run.

    Attributes:
        run_id: The run.
    """

    def __init__(self, message: str, run_id: str) -> None:
        super().__init__(message)
        self.run_id = run_id


class UserCodeExecutionError(Error):
    """User code raised. The exception of the user is the `__cause__`."""

    @property
    def user_exception(self) -> BaseException | None:
        """The exception that user code raised."""
        return self.__cause__


class ExecutionStepExecutionError(UserCodeExecutionError):
    """User code raised in a step of a run.

    Attributes:
        step_key: The step.
    """

    def __init__(self, message: str, step_key: str) -> None:
        super().__init__(message)
        self.step_key = step_key


class StoredValueError(Error):
    """The value of an asset cannot be stored or loaded.

    Attributes:
        asset_key: The asset, as users write it.
    """

    def __init__(self, message: str, asset_key: str) -> None:
        super().__init__(message)
        self.asset_key = asset_key


class ValueNotFoundError(StoredValueError):
    """No value of the asset is stored."""


class ForeignValueError(StoredValueError):
    """The value was pickled by another location, and foreign bytes are never unpickled.

    Attributes:
        location_name: The location that wrote the value.
    """

    def __init__(self, message: str, asset_key: str, location_name: str) -> None:
        super().__init__(message, asset_key)
        self.location_name = location_name


class InstanceUnavailableError(Error):
    """The instance did not answer a question of user code.

    Attributes:
        reason: The cause in UPPER_SNAKE_CASE.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason
