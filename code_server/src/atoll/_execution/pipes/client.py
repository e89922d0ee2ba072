"""What every client of external programs does, and what it returns.

Called by users, who subclass `PipesClient` for systems of their own and give clients as resources.
"""

import abc
from collections.abc import Sequence
from typing import Any

import atoll_pipes
from atoll import errors
from atoll._definitions import asset_checks, asset_events, resource_contract
from atoll._execution.pipes import reported, session


class PipesClient(abc.ABC, resource_contract.ResourceClass):
    """Runs programs for steps. An asset takes one as a resource."""

    @abc.abstractmethod
    def run(
        self,
        *,
        context: Any,
        extras: atoll_pipes.PipesExtras | None = None,
        **kwargs: Any,
    ) -> "PipesClientCompletedInvocation":
        """Run a program to its end.

        Args:
            context: The context of the asset, op or check; clients may name the kinds they take.
            extras: What to give along; anything that JSON can hold.
            **kwargs: What the kind of client needs.
        """


class PipesClientCompletedInvocation:
    """What became of a program that ran to its end.

    Args:
        session: The session in which it ran.
        metadata: What the client attaches to every result.
    """

    def __init__(
        self, session: "session.PipesSession", metadata: reported.Metadata | None = None
    ) -> None:
        self._session = session
        self.metadata: reported.Metadata = dict(metadata or {})

    def get_results(
        self, *, implicit_materializations: bool = True
    ) -> Sequence[reported.PipesExecutionResult]:
        """Return what was reported, for the asset to yield.

        Args:
            implicit_materializations: Whether assets of the step that were not reported count as
                materialized.
        """
        return self._session.get_results(
            implicit_materializations=implicit_materializations, metadata=self.metadata
        )

    def get_materialize_result(
        self, *, implicit_materialization: bool = True
    ) -> "asset_events.MaterializeResult[Any]":
        """Return the one materialization, with the checks that were reported beside it.

        Args:
            implicit_materialization: Whether the asset counts as materialized without a report.
        """
        results = self.get_results(implicit_materializations=implicit_materialization)
        checks = [one for one in results if isinstance(one, asset_checks.AssetCheckResult)]
        made = [one for one in results if isinstance(one, asset_events.MaterializeResult)]
        if len(made) != 1:
            raise errors.InvariantViolationError(
                f"The program materialized {_names(made)}, and get_materialize_result returns "
                "exactly one. Yield what get_results() returns instead."
            )
        return reported.with_checks(made[0], checks)

    def get_asset_check_result(self) -> asset_checks.AssetCheckResult:
        """Return the one result of a check."""
        results = self.get_results(implicit_materializations=False)
        if len(results) != 1 or not isinstance(results[0], asset_checks.AssetCheckResult):
            raise errors.InvariantViolationError(
                f"The program reported {len(results)} results ({_names(results)}), and "
                "get_asset_check_result returns exactly one, of a check. Report the check once, or "
                "use get_results()."
            )
        return results[0]

    def get_custom_messages(self) -> Sequence[Any]:
        """Return the custom messages that the program sent."""
        return self._session.get_custom_messages()


def _names(results: Sequence[reported.PipesExecutionResult]) -> str:
    keys = (one.asset_key for one in results)
    return ", ".join("?" if key is None else key.to_user_string() for key in keys) or "nothing"
