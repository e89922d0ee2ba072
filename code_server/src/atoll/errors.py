"""The errors that `atoll` raises.

Called by every layer of the distribution. An error's message says what was wrong, with which value,
and what to do.

```
Error
├── InvalidDefinitionError          a definition cannot be what it says (or several)
│   ├── InvalidConfigDefinitionError  what is given as a config schema is none
│   ├── ModuleImportError           modules that hold definitions cannot be imported
│   └── UnsupportedParameterError   a parameter not known to this release (a TypeError)
├── InvalidConfigError              run configuration does not fit; names the path and the value
├── InvalidInvocationError          a definition was called directly with the wrong arguments
├── InvalidSubsetError              a selection names what is not there
│   └── InvalidAssetSelectionError  a selection cannot be read, or asks for what only others know
├── InvariantViolationError         user code contradicts its definition
│   └── StepOutputNotFoundError     a step gave no output although one is required
├── UnmetExecutorRequirementsError  an executor cannot run the steps of a job
├── AssetCheckFailedError           blocking checks did not pass
├── UnknownPartitionError           a definition has no partition with the key
├── UnknownResourceError            a resource that nobody provides (an AttributeError)
├── RunNotFoundError                there is no such run
├── UserCodeExecutionError          user code raised; its exception is `__cause__`
│   ├── ExecutionStepExecutionError the same, in a step of a run
│   ├── ExecutionLoadInputError     the same, in an IO manager that was to load an input
│   ├── ExecutionHandleOutputError  the same, in an IO manager that was to store an output
│   ├── ConfigMappingFunctionError  the same, in a function that makes config of config
│   ├── ResourceFunctionError       the same, while a resource was made ready
│   └── TypeCheckError              the check of a type raised, or answered neither yes nor no
├── TypeCheckDidNotPass             a value is not of the type that its input or output has
├── StoredValueError                the value of an asset cannot be stored or loaded
│   ├── ValueNotFoundError          no value of the asset is stored
│   └── ForeignValueError           the value can only be read by the location that wrote it
├── PipesExecutionError             an external program could not be started, or failed
└── InstanceUnavailableError        the instance did not answer
```
"""

from collections.abc import Mapping, Sequence
from typing import Any

from atoll import _records as records


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


class InvalidConfigDefinitionError(InvalidDefinitionError):
    """What is given as a config schema, or as a part of one, stands for no config type.

    Attributes:
        current_value: What stands for no config type.
    """

    def __init__(self, message: str, current_value: Any = None) -> None:
        super().__init__(message)
        self.current_value = current_value


class ModuleImportError(InvalidDefinitionError):
    """Modules that hold definitions cannot be imported. What the first raised is the `__cause__`.

    Attributes:
        failures: What each of the modules raised, with its traceback, by the name of the module.
    """

    def __init__(
        self, message: str, problems: Sequence[Problem], failures: Mapping[str, Exception]
    ) -> None:
        super().__init__(message, problems)
        self.failures = dict(failures)


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


class InvalidAssetSelectionError(InvalidSubsetError):
    """A selection of assets cannot be read, or asks for what cannot be told here.

    Attributes:
        text: What was to be read, empty where it could be read.
        column: Where in the text, from 1; 0 where it could be read.
    """

    def __init__(self, message: str, text: str = "", column: int = 0) -> None:
        super().__init__(message)
        self.text = text
        self.column = column


class InvariantViolationError(Error):
    """User code returned or did something that contradicts its definition."""


class AssetCheckFailedError(Error):
    """Blocking checks did not pass, so what is downstream of the asset must not happen.

    Attributes:
        check_keys: The checks, as users write them.
    """

    def __init__(self, message: str, check_keys: Sequence[str]) -> None:
        super().__init__(message)
        self.check_keys: tuple[str, ...] = tuple(check_keys)


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


class UnmetExecutorRequirementsError(Error):
    """The executor of a job cannot run its steps, because values would be lost between them."""


class UnknownPartitionError(Error):
    """A partition was asked for that its definition does not have.

    Attributes:
        partition_keys: The keys that are not there.
    """

    def __init__(self, message: str, partition_keys: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.partition_keys: tuple[str, ...] = tuple(partition_keys)


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


class ConfigMappingFunctionError(UserCodeExecutionError):
    """User code raised in a function that makes config of config."""


class ExecutionStepExecutionError(UserCodeExecutionError):
    """User code raised in a step of a run.

    Attributes:
        step_key: The step.
    """

    def __init__(self, message: str, step_key: str) -> None:
        super().__init__(message)
        self.step_key = step_key


class ExecutionLoadInputError(UserCodeExecutionError):
    """An IO manager or input manager raised while it was to load an input.

    Attributes:
        manager_key: Its resource key.
        input_name: The input; None for a value that user code asked for itself.
    """

    def __init__(self, message: str, manager_key: str, input_name: str | None = None) -> None:
        super().__init__(message)
        self.manager_key = manager_key
        self.input_name = input_name


class ExecutionHandleOutputError(UserCodeExecutionError):
    """An IO manager raised while it was to store an output.

    Attributes:
        manager_key: Its resource key.
        output_name: The output.
    """

    def __init__(self, message: str, manager_key: str, output_name: str) -> None:
        super().__init__(message)
        self.manager_key = manager_key
        self.output_name = output_name


class TypeCheckError(UserCodeExecutionError):
    """The check of a type raised, or its answer was neither a truth value nor a `TypeCheck`."""


class TypeCheckDidNotPass(Error):
    """A value is not of the type that its input or output has.

    Attributes:
        description: What the check said about the value.
        metadata: What the check told beside it, as typed metadata values by name.
        type: The type, as `atoll.Type`.
    """

    def __init__(
        self,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        type: Any = None,  # noqa: A002 - the word of the field
    ) -> None:
        super().__init__(description)
        self.description = description
        self.metadata: dict[str, Any] = dict(metadata or {})
        self.type = type


class ResourceFunctionError(UserCodeExecutionError):
    """User code raised while a resource was made ready.

    Attributes:
        resource_key: The key of the resource.
    """

    def __init__(self, message: str, resource_key: str) -> None:
        super().__init__(message)
        self.resource_key = resource_key


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


class PipesExecutionError(Error):
    """An external program could not be started, or failed.

    Attributes:
        exit_code: Its exit code, negative for a signal; None where it was not started.
        last_lines: The last lines that it wrote to standard error.
        reported_exception: The exception that it reported itself, with its stack.
    """

    def __init__(
        self,
        message: str,
        *,
        exit_code: int | None = None,
        last_lines: Sequence[str] = (),
        reported_exception: str | None = None,
    ) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.last_lines: tuple[str, ...] = tuple(last_lines)
        self.reported_exception = reported_exception


class InstanceUnavailableError(Error):
    """The instance did not answer a question of user code.

    Attributes:
        reason: The cause in UPPER_SNAKE_CASE.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason
