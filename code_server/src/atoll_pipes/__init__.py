"""The side of a program that an orchestrated asset runs: reads its context, reports as it goes.

Called by users in programs of any environment: this one file needs Python 3.8 and nothing else, and
may be copied. `open_pipes()` reads what the orchestration handed over and gives a `PipesContext`,
which logs and reports materializations and checks; started by hand, the same program runs and
reports to nobody. The protocol is written down in docs/reference/pipes.md, so that programs in
other languages can speak it. Nothing of `atoll` may come in here.
"""

from __future__ import annotations

import abc
import argparse
import base64
import contextlib
import importlib
import io
import json
import logging
import os
import sys
import threading
import traceback
import warnings
import zlib
from typing import (
    IO,
    Any,
    Callable,
    ClassVar,
    ContextManager,
    Generator,
    Mapping,
    Sequence,
    TextIO,
    TypedDict,
    TypeVar,
)

PIPES_PROTOCOL_VERSION = "1.0"
PIPES_PROTOCOL_VERSION_FIELD = "__atoll_pipes_version"
PIPES_CONTEXT_ENV_VAR = "ATOLL_PIPES_CONTEXT"
PIPES_MESSAGES_ENV_VAR = "ATOLL_PIPES_MESSAGES"
PIPES_CONTEXT_CLI_ARGUMENT = "--atoll-pipes-context"
PIPES_MESSAGES_CLI_ARGUMENT = "--atoll-pipes-messages"
PIPES_METADATA_TYPE_INFER = "__infer__"
PIPES_METADATA_TYPES = frozenset(
    {
        *("asset", "bool", "float", "int", "job", "json", "md", "notebook", "null", "path", "run"),
        *("table", "table_column_lineage", "table_schema", "text", "timestamp", "url"),
        PIPES_METADATA_TYPE_INFER,
    }
)
_SEVERITIES = ("WARN", "ERROR")
PIPES_CAUSES_MAX = 20
_JOIN_TIMEOUT_S = 10.0

PipesParams = Mapping[str, Any]
PipesExtras = Mapping[str, Any]
_T = TypeVar("_T")


class PipesError(Exception):
    """What was asked of a pipes context is not there or not possible."""


class PipesWarning(Warning):
    """The program runs, but not quite as it was meant to."""


class PipesMessage(TypedDict):
    """One line to the orchestration; the version has the key `__atoll_pipes_version`."""

    method: str
    params: Mapping[str, Any] | None


class PipesOpenedData(TypedDict):
    """What a message writer tells of itself in the first message."""

    extras: PipesExtras


class PipesDataProvenance(TypedDict):
    """Of which code and which inputs the newest materialization of an asset was made."""

    code_version: str
    input_data_versions: Mapping[str, str]
    is_user_provided: bool


class PipesPartitionKeyRange(TypedDict):
    """The first and the last partition of a range."""

    start: str
    end: str


class PipesTimeWindow(TypedDict):
    """A span of time, both ends in ISO 8601; the end is not part of it."""

    start: str
    end: str


class PipesContextData(TypedDict):
    """What the orchestration hands over. Asset keys are written with slashes between the parts."""

    asset_keys: Sequence[str] | None
    code_version_by_asset_key: Mapping[str, str | None] | None
    provenance_by_asset_key: Mapping[str, PipesDataProvenance | None] | None
    partition_key: str | None
    partition_key_range: PipesPartitionKeyRange | None
    partition_time_window: PipesTimeWindow | None
    run_id: str
    job_name: str | None
    retry_number: int
    extras: PipesExtras


class PipesException(TypedDict):
    """An exception as data, as the last message carries it."""

    message: str
    stack: Sequence[str]
    name: str | None
    cause: PipesException | None  # type: ignore[misc, unused-ignore]
    context: PipesException | None  # type: ignore[misc, unused-ignore]


class PipesMetadataValue(TypedDict):
    """A metadata value that says its type, one of `PIPES_METADATA_TYPES`."""

    raw_value: Any
    type: str


