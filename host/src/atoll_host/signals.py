"""How the services of one host wake each other: a poke only ever says "look again".

Used by every service that follows something another service changes. A poke is a hint: whoever
waits for one always waits with a limit, and reads the truth from where it is kept. Nothing here
crosses a process; `changes` brings in what other hosts did.
"""

import asyncio
import weakref


class Poke:
    """A wake-up for one waiter. Pokes that arrive before the wait count once."""

    __slots__ = ("__weakref__", "_event")

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """Wake the waiter, or make its next wait return at once."""
        self._event.set()

    async def wait(self, timeout_s: float | None) -> bool:
        """Wait for a poke and take it.

        Args:
            timeout_s: How long to wait; None waits until poked or cancelled.

        Returns:
            Whether there was a poke; False after `timeout_s` without one.
        """
        if not self._event.is_set():
            try:
                async with asyncio.timeout(timeout_s):
                    await self._event.wait()
            except TimeoutError:
                return False
        self._event.clear()
        return True


class Broadcast:
    """Pokes all its subscribers. A subscription ends when the subscriber drops its `Poke`."""

    __slots__ = ("_pokes",)

    def __init__(self) -> None:
        self._pokes: weakref.WeakSet[Poke] = weakref.WeakSet()

    def subscribe(self, poke: Poke | None = None) -> Poke:
        """Return a poke that `set` sets from now on; keep it for as long as it is wanted.

        Args:
            poke: One that something else sets too; a new one is made where none is given.
        """
        poke = Poke() if poke is None else poke
        self._pokes.add(poke)
        return poke

    def set(self) -> None:
        """Poke every subscriber."""
        for poke in self._pokes:
            poke.set()
