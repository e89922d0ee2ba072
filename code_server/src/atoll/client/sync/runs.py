"""Runs, as a host knows them: launch, look at, wait for, cancel.

For programs that do not await.
"""

from collections.abc import Iterator, Sequence

from atoll.api.v1 import runs_pb2
from atoll.client import runs as original
from atoll.client.sync import portal as portals


class Runs:
    """Launches, lists, shows, follows and cancels runs."""

    def __init__(self, portal: portals.Portal, inner: original.Runs) -> None:
        self._portal = portal
        self._inner = inner

    def launch(self, launch: original.Launch) -> runs_pb2.Run:
        """Put a run into the queue; what was sent twice is one run."""
        return self._portal.run(self._inner.launch(launch))

    def get(self, run_id: str) -> runs_pb2.Run:
        """Return one run."""
        return self._portal.run(self._inner.get(run_id))

    def full_id(self, text: str) -> str:
        """Return the id of the run that a text names: all of the id, or enough of its beginning.

        Args:
            text: The id or its beginning. Only the newest runs are known by the beginning.

        Returns:
            The id; the text itself where no such run is known, so that the host can say so.

        Raises:
            errors.InvalidArgumentError: Several runs begin with the text.
        """
        return self._portal.run(self._inner.full_id(text))

    def list(
        self,
        *,
        location_name: str = "",
        job_name: str = "",
        statuses: Sequence[runs_pb2.RunStatus.ValueType] = (),
        limit: int | None = None,
    ) -> Iterator[runs_pb2.Run]:
        """Yield runs, newest first.

        Args:
            location_name: Only those of this location; empty means all.
            job_name: Only those of this job; empty means all.
            statuses: Only those in one of these states; empty means all.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(
            lambda: self._inner.list(
                location_name=location_name, job_name=job_name, statuses=statuses, limit=limit
            )
        )

    def cancel(self, run_id: str, *, reason: str = "") -> runs_pb2.Run:
        """Cancel a run that waits, or ask a running one to stop."""
        return self._portal.run(self._inner.cancel(run_id, reason=reason))

    def wait(self, run_id: str, *, timeout_s: float | None = None) -> runs_pb2.Run:
        """Return a run once it has ended.

        Args:
            run_id: The run.
            timeout_s: How long it may take; None means for ever.

        Raises:
            errors.WaitTimeoutError: It did not end in time.
        """
        return self._portal.run(self._inner.wait(run_id, timeout_s=timeout_s))

    def output(self, run_id: str, *, step_key: str = "") -> Iterator[runs_pb2.GetRunOutputResponse]:
        """Yield what the steps of a run wrote, in order for each step and stream.

        Args:
            run_id: The run.
            step_key: Only this step; empty means all.
        """
        return self._portal.iterate(lambda: self._inner.output(run_id, step_key=step_key))
