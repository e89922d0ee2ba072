"""Runs programs as processes of this machine.

Called by users, directly or as a resource. How a process group is started and ended stands in
`processes`.
"""

import os
import shlex
from collections.abc import Mapping, Sequence

import atoll_pipes
from atoll import errors
from atoll._execution.pipes import (
    client,
    file_readers,
    injectors,
    messages,
    processes,
    session,
    steps,
)


class PipesSubprocessClient(client.PipesClient):
    """Runs programs of this machine and takes what they report while they run.

    Args:
        env: Environment variables for every program, beside those of this process.
        cwd: Where programs run.
        context_injector: Hands the context over; in a file where not given.
        message_reader: Brings the messages; through a named pipe where not given.
        forward_termination: Whether a program ends when the run is canceled or its process dies.
        forward_stdio: Whether what programs print goes to the streams of this process.
        termination_timeout_seconds: How long a program may take to clean up before it is killed.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the field's signature
        self,
        env: Mapping[str, str] | None = None,
        cwd: "str | os.PathLike[str] | None" = None,
        context_injector: injectors.PipesContextInjector | None = None,
        message_reader: messages.PipesMessageReader | None = None,
        forward_termination: bool = True,  # noqa: FBT001, FBT002 - the field's signature
        forward_stdio: bool = True,  # noqa: FBT001, FBT002 - the field's signature
        termination_timeout_seconds: float = 20,
    ) -> None:
        self.env = dict(env or {})
        self.cwd = cwd
        self.context_injector = context_injector or injectors.PipesTempFileContextInjector()
        self.message_reader = message_reader or file_readers.PipesFifoMessageReader()
        self.forward_termination = forward_termination
        self.forward_stdio = forward_stdio
        self.termination_timeout_seconds = termination_timeout_seconds

    def run(  # type: ignore[override]
        self,
        *,
        context: steps.StepContext,
        command: str | Sequence[str],
        extras: atoll_pipes.PipesExtras | None = None,
        env: Mapping[str, str] | None = None,
        cwd: "str | os.PathLike[str] | None" = None,
    ) -> client.PipesClientCompletedInvocation:
        """Run a program to its end.

        Args:
            context: The context of the asset, op or check.
            command: The program and its arguments; a string is split as a shell would, but no
                shell runs it.
            extras: What to give along; anything that JSON can hold.
            env: Environment variables, beside those of the client and of this process.
            cwd: Where it runs; where the client says, if not given.

        Returns:
            What it reported.

        Raises:
            PipesExecutionError: It could not be started, or failed.
        """
        argv = shlex.split(command) if isinstance(command, str) else [*map(os.fspath, command)]
        if not argv:
            raise errors.PipesExecutionError("The command is empty. Give the program to run.")
        with session.open_pipes_session(
            context, self.context_injector, self.message_reader, extras
        ) as opened:
            variables = {
                **os.environ,
                **self.env,
                **(env or {}),
                **opened.get_bootstrap_env_vars(),
            }
            exit_code, last_lines = self._run(argv, variables, cwd if cwd is not None else self.cwd)
        if exit_code != 0:
            raise _failed(argv, exit_code, last_lines, opened)
        return client.PipesClientCompletedInvocation(opened)

    def _start(
        self,
        argv: Sequence[str],
        variables: Mapping[str, str],
        cwd: "str | os.PathLike[str] | None",
    ) -> processes.ProcessGroup:
        try:
            return processes.ProcessGroup(
                argv,
                env=variables,
                cwd=cwd,
                forward_stdio=self.forward_stdio,
                bound=self.forward_termination,
            )
        except OSError as error:
            where = "" if cwd is None else f" in {os.fspath(cwd)!r}"
            raise errors.PipesExecutionError(
                f"{argv[0]!r} cannot be started{where}: {error}. Check that the program is on the "
                "PATH, that it may be run, and that the folder exists."
            ) from error

    def _run(
        self,
        argv: Sequence[str],
        variables: Mapping[str, str],
        cwd: "str | os.PathLike[str] | None",
    ) -> tuple[int, tuple[str, ...]]:
        """Run a program; return its exit code and its last lines of standard error."""
        group: processes.ProcessGroup | None = None
        try:
            group = self._start(argv, variables, cwd)
            exit_code = group.wait()
        except BaseException:
            # The run is canceled, or nothing was started.
            if group is not None:
                self._leave(group)
            raise
        group.release()
        return exit_code, group.last_lines

    def _leave(self, group: processes.ProcessGroup) -> None:
        try:
            if self.forward_termination:
                group.terminate(self.termination_timeout_seconds)
        finally:
            group.release()


def _failed(
    argv: Sequence[str],
    exit_code: int,
    last_lines: tuple[str, ...],
    opened: session.PipesSession,
) -> errors.PipesExecutionError:
    reported = opened.message_handler.reported_exception
    told = f"{processes.program_name(argv)!r} {processes.describe_end(exit_code)}."
    if reported is not None:
        told += f" It reported:\n{reported}"
    elif last_lines:
        told += " It last wrote to standard error:\n" + "\n".join(last_lines)
    else:
        told += f" It wrote nothing to standard error. The command was: {shlex.join(argv)}"
    return errors.PipesExecutionError(
        told, exit_code=exit_code, last_lines=last_lines, reported_exception=reported
    )
