"""Errors of the processes that hold user code, and of the files they share with the code server.

    LocationError
    ├── FramingError            a peer on the socket broke the framing
    ├── InvalidRunIdError       a run id that cannot name a directory
    ├── RunDirectoryError       a file of a run directory is missing or unreadable
    │   └── PlanConflictError   the run was accepted before, with another plan
    ├── WorkerLockedError       another worker runs the run
    ├── SpoolError
    │   ├── SpoolExistsError    the run has begun before
    │   ├── SpoolWriteError     an event could not be written
    │   └── SpoolCorruptError   a record in the middle of a spool is damaged
    ├── LaunchParametersError   the launch parameters are unusable
    └── LoadTargetError         the user's module, file or package cannot be found

Raised below `atoll._server` and `atoll._location` alone; nothing here knows of gRPC.
"""

from __future__ import annotations

import pathlib

from atoll import errors


class LocationError(Exception):
    """Base of everything raised by `atoll._location` and not by user code."""


class FramingError(LocationError):
    """A peer on the socket broke the framing; the connection is of no more use."""


class InvalidRunIdError(LocationError):
    """A run id cannot name a directory."""

    def __init__(self, run_id: str) -> None:
        super().__init__(
            f"The run id {run_id!r} cannot be used: give 1 to 128 letters, digits, '-', '_' or "
            "'.', beginning with a letter or a digit."
        )
        self.run_id = run_id


class RunDirectoryError(LocationError):
    """A file of a run directory is missing or unreadable."""

    def __init__(self, path: pathlib.Path, problem: str) -> None:
        super().__init__(f"The run directory {path} cannot be used: {problem}.")
        self.path = path
        self.problem = problem


class PlanConflictError(RunDirectoryError):
    """The run was accepted before, with another plan or attempt."""

    def __init__(self, path: pathlib.Path, *, accepted_attempt: int, attempt: int) -> None:
        super().__init__(
            path,
            f"attempt {accepted_attempt} of the run was accepted before, and attempt {attempt} "
            "with this plan is not the same",
        )
        self.accepted_attempt = accepted_attempt
        self.attempt = attempt


class WorkerLockedError(LocationError):
    """Another worker runs the run."""

    def __init__(self, path: pathlib.Path) -> None:
        super().__init__(
            f"Another process holds {path}: a worker runs this run already. This one does nothing."
        )
        self.path = path


class SpoolError(LocationError):
    """Base of the errors of the spool."""

    def __init__(self, path: pathlib.Path, problem: str) -> None:
        super().__init__(f"The spool {path} {problem}.")
        self.path = path
        self.problem = problem


class SpoolExistsError(SpoolError):
    """The run has begun before."""

    def __init__(self, path: pathlib.Path) -> None:
        super().__init__(path, "exists already: the run has begun before and must not run twice")


class SpoolWriteError(SpoolError):
    """An event could not be written; the spool is as it was before the attempt."""


class SpoolCorruptError(SpoolError):
    """A record that others follow is damaged."""

    def __init__(self, path: pathlib.Path, offset: int, problem: str) -> None:
        super().__init__(path, f"is damaged at byte {offset}: {problem}")
        self.offset = offset


class LaunchParametersError(LocationError):
    """The launch parameters of a process are missing or unusable."""


class LoadTargetError(LocationError, errors.Error):
    """The module, file or package that holds the definitions cannot be found."""
