"""The command ``atoll dev``: checks the project file, then hands over to the guardian.

The session itself runs as ``python -m atoll_host.dev`` below the guardian, see there for why.
"""

import pathlib
import sys

import click

from atoll_host.dev import guardian, project


@click.command()
@click.option(
    "--project",
    "project_file",
    type=click.Path(path_type=pathlib.Path),
    help=f"The project file; {project.PROJECT_FILE_NAME} here or above when left out.",
)
@click.option("--listen", help="Where the host listens, instead of what the project file says.")
def dev(project_file: pathlib.Path | None, listen: str | None) -> None:
    """Run a host and all code locations of a project, for development. Ctrl-C stops everything."""
    try:
        path = project_file or project.find(pathlib.Path.cwd())
        project.load(path, listen=listen)
    except project.ProjectError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    overrides = [listen] if listen is not None else []
    sys.exit(guardian.guard(["-m", "atoll_host.dev", str(path), *overrides]))