def encode_param(value: Any) -> str:
    """Encode a value as text for an environment variable: base64 of zlib of JSON."""
    return base64.b64encode(zlib.compress(json.dumps(value).encode("utf-8"))).decode("ascii")


def decode_param(value: str) -> Any:
    """Decode what `encode_param` made; plain JSON, which people write by hand, is read as well."""
    if value.lstrip().startswith("{"):
        return json.loads(value)
    return json.loads(zlib.decompress(base64.b64decode(value)).decode("utf-8"))


encode_env_var = encode_param
decode_env_var = decode_param


class PipesParamsLoader(abc.ABC):
    """Finds the parameters with which the program was started."""

    @abc.abstractmethod
    def is_pipes_process(self) -> bool:
        """Tell whether the program was started by an orchestration."""

    @abc.abstractmethod
    def load_context_params(self) -> PipesParams:
        """Return the parameters that lead to the context."""

    @abc.abstractmethod
    def load_messages_params(self) -> PipesParams:
        """Return the parameters that say where messages go."""


class PipesMappingParamsLoader(PipesParamsLoader):
    """Finds the parameters in a mapping under the names of the environment variables."""

    def __init__(self, mapping: Mapping[str, str]) -> None:
        self._mapping = mapping

    def is_pipes_process(self) -> bool:
        """Tell whether the mapping holds the parameters of the context."""
        return bool(self._mapping.get(PIPES_CONTEXT_ENV_VAR))

    def load_context_params(self) -> PipesParams:
        """Return the parameters that lead to the context."""
        return self._load(PIPES_CONTEXT_ENV_VAR)

    def load_messages_params(self) -> PipesParams:
        """Return the parameters that say where messages go."""
        return self._load(PIPES_MESSAGES_ENV_VAR)

    def _load(self, name: str) -> PipesParams:
        try:
            params: PipesParams = decode_param(self._mapping[name])
        except KeyError:
            raise PipesError(
                f"{name} is not set. Hand on both variables that the orchestration set: "
                f"{PIPES_CONTEXT_ENV_VAR} and {PIPES_MESSAGES_ENV_VAR}."
            ) from None
        except (ValueError, zlib.error) as error:
            raise PipesError(
                f"{name} cannot be decoded ({error}). Hand it on as the orchestration set it."
            ) from error
        return params


class PipesEnvVarParamsLoader(PipesMappingParamsLoader):
    """Finds the parameters in the environment variables of the process."""

    def __init__(self) -> None:
        super().__init__(os.environ)


class PipesCliArgsParamsLoader(PipesMappingParamsLoader):
    """Finds the parameters in `--atoll-pipes-context` and `--atoll-pipes-messages`."""

    def __init__(self, argv: Sequence[str] | None = None) -> None:
        parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        parser.add_argument(PIPES_CONTEXT_CLI_ARGUMENT, dest=PIPES_CONTEXT_ENV_VAR)
        parser.add_argument(PIPES_MESSAGES_CLI_ARGUMENT, dest=PIPES_MESSAGES_ENV_VAR)
        known, _ = parser.parse_known_args(argv)
        super().__init__({name: value for name, value in vars(known).items() if value is not None})


class PipesContextLoader(abc.ABC):
    """Fetches the context from where its parameters lead."""

    @abc.abstractmethod
    def load_context(self, params: PipesParams) -> ContextManager[PipesContextData]:
        """Return a context manager that gives the data of the context."""


class PipesDefaultContextLoader(PipesContextLoader):
    """Takes the context from the parameters themselves (`data`) or from a file (`path`)."""

    @contextlib.contextmanager
    def load_context(self, params: PipesParams) -> Generator[PipesContextData, None, None]:
        """Give the data of the context."""
        if "data" in params:
            yield params["data"]
        elif "path" in params:
            with open(params["path"], encoding="utf-8") as file:  # noqa: PTH123 - one import less
                data = json.load(file)
            yield data
        else:
            raise PipesError(
                f"The parameters of the context hold neither 'data' nor 'path', but "
                f"{sorted(params)}. Give open_pipes the context_loader that fits the injector."
            )


