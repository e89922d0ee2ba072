"""Runs that failed are run again, as their tags or the settings say.

A service on every host; storage lets one of them decide about each run, in one transaction with the
run that takes its place. Woken when runs end; what is undecided is read from the database, so that
nothing is forgotten when a host dies. `decide` is pure:

    FAILURE --(retries left, and of a kind that is retried)--> a new run waits in the queue
            --(otherwise)------------------------------------> that is its end

A run that was canceled is not run again, nor one that failed before there were retries.
"""

import uuid

from atoll_host import changes as host_changes
from atoll_host import services
from atoll_host.runs import requests, run_settings, run_tags
from atoll_storage import errors as storage_errors
from atoll_storage import records, retry_store

STEPS_FAILED = "atoll.StepsFailed"
"""The type of the failure of a run of which a step failed."""

_BATCH = 100


class Retrier(services.Loop):
    """Has runs that failed run again. See the module.

    Args:
        store: What was decided.
        changes: Tells that runs ended.
        settings: What counts for runs whose tags say nothing.
    """

    def __init__(
        self,
        store: retry_store.RetryStore,
        changes: host_changes.Changes,
        settings: run_settings.RunSettings,
    ) -> None:
        super().__init__("retrier", expected=(storage_errors.StorageUnavailable,))
        self._store = store
        self._settings = settings
        self._poke = changes.runs.subscribe()

    async def run(self) -> None:
        """Decide about what failed, whenever runs end."""
        while True:
            while await self._decide():
                pass
            self.did_well()
            await self._poke.wait(host_changes.BACKSTOP_S)

    async def _decide(self) -> bool:
        """Decide about some runs; return whether there may be more."""
        found = await self._store.undecided(_BATCH)
        declined: list[str] = []
        for run in found:
            new = decide(run, self._settings, str(uuid.uuid4()))
            if new is None:
                declined.append(run.run_id)
                continue
            number = run_tags.retry_number(new.tags)
            most = run_tags.max_retries(run.tags, self._settings.max_retries)
            tags = {run_tags.DID_RETRY_TAG: "true", run_tags.RETRY_RUN_TAG: new.run_id}
            message = f"The run is run again as {new.run_id} (retry {number} of {most})."
            await self._store.retry(run, new, tags, message)
        await self._store.decline(declined)
        return len(found) == _BATCH


def decide(
    run: records.RunRecord, settings: run_settings.RunSettings, run_id: str
) -> records.NewRun | None:
    """Return the run that takes the place of one that failed; None where none does. Pure.

    Args:
        run: The run that failed.
        settings: What counts where its tags say nothing.
        run_id: The id of the new run.
    """
    done = run_tags.retry_number(run.tags)
    if done >= run_tags.max_retries(run.tags, settings.max_retries):
        return None
    of_step = run.failure is not None and run.failure.type == STEPS_FAILED
    default = settings.retry_on_asset_or_op_failure
    if of_step and not run_tags.retries_step_failures(run.tags, default=default):
        return None
    root = run.target.root_run_id or run.run_id
    left_out = {run_tags.DID_RETRY_TAG, run_tags.RETRY_RUN_TAG, requests.RESUME_TAG}
    tags = {key: value for key, value in run.tags.items() if key not in left_out}
    tags |= {
        run_tags.RETRY_NUMBER_TAG: str(done + 1),
        requests.PARENT_RUN_TAG: run.run_id,
        requests.ROOT_RUN_TAG: root,
    }
    if run_tags.retry_strategy(run.tags) == run_tags.FROM_FAILURE:
        tags[requests.RESUME_TAG] = "true"
    target = {
        name: getattr(run.target, name)
        for name in records.RunTarget.__dataclass_fields__
        if name not in {"parent_run_id", "root_run_id"}
    }
    return records.NewRun(
        run_id=run_id,
        location_name=run.location_name,
        job_name=run.job_name,
        tags=tags,
        run_config=run.run_config,
        asset_selection=run.asset_selection,
        partition_key=run.partition_key,
        request_id=f"retry of {run.run_id}",
        target=records.RunTarget(**target, parent_run_id=run.run_id, root_run_id=root),
        pools=run.pools,
    )
