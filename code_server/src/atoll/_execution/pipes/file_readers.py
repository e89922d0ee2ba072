"""Readers of messages that arrive in this machine's file system: in a named pipe or in a file.

Called by `session`. A named pipe tells at once that something arrived, holds back a program that
writes faster than its messages can be taken, and keeps nothing on a disk; a file serves where the
program can only reach a shared folder.
"""

import contextlib
import os
import pathlib
import sys
import tempfile
import threading
from collections.abc import Generator

import atoll_pipes
from atoll._execution.pipes import lines, messages, pumps

_LOOK_EVERY_S = 0.1
_PIECE_BYTES = 256 * 1024
_JOIN_TIMEOUT_S = 60.0


class PipesFifoMessageReader(messages.PipesMessageReader):
    """Reads messages from a named pipe that only this user can open, the moment they arrive.

    Args:
        include_stdio_in_messages: Whether the program is to send what it prints as messages, too.
    """

    def __init__(self, *, include_stdio_in_messages: bool = False) -> None:
        self._include_stdio = include_stdio_in_messages

    @contextlib.contextmanager
    def read_messages(
        self, handler: messages.PipesMessageHandler
    ) -> Generator[atoll_pipes.PipesParams]:
        """Read while the context lasts."""
        cutter = lines.LineCutter(handler.handle_line)
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="atoll-pipes-"))
            path = pathlib.Path(folder) / "messages"
            os.mkfifo(path, 0o600)
            reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                # With a writer of our own, the pipe does not end whenever a program closes it.
                stack.callback(os.close, os.open(path, os.O_WRONLY | os.O_CLOEXEC))
            except BaseException:
                os.close(reading)
                raise
            pump = pumps.DescriptorPump(reading, cutter.feed, "atoll-pipes-messages")
            try:
                yield {"path": str(path), "include_stdio_in_messages": self._include_stdio}
            except BaseException:
                pump.finish()
                raise
            problem = pump.finish()
            if problem is not None:
                raise problem
            cutter.close()

    def no_messages_debug_text(self) -> str:
        """Return what to check when no message arrives."""
        return (
            "Messages were expected in a named pipe of this machine, named by "
            f"{atoll_pipes.PIPES_MESSAGES_ENV_VAR}. A program on another machine or in a container "
            "without that folder cannot reach it."
        )


class PipesFileMessageReader(messages.PipesMessageReader):
    """Reads messages from a file as it grows.

    Args:
        path: The file; it is emptied at the start.
        include_stdio_in_messages: Whether the program is to send what it prints as messages, too.
        cleanup_file: Whether the file is removed at the end.
    """

    def __init__(
        self,
        path: "str | os.PathLike[str]",
        include_stdio_in_messages: bool = False,  # noqa: FBT001, FBT002 - the field's signature
        cleanup_file: bool = True,  # noqa: FBT001, FBT002 - the field's signature
    ) -> None:
        self._path = pathlib.Path(path)
        self._include_stdio = include_stdio_in_messages
        self._cleanup_file = cleanup_file

    @contextlib.contextmanager
    def read_messages(
        self, handler: messages.PipesMessageHandler
    ) -> Generator[atoll_pipes.PipesParams]:
        """Read while the context lasts."""
        self._path.write_bytes(b"")
        follower = _FileFollower(self._path, handler)
        try:
            yield {"path": str(self._path), "include_stdio_in_messages": self._include_stdio}
        finally:
            follower.finish()
            if self._cleanup_file:
                self._path.unlink(missing_ok=True)

    def no_messages_debug_text(self) -> str:
        """Return what to check when no message arrives."""
        return (
            f"Messages were expected in the file {self._path}, named by "
            f"{atoll_pipes.PIPES_MESSAGES_ENV_VAR}. The program must be able to write there."
        )


class PipesTempFileMessageReader(messages.PipesMessageReader):
    """Reads messages from a file that only this user can open, as it grows.

    Args:
        include_stdio_in_messages: Whether the program is to send what it prints as messages, too.
    """

    def __init__(
        self,
        include_stdio_in_messages: bool = False,  # noqa: FBT001, FBT002 - the field's signature
    ) -> None:
        self._include_stdio = include_stdio_in_messages

    @contextlib.contextmanager
    def read_messages(
        self, handler: messages.PipesMessageHandler
    ) -> Generator[atoll_pipes.PipesParams]:
        """Read while the context lasts."""
        with tempfile.TemporaryDirectory(prefix="atoll-pipes-") as folder:
            path = pathlib.Path(folder) / "messages"
            inner = PipesFileMessageReader(path, self._include_stdio)
            with inner.read_messages(handler) as params:
                yield params

    def no_messages_debug_text(self) -> str:
        """Return what to check when no message arrives."""
        return (
            "Messages were expected in a file of this machine, named by "
            f"{atoll_pipes.PIPES_MESSAGES_ENV_VAR}. The program must be able to write there."
        )


class _FileFollower:
    """Follows a file in a thread of its own. A file does not tell that it grew: it is looked at."""

    def __init__(self, path: pathlib.Path, handler: messages.PipesMessageHandler) -> None:
        self._path = path
        self._handler = handler
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="atoll-pipes-file", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Take what is there and end."""
        self._ended.set()
        self._thread.join(_JOIN_TIMEOUT_S)

    def _run(self) -> None:
        try:
            self._follow()
        except Exception:  # noqa: BLE001 - the boundary of the thread: told in the log of the step
            self._handler.report_pipes_framework_exception(
                f"Reading messages from {self._path}", sys.exc_info()
            )

    def _follow(self) -> None:
        cutter = lines.LineCutter(self._handler.handle_line)
        with self._path.open("rb", buffering=0) as file:
            ending = False
            while not ending:
                # Looked at once more after the end: what came meanwhile is taken.
                ending = self._ended.wait(_LOOK_EVERY_S)
                while piece := file.read(_PIECE_BYTES):
                    cutter.feed(piece)
        cutter.close()
