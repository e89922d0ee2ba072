"""What is remembered of automation conditions, and what failed runs left out.

Revision ID: 0008
Revises: 0007
Create Date: 2026-11-28

For operators: new columns have defaults, which takes no time, and the new tables are empty. The new
index covers what runs do with assets and checks; to fill it every partition of the log is read once, and
appends wait meanwhile: seconds for each ten million stored events. Code of the release before keeps
working on this schema; what runs leave out that end under it is not remembered.
"""

# ruff: noqa: E501 - the statements stand as Postgres shows them.

from collections.abc import Sequence

from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_STATEMENTS = """
ALTER TABLE asset_entries
    ADD COLUMN failed_id BIGINT DEFAULT '0' NOT NULL,
    ADD COLUMN failed_range_start TEXT COLLATE "C" DEFAULT '' NOT NULL,
    ADD COLUMN failed_range_end TEXT COLLATE "C" DEFAULT '' NOT NULL;
COMMENT ON COLUMN asset_entries.failed_id IS 'Of the newest plan that a failed run left out; 0: none.';
COMMENT ON COLUMN asset_entries.failed_range_start IS 'Of the partitions that it was for.';

ALTER TABLE asset_partitions ADD COLUMN failed_id BIGINT DEFAULT '0' NOT NULL;
COMMENT ON COLUMN asset_partitions.failed_id IS 'Of the newest plan that a failed run left out; 0: none.';

CREATE INDEX events_run_assets ON events (run_id, id) WHERE kind IN (40, 41, 42, 45);

CREATE TABLE condition_state (
    target_key TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    position BIGINT NOT NULL,
    evaluation_time TIMESTAMP WITH TIME ZONE NOT NULL,
    location_name TEXT COLLATE "C" NOT NULL,
    sensor_name TEXT COLLATE "C" NOT NULL,
    state BYTEA NOT NULL,
    held BYTEA,
    failures INTEGER DEFAULT '0' NOT NULL,
    failure BYTEA,
    CONSTRAINT condition_state_pkey PRIMARY KEY (target_key)
) WITH (fillfactor = 50);
CREATE INDEX condition_state_held ON condition_state (target_key) WHERE held IS NOT NULL;
COMMENT ON TABLE condition_state IS 'What evaluations of automation conditions carry from one to the next.';
COMMENT ON COLUMN condition_state.target_key IS 'An asset, a check or a job, as text.';
COMMENT ON COLUMN condition_state.position IS 'The events up to here are taken into account.';
COMMENT ON COLUMN condition_state.state IS 'What the next evaluation needs, encoded by the host.';
COMMENT ON COLUMN condition_state.held IS 'What waits for another location, encoded by the host.';
COMMENT ON COLUMN condition_state.failures IS 'Evaluations that failed in a row.';
COMMENT ON COLUMN condition_state.failure IS 'atoll.definitions.v1.Failure of the newest one.';

CREATE TABLE condition_evaluations (
    target_key TEXT COLLATE "C" NOT NULL,
    evaluation_id BIGINT NOT NULL,
    evaluation_time TIMESTAMP WITH TIME ZONE NOT NULL,
    requested BIGINT NOT NULL,
    payload BYTEA NOT NULL,
    CONSTRAINT condition_evaluations_pkey PRIMARY KEY (target_key, evaluation_id)
);
COMMENT ON TABLE condition_evaluations IS 'Evaluations that said something new. The newest of each target are kept.';
COMMENT ON COLUMN condition_evaluations.requested IS 'How many partitions; 1 for a target without any.';
COMMENT ON COLUMN condition_evaluations.payload IS 'atoll.api.v1.ConditionEvaluation';
"""


def upgrade() -> None:
    """Make the tables, the columns and the index."""
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    """Refuse: migrations go forward only."""
    raise NotImplementedError("migrations go forward only")
