"""Reloads the code when files change, and lets only one reload wait at a time.

Files are watched by looking at their modification times, for development only; every `*.py` below
the location's folder counts, since a module that failed to load cannot tell what it would have
imported. SIGHUP reloads too.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pathlib
from collections.abc import Iterator

from atoll._server import builds, errors, services

_logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.5
_FILES_MAX = 5_000
_LEFT_OUT = frozenset({"__pycache__", "node_modules", "site-packages"})


class Reloader(services.Service):
    """Reloads when told to, once more at the most while a reload is under way.

    Args:
        held: The builds.
    """

    def __init__(self, held: builds.Builds) -> None:
        self._builds = held
        self._asked = False
        self._tasks = services.TaskSet("reloading")

    async def start(self) -> None:
        """Do nothing: reloads are asked for."""

    async def stop(self) -> None:
        """Give up a reload that is under way."""
        await self._tasks.cancel()

    def ask(self) -> None:
        """Reload soon."""
        if not self._asked:
            self._asked = True
            self._tasks.spawn(self._reload(), name="reload")

    async def _reload(self) -> None:
        await self._builds.first_load_over.wait()
        self._asked = False
        try:
            await self._builds.reload("")
        except errors.CodeServerError:
            _logger.exception("The code cannot be reloaded", extra={"action": "reload"})


class FileWatcher(services.LoopService):
    """Asks for a reload when a file below a folder changes.

    Args:
        folder: The folder of the location.
        reloader: What is asked.
    """

    def __init__(self, folder: pathlib.Path, reloader: Reloader) -> None:
        super().__init__("file watcher")
        self._folder = folder
        self._reloader = reloader

    async def run(self) -> None:
        """Look at the files, again and again."""
        before = await asyncio.to_thread(modification_times, self._folder)
        self.started.set()
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            now = await asyncio.to_thread(modification_times, self._folder)
            if now != before:
                before = now
                self._reloader.ask()


def modification_times(folder: pathlib.Path) -> dict[str, int]:
    """Return when each Python file below a folder was last changed, in nanoseconds.

    Args:
        folder: The folder. Hidden folders and virtual environments are left out.
    """
    found: dict[str, int] = {}
    for entry in _python_files(folder):
        try:
            found[entry.path] = entry.stat().st_mtime_ns
        except FileNotFoundError:
            continue
        if len(found) >= _FILES_MAX:
            break
    return found


def _python_files(folder: pathlib.Path) -> Iterator[os.DirEntry[str]]:
    folders: list[str] = [str(folder)]
    while folders:
        try:
            entries = list(os.scandir(folders.pop()))
        except OSError:
            continue
        if any(entry.name == "pyvenv.cfg" for entry in entries):
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in _LEFT_OUT and not entry.name.startswith("."):
                    folders.append(entry.path)
            elif entry.name.endswith(".py"):
                yield entry
