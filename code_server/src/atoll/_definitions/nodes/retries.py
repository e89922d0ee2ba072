"""When and how often a failed step is tried again.

Called by users on ops, assets and jobs, and by the execution that waits. Holds no clock.
"""

import enum
import os

from atoll import _records as records
from atoll import errors

_RANDOM_BYTES = 7


class Backoff(enum.Enum):
    """How the delay grows from attempt to attempt."""

    LINEAR = "LINEAR"
    EXPONENTIAL = "EXPONENTIAL"


class Jitter(enum.Enum):
    """How the delay is spread, so that many failures do not come back together."""

    FULL = "FULL"
    PLUS_MINUS = "PLUS_MINUS"


class RetryPolicy(records.Record):
    """Says that a step which failed is tried again.

    Attributes:
        max_retries: How often, at the most.
        delay: The seconds before the first retry; None for none.
        backoff: How the delay grows; None for not at all.
        jitter: How the delay is spread; None for not at all.
    """

    max_retries: int = 1
    delay: float | None = None
    backoff: Backoff | None = None
    jitter: Jitter | None = None

    def __init__(
        self,
        max_retries: int = 1,
        delay: float | None = None,
        backoff: Backoff | None = None,
        jitter: Jitter | None = None,
    ) -> None:
        if max_retries < 0:
            raise errors.InvalidDefinitionError(
                f"max_retries of a RetryPolicy is 0 or more, got {max_retries!r}."
            )
        if delay is None and (backoff is not None or jitter is not None):
            raise errors.InvalidDefinitionError(
                "A RetryPolicy with backoff or jitter needs a delay to grow or to spread. Give "
                "delay=."
            )
        super().__init__(max_retries, delay, backoff, jitter)

    def calculate_delay(self, attempt_num: int) -> float:
        """Return the seconds to wait before a retry.

        Args:
            attempt_num: Which retry, from 1.
        """
        if self.delay is None:
            return 0.0
        grown = self.delay
        if self.backoff is Backoff.EXPONENTIAL:
            grown = self.delay * (2**attempt_num - 1)
        elif self.backoff is Backoff.LINEAR:
            grown = self.delay * attempt_num
        # Spread, not secret.
        if self.jitter is Jitter.FULL:
            return _between_0_and_1() * grown
        if self.jitter is Jitter.PLUS_MINUS:
            return grown + (2 * _between_0_and_1() - 1) * self.delay
        return grown


class RetryRequested(Exception):
    """Raised by user code to have its step tried again.

    Args:
        max_retries: How often, at the most.
        seconds_to_wait: The seconds before the next attempt.
    """

    def __init__(self, max_retries: int = 1, seconds_to_wait: float | None = None) -> None:
        super().__init__()
        if not isinstance(max_retries, int):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise errors.InvalidInvocationError(
                f"max_retries of RetryRequested is a whole number, got {max_retries!r}."
            )
        self.max_retries = max_retries
        self.seconds_to_wait = seconds_to_wait


def _between_0_and_1() -> float:
    """Return a number by chance, without what importing `random` costs."""
    return int.from_bytes(os.urandom(_RANDOM_BYTES), "big") / (1 << 8 * _RANDOM_BYTES)
