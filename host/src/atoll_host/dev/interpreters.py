"""Can the interpreter of a location run Atoll? Asked before anything starts.

The answer comes from the interpreter itself, in a process of its own, because nothing else knows
what is installed in it.
"""

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from atoll_host.dev import processes, project

TIMEOUT_S: Final = 30.0
OLDEST_PYTHON: Final = (3, 10)
_QUESTION: Final = """
import json, sys
answer = {"python": list(sys.version_info[:3]), "atoll": None, "problem": ""}
try:
    import atoll, importlib.metadata
    answer["atoll"] = importlib.metadata.version("atoll")
except Exception as error:
    answer["problem"] = f"{type(error).__name__}: {error}"
sys.stdout.write(json.dumps(answer))
"""


@dataclasses.dataclass(frozen=True)
class Interpreter:
    """What an interpreter said of itself.

    Attributes:
        python: The version of Python.
        atoll: The version of Atoll in it.
    """

    python: str
    atoll: str


async def check(
    locations: Sequence[project.LocationSettings], *, path: Path
) -> dict[str, Interpreter]:
    """Ask the interpreters of all locations at once.

    Args:
        locations: The locations.
        path: The project file, for messages.

    Returns:
        What each said, by the name of the location.

    Raises:
        project.ProjectError: If one cannot run Atoll.
    """
    answers = await asyncio.gather(*(_ask(location, path) for location in locations))
    return dict(zip((location.name for location in locations), answers, strict=True))


async def _ask(location: project.LocationSettings, path: Path) -> Interpreter:
    table = f"locations.{location.name}"
    shown = str(location.python)
    try:
        child = await asyncio.create_subprocess_exec(
            shown,
            "-c",
            _QUESTION,
            cwd=location.working_directory,
            env=processes.location_environment(location.python),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise _problem(f"{shown!r} cannot be run: {error.strerror}.", path, table) from error
    try:
        output, complaint = await asyncio.wait_for(child.communicate(), TIMEOUT_S)
    except TimeoutError:
        raise _problem(f"{shown!r} did not answer in {TIMEOUT_S:g} s.", path, table) from None
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    try:
        answer = json.loads(output)
        version = tuple(int(part) for part in answer["python"])
    except (ValueError, KeyError, TypeError):
        last = complaint.decode("utf-8", "replace").strip().splitlines()[-1:]
        said = last[0] if last else f"exit code {child.returncode}"
        raise _problem(f"{shown!r} is no Python interpreter ({said}).", path, table) from None
    dotted = ".".join(str(part) for part in version)
    if version < OLDEST_PYTHON:
        oldest = ".".join(str(part) for part in OLDEST_PYTHON)
        raise _problem(f"{shown!r} is Python {dotted}; Atoll needs {oldest}.", path, table)
    if answer["atoll"] is None:
        raise _problem(
            f"{shown!r} cannot import atoll ({answer['problem']}). "
            f"Install it there: {shown} -m pip install atoll.",
            path,
            table,
        )
    return Interpreter(python=dotted, atoll=str(answer["atoll"]))


def _problem(text: str, path: Path, table: str) -> project.ProjectError:
    return project.ProjectError(text, path=path, table=table, key="python")