class PipesMessageWriterChannel(abc.ABC):
    """Where messages go."""

    @abc.abstractmethod
    def write_message(self, message: Mapping[str, Any]) -> None:
        """Write one message; several threads may call."""


class PipesFileMessageWriterChannel(PipesMessageWriterChannel):
    """Appends each message to a file or a named pipe at once, one line each."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._lock = threading.Lock()

    def write_message(self, message: Mapping[str, Any]) -> None:
        """Write one message."""
        left = memoryview(_line(message).encode("utf-8"))
        with self._lock:
            while left:
                left = left[os.write(self._descriptor, left) :]

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class PipesStreamMessageWriterChannel(PipesMessageWriterChannel):
    """Writes each message to a text stream at once, one line each."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def write_message(self, message: Mapping[str, Any]) -> None:
        """Write one message."""
        with self._lock:
            self._stream.write(_line(message))
            self._stream.flush()


class PipesBufferedStreamMessageWriterChannel(PipesMessageWriterChannel):
    """Keeps messages and writes them to a text stream when flushed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines: list[str] = []

    def write_message(self, message: Mapping[str, Any]) -> None:
        """Keep one message."""
        self._lines.append(_line(message))

    def flush(self) -> None:
        """Write what was kept."""
        lines, self._lines = self._lines, []
        self._stream.writelines(lines)
        self._stream.flush()


class PipesMessageWriter(abc.ABC):
    """Opens the channel on which messages go."""

    @abc.abstractmethod
    def open(self, params: PipesParams) -> ContextManager[PipesMessageWriterChannel]:
        """Return a context manager that gives the channel, and closes it at the end."""

    def capture_output(
        self, params: PipesParams, channel: PipesMessageWriterChannel
    ) -> ContextManager[None]:
        """Return a context manager that sends what the process prints, where that is wanted."""
        del params, channel
        return contextlib.nullcontext()

    def get_opened_extras(self) -> PipesExtras:
        """Return what the first message is to tell of this writer."""
        return {}

    def get_opened_payload(self) -> PipesOpenedData:
        """Return the parameters of the first message."""
        return {"extras": self.get_opened_extras()}


class PipesDefaultMessageWriter(PipesMessageWriter):
    """Writes where the parameters say: a file or named pipe (`path`), or standard output or error.

    `stdio` names the stream to which each message goes at once, `buffered_stdio` the one to which
    all go at the end. With `include_stdio_in_messages`, what the process writes to its standard
    streams becomes messages as well.
    """

    @contextlib.contextmanager
    def open(self, params: PipesParams) -> Generator[PipesMessageWriterChannel, None, None]:
        """Give the channel."""
        if "path" in params:
            file = PipesFileMessageWriterChannel(params["path"])
            try:
                yield file
            finally:
                file.close()
        elif "stdio" in params:
            yield PipesStreamMessageWriterChannel(_stream(params["stdio"]))
        elif "buffered_stdio" in params:
            buffered = PipesBufferedStreamMessageWriterChannel(_stream(params["buffered_stdio"]))
            try:
                yield buffered
            finally:
                buffered.flush()
        else:
            raise PipesError(
                "The parameters of the messages hold none of 'path', 'stdio' and 'buffered_stdio', "
                f"but {sorted(params)}. Give open_pipes the message_writer that fits the reader."
            )

    def capture_output(
        self, params: PipesParams, channel: PipesMessageWriterChannel
    ) -> ContextManager[None]:
        """Return a context manager that sends what the process prints, where that is wanted."""
        # Where messages go to a standard stream themselves, they must not come back.
        if params.get("include_stdio_in_messages") and "path" in params:
            return _captured_stdio(channel)
        return contextlib.nullcontext()


class PipesBlobStoreMessageWriterChannel(PipesMessageWriterChannel):
    """Keeps messages and uploads them in numbered chunks, at intervals and at the end."""

    def __init__(self, *, interval: float = 10) -> None:
        self._interval = interval
        self._lock = threading.Lock()
        self._kept: list[Mapping[str, Any]] = []
        self._index = 1

    @abc.abstractmethod
    def upload_messages_chunk(self, payload: IO[str], index: int) -> None:
        """Upload lines of messages as the chunk of this number, from 1."""

    def write_message(self, message: Mapping[str, Any]) -> None:
        """Keep one message."""
        with self._lock:
            self._kept.append(message)

    def flush_messages(self) -> Sequence[Mapping[str, Any]]:
        """Return the messages that were kept, and forget them."""
        with self._lock:
            kept, self._kept = self._kept, []
        return kept

    @contextlib.contextmanager
    def buffered_upload_loop(self) -> Generator[None, None, None]:
        """Upload at intervals while the context lasts, and what is left when it ends."""
        ended = threading.Event()
        thread = threading.Thread(target=self._upload_until, args=(ended,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self._upload()

    def _upload_until(self, ended: threading.Event) -> None:
        while not ended.wait(self._interval):
            self._upload()

    def _upload(self) -> None:
        messages = self.flush_messages()
        if messages:
            self.upload_messages_chunk(io.StringIO("".join(map(_line, messages))), self._index)
            self._index += 1


class PipesBlobStoreMessageWriter(PipesMessageWriter):
    """Uploads messages in chunks; `make_channel` says where to."""

    def __init__(self, *, interval: float = 10) -> None:
        self.interval = interval

    @abc.abstractmethod
    def make_channel(self, params: PipesParams) -> PipesBlobStoreMessageWriterChannel:
        """Return the channel."""

    @contextlib.contextmanager
    def open(self, params: PipesParams) -> Generator[PipesMessageWriterChannel, None, None]:
        """Give the channel."""
        channel = self.make_channel(params)
        with channel.buffered_upload_loop():
            yield channel


class PipesContext:
    """What the program knows of the run that started it, and how it reports to it.

    Made by `open_pipes`; `PipesContext.get()` returns it anywhere in the program.
    """

    _current: ClassVar[PipesContext | None] = None

    def __init__(
        self,
        params_loader: PipesParamsLoader,
        context_loader: PipesContextLoader,
        message_writer: PipesMessageWriter,
    ) -> None:
        self._closed = False
        self._materialized: set[str] = set()
        with contextlib.ExitStack() as stack:
            loaded = context_loader.load_context(params_loader.load_context_params())
            self._data = stack.enter_context(loaded)
            messages_params = params_loader.load_messages_params()
            self._channel = stack.enter_context(message_writer.open(messages_params))
            self._write("opened", message_writer.get_opened_payload())
            self._output = contextlib.ExitStack()
            captured = message_writer.capture_output(messages_params, self._channel)
            self._output.enter_context(captured)
            self._stack = stack.pop_all()
        self._log = logging.Logger("atoll_pipes", logging.DEBUG)  # noqa: LOG001 - apart from the tree
        self._log.addHandler(_ReportingHandler(self._write))

    @classmethod
    def is_initialized(cls) -> bool:
        """Tell whether there is a context."""
        return cls._current is not None

    @classmethod
    def set(cls, context: PipesContext) -> None:
        """Let `get` return this context."""
        cls._current = context

    @classmethod
    def get(cls) -> PipesContext:
        """Return the context that `open_pipes` made."""
        if cls._current is None:
            raise PipesError("There is no pipes context yet. Call open_pipes() first.")
        return cls._current

    def __enter__(self) -> PipesContext:  # noqa: PYI034 - Self needs a newer Python
        return self

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        self.close(error)

    def close(self, exc: BaseException | None = None) -> None:
        """Send the last message, with the exception that ended the program, and close the channel.

        Args:
            exc: The exception; an exit with status 0 is none.
        """
        if self._closed:
            return
        self._output.close()
        self._closed = True
        failed = exc is not None and not (isinstance(exc, SystemExit) and not exc.code)
        described = _described(exc) if exc is not None and failed else None
        try:
            self._write("closed", {"exception": described} if described else {})
        finally:
            self._stack.close()

    @property
    def is_closed(self) -> bool:
        """Whether the context was closed."""
        return self._closed

    @property
    def is_asset_step(self) -> bool:
        """Whether the program is to materialize assets."""
        return self._data["asset_keys"] is not None

    @property
    def asset_key(self) -> str:
        """The asset, where there is one."""
        asset_keys = self.asset_keys
        if len(asset_keys) != 1:
            raise PipesError(
                f"This step has {len(asset_keys)} assets ({', '.join(asset_keys)}), not one. Name "
                "the one that is meant, or use what is given by asset key."
            )
        return asset_keys[0]

    @property
    def asset_keys(self) -> Sequence[str]:
        """The assets."""
        return _there(self._data["asset_keys"], "assets")

    @property
    def provenance(self) -> PipesDataProvenance | None:
        """Of what the newest materialization of the one asset was made; None where unknown."""
        return self.provenance_by_asset_key.get(self.asset_key)

    @property
    def provenance_by_asset_key(self) -> Mapping[str, PipesDataProvenance | None]:
        """Of what the newest materialization of each asset was made."""
        return _there(self._data["provenance_by_asset_key"], "assets")

    @property
    def code_version(self) -> str | None:
        """The code version of the one asset; None where it has none."""
        return self.code_version_by_asset_key.get(self.asset_key)

    @property
    def code_version_by_asset_key(self) -> Mapping[str, str | None]:
        """The code version of each asset."""
        return _there(self._data["code_version_by_asset_key"], "assets")

    @property
    def is_partition_step(self) -> bool:
        """Whether the step is for partitions."""
        return self._data["partition_key_range"] is not None

    @property
    def partition_key(self) -> str:
        """The partition, where there is one."""
        return _there(self._data["partition_key"], "single partition")

    @property
    def partition_key_range(self) -> PipesPartitionKeyRange:
        """The first and the last partition."""
        return _there(self._data["partition_key_range"], "partitions")

    @property
    def partition_time_window(self) -> PipesTimeWindow | None:
        """The time that the partitions cover; None where they are not of time."""
        self.partition_key_range  # noqa: B018 - refuses a step without partitions
        return self._data["partition_time_window"]

    @property
    def run_id(self) -> str:
        """The run."""
        return self._data["run_id"]

    @property
    def job_name(self) -> str | None:
        """The job of the run."""
        return self._data["job_name"]

    @property
    def retry_number(self) -> int:
        """How often the step was tried before."""
        return self._data["retry_number"]

    @property
    def extras(self) -> PipesExtras:
        """What the asset gave along."""
        return self._data["extras"]

    def get_extra(self, key: str) -> Any:
        """Return one of the extras.

        Args:
            key: Its name.
        """
        if key not in self.extras:
            raise PipesError(
                f"There is no extra {key!r}; there are {sorted(self.extras)}. Give it where the "
                "program is run: run(..., extras={...})."
            )
        return self.extras[key]

    @property
    def log(self) -> logging.Logger:
        """A logger whose messages go to the log of the run."""
        return self._log

    def report_asset_materialization(
        self,
        metadata: Mapping[str, Any] | None = None,
        data_version: str | None = None,
        asset_key: str | None = None,
    ) -> None:
        """Report that an asset was materialized, once for each asset.

        Args:
            metadata: Names to plain values, or to `{"raw_value": ..., "type": "md"}`.
            data_version: The version of the data, such as a digest.
            asset_key: The asset, where there are several.
        """
        key = self._asset_key(asset_key)
        if key in self._materialized:
            raise PipesError(f"The materialization of {key!r} was reported before. Report it once.")
        self._materialized.add(key)
        params = {
            "asset_key": key,
            "data_version": _typed("data_version", data_version, (str, type(None))),
            "metadata": _metadata(metadata),
        }
        self._write("report_asset_materialization", params)

    def report_asset_check(
        self,
        check_name: str,
        passed: bool,  # noqa: FBT001 - the field's signature
        severity: str = "ERROR",
        metadata: Mapping[str, Any] | None = None,
        asset_key: str | None = None,
    ) -> None:
        """Report what a check found.

        Args:
            check_name: The check.
            passed: Whether the asset is as it should be.
            severity: "ERROR" or "WARN".
            metadata: Names to plain values, or to `{"raw_value": ..., "type": "md"}`.
            asset_key: The asset, where there are several.
        """
        if severity not in _SEVERITIES:
            raise PipesError(f"severity is one of {_SEVERITIES}, got {severity!r}.")
        params = {
            "asset_key": self._asset_key(asset_key),
            "check_name": _typed("check_name", check_name, (str,)),
            "passed": _typed("passed", passed, (bool,)),
            "severity": severity,
            "metadata": _metadata(metadata),
        }
        self._write("report_asset_check", params)

    def report_custom_message(self, payload: Any) -> None:
        """Send anything that JSON can hold to the asset that runs the program."""
        self._write("report_custom_message", {"payload": payload})

    def log_external_stream(
        self, stream: str, text: str, extras: PipesExtras | None = None
    ) -> None:
        """Send text of "stdout" or "stderr" to the same stream of the orchestration."""
        self._write("log_external_stream", {"stream": stream, "text": text, "extras": extras or {}})

    def _asset_key(self, given: str | None) -> str:
        if given is None:
            return self.asset_key
        known = self._data["asset_keys"]
        if known is not None and given not in known:
            raise PipesError(f"{given!r} is none of the assets of this step: {', '.join(known)}.")
        return given

    def _write(self, method: str, params: Mapping[str, Any] | None) -> None:
        if self._closed and method != "closed":
            raise PipesError(f"The pipes context is closed: {method} comes too late.")
        version = {PIPES_PROTOCOL_VERSION_FIELD: PIPES_PROTOCOL_VERSION}
        self._channel.write_message({**version, "method": method, "params": params})


def open_pipes(
    *,
    context_loader: PipesContextLoader | None = None,
    message_writer: PipesMessageWriter | None = None,
    params_loader: PipesParamsLoader | None = None,
) -> PipesContext:
    """Connect to the orchestration that started this program; use it as a context manager.

    Args:
        context_loader: Fetches the context; from the parameters or a file where not given.
        message_writer: Says where messages go; where the parameters say, if not given.
        params_loader: Finds the parameters; in environment variables where not given.

    Returns:
        The context. Without an orchestration, one that does nothing.
    """
    if PipesContext.is_initialized() and not PipesContext.get().is_closed:
        return PipesContext.get()
    loader = params_loader or PipesEnvVarParamsLoader()
    if loader.is_pipes_process():
        context = PipesContext(
            loader,
            context_loader or PipesDefaultContextLoader(),
            message_writer or PipesDefaultMessageWriter(),
        )
    else:
        warnings.warn(
            "No orchestration started this program: the pipes context does nothing, and what is "
            "asked of it is a stand-in.",
            PipesWarning,
            stacklevel=2,
        )
        context = _stand_in()
    PipesContext.set(context)
    return context


def _stand_in() -> PipesContext:
    # Imported here, since mocks bring asyncio along and a program that reports needs neither.
    context: Any = importlib.import_module("unittest.mock").MagicMock(spec=PipesContext)
    context.__enter__.return_value = context
    context.__exit__.return_value = None
    context.is_closed = False
    context.log = logging.getLogger("atoll_pipes")
    return context  # type: ignore[no-any-return]


class _ReportingHandler(logging.Handler):
    """Turns log records into messages."""

    def __init__(self, write: Callable[[str, Mapping[str, Any]], None]) -> None:
        super().__init__()
        self._write_message = write

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record, with its traceback where it has one."""
        self._write_message("log", {"message": self.format(record), "level": record.levelname})


