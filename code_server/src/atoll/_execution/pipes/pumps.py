"""A thread that hands on what arrives on a descriptor the moment it arrives.

Called by the readers of named pipes and of standard error. It waits in the kernel, without looking
again and again. Told to end, it takes what is there already, and no more: who still holds the other
end, such as a process that a program left behind, keeps nobody waiting.
"""

import contextlib
import os
import selectors
import threading
from collections.abc import Callable

_PIECE_BYTES = 64 * 1024
# More than a pipe can hold: what a program wrote before it ended is read to its end.
_REST_BYTES_MAX = 4 * 1024 * 1024
_JOIN_TIMEOUT_S = 60.0


class DescriptorPump:
    """Reads from a descriptor in a thread of its own.

    Args:
        descriptor: The descriptor, which the pump owns from here on.
        take: Takes each piece, in the thread.
        name: The name of the thread.
    """

    def __init__(self, descriptor: int, take: Callable[[bytes], None], name: str) -> None:
        self._descriptor = descriptor
        self._take = take
        self._problem: BaseException | None = None
        os.set_blocking(descriptor, False)
        self._woken, self._waker = os.pipe()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def finish(self) -> BaseException | None:
        """Take what is there already and end.

        Returns:
            What `take` raised, which ended the reading before its time; None where all went well.
        """
        with contextlib.suppress(OSError):
            os.close(self._waker)
        self._waker = -1
        self._thread.join(_JOIN_TIMEOUT_S)
        if self._thread.is_alive():
            return TimeoutError(
                f"What {self._thread.name} read was not taken within {_JOIN_TIMEOUT_S:.0f} s. "
                "Something holds up the log of the step."
            )
        return self._problem

    def _run(self) -> None:
        try:
            self._follow()
            self._take_rest()
        except BaseException as problem:  # noqa: BLE001 - the boundary of the thread: handed to whoever ends it
            self._problem = problem
        finally:
            # A program that goes on writing learns by it that nobody listens any more.
            os.close(self._descriptor)
            os.close(self._woken)

    def _follow(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._descriptor, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                ready = {key.fd for key, _ in selector.select()}
                if self._woken in ready:
                    return
                piece = self._read()
                if piece == b"":
                    return
                if piece is not None:
                    self._take(piece)

    def _take_rest(self) -> None:
        left = _REST_BYTES_MAX
        while left > 0:
            piece = self._read()
            if not piece:
                return
            left -= len(piece)
            self._take(piece)

    def _read(self) -> bytes | None:
        """Return a piece, nothing at the end, None where none is there now."""
        try:
            return os.read(self._descriptor, _PIECE_BYTES)
        except BlockingIOError:
            return None
