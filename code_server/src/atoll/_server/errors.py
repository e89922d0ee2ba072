"""Errors of the code server.

    CodeServerError
    ├── StateDirectoryError        the state directory cannot be used
    ├── NoBuildError               no build has loaded
    ├── UnknownBuildError          no such build is held
    ├── UnknownJobError            the build has no such job
    ├── UnknownSensorError         the build has no such sensor
    ├── UnknownScheduleError       the build has no such schedule
    ├── DrainingError              new runs are refused
    ├── EvaluatorsBusyError        too many ticks wait
    ├── InvalidPlanError           a run plan lacks something
    ├── InvalidTimeoutError        a timeout is no positive duration
    └── ProcessUnavailableError    a process could not be made now; it will be later

Raised by `atoll._server`, turned into gRPC errors by its `error_table` alone.
"""

from __future__ import annotations

import pathlib


class CodeServerError(Exception):
    """Base of the errors of the code server."""


class StateDirectoryError(CodeServerError):
    """The state directory cannot be used."""

    def __init__(self, path: pathlib.Path, problem: str) -> None:
        super().__init__(f"The state directory {path} cannot be used: {problem}")
        self.path = str(path)
        self.problem = problem


class NoBuildError(CodeServerError):
    """No build of the location has loaded."""

    def __init__(self, location_name: str, reason: str) -> None:
        super().__init__(
            f"The location {location_name!r} serves no build: {reason or 'it is still loading'}. "
            "Correct its code and reload it."
        )
        self.location_name = location_name


class UnknownBuildError(CodeServerError):
    """The build is not held, or no longer."""

    def __init__(self, build_id: str) -> None:
        super().__init__(
            f"There is no build {build_id!r} here. Describe tells which builds are held."
        )
        self.build_id = build_id


class UnknownJobError(CodeServerError):
    """The build has no such job."""

    def __init__(self, job_name: str, build_id: str) -> None:
        super().__init__(
            f"The build {build_id!r} has no job {job_name!r}. "
            "Define it in the location, or choose another."
        )
        self.job_name = job_name
        self.build_id = build_id


class UnknownSensorError(CodeServerError):
    """The build has no such sensor."""

    def __init__(self, sensor_name: str, build_id: str) -> None:
        super().__init__(
            f"The build {build_id!r} has no sensor {sensor_name!r}. "
            "Define it in the location, or choose another."
        )
        self.sensor_name = sensor_name
        self.build_id = build_id


class UnknownScheduleError(CodeServerError):
    """The build has no such schedule."""

    def __init__(self, schedule_name: str, build_id: str) -> None:
        super().__init__(
            f"The build {build_id!r} has no schedule {schedule_name!r}. "
            "Define it in the location, or choose another."
        )
        self.schedule_name = schedule_name
        self.build_id = build_id


class DrainingError(CodeServerError):
    """The code server refuses new runs."""

    def __init__(self, location_name: str) -> None:
        super().__init__(
            f"The code server of {location_name!r} is draining and takes no new runs. "
            "Hand the run to the server that took its place."
        )
        self.location_name = location_name


class EvaluatorsBusyError(CodeServerError):
    """Too many ticks wait for an evaluator."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} evaluations wait for a process already. Evaluate again later.")
        self.waiting = waiting


class InvalidPlanError(CodeServerError):
    """A run plan lacks something."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"The run plan cannot be accepted: {problem}.")
        self.problem = problem


class ProcessUnavailableError(CodeServerError):
    """A process could not be made now; the definitions process is restarting, for example."""

    def __init__(self, what: str, problem: str) -> None:
        super().__init__(f"{what} could not be started: {problem}. Try again shortly.")
        self.problem = problem


class InvalidTimeoutError(CodeServerError):
    """A timeout is no positive duration."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(
            f"The timeout {timeout_s:g} s is not positive. Give the time that it may take."
        )
        self.timeout_s = timeout_s
