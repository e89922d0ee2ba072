"""Runs what async assets return, to its end.

Loaded only when an async asset runs, since asyncio is dear to import. Called by `steps`.
"""

import asyncio
import contextvars
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end and return its result.

    Where a loop runs in this thread already (a notebook, an async test), it runs in a thread of its
    own.

    Args:
        coroutine: The coroutine.

    Returns:
        Its result.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    return _in_own_thread(coroutine)


def drain(generator: AsyncGenerator[Any, Any], take: Callable[[Any], None]) -> None:
    """Take everything that an async generator yields, as it comes.

    Args:
        generator: The generator.
        take: Takes one value.
    """

    async def consume() -> None:
        try:
            async for value in generator:
                take(value)
        finally:
            await generator.aclose()

    run(consume())


def _in_own_thread(coroutine: Coroutine[Any, Any, Any]) -> Any:
    outcome: list[Any] = []
    raised: list[BaseException] = []
    context = contextvars.copy_context()

    def work() -> None:
        try:
            outcome.append(context.run(asyncio.run, coroutine))
        except BaseException as error:  # noqa: BLE001 - handed to the waiting thread, which raises it
            raised.append(error)

    thread = threading.Thread(target=work, name="atoll-async-asset")
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
    return outcome[0]
