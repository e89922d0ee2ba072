"""The time in which a program runs for a step: its context is in place and its messages are taken.

Called by users who launch programs in their own way, and by the clients. Launching stays outside.
"""

import contextlib
import dataclasses
import datetime as dt
import time
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import atoll_pipes
from atoll import errors
from atoll._definitions import asset_events
from atoll._execution.pipes import (
    composite_readers,
    injectors,
    messages,
    reported,
    steps,
)


def _now() -> dt.datetime:
    return dt.datetime.fromtimestamp(time.time(), dt.timezone.utc)


@dataclasses.dataclass(frozen=True)
class PipesSession:
    """What a program needs to be launched with, and what it has reported.

    Attributes:
        context_data: What the program is told.
        message_handler: Takes the messages.
        context_injector_params: How the program finds its context.
        message_reader_params: How the program sends messages.
        context: The context of the step.
        created_at: When the session began.
    """

    context_data: atoll_pipes.PipesContextData
    message_handler: messages.PipesMessageHandler
    context_injector_params: atoll_pipes.PipesParams
    message_reader_params: atoll_pipes.PipesParams
    context: steps.StepContext
    created_at: dt.datetime = dataclasses.field(default_factory=_now)

    def get_bootstrap_params(self) -> Mapping[str, atoll_pipes.PipesParams]:
        """Return the parameters by the names of the variables, not encoded yet."""
        if composite_readers.WRITERS in self.message_reader_params:
            raise errors.InvariantViolationError(
                "The message reader has several writers, each with parameters of its own. Launch "
                "each with its part of get_per_writer_bootstrap_env_vars()."
            )
        return self._params(self.message_reader_params)

    def get_bootstrap_env_vars(self) -> Mapping[str, str]:
        """Return the environment variables to launch the program with."""
        return _encoded(self.get_bootstrap_params())

    def get_bootstrap_cli_arguments(self) -> Mapping[str, str]:
        """Return the options to launch the program with, where it gets no environment."""
        return _as_options(self.get_bootstrap_env_vars())

    def get_per_writer_bootstrap_env_vars(self) -> Sequence[Mapping[str, str]]:
        """Return the environment variables for each writer of the program."""
        writers: Sequence[atoll_pipes.PipesParams] = self.message_reader_params.get(
            composite_readers.WRITERS, [self.message_reader_params]
        )
        return [_encoded(self._params(one)) for one in writers]

    def get_per_writer_bootstrap_cli_arguments(self) -> Sequence[Mapping[str, str]]:
        """Return the options for each writer of the program."""
        return [_as_options(one) for one in self.get_per_writer_bootstrap_env_vars()]

    def report_launched(self, launched_payload: messages.PipesLaunchedData) -> None:
        """Tell the message reader what became known of the program when it was launched."""
        self.message_handler.on_launched(launched_payload)

    def get_reported_results(self) -> Sequence[reported.PipesExecutionResult]:
        """Return what the program reported of assets and checks so far."""
        return self.message_handler.get_reported_results()

    def get_custom_messages(self) -> Sequence[Any]:
        """Return the custom messages that the program sent so far."""
        return self.message_handler.get_custom_messages()

    def get_results(
        self,
        *,
        implicit_materializations: bool = True,
        metadata: reported.Metadata | None = None,
    ) -> Sequence[reported.PipesExecutionResult]:
        """Return what the program reported, completed for the step.

        Args:
            implicit_materializations: Whether assets of the step that were not reported count as
                materialized.
            metadata: What to attach to every result, such as the program's id.
        """
        results = list(self.get_reported_results())
        if implicit_materializations:
            told = {
                one.asset_key for one in results if isinstance(one, asset_events.MaterializeResult)
            }
            results += [
                reported.materialize_result(key)
                for key in steps.asset_keys(self.context)
                if key not in told
            ]
        return [reported.with_metadata(one, metadata or {}) for one in results]

    def _params(
        self, message_params: atoll_pipes.PipesParams
    ) -> Mapping[str, atoll_pipes.PipesParams]:
        return {
            atoll_pipes.PIPES_CONTEXT_ENV_VAR: self.context_injector_params,
            atoll_pipes.PIPES_MESSAGES_ENV_VAR: message_params,
        }


@contextlib.contextmanager
def open_pipes_session(
    context: steps.StepContext,
    context_injector: injectors.PipesContextInjector,
    message_reader: messages.PipesMessageReader,
    extras: atoll_pipes.PipesExtras | None = None,
) -> Generator[PipesSession]:
    """Put the context in place and take messages while the context manager lasts.

    Launch the program within it, with `session.get_bootstrap_env_vars()`, and wait for its end.

    Args:
        context: The context of the asset, op or check.
        context_injector: Hands the context over.
        message_reader: Brings the messages.
        extras: What to give along; anything that JSON can hold.
    """
    data = steps.context_data(context, extras)
    handler = messages.PipesMessageHandler(context, message_reader)
    try:
        with (
            context_injector.inject_context(data) as context_params,
            handler.handle_messages() as message_params,
        ):
            yield PipesSession(data, handler, context_params, message_params, context)
    finally:
        _warn_of_silence(context, handler, context_injector, message_reader)


def _warn_of_silence(
    context: steps.StepContext,
    handler: messages.PipesMessageHandler,
    context_injector: injectors.PipesContextInjector,
    message_reader: messages.PipesMessageReader,
) -> None:
    if not handler.received_opened_message:
        context.log.warning(
            "The external program sent no message, so nothing that it did is known here. Check "
            "that it calls open_pipes() (or speaks the protocol), that it gets the environment "
            "variables %s and %s, and that it ran at all. %s %s",
            atoll_pipes.PIPES_CONTEXT_ENV_VAR,
            atoll_pipes.PIPES_MESSAGES_ENV_VAR,
            context_injector.no_messages_debug_text(),
            message_reader.no_messages_debug_text(),
        )
    elif not handler.received_closed_message:
        context.log.warning(
            "The external program opened its pipes but did not close them: it died, or never "
            "reached the end of open_pipes(). The last messages may be missing."
        )


def _encoded(params: Mapping[str, atoll_pipes.PipesParams]) -> dict[str, str]:
    return {name: atoll_pipes.encode_param(value) for name, value in params.items()}


def _as_options(variables: Mapping[str, str]) -> dict[str, str]:
    return {f"--{name.lower().replace('_', '-')}": value for name, value in variables.items()}
