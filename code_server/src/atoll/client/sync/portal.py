"""Runs the asynchronous client in a thread of its own, for programs that do not await.

Used by the modules of this package only, which are made from those of the asynchronous client: what
is retried, resumed and waited for is decided in one place. Two threads may share a portal; each
call blocks the thread that makes it and no other.
"""

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


class Portal:
    """An event loop in a thread, and the way into it."""

    def __init__(self) -> None:
        """Start the thread."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="atoll client", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what a coroutine returns, or raise what it raises.

        A caller that is interrupted, by Ctrl-C say, cancels the work and waits for its end.
        """
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError(
                "The blocking client was called from within itself. Use the asynchronous client "
                "where code runs in an event loop."
            )
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def call(self, function: Callable[[], T]) -> T:
        """Return what a function returns that must be called in the loop's thread."""

        async def work() -> T:
            return function()

        return self.run(work())

    def iterate(self, make: Callable[[], AsyncIterator[T]]) -> Iterator[T]:
        """Yield what an asynchronous iterator yields; it is closed when the loop over it ends.

        Args:
            make: Makes the iterator, in the loop's thread.
        """
        source = self.call(make)
        try:
            while found := self.run(_following(source)):
                yield found[0]
        finally:
            if inspect.isasyncgen(source):
                self.run(_closed(source))

    def following(self, source: AsyncIterator[T]) -> T:
        """Return the next item of an asynchronous iterator.

        Raises:
            StopIteration: There is none.
        """
        found = self.run(_following(source))
        if not found:
            raise StopIteration
        return found[0]

    def close(self) -> None:
        """End the thread. Repeating it does nothing."""
        if self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())


async def _closed(source: Any) -> None:
    await source.aclose()


async def _following(source: AsyncIterator[T]) -> tuple[T, ...]:
    """Return the next item; nothing at the end."""
    try:
        return (await anext(source),)
    except StopAsyncIteration:
        return ()
