"""Asset checks: the newest evaluation of each, and their names in the log.

Revision ID: 0002
Create Date: 2026-11-28

For operators: a new table and a new column without a default, which take no time. The new index
covers evaluations of checks only and is empty at first, but every partition of the log is read once
to find that out, and appends wait meanwhile: seconds for each ten million stored events. Prune the
log before where that is too long. The release before knows neither and goes on to work.
"""

# ruff: noqa: E501 - the statements stand as Postgres shows them.

from collections.abc import Sequence

from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_STATEMENTS = """
ALTER TABLE events ADD COLUMN check_name TEXT COLLATE "C";
COMMENT ON COLUMN events.check_name IS 'For evaluations of checks; sha256:<digest> of a long one.';
CREATE INDEX events_check ON events (asset_key, check_name, id) WHERE kind = 45;

CREATE TABLE check_state (
    asset_key TEXT COLLATE "C" NOT NULL,
    check_name TEXT COLLATE "C" NOT NULL,
    partition TEXT COLLATE "C" NOT NULL,
    evaluation_id BIGINT NOT NULL,
    location_name TEXT COLLATE "C" NOT NULL,
    stored_time TIMESTAMP WITH TIME ZONE NOT NULL,
    payload BYTEA NOT NULL,
    CONSTRAINT check_state_pkey PRIMARY KEY (asset_key, check_name, partition)
) WITH (fillfactor = 50);
CREATE INDEX check_state_newest ON check_state (asset_key, check_name, evaluation_id);
COMMENT ON TABLE check_state IS 'The newest evaluation of each check and partition. Survives pruning.';
COMMENT ON COLUMN check_state.partition IS 'Empty for none.';
COMMENT ON COLUMN check_state.payload IS 'atoll.events.v1.Event';
"""


def upgrade() -> None:
    """Make the table, the column and the index."""
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    """Refuse: migrations go forward only."""
    raise NotImplementedError("migrations go forward only")
