"""Backfills.

Revision ID: 0007
Revises: 0006
Create Date: 2026-11-28

For operators: two new tables, which take no time. The release before knows neither and goes on to
work; it runs the runs of backfills like any others, and makes no new ones.
"""

# ruff: noqa: E501 - the statements stand as Postgres shows them.

from collections.abc import Sequence

from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_STATEMENTS = """
CREATE TABLE backfills (
    backfill_id TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    version BIGINT DEFAULT '0' NOT NULL,
    title TEXT NOT NULL,
    tags JSONB NOT NULL,
    target BYTEA NOT NULL,
    progress BYTEA NOT NULL,
    failure BYTEA,
    run_count BIGINT DEFAULT '0' NOT NULL,
    request_id TEXT COLLATE "C",
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    update_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    end_time TIMESTAMP WITH TIME ZONE,
    CONSTRAINT backfills_pkey PRIMARY KEY (backfill_id),
    CONSTRAINT backfills_status_check CHECK (status IN ('REQUESTED', 'PAUSED', 'CANCELING', 'CANCELED', 'COMPLETED_SUCCESS', 'COMPLETED_FAILED', 'FAILED')),
    CONSTRAINT backfills_request UNIQUE (request_id)
) WITH (fillfactor = 70);
CREATE INDEX backfills_newest ON backfills (create_time, backfill_id);
CREATE INDEX backfills_active ON backfills (create_time) WHERE status IN ('REQUESTED', 'PAUSED', 'CANCELING');
COMMENT ON TABLE backfills IS 'Backfills: what each is to request, and what became of it.';
COMMENT ON COLUMN backfills.version IS 'Raised by commits.';
COMMENT ON COLUMN backfills.target IS 'atoll.api.v1.BackfillTarget';
COMMENT ON COLUMN backfills.progress IS 'atoll.api.v1.BackfillProgress';
COMMENT ON COLUMN backfills.failure IS 'atoll.definitions.v1.Failure';

CREATE TABLE backfill_runs (
    run_id TEXT COLLATE "C" NOT NULL,
    backfill_id TEXT COLLATE "C" NOT NULL,
    CONSTRAINT backfill_runs_pkey PRIMARY KEY (run_id)
);
CREATE INDEX backfill_runs_backfill ON backfill_runs (backfill_id);
COMMENT ON TABLE backfill_runs IS 'The runs of backfills whose outcome the progress does not hold yet.';
"""


def upgrade() -> None:
    """Make the tables."""
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    """Refuse: migrations go forward only."""
    raise NotImplementedError("migrations go forward only")
