"""How processes that run user code ended, in sentences.

Called by the executor that runs steps in processes of their own, and by whoever ends the run of a
dead run worker.
"""

import signal

_HINTS = {
    signal.SIGKILL: " Did the machine or the container run out of memory?",
    signal.SIGSEGV: " A native library crashed.",
    signal.SIGABRT: " A native library gave up.",
}


def how_it_died(exit_code: int | None, process: str = "the worker process") -> str:
    """Return in a sentence how a process ended that should not have.

    Args:
        exit_code: Its exit code, negative for the number of a signal; None when nobody knows.
        process: What to call it.
    """
    if exit_code is None:
        return f"{process} is gone, and nobody saw how it ended."
    if exit_code >= 0:
        return (
            f"{process} ended by itself with exit code {exit_code}. "
            "Did the code, or a library, call os._exit?"
        )
    try:
        number = signal.Signals(-exit_code)
    except ValueError:
        return f"{process} was killed by the signal {-exit_code}."
    hint = _HINTS.get(number, "")
    return f"{process} was killed by {number.name} ({number.value}).{hint}"
