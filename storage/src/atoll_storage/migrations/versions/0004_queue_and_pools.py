"""Priorities and limits in the queue, pools and their slots, retries and timeouts of runs.

Revision ID: 0004
Revises: 0003
Create Date: 2026-11-28

For operators: the table of runs is written anew and gets two indexes, and cannot be written
meanwhile. Code of the release before keeps working on this schema; it knows neither priorities nor
pools, so end it soon.
"""

# ruff: noqa: E501 - the statements stand as Postgres shows them.

from collections.abc import Sequence

from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# Runs that failed before there were retries are decided on already, those that come are not.
_STATEMENTS = """
ALTER TABLE runs
    ADD COLUMN queue_rank INTEGER GENERATED ALWAYS AS (CASE WHEN tags ->> 'atoll/priority' ~ '^[+-]?[0-9]{1,9}$' THEN - (tags ->> 'atoll/priority')::integer ELSE 0 END) STORED NOT NULL,
    ADD COLUMN blocked_by TEXT COLLATE "C" DEFAULT '' NOT NULL,
    ADD COLUMN pools JSONB DEFAULT '[]' NOT NULL,
    ADD COLUMN retry_decided BOOLEAN DEFAULT true NOT NULL,
    ADD COLUMN pending_failure BYTEA;
ALTER TABLE runs ALTER COLUMN retry_decided SET DEFAULT false;
COMMENT ON COLUMN runs.queue_rank IS 'Minus the priority, which a tag gives: the least goes first.';
COMMENT ON COLUMN runs.blocked_by IS 'The full limit that a queued run was passed over for; empty for none.';
COMMENT ON COLUMN runs.retry_decided IS 'Whether it was decided if a run that failed runs again.';
COMMENT ON COLUMN runs.pending_failure IS 'atoll.definitions.v1.Failure: what a run that is being canceled fails with; NULL for none.';
DROP INDEX runs_queue;
CREATE INDEX runs_waiting ON runs (location_name, blocked_by, queue_rank, queue_order) WHERE status = 'QUEUED';
CREATE INDEX runs_undecided ON runs (update_time) WHERE status = 'FAILURE' AND NOT retry_decided;

CREATE TABLE pools (
    pool TEXT COLLATE "C" NOT NULL,
    slot_limit INTEGER NOT NULL,
    update_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pools_pkey PRIMARY KEY (pool)
);
COMMENT ON TABLE pools IS 'Pools that have a limit of their own.';

CREATE TABLE pool_slots (
    run_id TEXT COLLATE "C" NOT NULL,
    step_key TEXT COLLATE "C" NOT NULL,
    attempt INTEGER NOT NULL,
    pool TEXT COLLATE "C" NOT NULL,
    rank INTEGER NOT NULL,
    position BIGINT GENERATED ALWAYS AS IDENTITY,
    request_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    grant_time TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pool_slots_pkey PRIMARY KEY (run_id, step_key)
);
CREATE INDEX pool_slots_pool ON pool_slots (pool, rank, position);
COMMENT ON TABLE pool_slots IS 'Steps that have a slot of a pool or wait for one. Counts only while the run is active.';
COMMENT ON COLUMN pool_slots.rank IS 'Minus the priority: the least goes first.';
COMMENT ON COLUMN pool_slots.grant_time IS 'NULL: the step waits.';
"""


def upgrade() -> None:
    """Make the columns, the tables and the indexes."""
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    """Refuse: migrations go forward only."""
    raise NotImplementedError("migrations go forward only")
