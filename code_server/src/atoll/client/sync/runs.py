"""Runs, as a host knows them: launch, look at, follow, wait for, run again, cancel, delete.

For programs that do not await.
"""

from collections.abc import Iterator, Mapping, Sequence

from atoll.api.v1 import runs_pb2
from atoll.client import runs as original
from atoll.client.sync import portal as portals
from atoll.client.sync import watches


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
        query: runs_pb2.RunFilter | None = None,
        limit: int | None = None,
    ) -> Iterator[runs_pb2.Run]:
        """Yield runs, newest first.

        Args:
            location_name: Only those of this location; empty means all.
            job_name: Only those of this job; empty means all.
            statuses: Only those in one of these states; empty means all.
            query: Only those that this chooses as well; None means all.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(
            lambda: self._inner.list(
                location_name=location_name,
                job_name=job_name,
                statuses=statuses,
                query=query,
                limit=limit,
            )
        )

    def counts(self, query: runs_pb2.RunFilter | None = None) -> Sequence[runs_pb2.RunCount]:
        """Return how many runs there are, by location and status."""
        return self._portal.run(self._inner.counts(query))

    def watch(
        self, run_id: str, *, resume_token: str = "", patience_s: float | None = 60.0
    ) -> watches.Watch[runs_pb2.Run]:
        """Return an iterator over a run as it is, and as it is after each change, to its end.

        Args:
            run_id: The run.
            resume_token: Goes on after what the holder of the token has seen.
            patience_s: How long the host may be away before the watch gives up; None means for
                ever.
        """
        return watches.Watch(
            self._portal,
            self._portal.call(
                lambda: self._inner.watch(run_id, resume_token=resume_token, patience_s=patience_s)
            ),
        )

    def reexecute(
        self,
        run_id: str,
        *,
        from_failure: bool = False,
        step_keys: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
        request_id: str = "",
    ) -> runs_pb2.Run:
        """Run an ended run again: the same job, selection, partition, configuration and tags.

        Args:
            run_id: The run.
            from_failure: Only what did not end well, with what the rest of the run gave.
            step_keys: Only these steps, with what the others gave; not with `from_failure`.
            tags: Labels in place of those of the run, or besides them.
            request_id: Makes the call idempotent; empty makes one for it.
        """
        return self._portal.run(
            self._inner.reexecute(
                run_id,
                from_failure=from_failure,
                step_keys=step_keys,
                tags=tags,
                request_id=request_id,
            )
        )

    def cancel_all(self, query: runs_pb2.RunFilter, *, reason: str = "") -> Iterator[runs_pb2.Run]:
        """Cancel the runs of a filter that have not ended, and yield each as it is then.

        Args:
            query: Which runs; one condition at least.
            reason: Why, in words.
        """
        return self._portal.iterate(lambda: self._inner.cancel_all(query, reason=reason))

    def delete(self, run_id: str) -> None:
        """Remove a run that has ended and that nothing needs, and its captured output."""
        return self._portal.run(self._inner.delete(run_id))

    def cancel(self, run_id: str, *, reason: str = "") -> runs_pb2.Run:
        """Cancel a run that waits, or ask a running one to stop."""
        return self._portal.run(self._inner.cancel(run_id, reason=reason))

    def wait(
        self, run_id: str, *, timeout_s: float | None = None, check: bool = False
    ) -> runs_pb2.Run:
        """Return a run once it has ended.

        Args:
            run_id: The run.
            timeout_s: How long it may take; None means for ever.
            check: Whether a run that ended otherwise than well raises.

        Raises:
            errors.WaitTimeoutError: It did not end in time.
            errors.RunFailedError: It did not end well, and that was to be checked.
        """
        return self._portal.run(self._inner.wait(run_id, timeout_s=timeout_s, check=check))

    def watch_output(
        self,
        run_id: str,
        *,
        step_key: str = "",
        resume_token: str = "",
        patience_s: float | None = 60.0,
    ) -> watches.Watch[runs_pb2.GetRunOutputResponse]:
        """Return an iterator over what the steps of a run write, as it arrives, to its end.

        Args:
            run_id: The run.
            step_key: Only this step; empty means all.
            resume_token: Goes on after what the holder of the token has seen.
            patience_s: How long the host may be away before the watch gives up; None means for
                ever.
        """
        return watches.Watch(
            self._portal,
            self._portal.call(
                lambda: self._inner.watch_output(
                    run_id, step_key=step_key, resume_token=resume_token, patience_s=patience_s
                )
            ),
        )

    def output(self, run_id: str, *, step_key: str = "") -> Iterator[runs_pb2.GetRunOutputResponse]:
        """Yield what the steps of a run wrote, in order for each step and stream.

        Args:
            run_id: The run.
            step_key: Only this step; empty means all.
        """
        return self._portal.iterate(lambda: self._inner.output(run_id, step_key=step_key))
