"""The ways by which a program gets its context: in an environment variable or in a file.

Called by `session` through `PipesContextInjector`; users subclass it for what only they can reach.
"""

import abc
import contextlib
import json
import os
import pathlib
import tempfile
from collections.abc import Generator
from contextlib import AbstractContextManager

import atoll_pipes


class PipesContextInjector(abc.ABC):
    """Puts the context where the program finds it while a session lasts."""

    @abc.abstractmethod
    def inject_context(
        self, context_data: atoll_pipes.PipesContextData
    ) -> AbstractContextManager[atoll_pipes.PipesParams]:
        """Return a context manager that keeps the context in place while it lasts.

        It gives the parameters by which the program's context loader finds it.

        Args:
            context_data: The context.
        """

    @abc.abstractmethod
    def no_messages_debug_text(self) -> str:
        """Return how the context was handed over, in a sentence, for when no message arrives."""


class PipesEnvContextInjector(PipesContextInjector):
    """Hands the context over in the environment variable itself: for a few kilobytes."""

    @contextlib.contextmanager
    def inject_context(
        self, context_data: atoll_pipes.PipesContextData
    ) -> Generator[atoll_pipes.PipesParams]:
        """Keep the context in the parameters."""
        yield {"data": context_data}

    def no_messages_debug_text(self) -> str:
        """Return how the context was handed over."""
        return f"The context stood in the environment variable {_VARIABLE}."


class PipesFileContextInjector(PipesContextInjector):
    """Hands the context over in a file of a path that the program can read.

    Args:
        path: The file; it is replaced, and removed at the end.
    """

    def __init__(self, path: "str | os.PathLike[str]") -> None:
        self._path = pathlib.Path(path)

    @contextlib.contextmanager
    def inject_context(
        self, context_data: atoll_pipes.PipesContextData
    ) -> Generator[atoll_pipes.PipesParams]:
        """Keep the context in the file."""
        try:
            self._path.write_text(json.dumps(context_data), encoding="utf-8")
            yield {"path": str(self._path)}
        finally:
            self._path.unlink(missing_ok=True)

    def no_messages_debug_text(self) -> str:
        """Return how the context was handed over."""
        return f"The context stood in the file {self._path}, named by {_VARIABLE}."


class PipesTempFileContextInjector(PipesContextInjector):
    """Hands the context over in a file that only this user can read."""

    @contextlib.contextmanager
    def inject_context(
        self, context_data: atoll_pipes.PipesContextData
    ) -> Generator[atoll_pipes.PipesParams]:
        """Keep the context in a file."""
        with tempfile.TemporaryDirectory(prefix="atoll-pipes-") as folder:
            inner = PipesFileContextInjector(pathlib.Path(folder) / "context.json")
            with inner.inject_context(context_data) as params:
                yield params

    def no_messages_debug_text(self) -> str:
        """Return how the context was handed over."""
        return f"The context stood in a file of this machine, named by {_VARIABLE}."


_VARIABLE = atoll_pipes.PIPES_CONTEXT_ENV_VAR
