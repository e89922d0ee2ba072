"""Indexes for lists of runs, and the order in which captured output arrived.

Revision ID: 0014
Revises: 0009
Create Date: 2026-11-28

For operators: three indexes are built while runs cannot be written, about a second for each 500,000
runs. The table of captured output is written anew, for which it takes its size on the disk once
more and cannot be read or written; where it is large, shorten what retention keeps of it before.
The release before knows none of it and goes on to work.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0014"
down_revision: str | None = "0013"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_STATEMENTS = """
CREATE INDEX runs_of_location ON runs (location_name, create_time, run_id);
CREATE INDEX runs_of_job ON runs (job_name, create_time, run_id);
CREATE INDEX runs_of_status ON runs (status, create_time, run_id);
ALTER TABLE run_output ADD COLUMN position BIGINT GENERATED ALWAYS AS IDENTITY;
CREATE INDEX run_output_order ON run_output (run_id, position);
COMMENT ON COLUMN run_output.position IS 'The order in which the pieces of a run arrived.';
"""


def upgrade() -> None:
    """Make the indexes and the column."""
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    """Refuse: migrations go forward only."""
    raise NotImplementedError("migrations go forward only")
