"""Deleting a run that somebody asks to be gone.

Called by the host's API. What old age takes is the business of `retention_store`, whose rules for
what is needed hold here too; which of them a run falls under is told, so that a person knows why it
stays. The run goes with its output and its binding. Its events stay: positions in the log never
change their meaning, and whoever follows the log sees what was to be seen.
"""

import enum

from sqlalchemy.ext import asyncio as sa_asyncio

from atoll_storage import connections, records


class Need(enum.Enum):
    """What a run is still needed for."""

    RETRY = "retry"
    RUN_KEY = "run key"
    ASSET = "asset"
    RUN = "run"
    BACKFILL = "backfill"


_LOCK = b"SELECT status FROM runs WHERE run_id = %s FOR UPDATE"
# Spelled one by one, as `retention_store` has them for many runs at once.
_NEEDS: dict[Need, str] = {
    Need.RETRY: "SELECT FROM runs WHERE run_id = %(run)s AND status = 'FAILURE' "
    "AND NOT retry_decided",
    Need.RUN_KEY: "SELECT FROM runs JOIN sensors "
    "ON sensors.location_name = runs.sensor_location_name "
    "AND sensors.sensor_name = runs.sensor_name "
    "WHERE run_id = %(run)s AND run_key_digest IS NOT NULL",
    Need.ASSET: "SELECT FROM asset_entries LEFT JOIN asset_state USING (asset_key) "
    "WHERE planned_run_id = %(run)s AND planned_id > coalesce(materialization_id, 0) "
    "UNION ALL SELECT FROM asset_partitions "
    "WHERE planned_run_id = %(run)s AND planned_id > materialization_id",
    Need.RUN: "SELECT FROM runs AS other WHERE status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED') "
    "AND (parent_run_id = %(run)s OR root_run_id = %(run)s)",
    Need.BACKFILL: "SELECT FROM backfill_runs WHERE run_id = %(run)s",
}
_LOOK = ("SELECT " + ", ".join(f"EXISTS ({text})" for text in _NEEDS.values())).encode()
_DELETE = (
    b"DELETE FROM run_output WHERE run_id = %s",
    b"DELETE FROM producers WHERE run_id = %s",
    b"DELETE FROM runs WHERE run_id = %s",
)


class RunDeletion:
    """Deletes runs."""

    def __init__(self, engine: sa_asyncio.AsyncEngine) -> None:
        self._engine = engine

    async def delete(self, run_id: str) -> records.RunStatus | Need | None:
        """Delete a run that has ended and that nothing needs.

        Whoever makes a run that goes back to this one locks its row too, so that of the two the
        first counts.

        Returns:
            The status that it has, or had until it was deleted, or what it is needed for; None
            where there is no such run.
        """
        run_id = run_id.replace("\0", "\ufffd")
        async with connections.driver_connection(self._engine, "deleting a run") as raw:
            row = await (await raw.execute(_LOCK, [run_id])).fetchone()
            if row is None:
                return None
            status = records.RunStatus(row[0])
            if not status.is_final:
                return status
            # A statement of its own: it sees what was committed while the lock was waited for.
            found = await (await raw.execute(_LOOK, {"run": run_id})).fetchone()
            needs = [need for need, needed in zip(_NEEDS, found or (), strict=True) if needed]
            if needs:
                return needs[0]
            for statement in _DELETE:
                await raw.execute(statement, [run_id])
            await raw.commit()
            return status