def _line(message: Mapping[str, Any]) -> str:
    try:
        return json.dumps(message) + "\n"
    except (TypeError, ValueError) as error:
        raise PipesError(
            f"The parameters of {message['method']} hold what JSON cannot ({error}). Convert it to "
            "strings, numbers, lists and dicts first."
        ) from error


def _stream(name: str) -> TextIO:
    if name not in ("stdout", "stderr"):
        raise PipesError(f"Messages can go to 'stdout' or 'stderr', not to {name!r}.")
    return sys.stdout if name == "stdout" else sys.stderr


def _there(value: _T | None, what: str) -> _T:
    if value is None:
        raise PipesError(f"This step has no {what}, so the context cannot tell of any.")
    return value


def _typed(name: str, value: _T, kinds: tuple[type[Any], ...]) -> _T:
    if not isinstance(value, kinds):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise PipesError(f"{name} is a {wanted}, got {value!r} of type {type(value).__name__}.")
    return value


def _metadata(raw: Mapping[str, Any] | None) -> dict[str, PipesMetadataValue]:
    return {
        _typed("a metadata name", name, (str,)): _metadata_value(name, value)
        for name, value in (raw or {}).items()
    }


def _metadata_value(name: str, value: Any) -> PipesMetadataValue:
    if not _says_its_type(value):
        return {"raw_value": value, "type": PIPES_METADATA_TYPE_INFER}
    if value["type"] not in PIPES_METADATA_TYPES:
        raise PipesError(
            f"The metadata entry {name!r} has the type {value['type']!r}, which is none of "
            f"{', '.join(sorted(PIPES_METADATA_TYPES))}."
        )
    return {"raw_value": value["raw_value"], "type": value["type"]}


