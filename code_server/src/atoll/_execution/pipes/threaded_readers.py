"""Readers of messages that have to be fetched: from blob stores and from whatever users can reach.

Called by `session`; users subclass `PipesBlobStoreMessageReader`, or `PipesThreadedMessageReader`
where messages are not kept in numbered chunks. Fetching happens in one thread, at intervals.
"""

import abc
import contextlib
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager

import atoll_pipes
from atoll._execution.pipes import lines, messages

_JOIN_TIMEOUT_S = 60.0


class PipesLogReader(abc.ABC):
    """Brings what a program printed, from where the system that runs it keeps it."""

    @abc.abstractmethod
    def start(self, params: atoll_pipes.PipesParams, is_session_closed: threading.Event) -> None:
        """Begin to read, in a thread of its own, until the session is closed."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Read what is left and end."""

    @abc.abstractmethod
    def is_running(self) -> bool:
        """Tell whether it reads."""

    @abc.abstractmethod
    def target_is_readable(self, params: atoll_pipes.PipesParams) -> bool:
        """Tell whether there is something to read yet."""

    @property
    def name(self) -> str:
        """What people call it."""
        return type(self).__name__

    @property
    def debug_info(self) -> str | None:
        """Where it reads, for messages; None where there is nothing to tell."""
        return None

    def with_debug_info(self, message: str) -> str:
        """Return a message with where this reads."""
        return message if self.debug_info is None else f"{message} ({self.debug_info})"


class PipesThreadedMessageReader(messages.PipesMessageReader):
    """Fetches messages at intervals in a thread of its own.

    Args:
        interval: How many seconds pass between two looks.
        log_readers: Bring what the program prints.
    """

    def __init__(
        self, interval: float = 10, log_readers: Sequence[PipesLogReader] | None = None
    ) -> None:
        self.interval = interval
        self.log_readers: list[PipesLogReader] = list(log_readers or ())

    @abc.abstractmethod
    def get_params(self) -> AbstractContextManager[atoll_pipes.PipesParams]:
        """Return a context manager that gives the parameters for the program's message writer."""

    @abc.abstractmethod
    def messages_are_readable(self, params: atoll_pipes.PipesParams) -> bool:
        """Tell whether there is something to fetch yet."""

    @abc.abstractmethod
    def download_messages(
        self, cursor: int | None, params: atoll_pipes.PipesParams
    ) -> tuple[int, str] | None:
        """Fetch the messages after a position.

        Args:
            cursor: What the last call returned, None for the first.
            params: The parameters that `get_params` gave.

        Returns:
            The position behind them and their lines; None where there are no more yet.
        """

    def add_log_reader(self, log_reader: PipesLogReader) -> None:
        """Let one more bring what the program prints; also while the session lasts."""
        self.log_readers.append(log_reader)

    @contextlib.contextmanager
    def read_messages(
        self, handler: messages.PipesMessageHandler
    ) -> Generator[atoll_pipes.PipesParams]:
        """Read while the context lasts."""
        with self.get_params() as params:
            fetching = _Fetching(self, handler, params)
            try:
                yield params
            finally:
                fetching.finish()


class PipesBlobStoreMessageReader(PipesThreadedMessageReader):
    """Fetches messages that the program uploads in numbered chunks, the first of which is 1."""

    @abc.abstractmethod
    def download_messages_chunk(self, index: int, params: atoll_pipes.PipesParams) -> str | None:
        """Fetch a chunk.

        Args:
            index: Its number, from 1.
            params: The parameters that `get_params` gave.

        Returns:
            Its lines; None where it is not there yet.
        """

    def messages_are_readable(self, params: atoll_pipes.PipesParams) -> bool:
        """Tell whether there is something to fetch yet; a missing chunk tells that itself."""
        del params
        return True

    def download_messages(
        self, cursor: int | None, params: atoll_pipes.PipesParams
    ) -> tuple[int, str] | None:
        """Fetch the next chunk."""
        index = 1 if cursor is None else cursor + 1
        chunk = self.download_messages_chunk(index, params)
        return None if chunk is None else (index, chunk)

    def no_messages_debug_text(self) -> str:
        """Return what to check when no message arrives."""
        return (
            f"{type(self).__name__} looked for chunks of messages and found none. The program must "
            "call open_pipes with the message writer that uploads to the same place."
        )


class _Fetching:
    """The thread of a reader, for one session."""

    def __init__(
        self,
        reader: PipesThreadedMessageReader,
        handler: messages.PipesMessageHandler,
        params: atoll_pipes.PipesParams,
    ) -> None:
        self._reader = reader
        self._handler = handler
        self._params = params
        self._cursor: int | None = None
        self._cutter = lines.LineCutter(handler.handle_line)
        self._closed = threading.Event()
        self._started: list[PipesLogReader] = []
        self._thread = threading.Thread(target=self._run, name="atoll-pipes-fetch", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Fetch what is there, end, and let the readers of logs end."""
        self._closed.set()
        self._thread.join(_JOIN_TIMEOUT_S + self._reader.interval)
        for one in self._started:
            if one.is_running():
                one.stop()

    def _run(self) -> None:
        closed = False
        while not closed:
            closed = self._closed.is_set()
            try:
                self._start_log_readers()
                self._fetch()
            except Exception:  # noqa: BLE001 - the boundary to the user's reader: told, and tried again
                self._handler.report_pipes_framework_exception(
                    type(self._reader).__name__, sys.exc_info()
                )
            if not closed:
                self._closed.wait(self._reader.interval)
        self._cutter.close()

    def _start_log_readers(self) -> None:
        for one in tuple(self._reader.log_readers):
            if one not in self._started and one.target_is_readable(self._params):
                one.start(self._params, self._closed)
                self._started.append(one)

    def _fetch(self) -> None:
        if not self._reader.messages_are_readable(self._params):
            return
        while True:
            fetched = self._reader.download_messages(self._cursor, self._params)
            if fetched is None:
                return
            self._cursor, text = fetched
            self._cutter.feed(text.encode("utf-8"))
