"""The session of ``atoll dev`` in its own process: ``python -m atoll_host.dev FILE [LISTEN]``."""

import asyncio
import pathlib
import sys

from atoll_host.dev import project, session


def main(arguments: list[str]) -> int:
    """Run the session of a project file.

    Args:
        arguments: The project file, and where the host listens unless the file is to say it.
    """
    try:
        settings = project.load(pathlib.Path(arguments[0]), listen=next(iter(arguments[1:]), None))
    except project.ProjectError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 2
    return asyncio.run(session.run(settings))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
