"""Waiting in runs: before a retry, and for what other processes tell.

Called by the executors. The one place of this layer that stops time; tests replace it.
"""

import threading


def pause(seconds: float) -> None:
    """Wait, so that a signal which cancels the run is taken at once.

    Args:
        seconds: How long; nothing happens for 0 or less.
    """
    if seconds > 0:
        threading.Event().wait(seconds)
