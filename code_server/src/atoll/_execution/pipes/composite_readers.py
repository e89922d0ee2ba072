"""Several readers in one, for programs that write from several places at once.

Called by `session`, which makes the parameters of each writer apart.
"""

import contextlib
from collections.abc import Generator, Sequence

import atoll_pipes
from atoll import errors
from atoll._execution.pipes import messages

WRITERS = "writers"
"""The parameter that holds those of each writer, in the order of the readers."""


class PipesCompositeMessageReader(messages.PipesMessageReader):
    """Reads the messages of several writers, each by a reader of its own.

    Args:
        readers: The readers; the session is complete when the writers of all have closed.
    """

    def __init__(self, readers: Sequence[messages.PipesMessageReader]) -> None:
        if not readers:
            raise errors.InvariantViolationError(
                "PipesCompositeMessageReader got no readers. Give one for each writer."
            )
        self._readers = tuple(readers)

    @property
    def expected_writer_count(self) -> int:
        """How many writers there are."""
        return sum(reader.expected_writer_count for reader in self._readers)

    @contextlib.contextmanager
    def read_messages(
        self, handler: messages.PipesMessageHandler
    ) -> Generator[atoll_pipes.PipesParams]:
        """Read from all while the context lasts."""
        with contextlib.ExitStack() as stack:
            params = [
                stack.enter_context(reader.read_messages(handler.for_writer(reader)))
                for reader in self._readers
            ]
            yield {WRITERS: params}

    def on_launched(self, launched_payload: messages.PipesLaunchedData) -> None:
        """Hand on to every reader."""
        for reader in self._readers:
            reader.on_launched(launched_payload)

    def on_opened(self, opened_payload: atoll_pipes.PipesOpenedData) -> None:
        """Hand on to every reader; those that read themselves are told of their own writer only."""
        for reader in self._readers:
            reader.on_opened(opened_payload)

    def no_messages_debug_text(self) -> str:
        """Return what to check when no message arrives."""
        told = " ".join(reader.no_messages_debug_text() for reader in self._readers)
        return f"{len(self._readers)} writers were expected. {told}"