def _says_its_type(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"raw_value", "type"}


def _described(error: BaseException | None, depth: int = 0) -> PipesException | None:
    if error is None or depth == PIPES_CAUSES_MAX:
        return None
    shown = traceback.TracebackException(type(error), error, error.__traceback__)
    context = None if error.__suppress_context__ else error.__context__
    return {
        "message": "".join(shown.format_exception_only()).rstrip("\n"),
        "stack": shown.stack.format(),
        "name": type(error).__name__,
        "cause": _described(error.__cause__, depth + 1),
        "context": _described(context, depth + 1) if error.__cause__ is None else None,
    }


@contextlib.contextmanager
def _captured_stdio(channel: PipesMessageWriterChannel) -> Generator[None, None, None]:
    with contextlib.ExitStack() as stack:
        for descriptor, stream in ((1, "stdout"), (2, "stderr")):
            stack.enter_context(_captured(descriptor, stream, channel))
        yield


@contextlib.contextmanager
def _captured(
    descriptor: int, stream: str, channel: PipesMessageWriterChannel
) -> Generator[None, None, None]:
    """Point a standard stream at a pipe for a while, and send as messages what arrives there."""
    _stream(stream).flush()
    kept, (reading, writing) = os.dup(descriptor), os.pipe()
    os.dup2(writing, descriptor)
    os.close(writing)

    def forward() -> None:
        with open(reading, encoding="utf-8", errors="replace") as lines:  # noqa: PTH123 - a descriptor
            for text in lines:
                version = {PIPES_PROTOCOL_VERSION_FIELD: PIPES_PROTOCOL_VERSION}
                params: PipesParams = {"stream": stream, "text": text, "extras": {}}
                message = {**version, "method": "log_external_stream", "params": params}
                try:
                    channel.write_message(message)
                except OSError:
                    # Nobody listens any more; the program must not be held up for that.
                    os.write(kept, text.encode("utf-8"))

    thread = threading.Thread(target=forward, daemon=True)
    thread.start()
    try:
        yield
    finally:
        _stream(stream).flush()
        os.dup2(kept, descriptor)
        # A process that the program left behind may hold the stream open for ever.
        thread.join(_JOIN_TIMEOUT_S)
        if not thread.is_alive():
            os.close(kept)
