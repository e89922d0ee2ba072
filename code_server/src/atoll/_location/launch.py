"""What a process that holds user code is told when it is started.

Made by the code server for a definitions process, and by a definitions process for what it spawns
(where forking is unsafe). It travels in one environment variable, not on the command line: a nonce
is no business of `ps`. No reading of settings, no defaults from the environment: whoever launches
decides.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import os
import sys
from collections.abc import Mapping
from typing import Any, cast

from atoll._location import errors

ENVIRONMENT_VARIABLE = "ATOLL_LAUNCH"
"""Holds the encoded parameters; the process removes it before any user code runs."""

HIDDEN_VARIABLES = ("ATOLL_DATABASE_URL", "ATOLL_LOCATION_TOKEN")
"""Never handed to a process that holds user code."""

ENTRY_POINT = "atoll._location.definitions_process"


class Role(str, enum.Enum):
    """What the process is for."""

    DEFINITIONS = "definitions"
    EVALUATOR = "evaluator"
    RUN_WORKER = "run_worker"


class TargetKind(str, enum.Enum):
    """How the user's definitions are named."""

    MODULE = "module"
    FILE = "file"
    PACKAGE = "package"


class StartMethodOption(str, enum.Enum):
    """How processes are to be made: as asked, or decided after the import."""

    AUTO = "auto"
    FORK = "fork"
    SPAWN = "spawn"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the user's definitions are.

    Attributes:
        kind: How they are named.
        value: The name of the module or package, or the path of the file.
        working_directory: The directory to run in; it is put on `sys.path`.
    """

    kind: TargetKind
    value: str
    working_directory: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LaunchParameters:
    """Everything one process needs to know to begin.

    Attributes:
        target: Where the user's definitions are.
        socket_path: The unix socket of the code server.
        nonce: What the process presents in its Hello.
        location_name: The name of the code location.
        build_id: The build that the process holds.
        start_method: How processes are to be made.
        role: What the process is for.
        run_directory: For a run worker, the directory of its run.
        run_id: For a run worker, its run.
        lifeline_descriptor: An inherited descriptor whose other end closes when this process is to
            die; -1 without one. Used for spawned evaluators.
    """

    target: Target
    socket_path: str
    nonce: str
    location_name: str
    build_id: str
    start_method: StartMethodOption = StartMethodOption.AUTO
    role: Role = Role.DEFINITIONS
    run_directory: str = ""
    run_id: str = ""
    lifeline_descriptor: int = -1

    def encode(self) -> str:
        """Return the parameters as one line of text."""
        return json.dumps(dataclasses.asdict(self), separators=(",", ":"))

    @classmethod
    def decode(cls, text: str) -> LaunchParameters:
        """Return the parameters that `encode` made into text.

        Args:
            text: What `encode` returned.

        Raises:
            LaunchParametersError: The text is something else.
        """
        try:
            values = cast("dict[str, Any]", json.loads(text))
            target = Target(**{**values["target"], "kind": TargetKind(values["target"]["kind"])})
            given: dict[str, Any] = {
                **values,
                "target": target,
                "start_method": StartMethodOption(values["start_method"]),
                "role": Role(values["role"]),
            }
            return cls(**given)
        except (ValueError, TypeError, KeyError) as error:
            message = (
                f"The launch parameters in {ENVIRONMENT_VARIABLE} cannot be read ({error}): "
                "this process is started by `atoll serve`, not by hand."
            )
            raise errors.LaunchParametersError(message) from error

    def argv(self) -> list[str]:
        """Return the command line; what follows the entry point is for people who read `ps`."""
        command = [sys.executable]
        if sys.version_info >= (3, 11):
            # The current directory of the launcher must not shadow modules; the process adds its
            # own directory itself.
            command.append("-P")
        command += ["-m", ENTRY_POINT, self.role.value, f"{self.location_name}@{self.build_id}"]
        if self.run_id:
            command.append(self.run_id)
        return command

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """Return the environment to start the process with.

        Args:
            inherited: The launcher's own environment; credentials are left out.
        """
        environment = {
            key: value for key, value in inherited.items() if key not in HIDDEN_VARIABLES
        }
        environment[ENVIRONMENT_VARIABLE] = self.encode()
        return environment


def take_from_environment() -> LaunchParameters:
    """Return the parameters of this process and remove them from its environment.

    Raises:
        LaunchParametersError: There are none.
    """
    text = os.environ.pop(ENVIRONMENT_VARIABLE, "")
    for name in HIDDEN_VARIABLES:
        os.environ.pop(name, None)
    return LaunchParameters.decode(text)
