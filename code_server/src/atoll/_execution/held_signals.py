"""Holds signals back while something is done that must not be torn apart.

Called by the executor that runs steps in processes of their own: a cancellation arrives as an
exception out of a signal handler, and may not come between the reading of an event and its telling.
Blocking signals in the kernel would not do, since a thread of a native library takes them then.
"""

import select
import signal
import threading
import types
from typing import Any

# A signal that comes in the very moment before the wait begins is seen after this long.
_WAIT_MAX_S = 0.5


class HeldSignals:
    """Calls the handlers of signals only while it waits. Entered by the main thread."""

    def __init__(self) -> None:
        self._handlers: dict[int, Any] = {}
        self._pending: list[int] = []
        self._open = False

    def __enter__(self) -> "HeldSignals":  # noqa: PYI034 - Self is not in Python 3.10
        if threading.current_thread() is threading.main_thread():
            for number in signal.valid_signals():
                handler = signal.getsignal(number)
                if callable(handler):
                    self._handlers[number] = handler
                    signal.signal(number, self._take)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.restore()
        if kind is None:
            self._deliver()

    def restore(self) -> None:
        """Put the handlers back. May be repeated."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    @property
    def has_pending(self) -> bool:
        """Whether a signal is held back."""
        return bool(self._pending)

    def wait(self, poller: "select.poll", timeout_s: float) -> list[tuple[int, int]]:
        """Wait for descriptors, and call the handlers of signals that came or come meanwhile.

        Args:
            poller: Knows the descriptors.
            timeout_s: How long to wait at the most; it may be shorter.
        """
        timeout_ms = max(0.0, min(timeout_s, _WAIT_MAX_S)) * 1000
        try:
            self._open = True
            self._deliver()
            return poller.poll(timeout_ms)
        finally:
            self._open = False

    def _take(self, number: int, frame: types.FrameType | None) -> None:
        if self._open:
            self._handlers[number](number, frame)
        else:
            self._pending.append(number)

    def _deliver(self) -> None:
        while self._pending:
            number = self._pending.pop(0)
            self._handlers[number](number, None)
